//! Data elements: a tag (type, number of bytes) and the data, padded to 8 bytes.

use super::super::numbers::Number;
use super::super::stream::Stream;
use crate::error::Result;

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
    pub const UTF16: u32 = 17;
}

/// How numbers of an element's type are stored.
pub(super) fn number(kind: u32) -> Option<Number> {
    Some(match kind {
        mi::INT8 => Number::I8,
        mi::UINT8 => Number::U8,
        mi::INT16 => Number::I16,
        mi::UINT16 => Number::U16,
        mi::INT32 => Number::I32,
        mi::UINT32 => Number::U32,
        mi::SINGLE => Number::F32,
        mi::DOUBLE => Number::F64,
        mi::INT64 => Number::I64,
        mi::UINT64 => Number::U64,
        _ => return None,
    })
}

/// The tag of an element; the stream stands at its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub kind: u32,
    /// Bytes of data, without padding.
    pub len: u64,
    /// Offset of the tag and of the data.
    pub at: u64,
    pub start: u64,
    /// Bytes of padding behind the data.
    padding: u64,
}

const TAG: &str = "the tag of an element";

impl Tag {
    /// The tag of a large element, as compressed variables start with.
    pub fn large(stream: &mut Stream<'_>) -> Result<Self> {
        let at = stream.at();
        let (kind, len) = (stream.u32(TAG)?, u64::from(stream.u32(TAG)?));
        Ok(Self {
            kind,
            len,
            at,
            start: stream.at(),
            padding: 0,
        })
    }

    /// The next tag. Small elements hold up to four bytes inside the tag; all but compressed ones are padded.
    pub fn next(stream: &mut Stream<'_>) -> Result<Self> {
        let at = stream.at();
        let word = stream.u32(TAG)?;
        let (small, kind) = (u64::from(word >> 16), word & 0xffff);
        if small > 0 {
            if small > 4 {
                let message = format!("a small element of {small} bytes, but 4 is the most it can hold");
                return Err(stream.error(at, message));
            }
            return Ok(Self {
                kind,
                len: small,
                at,
                start: stream.at(),
                padding: 4 - small,
            });
        }
        let len = u64::from(stream.u32(TAG)?);
        Ok(Self {
            kind,
            len,
            at,
            start: stream.at(),
            padding: if kind == mi::COMPRESSED {
                0
            } else {
                len.wrapping_neg() % 8
            },
        })
    }

    /// The next tag, which must be of one of these types.
    pub fn expect(stream: &mut Stream<'_>, kinds: &[u32], what: &str) -> Result<Self> {
        let tag = Self::next(stream)?;
        if kinds.contains(&tag.kind) {
            return Ok(tag);
        }
        let expected: Vec<String> = kinds.iter().map(u32::to_string).collect();
        let message = format!(
            "an element of type {} where {what} (type {}) was expected",
            tag.kind,
            expected.join(" or ")
        );
        Err(stream.error(tag.at, message))
    }

    /// Passes over the padding; writers differ in whether they pad the very last element before `end`.
    pub fn pad(&self, stream: &mut Stream<'_>, end: u64) -> Result<()> {
        let left = end.saturating_sub(stream.at());
        stream.skip(self.padding.min(left), "padding")
    }

    /// Passes over data and padding.
    pub fn pass(&self, stream: &mut Stream<'_>, end: u64) -> Result<()> {
        stream.skip(self.len, &format!("an element of type {}", self.kind))?;
        self.pad(stream, end)
    }

    /// The data, at most `most` bytes of them, and passes over the padding.
    pub fn data(&self, stream: &mut Stream<'_>, end: u64, most: u64, what: &str) -> Result<Vec<u8>> {
        if self.len > most {
            let message = format!("{what} of {} bytes, but {most} are the most that is sound", self.len);
            return Err(stream.error(self.at, message));
        }
        let data = stream.bytes(self.len, what)?;
        self.pad(stream, end)?;
        Ok(data)
    }
}
