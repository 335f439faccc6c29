//! What an HDF5 file holds: data sets, members of records, and in MAT files the fields of structs and the cells that
//! are kept apart and referred to.

use rust_hdf5::format::messages::datatype::{CompoundMember, DatatypeMessage, ReferenceKind};
use rust_hdf5::{ByteOrder, H5Attribute, H5Dataset, H5File, StorageLayout};

use super::super::listing::{Full, Listing};
use super::super::numbers::{Endian, Number};
use super::super::{Limits, Variable};
use super::{Kind, Spot, Whole};
use crate::dataset::Attribute;

/// MATLAB keeps what its cells and structs refer to in this group.
const REFERRED: &str = "#refs#/";
/// Longest text that is shown, in characters, and most attributes of a data set that are listed.
pub(crate) const MOST_TEXT: usize = 512;
pub(crate) const MOST_ATTRIBUTES: usize = 64;

/// Lists a file.
pub(super) struct Walk<'f> {
    pub file: &'f H5File,
    /// Paths of all data sets, sorted, without the leading slash.
    pub names: &'f [String],
    /// Whether it is a MAT file.
    pub matlab: bool,
    pub limits: &'f Limits,
    /// Most references that are followed from one data set.
    pub most: usize,
    pub listing: Listing<Spot>,
}

impl Walk<'_> {
    pub fn all(&mut self) -> Result<(), Full> {
        for path in self.names {
            if !path.starts_with(REFERRED) {
                let name = if self.matlab {
                    path.replace('/', ".")
                } else {
                    path.clone()
                };
                self.dataset(path, name, 0)?;
            }
        }
        Ok(())
    }

    /// One data set; what cannot be read is listed with the reason, so that it does not hide the others.
    fn dataset(&mut self, path: &str, name: String, depth: usize) -> Result<(), Full> {
        let refused = |name: String, shape, kind: &str, reason: &str| Variable {
            reason: Some(reason.into()),
            ..Variable::other(name, shape, kind)
        };
        let (dataset, datatype) = match self.file.dataset(path).and_then(|d| d.datatype().map(|t| (d, t))) {
            Ok(found) => found,
            Err(e) => {
                let reason = format!("{e}; the file is damaged or uses a part of HDF5 that is not read");
                return self
                    .listing
                    .push(refused(name, Vec::new(), "unreadable", &reason), Spot::None);
            }
        };
        let class = dataset
            .attr("MATLAB_class")
            .and_then(|a| a.read_string())
            .unwrap_or_default();
        let class = class.trim_end_matches('\0');
        let empty = dataset.is_null() || dataset.attr("MATLAB_empty").is_ok_and(|a| first(&a) == Some(1.0));
        let shape = if empty { vec![0] } else { dataset.shape() };
        if lies_elsewhere(&dataset) {
            let reason = "its samples are in other files, which are never opened; copy them into this one";
            return self.listing.push(refused(name, shape, "external", reason), Spot::None);
        }
        let numbers = |kind: &str, spot| {
            (
                Variable::numbers(name.clone(), shape.clone(), kind),
                Spot::Whole(Whole::new(path, spot, &datatype)),
            )
        };
        let (mut variable, spot) = match (class, &datatype) {
            ("char", _) => {
                let mut variable = Variable::other(name, shape, "char");
                if let Some(text) = matlab_text(&dataset).filter(|_| !empty) {
                    variable.attributes.insert("text".into(), Attribute::Text(text));
                }
                (variable, Spot::None)
            }
            (_, DatatypeMessage::Reference { kind, .. }) => {
                return self.references(&dataset, *kind, (name, shape, class), depth);
            }
            ("cell" | "struct", _) if empty => (refused(name, shape, class, "it is empty"), Spot::None),
            (_, DatatypeMessage::Compound { members, .. }) => return self.records(path, (name, shape), members),
            ("logical", DatatypeMessage::FixedPoint { .. }) => numbers("logical", Kind::Unsigned),
            (_, DatatypeMessage::Enum { base, .. }) if base.element_size() == 1 => numbers("logical", Kind::Flag),
            (_, other) => match (number(other), other) {
                (Some((number, _)), DatatypeMessage::FloatingPoint { .. }) => numbers(number.name(), Kind::Float),
                (Some((number, _)), DatatypeMessage::FixedPoint { signed: true, .. }) => {
                    numbers(number.name(), Kind::Signed)
                }
                (Some((number, _)), _) => numbers(number.name(), Kind::Unsigned),
                (None, other) => {
                    let mut variable = Variable::other(name, shape, word(other));
                    if let Some(text) = text(&dataset, other) {
                        variable.attributes.insert("text".into(), Attribute::Text(text));
                    }
                    (variable, Spot::None)
                }
            },
        };
        if empty {
            // it states its extents, or none, and has no sample
            variable.shape = vec![0];
        }
        describe(&mut variable, &dataset);
        self.listing.push(variable, spot)
    }

    /// Cells, and fields of struct arrays, which are referred to one by one.
    fn references(
        &mut self,
        dataset: &H5Dataset,
        kind: ReferenceKind,
        (name, shape, class): (String, Vec<usize>, &str),
        depth: usize,
    ) -> Result<(), Full> {
        let cell = class == "cell";
        let word = match (self.matlab, cell) {
            (true, true) => "cell",
            (true, false) => "struct",
            (false, _) => "reference",
        };
        let elements = elements(dataset);
        // a reference of the newer kinds may name another file, which looking it up would open
        let follow =
            self.matlab && kind == ReferenceKind::Object1 && depth < self.limits.max_depth && elements <= self.most;
        let targets = if follow { dataset.read_references().ok() } else { None };
        let mut variable = Variable::other(name.clone(), shape, word);
        variable.reason = Some(match (&targets, self.matlab, cell) {
            (Some(_), _, true) => format!("a cell array; its cells are {name}{{1}} to {name}{{{elements}}}"),
            (Some(_), ..) => "a field of a struct array; it is listed for each element".into(),
            (None, true, _) => format!(
                "a cell or struct array that is not followed: more than {} deep, too long, or damaged",
                self.limits.max_depth
            ),
            (None, false, _) => "references to other objects; name the data set that is meant".into(),
        });
        let (group, field) = name.rsplit_once('.').unwrap_or(("", &name));
        let (group, field) = (group.to_owned(), field.to_owned());
        self.listing.push(variable, Spot::None)?;
        for (k, target) in targets.iter().flatten().enumerate() {
            let Some(path) = target.path() else { continue };
            let path = path.trim_start_matches('/').to_owned();
            let member = if cell {
                format!("{name}{{{}}}", k + 1)
            } else if elements == 1 {
                format!("{group}.{field}")
            } else {
                format!("{group}({}).{field}", k + 1)
            };
            if self.names.binary_search(&path).is_ok() {
                self.dataset(&path, member, depth + 1)?;
                continue;
            }
            // a group: a struct, whose fields are below it
            let below = format!("{path}/");
            let from = self.names.partition_point(|n| *n < below);
            for field in self.names[from..].iter().take_while(|n| n.starts_with(&below)) {
                let member = format!("{member}.{}", field[below.len()..].replace('/', "."));
                self.dataset(field, member, depth + 1)?;
            }
        }
        Ok(())
    }

    /// A table of records: each member that holds numbers is a variable (`table.column`).
    fn records(
        &mut self,
        path: &str,
        (name, shape): (String, Vec<usize>),
        members: &[CompoundMember],
    ) -> Result<(), Full> {
        let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
        let mut table = Variable::other(name.clone(), shape.clone(), "compound");
        if matches!(names[..], ["real", "imag"] | ["r", "i"]) {
            table.kind = "complex".into();
            table.reason = Some("complex numbers; save real and imaginary part as two data sets".into());
            return self.listing.push(table, Spot::None);
        }
        let shown: Vec<String> = names.iter().take(10).map(|m| format!("{name}.{m}")).collect();
        table.reason = Some(format!("records; their members are {}", shown.join(", ")));
        self.listing.push(table, Spot::None)?;
        for member in members {
            let (base, width) = match &member.datatype {
                DatatypeMessage::Array { dims, base } => match dims[..] {
                    [n] if n > 0 => (&**base, n as usize),
                    _ => (&member.datatype, 1),
                },
                other => (other, 1),
            };
            let full = format!("{name}.{}", member.name);
            let Some((number, endian)) = number(base) else {
                self.listing
                    .push(Variable::other(full, shape.clone(), word(&member.datatype)), Spot::None)?;
                continue;
            };
            let mut extents = shape.clone();
            if width > 1 {
                extents.push(width);
            }
            let spot = Spot::Member {
                path: path.to_owned(),
                offset: member.offset as usize,
                width,
                number,
                endian,
            };
            self.listing
                .push(Variable::numbers(full, extents, number.name()), spot)?;
        }
        Ok(())
    }
}

/// Whether a data set's samples are, or may be, in other files.
fn lies_elsewhere(dataset: &H5Dataset) -> bool {
    !dataset.external_files().is_ok_and(|files| files.is_empty())
        || dataset
            .storage_layout()
            .is_ok_and(|layout| matches!(layout, StorageLayout::Virtual))
}

/// How numbers of a type are stored; `None` for what is no number of a usual width.
pub(super) fn number(datatype: &DatatypeMessage) -> Option<(Number, Endian)> {
    let endian = |order: ByteOrder| match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    };
    match *datatype {
        DatatypeMessage::FixedPoint {
            size,
            byte_order,
            signed,
            bit_offset: 0,
            bit_precision,
        } if size.checked_mul(8) == Some(u32::from(bit_precision)) => {
            let number = match (size, signed) {
                (1, true) => Number::I8,
                (1, false) => Number::U8,
                (2, true) => Number::I16,
                (2, false) => Number::U16,
                (4, true) => Number::I32,
                (4, false) => Number::U32,
                (8, true) => Number::I64,
                (8, false) => Number::U64,
                _ => return None,
            };
            Some((number, endian(byte_order)))
        }
        DatatypeMessage::FloatingPoint {
            size,
            byte_order,
            exponent_size,
            ..
        } => {
            let number = match (size, exponent_size) {
                (2, 5) => Number::F16,
                (4, 8) => Number::F32,
                (8, 11) => Number::F64,
                _ => return None,
            };
            Some((number, endian(byte_order)))
        }
        _ => None,
    }
}

fn word(datatype: &DatatypeMessage) -> &'static str {
    match datatype {
        DatatypeMessage::FixedString { .. } | DatatypeMessage::VarLenString { .. } => "string",
        DatatypeMessage::Enum { .. } => "enumeration",
        DatatypeMessage::VarLenSequence { .. } => "sequence",
        DatatypeMessage::Array { .. } => "array",
        DatatypeMessage::Compound { .. } => "compound",
        _ => "other",
    }
}

/// How many elements it states. The crate's own product of the extents overflows where a damaged file states enough.
fn elements(dataset: &H5Dataset) -> usize {
    if dataset.is_null() {
        return 0;
    }
    dataset
        .shape()
        .iter()
        .fold(1, |n: usize, extent| n.saturating_mul(*extent))
}

/// The text of a char array of one row or column, which MATLAB keeps as UTF-16.
fn matlab_text(dataset: &H5Dataset) -> Option<String> {
    let rows = dataset.shape().iter().filter(|n| **n != 1).count();
    if rows > 1 || elements(dataset) > MOST_TEXT {
        return None;
    }
    let units = dataset.read_numeric_as::<u16>().ok()?;
    Some(String::from_utf16_lossy(&units))
}

/// A single text.
fn text(dataset: &H5Dataset, datatype: &DatatypeMessage) -> Option<String> {
    let long = match datatype {
        DatatypeMessage::FixedString { size, .. } => *size as usize,
        DatatypeMessage::VarLenString { .. } => 0,
        _ => return None,
    };
    if elements(dataset) != 1 || long > MOST_TEXT {
        return None;
    }
    let text = dataset.read_strings_lossy().ok()?.pop()?;
    (text.chars().count() <= MOST_TEXT).then_some(text)
}

/// The first number of an attribute of one element.
fn first(attribute: &H5Attribute) -> Option<f64> {
    let one = |values: Vec<f64>| if let [value] = values[..] { Some(value) } else { None };
    match attribute.datatype().ok()? {
        DatatypeMessage::FixedPoint { signed: true, .. } => {
            one(super::to_f64(attribute.read_numeric_as::<i64>().ok()?, |v| v as f64))
        }
        DatatypeMessage::FixedPoint { .. } => {
            one(super::to_f64(attribute.read_numeric_as::<u64>().ok()?, |v| v as f64))
        }
        DatatypeMessage::FloatingPoint { .. } => one(attribute.read_numeric_as::<f64>().ok()?),
        // true and false as h5py writes them
        DatatypeMessage::Enum { base, .. } if base.element_size() == 1 => match attribute.read_raw().ok()?[..] {
            [byte] => Some(f64::from(byte)),
            _ => None,
        },
        _ => None,
    }
}

/// Attributes, and the rate and unit that they state. Attributes that state different rates state none.
fn describe(variable: &mut Variable, dataset: &H5Dataset) {
    for name in dataset
        .attr_names()
        .unwrap_or_default()
        .into_iter()
        .take(MOST_ATTRIBUTES)
    {
        if name.starts_with("MATLAB_") || name.starts_with("H5PATH") {
            continue;
        }
        let Ok(attribute) = dataset.attr(&name) else { continue };
        let value = match first(&attribute) {
            Some(number) => match attribute.datatype() {
                Ok(DatatypeMessage::Enum { .. }) => Attribute::Flag(number != 0.0),
                _ => Attribute::Number(number),
            },
            None => match attribute.read_string() {
                Ok(text) if text.chars().count() <= MOST_TEXT => {
                    Attribute::Text(text.trim_end_matches('\0').to_owned())
                }
                _ => continue,
            },
        };
        variable.attributes.insert(name, value);
    }
    if variable.numeric {
        variable.take_rate_and_unit();
    }
}
