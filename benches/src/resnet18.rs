//! ResNet-18 with one dimension: the dense network of the comparisons.

use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Extractor, Pass, Signal};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

struct ConvNorm {
    conv: Conv1d,
    norm: BatchNorm1d,
}

impl ConvNorm {
    fn new(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        stride: usize,
        norm: BatchNormConfig,
        vb: VarBuilder,
    ) -> Result<Self> {
        let conv = Conv1dConfig {
            stride,
            padding: (kernel / 2).into(),
            bias: false,
            ..Conv1dConfig::default()
        };
        Ok(Self {
            conv: Conv1d::new(c_in, c_out, kernel, conv, vb.pp("conv"))?,
            norm: BatchNorm1d::new(c_out, norm, vb.pp("norm"))?,
        })
    }

    fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        x.conv_norm(&self.conv, &self.norm, pass)
    }

    fn forward_relu(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        x.conv_norm_relu(&self.conv, &self.norm, pass)
    }
}

struct Block {
    conv1: ConvNorm,
    conv2: ConvNorm,
    projection: Option<ConvNorm>,
}

impl Block {
    fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        let y = self.conv1.forward_relu(x, pass)?;
        let y = self.conv2.forward(&y, pass)?;
        match &self.projection {
            None => y.plus_relu(x),
            Some(projection) => y.plus_relu(&projection.forward(x, pass)?),
        }
    }
}

/// Stem k7 s2 to 64 channels, max pool k3 s2, four stages of two basic blocks (64, 128, 256, 512 channels, dense k3), mean
/// over the length.
pub struct ResNet18 {
    stem: ConvNorm,
    blocks: Vec<Block>,
}

impl ResNet18 {
    const WIDTHS: [usize; 4] = [64, 128, 256, 512];

    /// For windows of `in_channels` channels.
    pub fn new(in_channels: usize, norm: BatchNormConfig, vb: VarBuilder) -> Result<Self> {
        let stem = ConvNorm::new((in_channels, 64), 7, 2, norm, vb.pp("stem"))?;
        let mut blocks = Vec::new();
        let mut width = 64;
        for (stage, out) in Self::WIDTHS.into_iter().enumerate() {
            for number in 0..2 {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let vb = vb.pp(format!("stages.{stage}.{number}"));
                let projected = stride != 1 || width != out;
                blocks.push(Block {
                    conv1: ConvNorm::new((width, out), 3, stride, norm, vb.pp("1"))?,
                    conv2: ConvNorm::new((out, out), 3, 1, norm, vb.pp("2"))?,
                    projection: projected
                        .then(|| ConvNorm::new((width, out), 1, stride, norm, vb.pp("shortcut")))
                        .transpose()?,
                });
                width = out;
            }
        }
        Ok(Self { stem, blocks })
    }
}

impl Extractor for ResNet18 {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let mut x = self.stem.forward_relu(&Signal::enter(x)?, pass)?.max_pool(3, 2, 1)?;
        for block in &self.blocks {
            x = block.forward(&x, pass)?;
        }
        x.mean()
    }

    fn feature_len(&self, _length: usize) -> usize {
        512
    }
}
