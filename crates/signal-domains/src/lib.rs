//! Recordings of several domains: manifests, readers for instrument files, honest splits, windows and batches
#![forbid(unsafe_code)]

mod error;
mod formats;
mod keyed;
mod sampler;
mod split;

pub use error::{Error, Place, Result};
pub use formats::{MAX_SAMPLES, Variable, list_variables};
pub use sampler::{Balance, BatchRows, Sampler, SamplerState, SourceRows, TargetRows};
pub use split::{
    Fractions, Item, LabelledItem, Part, RecordingWindows, Split, SplitKind, SplitPlan, default_kind, split_source,
    split_target,
};
