//! 1-D convolutional layers for candle with gradients of their own.
//!
//! Every tensor is `(batch, channels, length)`.
#![deny(unsafe_code)]

mod activation;
mod buffer;
mod conv;
mod conv_composed;
pub mod composed;
mod dropout;
mod error;
mod extractor;
mod gate;
mod kernels;
mod lanes;
mod linear;
mod loss;
mod norm;
mod pool;

pub use activation::relu;
pub use conv::{Conv1d, Conv1dConfig, Conv1dParams, conv1d};
pub use dropout::Dropout;
pub use error::Error;
pub use extractor::{Extractor, Pass};
pub use gate::SeGate;
pub use linear::{Linear, linear};
pub use loss::{cross_entropy, cross_entropy_rows, softmax};
pub use norm::{BatchNorm1d, BatchNormConfig, RunningVariance, Statistics};
pub use pool::{
    adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d, global_avg_pool1d, global_max_pool1d, max_pool1d,
};
