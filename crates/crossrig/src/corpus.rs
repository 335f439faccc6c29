//! The recordings of a run in memory: chosen, read and looked over before anything is trained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobMatcher};
use rayon::prelude::*;
use signal_conditioning::Meta;
use signal_domains::{Dataset, OpenOptions, RecordingEntry};

use crate::error::{Error, Result};
use crate::options::nearest;

/// One recording in memory, without its class.
#[derive(Clone, Debug)]
pub struct Signal {
    /// File as the manifest names it.
    pub file: String,
    /// Physical machine or bearing.
    pub unit: Option<String>,
    /// Samples of each channel.
    pub channels: Vec<Vec<f64>>,
    /// Sampling rate, shaft speed and geometry where known.
    pub meta: Meta,
    /// SHA-256 of the file's bytes (or of the samples, where there is no file).
    pub sha256: String,
}

/// A domain in memory. Classes are kept beside the signals, so that a function can be given the signals alone.
#[derive(Clone, Debug)]
pub struct DomainSignals {
    /// Name of the domain.
    pub name: String,
    /// Its recordings, sorted by file.
    pub signals: Vec<Signal>,
    /// Class of each recording, as a number into the corpus's classes.
    pub classes: Vec<Option<usize>>,
}

/// The recordings of a run.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// Name of the data set.
    pub name: String,
    /// All classes of the data set.
    pub classes: Vec<String>,
    /// Labelled domains.
    pub sources: Vec<DomainSignals>,
    /// Domains to carry the diagnosis to.
    pub targets: Vec<DomainSignals>,
    /// What the user should know about the data.
    pub warnings: Vec<String>,
}

/// Which recordings of a data set are wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Labelled domains.
    pub sources: Vec<String>,
    /// Other domains.
    pub targets: Vec<String>,
    /// Class globs for the sources.
    pub classes: Globs,
    /// File-name globs for the targets.
    pub target_recordings: Globs,
}

/// Globs of which some exclude: a name passes when it matches one that includes (or there is none) and none that excludes.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

impl Globs {
    /// From texts; a leading `!` excludes.
    ///
    /// # Errors
    /// A glob that does not parse; `flag` is named.
    pub fn new(texts: &[String], flag: &str) -> Result<Self> {
        let mut globs = Self::default();
        for text in texts {
            let (list, pattern) = match text.strip_prefix('!') {
                Some(rest) => (&mut globs.exclude, rest),
                None => (&mut globs.include, text.as_str()),
            };
            let glob = Glob::new(pattern).map_err(|e| Error::input(format!("--{flag}: {e}")))?;
            list.push(glob.compile_matcher());
        }
        Ok(globs)
    }

    /// Whether `name` passes.
    pub fn pass(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|g| g.is_match(name)))
            && !self.exclude.iter().any(|g| g.is_match(name))
    }
}

/// Opens a manifest or folder, with `$CROSSRIG_DATA` as the folder of data sets where it is set.
pub fn open(data: &Path, root: Option<&Path>, key: Option<&str>, channels: Option<&[String]>) -> Result<Dataset> {
    let options = OpenOptions {
        root: root.map(Path::to_owned),
        data_root: std::env::var_os("CROSSRIG_DATA").map(PathBuf::from),
        key: key.map(str::to_owned),
        channels: channels.map(<[String]>::to_vec),
        ..OpenOptions::default()
    };
    Dataset::open(data, &options).map_err(data_error)
}

/// An error of the data crates as one of this program.
pub fn data_error(e: signal_domains::Error) -> Error {
    Error::input(e.to_string())
}

/// Reads the selected recordings, several at a time, and looks them over.
///
/// # Errors
/// A domain that is not there, recordings that are absent or damaged, NaN or constant signals: all of them at once.
pub fn read(dataset: &Dataset, selection: &Selection, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Corpus> {
    let known: BTreeSet<&str> = dataset.recordings.iter().map(|r| r.domain.as_str()).collect();
    for name in selection.sources.iter().chain(&selection.targets) {
        if !known.contains(name.as_str()) {
            let list = known.iter().copied().collect::<Vec<_>>().join(", ");
            let hint = nearest(name, known.iter().copied())
                .map_or_else(|| format!("domains: {list}"), |n| format!("did you mean `{n}`? domains: {list}"));
            return Err(Error::input_with_hint(format!("no domain `{name}` in {}", dataset.name), hint));
        }
    }
    let mut warnings = dataset.warnings.clone();
    let mut chosen: Vec<(bool, &str, Vec<&RecordingEntry>)> = Vec::new();
    for (is_source, names) in [(true, &selection.sources), (false, &selection.targets)] {
        for name in names {
            let mut entries: Vec<&RecordingEntry> = dataset
                .recordings
                .iter()
                .filter(|r| r.domain == *name)
                .filter(|r| {
                    if is_source {
                        r.class.is_some_and(|c| selection.classes.pass(&dataset.classes[c]))
                    } else {
                        selection.target_recordings.pass(r.name())
                    }
                })
                .collect();
            entries.sort_by(|a, b| a.file.cmp(&b.file));
            if entries.is_empty() {
                return Err(Error::input_with_hint(
                    format!("no recording of domain `{name}` is left after the filters"),
                    "look at the domain with `crossrig inspect`, then at --classes and --target-recordings",
                ));
            }
            chosen.push((is_source, name, entries));
        }
    }

    let flat: Vec<&RecordingEntry> = chosen.iter().flat_map(|c| c.2.iter().copied()).collect();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let read: Vec<Result<Signal, String>> = flat
        .par_iter()
        .map(|entry| {
            let signal = read_one(entry);
            progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, flat.len());
            signal
        })
        .collect();
    let faults: Vec<String> = read.iter().filter_map(|r| r.as_ref().err().cloned()).collect();
    if !faults.is_empty() {
        let shown: Vec<String> = faults.iter().take(10).map(|f| format!("  {f}")).collect();
        let more = if faults.len() > 10 { format!("\n  and {} more", faults.len() - 10) } else { String::new() };
        return Err(Error::input_with_hint(
            format!("{} of {} recordings cannot be used:\n{}{more}", faults.len(), flat.len(), shown.join("\n")),
            "leave recordings of a target out with --target-recordings '!NAME', classes of a source with --classes '!NAME'",
        ));
    }
    let mut signals = read.into_iter().flatten();
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    for (is_source, name, entries) in chosen {
        let domain = DomainSignals {
            name: name.to_owned(),
            signals: signals.by_ref().take(entries.len()).collect(),
            classes: entries.iter().map(|e| e.class).collect(),
        };
        if is_source { sources.push(domain) } else { targets.push(domain) }
    }
    same_recordings(&sources, &targets)?;
    warnings.dedup();
    Ok(Corpus { name: dataset.name.clone(), classes: dataset.classes.clone(), sources, targets, warnings })
}

/// One recording, or what is wrong with it.
fn read_one(entry: &RecordingEntry) -> Result<Signal, String> {
    if entry.path.is_none() {
        return Err(format!("{}: the file is missing", entry.file));
    }
    let recording = entry.load().map_err(|e| e.to_string())?;
    let scan = recording.scan();
    if let Some(fault) = scan.fault() {
        return Err(format!("{}: {fault}", entry.file));
    }
    Ok(Signal {
        file: entry.file.clone(),
        unit: entry.unit.clone(),
        meta: Meta {
            rate_hz: recording.rate_hz,
            shaft_hz: recording.rpm.map(|rpm| rpm / 60.0),
            geometry: entry.geometry,
        },
        sha256: recording.sha256,
        channels: recording.channels,
    })
}

/// The same file in a source and in a target is no transfer.
fn same_recordings(sources: &[DomainSignals], targets: &[DomainSignals]) -> Result<()> {
    for source in sources {
        for target in targets {
            for s in &source.signals {
                if let Some(t) = target.signals.iter().find(|t| t.sha256 == s.sha256) {
                    return Err(Error::input(format!(
                        "{} (source `{}`) and {} (target `{}`) are the same recording",
                        s.file, source.name, t.file, target.name
                    )));
                }
            }
        }
    }
    Ok(())
}
