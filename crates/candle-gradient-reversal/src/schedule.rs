//! Lambda over the course of a training run.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// Lambda as a function of the progress of adversarial training.
///
/// Written `constant:X` or `dann:LOW:HIGH:GAMMA`, to which it prints and from which it parses; a printed schedule parses to an
/// equal one.
///
/// ```
/// use candle_gradient_reversal::Schedule;
///
/// let schedule: Schedule = "dann:0:1:10".parse()?;
/// assert_eq!(schedule, Schedule::default());
/// assert_eq!(schedule.at(0.0), 0.0);
/// assert!((schedule.at(0.1) - 0.4621).abs() < 1e-4);
/// # Ok::<(), candle_gradient_reversal::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The same lambda throughout.
    Constant(f64),
    /// `low + (high - low) * (2 / (1 + exp(-gamma * p)) - 1)` at progress `p` (Ganin et al. 2016, section 5.2.2, where `low`
    /// is 0, `high` 1 and `gamma` 10). It starts at `low` and approaches `high` without reaching it: 0.99991 at the end.
    Dann {
        /// Lambda at progress 0.
        low: f64,
        /// Lambda that is approached.
        high: f64,
        /// How fast; half of the way is made at `p = 1.1 / gamma`.
        gamma: f64,
    },
}

impl Default for Schedule {
    /// The paper's: from 0 to 1 with gamma 10.
    fn default() -> Self {
        Self::Dann {
            low: 0.0,
            high: 1.0,
            gamma: 10.0,
        }
    }
}

impl Schedule {
    /// Lambda at a progress from 0 to 1, as [`progress`] gives it.
    pub fn at(&self, progress: f64) -> f64 {
        match *self {
            Self::Constant(lambda) => lambda,
            Self::Dann { low, high, gamma } => low + (high - low) * (2.0 / (1.0 + (-gamma * progress).exp()) - 1.0),
        }
    }
}

/// Progress of adversarial training at an optimiser step: 0 at step `first`, 1 at step `last`, linear between.
///
/// `first` and `last` are the numbers of the first and the last adversarial step, both included, fixed at the start of a run so
/// that a resumed one continues alike. A single adversarial step (`first == last`) has progress 1. Steps outside count as the
/// nearer end.
pub fn progress(step: u64, first: u64, last: u64) -> f64 {
    if last <= first || step >= last {
        1.0
    } else {
        step.saturating_sub(first) as f64 / (last - first) as f64
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(lambda) => write!(f, "constant:{lambda}"),
            Self::Dann { low, high, gamma } => write!(f, "dann:{low}:{high}:{gamma}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes, with finite numbers.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Schedule {
            text: text.to_owned(),
            reason,
        };
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let numbers = parts
            .map(|part| match part.parse::<f64>() {
                Ok(x) if x.is_finite() => Ok(x),
                _ => Err(wrong(format!("{part:?} is not a finite number"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        match (kind, &numbers[..]) {
            ("constant", &[lambda]) => Ok(Self::Constant(lambda)),
            ("dann", &[low, high, gamma]) => Ok(Self::Dann { low, high, gamma }),
            ("constant", _) => Err(wrong(format!("constant takes 1 number, found {}", numbers.len()))),
            ("dann", _) => Err(wrong(format!("dann takes 3 numbers, found {}", numbers.len()))),
            _ => Err(wrong(format!("{kind:?} is no schedule"))),
        }
    }
}
