use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How the learning rate changes over a run.
///
/// As text: `constant`, `step:N:FACTOR`, `cosine`, `dann` or `dann:ALPHA:BETA`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LrSchedule {
    /// The base rate throughout.
    #[default]
    Constant,
    /// The run in `parts` equal parts; the rate is multiplied by `factor` from one to the next.
    Step {
        /// Number of parts.
        parts: u32,
        /// Ratio of the rates of two adjacent parts.
        factor: f64,
    },
    /// Half a cosine from the base rate to 0 (Loshchilov & Hutter 2017, without restarts): `base (1 + cos(pi q)) / 2`.
    Cosine,
    /// `base / (1 + alpha q)^beta` (Ganin et al. 2016, section 5.2.2: base 0.01, alpha 10, beta 0.75).
    Dann {
        /// How far the rate falls.
        alpha: f64,
        /// Exponent of the fall.
        beta: f64,
    },
}

impl LrSchedule {
    /// The schedule of Ganin et al. (2016): alpha 10, beta 0.75.
    pub const DANN: Self = Self::Dann {
        alpha: 10.0,
        beta: 0.75,
    };

    /// The learning rate at progress `q`, which runs from 0 at the first to 1 at the last step of the whole run
    /// (values outside are taken as the nearer end).
    pub fn at(&self, base: f64, q: f64) -> f64 {
        let q = q.clamp(0.0, 1.0);
        match *self {
            Self::Constant => base,
            Self::Step { parts, factor } => {
                // q = 1 belongs to the last part
                let part = ((q * f64::from(parts)) as u32).min(parts.saturating_sub(1));
                base * factor.powi(part as i32)
            }
            Self::Cosine => base * 0.5 * (1.0 + (PI * q).cos()),
            Self::Dann { alpha, beta } => base / (1.0 + alpha * q).powf(beta),
        }
    }
}

impl fmt::Display for LrSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant => f.write_str("constant"),
            Self::Step { parts, factor } => write!(f, "step:{parts}:{factor}"),
            Self::Cosine => f.write_str("cosine"),
            s if s == Self::DANN => f.write_str("dann"),
            Self::Dann { alpha, beta } => write!(f, "dann:{alpha}:{beta}"),
        }
    }
}

impl FromStr for LrSchedule {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            Error::Argument(format!(
                "learning-rate schedule {s:?}: {why}; known are constant, step:N:FACTOR (N equal parts of the run), \
                 cosine, dann and dann:ALPHA:BETA"
            ))
        };
        let number = |text: &str| {
            let value = text.parse::<f64>().ok().filter(|x| x.is_finite() && *x >= 0.0);
            value.ok_or_else(|| wrong(&format!("{text:?} is not a number of 0 or more")))
        };
        match *s.split(':').collect::<Vec<_>>().as_slice() {
            ["constant"] => Ok(Self::Constant),
            ["cosine"] => Ok(Self::Cosine),
            ["dann"] => Ok(Self::DANN),
            ["dann", alpha, beta] => Ok(Self::Dann {
                alpha: number(alpha)?,
                beta: number(beta)?,
            }),
            ["step", parts, factor] => {
                let parts = parts.parse().ok().filter(|n| (1..=1_000_000).contains(n));
                Ok(Self::Step {
                    parts: parts.ok_or_else(|| wrong("N is not a whole number from 1 to 1000000"))?,
                    factor: number(factor)?,
                })
            }
            _ => Err(wrong("unknown")),
        }
    }
}
