//! Domain-adversarial training (DANN) for candle: any extractor, any number of domains, no way in for a target label.
#![forbid(unsafe_code)]

mod config;
mod dann;
mod error;
mod head;
mod losses;
mod rows;

pub use config::DannConfig;
pub use dann::Dann;
pub use error::Error;
pub use head::Head;
pub use losses::{DomainLoss, Losses};
pub use rows::{Batch, LabelledRows, UnlabelledRows};
