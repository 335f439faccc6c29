use std::ops::Range;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::{Band, Result};

/// Added to an envelope before its logarithm, as a fraction of its root mean square: `ln(e + 1e-6 rms(e))`.
pub const ENVELOPE_FLOOR: f64 = 1e-6;

/// What is made of the modulus `e` of an analytic signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvelopeKind {
    /// `e` itself, in the unit of the samples.
    Plain,
    /// `e^2`, whose spectrum holds no products of more than two lines (Randall and Antoni 2011, section 5.1).
    Squared,
    /// `ln(e + 1e-6 rms(e))`, the constant being [`ENVELOPE_FLOOR`]: an impact ten times as strong does not
    /// hide the others.
    #[default]
    Log,
}

impl EnvelopeKind {
    /// Turns moduli into the envelope, in place.
    pub(crate) fn apply(self, moduli: &mut [f64]) {
        match self {
            Self::Plain => {}
            Self::Squared => moduli.iter_mut().for_each(|e| *e *= *e),
            Self::Log => {
                let rms = (moduli.iter().map(|e| e * e).sum::<f64>() / moduli.len() as f64).sqrt();
                let floor = ENVELOPE_FLOOR * rms;
                for e in moduli {
                    *e = (*e + floor).ln();
                }
            }
        }
    }
}

/// The analytic signal `x + i H(x)`, `H` the Hilbert transform: its negative frequencies are zero.
///
/// By the discrete transform: positive frequencies doubled, the mean and (for an even length) the bin at half
/// the rate kept, negative ones removed. Equal to `scipy.signal.hilbert`. The window is taken as one period of
/// a periodic signal. NaN or infinity anywhere spoils all; empty stays empty.
///
/// Source: S. L. Marple, "Computing the discrete-time 'analytic' signal via FFT", IEEE Trans. Signal Process.
/// 47 (1999), equation 7.
pub fn analytic_signal(x: &[f64]) -> Vec<Complex<f64>> {
    let n = x.len();
    if n == 0 {
        return Vec::new();
    }
    let mut planner = FftPlanner::new();
    let mut z: Vec<Complex<f64>> = x.iter().map(|&x| Complex::new(x / n as f64, 0.0)).collect();
    planner.plan_fft_forward(n).process(&mut z);
    for bin in &mut z[1..n.div_ceil(2)] {
        *bin *= 2.0;
    }
    z[n / 2 + 1..].fill(Complex::ZERO);
    planner.plan_fft_inverse(n).process(&mut z);
    z
}

/// The envelope of the whole signal: [`analytic_signal`], its modulus, then `kind`.
pub fn envelope(x: &[f64], kind: EnvelopeKind) -> Vec<f64> {
    let mut moduli: Vec<f64> = analytic_signal(x).iter().map(|z| z.norm()).collect();
    kind.apply(&mut moduli);
    moduli
}

/// The envelope of what lies in a band: the mean removed, the bins of the band kept on the positive side and
/// doubled, transformed back, modulus, then `kind`.
///
/// The filter has no transition: it is for demodulation, where ringing at the ends of the window is harmless.
/// The window is taken as one period of a periodic signal. A rate that is not positive and finite, or a band
/// that reaches above half of it or holds no bin, is an error. NaN or infinity anywhere spoils all. An
/// envelope of zeros has the logarithm minus infinity.
///
/// Source: R. B. Randall, J. Antoni, "Rolling element bearing diagnostics - a tutorial", Mech. Syst. Signal
/// Process. 25 (2011), section 5.1 and figure 16.
pub fn band_envelope(x: &[f64], rate_hz: f64, band: Band, kind: EnvelopeKind) -> Result<Vec<f64>> {
    positive("rate_hz", rate_hz)?;
    let bins = band.bins(x.len().max(1), rate_hz)?;
    let mut moduli = vec![0.0; x.len()];
    if x.is_empty() {
        return Ok(moduli);
    }
    let mut demodulator = Demodulator::new(x.len());
    demodulator.load(x);
    demodulator.modulus(bins, &mut moduli);
    kind.apply(&mut moduli);
    Ok(moduli)
}

/// What lies in a band: every bin outside it set to zero, in zero phase. The mean is removed too.
///
/// As sharp as the window allows, with ringing at both ends of the window, which is taken as one period of a
/// periodic signal. Errors and NaN as [`band_envelope`].
pub fn band_pass(x: &[f64], rate_hz: f64, band: Band) -> Result<Vec<f64>> {
    positive("rate_hz", rate_hz)?;
    let bins = band.bins(x.len().max(1), rate_hz)?;
    if x.is_empty() {
        return Ok(Vec::new());
    }
    let mut demodulator = Demodulator::new(x.len());
    demodulator.load(x);
    demodulator.invert(bins);
    Ok(demodulator.analytic.iter().map(|z| z.re).collect())
}

/// Transforms of one length, and room to work in: a window is loaded once and demodulated in many bands.
pub(crate) struct Demodulator {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    centred: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    analytic: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Demodulator {
    /// For windows of `n` samples, at least one.
    pub(crate) fn new(n: usize) -> Self {
        let forward = RealFftPlanner::new().plan_fft_forward(n);
        let inverse = FftPlanner::new().plan_fft_inverse(n);
        let scratch = forward.get_scratch_len().max(inverse.get_inplace_scratch_len());
        Self {
            centred: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            analytic: vec![Complex::ZERO; n],
            scratch: vec![Complex::ZERO; scratch],
            forward,
            inverse,
        }
    }

    /// The transform of a whole window.
    pub(crate) fn forward(&self) -> Arc<dyn RealToComplex<f64>> {
        Arc::clone(&self.forward)
    }

    /// Takes a window in: its spectrum without the mean.
    pub(crate) fn load(&mut self, x: &[f64]) {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        for (centred, x) in self.centred.iter_mut().zip(x) {
            *centred = x - mean;
        }
        let scratch = &mut self.scratch[..self.forward.get_scratch_len()];
        self.forward
            .process_with_scratch(&mut self.centred, &mut self.spectrum, scratch)
            .expect("all buffers were made by this transform");
    }

    /// The analytic signal of the loaded window in a band below half the rate.
    fn invert(&mut self, bins: Range<usize>) {
        let gain = 2.0 / self.analytic.len() as f64;
        self.analytic.fill(Complex::ZERO);
        for (to, from) in self.analytic[bins.clone()].iter_mut().zip(&self.spectrum[bins]) {
            *to = from * gain;
        }
        let scratch = &mut self.scratch[..self.inverse.get_inplace_scratch_len()];
        self.inverse.process_with_scratch(&mut self.analytic, scratch);
    }

    /// The modulus of that analytic signal.
    pub(crate) fn modulus(&mut self, bins: Range<usize>, moduli: &mut [f64]) {
        self.invert(bins);
        for (modulus, z) in moduli.iter_mut().zip(&self.analytic) {
            // not `norm`: its guard against overflow costs more than the transform
            *modulus = z.norm_sqr().sqrt();
        }
    }
}
