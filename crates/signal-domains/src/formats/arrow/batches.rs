//! The batches of rows of an Arrow file or stream, and where their buffers are.
//!
//! Source: `Message.fbs` and `File.fbs` of Apache Arrow.

use std::ops::Range;

use super::super::Limits;
use super::super::source::Source;
use super::super::table::unpack::Packing;
use super::flat::Table;
use super::schema::{Schema, Values};
use crate::error::{Error, Result};

pub(super) const MAGIC: &[u8; 6] = b"ARROW1";
/// In front of each message.
const MARK: [u8; 4] = [0xff; 4];

/// Some rows.
pub(super) struct Batch {
    pub rows: usize,
    pub packing: Packing,
    /// For each field.
    pub pieces: Vec<Piece>,
}

/// A field's buffers in a batch.
#[derive(Default)]
pub(super) struct Piece {
    /// Which values are there; empty where all are.
    pub valid: Range<u64>,
    /// Values, or where lists or texts start and end.
    pub data: Range<u64>,
    /// Of a list's elements; of texts all further buffers.
    pub more: Vec<Range<u64>>,
    /// Elements of all lists.
    pub elements: usize,
}

/// The schema and the batches of a file or a stream.
pub(super) struct Contents<'a> {
    source: &'a Source,
    limits: &'a Limits,
    schema: Schema,
    batches: Vec<Batch>,
}

impl<'a> Contents<'a> {
    /// By the footer, which says where the batches are.
    pub fn of_file(source: &'a Source, limits: &'a Limits) -> Result<Self> {
        let len = source.len();
        let tail = source.bytes(len.saturating_sub(10), 10.min(len), "the end of the file")?;
        if !tail.ends_with(MAGIC) || tail.len() < 10 {
            let message = "an Arrow file ends with ARROW1; this one is cut short or damaged";
            return Err(source.error(len.saturating_sub(6), message));
        }
        let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        let Some(start) = (len - 10).checked_sub(size) else {
            let message = format!("a footer of {size} bytes in a file of {len}; the file is cut short or damaged");
            return Err(source.error(len - 10, message));
        };
        let footer = source.bytes(start, size, "the footer")?;
        let damaged = || source.error(start, "the footer cannot be read; the file is damaged");
        let table = Table::root(&footer).ok_or_else(damaged)?;
        let schema = table.table(1).ok_or_else(damaged)?;
        let mut contents = Self::new(source, limits, schema, footer.len(), start)?;
        let mut at = 0;
        for block in table.vector(3, 24).ok_or_else(damaged)?.chunks_exact(24) {
            let offset = block.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            // one after the other: none twice
            if offset < at || offset >= len {
                return Err(damaged());
            }
            let Some(message) = Message::read(source, offset)? else {
                return Err(damaged());
            };
            at = message.body.end;
            contents.take(&message)?;
        }
        Ok(contents)
    }

    /// By its messages, one behind the other.
    pub fn of_stream(source: &'a Source, limits: &'a Limits) -> Result<Self> {
        let none = || source.error(0, "it holds no schema; the file is cut short or damaged");
        let first = Message::read(source, 0)?.ok_or_else(none)?;
        let table = Table::root(&first.header).filter(|message| message.u8(1) == Some(1));
        let schema = table.and_then(|message| message.table(2)).ok_or_else(none)?;
        let mut contents = Self::new(source, limits, schema, first.header.len(), 0)?;
        let mut at = first.body.end;
        while let Some(message) = Message::read(source, at)? {
            at = message.body.end;
            contents.take(&message)?;
        }
        Ok(contents)
    }

    fn new(source: &'a Source, limits: &'a Limits, schema: Table<'_>, bytes: usize, at: u64) -> Result<Self> {
        let most = 4 * limits.variables(source.len());
        let Some(schema) = Schema::read(schema, bytes, most, limits.max_depth) else {
            let message = "its schema cannot be read, or has more columns than are listed; the file is damaged";
            return Err(source.error(at, message));
        };
        if schema.big_endian {
            return Err(source.unsupported("Arrow data of the other byte order; write them on a little-endian machine"));
        }
        Ok(Self {
            source,
            limits,
            schema,
            batches: Vec::new(),
        })
    }

    fn take(&mut self, message: &Message) -> Result<()> {
        let damaged = || {
            let words = "a batch of rows whose parts do not fit together; the file is damaged";
            self.source.error(message.at, words)
        };
        let table = Table::root(&message.header).ok_or_else(damaged)?;
        match table.u8(1) {
            // a dictionary
            Some(2) => Ok(()),
            Some(3) => {
                let batch = table
                    .table(2)
                    .and_then(|t| Batch::read(t, &self.schema, message.body.clone()));
                let batch = batch.ok_or_else(damaged)?;
                let most = batch.pieces.iter().map(|p| p.elements).fold(batch.rows, usize::max);
                if most as u64 > self.limits.inflated(self.source.len()) {
                    let message = format!("{most} values are more than a file of this size can hold");
                    return Err(Error::limit(self.source.path(), message));
                }
                self.batches.push(batch);
                Ok(())
            }
            _ => Err(damaged()),
        }
    }

    pub fn finish(self) -> (Schema, Vec<Batch>) {
        (self.schema, self.batches)
    }
}

/// A message: its description, and where its buffers are.
struct Message {
    at: u64,
    header: Vec<u8>,
    body: Range<u64>,
}

impl Message {
    /// The message at `at`; `None` at the end of a stream.
    fn read(source: &Source, at: u64) -> Result<Option<Self>> {
        if at == source.len() {
            return Ok(None);
        }
        let head = source.bytes(at, 8, "a message")?;
        if head[..4] != MARK {
            let message = "a message without its mark (ff ff ff ff); the file is damaged, or of Arrow before 0.15";
            return Err(source.error(at, message));
        }
        let size = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        if size == 0 {
            return Ok(None);
        }
        let header = source.bytes(at + 8, size, "a message")?;
        let len = Table::root(&header).map_or(0, |message| message.i64(3).unwrap_or(0));
        let start = at + 8 + size;
        let Ok(len) = u64::try_from(len) else {
            return Err(source.error(at, "a message of a negative length; the file is damaged"));
        };
        source.check(start, len, "the rows of a message")?;
        Ok(Some(Self {
            at,
            header,
            body: start..start + len,
        }))
    }
}

impl Batch {
    fn read(table: Table<'_>, schema: &Schema, body: Range<u64>) -> Option<Self> {
        let packing = match table.table(3) {
            None => Packing::Plain,
            Some(compression) => match compression.u8(0).unwrap_or(0) {
                0 => Packing::Lz4Frame,
                1 => Packing::Zstd,
                _ => Packing::Other("an unknown method"),
            },
        };
        let pairs = |bytes: &[u8]| -> Vec<(u64, u64)> {
            let number = |b: &[u8]| b.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            bytes.chunks_exact(16).map(|b| (number(b), number(&b[8..]))).collect()
        };
        let nodes = pairs(table.vector(1, 16)?);
        let mut buffers = Vec::new();
        for (offset, len) in pairs(table.vector(2, 16)?) {
            let start = body.start.checked_add(offset)?;
            let end = start.checked_add(len).filter(|end| *end <= body.end)?;
            buffers.push(start..end);
        }
        if nodes.len() != schema.nodes.len() {
            return None;
        }
        let mut more = table.vector(4, 8)?.chunks_exact(8);
        // the first buffer of each node, and the end
        let mut firsts = Vec::with_capacity(nodes.len() + 1);
        let mut first = 0usize;
        for node in &schema.nodes {
            firsts.push(first);
            first += node.buffers;
            if node.more {
                let n = i64::from_le_bytes(*more.next()?.first_chunk()?);
                first = first.checked_add(usize::try_from(n).ok()?)?;
            }
        }
        firsts.push(first);
        if first != buffers.len() {
            return None;
        }
        let rows = usize::try_from(table.i64(0).unwrap_or(0)).ok()?;
        let of = |node: usize| &buffers[firsts[node]..firsts[node + 1]];
        let mut pieces = Vec::with_capacity(schema.fields.len());
        for field in &schema.fields {
            let mut piece = Piece::default();
            if !matches!(field.values, Values::Other(_)) {
                if nodes[field.node].0 != rows as u64 {
                    return None;
                }
                let own = of(field.node);
                piece.valid = own.first()?.clone();
                match field.values {
                    Values::Single(_) => piece.data = own.get(1)?.clone(),
                    Values::Texts(_) | Values::Views => {
                        piece.data = own.get(1)?.clone();
                        piece.more = own[2..].to_vec();
                    }
                    _ => {
                        piece.data = own.get(1).cloned().unwrap_or_default();
                        piece.more = of(field.node + 1).to_vec();
                        piece.elements = usize::try_from(nodes[field.node + 1].0).ok()?;
                    }
                }
            }
            pieces.push(piece);
        }
        Some(Self { rows, packing, pieces })
    }
}
