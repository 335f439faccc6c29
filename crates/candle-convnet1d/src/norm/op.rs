//! Batch norm as an operation of candle's graph: inputs `x` `(N, C, L)`, weight and bias `(C,)`.

use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

use super::kernels::{self, Moment, Plan};
use crate::buffer::{Reader, for_float, output, values};

/// Where the moments come from.
enum Source {
    /// From the batch: set by the forward pass, read by the backward pass and by the layer.
    Batch(Arc<OnceLock<Vec<Moment>>>),
    /// From outside: constants.
    Given(Vec<Moment>),
}

struct BatchNorm {
    plan: Plan,
    eps: f64,
    source: Source,
}

/// Normalises by the batch's statistics and returns them, by range, then channel.
pub(super) fn train(x: &Tensor, weight: &Tensor, bias: &Tensor, plan: Plan, eps: f64) -> Result<(Tensor, Vec<Moment>)> {
    let moments = Arc::new(OnceLock::new());
    let source = Source::Batch(moments.clone());
    let y = apply(x, weight, bias, BatchNorm { plan, eps, source })?;
    let moments = moments.get().cloned().unwrap_or_default();
    Ok((y, moments))
}

/// Normalises by given statistics.
pub(super) fn eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    plan: Plan,
    moments: Vec<Moment>,
    eps: f64,
) -> Result<Tensor> {
    let source = Source::Given(moments);
    apply(x, weight, bias, BatchNorm { plan, eps, source })
}

fn apply(x: &Tensor, weight: &Tensor, bias: &Tensor, op: BatchNorm) -> Result<Tensor> {
    x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm1d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, x_layout)?;
            let weight = values::<T>(weight, weight_layout)?;
            let bias = values::<T>(bias, bias_layout)?;
            let y = match &self.source {
                Source::Given(moments) => {
                    kernels::forward_eval(x, weight, bias, &self.plan, moments, self.eps)
                }
                Source::Batch(saved) => {
                    let (y, moments) =
                        kernels::forward_train(x, weight, bias, &self.plan, self.eps);
                    // a second forward pass would find the same
                    let _ = saved.set(moments);
                    y
                }
            };
            Ok(output(y, x_layout.shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (moments, through_statistics) = match &self.source {
            Source::Given(moments) => (moments.as_slice(), false),
            Source::Batch(saved) => (saved.get().map_or(&[][..], Vec::as_slice), true),
        };
        let dy = dy.contiguous()?;
        let (readers, dy) = ((Reader::new(x), Reader::new(weight)), Reader::new(&dy));
        for_float!(x.dtype(), T => {
            let gradients = kernels::backward::<T>(
                readers.0.values()?,
                readers.1.values()?,
                dy.values()?,
                &self.plan,
                moments,
                self.eps,
                through_statistics,
            );
            let channels = self.plan.channels;
            Ok((
                Some(Tensor::from_vec(gradients.x, x.shape(), &Device::Cpu)?),
                Some(Tensor::from_vec(gradients.weight, channels, &Device::Cpu)?),
                Some(Tensor::from_vec(gradients.bias, channels, &Device::Cpu)?),
            ))
        })
    }
}
