use candle_convnet1d::{BatchNormConfig, Extractor, Padding, Pass, Signal};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use crate::conv_norm::ConvNorm;
use crate::{Error, input};

const NETWORK: &str = "light-cnn";

/// Channels after each convolution.
const WIDTHS: [usize; 4] = [16, 32, 64, 128];
const KERNELS: [usize; 4] = [15, 3, 3, 3];
/// Max pool after the second convolution, kernel and stride.
const POOL: usize = 2;

/// Configuration of a [`LightCnn`].
#[derive(Clone, Debug)]
pub struct LightCnnConfig {
    /// Channels of a window.
    pub in_channels: usize,
    /// Batch norm after each convolution.
    pub batch_norm: BatchNormConfig,
    /// Bins of the adaptive max pool at the end, over which a feature still knows where it was: few for samples, whose
    /// place in a window means nothing, more for spectra, whose place is the frequency.
    pub bins: usize,
}

impl LightCnnConfig {
    /// Windows of `in_channels` channels, `PyTorch`'s batch norm, four bins.
    pub fn new(in_channels: usize) -> Self {
        Self {
            in_channels,
            batch_norm: BatchNormConfig::default(),
            bins: 4,
        }
    }
}

/// A light CNN: four unpadded convolutions with batch norm and `ReLU`, and two max pools.
///
/// `(N, in_channels, L)`, L >= 26, gives features `(N, 128 bins)`, channel by channel; there are four bins unless the
/// configuration says otherwise.
/// At L = 1024: conv k15 `(N, 16, 1010)`, conv k3 `(N, 32, 1008)`, max pool 2 `(N, 32, 504)`,
/// conv k3 `(N, 64, 502)`, conv k3 `(N, 128, 500)`, adaptive max pool `(N, 128, 4)`.
///
/// It is the extractor of the small CNN that studies of deep transfer between bearings take as
/// their plain network (Zhao et al. 2021, "Applications of Unsupervised Deep Transfer Learning to
/// Intelligent Fault Diagnosis", arXiv:1912.12528). There its features meet a hidden layer of 256
/// with dropout 0.5; here that layer belongs to the label head.
///
/// # Initial values
/// Convolution weights as `PyTorch`'s default: uniform in +-1/sqrt(fan-in). Biases 0: each is
/// followed by a batch norm, which takes it out again.
///
/// # Names
/// | here | `PyTorch`, `nn.Sequential` of conv, norm, `ReLU`, ... |
/// |---|---|
/// | `conv1.*`, `norm1.*` | `features.0.*`, `features.1.*` |
/// | `conv2.*`, `norm2.*` | `features.3.*`, `features.4.*` |
/// | `conv3.*`, `norm3.*` | `features.7.*`, `features.8.*` |
/// | `conv4.*`, `norm4.*` | `features.10.*`, `features.11.*` |
///
/// The last parts (`weight`, `bias`, `running_mean`, `running_var`) are the same in both.
#[derive(Debug)]
pub struct LightCnn {
    in_channels: usize,
    layers: Vec<ConvNorm>,
    bins: usize,
}

impl LightCnn {
    /// Length of the shortest window: the convolutions and the pool leave one sample of it.
    pub const MIN_LENGTH: usize = 26;

    /// Builds the network, its variables taken from `vb`.
    ///
    /// # Errors
    /// No input channels, no bins, an impossible batch norm, or variables of `vb` that are missing or have
    /// another shape.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(config: &LightCnnConfig, vb: VarBuilder) -> Result<Self> {
        input::check_channels(NETWORK, config.in_channels)?;
        if config.bins == 0 {
            return Err(Error::Config {
                network: NETWORK,
                field: "bins".into(),
                found: "0".into(),
                expected: "at least 1".into(),
            }
            .into());
        }
        let widths = WIDTHS.into_iter().zip(KERNELS);
        let layers = ConvNorm::chain(config.in_channels, widths, Padding::default(), config.batch_norm, &vb)?;
        Ok(Self {
            in_channels: config.in_channels,
            layers,
            bins: config.bins,
        })
    }
}

impl Extractor for LightCnn {
    /// Features `(N, 128 bins)` of windows `(N, in_channels, L)`, L >= 26.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        input::check(NETWORK, x, self.in_channels, Self::MIN_LENGTH)?;
        let mut x = Signal::enter(x)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward_relu(&x, pass)?;
            if index == 1 {
                x = x.max_pool(POOL, POOL, 0)?;
            }
        }
        x.adaptive_max_pool(self.bins)?.leave()?.flatten_from(1)
    }

    fn feature_len(&self, _length: usize) -> usize {
        WIDTHS[WIDTHS.len() - 1] * self.bins
    }
}
