//! HDF5 files and MAT files of version 7.3, which are HDF5. All use of the HDF5 crate is in this module.
//!
//! In a MAT file structs and cells have the names that they have in level 5 (`bearing.gs`, `run.Y(2).Data`,
//! `parts{3}`), so that a key fits both; elsewhere a data set has its path. No other file is opened: external links,
//! external and virtual data sets are refused.

#[cfg(feature = "hdf5-c")]
pub(super) mod c;
mod listing;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::OnceLock;

use rust_hdf5::{H5Dataset, H5File};

use self::listing::Walk;
pub(crate) use self::listing::{MOST_ATTRIBUTES, MOST_TEXT};
pub(crate) use self::write::{Hdf5Windows, Hdf5Writer, Narrowest, Samples};
use super::listing::{Full, Listing};
use super::numbers::{Endian, Number};
use super::source::Source;
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
    path: PathBuf,
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
    /// Opened when it is first read: finding it by its path costs more than reading a window.
    open: OnceLock<H5Dataset>,
}

impl Whole {
    fn new(path: &str, kind: Kind) -> Self {
        Self {
            path: path.to_owned(),
            kind,
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
    pub(crate) fn open(source: &Source, limits: &Limits) -> Result<Self> {
        if source.in_memory() {
            return Err(source.unsupported("HDF5 data in memory; write them to a file and open that"));
        }
        let path = source.path();
        let file = H5File::options()
            .no_locking()
            .open(path)
            .map_err(|e| damaged(path, &format!("the HDF5 file cannot be opened ({e})")))?;
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
            path: path.to_owned(),
            file,
            listing,
            most_bytes: limits.inflated(source.len()),
        })
    }

    /// A text that the file as a whole states.
    pub(crate) fn stated(&self, name: &str) -> Option<String> {
        let text = self.file.attr_string(name).ok()?;
        Some(text.trim_end_matches('\0').to_owned())
    }

    /// The data set of texts of that name; `None` where there is none.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        if !self.listing.variables.iter().any(|v| v.name == name) {
            return Ok(None);
        }
        let texts = self.file.dataset(name).and_then(|dataset| dataset.read_strings());
        texts
            .map(Some)
            .map_err(|e| damaged(&self.path, &format!("data set {name}: {e}")))
    }

    /// A block of data set `index` that has two extents or more, `counts` numbers from `starts` along each, the last extent
    /// fastest. What is not in the block may be more than is ever read at once.
    pub(crate) fn block(&self, index: usize, starts: &[usize], counts: &[usize]) -> Result<Vec<f64>> {
        let variable = &self.listing.variables[index];
        let about = |message: &str| damaged(&self.path, &format!("data set {}: {message}", variable.describe()));
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
        let read = whole.open(&self.file).and_then(|dataset| {
            // unpacked as a whole, whatever is wanted of it
            let chunk = dataset.chunk_dims().unwrap_or_default();
            let chunk = chunk.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
            match (wanted, chunk) {
                (Some(n), Some(chunk)) if n.max(chunk) as u64 <= self.most_bytes => {
                    whole.kind.slice(dataset, starts, counts).map(Some)
                }
                _ => Ok(None),
            }
        });
        match read {
            Ok(Some(values)) if Some(values.len()) == wanted => Ok(values),
            Ok(Some(_)) => Err(about("it gave fewer numbers than it states")),
            Ok(None) => {
                let message = format!(
                    "data set {} is more at a time than a file of this size can hold compressed",
                    variable.describe()
                );
                Err(Error::limit(&self.path, message))
            }
            Err(e) => Err(about(&e.to_string())),
        }
    }

    /// Samples of a data set of floats that are stored as they are wanted, with no memory but that of `out`; whether it is one.
    fn straight<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<bool> {
        let variable = &self.listing.variables[chosen.variable];
        let Spot::Whole(whole) = &self.listing.spots[chosen.variable] else {
            return Ok(false);
        };
        if !matches!(whole.kind, Kind::Float) || variable.kind != S::STORED.name() {
            return Ok(false);
        }
        let Some((starts, counts)) = slab(&variable.shape, chosen.channel, samples)
            .filter(|_| !samples.is_empty() && variable.elements() as u64 <= self.most_bytes)
        else {
            return Ok(false);
        };
        out.resize(samples.len(), S::default());
        let read = whole
            .open(&self.file)
            .and_then(|dataset| match S::out(slice::from_mut(out)) {
                Out::Single([out]) => dataset.read_slice_into(out, &starts, &counts),
                Out::Double([out]) => dataset.read_slice_into(out, &starts, &counts),
                _ => Ok(()),
            });
        match read {
            Ok(()) => Ok(true),
            Err(e) => Err(damaged(&self.path, &format!("data set {}: {e}", variable.describe()))),
        }
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
            return Err(Error::limit(&self.path, message));
        }
        let len = samples.len();
        let read = match &self.listing.spots[chosen.variable] {
            Spot::None => return Ok(Vec::new()),
            Spot::Whole(whole) => whole
                .open(&self.file)
                .and_then(|dataset| whole.kind.read(dataset, variable, chosen.channel, samples)),
            Spot::Member {
                path,
                offset,
                width,
                number,
                endian,
            } => self.file.dataset(path).and_then(|dataset| {
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
            }),
        };
        match read {
            Ok(values) if values.len() == len => Ok(values),
            Ok(values) => {
                let message = format!(
                    "data set {} gave {} numbers of {len}",
                    variable.describe(),
                    values.len()
                );
                Err(damaged(&self.path, &message))
            }
            Err(e) => Err(damaged(&self.path, &format!("data set {}: {e}", variable.describe()))),
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
        if !self.straight(chosen, samples, out)? {
            out.clear();
            out.extend(self.channel(chosen, samples.clone())?.into_iter().map(S::nearest));
        }
        Ok(())
    }
}

fn damaged(path: &Path, message: &str) -> Error {
    Error::file(
        path,
        Place::Whole,
        format!("{message}; the file is damaged or uses a part of HDF5 that is not read"),
    )
}
