//! Reproducible training for candle: seeded initialisation by name, optimisers with named state,
//! schedules, durable checkpoints.
#![forbid(unsafe_code)]

pub mod init;
pub mod sealed;

mod atomic;
mod checkpoints;
mod clip;
mod error;
mod optimiser;
mod schedule;
mod store;

pub use atomic::write as write_atomic;
pub use checkpoints::{Checkpoint, Checkpoints, Latest};
pub use clip::clip_grad_norm;
pub use error::{Error, Result};
pub use optimiser::{Missing, Optimiser, OptimiserKind};
pub use schedule::LrSchedule;
pub use store::ParameterStore;
