//! SE-ResNeXt in one dimension.
//!
//! `config` says what network; `block` is its residual block; `papers` is the network as the
//! `ResNeXt` and SE papers have it. Another form of the network stands beside `papers`.

mod block;
mod config;
mod papers;

pub use config::SeResNeXtConfig;
pub use papers::SeResNeXt;

/// What messages call the network.
const NETWORK: &str = "SE-ResNeXt";
