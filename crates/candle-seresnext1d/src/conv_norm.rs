use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Pass};
use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

/// A convolution and the batch norm after it: `(N, c_in, L) -> (N, c_out, L')`.
#[derive(Debug)]
pub(crate) struct ConvNorm {
    conv: Conv1d,
    norm: BatchNorm1d,
}

impl ConvNorm {
    pub(crate) fn new(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        conv: Conv1dConfig,
        norm: BatchNormConfig,
        conv_vb: VarBuilder,
        norm_vb: VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            conv: Conv1d::new(c_in, c_out, kernel, conv, conv_vb)?,
            norm: BatchNorm1d::new(c_out, norm, norm_vb)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.norm.forward(&self.conv.forward(x)?, pass)
    }
}
