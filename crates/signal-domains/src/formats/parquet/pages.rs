//! The pages of a column: found one by one and unpacked.
//!
//! A page is in memory as a whole; of all others only what was asked for.

use std::ops::Range;

use super::super::numbers::Endian;
use super::super::source::Source;
use super::super::table::unpack::Packing;
use super::encodings::{runs, texts};
use super::footer::Chunk;
use super::page::{Dictionary, Page};
use super::schema::{Leaf, Values};
use super::thrift::{Compact, Kind, Read};
use crate::error::{Error, Result};

/// Bytes that the header of a page is looked for in: at first, and at most (it may hold the least and the greatest text).
const HEADER: u64 = 128;
const LONGEST_HEADER: u64 = 1 << 17;

/// Bytes of texts that a page of any file may hold; writers end a page at a megabyte or earlier.
const TEXTS: u64 = 1 << 18;

/// What the header of a page says.
#[derive(Default)]
struct Header {
    kind: i64,
    packed: u64,
    unpacked: usize,
    entries: usize,
    encoding: i64,
    /// Bytes of levels in front of the packed values, in pages of the second version.
    repetition_bytes: usize,
    definition_bytes: usize,
    is_packed: bool,
    level_encodings: [i64; 2],
}

const DATA: i64 = 0;
const DICTIONARY: i64 = 2;
const DATA_2: i64 = 3;
/// Levels as runs; the packing before it is gone from every writer since 2013.
const RUNS: i64 = 3;

/// A column's pages in a row group.
pub(super) struct Pages<'a> {
    pub source: &'a Source,
    pub leaf: &'a Leaf,
    pub chunk: &'a Chunk,
}

impl Pages<'_> {
    fn damaged(&self, at: u64, what: &str) -> Error {
        let message = format!("column {}: {what}; the file is damaged", self.leaf.name);
        self.source.error(at, message)
    }

    /// Entries `wanted` as numbers; those that are not there are NaN.
    pub fn numbers(&self, wanted: Range<u64>, out: &mut Vec<f64>) -> Result<()> {
        let end = out.len() + (wanted.end - wanted.start) as usize;
        self.each(wanted, |page, dictionary, entries| {
            page.numbers(self.leaf, dictionary, entries, out)
        })?;
        if out.len() == end {
            Ok(())
        } else {
            Err(self.damaged(self.chunk.start, "fewer values than are stated"))
        }
    }

    /// All entries as texts; `None` for those that are not there, and once `budget` bytes of texts are used up.
    pub fn texts(&self, budget: &mut usize, out: &mut Vec<Option<String>>) -> Result<()> {
        let end = out.len() as u64 + self.chunk.entries;
        self.each(0..self.chunk.entries, |page, dictionary, _| {
            page.texts(self.leaf, dictionary, budget, out)
        })?;
        if out.len() as u64 == end {
            Ok(())
        } else {
            Err(self.damaged(self.chunk.start, "fewer texts than are stated"))
        }
    }

    /// For each row its length and its first entry.
    pub fn lists(&self, rows: usize, out: &mut Vec<(usize, u64)>) -> Result<()> {
        // the only row has all entries; whether a single one is none must be looked up
        if rows == 1 && self.chunk.entries != 1 {
            out.push((self.chunk.entries as usize, 0));
            return Ok(());
        }
        let first = out.len();
        let mut at = 0u64;
        let mut is_sound = true;
        self.each(0..self.chunk.entries, |page, _, _| {
            for i in 0..page.entries {
                let starts = page.repeated.get(i).is_none_or(|r| *r == 0);
                let is_element = page
                    .defined
                    .get(i)
                    .is_none_or(|d| *d >= u32::from(self.leaf.element_defined));
                if starts {
                    // no more rows than are stated take memory
                    is_sound &= out.len() - first < rows;
                    if is_sound {
                        out.push((usize::from(is_element), at));
                    }
                } else if out.len() > first && is_element && is_sound {
                    out.last_mut()?.0 += 1;
                } else {
                    is_sound = false;
                }
                at += 1;
            }
            Some(())
        })?;
        if is_sound && out.len() - first == rows {
            Ok(())
        } else {
            Err(self.damaged(self.chunk.start, "other rows than are stated"))
        }
    }

    /// Unpacks the pages that hold `wanted` entries, and gives each with those of its entries that are wanted.
    fn each(
        &self,
        wanted: Range<u64>,
        mut take: impl FnMut(&Page, &Dictionary, Range<usize>) -> Option<()>,
    ) -> Result<()> {
        if let Packing::Other(name) = self.chunk.packing {
            let message = format!(
                "column {} is packed by {name}, which is not read; write it with snappy, zstd, gzip or lz4",
                self.leaf.name
            );
            return Err(self.source.unsupported(message));
        }
        let mut at = self.chunk.start;
        let end = at + self.chunk.len;
        let mut first = 0u64;
        let mut dictionary = Dictionary::None;
        while first < wanted.end {
            if at >= end {
                return Err(self.damaged(at, "it ends before its last value"));
            }
            let page_at = at;
            let (header, body) = self.header(at, end)?;
            at = body + header.packed;
            match header.kind {
                DICTIONARY => dictionary = self.dictionary(&header, body)?,
                DATA | DATA_2 => {
                    let entries = first..first + header.entries as u64;
                    if entries.end > self.chunk.entries {
                        return Err(self.damaged(page_at, "more values than are stated"));
                    }
                    first = entries.end;
                    let (from, to) = (wanted.start.max(entries.start), wanted.end.min(entries.end));
                    if from >= to {
                        continue;
                    }
                    let page = self.page(&header, body)?;
                    let inside = (from - entries.start) as usize..(to - entries.start) as usize;
                    if take(&page, &dictionary, inside).is_none() {
                        let what = match page.encoding {
                            0 | 2 | 3 | 5 | 6 | 8 | 9 => "a page whose values cannot be decoded",
                            _ => "a page of an encoding that is not read",
                        };
                        return Err(self.damaged(page_at, what));
                    }
                }
                // an index, or what is yet to be invented
                _ => {}
            }
        }
        Ok(())
    }

    /// The header of the page at `at`, and where its body starts.
    fn header(&self, at: u64, end: u64) -> Result<(Header, u64)> {
        let mut ask = HEADER;
        loop {
            let n = ask.min(end - at);
            let bytes = self.source.bytes(at, n, "the header of a page")?;
            let mut r = Compact::new(&bytes);
            match Header::read(&mut r) {
                Ok(header) => {
                    let body = at + r.at as u64;
                    if header.packed > end - body {
                        let what = format!("a page of {} bytes, of which {} are left", header.packed, end - body);
                        return Err(self.damaged(at, &what));
                    }
                    return Ok((header, body));
                }
                Err(_) if r.is_at_end() && n == ask && ask < LONGEST_HEADER => ask *= 16,
                Err(e) => {
                    let what = format!("the header of a page cannot be read: {}", e.what);
                    return Err(self.damaged(at + e.at as u64, &what));
                }
            }
        }
    }

    fn unpack(&self, packed: Vec<u8>, header: &Header, at: u64, len: usize) -> Result<Vec<u8>> {
        // nothing but values and levels is in a page of numbers
        let widest = match self.leaf.values {
            Values::Numbers(number) => number.size(),
            _ => 8,
        };
        if self.leaf.values != Values::Texts && len > 4096 + header.entries.saturating_mul(widest + 4) {
            let what = format!("a page of {len} bytes for {} values", header.entries);
            return Err(self.damaged(at, &what));
        }
        if self.leaf.values == Values::Texts && len as u64 > TEXTS.max(2 * self.source.len()) {
            let message = format!("column {}: a page of {len} bytes of texts", self.leaf.name);
            return Err(Error::limit(self.source.path(), message));
        }
        let packing = if header.is_packed {
            self.chunk.packing
        } else {
            Packing::Plain
        };
        packing
            .unpack(packed, len)
            .map_err(|what| self.damaged(at, &format!("a page cannot be unpacked ({what})")))
    }

    fn dictionary(&self, header: &Header, at: u64) -> Result<Dictionary> {
        let packed = self.source.bytes(at, header.packed, "a page")?;
        let body = self.unpack(packed, header, at, header.unpacked)?;
        let n = header.entries;
        let read = match self.leaf.values {
            Values::Numbers(number) => n
                .checked_mul(number.size())
                .and_then(|size| body.get(..size))
                .map(|body| {
                    let mut values = Vec::with_capacity(n);
                    number.decode(Endian::Little, body, &mut values);
                    Dictionary::Numbers(values)
                }),
            Values::Texts => texts(&body, n).map(|texts| {
                let mut at = 0;
                let places = texts
                    .iter()
                    .map(|text| {
                        at += 4 + text.len();
                        at - text.len()..at
                    })
                    .collect();
                Dictionary::Texts {
                    places,
                    bytes: body.clone(),
                }
            }),
            _ => None,
        };
        read.ok_or_else(|| self.damaged(at, "a dictionary that cannot be decoded"))
    }

    fn page(&self, header: &Header, at: u64) -> Result<Page> {
        let mut packed = self.source.bytes(at, header.packed, "a page")?;
        let levels = header.repetition_bytes.checked_add(header.definition_bytes);
        let Some(len) = levels.and_then(|levels| {
            (levels <= packed.len()).then_some(())?;
            header.unpacked.checked_sub(levels)
        }) else {
            return Err(self.damaged(at, "a page of more levels than bytes"));
        };
        let levels = levels.unwrap_or_default();
        let front: Vec<u8> = packed.drain(..levels).collect();
        let body = self.unpack(packed, header, at, len)?;
        let page = if header.kind == DATA_2 {
            self.second(header, &front, body)
        } else {
            self.first(header, body)
        };
        page.ok_or_else(|| self.damaged(at, "a page whose levels cannot be decoded"))
    }

    /// A page of the second version: the levels stand in front.
    fn second(&self, header: &Header, front: &[u8], body: Vec<u8>) -> Option<Page> {
        let (repeated, defined) = front.split_at(header.repetition_bytes);
        let levels = |most: u8, bytes| match most {
            0 => Some(Vec::new()),
            _ => runs(bytes, width(most), header.entries),
        };
        Some(Page {
            repeated: levels(self.leaf.most_repeated, repeated)?,
            defined: levels(self.leaf.most_defined, defined)?,
            body,
            values: 0,
            encoding: header.encoding,
            entries: header.entries,
        })
    }

    /// A page of the first version: each kind of level stands behind its length.
    fn first(&self, header: &Header, body: Vec<u8>) -> Option<Page> {
        let mut rest = &body[..];
        let mut levels = |most: u8, encoding: i64| {
            if most == 0 {
                return Some(Vec::new());
            }
            let len = u32::from_le_bytes(*rest.split_off(..4)?.first_chunk()?);
            let bytes = rest.split_off(..len as usize)?;
            (encoding == RUNS).then_some(())?;
            runs(bytes, width(most), header.entries)
        };
        let [defined, repeated] = header.level_encodings;
        let repeated = levels(self.leaf.most_repeated, repeated)?;
        let defined = levels(self.leaf.most_defined, defined)?;
        let values = body.len() - rest.len();
        Some(Page {
            repeated,
            defined,
            body,
            values,
            encoding: header.encoding,
            entries: header.entries,
        })
    }
}

/// Bits of a level.
fn width(most: u8) -> u32 {
    u8::BITS - most.leading_zeros()
}

impl Header {
    fn read(r: &mut Compact<'_>) -> Read<Self> {
        let mut h = Self {
            is_packed: true,
            kind: -1,
            level_encodings: [RUNS; 2],
            ..Self::default()
        };
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        r.record(Kind::Record, |r, id, kind| match id {
            1 => r.int(kind).map(|kind| h.kind = kind),
            2 => r.int(kind).map(|n| h.unpacked = size(n)),
            3 => r.int(kind).map(|n| h.packed = size(n) as u64),
            5 => r.record(kind, |r, id, kind| match id {
                1 => r.int(kind).map(|n| h.entries = size(n)),
                2 => r.int(kind).map(|encoding| h.encoding = encoding),
                3 => r.int(kind).map(|encoding| h.level_encodings[0] = encoding),
                4 => r.int(kind).map(|encoding| h.level_encodings[1] = encoding),
                _ => r.skip(kind),
            }),
            7 => r.record(kind, |r, id, kind| match id {
                1 => r.int(kind).map(|n| h.entries = size(n)),
                2 => r.int(kind).map(|encoding| h.encoding = encoding),
                _ => r.skip(kind),
            }),
            8 => r.record(kind, |r, id, kind| match id {
                1 => r.int(kind).map(|n| h.entries = size(n)),
                4 => r.int(kind).map(|encoding| h.encoding = encoding),
                5 => r.int(kind).map(|n| h.definition_bytes = size(n)),
                6 => r.int(kind).map(|n| h.repetition_bytes = size(n)),
                7 => r.int(kind).map(|packed| h.is_packed = packed != 0),
                _ => r.skip(kind),
            }),
            _ => r.skip(kind),
        })?;
        // whatever it is, 32 bits are what the format gives a page
        let most = i32::MAX as usize;
        if h.unpacked > most || h.packed > most as u64 || h.entries > most {
            return Err(super::thrift::Malformed {
                at: r.at,
                what: "a size that cannot be",
            });
        }
        Ok(h)
    }
}
