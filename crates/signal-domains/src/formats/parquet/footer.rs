//! What a Parquet file says it holds: columns, and where their pages are.
//!
//! Source: `parquet.thrift` and `LogicalTypes.md` of Apache Parquet.

use super::super::Limits;
use super::super::numbers::Number;
use super::super::source::Source;
use super::super::table::unpack::Packing;
use super::thrift::{Compact, Kind, Malformed, Read};
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

/// A column that holds values.
#[derive(Debug)]
pub(super) struct Leaf {
    /// `a`; `a.b` inside a record; of lists the name that the list has.
    pub name: String,
    pub values: Values,
    /// What the values are, in words.
    pub kind: &'static str,
    /// The definition level of a value that is there.
    pub most_defined: u8,
    /// The definition level of an element, there or null; above 0 for lists alone.
    pub element_defined: u8,
    /// Lists inside each other.
    pub most_repeated: u8,
}

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Flags,
    Numbers(Number),
    Texts,
    /// Not read; the reason where that needs saying.
    Other(Option<&'static str>),
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

/// A node of the schema.
#[derive(Default)]
struct Element {
    physical: Option<i64>,
    length: i64,
    repetition: i64,
    name: String,
    children: usize,
    converted: Option<i64>,
    logical: Option<Logical>,
}

#[derive(Clone, Copy, PartialEq)]
enum Logical {
    Integer { bits: i64, signed: bool },
    Text,
    Time,
    Half,
    Other,
}

/// Numbers that cannot be negative.
fn size(value: i64, at: usize) -> Read<u64> {
    u64::try_from(value).map_err(|_| Malformed {
        at,
        what: "a negative size",
    })
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

fn text(r: &mut Compact<'_>, kind: Kind) -> Read<String> {
    Ok(String::from_utf8_lossy(r.bytes(kind)?).into_owned())
}

impl Element {
    fn read(r: &mut Compact<'_>, kind: Kind) -> Read<Self> {
        let mut e = Self::default();
        r.record(kind, |r, id, kind| {
            match id {
                1 => e.physical = Some(r.int(kind)?),
                2 => e.length = r.int(kind)?,
                3 => e.repetition = r.int(kind)?,
                4 => e.name = text(r, kind)?,
                5 => e.children = size(r.int(kind)?, r.at)? as usize,
                6 => e.converted = Some(r.int(kind)?),
                10 => {
                    r.record(kind, |r, id, kind| {
                        e.logical = Some(match id {
                            1 | 4 => Logical::Text,
                            6..=8 => Logical::Time,
                            10 => return integer(r, kind).map(|logical| e.logical = Some(logical)),
                            15 => Logical::Half,
                            _ => Logical::Other,
                        });
                        r.skip(kind)
                    })?;
                }
                _ => r.skip(kind)?,
            }
            Ok(())
        })?;
        Ok(e)
    }

    fn values(&self) -> (Values, &'static str) {
        let numbers = |number: Number| (Values::Numbers(number), number.name());
        let signed = !matches!(self.logical, Some(Logical::Integer { signed: false, .. }))
            && !matches!(self.converted, Some(11..=14));
        let other = |kind| (Values::Other(None), kind);
        match self.logical {
            Some(Logical::Time) => return other("time"),
            Some(Logical::Other) => return other("other"),
            _ => {}
        }
        match self.converted {
            Some(6..=10 | 21) => return other("time"),
            Some(5) => return other("decimal"),
            _ => {}
        }
        // 8 and 16 bits are stored in 32
        let bits = match (self.logical, self.converted) {
            (Some(Logical::Integer { bits, .. }), _) => bits,
            (_, Some(11 | 15)) => 8,
            (_, Some(12 | 16)) => 16,
            _ => 32,
        };
        match self.physical {
            Some(0) => (Values::Flags, "logical"),
            Some(1) => match (bits, signed) {
                (8, true) => (Values::Numbers(Number::I32), "int8"),
                (8, false) => (Values::Numbers(Number::U32), "uint8"),
                (16, true) => (Values::Numbers(Number::I32), "int16"),
                (16, false) => (Values::Numbers(Number::U32), "uint16"),
                (_, true) => numbers(Number::I32),
                (_, false) => numbers(Number::U32),
            },
            Some(2) if signed => numbers(Number::I64),
            Some(2) => numbers(Number::U64),
            Some(3) => other("time"),
            Some(4) => numbers(Number::F32),
            Some(5) => numbers(Number::F64),
            Some(6) if self.logical == Some(Logical::Text) || matches!(self.converted, Some(0 | 4)) => {
                (Values::Texts, "text")
            }
            Some(7) if self.logical == Some(Logical::Half) && self.length == 2 => numbers(Number::F16),
            _ => other("bytes"),
        }
    }
}

fn integer(r: &mut Compact<'_>, kind: Kind) -> Read<Logical> {
    let (mut bits, mut signed) = (32, true);
    r.record(kind, |r, id, kind| {
        match id {
            1 => bits = r.int(kind)?,
            2 => signed = r.int(kind)? != 0,
            _ => r.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Logical::Integer { bits, signed })
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

/// The columns below the root; `None` where the schema is no tree, or their names would take much more than the `bytes` of
/// the footer.
fn leaves(elements: &[Element], most_depth: usize, bytes: usize) -> Option<Vec<Leaf>> {
    let (root, rest) = elements.split_first()?;
    let mut walk = Walk {
        rest,
        leaves: Vec::new(),
        most_depth,
        budget: 2 * bytes + (1 << 16),
    };
    for _ in 0..root.children {
        walk.node(&Above::default(), 0)?;
    }
    walk.rest.is_empty().then_some(walk.leaves)
}

/// What stands above a node.
#[derive(Clone, Default)]
struct Above {
    name: String,
    defined: u8,
    element_defined: u8,
    repeated: u8,
    /// Whether the next name is that of a list's element, which says nothing.
    in_list: bool,
}

struct Walk<'e> {
    rest: &'e [Element],
    leaves: Vec<Leaf>,
    most_depth: usize,
    /// Bytes that names may still take.
    budget: usize,
}

impl Walk<'_> {
    fn node(&mut self, above: &Above, depth: usize) -> Option<()> {
        let (element, rest) = self.rest.split_first()?;
        self.rest = rest;
        if depth > self.most_depth || element.children > self.rest.len() {
            return None;
        }
        let mut here = above.clone();
        let repeated = element.repetition == 2;
        if element.repetition != 0 {
            here.defined = here.defined.checked_add(1)?;
        }
        if repeated {
            here.repeated += 1;
            here.element_defined = here.defined;
        }
        // of `x.list.element` only x is a name; of the older `x.array` too
        let silent = above.in_list || repeated && !above.name.is_empty();
        here.in_list = repeated && element.children == 1;
        if !silent {
            here.name = match &*above.name {
                "" => element.name.clone(),
                parent => format!("{parent}.{}", element.name),
            };
        }
        self.budget = self.budget.checked_sub(here.name.len())?;
        if element.children > 0 {
            for _ in 0..element.children {
                self.node(&here, depth + 1)?;
            }
            return Some(());
        }
        let (values, kind) = element.values();
        self.leaves.push(Leaf {
            name: here.name,
            values,
            kind,
            most_defined: here.defined,
            element_defined: here.element_defined,
            most_repeated: here.repeated,
        });
        Some(())
    }
}
