//! Reproducible training for candle: seeded initialisation by name, optimisers with named state, schedules, durable
//! checkpoints.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_trainer::{LrSchedule, Missing, Optimiser, OptimiserKind, ParameterStore, clip_grad_norm, init};
//!
//! let store = ParameterStore::new(42, DType::F32, Device::Cpu);
//! let weight = store.builder().pp("layer").get_with_hints((2, 1), "weight", init::glorot_uniform(2, 1))?;
//! let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 1e-5, store.trainable())?;
//! let x = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
//! for step in 0..100 {
//!     let loss = (x.matmul(&weight)? - 1.0)?.sqr()?.mean_all()?;
//!     let mut grads = loss.backward()?;
//!     clip_grad_norm(&store.trainable(), &mut grads, 1.0)?;
//!     optimiser.step(&grads, LrSchedule::DANN.at(0.1, f64::from(step) / 99.0), Missing::Error)?;
//! }
//! # let loss = (x.matmul(&weight)? - 1.0)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
//! # assert!(loss < 0.05, "{loss}");
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! # Should you use it
//!
//! Yes, where a run must give the same result again: with another order of construction, another number of threads,
//! or after it was killed and resumed. candle-nn's `VarMap` draws initial values in the order of construction from the
//! device's generator, its optimisers hide their moments, and `VarMap::save` writes in place without a checksum. No,
//! where you train once and keep nothing.
//!
//! # What there is
//!
//! - [`ParameterStore`]: the variables by full name, behind candle-nn's `VarBuilder`; values depend on seed, name,
//!   shape and distribution alone ([`init`]). Running statistics are kept apart from what is trained.
//! - [`Optimiser`]: Adam, `AdamW` and SGD as in `torch.optim`, one pass over memory on the CPU; each parameter counts
//!   its own steps, and one without a gradient is an error unless you allow it ([`Missing`]). [`clip_grad_norm`].
//! - [`LrSchedule`]: constant, step, cosine, and that of the DANN paper.
//! - [`sealed`]: one safetensors file with metadata and a checksum, written atomically. [`Checkpoints`]: numbered ones,
//!   of which the newest valid one wins. [`write_atomic`] for any other file, [`create_folder`] for where it goes.
//!
//! # Limits
//!
//! - Equal bits are promised on the CPU, one machine type and one version of candle: what a run computes between two
//!   steps is candle's and yours. The initial values alone are the same on every platform.
//! - One process writes to a folder of checkpoints. Durability of the rename itself is promised on Unix only.
//! - Functions on tensors return [`candle_core::Result`] with this crate's [`Error`] wrapped; functions on files return
//!   the [`Error`].
#![forbid(unsafe_code)]

pub mod init;
pub mod sealed;

mod atomic;
mod checkpoints;
mod clip;
mod error;
mod files;
mod optimiser;
mod schedule;
mod store;

pub use atomic::{is_scratch_of, write_atomic};
pub use checkpoints::{Checkpoint, Checkpoints, Latest};
pub use clip::clip_grad_norm;
pub use error::{Error, Result};
pub use files::create_folder;
pub use optimiser::{Missing, Optimiser, OptimiserKind};
pub use schedule::LrSchedule;
pub use store::ParameterStore;
