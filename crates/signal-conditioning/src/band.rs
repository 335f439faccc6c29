use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A frequency band, lower edge inside, upper edge outside: `low <= f < high`, in Hz.
///
/// Both edges are finite, `0 <= low < high`. Written `[low, high]` in files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 2]", into = "[f64; 2]")]
pub struct Band {
    low_hz: f64,
    high_hz: f64,
}

// edges are never NaN, so equality is total
impl Eq for Band {}

impl Band {
    /// A band from its edges in Hz; edges that are not finite, negative or not in order are an error.
    pub fn new(low_hz: f64, high_hz: f64) -> Result<Self> {
        if low_hz >= 0.0 && low_hz < high_hz && high_hz.is_finite() {
            // adding 0 turns -0 into 0, so that equal bands look equal
            return Ok(Self {
                low_hz: low_hz + 0.0,
                high_hz,
            });
        }
        Err(Error::Argument {
            name: "band, Hz,",
            found: format!("[{low_hz}, {high_hz}]"),
            expected: "two finite edges, the lower at least 0 and below the upper".to_owned(),
        })
    }

    /// Lower edge, Hz; inside.
    pub fn low_hz(&self) -> f64 {
        self.low_hz
    }

    /// Upper edge, Hz; outside.
    pub fn high_hz(&self) -> f64 {
        self.high_hz
    }

    /// The bins `k` of a transform of `n` samples at `rate_hz` whose frequency `k rate / n` lies in the band and
    /// below half the rate.
    ///
    /// A band that reaches above half the rate, or holds no bin, is an error.
    pub(crate) fn bins(&self, n: usize, rate_hz: f64) -> Result<Range<usize>> {
        let wrong = |expected: String| {
            Err(Error::Argument {
                name: "band, Hz,",
                found: self.to_string(),
                expected,
            })
        };
        if self.high_hz > rate_hz / 2.0 {
            return wrong(format!("nothing above {} Hz, half the sampling rate", rate_hz / 2.0));
        }
        let frequency = |k: usize| k as f64 * rate_hz / n as f64;
        let first_from = |edge: f64| {
            // the quotient is off by a rounding at most; the comparison decides
            let mut k = (edge * n as f64 / rate_hz).floor() as usize;
            k = k.saturating_sub(1);
            while frequency(k) < edge {
                k += 1;
            }
            k
        };
        let bins = first_from(self.low_hz)..first_from(self.high_hz.min(rate_hz / 2.0));
        if bins.is_empty() {
            return wrong(format!(
                "at least one multiple of {} Hz, the bin width of a window of {n} samples",
                rate_hz / n as f64
            ));
        }
        Ok(bins)
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.low_hz, self.high_hz)
    }
}

impl TryFrom<[f64; 2]> for Band {
    type Error = Error;

    fn try_from([low_hz, high_hz]: [f64; 2]) -> Result<Self> {
        Self::new(low_hz, high_hz)
    }
}

impl From<Band> for [f64; 2] {
    fn from(band: Band) -> Self {
        [band.low_hz, band.high_hz]
    }
}
