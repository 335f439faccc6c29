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
    let (up, down) = resampling_ratio(from_hz, to_hz)?;
    if up == down {
        return Ok(x.to_vec());
    }
    resample_poly(x, up, down, &anti_alias_taps(up, down)?)
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
    if up == 0 || down == 0 {
        return Err(Error::Ratio { up, down });
    }
    if taps.is_empty() {
        return Err(Error::NoTaps);
    }
    let divisor = greatest_common_divisor(up, down);
    let (up, down) = (up / divisor, down / divisor);
    if up == down {
        return Ok(x.to_vec());
    }
    // the largest index formed below is (m down + c) for the last m
    let last = x
        .len()
        .checked_mul(up)
        .and_then(|n| n.checked_add(down)?.checked_add(taps.len()));
    let outputs = last.map_or(usize::MAX, |_| (x.len() * up).div_ceil(down));
    if outputs > isize::MAX as usize / size_of::<f64>() {
        return Err(Error::TooLong {
            samples: x.len(),
            up,
            down,
        });
    }

    let phases = Phases::new(taps, up);
    let centre = (taps.len() - 1) / 2;
    Ok((0..outputs)
        .map(|m| {
            let position = m * down + centre;
            phases.filter(x, position % up, position / up)
        })
        .collect())
}

/// Filter taps sorted by phase: phase p holds taps p, p + up, p + 2 up .., last first, times `up`, so that a
/// sum over samples runs forwards through both.
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

    /// The sum whose newest sample is `x[newest]`, which may lie past the end.
    fn filter(&self, x: &[f64], phase: usize, newest: usize) -> f64 {
        let start = phase * self.length;
        let Some(taps) = self.taps.get(start..start + self.length) else {
            return 0.0; // a phase without taps
        };
        // the taps meet x[first..end], first = newest + 1 - length, of which some may lie outside
        let end = newest + 1;
        let before = self.length.saturating_sub(end);
        let after = end.saturating_sub(x.len());
        if before + after >= self.length {
            return 0.0;
        }
        let taps = &taps[before..self.length - after];
        let first = end + before - self.length;
        dot(taps, &x[first..first + taps.len()])
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
