//! The recordings of a run: chosen, read and looked over before anything is trained. Those for which there is room are in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use globset::{Glob, GlobMatcher};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use signal_conditioning::Meta;
use signal_domains::{Dataset, Family, OpenOptions, RecordingEntry};

use crate::error::{Error, Result};
use crate::options::nearest;
use crate::room::{self, Room};
use crate::samples::Samples;

/// One recording, without its class.
#[derive(Clone, Debug)]
pub struct Signal {
    /// File as the manifest names it; with its channels where several recordings are in one (`all.h5#r1`).
    pub file: String,
    /// Physical machine or bearing.
    pub unit: Option<String>,
    /// Its samples.
    pub samples: Samples,
    /// Sampling rate, shaft speed and geometry where known.
    pub meta: Meta,
    /// SHA-256 of the file's bytes (or of the samples, where there is no file).
    pub sha256: String,
}

/// A domain. Classes are kept beside the signals, so that a function can be given the signals alone.
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

impl Corpus {
    /// SHA-256 over names and contents of the recordings, in an order of their own.
    pub fn digest(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for (role, domains) in [("source", &self.sources), ("target", &self.targets)] {
            for d in domains {
                let line = |s: &Signal| format!("{role}\t{}\t{}\t{}\n", d.name, s.file, s.sha256);
                lines.extend(d.signals.iter().map(line));
            }
        }
        lines.sort();
        let mut hash = Sha256::new();
        for line in &lines {
            hash.update(line.as_bytes());
        }
        hex(&hash.finalize())
    }

    /// What the user should know where recordings are not in memory.
    pub fn streams(&self) -> Option<String> {
        let signals = || self.sources.iter().chain(&self.targets).flat_map(|d| &d.signals);
        if signals().all(|s| s.samples.are_held()) {
            return None;
        }
        let samples: usize = signals().map(|s| s.samples.len() * s.samples.channels()).sum();
        let needed = (samples * size_of::<f64>()).div_ceil(1 << 20);
        Some(format!(
            "{needed} MB of samples are read from the files as they are wanted, since {} MB are held; {}={} holds all of them. \
             Packed text, gzip, MAT or NPZ files are slow to read in pieces: `crossrig pack` makes one file that is not",
            room::limit() >> 20,
            room::VARIABLE,
            2 * needed
        ))
    }
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
    let contents: Vec<Vec<Content>> = chosen
        .iter()
        .map(|(_, entries)| entries.iter().map(|e| Content::of(e)).collect())
        .collect();
    let mut domains = load(chosen, progress)?;
    let targets = domains.split_off(selection.sources.len());
    let (of_sources, of_targets) = contents.split_at(selection.sources.len());
    same_recordings((&domains, of_sources), (&targets, of_targets))?;
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

/// Reads chosen entries, several at a time; all faults are told at once. They are in memory all or none: what is read again and
/// again from files leaves the room to the rows made of it.
fn load(chosen: Chosen, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<DomainSignals>> {
    let flat: Vec<&RecordingEntry> = chosen.iter().flat_map(|c| c.1.iter().copied()).collect();
    let hold = may_fit(&flat);
    let done = AtomicUsize::new(0);
    // of files with many recordings, taken once
    let hashes: BTreeMap<&Path, OnceLock<Result<String, String>>> = flat
        .iter()
        .filter_map(|entry| Some((entry.path.as_deref()?, OnceLock::new())))
        .collect();
    let read: Vec<Result<Read, String>> = flat
        .par_iter()
        .map(|entry| {
            let read = read_one(entry, &hashes, hold);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, flat.len());
            read
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
    let all: Vec<Read> = read.into_iter().flatten().collect();
    let held = all.iter().all(|read| read.signal.samples.are_held());
    let mut signals = all.into_iter().map(|read| {
        let mut signal = read.signal;
        if !held {
            signal.samples = read.in_file;
        }
        signal
    });
    Ok(chosen
        .into_iter()
        .map(|(name, entries)| DomainSignals {
            name,
            signals: signals.by_ref().take(entries.len()).collect(),
            classes: entries.iter().map(|e| e.class).collect(),
        })
        .collect())
}

/// Whether recordings may fit in memory, by the length of some of them: what is read in vain leaves the heap larger than it
/// need be.
fn may_fit(entries: &[&RecordingEntry]) -> bool {
    /// Recordings that are opened for it, at most.
    const OPENED: usize = 16;
    let size = |entry: &&RecordingEntry| Some(std::fs::metadata(entry.path.as_ref()?).ok()?.len());
    let on_disk: u64 = entries.iter().filter_map(size).sum();
    if on_disk < room::limit() as u64 / 8 {
        return true;
    }
    let every = entries.len().div_ceil(OPENED).max(1);
    let bytes = |entry: &&RecordingEntry| {
        // what cannot be opened is told later
        let open = Samples::open(&Arc::new((*entry).clone())).ok()?;
        Some((open.len() * open.names.len() * size_of::<f64>()) as f64)
    };
    let some: Vec<f64> = entries.iter().step_by(every).filter_map(bytes).collect();
    let mean = some.iter().sum::<f64>() / some.len().max(1) as f64;
    mean * entries.len() as f64 <= room::limit() as f64
}

/// A recording that was looked over, and its samples where they are read when asked for.
struct Read {
    signal: Signal,
    in_file: Samples,
}

/// One recording, or what is wrong with it.
fn read_one(
    entry: &RecordingEntry,
    hashes: &BTreeMap<&Path, OnceLock<Result<String, String>>>,
    hold: bool,
) -> Result<Read, String> {
    let Some(path) = &entry.path else {
        return Err(format!("{}: the file is missing", entry.file));
    };
    let verify = || entry.verify().map_err(|e| e.to_string());
    // a pack has another one for each recording, and one that is stated is compared for each
    let shared = hashes.get(path.as_path());
    let sha256 = match shared.filter(|_| !entry.is_packed() && entry.sha256.is_empty()) {
        Some(known) => known.get_or_init(verify).clone()?,
        None => verify()?,
    };
    read_entry(entry, sha256, hold).map_err(|e| e.to_string())
}

fn read_entry(entry: &RecordingEntry, sha256: String, hold: bool) -> Result<Read> {
    let shared = Arc::new(entry.clone());
    let open = Samples::open(&shared).map_err(data_error)?;
    let bytes = open.len().saturating_mul(open.names.len() * size_of::<f64>());
    let in_file = Samples::in_file(&shared, &open);
    let (scan, samples) = match Room::take(bytes).filter(|_| hold) {
        Some(room) => {
            let recording = open.read_all(String::new()).map_err(data_error)?;
            (recording.scan(), Samples::in_memory(recording.channels, room))
        }
        None => (open.scan().map_err(data_error)?, in_file.clone()),
    };
    if let Some(fault) = scan.fault() {
        return Err(Error::input(format!("{}: {fault}", entry.file)));
    }
    let signal = Signal {
        file: entry.file.clone(),
        unit: entry.unit.clone(),
        meta: Meta {
            rate_hz: open.rate_hz,
            shaft_hz: entry.rpm.map(|rpm| rpm / 60.0),
            geometry: entry.geometry,
        },
        sha256,
        samples,
    };
    Ok(Read { signal, in_file })
}

/// A recording that stands in no data set; nothing but its rate, where it states one, is known of it.
///
/// # Errors
/// A file that cannot be read, NaN or a constant signal.
pub fn read_file(path: &Path, keys: &[String]) -> Result<Signal> {
    let entry = RecordingEntry::of_file(path, keys);
    let sha256 = entry.verify().map_err(data_error)?;
    Ok(read_entry(&entry, sha256, true)?.signal)
}

/// Where in which file a recording is, for telling whether two of equal files are the same.
struct Content {
    file: String,
    keys: Vec<String>,
}

impl Content {
    fn of(entry: &RecordingEntry) -> Self {
        Self {
            file: entry.file.clone(),
            keys: entry.channel_keys(),
        }
    }

    /// The file without the stretch (`run.csv[0..5000]`) or the channels (`all.h5#r1`) of it that a recording is.
    fn whole(&self) -> &str {
        let stretch = self.file.strip_suffix(']').and_then(|f| f.rsplit_once('['));
        let file = stretch
            .filter(|(_, s)| s.contains(".."))
            .map_or(self.file.as_str(), |s| s.0);
        let channels = format!("#{}", self.keys.join("+"));
        file.strip_suffix(&channels).unwrap_or(file)
    }

    /// Whether these are two parts of one file, which has the same bytes for both.
    fn other_part(&self, other: &Self) -> bool {
        self.whole() == other.whole() && (&self.file, &self.keys) != (&other.file, &other.keys)
    }
}

/// The same recording in a source and in a target is no transfer.
fn same_recordings(
    (sources, of_sources): (&[DomainSignals], &[Vec<Content>]),
    (targets, of_targets): (&[DomainSignals], &[Vec<Content>]),
) -> Result<()> {
    let mut by_hash: HashMap<&str, Vec<(&DomainSignals, &Signal, &Content)>> = HashMap::new();
    for (target, contents) in targets.iter().zip(of_targets) {
        for (t, content) in target.signals.iter().zip(contents) {
            by_hash.entry(&t.sha256).or_default().push((target, t, content));
        }
    }
    for (source, contents) in sources.iter().zip(of_sources) {
        for (s, content) in source.signals.iter().zip(contents) {
            let equal = by_hash.get(s.sha256.as_str()).into_iter().flatten();
            for (target, t, other) in equal {
                if !content.other_part(other) {
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

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}
