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
    if x.is_empty() {
        return;
    }
    if x.iter().any(|v| !v.is_finite()) {
        x.fill(f64::NAN);
        return;
    }
    let (centre, spread) = match by {
        ScaleBy::MeanStd => {
            let (mean, variance) = mean_and_variance(x);
            (mean, variance.sqrt())
        }
        ScaleBy::MinMax => {
            let low = x.iter().copied().fold(f64::INFINITY, f64::min);
            let high = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (low, high - low)
        }
        ScaleBy::Robust => {
            let mut sorted = x.to_vec();
            let centre = median(&mut sorted);
            for v in &mut sorted {
                *v = (*v - centre).abs();
            }
            (centre, 1.4826 * median(&mut sorted))
        }
    };
    for v in x {
        *v = standardised(*v, centre, spread);
    }
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
