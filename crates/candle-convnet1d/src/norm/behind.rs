//! A batch norm in inference behind a convolution: what the convolution's kernels apply to their sums.

use candle_core::{DType, Device, Result, Tensor};

use super::kernels::Plan;
use super::op::BatchNorm;
use super::{BatchNorm1d, Moments};
use crate::conv_signal::Behind;
use crate::signal::Signal;

impl BatchNorm1d {
    /// The layer by its running statistics, behind a convolution with this bias and output shape: as constants of the
    /// channels, and as an operation.
    pub(crate) fn behind(
        &self,
        conv_bias: Option<&Tensor>,
        shape: (usize, usize, usize),
        dtype: DType,
        domain: Option<usize>,
        relu: bool,
    ) -> Result<(Behind, BatchNorm)> {
        let (rows, channels, length) = shape;
        if channels != self.channels {
            return Err(self.unfit(&[rows, channels, length]));
        }
        let eps = self.config.eps;
        let moments: Moments = self.running_of(domain)?.moments();
        let moments = moments.to_values()?;
        let in_f64 = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
        let conv_bias = match conv_bias {
            Some(bias) => in_f64(bias)?,
            None => vec![0.0; channels],
        };
        let start = conv_bias.iter().zip(&moments).map(|(bias, moment)| bias - moment.mean);
        let weight = in_f64(&self.weight)?;
        let scale = weight
            .iter()
            .zip(&moments)
            .map(|(weight, moment)| weight / (moment.var + eps).sqrt());
        let tensor = |values: Vec<f64>| Tensor::new(values, &Device::Cpu)?.to_dtype(dtype);
        let behind = Behind {
            start: tensor(start.collect())?,
            scale: tensor(scale.collect())?,
            shift: self.bias.detach().to_dtype(dtype)?.contiguous()?,
            relu,
        };
        let plan = Plan {
            rows,
            channels,
            length,
            ranges: std::iter::once(0..rows).collect(),
        };
        Ok((behind, BatchNorm::given(plan, moments, eps, relu)))
    }

    /// The signal `y`, which `norm`, this layer's operation, makes of `x`. `input` gives the values of `x` to the backward
    /// pass.
    pub(crate) fn signal(
        &self,
        norm: BatchNorm,
        x: &Signal,
        y: Tensor,
        input: impl Fn() -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Signal> {
        norm.signal(x, y, (&self.weight.contiguous()?, &self.bias.contiguous()?), input)
    }
}
