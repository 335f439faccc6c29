use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::{composed, global_avg_pool1d, relu};

/// Squeeze-and-excitation gate (Hu et al. 2018): each channel times a factor between 0 and 1
/// that a small network computes from the means of all channels.
///
/// `scale = sigmoid(expand(relu(reduce(mean over L))))`, `y = x scale`, on `(N, C, L)`.
/// `reduce` and `expand` are 1x1 convolutions with bias: parameters `reduce.weight`
/// `(reduced, C, 1)`, `reduce.bias`, `expand.weight` `(C, reduced, 1)`, `expand.bias`.
#[derive(Clone, Debug)]
pub struct SeGate {
    reduce: Pointwise,
    expand: Pointwise,
}

impl SeGate {
    /// A gate for `channels` channels with `reduced` hidden ones.
    pub fn new(channels: usize, reduced: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            reduce: Pointwise::new(channels, reduced, vb.pp("reduce"))?,
            expand: Pointwise::new(reduced, channels, vb.pp("expand"))?,
        })
    }

    /// `(N, C, L) -> (N, C, L)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = relu(&self.reduce.forward(&global_avg_pool1d(x)?)?)?;
        let scale = candle_nn::ops::sigmoid(&self.expand.forward(&hidden)?)?;
        composed::scale_channels(x, &scale)
    }
}

impl candle_core::Module for SeGate {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        SeGate::forward(self, x)
    }
}

/// A 1x1 convolution of signals of length 1, that is, a linear layer on `(N, C)`.
#[derive(Clone, Debug)]
struct Pointwise {
    weight: Tensor,
    bias: Tensor,
}

impl Pointwise {
    fn new(c_in: usize, c_out: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints((c_out, c_in, 1), "weight", candle_nn::init::DEFAULT_KAIMING_NORMAL)?,
            bias: vb.get_with_hints(c_out, "bias", Init::Const(0.0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.squeeze(2)?.t()?.contiguous()?;
        x.contiguous()?.matmul(&weight)?.broadcast_add(&self.bias)
    }
}
