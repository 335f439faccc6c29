use candle_convnet1d::{Extractor, Pass, Signal};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::block::{Block, BlockShape, conv_config};
use super::{NETWORK, SeResNeXtConfig};
use crate::conv_norm::ConvNorm;
use crate::input;

/// SE-ResNeXt as the papers have it, with one dimension instead of two.
///
/// `(N, in_channels, L)`, L >= 1, gives features `(N, outputs.last())`. At L = 1024 the depth-50
/// network has: stem conv k7 s2 `(N, 64, 512)`, max pool k3 s2 `(N, 64, 256)`, stages
/// `(N, 256, 256)`, `(N, 512, 128)`, `(N, 1024, 64)`, `(N, 2048, 32)`, mean over the length.
/// All convolutions and the pool pad by half their kernel, so every halving rounds up.
///
/// Sources: aggregated transformations in the form of one grouped convolution, Xie et al. 2017
/// (arXiv:1611.05431, fig. 3c); squeeze and excitation with biases after the last batch norm of
/// a block, before the sum, Hu et al. 2018 (arXiv:1709.01507). The stride of a stage is in the
/// grouped convolution of its first block.
///
/// # Initial values
/// Convolutions He normal on the fan-out, no biases; batch norms 1 and 0 (the last of a block
/// too: starting it at 0 is a later practice); gates as [`candle_convnet1d::SeGate`] says.
///
/// # Names
/// Stages `s` and blocks `b` count from 0. The middle column has the names of timm's `ResNet`,
/// the last those of a plain `nn.Sequential` of stem and blocks (i counts all blocks, from 1).
///
/// | here | timm | `nn.Sequential` |
/// |---|---|---|
/// | `stem.conv.weight` | `conv1.weight` | `features.0.0.weight` |
/// | `stem.norm.*` | `bn1.*` | `features.0.1.*` |
/// | `stages.s.blocks.b.conv1.weight` (1x1) | `layer{s+1}.b.conv1.weight` | `features.i.conv1.weight` |
/// | `stages.s.blocks.b.conv2.weight` (grouped) | `layer{s+1}.b.conv2.weight` | `features.i.conv2.weight` |
/// | `stages.s.blocks.b.conv3.weight` (1x1) | `layer{s+1}.b.conv3.weight` | `features.i.conv3.weight` |
/// | `stages.s.blocks.b.norm1.*`, 2, 3 | `layer{s+1}.b.bn1.*` | `features.i.bn1.*` |
/// | `stages.s.blocks.b.gate.reduce.*` | `layer{s+1}.b.se.fc1.*` | `features.i.se.reduce.*` |
/// | `stages.s.blocks.b.gate.expand.*` | `layer{s+1}.b.se.fc2.*` | `features.i.se.expand.*` |
/// | `stages.s.blocks.b.shortcut.conv.weight` | `layer{s+1}.b.downsample.0.weight` | `features.i.shortcut.0.weight` |
/// | `stages.s.blocks.b.shortcut.norm.*` | `layer{s+1}.b.downsample.1.*` | `features.i.shortcut.1.*` |
///
/// The last parts (`weight`, `bias`, `running_mean`, `running_var`) are the same everywhere.
#[derive(Debug)]
pub struct SeResNeXt {
    in_channels: usize,
    feature_len: usize,
    stem: ConvNorm,
    stages: Vec<Vec<Block>>,
}

impl SeResNeXt {
    /// Length of the shortest window: every layer pads, so one sample passes.
    /// (In training, batch norm wants more than one value per channel in the last stage.)
    pub const MIN_LENGTH: usize = 1;

    /// Builds the network, its variables taken from `vb`.
    ///
    /// # Errors
    /// A configuration that does not [validate](SeResNeXtConfig::validate), an impossible batch
    /// norm, or variables of `vb` that are missing or have another shape.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(config: &SeResNeXtConfig, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let stem = ConvNorm::new(
            (config.in_channels, config.stem),
            7,
            conv_config(2, 3, 1),
            config.batch_norm,
            vb.pp("stem.conv"),
            vb.pp("stem.norm"),
        )?;
        let mut stages = Vec::with_capacity(config.blocks.len());
        let mut c_in = config.stem;
        for (s, &count) in config.blocks.iter().enumerate() {
            let (width, c_out) = (config.widths[s], config.outputs[s]);
            // not allocated beforehand: a count that is out of all reason ends at the first block `vb` does not have
            let mut stage = Vec::new();
            for b in 0..count {
                let shape = BlockShape {
                    c_in,
                    width,
                    c_out,
                    stride: if s > 0 && b == 0 { 2 } else { 1 },
                };
                let vb = vb.pp(format!("stages.{s}.blocks.{b}"));
                stage.push(Block::new(shape, config, &vb)?);
                c_in = c_out;
            }
            stages.push(stage);
        }
        Ok(Self {
            in_channels: config.in_channels,
            feature_len: c_in,
            stem,
            stages,
        })
    }
}

impl Extractor for SeResNeXt {
    /// Features `(N, outputs.last())` of windows `(N, in_channels, L)`, L >= 1.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        input::check(NETWORK, x, self.in_channels, Self::MIN_LENGTH)?;
        let mut x = self.stem.forward_relu(&Signal::enter(x)?, pass)?.max_pool(3, 2, 1)?;
        for block in self.stages.iter().flatten() {
            x = block.forward(&x, pass)?;
        }
        x.mean()
    }

    fn feature_len(&self, _length: usize) -> usize {
        self.feature_len
    }
}
