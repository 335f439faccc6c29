//! SE-ResNeXt and a light CNN as 1-D feature extractors for candle.
//!
//! A network of this crate turns windows `(batch, channels, length)` of a signal into features
//! `(batch, feature_len)`. Heads, losses and training are the caller's (or candle-dann's).
//!
//! | name | network | features | trainable parameters, 1 channel |
//! |---|---|---|---|
//! | `light-cnn` | four plain convolutions | 512 | 33,216 |
//! | `defect-families` | one small network for three families of defect frequencies | 3 | 1,281 (15 rows) |
//! | `seresnext26-small` | SE-ResNeXt, 8 groups, narrow | 512 | 947,608 |
//! | `seresnext26` | SE-ResNeXt-26 (32x4d) | 2048 | 14,210,080 |
//! | `seresnext50` | SE-ResNeXt-50 (32x4d) | 2048 | 24,558,832 |
//! | `seresnext101` | SE-ResNeXt-101 (32x4d) | 2048 | 45,118,768 |
//! | `seresnext152` | SE-ResNeXt-152 (32x4d) | 2048 | 62,055,664 |
//! | `seed18` | the article's SE-ResNeXt, see [`SeedNet`] | 256 | 328,992 |
//! | `seed34`, `seed50` | the same, one network under two names | 256 | 716,852 |
//! | `seed101` | the same | 256 | 1,493,956 |
//! | `seed152` | the same | 256 | 2,136,628 |
//!
//! # Should you use it?
//!
//! Yes, if you classify or compare one-dimensional signals (vibration, current, ECG) with candle
//! and want a network whose outputs and gradients equal `PyTorch`'s, at any window length. Start
//! with `light-cnn` or `seresnext26-small`: the deep ones want far more recordings than a test
//! rig usually gives. For images, or for pretrained weights, look elsewhere: there are none here.
//!
//! # Example
//!
//! ```
//! use candle_convnet1d::{BatchNormConfig, Extractor, Pass};
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{VarBuilder, VarMap};
//! use candle_seresnext1d::Architecture;
//!
//! # fn main() -> candle_core::Result<()> {
//! let variables = VarMap::new();
//! let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
//! let architecture: Architecture = "seresnext26-small".parse().map_err(candle_core::Error::wrap)?;
//! let network = architecture.build(1, BatchNormConfig::default(), vb.pp("extractor"))?;
//!
//! let windows = Tensor::randn(0f32, 1., (4, 1, 256), &Device::Cpu)?;
//! let features = network.forward(&windows, Pass::EVAL)?;
//! assert_eq!(features.dims(), [4, network.feature_len(256)]);
//! # Ok(())
//! # }
//! ```
//!
//! Your own widths and depths go through [`SeResNeXtConfig`] and [`SeedNetConfig`].
//!
//! # Limits
//!
//! No file access, no pretrained weights, no classification head. Windows shorter than
//! [`Architecture::min_length`] are refused. Precision and devices are those of
//! candle-convnet1d: f32 and f64 on the CPU, CUDA by composition.
#![forbid(unsafe_code)]

mod architecture;
mod conv_norm;
mod defect_families;
mod error;
mod input;
mod light_cnn;
mod se_resnext;
mod seed;

pub use architecture::Architecture;
pub use defect_families::{DefectFamilies, DefectFamiliesConfig};
pub use error::Error;
pub use light_cnn::{LightCnn, LightCnnConfig};
pub use se_resnext::{SeResNeXt, SeResNeXtConfig};
pub use seed::{Grouping, Pooling, SeedNet, SeedNetConfig, keras};
