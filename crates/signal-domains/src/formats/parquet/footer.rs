//! What a Parquet file says it holds: columns, and where their pages are.
//!
//! Source: `parquet.thrift` and `LogicalTypes.md` of Apache Parquet.

use super::super::Limits;
use super::super::source::Source;
use super::super::table::unpack::Packing;
use super::schema::{Element, Leaf, leaves};
use super::thrift::{Compact, Kind, Malformed, Read, size, text};
use crate::error::{Error, Result};

pub(super) const MAGIC: &[u8; 4] = b"PAR1";
/// Most keys of the file that are looked at.
const MOST_STATED: usize = 1024;

/// The file's own description.
pub(super) struct Footer {
    pub rows: usize,
    pub leaves: Vec<Leaf>,
    pub groups: Vec<Group>,
    /// Keys and texts.
    pub stated: Vec<(String, String)>,
}

/// Some rows.
pub(super) struct Group {
    pub rows: usize,
    /// For each leaf.
    pub chunks: Vec<Chunk>,
}

/// The pages of a column in a group.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub packing: Packing,
    pub start: u64,
    pub len: u64,
    /// Values, nulls, and lists without elements.
    pub entries: u64,
}

impl Footer {
    pub fn read(source: &Source, limits: &Limits) -> Result<Self> {
        let len = source.len();
        let tail = source.bytes(len.saturating_sub(8), 8.min(len), "the end of the file")?;
        if len < 12 || tail[4..] != MAGIC[..] {
            let message = if tail.ends_with(b"PARE") {
                return Err(source.unsupported("an encrypted Parquet file; write it unencrypted"));
            } else {
                "a Parquet file ends with PAR1; this one is cut short or damaged"
            };
            return Err(source.error(len.saturating_sub(4), message));
        }
        let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        let Some(start) = (len - 8).checked_sub(size).filter(|start| *start >= 4) else {
            let message = format!("a footer of {size} bytes in a file of {len}; the file is cut short or damaged");
            return Err(source.error(len - 8, message));
        };
        let bytes = source.bytes(start, size, "the footer")?;
        let damaged = |e: Malformed| {
            let message = format!("the footer cannot be read: {}; the file is damaged", e.what);
            source.error(start + e.at as u64, message)
        };
        // lists, and their elements, are nodes as well
        let most = 4 * limits.variables(len);
        let parsed = Parsed::read(&bytes, most).map_err(damaged)?;
        let Some(leaves) = leaves(&parsed.elements, limits.max_depth, bytes.len()) else {
            let message = format!("the footer's schema is no tree, or deeper than {}", limits.max_depth);
            return Err(source.error(start, format!("{message}; the file is damaged")));
        };
        let footer = Self {
            rows: usize::try_from(parsed.rows).unwrap_or(usize::MAX),
            leaves,
            groups: parsed.groups,
            stated: parsed.stated,
        };
        footer.check(source, limits, start)?;
        Ok(footer)
    }

    /// Everything that is declared fits together and into the file.
    fn check(&self, source: &Source, limits: &Limits, footer: u64) -> Result<()> {
        let damaged = |message: String| Err(source.error(footer, format!("{message}; the file is damaged")));
        // a run of one value takes next to no byte, but no sound file is only such runs
        let most = limits.inflated(source.len());
        let mut rows = 0usize;
        for (number, group) in self.groups.iter().enumerate() {
            if group.chunks.len() != self.leaves.len() {
                return damaged(format!(
                    "row group {number} has {} columns, the schema {}",
                    group.chunks.len(),
                    self.leaves.len()
                ));
            }
            rows = rows.saturating_add(group.rows);
            for (chunk, leaf) in group.chunks.iter().zip(&self.leaves) {
                if chunk.start < 4 || chunk.start.checked_add(chunk.len).is_none_or(|end| end > footer) {
                    return damaged(format!(
                        "column {} of row group {number} is {} bytes from {}, outside the file",
                        leaf.name, chunk.len, chunk.start
                    ));
                }
                let expected = group.rows as u64;
                if leaf.most_repeated == 0 && chunk.entries != expected || chunk.entries < expected {
                    return damaged(format!(
                        "column {} of row group {number} has {} values for {expected} rows",
                        leaf.name, chunk.entries
                    ));
                }
                if chunk.entries > most {
                    let message = format!(
                        "column {} has {} values, more than a file of this size can hold",
                        leaf.name, chunk.entries
                    );
                    return Err(Error::limit(source.path(), message));
                }
            }
        }
        if rows != self.rows {
            return damaged(format!("row groups of {rows} rows in all, {} are stated", self.rows));
        }
        Ok(())
    }
}

/// The footer as it is written.
#[derive(Default)]
struct Parsed {
    elements: Vec<Element>,
    rows: u64,
    groups: Vec<Group>,
    stated: Vec<(String, String)>,
}

impl Parsed {
    /// Nothing that is listed may take much less in the file than in memory: of nodes `most` are read.
    fn read(bytes: &[u8], most: usize) -> Read<Self> {
        let mut parsed = Self::default();
        Compact::new(bytes).record(Kind::Record, |r, id, kind| match id {
            2 => r.list(kind, |r, kind| {
                if parsed.elements.len() >= most {
                    let what = "more columns than are listed for a file of this size";
                    return Err(Malformed { at: r.at, what });
                }
                parsed.elements.push(Element::read(r, kind)?);
                Ok(())
            }),
            3 => {
                parsed.rows = size(r.int(kind)?, r.at)?;
                Ok(())
            }
            4 => r.list(kind, |r, kind| {
                parsed.groups.push(group(r, kind)?);
                Ok(())
            }),
            5 => r.list(kind, |r, kind| {
                let (mut key, mut value) = (String::new(), String::new());
                r.record(kind, |r, id, kind| match id {
                    1 => text(r, kind).map(|text| key = text),
                    2 => text(r, kind).map(|text| value = text),
                    _ => r.skip(kind),
                })?;
                if parsed.stated.len() < MOST_STATED {
                    parsed.stated.push((key, value));
                }
                Ok(())
            }),
            _ => r.skip(kind),
        })?;
        Ok(parsed)
    }
}

fn group(r: &mut Compact<'_>, kind: Kind) -> Read<Group> {
    let mut group = Group {
        rows: 0,
        chunks: Vec::new(),
    };
    r.record(kind, |r, id, kind| match id {
        1 => r.list(kind, |r, kind| {
            let before = r.at;
            group.chunks.push(chunk(r, kind)?);
            enough(r, before, "a column of fewer bytes than one takes")
        }),
        3 => {
            group.rows = usize::try_from(size(r.int(kind)?, r.at)?).unwrap_or(usize::MAX);
            Ok(())
        }
        _ => r.skip(kind),
    })?;
    if group.chunks.is_empty() {
        let what = "a row group without columns";
        return Err(Malformed { at: r.at, what });
    }
    group.chunks.shrink_to_fit();
    Ok(group)
}

/// Whether as many bytes were read as the required fields of a column take.
fn enough(r: &Compact<'_>, before: usize, what: &'static str) -> Read<()> {
    if r.at - before < 16 {
        return Err(Malformed { at: r.at, what });
    }
    Ok(())
}

fn chunk(r: &mut Compact<'_>, kind: Kind) -> Read<Chunk> {
    let (mut codec, mut entries, mut len, mut data, mut dictionary) = (0, 0, 0, 0, None);
    let mut elsewhere = false;
    r.record(kind, |r, id, kind| match id {
        1 => {
            elsewhere = true;
            r.skip(kind)
        }
        3 => r.record(kind, |r, id, kind| {
            match id {
                4 => codec = r.int(kind)?,
                5 => entries = size(r.int(kind)?, r.at)?,
                7 => len = size(r.int(kind)?, r.at)?,
                9 => data = size(r.int(kind)?, r.at)?,
                11 => dictionary = Some(size(r.int(kind)?, r.at)?),
                _ => r.skip(kind)?,
            }
            Ok(())
        }),
        _ => r.skip(kind),
    })?;
    let packing = match codec {
        _ if elsewhere => Packing::Other("reference to another file"),
        0 => Packing::Plain,
        1 => Packing::Snappy,
        2 => Packing::Gzip,
        3 => Packing::Other("LZO"),
        4 => Packing::Other("Brotli"),
        5 => Packing::Other("the LZ4 of Hadoop"),
        6 => Packing::Zstd,
        7 => Packing::Lz4Block,
        _ => Packing::Other("an unknown method"),
    };
    Ok(Chunk {
        packing,
        // some writers state a dictionary at 0 where there is none
        start: dictionary.filter(|d| *d > 0 && *d < data).unwrap_or(data),
        len,
        entries,
    })
}
