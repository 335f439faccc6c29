//! Recordings of several domains: manifests, readers for instrument files, honest splits, windows and batches
#![forbid(unsafe_code)]

mod dataset;
mod error;
mod formats;
mod keyed;
mod recording;
mod sampler;
mod scan;
mod select;
mod split;

pub use dataset::{Attribute, Channel, ClassComparison, Dataset, Family, OpenOptions, RecordingEntry};
pub use error::{Error, Place, Result};
pub use formats::{Decimal, Delimiter, Dialect, MAX_SAMPLES, TextLayout, Variable, list_variables};
pub use recording::{Recording, load_file};
pub use sampler::{Balance, BatchRows, Sampler, SamplerState, SourceRows, TargetRows};
pub use scan::Scan;
pub use split::{
    Fractions, Item, LabelledItem, Part, RecordingWindows, Split, SplitKind, SplitPlan, default_kind, split_source,
    split_target,
};
