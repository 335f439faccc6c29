//! Data elements: a tag (type, number of bytes) and the data, padded to 8 bytes.

use std::path::Path;

use crate::error::{Error, Place, Result};

/// Data types of elements.
pub(super) mod mi {
    pub const INT8: u32 = 1;
    pub const UINT8: u32 = 2;
    pub const INT16: u32 = 3;
    pub const UINT16: u32 = 4;
    pub const INT32: u32 = 5;
    pub const UINT32: u32 = 6;
    pub const SINGLE: u32 = 7;
    pub const DOUBLE: u32 = 9;
    pub const INT64: u32 = 12;
    pub const UINT64: u32 = 13;
    pub const MATRIX: u32 = 14;
    pub const COMPRESSED: u32 = 15;
    pub const UTF8: u32 = 16;
}

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub fn u16(self, b: [u8; 2]) -> u16 {
        if self == Self::Little {
            u16::from_le_bytes(b)
        } else {
            u16::from_be_bytes(b)
        }
    }

    pub fn u32(self, b: [u8; 4]) -> u32 {
        if self == Self::Little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        }
    }

    pub fn u64(self, b: [u8; 8]) -> u64 {
        if self == Self::Little {
            u64::from_le_bytes(b)
        } else {
            u64::from_be_bytes(b)
        }
    }
}

/// One element, its data still as bytes.
pub(super) struct Element<'a> {
    pub kind: u32,
    pub data: &'a [u8],
    /// Offset of the tag and of the data.
    pub tag: usize,
    pub start: usize,
}

/// Walks through elements; every error says where.
pub(super) struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    pub endian: Endian,
    /// Offset in the file of the compressed variable whose inflated bytes these are.
    inflated_from: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub fn new(path: &'a Path, bytes: &'a [u8], endian: Endian, inflated_from: Option<usize>) -> Self {
        Self {
            path,
            bytes,
            at: 0,
            endian,
            inflated_from,
        }
    }

    pub fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn error(&self, at: usize, message: impl Into<String>) -> Error {
        let byte = at as u64;
        let place = match self.inflated_from {
            None => Place::Byte(byte),
            Some(variable) => Place::Inflated {
                variable: variable as u64,
                byte,
            },
        };
        Error::file(self.path, place, message)
    }

    fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8]> {
        let left = self.bytes.len().saturating_sub(self.at);
        if n > left {
            return Err(self.error(
                self.at,
                format!("{what} needs {n} bytes, but only {left} are left; the file is cut short or damaged"),
            ));
        }
        let piece = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(piece)
    }

    fn word(&mut self, what: &str) -> Result<u32> {
        let b = self.take(4, what)?;
        Ok(self.endian.u32([b[0], b[1], b[2], b[3]]))
    }

    /// The tag of a large element: type and number of bytes.
    pub fn tag(&mut self) -> Result<(u32, usize)> {
        Ok((
            self.word("the tag of an element")?,
            self.word("the tag of an element")? as usize,
        ))
    }

    /// The next element. Small ones hold up to four bytes inside the tag; all but compressed ones are padded.
    pub fn element(&mut self) -> Result<Element<'a>> {
        let tag = self.at;
        let word = self.word("the tag of an element")?;
        let (small, kind) = ((word >> 16) as usize, word & 0xffff);
        if small > 0 {
            if small > 4 {
                return Err(self.error(
                    tag,
                    format!("a small element of {small} bytes, but 4 is the most it can hold"),
                ));
            }
            let start = self.at;
            let data = &self.take(4, "a small element")?[..small];
            return Ok(Element { kind, data, tag, start });
        }
        let len = self.word("the tag of an element")? as usize;
        let start = self.at;
        let data = self.take(len, &format!("an element of type {kind}"))?;
        if kind != mi::COMPRESSED {
            // writers differ in whether they pad the very last element
            self.at = self.at.next_multiple_of(8).min(self.bytes.len());
        }
        Ok(Element { kind, data, tag, start })
    }

    /// The next element, which must be of one of these types.
    pub fn expect(&mut self, kinds: &[u32], what: &str) -> Result<Element<'a>> {
        let element = self.element()?;
        if kinds.contains(&element.kind) {
            return Ok(element);
        }
        let expected: Vec<String> = kinds.iter().map(u32::to_string).collect();
        Err(self.error(
            element.tag,
            format!(
                "an element of type {} where {what} (type {}) was expected",
                element.kind,
                expected.join(" or ")
            ),
        ))
    }
}
