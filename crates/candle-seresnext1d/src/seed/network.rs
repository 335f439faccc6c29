use candle_convnet1d::{Dropout, Extractor, Pass, Signal, global_max_pool1d};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::NETWORK;
use super::block::{Block, conv_norm};
use super::config::{Pooling, SeedNetConfig, stem_pool};
use crate::conv_norm::ConvNorm;
use crate::input;

/// The SE-ResNeXt that an article on gradient reversal and DANN for bearing diagnosis trains (its Keras code is
/// `SE_ResNeXt_1DCNN.py` of `LEON-REIN/models-for-tensorflow2-keras`, after
/// `Sakib1263/TF-1D-2D-ResNetV1-2-SEResNet-ResNeXt-SEResNeXt`): like the papers' network in name, not in detail.
///
/// `(N, in_channels, L)`, L >= 1, gives features `(N, feature_len)`. At L = 3000, F = 16, depth 50: stem conv k7 s2
/// `(N, 16, 1500)`, max pool 2 `(N, 16, 750)`; stages of residual blocks `(N, 32, 750)`, `(N, 64, 375)`,
/// `(N, 128, 188)`, `(N, 256, 94)`, before each but the first two k3 convolutions of which one halves the length; mean
/// over the length, dropout. Convolutions pad as `TensorFlow`'s "same" and have biases, batch norm and `ReLU`.
///
/// A block adds a shortcut that is always projected (1x1, batch norm, `ReLU`) to: C branches, each 1x1 from g = N / C
/// channels to N and k3 back to g; their outputs side by side, batch norm, `ReLU`; a squeeze-and-excitation gate on
/// these N channels; 1x1 to 2 N, batch norm, `ReLU`. Branches see the first N channels alone: in all but the first block
/// of a stage the other N pass by the shortcut only. Which of them each branch sees is [`Grouping`](crate::Grouping)'s.
///
/// # Memory
/// The C N channels between the two convolutions of the branches would be most of the network's activations. Training makes them
/// where they are read, up to 16 channels a branch. In inference, [`infer`](Extractor::infer) has those of a few rows at a time.
///
/// # Initial values
/// Convolutions He normal by fan-in (the original cuts the normal distribution off at two deviations and widens it to the
/// same variance), biases 0; batch norms 1 and 0; gates Glorot uniform, biases 0.
///
/// # Names
/// Stages `s` and blocks `b` count from 0. The C branches are the groups of `widen` and `narrow`, in order.
///
/// | here | Keras, in the order of creation |
/// |---|---|
/// | `stem.conv.*`, `stem.norm.*` | convolution and batch norm of the stem |
/// | `stages.s.blocks.b.shortcut.{conv,norm}.*` | shortcut |
/// | `stages.s.blocks.b.widen.{conv,norm}.*` | the first (1x1) of each branch, C of them |
/// | `stages.s.blocks.b.narrow.{conv,norm}.*` | the second (k3) of each branch, C of them |
/// | `stages.s.blocks.b.merge.*` (C > 1) | batch norm of the concatenation |
/// | `stages.s.blocks.b.gate.{reduce,expand}.*` | the two dense layers of the gate |
/// | `stages.s.blocks.b.output.{conv,norm}.*` | last 1x1 |
/// | `stages.s.down.{0,1}.{conv,norm}.*`, s < 3 | the connector behind the stage |
///
/// Convolutions and gates have `weight` and `bias`, batch norms also `running_mean` and `running_var`.
/// [`keras`](crate::keras) does the renaming.
#[derive(Debug)]
pub struct SeedNet {
    config: SeedNetConfig,
    stem: ConvNorm,
    stages: Vec<Stage>,
    dropout: Dropout,
}

#[derive(Debug)]
struct Stage {
    blocks: Vec<Block>,
    /// What leads to the next stage.
    down: Vec<ConvNorm>,
}

impl SeedNet {
    /// Length of the shortest window: every layer pads, so one sample passes.
    /// (In training, batch norm wants more than one value per channel in the last stage.)
    pub const MIN_LENGTH: usize = 1;

    /// Builds the network, its variables taken from `vb`.
    ///
    /// # Errors
    /// A configuration that does not [validate](SeedNetConfig::validate), an impossible batch norm, or variables of
    /// `vb` that are missing or have another shape.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(config: &SeedNetConfig, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let stem = conv_norm((config.in_channels, config.filters), 7, 2, config, &vb.pp("stem"))?;
        let mut stages = Vec::with_capacity(config.blocks.len());
        for (s, (&count, filters)) in config.blocks.iter().zip(config.stage_filters()).enumerate() {
            let vb = vb.pp("stages").pp(s);
            let c_out = 2 * filters;
            let block = |b| {
                let c_in = if b == 0 { filters } else { c_out };
                Block::new(c_in, filters, config, &vb.pp("blocks").pp(b))
            };
            let last = s + 1 == config.blocks.len();
            let down = |k: usize| conv_norm((c_out, c_out), 3, [2, 1][k], config, &vb.pp("down").pp(k));
            stages.push(Stage {
                blocks: (0..count).map(block).collect::<Result<_>>()?,
                down: (0..if last { 0 } else { 2 }).map(down).collect::<Result<_>>()?,
            });
        }
        Ok(Self {
            config: config.clone(),
            stem,
            stages,
            dropout: Dropout::new(config.dropout, format!("{}.dropout", vb.prefix()))?,
        })
    }

    /// What the network was built from.
    pub fn config(&self) -> &SeedNetConfig {
        &self.config
    }
}

impl Extractor for SeedNet {
    /// Features `(N, feature_len)` of windows `(N, in_channels, L)`, L >= 1.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        input::check(NETWORK, x, self.config.in_channels, Self::MIN_LENGTH)?;
        let mut x = self.stem.forward_relu(&Signal::enter(x)?, pass)?;
        let (window, stride) = stem_pool(x.length()?);
        x = x.max_pool(window, stride, 0)?;
        for stage in &self.stages {
            for block in &stage.blocks {
                x = block.forward(&x, pass)?;
            }
            for layer in &stage.down {
                x = layer.forward_relu(&x, pass)?;
            }
        }
        let features = match self.config.pooling {
            Pooling::Average => x.mean()?,
            Pooling::Maximum => global_max_pool1d(&x.leave()?)?,
            Pooling::Flatten => x.leave()?.transpose(1, 2)?.contiguous()?.flatten_from(1)?,
        };
        self.dropout.forward(&features, pass)
    }

    fn feature_len(&self, length: usize) -> usize {
        self.config.feature_len(length)
    }
}
