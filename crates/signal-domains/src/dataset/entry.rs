//! One recording of a data set, not read yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use signal_conditioning::Geometry;

use super::Stretch;
use crate::error::{Error, Result};
use crate::formats::{RawLayout, ReadOptions, SignalFile, TextLayout};
use crate::recording::{OpenRecording, Recording, sha256_of};

/// A channel: its name in the data set and where it is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Name in the data set.
    pub name: String,
    /// Variable (MAT), column (text) or data set path (HDF5): its exact name or a glob that fits one. `*` is the only
    /// numeric array with more than one sample; `#N` at the end takes the N-th channel that the rest fits, counting the
    /// columns of a matrix (the shorter extent) as channels.
    pub key: String,
}

/// A value of a recording's attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, a text or true / false")]
pub enum Attribute {
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A recording of a data set. Its samples are read by [`load`](Self::load).
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingEntry {
    /// The file as the manifest names it; with the samples that it is where the file's labels cut it (`run.csv[0..5000]`), with
    /// its channels where the manifest lists several recordings of one file in a domain (`all.h5#r1`).
    /// In a folder without manifest its bare name, without the folder of its class:
    /// order and splits follow this name and must not follow a label. A name that a domain has twice gets the first
    /// eight digits of its SHA-256 (`1.csv~3fa9c2d1`).
    pub file: String,
    /// Where the file is; `None` if it is absent.
    pub path: Option<PathBuf>,
    /// The domain.
    pub domain: String,
    /// Class number; `None` if unlabelled.
    pub class: Option<usize>,
    /// Which physical bearing or machine.
    pub unit: Option<String>,
    /// Nominal shaft speed, revolutions a minute.
    pub rpm: Option<f64>,
    /// Defect orders of the bearing.
    pub geometry: Option<Geometry>,
    /// Sampling rate in Hz that is stated for the file; `None`: the file's own, and if it has none only samples exist.
    pub rate_hz: Option<f64>,
    /// SHA-256 that the file may have, in lower-case hex; empty: any.
    pub sha256: Vec<String>,
    /// Sizes in bytes that the file may have; empty: any.
    pub bytes: Vec<u64>,
    /// The channels to read.
    pub channels: Vec<Channel>,
    /// How the file is laid out if it is text.
    pub text: TextLayout,
    /// How it is laid out if it is bare binary numbers.
    pub raw: Option<RawLayout>,
    /// Anything else that was stated.
    pub attributes: BTreeMap<String, Attribute>,
    /// The column of labels, which may be words.
    pub(super) words: Option<String>,
    /// The part of the file that it is, where not all.
    pub(super) stretch: Option<Stretch>,
    /// Why it cannot be read: no such file, no such channel, no labels.
    pub(super) fault: Option<String>,
    /// Set where `path` is a file that holds many recordings.
    pub(super) packed: Option<Packed>,
}

/// A recording inside a file that [`pack`](crate::pack) wrote, which all recordings of the file share.
#[derive(Clone)]
pub(super) struct Packed {
    pub file: Arc<SignalFile>,
    /// SHA-256 of the file that was packed.
    pub sha256: String,
    /// The variable that each channel was.
    pub names: Vec<String>,
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.names == other.names
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "packed from {}", self.sha256)
    }
}

/// Relative difference up to which two rates are the same.
const RATE_TOLERANCE: f64 = 1e-6;

impl RecordingEntry {
    /// The file's name without folders.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }

    /// The keys of the channels, for reading further files in the same way with [`load_file`](crate::load_file).
    pub fn channel_keys(&self) -> Vec<String> {
        self.channels.iter().map(|c| c.key.clone()).collect()
    }

    /// A file that stands in no data set; each key gives one channel, no keys mean `*`. Nothing is opened yet.
    pub fn of_file(path: &Path, keys: &[String]) -> Self {
        Self {
            file: path.display().to_string(),
            path: Some(path.to_owned()),
            domain: String::new(),
            class: None,
            unit: None,
            rpm: None,
            geometry: None,
            rate_hz: None,
            sha256: Vec::new(),
            bytes: Vec::new(),
            channels: keys
                .iter()
                .map(|key| Channel {
                    name: key.clone(),
                    key: key.clone(),
                })
                .collect(),
            text: TextLayout::default(),
            raw: None,
            attributes: BTreeMap::new(),
            words: None,
            stretch: None,
            fault: None,
            packed: None,
        }
    }

    /// Reads the file after checking its size and SHA-256 where the manifest states them.
    ///
    /// Errors: the file is absent, is not the one stated, is damaged, lacks a channel, states another rate than the
    /// manifest, or channels differ in length or rate.
    pub fn load(&self) -> Result<Recording> {
        let sha256 = self.verify()?;
        Ok(Recording {
            rpm: self.rpm,
            ..self.open()?.read_all(sha256)?
        })
    }

    /// SHA-256 of the file, after checking it and the size where the manifest states them. The file is read as a whole, but for
    /// one that [`pack`](crate::pack) wrote: each piece of that carries a checksum, and the SHA-256 is that of the file that
    /// was packed.
    ///
    /// Errors: the file is absent or is not the one stated.
    pub fn verify(&self) -> Result<String> {
        let path = self.there()?;
        if let Some(packed) = &self.packed {
            return Ok(packed.sha256.clone());
        }
        self.check_size(path)?;
        let sha256 = sha256_of(path)?;
        if self.sha256.is_empty() || self.sha256.contains(&sha256) {
            return Ok(sha256);
        }
        Err(mismatch(path, "SHA-256", sha256, self.sha256.clone()))
    }

    /// Whether it is in a file that [`pack`](crate::pack) wrote.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Opens the file, to read pieces of it. Its size is checked where the manifest states one; its SHA-256 is not, which
    /// would read all of it.
    ///
    /// Errors: those of [`load`](Self::load), but for damage to the samples.
    pub fn open(&self) -> Result<OpenRecording> {
        self.open_beside(std::iter::empty())
    }

    /// As [`open`](Self::open); a file that one of the others has open is not opened again.
    pub(crate) fn open_beside<'a>(
        &self,
        mut others: impl Iterator<Item = (&'a Self, &'a OpenRecording)>,
    ) -> Result<OpenRecording> {
        let path = self.there()?;
        // as bytes: to compare paths component by component costs a tenth of opening a small file
        let same = |other: &Self| {
            self.path.as_deref().map(Path::as_os_str) == other.path.as_deref().map(Path::as_os_str)
                && (&self.text, &self.raw, &self.words) == (&other.text, &other.raw, &other.words)
        };
        let file = if let Some(packed) = &self.packed {
            Arc::clone(&packed.file)
        } else if let Some((_, open)) = others.find(|(other, _)| same(other)) {
            open.file()
        } else {
            self.check_size(path)?;
            let options = ReadOptions {
                text: self.text,
                raw: self.raw,
                words: self.words.clone(),
                ..ReadOptions::default()
            };
            Arc::new(SignalFile::open(path, &options)?)
        };
        let mut open = OpenRecording::new(file, path, &self.channel_keys(), self.stretch.as_ref())?;
        if let Some(packed) = &self.packed {
            open.names.clone_from(&packed.names);
        }
        if let (Some(found), Some(stated)) = (open.rate_hz, self.rate_hz)
            && (found - stated).abs() > RATE_TOLERANCE * stated
        {
            let what = "sampling rate in Hz";
            return Err(mismatch(path, what, found.to_string(), vec![stated.to_string()]));
        }
        open.rate_hz = self.rate_hz.or(open.rate_hz);
        Ok(open)
    }

    /// Its path, if it can be read as far as is known.
    fn there(&self) -> Result<&Path> {
        match (&self.path, &self.fault) {
            (Some(path), None) => Ok(path),
            (Some(path), Some(fault)) => Err(Error::variable(path, fault.as_str())),
            (None, fault) => Err(Error::Missing {
                path: PathBuf::from(&self.file),
                message: fault.clone().unwrap_or_else(|| "the file is absent".into()),
            }),
        }
    }

    fn check_size(&self, path: &Path) -> Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if self.bytes.contains(&bytes) {
            return Ok(());
        }
        let stated = self.bytes.iter().map(u64::to_string).collect();
        Err(mismatch(path, "size in bytes", bytes.to_string(), stated))
    }
}

fn mismatch(path: &Path, what: &'static str, found: String, expected: Vec<String>) -> Error {
    Error::Mismatch {
        path: path.to_owned(),
        what,
        found,
        expected: expected.join(" or "),
    }
}
