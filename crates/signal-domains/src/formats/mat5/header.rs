//! The header of a variable: class, flags, extents, name.

use super::super::Variable;
use super::element::{Cursor, mi};
use crate::error::Result;

/// What a variable is, before its data.
pub(super) struct Header {
    name: String,
    shape: Vec<usize>,
    class: Class,
    complex: bool,
    logical: bool,
}

/// Array classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Holds something else than plain numbers.
    Other(&'static str),
    /// An object of MATLAB's class system, whose header has no extents.
    Opaque,
    Number(&'static str),
}

impl Class {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Other("cell"),
            2 => Self::Other("struct"),
            3 => Self::Other("object"),
            4 => Self::Other("char"),
            5 => Self::Other("sparse"),
            6 => Self::Number("float64"),
            7 => Self::Number("float32"),
            8 => Self::Number("int8"),
            9 => Self::Number("uint8"),
            10 => Self::Number("int16"),
            11 => Self::Number("uint16"),
            12 => Self::Number("int32"),
            13 => Self::Number("uint32"),
            14 => Self::Number("int64"),
            15 => Self::Number("uint64"),
            16 => Self::Other("function"),
            17 => Self::Opaque,
            _ => return None,
        })
    }
}

impl Header {
    /// Reads the header; afterwards the cursor stands before the data.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
        let flags = cursor.expect(&[mi::UINT32], "array flags")?;
        if flags.data.len() != 8 {
            return Err(cursor.error(
                flags.tag,
                format!("array flags of {} bytes, expected 8", flags.data.len()),
            ));
        }
        let word = cursor
            .endian
            .u32([flags.data[0], flags.data[1], flags.data[2], flags.data[3]]);
        let class = Class::from_code(word as u8).ok_or_else(|| {
            cursor.error(
                flags.start,
                format!("array class {}, expected 1 to 17; the file is damaged", word as u8),
            )
        })?;
        let shape = if class == Class::Opaque {
            Vec::new()
        } else {
            extents(cursor)?
        };
        let name = cursor.expect(&[mi::INT8, mi::UINT8, mi::UTF8], "the variable's name")?;
        Ok(Self {
            // names are ASCII by MATLAB's rules; anything else is shown as well as it can be
            name: String::from_utf8_lossy(name.data).into_owned(),
            shape,
            class,
            complex: word & 0x0800 != 0,
            logical: word & 0x0200 != 0,
        })
    }

    pub fn variable(self) -> Variable {
        let (kind, numeric) = match self.class {
            // a nameless array at top level holds what MATLAB's objects and functions refer to
            _ if self.name.is_empty() => ("subsystem data".into(), false),
            Class::Number(kind) if self.complex => (format!("complex {kind}"), false),
            Class::Number(_) if self.logical => ("logical".into(), true),
            Class::Number(kind) => (kind.into(), true),
            Class::Other(kind) => (kind.into(), false),
            Class::Opaque => ("object".into(), false),
        };
        Variable {
            name: self.name,
            shape: self.shape,
            kind,
            numeric,
        }
    }
}

fn extents(cursor: &mut Cursor<'_>) -> Result<Vec<usize>> {
    let element = cursor.expect(&[mi::INT32], "the variable's extents")?;
    if element.data.len() < 8 || element.data.len() % 4 != 0 {
        return Err(cursor.error(
            element.tag,
            format!(
                "extents of {} bytes, expected 4 for each of at least two",
                element.data.len()
            ),
        ));
    }
    let mut shape = Vec::with_capacity(element.data.len() / 4);
    for (i, b) in element.data.chunks_exact(4).enumerate() {
        let n = cursor.endian.u32([b[0], b[1], b[2], b[3]]) as i32;
        let n = usize::try_from(n).map_err(|_| {
            cursor.error(
                element.start + 4 * i,
                format!("a negative extent, {n}; the file is damaged"),
            )
        })?;
        shape.push(n);
    }
    // 2^56 leaves room for 8 bytes an element in a 64-bit size
    let product = shape
        .iter()
        .try_fold(1u64, |p, &n| p.checked_mul(n as u64).filter(|&p| p < 1 << 56));
    if product.is_none() || usize::try_from(product.unwrap_or(0).saturating_mul(8)).is_err() {
        return Err(cursor.error(
            element.start,
            format!("extents {shape:?} hold more elements than any memory; the file is damaged"),
        ));
    }
    Ok(shape)
}
