//! The manifest as it is written. `datasets/README.md` of the repository explains every key.

use std::collections::BTreeMap;

use serde::Deserialize;
use signal_conditioning::Geometry;
use toml::Spanned;

use super::labels::Stretch;
use super::{Attribute, Channel, Family};
use crate::formats::{RawLayout, TextLayout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub dataset: DatasetTable,
    #[serde(default)]
    pub class: BTreeMap<Spanned<String>, ClassTable>,
    #[serde(default)]
    pub domain: BTreeMap<Spanned<String>, DomainTable>,
    #[serde(default)]
    pub geometry: BTreeMap<String, Geometry>,
    #[serde(default)]
    pub recording: Vec<RecordingTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetTable {
    pub name: Option<String>,
    pub source: Option<String>,
    pub licence: Option<String>,
    pub root: Option<String>,
    pub rate_hz: Option<Spanned<f64>>,
    pub rpm: Option<Spanned<f64>>,
    pub geometry: Option<Spanned<String>>,
    pub files: Option<Spanned<Globs>>,
    pub pattern: Option<Spanned<String>>,
    pub classes: Option<Vec<Spanned<String>>>,
    pub channels: Option<Spanned<Vec<Channel>>>,
    pub labels: Option<Spanned<LabelsTable>>,
    #[serde(default)]
    pub text: TextLayout,
    pub raw: Option<RawLayout>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassTable {
    pub family: Option<Family>,
    #[serde(rename = "where")]
    pub query: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainTable {
    #[serde(rename = "where")]
    pub query: Spanned<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingTable {
    pub file: Spanned<String>,
    pub domain: Option<Spanned<String>>,
    pub class: Option<Spanned<String>>,
    pub rate_hz: Option<Spanned<f64>>,
    pub rpm: Option<Spanned<f64>>,
    pub geometry: Option<Spanned<String>>,
    pub channels: Option<Spanned<Vec<Channel>>>,
    pub sha256: Option<Spanned<Sha256s>>,
    pub bytes: Option<Sizes>,
    pub unit: Option<String>,
    pub labels: Option<Spanned<LabelsTable>>,
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    /// The part of the file that this is, where its labels change.
    #[serde(skip)]
    pub stretch: Option<Stretch>,
    /// Why its labels cannot be read.
    #[serde(skip)]
    pub fault: Option<String>,
}

/// Labels in the recordings' files.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelsTable {
    pub key: String,
    #[serde(default)]
    pub names: BTreeMap<String, String>,
}

impl RecordingTable {
    /// A recording of which nothing is known but its file.
    pub fn of(file: Spanned<String>) -> Self {
        Self {
            file,
            domain: None,
            class: None,
            rate_hz: None,
            rpm: None,
            geometry: None,
            channels: None,
            sha256: None,
            bytes: None,
            unit: None,
            labels: None,
            attributes: BTreeMap::new(),
            stretch: None,
            fault: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a glob, or a list of globs")]
pub(super) enum Globs {
    One(String),
    Several(Vec<String>),
}

impl Globs {
    pub fn list(&self) -> Vec<&str> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several.iter().map(String::as_str).collect(),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a SHA-256 in hex, or a list of them")]
pub(super) enum Sha256s {
    One(String),
    Several(Vec<String>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a number of bytes, or a list of them")]
pub(super) enum Sizes {
    One(u64),
    Several(Vec<u64>),
}

impl Sha256s {
    pub fn list(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.to_ascii_lowercase()],
            Self::Several(several) => several.iter().map(|s| s.to_ascii_lowercase()).collect(),
        }
    }
}

impl Sizes {
    pub fn list(self) -> Vec<u64> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}
