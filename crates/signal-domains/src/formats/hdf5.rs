//! HDF5 files and MAT files of version 7.3, which are HDF5. All use of the HDF5 crate is in this module.

use std::path::{Path, PathBuf};

use rust_hdf5::format::messages::datatype::DatatypeMessage;
use rust_hdf5::{H5Dataset, H5File};

use super::listing::Full;
use super::source::Source;
use super::{Limits, Order, Reader, Variable};
use crate::error::{Error, Place, Result};
use crate::select::Chosen;

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Whether the signature stands at byte 0 or after a user block of 512 bytes or a power of two times that.
pub(super) fn is_hdf5(head: &[u8]) -> bool {
    std::iter::once(0)
        .chain((9..=16).map(|p| 1 << p))
        .any(|at| head.get(at..at + SIGNATURE.len()) == Some(&SIGNATURE[..]))
}

/// An open HDF5 file and the list of its data sets.
pub(super) struct Hdf5File {
    path: PathBuf,
    file: H5File,
    variables: Vec<Variable>,
    /// The most bytes, hence numbers, that a data set of this file can hold.
    most_bytes: u64,
}

impl Hdf5File {
    pub(super) fn open(source: &Source, limits: &Limits) -> Result<Self> {
        if source.in_memory() {
            return Err(source.unsupported("HDF5 data in memory; write them to a file and open that"));
        }
        let path = source.path();
        let file = H5File::options()
            .no_locking()
            .open(path)
            .map_err(|e| damaged(path, &format!("the HDF5 file cannot be opened ({e})")))?;
        let mut names = file.dataset_names();
        if names.len() > limits.variables(source.len()) {
            return Err(Error::limit(path, Full::MESSAGE));
        }
        names.sort();
        // MATLAB keeps what its cells and structs refer to in this group
        names.retain(|name| !name.trim_start_matches('/').starts_with("#refs#/"));
        let variables = names.into_iter().map(|name| describe(&file, &name)).collect();
        Ok(Self {
            path: path.to_owned(),
            file,
            variables,
            most_bytes: limits.inflated(source.len()),
        })
    }
}

impl Reader for Hdf5File {
    fn format(&self) -> &'static str {
        "HDF5"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read(&self, channels: &[Chosen], samples: std::ops::Range<usize>) -> Result<Vec<Vec<f64>>> {
        channels
            .iter()
            .map(|c| {
                let variable = &self.variables[c.variable];
                if variable.elements() as u64 > self.most_bytes {
                    let message = format!(
                        "data set {} is more than a file of this size can hold compressed; the file is damaged, or \
                         the data set was never written",
                        variable.describe()
                    );
                    return Err(Error::limit(&self.path, message));
                }
                let values = self
                    .file
                    .dataset(&variable.name)
                    .and_then(|dataset| numbers(&dataset))
                    .map_err(|e| damaged(&self.path, &format!("data set {}: {e}", variable.describe())))?;
                if values.len() != variable.elements() {
                    let message = format!("data set {} gave {} numbers", variable.describe(), values.len());
                    return Err(damaged(&self.path, &message));
                }
                let lane = variable.lane(Order::RowMajor, c.channel);
                let picked = values
                    .into_iter()
                    .skip(lane.first as usize)
                    .step_by(lane.stride as usize);
                Ok(picked.skip(samples.start).take(samples.len()).collect())
            })
            .collect()
    }
}

/// One data set; what cannot be read is listed with the reason, so that it does not hide the others.
fn describe(file: &H5File, name: &str) -> Variable {
    let found = file
        .dataset(name)
        .and_then(|dataset| Ok((dataset.shape(), kind(&dataset)?)));
    let (shape, (kind, numeric)) = found.unwrap_or_else(|e| (Vec::new(), (format!("unreadable: {e}"), false)));
    Variable {
        numeric,
        ..Variable::other(name.trim_start_matches('/'), shape, kind)
    }
}

fn damaged(path: &Path, message: &str) -> Error {
    Error::file(
        path,
        Place::Whole,
        format!("{message}; the file is damaged or uses a part of HDF5 that is not read"),
    )
}

/// What a data set holds, in the words used for MAT files, and whether that is real numbers.
fn kind(dataset: &H5Dataset) -> rust_hdf5::Result<(String, bool)> {
    let words = |kind: &str| Ok((kind.to_owned(), false));
    // MATLAB says in an attribute what its bare integers mean
    let class = dataset
        .attr("MATLAB_class")
        .and_then(|a| a.read_string())
        .unwrap_or_default();
    match (class.trim_end_matches('\0'), dataset.datatype()?) {
        ("char", _) => words("char"),
        ("cell", _) => words("cell"),
        ("logical", DatatypeMessage::FixedPoint { .. }) => Ok(("logical".into(), true)),
        (_, DatatypeMessage::FixedPoint { size, signed, .. }) if matches!(size, 1 | 2 | 4 | 8) => {
            Ok((format!("{}int{}", if signed { "" } else { "u" }, 8 * size), true))
        }
        (_, DatatypeMessage::FloatingPoint { size, .. }) if matches!(size, 2 | 4 | 8) => {
            Ok((format!("float{}", 8 * size), true))
        }
        (_, DatatypeMessage::Compound { .. }) => words("compound"),
        (_, DatatypeMessage::FixedString { .. } | DatatypeMessage::VarLenString { .. }) => words("string"),
        (_, DatatypeMessage::Enum { .. }) => words("enumeration"),
        (_, DatatypeMessage::VarLenSequence { .. }) => words("sequence"),
        _ => words("other"),
    }
}

/// All numbers, converted from the declared type; integers beyond 2^53 are rounded to the nearest f64.
fn numbers(dataset: &H5Dataset) -> rust_hdf5::Result<Vec<f64>> {
    match dataset.datatype()? {
        DatatypeMessage::FixedPoint { signed: false, .. } => Ok(dataset
            .read_numeric_as::<u64>()?
            .into_iter()
            .map(|v| v as f64)
            .collect()),
        DatatypeMessage::FixedPoint { .. } => Ok(dataset
            .read_numeric_as::<i64>()?
            .into_iter()
            .map(|v| v as f64)
            .collect()),
        _ => dataset.read_numeric_as::<f64>(),
    }
}
