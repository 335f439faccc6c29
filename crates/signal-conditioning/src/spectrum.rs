use std::cell::RefCell;
use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;

/// What is added to a magnitude before its logarithm is taken: `ln(|X| + 0.001)`.
pub const LOG_FLOOR: f64 = 1e-3;

/// Magnitude spectrum of a window: `|DFT(w x)|` of bins `1 ..= n/2`, `w` the periodic Hann window, not
/// divided by `n`.
///
/// Bin `k`, at element `k - 1`, is the frequency `k rate / n`; the mean (bin 0) is left out. A tone of
/// amplitude `a` in the middle of a bin gives `a n / 4` there. The unit is that of the samples. Fewer than
/// two samples give an empty spectrum; NaN or infinity anywhere gives NaN in some or all bins.
pub fn spectrum(x: &[f64]) -> Vec<f64> {
    if x.len() < 2 {
        return Vec::new();
    }
    PLANS.with_borrow_mut(|plans| Plan::of_length(plans, x.len()).magnitudes(x))
}

/// Logarithm of the magnitude spectrum: `ln(spectrum(x) + 0.001)`, the constant being [`LOG_FLOOR`]; natural
/// logarithm.
pub fn log_spectrum(x: &[f64]) -> Vec<f64> {
    let mut bins = spectrum(x);
    for bin in &mut bins {
        *bin = (*bin + LOG_FLOOR).ln();
    }
    bins
}

/// The plans last used by a thread, newest last. Programs use one or two lengths; the bound keeps one that
/// does not from growing.
const MAX_PLANS: usize = 8;

thread_local! {
    static PLANS: RefCell<Vec<Plan>> = const { RefCell::new(Vec::new()) };
}

/// What one length needs: the transform, the Hann window, and room to work in.
struct Plan {
    transform: Arc<dyn RealToComplex<f64>>,
    hann: Vec<f64>,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Plan {
    fn of_length(plans: &mut Vec<Plan>, n: usize) -> &mut Plan {
        if let Some(found) = plans.iter().position(|plan| plan.hann.len() == n) {
            plans[found..].rotate_left(1);
        } else {
            if plans.len() == MAX_PLANS {
                plans.remove(0);
            }
            plans.push(Plan::new(n));
        }
        let newest = plans.len() - 1;
        &mut plans[newest]
    }

    fn new(n: usize) -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(n);
        let hann = (0..n).map(|i| 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos()).collect();
        let (input, output, scratch) = (
            transform.make_input_vec(),
            transform.make_output_vec(),
            transform.make_scratch_vec(),
        );
        Self {
            transform,
            hann,
            input,
            output,
            scratch,
        }
    }

    fn magnitudes(&mut self, x: &[f64]) -> Vec<f64> {
        for (windowed, (x, w)) in self.input.iter_mut().zip(x.iter().zip(&self.hann)) {
            *windowed = x * w;
        }
        self.transform
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("all three buffers were made by this transform");
        self.output[1..].iter().map(|bin| bin.norm()).collect()
    }
}
