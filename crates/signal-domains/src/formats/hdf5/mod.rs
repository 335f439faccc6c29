//! HDF5 files and MAT files of version 7.3, which are HDF5. All use of the HDF5 crate is in this module.
//!
//! In a MAT file structs and cells have the names that they have in level 5 (`bearing.gs`, `run.Y(2).Data`,
//! `parts{3}`), so that a key fits both; elsewhere a data set has its path. No other file is opened: external links,
//! external and virtual data sets are refused.

#[cfg(feature = "hdf5-c")]
pub(super) mod c;
mod caught;
mod listing;
mod place;
mod write;

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use rust_hdf5::{DatatypeMessage, H5Dataset, H5File, Hdf5Error};

use self::caught::caught;
use self::listing::Walk;
pub(crate) use self::listing::{MOST_ATTRIBUTES, MOST_TEXT};
pub(crate) use self::write::{Hdf5Windows, Hdf5Writer, Narrowest, Samples};
use super::listing::{Full, Listing};
use super::numbers::{Endian, Number};
use super::source::Source;
use super::stream::Stream;
use super::{ByChannel, Limits, Order, Out, Reader, Sample, Variable};
use crate::error::{Error, Place, Result};
use crate::select::Chosen;

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Whether the signature stands at byte 0 or after a user block of 512 bytes or a power of two times that.
pub(crate) fn is_hdf5(head: &[u8]) -> bool {
    std::iter::once(0)
        .chain((9..=16).map(|p| 1 << p))
        .any(|at| head.get(at..at + SIGNATURE.len()) == Some(&SIGNATURE[..]))
}

/// An open HDF5 file and the list of its data sets.
pub(crate) struct Hdf5File {
    /// The file too: what lies in it as it is wanted is read from here.
    source: Source,
    file: H5File,
    listing: Listing<Spot>,
    /// The most bytes, hence numbers, that a data set of this file can hold.
    most_bytes: u64,
}

/// Where a variable's numbers are.
enum Spot {
    /// Nowhere that is read.
    None,
    /// In a data set.
    Whole(Whole),
    /// In a member of the records of a data set: its offset, and how many numbers it is.
    Member {
        path: String,
        offset: usize,
        width: usize,
        number: Number,
        endian: Endian,
    },
}

/// A data set of numbers.
struct Whole {
    path: String,
    kind: Kind,
    /// How they are stored, where the crate's name for that is one of ours.
    stored: Option<(Number, Endian)>,
    /// The bytes of the file that they are, if they lie there one after the other; looked up when it is first read.
    place: OnceLock<Option<Range<u64>>>,
    /// Opened when it is first read: finding it by its path costs more than reading a window.
    open: OnceLock<H5Dataset>,
}

impl Whole {
    fn new(path: &str, kind: Kind, datatype: &DatatypeMessage) -> Self {
        let stored = listing::number(datatype);
        // floats of another layout than IEEE 754's are for the crate to refuse
        let is_plain = |(number, _): &(Number, Endian)| {
            !matches!(number, Number::F16 | Number::F32 | Number::F64) || datatype.ieee_format().is_some()
        };
        Self {
            path: path.to_owned(),
            kind,
            stored: stored.filter(is_plain),
            place: OnceLock::new(),
            open: OnceLock::new(),
        }
    }

    fn open(&self, file: &H5File) -> rust_hdf5::Result<&H5Dataset> {
        if let Some(open) = self.open.get() {
            return Ok(open);
        }
        let dataset = file.dataset(&self.path)?;
        Ok(self.open.get_or_init(|| dataset))
    }
}

/// How the numbers of a data set are converted.
#[derive(Clone, Copy)]
enum Kind {
    Signed,
    Unsigned,
    Float,
    /// True and false as an enumeration of bytes.
    Flag,
}

impl Hdf5File {
    pub(crate) fn open(source: Source, limits: &Limits) -> Result<Self> {
        if source.in_memory() {
            return Err(source.unsupported("HDF5 data in memory; write them to a file and open that"));
        }
        let path = source.path().to_owned();
        caught(|| Self::opened(source, limits)).unwrap_or_else(|e| Err(unopened(&path, &e)))
    }

    fn opened(source: Source, limits: &Limits) -> Result<Self> {
        let path = source.path();
        let file = H5File::options()
            .no_locking()
            .open(path)
            .map_err(|e| unopened(path, &e))?;
        let mut names: Vec<String> = file
            .dataset_names()
            .into_iter()
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect();
        if names.len() > limits.variables(source.len()) {
            return Err(Error::limit(path, Full::MESSAGE));
        }
        names.sort();
        let mut walk = Walk {
            file: &file,
            names: &names,
            matlab: source.head(10)? == b"MATLAB 7.3",
            limits,
            most: limits.variables(source.len()),
            listing: Listing::new(limits, source.len()),
        };
        walk.all().map_err(|Full| Error::limit(path, Full::MESSAGE))?;
        let listing = walk.listing;
        Ok(Self {
            file,
            listing,
            most_bytes: limits.inflated(source.len()),
            source,
        })
    }

    /// A text that the file as a whole states.
    pub(crate) fn stated(&self, name: &str) -> Option<String> {
        let text = caught(|| self.file.attr_string(name)).flatten().ok()?;
        Some(text.trim_end_matches('\0').to_owned())
    }

    /// The data set of texts of that name; `None` where there is none.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        if !self.listing.variables.iter().any(|v| v.name == name) {
            return Ok(None);
        }
        let texts = caught(|| self.file.dataset(name)?.read_strings());
        texts
            .flatten()
            .map(Some)
            .map_err(|e| damaged(self.source.path(), &format!("data set {name}: {e}")))
    }

    /// A block of data set `index` that has two extents or more, `counts` numbers from `starts` along each, the last extent
    /// fastest. What is not in the block may be more than is ever read at once.
    pub(crate) fn block(&self, index: usize, starts: &[usize], counts: &[usize]) -> Result<Vec<f64>> {
        let variable = &self.listing.variables[index];
        let about = |message: &str| {
            damaged(
                self.source.path(),
                &format!("data set {}: {message}", variable.describe()),
            )
        };
        let Spot::Whole(whole) = &self.listing.spots[index] else {
            return Err(about("it holds no numbers"));
        };
        let inside = starts.len() == variable.shape.len()
            && counts.len() == starts.len()
            && (starts.iter().zip(counts).zip(&variable.shape))
                .all(|((start, count), extent)| start.checked_add(*count).is_some_and(|end| end <= *extent));
        if !inside {
            return Err(about(&format!("{counts:?} numbers from {starts:?} are not there")));
        }
        let wanted = counts.iter().try_fold(1_usize, |n, count| n.checked_mul(*count));
        let read = caught(|| match wanted {
            Some(n) if n as u64 <= self.most_bytes => {
                let dataset = whole.open(&self.file)?;
                self.check_chunk(dataset)?;
                whole.kind.slice(dataset, starts, counts).map(Some)
            }
            _ => Ok(None),
        });
        match read.flatten() {
            Ok(Some(values)) if Some(values.len()) == wanted => Ok(values),
            Ok(Some(_)) => Err(about("it gave fewer numbers than it states")),
            Ok(None) => {
                let message = format!(
                    "data set {} is more at a time than a file of this size can hold compressed",
                    variable.describe()
                );
                Err(Error::limit(self.source.path(), message))
            }
            Err(e) => Err(about(&e.to_string())),
        }
    }

    /// Over the numbers of a data set that lie in the file one after the other, and how they are stored there.
    fn straight(&self, index: usize) -> Option<(Stream<'_>, Number)> {
        let Spot::Whole(whole) = &self.listing.spots[index] else {
            return None;
        };
        let (number, endian) = whole.stored?;
        let place = whole.place.get_or_init(|| {
            let bytes = caught(|| place::bytes_of(&self.source, &whole.path)).ok()??;
            let need = self.listing.variables[index].elements().checked_mul(number.size())?;
            (bytes.end - bytes.start >= need as u64).then_some(bytes)
        });
        Some((Stream::plain(&self.source, place.clone()?, endian), number))
    }

    /// A chunk of a data set is no more than the file can hold: it is unpacked as a whole, whatever is wanted of it.
    fn check_chunk(&self, dataset: &H5Dataset) -> rust_hdf5::Result<()> {
        let chunk = dataset.chunk_dims().unwrap_or_default();
        let numbers = chunk.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
        if numbers.is_some_and(|n| n as u64 <= self.most_bytes) {
            return Ok(());
        }
        let message = format!("its chunks of {chunk:?} numbers are more than a file of this size can hold compressed");
        Err(Hdf5Error::InvalidState(message))
    }

    fn channel(&self, chosen: &Chosen, samples: Range<usize>) -> Result<Vec<f64>> {
        let variable = &self.listing.variables[chosen.variable];
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        if variable.elements() as u64 > self.most_bytes {
            let message = format!(
                "data set {} is more than a file of this size can hold compressed; the file is damaged, or the data set \
                 was never written",
                variable.describe()
            );
            return Err(Error::limit(self.source.path(), message));
        }
        if matches!(self.listing.spots[chosen.variable], Spot::None) {
            return Ok(Vec::new());
        }
        let len = samples.len();
        let read = caught(|| match &self.listing.spots[chosen.variable] {
            Spot::None => Ok(Vec::new()),
            Spot::Whole(whole) => {
                let dataset = whole.open(&self.file)?;
                self.check_chunk(dataset)?;
                whole.kind.read(dataset, variable, chosen.channel, samples)
            }
            Spot::Member {
                path,
                offset,
                width,
                number,
                endian,
            } => {
                let dataset = self.file.dataset(path)?;
                self.check_chunk(&dataset)?;
                let record = dataset.element_size();
                let bytes = dataset.read_raw_bytes()?;
                let lane = variable.lane(Order::RowMajor, chosen.channel);
                let mut out = Vec::with_capacity(len);
                for sample in samples {
                    let element = lane.first as usize + sample * lane.stride as usize;
                    let at = element / width * record + offset + element % width * number.size();
                    // a piece that is not there leaves the result too short, which is said below
                    number.decode(*endian, bytes.get(at..at + number.size()).unwrap_or_default(), &mut out);
                }
                Ok(out)
            }
        });
        match read.flatten() {
            Ok(values) if values.len() == len => Ok(values),
            Ok(values) => {
                let message = format!(
                    "data set {} gave {} numbers of {len}",
                    variable.describe(),
                    values.len()
                );
                Err(damaged(self.source.path(), &message))
            }
            Err(e) => Err(damaged(
                self.source.path(),
                &format!("data set {}: {e}", variable.describe()),
            )),
        }
    }
}

impl Kind {
    /// Samples of one channel, by a hyperslab where time runs along one extent.
    fn read(
        self,
        dataset: &H5Dataset,
        variable: &Variable,
        channel: usize,
        samples: Range<usize>,
    ) -> rust_hdf5::Result<Vec<f64>> {
        if let Some((starts, counts)) = slab(&variable.shape, channel, &samples) {
            return self.slice(dataset, &starts, &counts);
        }
        let all = match self {
            Self::Signed => to_f64(dataset.read_numeric_as::<i64>()?, |v| v as f64),
            Self::Unsigned => to_f64(dataset.read_numeric_as::<u64>()?, |v| v as f64),
            Self::Float => dataset.read_numeric_as::<f64>()?,
            Self::Flag => to_f64(dataset.read_raw::<i8>()?, f64::from),
        };
        let lane = variable.lane(Order::RowMajor, channel);
        let picked = all.into_iter().skip(lane.first as usize).step_by(lane.stride as usize);
        Ok(picked.skip(samples.start).take(samples.len()).collect())
    }

    fn slice(self, dataset: &H5Dataset, starts: &[usize], counts: &[usize]) -> rust_hdf5::Result<Vec<f64>> {
        Ok(match self {
            Self::Signed => to_f64(dataset.read_numeric_slice_as::<i64>(starts, counts)?, |v| v as f64),
            Self::Unsigned => to_f64(dataset.read_numeric_slice_as::<u64>(starts, counts)?, |v| v as f64),
            Self::Float => dataset.read_numeric_slice_as::<f64>(starts, counts)?,
            Self::Flag => to_f64(dataset.read_slice::<i8>(starts, counts)?, f64::from),
        })
    }
}

/// Integers beyond 2^53 are rounded to the nearest f64.
fn to_f64<T>(values: Vec<T>, convert: impl Fn(T) -> f64) -> Vec<f64> {
    values.into_iter().map(convert).collect()
}

/// The first indices and the counts of the samples of a channel; `None` for a scalar, or where more than two extents
/// differ from 1. Time runs along the longer extent, along the first of two equal ones, as in [`Variable::lane`].
fn slab(shape: &[usize], channel: usize, samples: &Range<usize>) -> Option<(Vec<usize>, Vec<usize>)> {
    let wide: Vec<usize> = (0..shape.len()).filter(|&d| shape[d] != 1).collect();
    let (time, other) = match wide[..] {
        [] => (shape.len().checked_sub(1)?, None),
        [only] => (only, None),
        [first, second] if shape[second] > shape[first] => (second, Some(first)),
        [first, second] => (first, Some(second)),
        _ => return None,
    };
    let (mut starts, mut counts) = (vec![0; shape.len()], vec![1; shape.len()]);
    starts[time] = samples.start;
    counts[time] = samples.len();
    if let Some(other) = other {
        starts[other] = channel;
    }
    Some((starts, counts))
}

impl Reader for Hdf5File {
    fn format(&self) -> &'static str {
        "HDF5"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for Hdf5File {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        if let Some((mut stream, number)) = self.straight(chosen.variable) {
            let variable = &self.listing.variables[chosen.variable];
            let lane = variable.lane(Order::RowMajor, chosen.channel);
            return stream.numbers_into(number, lane, samples, variable, out);
        }
        let read = self.channel(chosen, samples.clone())?;
        out.clear();
        out.extend(read.into_iter().map(S::nearest));
        Ok(())
    }
}

fn unopened(path: &Path, e: &Hdf5Error) -> Error {
    damaged(path, &format!("the HDF5 file cannot be opened ({e})"))
}

fn damaged(path: &Path, message: &str) -> Error {
    Error::file(
        path,
        Place::Whole,
        format!("{message}; the file is damaged or uses a part of HDF5 that is not read"),
    )
}

#[cfg(test)]
mod tests {
    use rust_hdf5::LibverBound;

    use super::*;

    /// Of all files that others wrote (h5py's and MATLAB's layouts, with and without a user block, hostile ones): the place is
    /// the right one, or none.
    #[test]
    fn numbers_read_straight_from_the_file_are_those_that_the_crate_reads() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (mut straight, mut others) = (0, 0);
        for folder in ["tests/fixtures", "tests/attacks"] {
            for entry in std::fs::read_dir(here.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if !std::fs::read(&path).is_ok_and(|bytes| is_hdf5(&bytes)) {
                    continue;
                }
                let limits = Limits::default();
                let source = Source::open(&path, &limits).unwrap();
                let Ok(file) = Hdf5File::open(source, &limits) else {
                    continue;
                };
                for (index, variable) in file.variables().iter().enumerate().filter(|(_, v)| v.numeric) {
                    if file.straight(index).is_none() {
                        others += 1;
                        continue;
                    }
                    straight += 1;
                    for channel in 0..variable.channels().min(5) {
                        let chosen = Chosen {
                            variable: index,
                            channel,
                        };
                        for samples in [0..variable.samples(), variable.samples() / 3..variable.samples() / 2] {
                            let mut read = Vec::<f64>::new();
                            file.channel_into(&chosen, &samples, &mut read).unwrap();
                            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                            let by_crate = file.channel(&chosen, samples).unwrap();
                            assert_eq!(bits(&read), bits(&by_crate), "{} {variable}", path.display());
                        }
                    }
                }
            }
        }
        assert!(straight > 20 && others > 20, "{straight} straight, {others} not");
    }

    /// Trees of several levels, nested groups, and groups of links in their headers.
    #[test]
    fn each_of_many_data_sets_is_found_at_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        for (bound, members) in [(LibverBound::Earliest, 1500), (LibverBound::V110, 6)] {
            let path = folder.path().join(format!("{members}.h5"));
            let new = H5File::options().libver(bound).create(&path).unwrap();
            let rig = new.create_group("rig").unwrap().create_group("a").unwrap();
            for n in 0..members {
                let name = format!("r{}", n * 7919 % 10_000);
                let data = rig.new_dataset::<f32>().shape([3]).create(&name).unwrap();
                data.write_raw(&[n as f32, 0.5, -1.0]).unwrap();
            }
            new.close().unwrap();
            let limits = Limits::default();
            let file = Hdf5File::open(Source::open(&path, &limits).unwrap(), &limits).unwrap();
            assert_eq!(file.variables().len(), members);
            for n in 0..members {
                let name = format!("rig/a/r{}", n * 7919 % 10_000);
                let index = file.variables().iter().position(|v| v.name == name).unwrap();
                let (mut stream, number) = file.straight(index).unwrap_or_else(|| panic!("{bound:?} {name}"));
                let mut read = Vec::<f32>::new();
                let lane = file.variables()[index].lane(Order::RowMajor, 0);
                stream.numbers_into(number, lane, &(0..3), "it", &mut read).unwrap();
                assert_eq!(read, [n as f32, 0.5, -1.0], "{name}");
            }
        }
    }
}
