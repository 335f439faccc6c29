use candle_convnet1d::{BatchNormConfig, Extractor, Linear, Padding, Pass, Signal};
use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::conv_norm::ConvNorm;
use crate::{Error, input};

const NETWORK: &str = "defect-families";

/// Families of defect frequencies: inner race, outer race, rolling elements.
const FAMILIES: usize = 3;

/// Channels after each convolution.
const WIDTHS: [usize; 2] = [16, 16];
const KERNELS: [usize; 2] = [5, 3];

/// Configuration of a [`DefectFamilies`].
#[derive(Clone, Debug)]
pub struct DefectFamiliesConfig {
    /// Rows of a window: a multiple of 3, the rows of the first family, then those of the second, then those of the third.
    pub in_channels: usize,
    /// Whether the formula looks at the middle slip, a family's own, where it is the rule's score to the bit; else at the largest.
    pub own_slip: bool,
    /// Batch norm after each convolution.
    pub batch_norm: BatchNormConfig,
}

impl DefectFamiliesConfig {
    /// Windows of `in_channels` rows, `PyTorch`'s batch norm.
    pub fn new(in_channels: usize) -> Self {
        Self {
            in_channels,
            own_slip: false,
            batch_norm: BatchNormConfig::default(),
        }
    }
}

/// A score for each family of a bearing's defect frequencies, by one small network that all three share.
///
/// Windows `(N, 3 R, S)`: for each family (inner race, outer race, rolling elements) `R` rows, one a frequency band, of how far
/// the harmonics of its defect order stand above the background at `S` slips. Features `(N, 3)`: the scores.
///
/// A score is the largest over slips of the mean over rows, which is the formula of a rule without training, plus what two
/// convolutions along the slips, a maximum over them and a linear layer learn to add. The addition starts at zero, so that an
/// untrained network is the rule. Nothing in it knows which family it looks at: exchanging families exchanges scores. A linear
/// head on the scores has a class that no family explains by its bias.
///
/// # Initial values
/// Convolution weights as `PyTorch`'s default: uniform in +-1/sqrt(fan-in). Biases and the last layer 0.
///
/// # Names
/// `conv1.*`, `norm1.*`, `conv2.*`, `norm2.*`, `score.*`, as in [`LightCnn`](crate::LightCnn).
#[derive(Debug)]
pub struct DefectFamilies {
    in_channels: usize,
    own_slip: bool,
    layers: Vec<ConvNorm>,
    score: Linear,
}

impl DefectFamilies {
    /// Length of the shortest window: one slip.
    pub const MIN_LENGTH: usize = 1;

    /// Builds the network, its variables taken from `vb`.
    ///
    /// # Errors
    /// Rows that three families cannot share, an impossible batch norm, or variables of `vb` that are missing or have another
    /// shape.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(config: &DefectFamiliesConfig, vb: VarBuilder) -> Result<Self> {
        input::check_channels(NETWORK, config.in_channels)?;
        if !config.in_channels.is_multiple_of(FAMILIES) {
            return Err(Error::Config {
                network: NETWORK,
                field: "in_channels".into(),
                found: config.in_channels.to_string(),
                expected: "a multiple of 3: rows of the inner race, the outer race, the rolling elements".into(),
            }
            .into());
        }
        let widths = WIDTHS.into_iter().zip(KERNELS);
        let layers = ConvNorm::chain(
            config.in_channels / FAMILIES,
            widths,
            Padding::Same,
            config.batch_norm,
            &vb,
        )?;
        Ok(Self {
            in_channels: config.in_channels,
            own_slip: config.own_slip,
            layers,
            score: Linear::with_init(WIDTHS[WIDTHS.len() - 1], 1, Init::Const(0.), vb.pp("score"))?,
        })
    }
}

impl Extractor for DefectFamilies {
    /// Scores `(N, 3)` of windows `(N, in_channels, S)`.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        input::check(NETWORK, x, self.in_channels, Self::MIN_LENGTH)?;
        let (windows, rows, slips) = x.dims3()?;
        // each family is a window of its own, three in a row of the same domain
        let each = x.contiguous()?.reshape((windows * FAMILIES, rows / FAMILIES, slips))?;
        let of_domain: Vec<usize>;
        let pass = match pass {
            Pass::Train { seed, step, rows } => {
                of_domain = rows.iter().map(|n| n * FAMILIES).collect();
                Pass::Train {
                    seed,
                    step,
                    rows: &of_domain,
                }
            }
            eval @ Pass::Eval { .. } => eval,
        };
        let mut learned = Signal::enter(&each)?;
        for layer in &self.layers {
            learned = layer.forward_relu(&learned, pass)?;
        }
        let learned = self
            .score
            .forward(&learned.adaptive_max_pool(1)?.leave()?.flatten_from(1)?)?;
        let mean = each.mean(1)?;
        let formula = if self.own_slip {
            mean.narrow(1, slips / 2, 1)?.squeeze(1)?
        } else {
            mean.max(1)?
        };
        learned.flatten_all()?.add(&formula)?.reshape((windows, FAMILIES))
    }

    fn feature_len(&self, _length: usize) -> usize {
        FAMILIES
    }
}
