//! One step's constants of one parameter, in f64; both routes take theirs from here.

use super::OptimiserKind;

#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// `p *= shrink; g += decay p; m += (1 - beta1)(g - m); v = beta2 v + (1 - beta2) g^2;
    /// p -= step m / (sqrt(v) / root + eps)`
    Adam {
        shrink: f64,
        decay: f64,
        beta1: f64,
        beta2: f64,
        step: f64,
        root: f64,
        eps: f64,
    },
    /// `g += decay p; b = momentum b + g; p -= lr (nesterov ? g + momentum b : b)`
    Sgd {
        decay: f64,
        momentum: f64,
        nesterov: bool,
        lr: f64,
    },
}

impl Rule {
    /// `t` counts this parameter's own updates from 1: one that first gets a gradient late (a domain head after
    /// warm-up) needs the bias correction of a first step then.
    pub(super) fn new(kind: OptimiserKind, weight_decay: f64, lr: f64, t: u64) -> Self {
        match kind {
            OptimiserKind::Adam { beta1, beta2, eps } => Self::adam(beta1, beta2, eps, lr, t, 1.0, weight_decay),
            OptimiserKind::AdamW { beta1, beta2, eps } => {
                Self::adam(beta1, beta2, eps, lr, t, 1.0 - lr * weight_decay, 0.0)
            }
            OptimiserKind::Sgd { momentum, nesterov } => Self::Sgd {
                decay: weight_decay,
                momentum,
                nesterov,
                lr,
            },
        }
    }

    fn adam(beta1: f64, beta2: f64, eps: f64, lr: f64, t: u64, shrink: f64, decay: f64) -> Self {
        // beyond 2^31 steps both powers are 0
        let t = t.min(i32::MAX as u64) as i32;
        Self::Adam {
            shrink,
            decay,
            beta1,
            beta2,
            step: lr / (1.0 - beta1.powi(t)),
            root: (1.0 - beta2.powi(t)).sqrt(),
            eps,
        }
    }
}
