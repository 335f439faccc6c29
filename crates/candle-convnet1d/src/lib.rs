//! 1-D convolutional layers for candle with gradients of their own.
//!
//! Every tensor is `(batch, channels, length)`.
#![deny(unsafe_code)]

mod activation;
mod buffer;
pub mod composed;
mod dropout;
mod error;
mod extractor;
mod gate;
mod lanes;
mod loss;
mod norm;
mod pool;

pub use activation::relu;
pub use dropout::Dropout;
pub use error::Error;
pub use extractor::{Extractor, Pass};
pub use gate::SeGate;
pub use loss::{cross_entropy, cross_entropy_rows, softmax};
pub use norm::{BatchNorm1d, BatchNormConfig, RunningVariance, Statistics};
pub use pool::{
    adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d, global_avg_pool1d, global_max_pool1d, max_pool1d,
};
