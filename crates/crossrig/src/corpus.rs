//! The recordings of a run in memory: chosen, read and looked over before anything is trained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use globset::{Glob, GlobMatcher};
use rayon::prelude::*;
use signal_conditioning::Meta;
use signal_domains::{Dataset, Family, OpenOptions, RecordingEntry, load_file};

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
    /// What each of them damages, where the data set says it.
    pub families: Vec<Option<Family>>,
    /// Labelled domains.
    pub sources: Vec<DomainSignals>,
    /// Domains to carry the diagnosis to.
    pub targets: Vec<DomainSignals>,
    /// Variable, column or dataset of each channel, for reading further files alike.
    pub channel_keys: Vec<String>,
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
    match e {
        signal_domains::Error::Machine { .. } => Error::Machine(e.to_string()),
        _ => Error::input(e.to_string()),
    }
}

/// Reads the selected recordings, several at a time, and looks them over.
///
/// # Errors
/// A domain that is not there, recordings that are absent or damaged, NaN or constant signals: all of them at once.
pub fn read(dataset: &Dataset, selection: &Selection, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Corpus> {
    let labelled = |r: &RecordingEntry| r.class.is_some_and(|c| selection.classes.pass(&dataset.classes[c]));
    let by_name = |r: &RecordingEntry| selection.target_recordings.pass(r.name());
    let mut chosen = choose(dataset, &selection.sources, &labelled)?;
    chosen.extend(choose(dataset, &selection.targets, &by_name)?);
    let channel_keys = chosen
        .first()
        .map(|(_, entries)| entries[0].channel_keys())
        .unwrap_or_default();
    let mut domains = load(chosen, progress)?;
    let targets = domains.split_off(selection.sources.len());
    same_recordings(&domains, &targets)?;
    Ok(Corpus {
        name: dataset.name.clone(),
        classes: dataset.classes.clone(),
        families: dataset.families.clone(),
        sources: domains,
        targets,
        channel_keys,
        warnings: dataset.warnings.clone(),
    })
}

/// Reads those recordings of some domains that `wanted` accepts.
///
/// # Errors
/// As [`read`].
pub fn read_domains(
    dataset: &Dataset,
    names: &[String],
    wanted: impl Fn(&RecordingEntry) -> bool,
) -> Result<Vec<DomainSignals>> {
    load(choose(dataset, names, &wanted)?, &|_, _| {})
}

type Chosen<'a> = Vec<(String, Vec<&'a RecordingEntry>)>;

/// The entries of each domain that `wanted` accepts, sorted by file.
fn choose<'a>(dataset: &'a Dataset, names: &[String], wanted: &dyn Fn(&RecordingEntry) -> bool) -> Result<Chosen<'a>> {
    let known: BTreeSet<&str> = dataset.recordings.iter().map(|r| r.domain.as_str()).collect();
    names
        .iter()
        .map(|name| {
            if !known.contains(name.as_str()) {
                let list = known.iter().copied().collect::<Vec<_>>().join(", ");
                let hint = nearest(name, known.iter().copied()).map_or_else(
                    || format!("domains: {list}"),
                    |n| format!("did you mean `{n}`? domains: {list}"),
                );
                return Err(Error::input_with_hint(
                    format!("no domain `{name}` in {}", dataset.name),
                    hint,
                ));
            }
            let mut entries: Vec<&RecordingEntry> = dataset
                .recordings
                .iter()
                .filter(|r| r.domain == *name && wanted(r))
                .collect();
            entries.sort_by(|a, b| a.file.cmp(&b.file));
            if entries.is_empty() {
                return Err(Error::input_with_hint(
                    format!("no recording of domain `{name}` is left after the filters"),
                    "look at the domain with `crossrig inspect`, then at --classes and --target-recordings",
                ));
            }
            Ok((name.clone(), entries))
        })
        .collect()
}

/// Reads chosen entries, several at a time; all faults are told at once.
fn load(chosen: Chosen, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<DomainSignals>> {
    let flat: Vec<&RecordingEntry> = chosen.iter().flat_map(|c| c.1.iter().copied()).collect();
    let done = AtomicUsize::new(0);
    let read: Vec<Result<Signal, String>> = flat
        .par_iter()
        .map(|entry| {
            let signal = read_one(entry);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, flat.len());
            signal
        })
        .collect();
    let faults: Vec<&String> = read.iter().filter_map(|r| r.as_ref().err()).collect();
    if !faults.is_empty() {
        let shown: Vec<String> = faults.iter().take(10).map(|f| format!("  {f}")).collect();
        let more = if faults.len() > 10 {
            format!("\n  and {} more", faults.len() - 10)
        } else {
            String::new()
        };
        return Err(Error::input_with_hint(
            format!(
                "{} of {} recordings cannot be used:\n{}{more}",
                faults.len(),
                flat.len(),
                shown.join("\n")
            ),
            "leave recordings of a target out with --target-recordings '!NAME', classes of a source with --classes '!NAME'",
        ));
    }
    let mut signals = read.into_iter().flatten();
    Ok(chosen
        .into_iter()
        .map(|(name, entries)| DomainSignals {
            name,
            signals: signals.by_ref().take(entries.len()).collect(),
            classes: entries.iter().map(|e| e.class).collect(),
        })
        .collect())
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

/// A recording that stands in no data set; nothing but its rate, where it states one, is known of it.
///
/// # Errors
/// A file that cannot be read, NaN or a constant signal.
pub fn read_file(path: &Path, keys: &[String]) -> Result<Signal> {
    let recording = load_file(path, keys).map_err(data_error)?;
    if let Some(fault) = recording.scan().fault() {
        return Err(Error::input(format!("{}: {fault}", path.display())));
    }
    Ok(Signal {
        file: path.display().to_string(),
        unit: None,
        meta: Meta {
            rate_hz: recording.rate_hz,
            ..Meta::default()
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
