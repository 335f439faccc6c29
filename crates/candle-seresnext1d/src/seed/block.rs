use candle_convnet1d::{Conv1dConfig, Padding, Pass, SeGate, Signal};
use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::config::SeedNetConfig;
use super::grouped::Grouped;
use crate::conv_norm::ConvNorm;

/// A convolution of this network: padded as `TensorFlow` pads, with a bias, He normal by fan-in.
pub(super) fn conv_config(stride: usize) -> Conv1dConfig {
    Conv1dConfig {
        stride,
        padding: Padding::Same,
        ..Conv1dConfig::default()
    }
}

/// `conv` and `norm` below `vb`: the convolution and batch norm that a `ReLU` follows everywhere.
pub(super) fn conv_norm(
    channels: (usize, usize),
    kernel: usize,
    stride: usize,
    config: &SeedNetConfig,
    vb: &VarBuilder,
) -> Result<ConvNorm> {
    let conv = conv_config(stride);
    ConvNorm::new(channels, kernel, conv, config.batch_norm, vb.pp("conv"), vb.pp("norm"))
}

/// The residual block: `(N, c_in, L) -> (N, 2 filters, L)`.
///
/// Grouped part to `filters` channels, gate on those, 1x1 to twice as many, plus a shortcut that is always projected;
/// batch norm and `ReLU` after each convolution, before the sum too.
#[derive(Debug)]
pub(super) struct Block {
    shortcut: ConvNorm,
    grouped: Grouped,
    gate: Gate,
    output: ConvNorm,
}

impl Block {
    pub(super) fn new(c_in: usize, filters: usize, config: &SeedNetConfig, vb: &VarBuilder) -> Result<Self> {
        let c_out = 2 * filters;
        Ok(Self {
            shortcut: conv_norm((c_in, c_out), 1, 1, config, &vb.pp("shortcut"))?,
            grouped: Grouped::new(c_in, filters, config, vb)?,
            gate: Gate::new(filters, config.reduced(filters), vb.pp("gate"))?,
            output: conv_norm((filters, c_out), 1, 1, config, &vb.pp("output"))?,
        })
    }

    pub(super) fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        let shortcut = self.shortcut.forward_relu(x, pass)?;
        let y = self.gate.forward(&self.grouped.forward(x, pass)?)?;
        let y = self.output.forward_relu(&y, pass)?;
        // The original puts one more ReLU here. Neither term is below 0, and where the sum is 0 neither lets a gradient
        // through, so that it changes nothing.
        y.plus(&shortcut)
    }
}

/// The squeeze-and-excitation gate, which may have no hidden layer left.
#[derive(Debug)]
enum Gate {
    Hidden(SeGate),
    /// `expand.bias` alone: each channel times the sigmoid of it.
    Constant(Tensor),
}

impl Gate {
    fn new(channels: usize, reduced: usize, vb: VarBuilder) -> Result<Self> {
        if reduced == 0 {
            let bias = vb.get_with_hints(channels, "expand.bias", Init::Const(0.0))?;
            return Ok(Self::Constant(bias));
        }
        // Glorot uniform, Keras' default; both layers have the same sum of widths
        let bound = (6.0 / (channels + reduced) as f64).sqrt();
        let glorot = Init::Uniform { lo: -bound, up: bound };
        SeGate::with_init(channels, reduced, glorot, vb).map(Self::Hidden)
    }

    fn forward(&self, x: &Signal) -> Result<Signal> {
        match self {
            Self::Hidden(gate) => x.gated(gate),
            Self::Constant(bias) => {
                let scale = candle_nn::ops::sigmoid(bias)?.reshape((1, (), 1))?;
                Signal::enter(&x.leave()?.broadcast_mul(&scale)?)
            }
        }
    }
}
