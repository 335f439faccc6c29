//! A data set: recordings of several domains, listed by a manifest or found by the folder convention.

mod asked;
mod classes;
mod entry;
mod files;
mod folder;
mod index;
mod labels;
mod lookup;
mod manifest;
mod packed;
mod pattern;
mod schema;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use classes::{ClassComparison, Family};
pub use entry::{Attribute, Channel, RecordingEntry};
pub(crate) use files::walk;
pub use index::Extent;
pub(crate) use labels::Stretch;

use crate::error::{Error, Result};

/// What is said about a data set beside the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// The folder that holds the recordings, in place of every other rule.
    pub root: Option<PathBuf>,
    /// The folder of data sets: where a manifest states a `root` other than `.`, and `data_root/<root>` is a folder,
    /// that is where recordings are looked for. Usually the value of `$CROSSRIG_DATA`, read by the caller.
    pub data_root: Option<PathBuf>,
    /// A key (see [`Channel::key`]) in place of the manifest's channels.
    pub key: Option<String>,
    /// The rate in Hz of recordings for which the manifest states none.
    pub rate_hz: Option<f64>,
    /// The channels to take, by name or by number from 1: of those the manifest declares; where none are declared (or
    /// `key` replaces them), variables of that name, or the N-th channel that the key fits.
    pub channels: Option<Vec<String>>,
}

/// Recordings of several domains. Nothing but the list is read: recordings are read when asked for.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name: as stated, else that of the manifest's file or of the folder.
    pub name: String,
    /// Where the data come from, as stated.
    pub source: Option<String>,
    /// Their licence or terms, as stated.
    pub licence: Option<String>,
    /// The folder below which the recordings were looked for.
    pub base: PathBuf,
    /// Class names; the position is the label number. As stated, else all classes in alphabetical order.
    pub classes: Vec<String>,
    /// For each class, what is damaged, where stated.
    pub families: Vec<Option<Family>>,
    /// All recordings, sorted by domain, then by file: the order of a manifest does not matter.
    pub recordings: Vec<RecordingEntry>,
    /// What should be known but stops nothing: files that are absent or ambiguous, files passed over.
    pub warnings: Vec<String>,
}

impl Dataset {
    /// Whether the file at `path` is a data set that [`pack`](crate::pack()) wrote; a file of another kind, or none, is not.
    pub fn is_packed(path: &Path) -> bool {
        packed::is_packed(path)
    }

    /// Opens a manifest (a TOML file); or a file that [`pack`](crate::pack) wrote, known by its contents; or a folder laid
    /// out as `FOLDER/<domain>/<class>/<files>`, or `FOLDER/<domain>/<files>` for a domain without labels.
    ///
    /// Absent files are no error here: their entries have no path. Errors: the manifest cannot be read or says what
    /// cannot be (with its line); `root` of the options is not a folder; a folder without recordings.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        if let Some(rate_hz) = options.rate_hz.filter(|r| !(r.is_finite() && *r > 0.0)) {
            return Err(Error::Argument(format!(
                "a rate of {rate_hz} Hz: expected a number above 0"
            )));
        }
        let mut dataset = if path.is_dir() {
            folder::open(path, options)?
        } else if packed::is_container(path) {
            packed::open(path, options)?
        } else {
            manifest::open(path, options)?
        };
        dataset
            .recordings
            .sort_by(|a, b| (&a.domain, &a.file).cmp(&(&b.domain, &b.file)));
        Ok(dataset)
    }

    /// Names of the domains in alphabetical order.
    pub fn domains(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.recordings.iter().map(|r| r.domain.as_str()).collect();
        names.dedup();
        names
    }

    /// Recordings of one domain, sorted by file.
    pub fn domain(&self, name: &str) -> Vec<&RecordingEntry> {
        self.recordings.iter().filter(|r| r.domain == name).collect()
    }

    /// Recordings whose file is absent.
    pub fn absent(&self) -> Vec<&RecordingEntry> {
        self.recordings.iter().filter(|r| r.path.is_none()).collect()
    }

    /// How many recordings of each class (by number; `None`: unlabelled) a domain has.
    pub fn class_counts(&self, domain: &str) -> BTreeMap<Option<usize>, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.domain(domain) {
            *counts.entry(entry.class).or_default() += 1;
        }
        counts
    }

    /// The lowest rate in use, which needs no recording to be resampled upwards; `None` where a recording has none.
    pub fn lowest_rate<'a>(entries: impl IntoIterator<Item = &'a RecordingEntry>) -> Option<f64> {
        let rates: Option<Vec<f64>> = entries.into_iter().map(|e| e.rate_hz).collect();
        rates?.into_iter().min_by(f64::total_cmp)
    }
}
