//! The SE-ResNeXt of an article on domain-adversarial training: the "seed" of this project, and a network of its own.
//!
//! `config` says what network; `grouped` is the grouped part of the residual `block`; `network` puts blocks together;
//! `keras` renames the original's weights.

mod block;
mod config;
mod grouped;
pub mod keras;
mod network;

pub use config::{Grouping, Pooling, SeedNetConfig};
pub use network::SeedNet;

/// What messages call the network.
const NETWORK: &str = "seed SE-ResNeXt";
