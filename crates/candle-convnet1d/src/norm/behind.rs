//! A batch norm in inference: its constants, and how a convolution's kernels apply them to their sums.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Tensor};

use super::kernels::Plan;
use super::op::BatchNorm;
use super::{BatchNorm1d, Running};
use crate::conv_signal::Behind;
use crate::moments::Moment;
use crate::signal::Signal;
use crate::values::Values;

/// What inference multiplies the channels with and moves them by.
#[derive(Debug)]
pub(crate) struct Constants {
    pub(super) moments: Vec<Moment>,
    /// Minus the means.
    start: Tensor,
    scale: Tensor,
    shift: Tensor,
}

/// The constants of running statistics that only the layer itself moves, from one training step to the next.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<Arc<Constants>>>);

impl Kept {
    /// Those that are kept, or what `make` returns from now on. `make` reads what it needs while no one may
    /// [`forget`](Self::forget).
    fn get(&self, make: impl FnOnce() -> Result<Arc<Constants>>) -> Result<Arc<Constants>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(constants) = &*kept {
            return Ok(constants.clone());
        }
        let constants = make()?;
        *kept = Some(constants.clone());
        Ok(constants)
    }

    /// After the statistics moved.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl BatchNorm1d {
    /// By the running statistics of a domain, for data of `dtype`.
    pub(crate) fn constants(&self, dtype: DType, domain: Option<usize>) -> Result<Arc<Constants>> {
        let running = self.running_of(domain)?;
        let make = || self.constants_now(running, dtype).map(Arc::new);
        match &running.kept {
            Some(kept) if dtype == self.weight.dtype() => kept.get(make),
            _ => make(),
        }
    }

    fn constants_now(&self, running: &Running, dtype: DType) -> Result<Constants> {
        let moments = running.moments().to_values()?;
        let weight = self.weight.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let scale = weight
            .iter()
            .zip(&moments)
            .map(|(weight, moment)| weight / (moment.var + self.config.eps).sqrt());
        let tensor = |values: Vec<f64>| Tensor::new(values, &Device::Cpu)?.to_dtype(dtype);
        Ok(Constants {
            start: tensor(moments.iter().map(|moment| -moment.mean).collect())?,
            scale: tensor(scale.collect())?,
            shift: self.bias.detach().to_dtype(dtype)?.contiguous()?,
            moments,
        })
    }

    /// The layer behind a convolution with this bias and output shape.
    pub(crate) fn behind(
        &self,
        constants: &Constants,
        conv_bias: Option<&Tensor>,
        (rows, channels, length): (usize, usize, usize),
        relu: bool,
    ) -> Result<Behind> {
        if channels != self.channels {
            return Err(self.unfit(&[rows, channels, length]));
        }
        let start = match conv_bias {
            None => constants.start.clone(),
            Some(bias) => {
                let bias = bias.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                let start = bias
                    .iter()
                    .zip(&constants.moments)
                    .map(|(bias, moment)| bias - moment.mean);
                Tensor::new(start.collect::<Vec<_>>(), &Device::Cpu)?.to_dtype(constants.start.dtype())?
            }
        };
        Ok(Behind {
            start,
            scale: constants.scale.clone(),
            shift: constants.shift.clone(),
            relu,
        })
    }

    /// The layer as an operation on data of this shape.
    pub(crate) fn fixed(
        &self,
        constants: &Constants,
        (rows, channels, length): (usize, usize, usize),
        relu: bool,
    ) -> BatchNorm {
        let plan = Plan {
            rows,
            channels,
            length,
            ranges: std::iter::once(0..rows).collect(),
        };
        BatchNorm::given(plan, constants.moments.clone(), self.config.eps, relu)
    }

    /// Whether weight or bias want a gradient.
    pub(crate) fn is_tracked(&self) -> bool {
        self.weight.track_op() || self.bias.track_op()
    }

    /// The signal `y`, which `norm`, this layer's operation, makes of `x`. `input` gives the values of `x` to the backward
    /// pass.
    pub(crate) fn signal(
        &self,
        norm: BatchNorm,
        x: &Signal,
        y: Values,
        input: impl Fn() -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Signal> {
        norm.signal(x, y, (&self.weight.contiguous()?, &self.bias.contiguous()?), input)
    }
}
