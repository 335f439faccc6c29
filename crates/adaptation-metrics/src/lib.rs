//! Scores for domain adaptation, and the simple methods that belong beside every deep result.
//!
//! # What it is for
//!
//! A classifier learns on labelled *source* data and is used on a *target* that differs. To say honestly how well that
//! goes takes scores ([`Confusion`], [`expected_calibration_error`]), a measure of how far apart the two domains are
//! ([`proxy_a_distance`]), a picture of the features ([`Pca`]) and simple methods to compare with
//! ([`LogisticRegression`], [`NearestCentroid`] on [`rms`] and [`kurtosis`]).
//!
//! # Should you use it?
//!
//! Yes, if you have plain slices of `f64` and want the numbers that scikit-learn would give, from one small crate:
//! labels are `usize`, a table of samples is one row-major slice, nothing is drawn at random without a seed, and every
//! result is the same bit for bit on every run. No, if you look for a general machine-learning library (try `linfa`) or
//! for sparse or out-of-core data.
//!
//! # Example
//!
//! ```
//! use adaptation_metrics::{Confusion, LogisticConfig, LogisticRegression, proxy_a_distance};
//!
//! // two samples of each class, two features each: the target is the source moved by a little
//! let source = [0.0, 0.1, 0.2, 0.0, 1.0, 1.1, 0.9, 1.0];
//! let target: Vec<f64> = source.iter().map(|x| x + 0.1).collect();
//! let labels = [0, 0, 1, 1];
//!
//! let model = LogisticRegression::fit(&source, &labels, 2, &LogisticConfig::default())?;
//! let scores = Confusion::new(&labels, &model.predict(&target)?, 2)?;
//! assert_eq!((scores.accuracy(), scores.macro_f1()), (1.0, 1.0));
//! let distance = proxy_a_distance(&source, &target, 2, 0)?; // 0: alike, 2: told apart without an error
//! assert!((0.0..=2.0).contains(&distance.value));
//! # Ok::<(), adaptation_metrics::Error>(())
//! ```
//!
//! # Limits
//!
//! Everything lives in memory and runs on one thread. The logistic regression is meant for some thousand rows of some
//! hundred features: seconds, not hours.
#![forbid(unsafe_code)]

mod a_distance;
mod calibration;
mod centroid;
mod confusion;
mod coverage;
mod error;
mod lbfgs;
mod logistic;
mod moments;
mod pca;
mod random;
mod table;
mod tsne;

pub use a_distance::{ADistance, proxy_a_distance};
pub use calibration::expected_calibration_error;
pub use centroid::NearestCentroid;
pub use confusion::Confusion;
pub use coverage::{CoveragePoint, accuracy_against_coverage};
pub use error::{Error, Result};
pub use logistic::{LogisticConfig, LogisticRegression};
pub use moments::{kurtosis, rms};
pub use pca::Pca;
pub use tsne::{Tsne, TsneConfig};
