use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Which optimiser, and its constants.
///
/// As text: `adam`, `adamw`, `sgd` with the constants below, or `adam:BETA1:BETA2:EPS`, `adamw:BETA1:BETA2:EPS`,
/// `sgd:MOMENTUM`, `sgd:MOMENTUM:nesterov`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimiserKind {
    /// Kingma & Ba (2015); weight decay is added to the gradient, as in `torch.optim.Adam`.
    Adam {
        /// Decay of the mean of the gradient (0.9).
        beta1: f64,
        /// Decay of the mean of its square (0.999).
        beta2: f64,
        /// Added to the root of the latter (1e-8).
        eps: f64,
    },
    /// Loshchilov & Hutter (2019): weight decay shrinks the parameter itself, as in `torch.optim.AdamW`.
    AdamW {
        /// Decay of the mean of the gradient (0.9).
        beta1: f64,
        /// Decay of the mean of its square (0.999).
        beta2: f64,
        /// Added to the root of the latter (1e-8).
        eps: f64,
    },
    /// Stochastic gradient descent; weight decay is added to the gradient, as in `torch.optim.SGD`.
    Sgd {
        /// Share of the last step that is kept (0.9 by name; 0: plain descent).
        momentum: f64,
        /// Nesterov's look-ahead (off by name).
        nesterov: bool,
    },
}

impl OptimiserKind {
    /// Adam with beta1 0.9, beta2 0.999, eps 1e-8.
    pub const ADAM: Self = Self::Adam {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
    };
    /// `AdamW` with beta1 0.9, beta2 0.999, eps 1e-8.
    pub const ADAMW: Self = Self::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
    };
    /// SGD with momentum 0.9.
    pub const SGD: Self = Self::Sgd {
        momentum: 0.9,
        nesterov: false,
    };

    /// What is meant by a name alone.
    const SHORT: [(&str, Self); 3] = [("adam", Self::ADAM), ("adamw", Self::ADAMW), ("sgd", Self::SGD)];

    /// Names of the buffers kept for each parameter.
    pub(super) fn buffers(self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } | Self::AdamW { .. } => &["m", "v"],
            Self::Sgd { momentum, .. } if momentum > 0.0 => &["momentum"],
            Self::Sgd { .. } => &[],
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        let fraction = |name: &str, x: f64| {
            if (0.0..1.0).contains(&x) {
                return Ok(());
            }
            Err(Error::Argument(format!("{self}: {name} must be in [0, 1), not {x}")))
        };
        match self {
            Self::Adam { beta1, beta2, eps } | Self::AdamW { beta1, beta2, eps } => {
                fraction("beta1", beta1)?;
                fraction("beta2", beta2)?;
                if eps.is_finite() && eps > 0.0 {
                    return Ok(());
                }
                Err(Error::Argument(format!("{self}: eps must be above 0, not {eps}")))
            }
            Self::Sgd { momentum, nesterov } => {
                fraction("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(Error::Argument(format!("{self}: nesterov needs a momentum above 0")));
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for OptimiserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = Self::SHORT.iter().find(|(_, kind)| kind == self) {
            return f.write_str(name);
        }
        match *self {
            Self::Adam { beta1, beta2, eps } => write!(f, "adam:{beta1}:{beta2}:{eps}"),
            Self::AdamW { beta1, beta2, eps } => write!(f, "adamw:{beta1}:{beta2}:{eps}"),
            Self::Sgd {
                momentum,
                nesterov: false,
            } => write!(f, "sgd:{momentum}"),
            Self::Sgd {
                momentum,
                nesterov: true,
            } => write!(f, "sgd:{momentum}:nesterov"),
        }
    }
}

impl FromStr for OptimiserKind {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Argument(format!(
                "unknown optimiser {s:?}: known are adam, adamw, sgd, adam:BETA1:BETA2:EPS, adamw:BETA1:BETA2:EPS, \
                 sgd:MOMENTUM and sgd:MOMENTUM:nesterov"
            ))
        };
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        if let Some((_, kind)) = Self::SHORT.iter().find(|(name, _)| *name == s) {
            return Ok(*kind);
        }
        let kind = match *s.split(':').collect::<Vec<_>>().as_slice() {
            ["adam", b1, b2, eps] => Self::Adam {
                beta1: number(b1)?,
                beta2: number(b2)?,
                eps: number(eps)?,
            },
            ["adamw", b1, b2, eps] => Self::AdamW {
                beta1: number(b1)?,
                beta2: number(b2)?,
                eps: number(eps)?,
            },
            ["sgd", momentum] => Self::Sgd {
                momentum: number(momentum)?,
                nesterov: false,
            },
            ["sgd", momentum, "nesterov"] => Self::Sgd {
                momentum: number(momentum)?,
                nesterov: true,
            },
            _ => return Err(wrong()),
        };
        kind.check()?;
        Ok(kind)
    }
}
