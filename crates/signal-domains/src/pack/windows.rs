//! Any data set as one file of windows, for those who train by other programs.
//!
//! HDF5: `/x` is (window, channel, sample), a chunk for each window (or for as many short ones as make 1024 samples), in the
//! narrowest type that loses no bit of any recording. `/y` is the class of each window (-1: none), `/domain`, `/unit` (-1: none) and
//! `/recording` are its domain, unit and recording, `/start` its first sample in its recording; the numbers mean the texts
//! of `/classes`, `/domains`, `/unit_ids` and `/recording_paths`. `/channels` names the channels. Of each recording
//! `/recordings/<domain>/<file>/<channel>` is what it is in a file of recordings, attributes and all, but holds the numbers of the
//! recording's windows in place of its samples.
//!
//! Windows of a recording cover it without a gap, so that such a file opens here as the recordings that it was made of, up to
//! the ends that filled no window: a split is of stretches of time, as ever, and cannot tear windows that overlap apart.
//!
//! Parquet: a row a window. Column `samples` is a list of its samples, channel after channel; `recording` and `start` are as above;
//! the others are as in a file of recordings. Keys `window`, `hop` and `channels` (JSON) state the rest. Such a table does not
//! open here as a data set: it would be a million variables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Beside, PackFormat, Packed, channel_attributes, check, describe, layout, size_once};
use crate::dataset::{Attribute, Dataset, RecordingEntry};
use crate::error::{Error, Result};
use crate::formats::hdf5::{Hdf5Windows, Hdf5Writer, Narrowest};
use crate::recording::Recording;

/// How recordings are cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Samples of a window.
    pub window: usize,
    /// Samples from one window's start to the next, at most a window.
    pub hop: usize,
}

impl Cut {
    fn starts(self, samples: usize) -> Vec<usize> {
        match samples.checked_sub(self.window) {
            Some(last) => (0..=last).step_by(self.hop).collect(),
            None => Vec::new(),
        }
    }

    /// Samples that `windows` windows cover.
    pub(super) fn covered(self, windows: usize) -> usize {
        match windows {
            0 => 0,
            n => (n - 1).saturating_mul(self.hop).saturating_add(self.window),
        }
    }
}

/// Writes a data set as windows into one file: for PyTorch and others, `f["x"][i]` and `f["y"][i]`, each window one cheap read.
/// An HDF5 file opens by [`Dataset::open`] too, as the recordings that the windows were cut from.
///
/// Each recording is read twice (for HDF5: the type that fits all is sought first), and one at a time is in memory; ends that fill
/// no window are left out and counted. The file appears when it is whole, as by [`pack`](super::pack).
///
/// Errors: those of [`pack_as`](super::pack_as); a window or a hop of 0, a hop above the window (samples between windows would
/// be lost); recordings with other channels than the first; no recording as long as a window.
///
/// ```
/// use signal_domains::{Cut, Dataset, OpenOptions, PackFormat, pack_windows};
/// # let dir = tempfile::tempdir()?;
/// # let folder = dir.path().join("lab");
/// # std::fs::create_dir_all(folder.join("pump-1/worn"))?;
/// # std::fs::write(folder.join("pump-1/worn/monday.csv"), "1.5\n2\n3\n4\n5\n")?;
/// # let out = dir.path().join("lab.h5");
/// let dataset = Dataset::open(&folder, &OpenOptions::default())?;
/// let packed = pack_windows(PackFormat::Hdf5, &dataset, Cut { window: 2, hop: 1 }, &out, &mut |_| {})?;
/// assert_eq!((packed.windows, packed.left_out), (4, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack_windows(
    format: PackFormat,
    dataset: &Dataset,
    cut: Cut,
    out: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<Packed> {
    if cut.window == 0 || cut.hop == 0 || cut.hop > cut.window {
        return Err(Error::Argument(format!(
            "windows of {} samples every {} samples: expected at least 1 of each, and no gaps between windows (a hop of at most \
             the window)",
            cut.window, cut.hop
        )));
    }
    check(dataset, out)?;
    let channels: Vec<&str> = dataset.recordings[0].channels.iter().map(|c| c.name.as_str()).collect();
    if let Some(other) = dataset
        .recordings
        .iter()
        .find(|r| !r.channels.iter().map(|c| &c.name).eq(&channels))
    {
        let names: Vec<&str> = other.channels.iter().map(|c| c.name.as_str()).collect();
        return Err(Error::Argument(format!(
            "{} has channels {names:?}, {} has {channels:?}, and windows have the same; name those that all have",
            other.file, dataset.recordings[0].file
        )));
    }
    let beside = Beside::of(out)?;
    let mut sink: Box<dyn WindowSink> = match format {
        PackFormat::Hdf5 => Box::new(hdf5(&beside.path, dataset, &channels, cut)?),
        #[cfg(feature = "parquet")]
        PackFormat::Parquet => Box::new(parquet::create(&beside.path, dataset, &channels, cut)?),
        #[cfg(not(feature = "parquet"))]
        PackFormat::Parquet => return Err(super::sink::no_parquet()),
    };
    let mut done = Packed::default();
    let mut groups = BTreeSet::new();
    let mut files = BTreeSet::new();
    for entry in &dataset.recordings {
        let recording = entry.load()?;
        let cut_up = Recorded {
            number: done.recordings,
            group: layout::group(entry, &mut groups),
            names: layout::channel_names(entry, &recording),
            stated: channel_attributes(dataset, entry, &recording)?,
            starts: cut.starts(recording.len()),
            length: cut.window,
            entry,
            recording: &recording,
        };
        let windows = cut_up.starts.len();
        sink.add(&cut_up)?;
        done.windows += windows;
        done.samples += (windows * cut.window * channels.len()) as u64;
        done.left_out += ((recording.len() - cut.covered(windows)) * channels.len()) as u64;
        done.bytes_before += size_once(entry, &mut files)?;
        done.recordings += 1;
        progress(done.recordings);
    }
    if done.windows == 0 {
        return Err(Error::Argument(format!(
            "no recording is as long as a window of {} samples; take shorter windows",
            cut.window
        )));
    }
    sink.finish()?;
    done.bytes = beside.publish(out)?;
    Ok(done)
}

/// A recording that is cut.
struct Recorded<'a> {
    number: usize,
    /// Its group, and the names of its channels there.
    group: String,
    names: Vec<String>,
    /// What is said of each channel.
    stated: Vec<BTreeMap<String, Attribute>>,
    starts: Vec<usize>,
    length: usize,
    entry: &'a RecordingEntry,
    recording: &'a Recording,
}

impl Recorded<'_> {
    /// The window from `start`, channel by channel.
    fn window(&self, start: usize) -> impl Iterator<Item = &[f64]> {
        let channels = self.recording.channels.iter();
        channels.map(move |samples| &samples[start..start + self.length])
    }
}

trait WindowSink {
    fn add(&mut self, recorded: &Recorded<'_>) -> Result<()>;
    fn finish(self: Box<Self>) -> Result<()>;
}

struct Hdf5Sink<'a> {
    file: Hdf5Writer,
    x: Hdf5Windows,
    domains: Vec<&'a str>,
    units: Vec<&'a str>,
    paths: Vec<String>,
    /// Of each window, in the order of [`PER_WINDOW`].
    per_window: [Vec<i64>; 5],
}

const PER_WINDOW: [&str; 5] = [
    layout::Y,
    layout::DOMAIN_NUMBER,
    layout::UNIT_NUMBER,
    layout::RECORDING_NUMBER,
    layout::START,
];

fn hdf5<'a>(path: &Path, dataset: &'a Dataset, channels: &[&str], cut: Cut) -> Result<Hdf5Sink<'a>> {
    let mut narrowest = Narrowest::default();
    let mut windows = 0;
    let mut rates = Vec::new();
    for entry in &dataset.recordings {
        let recording = entry.load()?;
        let starts = cut.starts(recording.len()).len();
        for samples in &recording.channels {
            narrowest.see(&samples[..cut.covered(starts)]);
        }
        windows += starts;
        rates.push(recording.rate_hz);
    }
    let mut file = Hdf5Writer::create(path)?;
    describe(&mut file, dataset, layout::VERSION_OF_WINDOWS)?;
    file.texts(layout::CHANNELS, channels)?;
    let mut stated = BTreeMap::from([(layout::HOP.to_owned(), Attribute::Number(cut.hop as f64))]);
    if let [Some(rate), others @ ..] = &rates[..]
        && others.iter().all(|other| *other == Some(*rate))
    {
        stated.insert(layout::RATE_HZ.into(), Attribute::Number(*rate));
    }
    let x = file.windows(
        layout::X,
        [windows, channels.len(), cut.window],
        narrowest.stored(),
        &stated,
    )?;
    let domains: BTreeSet<&str> = dataset.recordings.iter().map(|r| r.domain.as_str()).collect();
    let units: BTreeSet<&str> = dataset.recordings.iter().filter_map(|r| r.unit.as_deref()).collect();
    Ok(Hdf5Sink {
        file,
        x,
        domains: domains.into_iter().collect(),
        units: units.into_iter().collect(),
        paths: Vec::new(),
        per_window: Default::default(),
    })
}

impl WindowSink for Hdf5Sink<'_> {
    fn add(&mut self, recorded: &Recorded<'_>) -> Result<()> {
        let first = self.per_window[0].len();
        let numbers: Vec<i64> = (first..first + recorded.starts.len()).map(|n| n as i64).collect();
        for (name, stated) in recorded.names.iter().zip(&recorded.stated) {
            self.file.numbers(&recorded.group, name, &numbers, stated)?;
        }
        let place = |names: &[&str], name: Option<&str>| {
            let found = name.and_then(|name| names.binary_search(&name).ok());
            found.map_or(-1, |place| place as i64)
        };
        let entry = recorded.entry;
        let class = entry.class.map_or(-1, |class| class as i64);
        let domain = place(&self.domains, Some(&entry.domain));
        let unit = place(&self.units, entry.unit.as_deref());
        for &start in &recorded.starts {
            self.x.add(recorded.window(start))?;
            let said = [class, domain, unit, recorded.number as i64, start as i64];
            self.per_window.iter_mut().zip(said).for_each(|(all, n)| all.push(n));
        }
        self.paths.push(recorded.group.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.x.finish()?;
        for (name, numbers) in PER_WINDOW.into_iter().zip(&self.per_window) {
            self.file.integers(name, numbers)?;
        }
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        for (name, texts) in [
            (layout::DOMAINS, &self.domains),
            (layout::UNIT_NAMES, &self.units),
            (layout::PATHS, &paths),
        ] {
            if !texts.is_empty() {
                self.file.texts(name, texts)?;
            }
        }
        self.file.finish()
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use std::path::Path;

    use super::{Cut, Recorded, WindowSink, describe, layout};
    use crate::dataset::{Attribute, Dataset};
    use crate::error::Result;
    use crate::formats::parquet::{Kind, ParquetWriter, Row};
    use crate::pack::sink;

    /// Samples of a row group at most, unless one window is longer.
    const GROUP: usize = 1 << 20;
    const COLUMNS: [(&str, Kind); 11] = [
        (layout::RECORDING_NUMBER, Kind::Numbers),
        (layout::START, Kind::Numbers),
        (layout::DOMAIN, Kind::Texts),
        (layout::FILE, Kind::Texts),
        (layout::CLASS, Kind::Texts),
        (layout::LABEL, Kind::Numbers),
        (layout::UNIT_ID, Kind::Texts),
        (layout::RPM, Kind::Numbers),
        (layout::RATE_HZ, Kind::Numbers),
        (layout::VARIABLE, Kind::Texts),
        (layout::UNITS, Kind::Texts),
    ];

    pub(super) fn create(path: &Path, dataset: &Dataset, channels: &[&str], cut: Cut) -> Result<ParquetWriter> {
        let mut file = sink::parquet::create(path, dataset, &COLUMNS)?;
        describe(&mut file, dataset, layout::VERSION_OF_WINDOWS)?;
        file.state("window", &cut.window.to_string());
        file.state(layout::HOP, &cut.hop.to_string());
        file.state(layout::CHANNELS, &serde_json::json!(channels).to_string());
        Ok(file)
    }

    impl WindowSink for ParquetWriter {
        fn add(&mut self, recorded: &Recorded<'_>) -> Result<()> {
            let Some(mut stated) = recorded.stated.first().cloned() else {
                return Ok(());
            };
            // what differs from channel to channel, one after the other
            for key in [layout::VARIABLE, layout::UNITS] {
                let of = |channel: &std::collections::BTreeMap<String, Attribute>| match channel.get(key) {
                    Some(Attribute::Text(text)) => text.clone(),
                    _ => String::new(),
                };
                let all: Vec<String> = recorded.stated.iter().map(of).collect();
                if all.iter().any(|text| !text.is_empty()) {
                    stated.insert(key.into(), Attribute::Text(all.join(",")));
                }
            }
            let number = Attribute::Number(recorded.number as f64);
            stated.insert(layout::RECORDING_NUMBER.into(), number);
            let window = recorded.length * recorded.recording.channels.len();
            for starts in recorded.starts.chunks((GROUP / window).max(1)) {
                let rows: Vec<_> = starts
                    .iter()
                    .map(|&start| {
                        let mut stated = stated.clone();
                        stated.insert(layout::START.into(), Attribute::Number(start as f64));
                        (recorded.window(start).collect::<Vec<_>>().concat(), stated)
                    })
                    .collect();
                let rows: Vec<Row<'_>> = rows.iter().map(|(samples, values)| Row { samples, values }).collect();
                self.rows(&rows)?;
            }
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<()> {
            ParquetWriter::finish(*self)
        }
    }
}
