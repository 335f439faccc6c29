use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use realfft::RealToComplex;
use rustfft::num_complex::Complex;

use super::parameters::DefectOrderParameters;
use super::prominence::{Comb, HIGHEST_DECOY};
use super::representation::DefectOrders;
use crate::envelope::Demodulator;
use crate::error::{all_finite, positive};
use crate::running_median::SortedWindow;
use crate::{DefectFamily, Error, Geometry, Result};

/// The defect-order representation of a window: [`DefectOrderAnalyser`] for those who have one window, or no
/// wish to keep one. The last few analysers of a thread are kept, so further windows of the same kind are as
/// fast. Arguments, result and errors as [`DefectOrderAnalyser::new`] and [`DefectOrderAnalyser::analyse`].
///
/// ```
/// use signal_conditioning::{DefectFamily, DefectOrderParameters, Geometry, RaceRule, Verdict, defect_orders};
/// let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0)?; // 6205
/// let shaft_hz = 29.53;
/// // a 3 kHz resonance struck at the outer race's order, 1 % slip
/// let period = 12_000.0 / (0.99 * geometry.bpfo * shaft_hz);
/// let window: Vec<f64> = (0..12_000)
///     .map(|i| {
///         let since = f64::from(i) % period;
///         let noise = f64::from((i * 7919 + i * i % 1013 * 31) % 1009) / 1009.0 - 0.5;
///         (-since / 12.0).exp() * (std::f64::consts::TAU * 0.25 * since).sin() + 0.3 * noise
///     })
///     .collect();
/// let found = defect_orders(&window, 12_000.0, shaft_hz, &geometry, &DefectOrderParameters::default())?;
/// let outer = found.scores().get(DefectFamily::OuterRace);
/// assert!(outer.z > 1.0 && (outer.slip + 0.01).abs() < 0.002);
/// // at a slip of -1.7 % every second harmonic of the inner race falls on every third of the outer race, so
/// // the inner race scores too: compare families, never one score alone
/// let inner = found.scores().get(DefectFamily::InnerRace);
/// assert!(inner.z > 0.3 && inner.z < outer.z / 2.0 && (inner.slip + 0.017).abs() < 0.002);
/// assert_eq!(RaceRule::default().decide(found.scores()), Verdict::OuterRace);
/// # Ok::<(), signal_conditioning::Error>(())
/// ```
pub fn defect_orders(
    window: &[f64],
    rate_hz: f64,
    shaft_hz: f64,
    geometry: &Geometry,
    parameters: &DefectOrderParameters,
) -> Result<DefectOrders> {
    with_analyser(parameters, rate_hz, window.len(), |analyser| {
        analyser.analyse(window, shaft_hz, geometry).cloned()
    })
}

/// Runs a function on an analyser of this thread that was planned for these arguments.
pub(crate) fn with_analyser<R>(
    parameters: &DefectOrderParameters,
    rate_hz: f64,
    samples: usize,
    run: impl FnOnce(&mut DefectOrderAnalyser) -> Result<R>,
) -> Result<R> {
    /// a program uses one or two kinds of windows
    const KEPT: usize = 4;
    thread_local! {
        static ANALYSERS: RefCell<Vec<DefectOrderAnalyser>> = const { RefCell::new(Vec::new()) };
    }
    ANALYSERS.with_borrow_mut(|kept| {
        let fits =
            |a: &DefectOrderAnalyser| a.parameters == *parameters && a.rate_hz == rate_hz && a.samples() == samples;
        if let Some(found) = kept.iter().position(fits) {
            kept[found..].rotate_left(1);
        } else {
            let analyser = DefectOrderAnalyser::new(*parameters, rate_hz, samples)?;
            if kept.len() == KEPT {
                kept.remove(0);
            }
            kept.push(analyser);
        }
        run(kept.last_mut().expect("one was found or added"))
    })
}

/// Computes the defect-order representation of many windows of one length and rate: transforms are planned and
/// memory is taken once.
///
/// For a window of `N` samples at rate `F`, `T = N / F` seconds, and each band `[low, high)`:
///
/// - `e`: modulus of the analytic signal of the window without its mean, in the band ([`band_envelope`]).
/// - `l = ln(e + 1e-6 rms(e))`, then `(l - mean) / std`: free of units.
/// - `S_k = |DFT(l w)_k|^2`, `w` the periodic Hann window, `k = 0 ..= max_hz T`: the envelope spectrum, bin
///   width `1 / T`.
/// - `W_k = ln(S_k ln 2 / M_k + 0.001)`, `M` the running median over +-`background_hz` ([`whiten`]).
/// - Shaft cut: the bin nearest to `k f_r` and both its neighbours get `min(W, 0)`, for `k f_r <= max_hz - 10`.
/// - `P`: mean over bands of `W` clipped to `0 ..= clip`.
///
/// The prominence of an order `o` is the largest, over the slips `s`, mean over the harmonics `h` of `P` at bin
/// `round(h (1 + s) o f_r T)`. A family's score `z` is its prominence less the median of the prominences of
/// decoys: orders 2.30, 2.35 .. 6.20 that lie near no defect order and no whole number. Rolling elements are
/// searched at twice the spin order.
///
/// Source: squared-envelope analysis and its reasons, Randall and Antoni 2011, section 5; the parameters and
/// the decoys from measurements on the CWRU data (the project's page on physics).
///
/// [`band_envelope`]: crate::band_envelope
/// [`whiten`]: crate::whiten
pub struct DefectOrderAnalyser {
    parameters: DefectOrderParameters,
    rate_hz: f64,
    band_bins: Vec<Range<usize>>,
    half: usize,
    demodulator: Demodulator,
    forward: Arc<dyn RealToComplex<f64>>,
    hann: Vec<f64>,
    envelope: Vec<f64>,
    transformed: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    sorted: SortedWindow,
    result: DefectOrders,
}

impl std::fmt::Debug for DefectOrderAnalyser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefectOrderAnalyser")
            .field("parameters", &self.parameters)
            .field("rate_hz", &self.rate_hz)
            .field("samples", &self.samples())
            .finish_non_exhaustive()
    }
}

impl DefectOrderAnalyser {
    /// For windows of `samples` samples at `rate_hz`.
    ///
    /// Errors: a rate that is not positive and finite; a band or a `max_hz` above half the rate; a window so
    /// short that a band or the envelope spectrum has no bin.
    pub fn new(parameters: DefectOrderParameters, rate_hz: f64, samples: usize) -> Result<Self> {
        positive("rate_hz", rate_hz)?;
        let max_hz = parameters.max_hz();
        if max_hz > rate_hz / 2.0 {
            return Err(Error::Argument {
                name: "max_hz",
                found: max_hz.to_string(),
                expected: format!("at most {} Hz, half the sampling rate", rate_hz / 2.0),
            });
        }
        // two bins besides 0
        let needed = (2.0 * rate_hz / max_hz).ceil() as usize;
        if samples < needed {
            return Err(Error::WindowTooShort {
                found: samples,
                needed,
                kind: "defect-orders",
            });
        }
        let band_bins = parameters
            .bands()
            .iter()
            .map(|band| band.bins(samples, rate_hz))
            .collect::<Result<Vec<_>>>()?;
        let demodulator = Demodulator::new(samples);
        let forward = demodulator.forward();
        let n = samples as f64;
        let bins = ((max_hz * n / rate_hz) as usize + 1).min(samples / 2 + 1);
        Ok(Self {
            half: (parameters.background_hz() * (n / rate_hz)) as usize,
            envelope: vec![0.0; samples],
            hann: (0..samples)
                .map(|i| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n).cos())
                .collect(),
            transformed: forward.make_output_vec(),
            scratch: forward.make_scratch_vec(),
            sorted: SortedWindow::default(),
            result: DefectOrders::blank(n / rate_hz, &parameters, bins),
            parameters,
            rate_hz,
            band_bins,
            demodulator,
            forward,
        })
    }

    /// Samples of a window.
    pub fn samples(&self) -> usize {
        self.hann.len()
    }

    /// The representation of one window, with the shaft turning `shaft_hz` times a second and the bearing's
    /// `geometry`; nothing of the window before is left in it.
    ///
    /// Errors: another number of samples; a sample that is not finite; a shaft speed that is not positive, turns
    /// less than once in the window, or puts a first harmonic beyond `max_hz`; a window in which nothing varies.
    pub fn analyse(&mut self, window: &[f64], shaft_hz: f64, geometry: &Geometry) -> Result<&DefectOrders> {
        self.check_length(window)?;
        self.check_shaft(shaft_hz, geometry)?;
        self.whitened_spectra(window)?;
        let result = &mut self.result;
        result.shaft_hz = shaft_hz;
        result.cage_order = geometry.ftf;
        result.cut_shaft_lines(self.parameters.max_hz());
        result.average_bands();
        let comb = Comb {
            spectrum: &result.prominence,
            seconds: result.seconds,
            shaft_hz,
            harmonics: self.parameters.harmonics(),
            slip: self.parameters.slip(),
        };
        result.scores = comb.scores(geometry);
        Ok(result)
    }

    /// The envelope spectrum of one window of a machine whose shaft speed and bearing need not be known: the mean over bands of
    /// `W` clipped to `0 ..= clip`, nepers of power above the background, at `0, 1 / T, 2 / T ..` up to `max_hz`. Lines of the
    /// shaft are in it.
    ///
    /// Errors: another number of samples; a sample that is not finite; a window in which nothing varies.
    pub fn envelope_spectrum(&mut self, window: &[f64]) -> Result<&[f64]> {
        self.check_length(window)?;
        self.whitened_spectra(window)?;
        self.result.keep_shaft_lines();
        self.result.average_bands();
        Ok(&self.result.prominence)
    }

    fn check_length(&self, window: &[f64]) -> Result<()> {
        if window.len() == self.samples() {
            return Ok(());
        }
        Err(Error::Argument {
            name: "the number of samples of the window",
            found: window.len().to_string(),
            expected: self.samples().to_string(),
        })
    }

    /// `W` of every band.
    fn whitened_spectra(&mut self, window: &[f64]) -> Result<()> {
        all_finite(window)?;
        let first_band = self.parameters.bands()[0];
        if window.iter().all(|v| *v == window[0]) {
            return Err(Error::Still {
                low_hz: first_band.low_hz(),
                high_hz: first_band.high_hz(),
            });
        }
        self.demodulator.load(window);
        for band in 0..self.band_bins.len() {
            self.envelope_power(band)?;
        }
        self.result.whiten(self.half, &mut self.sorted);
        Ok(())
    }

    fn check_shaft(&self, shaft_hz: f64, geometry: &Geometry) -> Result<()> {
        positive("shaft_hz", shaft_hz)?;
        let highest = DefectFamily::ALL
            .map(|family| family.order(geometry))
            .into_iter()
            .fold(HIGHEST_DECOY, f64::max)
            * (1.0 + self.parameters.slip().high());
        let (least, most) = (1.0 / self.result.seconds, self.parameters.max_hz() / highest);
        if (least..=most).contains(&shaft_hz) {
            return Ok(());
        }
        Err(Error::Argument {
            name: "shaft_hz",
            found: shaft_hz.to_string(),
            expected: format!(
                "{least} (a turn in the window) to {most} (first harmonics within max_hz, {} Hz)",
                self.parameters.max_hz()
            ),
        })
    }

    /// Power spectrum of one band's standardised envelope.
    fn envelope_power(&mut self, band: usize) -> Result<()> {
        let n = self.samples() as f64;
        let envelope = &mut self.envelope[..];
        self.demodulator.modulus(self.band_bins[band].clone(), envelope);
        self.parameters.envelope().apply(envelope);
        let mean = envelope.iter().sum::<f64>() / n;
        let variance = envelope.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / n;
        let std = variance.sqrt();
        if !(std.is_finite() && std > 0.0) {
            let band = self.parameters.bands()[band];
            return Err(Error::Still {
                low_hz: band.low_hz(),
                high_hz: band.high_hz(),
            });
        }
        for (e, w) in envelope.iter_mut().zip(&self.hann) {
            *e = (*e - mean) / std * w;
        }
        self.forward
            .process_with_scratch(envelope, &mut self.transformed, &mut self.scratch)
            .expect("all buffers were made by this transform");
        let bins = self.result.bins;
        let power = &mut self.result.power[band * bins..][..bins];
        for (power, bin) in power.iter_mut().zip(&self.transformed) {
            *power = bin.norm_sqr();
        }
        Ok(())
    }
}
