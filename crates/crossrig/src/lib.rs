//! Carry a fault diagnosis from one machine to another, and see honestly how far to trust it.
//!
//! This is the library behind the program `crossrig`: every command is callable from Rust, see [`commands`].
//!
//! Data flows one way: [`options`] (what the user typed) -> [`settings`] (checked) -> [`corpus`] (recordings) ->
//! [`task`] (windows and splits; the truth about targets apart) -> [`preprocess`] -> [`training`], [`mod@logistic`] and
//! [`baselines`] -> [`experiment`] (scores) -> [`metrics`], [`model_file`], [`report`].
//!
//! Where recordings or their windows do not fit into the [`room`] that there is, [`samples`] reads them from the files and [`rows`]
//! makes them as they are wanted; nothing else knows, and no result depends on it.
//!
//! What is decided without a label of a target stands in a file for each decision: [`auto`] (the input), [`class_mix`] (whose
//! statistics prepare a target), [`recommend`] (which model to use).
#![forbid(unsafe_code)]
#![allow(
    rustdoc::invalid_html_tags,
    reason = "doc comments of flags are the help text, which writes <domain>"
)]

pub mod commands;

pub mod options;
pub mod settings;

pub mod auto;
pub mod corpus;
pub mod length;
pub mod preprocess;
pub mod room;
pub mod rows;
pub mod samples;
pub mod task;

pub mod augment;
pub mod baselines;
pub mod class_mix;
pub mod evaluation;
pub mod experiment;
pub mod feature_map;
pub mod logistic;
pub mod network;
pub mod physics;
pub mod pieces;
pub mod recommend;
pub mod track_record;
pub mod training;

pub mod inference;
pub mod metrics;
pub mod model_file;
pub mod record;
pub mod report;
pub mod report_data;
pub mod summary;

mod ahead;
mod batches;
mod error;
mod extractor;
mod output;
mod progress;

pub use error::{Error, Result};
