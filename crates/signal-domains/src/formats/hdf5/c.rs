//! The same files by the C library of HDF5: a second opinion, for tests and for doubts.
//!
//! It has the names, shapes and types that the reader of this crate has. Members of records are listed and not read. The C
//! library is not made for files of strangers: it is never used unless it is asked for.

use std::ops::Range;
use std::path::PathBuf;

use hdf5_metno::dataset::Layout;
use hdf5_metno::types::{FixedAscii, IntSize, Reference, TypeDescriptor};
use hdf5_metno::{
    Conversion, Dataset, File, Group, Hyperslab, LinkType, ObjectReference, ObjectReference1, ReferencedObject,
    Selection, SliceOrIndex,
};

use super::super::listing::{Full, Listing};
use super::super::source::Source;
use super::super::{Limits, Order, Out, Reader, Variable};
use super::{damaged, slab};
use crate::error::{Error, Result};
use crate::select::Chosen;

/// MATLAB keeps what its cells and structs refer to in this group.
const REFERRED: &str = "#refs#";
/// What is there and cannot be opened.
const UNREADABLE: &str = "unreadable";

/// An open HDF5 file and the list of its data sets.
pub(in crate::formats) struct CFile {
    path: PathBuf,
    file: File,
    listing: Listing<Option<Spot>>,
    matlab: bool,
    limits: Limits,
}

/// A data set of numbers, and how they are converted.
struct Spot {
    dataset: Dataset,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Signed,
    Unsigned,
    Float,
    Flag,
}

impl CFile {
    pub fn open(source: &Source, limits: &Limits) -> Result<Self> {
        if source.in_memory() {
            return Err(source.unsupported("HDF5 data in memory; write them to a file and open that"));
        }
        let path = source.path();
        let file =
            File::open(path).map_err(|e| damaged(path, &format!("the C library cannot open the HDF5 file ({e})")))?;
        let mut opened = Self {
            path: path.to_owned(),
            listing: Listing::new(limits, source.len()),
            matlab: source.head(10)? == b"MATLAB 7.3",
            limits: *limits,
            file,
        };
        let root = opened.file.as_group().map_err(|e| damaged(path, &e.to_string()))?;
        opened
            .group(&root, "", 0)
            .map_err(|Full| Error::limit(path, Full::MESSAGE))?;
        Ok(opened)
    }

    fn group(&mut self, group: &Group, above: &str, depth: usize) -> Result<(), Full> {
        if depth > self.limits.max_depth {
            return Ok(());
        }
        let mut names = Vec::new();
        // a link to another file is not followed
        let visited = group.iter_visit_default(|name, info| {
            if info.link_type != LinkType::External {
                names.push(name.to_owned());
            }
            Ok(())
        });
        if visited.is_err() {
            return Ok(());
        }
        names.sort();
        for name in names {
            if self.matlab && depth == 0 && name == REFERRED {
                continue;
            }
            let separator = if self.matlab { "." } else { "/" };
            let full = if above.is_empty() {
                name.clone()
            } else {
                format!("{above}{separator}{name}")
            };
            if let Ok(dataset) = group.dataset(&name) {
                self.dataset(dataset, full, depth)?;
            } else if let Ok(below) = group.group(&name) {
                self.group(&below, &full, depth + 1)?;
            } else {
                // written by a later library than this one, or damaged
                self.listing.push(Variable::other(full, Vec::new(), UNREADABLE), None)?;
            }
        }
        Ok(())
    }

    fn dataset(&mut self, dataset: Dataset, name: String, depth: usize) -> Result<(), Full> {
        let class = matlab_class(&dataset);
        let is_empty = dataset
            .attr("MATLAB_empty")
            .and_then(|a| a.as_reader().read_scalar::<u64>())
            .is_ok_and(|empty| empty == 1)
            || dataset.space().is_ok_and(|space| space.is_null());
        let shape = if is_empty { vec![0] } else { dataset.shape() };
        if lies_elsewhere(&dataset) {
            return self.listing.push(Variable::other(name, shape, "external"), None);
        }
        let Ok(kind) = dataset.dtype().and_then(|t| t.to_descriptor()) else {
            return self.listing.push(Variable::other(name, shape, "other"), None);
        };
        let (word, kind) = match (&*class, kind) {
            ("char", _) => ("char".to_owned(), None),
            (_, TypeDescriptor::Reference(Reference::Object)) if self.matlab && depth < self.limits.max_depth => {
                return self.references(&dataset, &name, &class, depth);
            }
            ("cell" | "struct", _) if is_empty => (class.clone(), None),
            (_, TypeDescriptor::Compound(table)) => {
                for member in table.fields {
                    let word = member.ty.to_string();
                    let variable = Variable::other(format!("{name}.{}", member.name), shape.clone(), word);
                    self.listing.push(variable, None)?;
                }
                ("compound".to_owned(), None)
            }
            ("logical", TypeDescriptor::Unsigned(_)) => ("logical".to_owned(), Some(Kind::Unsigned)),
            (_, TypeDescriptor::Boolean) => ("logical".to_owned(), Some(Kind::Flag)),
            (_, number @ TypeDescriptor::Integer(IntSize::U1 | IntSize::U2 | IntSize::U4 | IntSize::U8)) => {
                (number.to_string(), Some(Kind::Signed))
            }
            (_, number @ TypeDescriptor::Unsigned(_)) => (number.to_string(), Some(Kind::Unsigned)),
            (_, number @ TypeDescriptor::Float(_)) => (number.to_string(), Some(Kind::Float)),
            (_, other) => (other.to_string(), None),
        };
        match kind {
            Some(kind) => {
                let variable = Variable::numbers(name, shape, &word);
                self.listing.push(variable, Some(Spot { dataset, kind }))
            }
            None => self.listing.push(Variable::other(name, shape, word), None),
        }
    }

    /// Cells, and fields of struct arrays, which are referred to one by one.
    fn references(&mut self, dataset: &Dataset, name: &str, class: &str, depth: usize) -> Result<(), Full> {
        let is_cell = class == "cell";
        self.listing.push(
            Variable::other(name, dataset.shape(), if is_cell { "cell" } else { "struct" }),
            None,
        )?;
        let Ok(references) = dataset.read_raw::<ObjectReference1>() else {
            return Ok(());
        };
        let (group, field) = name.rsplit_once('.').unwrap_or(("", name));
        let one = references.len() == 1;
        for (k, reference) in references.iter().enumerate() {
            let member = match (is_cell, one) {
                (true, _) => format!("{name}{{{}}}", k + 1),
                (_, true) => format!("{group}.{field}"),
                (_, false) => format!("{group}({}).{field}", k + 1),
            };
            match reference.dereference(&self.file) {
                Ok(ReferencedObject::Dataset(dataset)) => self.dataset(dataset, member, depth + 1)?,
                Ok(ReferencedObject::Group(group)) => self.group(&group, &member, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn channel(&self, chosen: &Chosen, samples: Range<usize>) -> Result<Vec<f64>> {
        let variable = &self.listing.variables[chosen.variable];
        let Some(spot) = &self.listing.spots[chosen.variable] else {
            return Ok(Vec::new());
        };
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        spot.read(variable, chosen.channel, samples)
            .map_err(|e| damaged(&self.path, &format!("data set {}: {e}", variable.describe())))
    }
}

impl Spot {
    fn read(&self, variable: &Variable, channel: usize, samples: Range<usize>) -> hdf5_metno::Result<Vec<f64>> {
        let Some((starts, counts)) = slab(&self.dataset.shape(), channel, &samples) else {
            let all: Vec<f64> = match self.kind {
                Kind::Signed => self.dataset.read_raw::<i64>()?.into_iter().map(|v| v as f64).collect(),
                Kind::Unsigned => self.dataset.read_raw::<u64>()?.into_iter().map(|v| v as f64).collect(),
                Kind::Float => self.dataset.read_raw::<f64>()?,
                Kind::Flag => self.dataset.read_raw::<bool>()?.into_iter().map(f64::from).collect(),
            };
            let lane = variable.lane(Order::RowMajor, channel);
            let picked = all.into_iter().skip(lane.first as usize).step_by(lane.stride as usize);
            return Ok(picked.skip(samples.start).take(samples.len()).collect());
        };
        // an extent of one index has no place in what is read, so that one is left
        let time = counts.iter().position(|n| *n > 1).unwrap_or(0);
        let extents: Vec<SliceOrIndex> = starts
            .iter()
            .zip(&counts)
            .enumerate()
            .map(|(extent, (&start, &count))| {
                if extent == time {
                    SliceOrIndex::from(start..start + count)
                } else {
                    SliceOrIndex::Index(start)
                }
            })
            .collect();
        let wanted = Selection::from(Hyperslab::from(extents));
        let reader = self.dataset.as_reader().conversion(Conversion::Soft);
        Ok(match self.kind {
            Kind::Signed => reader
                .read_slice_1d::<i64, _>(wanted)?
                .iter()
                .map(|v| *v as f64)
                .collect(),
            Kind::Unsigned => reader
                .read_slice_1d::<u64, _>(wanted)?
                .iter()
                .map(|v| *v as f64)
                .collect(),
            Kind::Float => reader.read_slice_1d::<f64, _>(wanted)?.to_vec(),
            Kind::Flag => reader
                .read_slice_1d::<bool, _>(wanted)?
                .iter()
                .map(|v| f64::from(*v))
                .collect(),
        })
    }
}

impl CFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        channels.iter().map(|c| self.channel(c, samples.clone())).collect()
    }
}

impl Reader for CFile {
    fn format(&self) -> &'static str {
        "HDF5 by the C library"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}

fn matlab_class(dataset: &Dataset) -> String {
    let class = dataset
        .attr("MATLAB_class")
        .and_then(|a| a.as_reader().read_scalar::<FixedAscii<32>>());
    class.map_or(String::new(), |class| class.as_str().to_owned())
}

/// Whether a data set's samples are, or may be, in other files.
fn lies_elsewhere(dataset: &Dataset) -> bool {
    matches!(dataset.layout(), Layout::Virtual) || dataset.dcpl().is_ok_and(|plist| !plist.external().is_empty())
}
