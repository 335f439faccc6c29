//! How long every recording is, kept in a file beside the data, so that ten thousand files are opened once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::{Dataset, RecordingEntry};
use crate::error::{Error, Result};

/// The file's name, in the folder of the recordings. Hidden: no glob takes it for a recording.
const NAME: &str = ".signal-domains-index";
const HEAD: &str = "signal-domains index 1; may be deleted at any time";

/// What is known of a recording without reading its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Samples per channel.
    pub samples: usize,
    /// Sampling rate in Hz, where one is known.
    pub rate_hz: Option<f64>,
}

/// Of which file, in which state, read how.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: PathBuf,
    bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    changed: u128,
    /// Of what decides how it is read.
    reading: String,
}

impl Dataset {
    /// Length and rate of every recording, in the order of [`recordings`](Self::recordings); the error of those that cannot be
    /// opened.
    ///
    /// What was found is kept in a file `.signal-domains-index` in the folder of the recordings, and taken from there as long
    /// as a recording's file has the same size and time of change and is read in the same way. The index may be deleted at any
    /// time; one that is damaged, or cannot be written, is no error.
    pub fn extents(&self) -> Vec<Result<Extent>> {
        let index = self.base.is_dir().then(|| self.base.join(NAME));
        let known = index
            .as_deref()
            .map_or_else(HashMap::new, |path| read(path, &self.base));
        let keys: Vec<Option<Key>> = self.recordings.iter().map(key).collect();
        let fresh: Vec<usize> = (0..keys.len())
            .filter(|&i| keys[i].as_ref().is_none_or(|key| !known.contains_key(key)))
            .collect();
        let mut opened = self.open_all(&fresh);
        let mut changed = false;
        let extents: Vec<Result<Extent>> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| {
                let extent = match key.as_ref().and_then(|key| known.get(key)) {
                    Some(extent) => return Ok(*extent),
                    None => opened.remove(&i),
                };
                changed |= matches!(extent, Some(Ok(_)));
                extent.unwrap_or_else(|| Err(Error::Argument("a thread that opens recordings has ended".into())))
            })
            .collect();
        if let Some(path) = index.filter(|_| changed) {
            // it saves time and nothing else: a folder that cannot be written stays as it is
            let _ = write(&path, &self.base, keys.iter().zip(&extents));
        }
        extents
    }

    fn open_all(&self, numbers: &[usize]) -> HashMap<usize, Result<Extent>> {
        let found = Mutex::new(HashMap::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let extent = self.recordings[number].open().map(|open| Extent {
                    samples: open.len(),
                    rate_hz: open.rate_hz,
                });
                found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(number, extent);
            }
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(numbers.len());
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: there is no file, or it cannot stand in an index.
fn key(entry: &RecordingEntry) -> Option<Key> {
    let path = entry
        .path
        .clone()
        .filter(|_| entry.fault.is_none() && entry.packed.is_none())?;
    let metadata = fs::metadata(&path).ok()?;
    let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let reading = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        entry.channel_keys(),
        entry.text,
        entry.raw,
        entry.words,
        entry.stretch,
        entry.rate_hz
    );
    let digest = Sha256::digest(reading.as_bytes());
    let reading = digest[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Some(Key {
        path,
        bytes: metadata.len(),
        changed,
        reading,
    })
}

/// What an index says; nothing where it is absent or anything in it is not as it was written.
fn read(path: &Path, base: &Path) -> HashMap<Key, Extent> {
    let Ok(text) = fs::read_to_string(path) else {
        return HashMap::new();
    };
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return HashMap::new();
    }
    lines
        .map(|line| row(line, base))
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn row(line: &str, base: &Path) -> Option<(Key, Extent)> {
    let mut cells = line.splitn(6, '\t');
    let key = Key {
        bytes: cells.next()?.parse().ok()?,
        changed: cells.next()?.parse().ok()?,
        reading: cells.next()?.to_owned(),
        path: PathBuf::new(),
    };
    let samples = cells.next()?.parse().ok()?;
    let rate_hz = match cells.next()? {
        "" => None,
        rate => Some(rate.parse().ok()?),
    };
    let path = base.join(cells.next()?);
    Some((Key { path, ..key }, Extent { samples, rate_hz }))
}

fn write<'a>(
    path: &Path,
    base: &Path,
    rows: impl Iterator<Item = (&'a Option<Key>, &'a Result<Extent>)>,
) -> std::io::Result<()> {
    let mut text = format!("{HEAD}\n");
    for (key, extent) in rows {
        let (Some(key), Ok(extent)) = (key, extent) else {
            continue;
        };
        let below = key.path.strip_prefix(base).unwrap_or(&key.path);
        let Some(below) = below.to_str().filter(|p| !p.contains(['\n', '\r'])) else {
            continue;
        };
        let rate = extent.rate_hz.map_or(String::new(), |rate| rate.to_string());
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{}\t{rate}\t{below}",
            key.bytes, key.changed, key.reading, extent.samples
        );
    }
    let part = path.with_file_name(format!("{NAME}.{}.part", std::process::id()));
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}
