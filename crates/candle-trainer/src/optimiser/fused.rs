//! The step on the CPU: one pass over each parameter, its gradient and its buffers.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Sub};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, Var, WithDType, bail};
use rayon::prelude::*;

use super::rule::Rule;

/// Elements a thread takes at once: four arrays of them fit into the second-level cache.
const CHUNK: usize = 1 << 14;

pub(super) trait Real:
    WithDType + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn root(self) -> Self;
    fn slice(storage: &mut CpuStorage) -> Result<&mut [Self]>;
}

impl Real for f32 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn slice(storage: &mut CpuStorage) -> Result<&mut [Self]> {
        match storage {
            CpuStorage::F32(values) => Ok(values),
            _ => bail!("an f32 parameter whose storage is not"),
        }
    }
}

impl Real for f64 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn slice(storage: &mut CpuStorage) -> Result<&mut [Self]> {
        match storage {
            CpuStorage::F64(values) => Ok(values),
            _ => bail!("an f64 parameter whose storage is not"),
        }
    }
}

/// Updates `var` and its buffers in place.
pub(super) fn step<T: Real>(var: &Var, grad: &Tensor, buffers: &mut [Vec<T>], rule: Rule) -> Result<()> {
    let grad = grad.contiguous()?;
    let (storage, layout) = grad.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!(
            "a gradient on {:?} for a parameter on the CPU",
            grad.device().location()
        )
    };
    let start = layout.start_offset();
    let grad = &storage.as_slice::<T>()?[start..start + layout.shape().elem_count()];
    var.inplace_op1(&Step {
        grad,
        buffers: RefCell::new(buffers),
        rule,
    })
}

/// Gives the parameter's own memory to the update.
struct Step<'a, T> {
    grad: &'a [T],
    buffers: RefCell<&'a mut [Vec<T>]>,
    rule: Rule,
}

impl<T: Real> InplaceOp1 for Step<'_, T> {
    fn name(&self) -> &'static str {
        "optimiser-step"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("a parameter must be contiguous")
        };
        let param = &mut T::slice(storage)?[start..end];
        let mut buffers = self.buffers.borrow_mut();
        match (self.rule, &mut **buffers) {
            (Rule::Adam { .. }, [m, v]) => adam(param, self.grad, m, v, self.rule),
            (Rule::Sgd { .. }, [b]) => momentum(param, self.grad, b, self.rule),
            (Rule::Sgd { .. }, []) => descend(param, self.grad, self.rule),
            (rule, buffers) => bail!("{} buffers for {rule:?}", buffers.len()),
        }
        Ok(())
    }
}

fn adam<T: Real>(param: &mut [T], grad: &[T], m: &mut [T], v: &mut [T], rule: Rule) {
    let Rule::Adam {
        shrink,
        decay,
        beta1,
        beta2,
        step,
        root,
        eps,
    } = rule
    else {
        return;
    };
    let t = T::from_f64;
    let (shrink, decay, step, root, eps) = (t(shrink), t(decay), t(step), t(root), t(eps));
    let (rest1, beta2, rest2) = (t(1.0 - beta1), t(beta2), t(1.0 - beta2));
    param
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
        .for_each(|((param, grad), (m, v))| {
            for (((p, g), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
                let shrunk = *p * shrink;
                let g = *g + decay * shrunk;
                *m = *m + rest1 * (g - *m);
                *v = beta2 * *v + rest2 * (g * g);
                *p = shrunk - step * (*m / (v.root() / root + eps));
            }
        });
}

fn momentum<T: Real>(param: &mut [T], grad: &[T], buffer: &mut [T], rule: Rule) {
    let Rule::Sgd {
        decay,
        momentum,
        nesterov,
        lr,
    } = rule
    else {
        return;
    };
    let (decay, momentum, lr) = (T::from_f64(decay), T::from_f64(momentum), T::from_f64(lr));
    param
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(buffer.par_chunks_mut(CHUNK))
        .for_each(|((param, grad), buffer)| {
            for ((p, g), b) in param.iter_mut().zip(grad).zip(buffer) {
                let g = *g + decay * *p;
                *b = momentum * *b + g;
                let direction = if nesterov { g + momentum * *b } else { *b };
                *p -= lr * direction;
            }
        });
}

fn descend<T: Real>(param: &mut [T], grad: &[T], rule: Rule) {
    let Rule::Sgd { decay, lr, .. } = rule else {
        return;
    };
    let (decay, lr) = (T::from_f64(decay), T::from_f64(lr));
    param
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .for_each(|(param, grad)| {
            for (p, g) in param.iter_mut().zip(grad) {
                *p -= lr * (*g + decay * *p);
            }
        });
}
