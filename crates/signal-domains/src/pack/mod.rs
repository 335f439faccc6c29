//! Any data set as one file, HDF5 or Parquet.
//!
//! The layout, for those who open the file without this crate. HDF5: data set `/recordings/<domain>/<file>/<channel>` holds the
//! samples of one channel of one recording, in the narrowest type that loses no bit; its attributes are the keys of
//! the module [`layout`]. `/classes` are the names of the classes, of which attribute `label` is the number.
//!
//! Parquet: a row a channel of a recording, and a row group of its own. Column `samples` holds its samples as a list of
//! 64-bit floats, `path` what the data set's path would be, the other columns what would be its attributes. What is said of
//! the file, and `classes` and `families` as JSON, are the keys of the file.
//!
//! Files of windows are laid out as the module [`windows`] says.

pub(crate) mod layout;
mod sink;
pub(crate) mod windowed;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::{Attribute, Dataset, RecordingEntry};
use crate::error::{Error, Result};
use crate::formats::hdf5::{MOST_ATTRIBUTES, MOST_TEXT};
use crate::recording::Recording;
pub use windows::{Cut, pack_windows};

/// What [`pack`] wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Recordings.
    pub recordings: usize,
    /// Samples, of all channels; those that are in two windows count twice.
    pub samples: u64,
    /// Windows; 0 where recordings were packed.
    pub windows: usize,
    /// Samples, of all channels, that are in no window: ends, and recordings that are shorter than a window.
    pub left_out: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the files that it was packed from.
    pub bytes_before: u64,
}

/// What [`pack_as`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackFormat {
    /// One chunked, compressed HDF5 file, for h5py, MATLAB and others.
    #[default]
    Hdf5,
    /// One compressed Parquet file, for pandas, polars and others. Needs feature `parquet`.
    Parquet,
}

/// Writes a data set into one chunked, compressed HDF5 file, which [`Dataset::open`] opens without a manifest, with the
/// same recordings, domains, classes and bits of every sample; h5py, MATLAB and others read it too.
///
/// One recording at a time is in memory. The file appears under its name when it is whole and on the disk, or not at
/// all. `progress` is told how many recordings are done.
///
/// Errors: `out` is there already; a recording is absent or cannot be read (nothing is packed then: remove it from
/// [`Dataset::recordings`] to go without it); an attribute's text is longer than 512 characters, or there are more than
/// 40 attributes; the machine fails.
///
/// ```
/// use signal_domains::{Dataset, OpenOptions, pack};
/// # let dir = tempfile::tempdir()?;
/// # let folder = dir.path().join("lab");
/// # std::fs::create_dir_all(folder.join("pump-1/worn"))?;
/// # std::fs::write(folder.join("pump-1/worn/monday.csv"), "1.5\n2\n3\n")?;
/// # let out = dir.path().join("lab.h5");
/// let packed = pack(&Dataset::open(&folder, &OpenOptions::default())?, &out, &mut |_| {})?;
/// assert_eq!(packed.samples, 3);
/// let dataset = Dataset::open(&out, &OpenOptions::default())?;
/// assert_eq!(dataset.recordings[0].load()?.channels[0], [1.5, 2.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(dataset: &Dataset, out: &Path, progress: &mut dyn FnMut(usize)) -> Result<Packed> {
    pack_as(PackFormat::Hdf5, dataset, out, progress)
}

/// Writes a data set as [`pack`] does, into a file of the format that is asked for. [`Dataset::open`] opens either.
///
/// Errors: those of [`pack`]; this build does not write the format; for Parquet, an attribute that is of one type in one
/// recording and of another in the next.
pub fn pack_as(format: PackFormat, dataset: &Dataset, out: &Path, progress: &mut dyn FnMut(usize)) -> Result<Packed> {
    check(dataset, out)?;
    let beside = Beside::of(out)?;
    let mut writer = sink::create(format, &beside.path, dataset)?;
    describe(&mut *writer, dataset, layout::VERSION_NOW)?;
    let mut done = Packed::default();
    let mut groups = BTreeSet::new();
    let mut files = BTreeSet::new();
    for entry in &dataset.recordings {
        let recording = entry.load()?;
        let group = layout::group(entry, &mut groups);
        let names = layout::channel_names(entry, &recording);
        let stated = channel_attributes(dataset, entry, &recording)?;
        for ((name, samples), stated) in names.iter().zip(recording.channels).zip(stated) {
            done.samples += samples.len() as u64;
            writer.signal(&group, name, samples, stated)?;
        }
        done.bytes_before += size_once(entry, &mut files)?;
        done.recordings += 1;
        progress(done.recordings);
    }
    writer.finish()?;
    done.bytes = beside.publish(out)?;
    Ok(done)
}

/// Whether there is something to pack, and room for it.
fn check(dataset: &Dataset, out: &Path) -> Result<()> {
    if out.exists() {
        return Err(Error::Argument(format!(
            "{} is there already, and is not overwritten; name a new file",
            out.display()
        )));
    }
    if dataset.recordings.is_empty() {
        return Err(Error::Argument("no recordings to pack".into()));
    }
    Ok(())
}

/// Bytes of a recording's file, the first time that it is met.
fn size_once<'a>(entry: &'a RecordingEntry, met: &mut BTreeSet<&'a Path>) -> Result<u64> {
    match entry.path.as_deref().filter(|path| met.insert(path)) {
        Some(path) => Ok(fs::metadata(path).map_err(|e| Error::io(path, e))?.len()),
        None => Ok(0),
    }
}

/// States what is said of the file as a whole, and its classes.
fn describe(writer: &mut dyn sink::Sink, dataset: &Dataset, version: &str) -> Result<()> {
    for (name, value) in head(dataset, version) {
        writer.state(name, &value)?;
    }
    if !dataset.classes.is_empty() {
        let classes: Vec<&str> = dataset.classes.iter().map(String::as_str).collect();
        writer.texts(layout::CLASSES, &classes)?;
        let families: Vec<&str> = dataset.families.iter().map(|f| layout::family_name(*f)).collect();
        writer.texts(layout::FAMILIES, &families)?;
    }
    Ok(())
}

/// What the file says of itself.
fn head(dataset: &Dataset, version: &str) -> Vec<(&'static str, String)> {
    let mut head = vec![
        (layout::FORMAT, layout::FORMAT_NAME.to_owned()),
        (layout::VERSION, version.to_owned()),
        (layout::NAME, dataset.name.clone()),
    ];
    let stated = [(layout::SOURCE, &dataset.source), (layout::LICENCE, &dataset.licence)];
    head.extend(stated.into_iter().filter_map(|(key, text)| Some((key, text.clone()?))));
    head
}

/// What is said of each channel of a recording.
fn channel_attributes(
    dataset: &Dataset,
    entry: &RecordingEntry,
    recording: &Recording,
) -> Result<Vec<BTreeMap<String, Attribute>>> {
    let common = attributes(dataset, entry, recording)?;
    let of = |number: usize| {
        let text = |text: &str| Attribute::Text(text.to_owned());
        let mut stated = common.clone();
        stated.insert(layout::CHANNEL.into(), text(&entry.channels[number].name));
        stated.insert(layout::CHANNEL_NUMBER.into(), Attribute::Number(number as f64 + 1.0));
        stated.insert(layout::VARIABLE.into(), text(&recording.names[number]));
        if let Some(unit) = &recording.units[number] {
            stated.insert(layout::UNITS.into(), text(unit));
        }
        stated
    };
    Ok((0..recording.channels.len()).map(of).collect())
}

/// What is said of all channels of a recording.
fn attributes(dataset: &Dataset, entry: &RecordingEntry, recording: &Recording) -> Result<BTreeMap<String, Attribute>> {
    let text = |text: &str| Some(Attribute::Text(text.to_owned()));
    let number = |number: Option<f64>| number.map(Attribute::Number);
    let class = entry.class.map(|class| dataset.classes[class].as_str());
    let own = [
        (layout::FILE, text(&entry.file)),
        (layout::DOMAIN, text(&entry.domain)),
        (layout::CLASS, class.and_then(text)),
        (layout::LABEL, number(entry.class.map(|class| class as f64))),
        (layout::UNIT_ID, entry.unit.as_deref().and_then(text)),
        (layout::RPM, number(entry.rpm)),
        (layout::RATE_HZ, number(recording.rate_hz)),
        (layout::SHA256, text(&recording.sha256)),
    ];
    let orders = entry.geometry.iter().flat_map(|g| {
        let orders = layout::ORDERS.into_iter().zip([g.bpfi, g.bpfo, g.bsf, g.ftf]);
        orders.map(|(name, order)| (name.to_owned(), Attribute::Number(order)))
    });
    let others = entry
        .attributes
        .iter()
        .map(|(name, value)| (format!("{}{name}", layout::OTHERS), value.clone()));
    let all: BTreeMap<String, Attribute> = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .chain(orders)
        .chain(others)
        .collect();
    let refused = |what: String| Err(Error::Argument(format!("{}: {what}", entry.file)));
    // those of the channel, and a few to come
    if all.len() > MOST_ATTRIBUTES - 8 {
        return refused(format!(
            "{} attributes are more than can be packed; leave some out",
            entry.attributes.len()
        ));
    }
    for (name, value) in &all {
        if let Attribute::Text(text) = value
            && (text.chars().count() > MOST_TEXT || text.contains('\0'))
        {
            return refused(format!(
                "{name} is a text of more than {MOST_TEXT} characters, or has a zero character; shorten it"
            ));
        }
    }
    Ok(all)
}

/// A file beside the one that is wanted, which takes its place when it is whole; removed where it never is.
struct Beside {
    path: PathBuf,
}

impl Beside {
    fn of(out: &Path) -> Result<Self> {
        let Some(name) = out.file_name() else {
            return Err(Error::Argument(format!("{} is no name of a file", out.display())));
        };
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        Ok(Self {
            path: out.with_file_name(name),
        })
    }

    /// Its size.
    fn publish(self, out: &Path) -> Result<u64> {
        let error = |e| Error::io(out, e);
        let file = fs::File::open(&self.path).map_err(error)?;
        file.sync_all().map_err(error)?;
        let bytes = file.metadata().map_err(error)?.len();
        fs::rename(&self.path, out).map_err(error)?;
        #[cfg(unix)]
        {
            // the name itself is on the disk once its folder is
            let folder = out.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
            fs::File::open(folder).and_then(|f| f.sync_all()).map_err(error)?;
        }
        Ok(bytes)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // published: it is not there any more
        let _ = fs::remove_file(&self.path);
    }
}
