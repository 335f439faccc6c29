//! The header of an array: class, flags, extents, name.

use super::super::numbers::elements;
use super::super::stream::Stream;
use super::element::{Tag, mi};
use crate::error::Result;

/// Longest name that is read, far beyond MATLAB's 63 characters.
const MOST_NAME: u64 = 4096;
/// Most extents that are read.
const MOST_EXTENTS: u64 = 64;

/// What an array is, before its data.
pub(super) struct Header {
    pub name: String,
    pub shape: Vec<usize>,
    pub class: Class,
    pub complex: bool,
    pub logical: bool,
}

/// Array classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Cell,
    Struct,
    Char,
    Number(&'static str),
    /// Something that is not read: its name and why.
    Other(&'static str, &'static str),
    /// An object of MATLAB's class system, whose header has no extents.
    Opaque,
}

impl Class {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Cell,
            2 => Self::Struct,
            3 => Self::Other("object", OBJECT),
            4 => Self::Char,
            5 => Self::Other("sparse", "a sparse matrix; in MATLAB save `full(..)` of it"),
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
            16 => Self::Other("function", "a function handle"),
            17 => Self::Opaque,
            _ => return None,
        })
    }
}

/// Why objects are not read.
pub(super) const OBJECT: &str =
    "an object of a MATLAB class (table, timetable, string ..), whose layout is not public; save its numbers as arrays";

impl Header {
    /// Reads the header of an array that ends at `end`; afterwards the stream stands before the data.
    pub fn read(stream: &mut Stream<'_>, end: u64) -> Result<Self> {
        let flags = Tag::expect(stream, &[mi::UINT32], "array flags")?;
        if flags.len != 8 {
            let message = format!("array flags of {} bytes, expected 8", flags.len);
            return Err(stream.error(flags.at, message));
        }
        let word = stream.u32("array flags")?;
        stream.skip(4, "array flags")?;
        let class = Class::from_code(word as u8).ok_or_else(|| {
            let message = format!("array class {}, expected 1 to 17; the file is damaged", word as u8);
            stream.error(flags.start, message)
        })?;
        let shape = if class == Class::Opaque {
            Vec::new()
        } else {
            extents(stream, end)?
        };
        let name = Tag::expect(stream, &[mi::INT8, mi::UINT8, mi::UTF8], "the variable's name")?;
        let name = name.data(stream, end, MOST_NAME, "a name")?;
        Ok(Self {
            // names are ASCII by MATLAB's rules; anything else is shown as well as it can be
            name: String::from_utf8_lossy(&name).into_owned(),
            shape,
            class,
            complex: word & 0x0800 != 0,
            logical: word & 0x0200 != 0,
        })
    }
}

fn extents(stream: &mut Stream<'_>, end: u64) -> Result<Vec<usize>> {
    let tag = Tag::expect(stream, &[mi::INT32, mi::UINT32], "the variable's extents")?;
    if tag.len < 8 || !tag.len.is_multiple_of(4) {
        let message = format!("extents of {} bytes, expected 4 for each of at least two", tag.len);
        return Err(stream.error(tag.at, message));
    }
    let data = tag.data(stream, end, 4 * MOST_EXTENTS, "a list of extents")?;
    let mut shape = Vec::with_capacity(data.len() / 4);
    for (i, b) in data.as_chunks::<4>().0.iter().enumerate() {
        let n = stream.endian.u32(*b) as i32;
        let n = u64::try_from(n).map_err(|_| {
            stream.error(
                tag.start + 4 * i as u64,
                format!("a negative extent, {n}; the file is damaged"),
            )
        })?;
        shape.push(n);
    }
    if elements(&shape).is_none_or(|n| usize::try_from(n.saturating_mul(8)).is_err()) {
        let message = format!("extents {shape:?} hold more elements than any memory; the file is damaged");
        return Err(stream.error(tag.start, message));
    }
    Ok(shape.into_iter().map(|n| n as usize).collect())
}
