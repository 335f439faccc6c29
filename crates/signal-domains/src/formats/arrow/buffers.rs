//! What the buffers of a batch hold: numbers, flags, texts, and where lists start.

use std::ops::Range;

use super::super::numbers::Endian;
use super::super::table::text;
use super::super::table::unpack::Packing;
use super::ArrowFile;
use super::batches::{Batch, Piece};
use super::schema::{Single, Values};
use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Two buffers of single values.
pub(super) struct Singles<'b> {
    /// Which are there; empty where all are.
    pub valid: &'b Range<u64>,
    pub data: &'b Range<u64>,
    /// How many there are.
    pub n: usize,
}

impl ArrowFile {
    pub(super) fn damaged(&self, field: usize, at: u64, what: &str) -> Error {
        let name = &self.fields[field].name;
        self.source
            .error(at, format!("column {name}: {what}; the file is damaged"))
    }

    /// Bytes `wanted` of a buffer that holds `of` bytes and padding.
    fn bytes(&self, field: usize, batch: &Batch, buffer: &Range<u64>, wanted: Range<u64>, of: u64) -> Result<Vec<u8>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let short = || self.damaged(field, buffer.start, "a buffer of fewer values than are stated");
        let (at, len) = (buffer.start, buffer.end - buffer.start);
        let unpacked = match batch.packing {
            Packing::Plain => None,
            packing => {
                let size: [u8; 8] = self.source.bytes(at, 8.min(len), "a buffer")?[..]
                    .try_into()
                    .map_err(|_| short())?;
                match i64::from_le_bytes(size) {
                    -1 => None,
                    size => {
                        let size = u64::try_from(size).map_err(|_| short())?;
                        // padding is to 64 bytes at most
                        if size > of + 64 || size > self.limits.max_inflated {
                            return Err(self.damaged(field, at, "a buffer of more values than are stated"));
                        }
                        let packed = self.source.bytes(at + 8, len - 8, "a buffer")?;
                        let unpacked = packing.unpack(packed, size as usize);
                        Some(unpacked.map_err(|what| {
                            self.damaged(field, at, &format!("a buffer cannot be unpacked ({what})"))
                        })?)
                    }
                }
            }
        };
        if let Some(mut bytes) = unpacked {
            if wanted.end > bytes.len() as u64 {
                return Err(short());
            }
            bytes.truncate(wanted.end as usize);
            bytes.drain(..wanted.start as usize);
            return Ok(bytes);
        }
        let front = if batch.packing == Packing::Plain { 0 } else { 8 };
        if wanted.end > len - front {
            return Err(short());
        }
        let n = wanted.end - wanted.start;
        self.source.bytes(at + front + wanted.start, n, "a buffer")
    }

    /// Which of the values `wanted` of `of` are there; `None`: all.
    pub(super) fn valid(
        &self,
        field: usize,
        batch: &Batch,
        buffer: &Range<u64>,
        wanted: &Range<u64>,
        of: u64,
    ) -> Result<Option<Vec<bool>>> {
        if buffer.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.bits(field, batch, buffer, wanted, of)?))
    }

    fn bits(
        &self,
        field: usize,
        batch: &Batch,
        buffer: &Range<u64>,
        wanted: &Range<u64>,
        of: u64,
    ) -> Result<Vec<bool>> {
        let first = wanted.start / 8;
        let bytes = self.bytes(field, batch, buffer, first..wanted.end.div_ceil(8), of.div_ceil(8))?;
        let bit = |i: u64| bytes[(i / 8 - first) as usize] >> (i % 8) & 1 == 1;
        Ok(wanted.clone().map(bit).collect())
    }

    /// Numbers `wanted` of the `of` in two buffers; those that are not there are NaN.
    pub(super) fn numbers(
        &self,
        field: usize,
        batch: &Batch,
        values: &Singles<'_>,
        single: Single,
        wanted: Range<u64>,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let of = values.n as u64;
        let first = out.len();
        match single {
            Single::Numbers(number) => {
                let size = number.size() as u64;
                let bytes = wanted.start * size..wanted.end * size;
                let bytes = self.bytes(field, batch, values.data, bytes, of * size)?;
                number.decode(Endian::Little, &bytes, out);
            }
            Single::Flags => {
                let flags = self.bits(field, batch, values.data, &wanted, of)?;
                out.extend(flags.into_iter().map(f64::from));
            }
        }
        if let Some(valid) = self.valid(field, batch, values.valid, &wanted, of)? {
            for (value, valid) in out[first..].iter_mut().zip(valid) {
                if !valid {
                    *value = f64::NAN;
                }
            }
        }
        Ok(())
    }

    /// The starts of lists or texts, and the end of the last.
    pub(super) fn offsets(&self, field: usize, batch: &Batch, piece: &Piece, size: usize) -> Result<Vec<u64>> {
        // of no rows there may be no offset either
        if batch.rows == 0 {
            return Ok(vec![0]);
        }
        let len = (batch.rows as u64 + 1) * size as u64;
        let bytes = self.bytes(field, batch, &piece.data, 0..len, len)?;
        let offset = |b: &[u8]| match *b {
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            _ => u64::from_le_bytes(*b.first_chunk().expect("eight bytes")),
        };
        let offsets: Vec<u64> = bytes.chunks_exact(size).map(offset).collect();
        if offsets.is_sorted() {
            Ok(offsets)
        } else {
            Err(self.damaged(field, piece.data.start, "a list that ends before it starts"))
        }
    }

    /// The texts of a batch; `None` for those that are not there, are long, or go beyond `budget` bytes.
    pub(super) fn texts(
        &self,
        field: usize,
        batch: &Batch,
        values: Values,
        budget: &mut usize,
        out: &mut Vec<Option<Attribute>>,
    ) -> Result<()> {
        let piece = &batch.pieces[field];
        let rows = batch.rows as u64;
        let valid = self.valid(field, batch, &piece.valid, &(0..rows), rows)?;
        let is_there = |row: usize| valid.as_ref().is_none_or(|valid| valid[row]);
        // all at once: a packed buffer is unpacked for each read
        let whole = |buffer: &Range<u64>, budget: &mut usize| {
            let there = buffer.end - buffer.start;
            let len = if batch.packing == Packing::Plain {
                there
            } else {
                let size = self.source.bytes(buffer.start, 8.min(there), "a buffer")?;
                let stated = size.first_chunk().map_or(0, |size| i64::from_le_bytes(*size));
                u64::try_from(stated).unwrap_or(there.saturating_sub(8))
            };
            match usize::try_from(len).ok().and_then(|len| budget.checked_sub(len)) {
                Some(left) => {
                    *budget = left;
                    self.bytes(field, batch, buffer, 0..len, len).map(Some)
                }
                None => Ok(None),
            }
        };
        let attribute = |bytes: Option<&[u8]>| bytes.and_then(|b| text(&String::from_utf8_lossy(b)));
        if let Values::Texts(size) = values {
            let offsets = self.offsets(field, batch, piece, size)?;
            let bytes = match piece.more.first() {
                Some(buffer) if batch.rows > 0 && !buffer.is_empty() => whole(buffer, budget)?.unwrap_or_default(),
                _ => Vec::new(),
            };
            out.extend(offsets.windows(2).enumerate().map(|(row, pair)| {
                let piece = bytes.get(pair[0] as usize..pair[1] as usize);
                attribute(piece.filter(|_| is_there(row)))
            }));
            return Ok(());
        }
        let views = self.bytes(field, batch, &piece.data, 0..16 * rows, 16 * rows)?;
        let mut long = Vec::new();
        for buffer in &piece.more {
            long.push(whole(buffer, budget)?.unwrap_or_default());
        }
        out.extend(views.as_chunks::<16>().0.iter().enumerate().map(|(row, view)| {
            let four = |at: usize| u32::from_le_bytes([view[at], view[at + 1], view[at + 2], view[at + 3]]) as usize;
            let len = four(0);
            let bytes = if len <= 12 {
                view.get(4..4 + len)
            } else {
                long.get(four(8)).and_then(|b| b.get(four(12)..)?.get(..len))
            };
            attribute(bytes.filter(|_| is_there(row)))
        }));
        Ok(())
    }
}
