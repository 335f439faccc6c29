use candle_convnet1d::{Conv1dConfig, Pass, SeGate, Signal};
use candle_core::Result;
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

use super::SeResNeXtConfig;
use crate::conv_norm::ConvNorm;

/// He normal on the fan-out, kernel size x output channels, as the authors of `ResNet` and `ResNeXt`
/// initialise. Groups are not divided out (nor are they there, or in torchvision).
const HE_NORMAL: Init = Init::Kaiming {
    dist: NormalOrUniform::Normal,
    fan: FanInOut::FanOut,
    non_linearity: NonLinearity::ReLU,
};

/// A convolution of this network: no bias, since a batch norm follows each.
pub(super) fn conv_config(stride: usize, padding: usize, groups: usize) -> Conv1dConfig {
    Conv1dConfig {
        stride,
        padding: padding.into(),
        groups,
        bias: false,
        init: HE_NORMAL,
        ..Conv1dConfig::default()
    }
}

/// Place of a block in its network.
#[derive(Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) c_in: usize,
    /// Width of the grouped convolution.
    pub(super) width: usize,
    pub(super) c_out: usize,
    pub(super) stride: usize,
}

/// The bottleneck block: `(N, c_in, L) -> (N, c_out, ceil(L / stride))`.
///
/// 1x1 to the grouped width, grouped k3 (which carries the stride), 1x1 to the output, each with
/// batch norm and the first two with `ReLU`; squeeze and excitation; sum with the shortcut; `ReLU`.
/// The shortcut is the identity where the shape stays, else 1x1 with batch norm.
#[derive(Debug)]
pub(super) struct Block {
    conv1: ConvNorm,
    conv2: ConvNorm,
    conv3: ConvNorm,
    gate: SeGate,
    projection: Option<ConvNorm>,
}

impl Block {
    pub(super) fn new(shape: BlockShape, config: &SeResNeXtConfig, vb: &VarBuilder) -> Result<Self> {
        let BlockShape {
            c_in,
            width,
            c_out,
            stride,
        } = shape;
        let layer = |number: usize, channels, kernel, conv| {
            let conv_vb = vb.pp(format!("conv{number}"));
            let norm_vb = vb.pp(format!("norm{number}"));
            ConvNorm::new(channels, kernel, conv, config.batch_norm, conv_vb, norm_vb)
        };
        let projection = if stride == 1 && c_in == c_out {
            None
        } else {
            let vb = vb.pp("shortcut");
            Some(ConvNorm::new(
                (c_in, c_out),
                1,
                conv_config(stride, 0, 1),
                config.batch_norm,
                vb.pp("conv"),
                vb.pp("norm"),
            )?)
        };
        Ok(Self {
            conv1: layer(1, (c_in, width), 1, conv_config(1, 0, 1))?,
            conv2: layer(2, (width, width), 3, conv_config(stride, 1, config.groups))?,
            conv3: layer(3, (width, c_out), 1, conv_config(1, 0, 1))?,
            gate: SeGate::new(c_out, config.reduced(c_out), vb.pp("gate"))?,
            projection,
        })
    }

    pub(super) fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        let y = self.conv1.forward_relu(x, pass)?;
        let y = self.conv2.forward_relu(&y, pass)?;
        let y = self.conv3.forward(&y, pass)?;
        match &self.projection {
            None => y.gated_plus_relu(&self.gate, x),
            Some(projection) => y.gated_plus_relu(&self.gate, &projection.forward(x, pass)?),
        }
    }
}
