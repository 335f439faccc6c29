use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Centre and spread by which samples are scaled.
///
/// Written `mean-std`, `min-max`, `robust` (in files, by [`Display`](fmt::Display) and by [`FromStr`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleBy {
    /// `(x - mean) / std`, std of the population (divided by n).
    MeanStd,
    /// `(x - min) / (max - min)`: from 0 to 1.
    MinMax,
    /// `(x - median) / (1.4826 MAD)`, MAD the median of `|x - median|`. The factor makes it the standard
    /// deviation of Gaussian data (Rousseeuw and Croux, J. Am. Stat. Assoc. 88, 1993), so impacts do not set
    /// the scale.
    Robust,
}

const NAMES: &str = "mean-std, min-max, robust";

impl fmt::Display for ScaleBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MeanStd => "mean-std",
            Self::MinMax => "min-max",
            Self::Robust => "robust",
        })
    }
}

impl FromStr for ScaleBy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "mean-std" => Ok(Self::MeanStd),
            "min-max" => Ok(Self::MinMax),
            "robust" => Ok(Self::Robust),
            _ => Err(Error::UnknownName {
                what: "scaling",
                found: name.to_owned(),
                expected: NAMES,
            }),
        }
    }
}

/// Scales samples in place by their own centre and spread.
///
/// Zero spread gives zeros. For [`ScaleBy::Robust`] the spread is also zero where more than half of the
/// samples are equal. If any sample is NaN or infinite, every sample becomes NaN. An empty slice stays empty.
pub fn scale(x: &mut [f64], by: ScaleBy) {
    let scaling = Scaling::of(x, by);
    for v in x {
        *v = scaling.apply(*v);
    }
}

/// The centre and the spread that samples have as a whole, and the map that [`scale`] is.
///
/// ```
/// use signal_conditioning::{ScaleBy, Scaling, scale};
/// let mut recording = [1.0, 2.0, 6.0, 3.0];
/// // from no more than a piece of it at a time
/// let scaling = Scaling::of_pieces(ScaleBy::MeanStd, |take| -> Result<(), std::io::Error> {
///     recording.chunks(2).for_each(take);
///     Ok(())
/// })?;
/// let last = scaling.apply(recording[3]);
/// scale(&mut recording, ScaleBy::MeanStd);
/// assert_eq!(last, recording[3]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    centre: f64,
    spread: f64,
}

impl Scaling {
    /// Of samples in memory.
    pub fn of(x: &[f64], by: ScaleBy) -> Self {
        if by == ScaleBy::Robust && !x.is_empty() && x.iter().all(|v| v.is_finite()) {
            let mut sorted = x.to_vec();
            let centre = median(&mut sorted) + 0.0;
            for v in &mut sorted {
                *v = (*v - centre).abs();
            }
            return Self::robust(centre, median(&mut sorted));
        }
        let all = |take: &mut dyn FnMut(&[f64])| -> Result<(), Infallible> {
            take(x);
            Ok(())
        };
        match Self::of_pieces(by, all) {
            Ok(scaling) => scaling,
            Err(never) => match never {},
        }
    }

    /// Of samples that come in pieces: the same numbers, to the bit. `pass` hands out all samples in their order, in pieces of
    /// any length, each time it is called: twice, for [`ScaleBy::Robust`] up to eleven times. Its errors are handed on.
    pub fn of_pieces<E>(by: ScaleBy, mut pass: impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>) -> Result<Self, E> {
        let (mut n, mut first, mut sum, mut finite) = (0_u64, 0.0, 0.0, true);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        pass(&mut |x| {
            for &v in x {
                if n == 0 {
                    first = v;
                }
                n += 1;
                // differences from the first sample, as in `mean_and_variance`
                sum += v - first;
                finite &= v.is_finite();
                (low, high) = (v.min(low), v.max(high));
            }
        })?;
        if !finite {
            return Ok(Self {
                centre: f64::NAN,
                spread: 1.0,
            });
        }
        if n == 0 {
            return Ok(Self {
                centre: 0.0,
                spread: 0.0,
            });
        }
        Ok(match by {
            ScaleBy::MinMax => Self {
                centre: low,
                spread: high - low,
            },
            ScaleBy::MeanStd => {
                let mean = first + sum / n as f64;
                let mut squares = 0.0;
                pass(&mut |x| {
                    for v in x {
                        squares += (v - mean) * (v - mean);
                    }
                })?;
                Self {
                    centre: mean,
                    spread: (squares / n as f64).sqrt(),
                }
            }
            ScaleBy::Robust => {
                let centre = median_of_pieces(n, |v| v, &mut pass)? + 0.0;
                Self::robust(centre, median_of_pieces(n, |v| (v - centre).abs(), &mut pass)?)
            }
        })
    }

    fn robust(centre: f64, deviation: f64) -> Self {
        Self {
            centre,
            spread: 1.4826 * deviation,
        }
    }

    /// `(v - centre) / spread`; 0 where the spread is 0.
    pub fn apply(self, v: f64) -> f64 {
        standardised(v, self.centre, self.spread)
    }
}

/// Median of `n` numbers, at least one and all finite, that come in pieces: [`median`] in memory that does not grow with them.
///
/// Numbers are sorted by their upper 16 bits, then those with the same ones by the next 16, and so on.
fn median_of_pieces<E>(
    n: u64,
    of: impl Fn(f64) -> f64,
    pass: &mut impl FnMut(&mut dyn FnMut(&[f64])) -> Result<(), E>,
) -> Result<f64, E> {
    // in the order of `total_cmp`
    let key = |v: f64| {
        let bits = of(v).to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    let (mut rank, mut prefix) = (n / 2, 0_u64);
    let mut below = 0;
    for shift in [48, 32, 16, 0] {
        let mut counts = vec![0_u64; 1 << 16];
        let mask = u64::MAX.checked_shl(shift + 16).unwrap_or(0);
        pass(&mut |x| {
            for key in x.iter().map(|&v| key(v)).filter(|k| k & mask == prefix) {
                counts[(key >> shift) as usize & 0xffff] += 1;
            }
        })?;
        let mut digit = 0;
        while rank >= counts[digit] {
            rank -= counts[digit];
            below += counts[digit];
            digit += 1;
        }
        prefix |= (digit as u64) << shift;
    }
    let number = |key: u64| f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key });
    let upper = number(prefix);
    if n % 2 == 1 {
        return Ok(upper);
    }
    if below < n / 2 {
        // the number before it is the same one
        return Ok(f64::midpoint(upper, upper));
    }
    let mut lower = 0;
    pass(&mut |x| {
        for key in x.iter().map(|&v| key(v)).filter(|k| *k < prefix) {
            lower = key.max(lower);
        }
    })?;
    Ok(f64::midpoint(number(lower), upper))
}

/// `(v - centre) / spread`, and 0 where the spread is 0.
pub(crate) fn standardised(v: f64, centre: f64, spread: f64) -> f64 {
    if spread > 0.0 { (v - centre) / spread } else { 0.0 }
}

/// Mean and population variance of a non-empty slice, in two passes.
///
/// Sums run over differences from the first sample, so that the mean of equal samples is that sample and
/// their variance exactly 0, whatever the value rounds to.
pub(crate) fn mean_and_variance(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x[0] + x.iter().map(|v| v - x[0]).sum::<f64>() / n;
    (mean, x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n)
}

/// Median of a non-empty slice without NaN, which it reorders: the mean of the two middle values where the
/// count is even.
pub(crate) fn median(x: &mut [f64]) -> f64 {
    let (middle, odd) = (x.len() / 2, x.len() % 2 == 1);
    let (below, &mut upper, _) = x.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}
