use std::ops::Range;

use crate::anti_alias::{anti_alias_taps, greatest_common_divisor};
use crate::{Error, Result};

/// The largest factor between two rates that [`resample`] takes.
const MAX_FACTOR: f64 = 1000.0;

/// The largest whole number in the ratio of two rates; it bounds the filter at 54 times as many taps.
const MAX_TERM: u64 = 100_000;

/// Resamples a recording from one sampling rate to another: zero-phase, `ceil(n up / down)` samples.
///
/// The ratio is [`resampling_ratio`], the filter [`anti_alias_taps`], the rest [`resample_poly`]: the signal
/// is taken as zero outside the recording, so the first and last 27 periods of the lower rate are shaped by
/// its ends. Equal rates copy. A NaN or infinite sample spoils the output within 27 periods of the lower rate
/// around it. Errors: as `resampling_ratio`.
pub fn resample(x: &[f64], from_hz: f64, to_hz: f64) -> Result<Vec<f64>> {
    let resampler = Resampler::new(from_hz, to_hz)?;
    let outputs = 0..resampler.output_len(x.len())?;
    Ok(resampler.stretch(x, 0, x.len(), outputs))
}

/// [`resample`] for any stretch of a recording that is not in memory as a whole: the same samples, to the bit.
///
/// ```
/// use signal_conditioning::{Resampler, resample};
/// let recording: Vec<f64> = (0..5000).map(|i| f64::from(i * i % 97)).collect();
/// let resampler = Resampler::new(48_000.0, 12_000.0)?;
/// // samples 300 to 399 of the recording at 12 kHz, from no more of it than they depend on
/// let needed = resampler.input(300..400, recording.len());
/// let stretch = resampler.stretch(&recording[needed.clone()], needed.start, recording.len(), 300..400);
/// assert_eq!(stretch, resample(&recording, 48_000.0, 12_000.0)?[300..400]);
/// # Ok::<(), signal_conditioning::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resampler {
    up: usize,
    down: usize,
    /// Delay of the filter in samples at `up` times the rate.
    centre: usize,
    /// `None` where the rates are equal.
    phases: Option<Phases>,
}

impl Resampler {
    /// From one sampling rate to another. Errors: as [`resampling_ratio`].
    pub fn new(from_hz: f64, to_hz: f64) -> Result<Self> {
        let (up, down) = resampling_ratio(from_hz, to_hz)?;
        if up == down {
            return Self::of_taps(1, 1, &[1.0]);
        }
        Self::of_taps(up, down, &anti_alias_taps(up, down)?)
    }

    fn of_taps(up: usize, down: usize, taps: &[f64]) -> Result<Self> {
        if up == 0 || down == 0 {
            return Err(Error::Ratio { up, down });
        }
        if taps.is_empty() {
            return Err(Error::NoTaps);
        }
        let divisor = greatest_common_divisor(up, down);
        let (up, down) = (up / divisor, down / divisor);
        Ok(Self {
            up,
            down,
            centre: (taps.len() - 1) / 2,
            phases: (up != down).then(|| Phases::new(taps, up)),
        })
    }

    /// Samples at the new rate of a recording of `samples`. One too long to count is an error.
    pub fn output_len(&self, samples: usize) -> Result<usize> {
        if self.phases.is_none() {
            return Ok(samples);
        }
        // the largest index that is ever formed is (m down + c) for the last m
        let last = samples
            .checked_mul(self.up)
            .and_then(|n| n.checked_add(self.down)?.checked_add(2 * self.centre + 2));
        let outputs = last.map_or(usize::MAX, |_| (samples * self.up).div_ceil(self.down));
        if outputs > isize::MAX as usize / size_of::<f64>() {
            return Err(Error::TooLong {
                samples,
                up: self.up,
                down: self.down,
            });
        }
        Ok(outputs)
    }

    /// The samples of a recording of `samples` that its samples `outputs` at the new rate depend on.
    pub fn input(&self, outputs: Range<usize>, samples: usize) -> Range<usize> {
        if outputs.is_empty() {
            return 0..0;
        }
        let Some(phases) = &self.phases else {
            return outputs;
        };
        let newest = |m: usize| (m * self.down + self.centre) / self.up;
        let end = (newest(outputs.end - 1) + 1).min(samples);
        (newest(outputs.start) + 1).saturating_sub(phases.length).min(end)..end
    }

    /// Samples `outputs` at the new rate of a recording of `samples`, of which `x` begins at sample `first` and holds at least
    /// [`input`](Self::input). What it lacks is taken as zero, as what lies outside the recording.
    pub fn stretch(&self, x: &[f64], first: usize, samples: usize, outputs: Range<usize>) -> Vec<f64> {
        let piece = Piece { x, first, samples };
        match &self.phases {
            None => outputs.map(|m| piece.get(m)).collect(),
            Some(phases) => outputs
                .map(|m| {
                    let position = m * self.down + self.centre;
                    phases.filter(&piece, position % self.up, position / self.up)
                })
                .collect(),
        }
    }
}

/// A piece of a recording of `samples`, from its sample `first` on.
struct Piece<'a> {
    x: &'a [f64],
    first: usize,
    samples: usize,
}

impl Piece<'_> {
    fn get(&self, at: usize) -> f64 {
        at.checked_sub(self.first)
            .and_then(|i| self.x.get(i))
            .map_or(0.0, |v| *v)
    }
}

/// The ratio `up / down` of whole numbers, in lowest terms, that stands for `to_hz / from_hz`.
///
/// It is the first convergent of the continued fraction that is exact to 1e-12, or the last one whose terms
/// are at most 100,000. So it is exact for whole-number rates whose reduced terms are that small (44,100 and
/// 48,000 Hz: 160/147), and never further off than 10 parts in a million, which is what the clocks of good
/// instruments reach.
///
/// A rate that is not positive and finite, or rates more than a factor of 1000 apart, are errors.
pub fn resampling_ratio(from_hz: f64, to_hz: f64) -> Result<(usize, usize)> {
    for (side, found) in [("from", from_hz), ("to", to_hz)] {
        if !(found.is_finite() && found > 0.0) {
            return Err(Error::Rate { side, found });
        }
    }
    let (high, low) = (from_hz.max(to_hz), from_hz.min(to_hz));
    let factor = high / low;
    if factor.is_nan() || factor > MAX_FACTOR {
        return Err(Error::RateFactor {
            from_hz,
            to_hz,
            limit: MAX_FACTOR,
        });
    }
    let (numerator, denominator) = convergent(high, low);
    Ok(if to_hz >= from_hz {
        (numerator, denominator)
    } else {
        (denominator, numerator)
    })
}

/// The convergent of `high / low >= 1` that [`resampling_ratio`] describes.
///
/// Euclid's algorithm runs on the two rates, not on their quotient: remainders of floating-point numbers are
/// exact, so the convergents of whole-number rates are too.
fn convergent(high: f64, low: f64) -> (usize, usize) {
    let factor = high / low;
    let (mut dividend, mut divisor) = (high, low);
    let (mut previous, mut current) = ((0_u64, 1_u64), (1_u64, 0_u64));
    loop {
        let whole = (dividend / divisor).floor();
        // a quotient this large can only overstep the bound; past it the conversion to an integer could
        // overflow
        if whole > MAX_TERM as f64 {
            break;
        }
        let whole = whole as u64;
        let next = (whole * current.0 + previous.0, whole * current.1 + previous.1);
        if next.0 > MAX_TERM {
            break;
        }
        (previous, current) = (current, next);
        let remainder = dividend % divisor;
        let error = (current.0 as f64 / current.1 as f64 / factor - 1.0).abs();
        if remainder == 0.0 || error <= 1e-12 {
            break;
        }
        (dividend, divisor) = (divisor, remainder);
    }
    (current.0 as usize, current.1 as usize)
}

/// Resamples by `up / down` with given filter taps: the polyphase form of "insert `up - 1` zeros after each
/// sample, filter, keep every `down`-th".
///
/// Equal to `scipy.signal.resample_poly(x, up, down, window=taps)` with its zero padding: `up` and `down` are
/// reduced to lowest terms; the taps are multiplied by `up`; the filter's delay of `(taps - 1) / 2` (rounded
/// down) is removed; the output has `ceil(n up / down)` samples; 1/1 copies the input unfiltered. In
/// formulas, with `c = (taps - 1) / 2` and `x = 0` outside:
///
/// `y[m] = up * sum over i of x[i] taps[m down + c - i up]`
///
/// The work is `taps / up` multiplications for each output sample. NaN and infinity go into every output
/// sample whose sum holds them. Zero in the ratio, no taps, or a result too long to count are errors.
pub fn resample_poly(x: &[f64], up: usize, down: usize, taps: &[f64]) -> Result<Vec<f64>> {
    let resampler = Resampler::of_taps(up, down, taps)?;
    let outputs = 0..resampler.output_len(x.len())?;
    Ok(resampler.stretch(x, 0, x.len(), outputs))
}

/// Filter taps sorted by phase: phase p holds taps p, p + up, p + 2 up .., last first, times `up`, so that a
/// sum over samples runs forwards through both.
#[derive(Debug, Clone)]
struct Phases {
    taps: Vec<f64>,
    length: usize,
}

impl Phases {
    fn new(taps: &[f64], up: usize) -> Self {
        let length = taps.len().div_ceil(up);
        // a ratio far above the number of taps leaves phases empty: do not store them
        let mut sorted = Vec::with_capacity(length * up.min(taps.len()));
        for phase in 0..up.min(taps.len()) {
            let own = taps.iter().skip(phase).step_by(up);
            let missing = length - own.len();
            sorted.resize(sorted.len() + missing, 0.0);
            sorted.extend(own.rev().map(|tap| tap * up as f64));
        }
        Self { taps: sorted, length }
    }

    /// The sum whose newest sample is number `newest`, which may lie past the end.
    fn filter(&self, piece: &Piece<'_>, phase: usize, newest: usize) -> f64 {
        let start = phase * self.length;
        let Some(taps) = self.taps.get(start..start + self.length) else {
            return 0.0; // a phase without taps
        };
        // the taps meet samples first..end, first = newest + 1 - length, of which some may lie outside the recording
        let end = newest + 1;
        let before = self.length.saturating_sub(end);
        let after = end.saturating_sub(piece.samples);
        if before + after >= self.length {
            return 0.0;
        }
        let taps = &taps[before..self.length - after];
        let first = end + before - self.length;
        let there = first.checked_sub(piece.first);
        match there.and_then(|at| piece.x.get(at..at + taps.len())) {
            Some(x) => dot(taps, x),
            // the caller gave less than is needed
            None => (first..first + taps.len())
                .zip(taps)
                .map(|(at, tap)| tap * piece.get(at))
                .sum(),
        }
    }
}

/// Sum of products in eight running sums, which the compiler turns into vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}
