//! The step as a composition of candle ops, for devices and dtypes without a fused one.

use candle_core::{Result, Tensor, Var, bail};

use super::rule::Rule;

/// Updates `var` and its buffers.
pub(super) fn step(var: &Var, grad: &Tensor, buffers: &mut [Tensor], rule: Rule) -> Result<()> {
    let param = var.as_detached_tensor();
    let grad = grad.detach();
    match (rule, buffers) {
        (
            Rule::Adam {
                shrink,
                decay,
                beta1,
                beta2,
                step,
                root,
                eps,
            },
            [m, v],
        ) => {
            let param = (param * shrink)?;
            let grad = (grad + (&param * decay)?)?;
            *m = (&*m + ((&grad - &*m)? * (1.0 - beta1))?)?;
            *v = ((&*v * beta2)? + (grad.sqr()? * (1.0 - beta2))?)?;
            let denominator = ((v.sqrt()? / root)? + eps)?;
            var.set(&(param - ((&*m / denominator)? * step)?)?)
        }
        (
            Rule::Sgd {
                decay,
                momentum,
                nesterov,
                lr,
            },
            [b],
        ) => {
            let grad = (grad + (&param * decay)?)?;
            *b = ((&*b * momentum)? + &grad)?;
            let direction = if nesterov {
                (grad + (&*b * momentum)?)?
            } else {
                b.clone()
            };
            var.set(&(param - (direction * lr)?)?)
        }
        (Rule::Sgd { decay, lr, .. }, []) => {
            let grad = (grad + (&param * decay)?)?;
            var.set(&(param - (grad * lr)?)?)
        }
        (rule, buffers) => bail!("{} buffers for {rule:?}", buffers.len()),
    }
}
