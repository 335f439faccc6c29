//! 1-D convolutional layers for candle with gradients of their own.
//!
//! Every tensor is `(batch, channels, length)`.
#![deny(unsafe_code)]

mod extractor;

pub use extractor::{Extractor, Pass};
