//! Tables of FlatBuffers, in which an Arrow file says what it holds.
//!
//! Source: the FlatBuffers internals page. What a table lacks, and what lies outside the bytes, is `None` alike: whoever
//! needs it says so. Tables may point to each other in circles: who follows them must count.

/// A table: fields by their numbers.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(array(bytes, at)?) as usize)
}

impl<'a> Table<'a> {
    pub fn root(bytes: &'a [u8]) -> Option<Self> {
        let at = u32_at(bytes, 0)?;
        array::<4>(bytes, at).map(|_| Self { bytes, at })
    }

    /// Where a field is.
    fn field(self, id: usize) -> Option<usize> {
        let back = i64::from(i32::from_le_bytes(array(self.bytes, self.at)?));
        let table = usize::try_from(self.at as i64 - back).ok()?;
        let size = usize::from(u16::from_le_bytes(array(self.bytes, table)?));
        let entry = 4 + 2 * id;
        if entry + 2 > size {
            return None;
        }
        let offset = usize::from(u16::from_le_bytes(array(self.bytes, table + entry)?));
        (offset > 0).then_some(self.at + offset)
    }

    pub fn u8(self, id: usize) -> Option<u8> {
        array::<1>(self.bytes, self.field(id)?).map(|b| b[0])
    }

    pub fn i16(self, id: usize) -> Option<i16> {
        array(self.bytes, self.field(id)?).map(i16::from_le_bytes)
    }

    pub fn i32(self, id: usize) -> Option<i32> {
        array(self.bytes, self.field(id)?).map(i32::from_le_bytes)
    }

    pub fn i64(self, id: usize) -> Option<i64> {
        array(self.bytes, self.field(id)?).map(i64::from_le_bytes)
    }

    /// Where the offset that stands at `at` points to.
    fn follow(self, at: usize) -> Option<usize> {
        at.checked_add(u32_at(self.bytes, at)?)
    }

    pub fn table(self, id: usize) -> Option<Self> {
        let at = self.follow(self.field(id)?)?;
        array::<4>(self.bytes, at).map(|_| Self { bytes: self.bytes, at })
    }

    pub fn text(self, id: usize) -> Option<&'a str> {
        let at = self.follow(self.field(id)?)?;
        let len = u32_at(self.bytes, at)?;
        std::str::from_utf8(self.bytes.get(at + 4..)?.get(..len)?).ok()
    }

    /// The elements of a vector, of `size` bytes each; empty where there is none.
    pub fn vector(self, id: usize, size: usize) -> Option<&'a [u8]> {
        let Some(field) = self.field(id) else {
            return Some(&[]);
        };
        let at = self.follow(field)?;
        let n = u32_at(self.bytes, at)?;
        self.bytes.get(at + 4..)?.get(..n.checked_mul(size)?)
    }

    /// The tables of a vector; empty where there is none.
    pub fn tables(self, id: usize) -> Option<impl Iterator<Item = Option<Self>>> {
        let n = self.vector(id, 4)?.len() / 4;
        let start = match self.field(id) {
            Some(field) => self.follow(field)? + 4,
            None => 0,
        };
        Some((0..n).map(move |i| {
            let at = self.follow(start + 4 * i)?;
            array::<4>(self.bytes, at).map(|_| Self { bytes: self.bytes, at })
        }))
    }
}
