//! Arrow IPC, as a file (also named Feather) and as a stream: columns of numbers, and of lists of numbers. See
//! [`table`](super::table) for what they are as signals.
//!
//! Source: `Columnar.rst`, `Message.fbs` and `File.fbs` of Apache Arrow. The reader is our own:
//! the one there is takes memory by sizes that a file states.

mod flat;
mod schema;

use std::ops::Range;

use self::flat::Table;
pub(super) use self::schema::stated_of_fields;
use self::schema::{Field, Schema, Single, Values};
use super::listing::Listing;
use super::numbers::Endian;
use super::source::Source;
use super::table::unpack::Packing;
use super::table::{self, Column, Content, Spot, list, text};
use super::{Limits, Reader, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::select::Chosen;

const MAGIC: &[u8; 6] = b"ARROW1";
/// In front of each message.
const MARK: [u8; 4] = [0xff; 4];

/// An Arrow file, of which the description is in memory.
pub(super) struct ArrowFile {
    source: Source,
    limits: Limits,
    fields: Vec<Field>,
    batches: Vec<Batch>,
    listing: Listing<Spot<At>>,
}

/// Some rows.
struct Batch {
    rows: usize,
    packing: Packing,
    /// For each field.
    pieces: Vec<Piece>,
}

/// A field's buffers in a batch.
#[derive(Default)]
struct Piece {
    /// Which values are there; empty where all are.
    valid: Range<u64>,
    /// Values, or where lists or texts start and end.
    data: Range<u64>,
    /// Of a list's elements; of texts all further buffers.
    more: Vec<Range<u64>>,
    /// Elements of all lists.
    elements: usize,
}

/// Where a list is: in which batch, and its first element there.
#[derive(Clone, Copy)]
struct At {
    batch: u32,
    first: u64,
}

impl ArrowFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let head = source.head(8)?;
        if head.starts_with(b"FEA1") {
            return Err(source.unsupported(
                "a Feather file of version 1; write it again by pandas or pyarrow of today, or as Parquet",
            ));
        }
        let (schema, batches) = if head.starts_with(MAGIC) {
            Contents::of_file(&source, limits)?
        } else {
            Contents::of_stream(&source, limits)?
        }
        .finish();
        let mut file = Self {
            listing: Listing::new(limits, source.len()),
            source,
            limits: *limits,
            fields: schema.fields,
            batches,
        };
        let columns = (0..file.fields.len())
            .map(|index| {
                let field = &file.fields[index];
                Ok(Column {
                    name: field.name.clone(),
                    kind: field.kind,
                    content: file.content(index)?,
                    stated: field.stated.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let any_list = columns.iter().any(|c| matches!(c.content, Content::Lists(_)));
        let beside = if any_list { file.beside()? } else { Vec::new() };
        file.listing = list(&file.source, limits, file.rows(), columns, &schema.stated, &beside)?;
        Ok(file)
    }

    fn rows(&self) -> usize {
        self.batches
            .iter()
            .fold(0, |rows, batch| rows.saturating_add(batch.rows))
    }

    fn damaged(&self, field: usize, at: u64, what: &str) -> Error {
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
        match unpacked {
            Some(mut bytes) => {
                if wanted.end > bytes.len() as u64 {
                    return Err(short());
                }
                bytes.truncate(wanted.end as usize);
                bytes.drain(..wanted.start as usize);
                Ok(bytes)
            }
            None => {
                let front = if batch.packing == Packing::Plain { 0 } else { 8 };
                if wanted.end > len - front {
                    return Err(short());
                }
                let n = wanted.end - wanted.start;
                self.source.bytes(at + front + wanted.start, n, "a buffer")
            }
        }
    }

    /// Which of the values `wanted` of `of` are there; `None`: all.
    fn valid(
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
    fn numbers(
        &self,
        field: usize,
        batch: &Batch,
        (valid, data): (&Range<u64>, &Range<u64>),
        single: Single,
        wanted: Range<u64>,
        of: usize,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let of = of as u64;
        let first = out.len();
        match single {
            Single::Numbers(number) => {
                let size = number.size() as u64;
                let bytes = wanted.start * size..wanted.end * size;
                let bytes = self.bytes(field, batch, data, bytes, of * size)?;
                number.decode(Endian::Little, &bytes, out);
            }
            Single::Flags => {
                let flags = self.bits(field, batch, data, &wanted, of)?;
                out.extend(flags.into_iter().map(f64::from));
            }
        }
        if let Some(valid) = self.valid(field, batch, valid, &wanted, of)? {
            for (value, valid) in out[first..].iter_mut().zip(valid) {
                if !valid {
                    *value = f64::NAN;
                }
            }
        }
        Ok(())
    }

    /// The starts of lists or texts, and the end of the last.
    fn offsets(&self, field: usize, batch: &Batch, piece: &Piece, size: usize) -> Result<Vec<u64>> {
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

    fn content(&self, index: usize) -> Result<Content<At>> {
        let (size, fixed) = match self.fields[index].values {
            Values::Single(_) => return Ok(Content::Numbers),
            Values::Texts(_) | Values::Views => return Ok(Content::Other(None)),
            Values::Other(reason) => return Ok(Content::Other(reason)),
            Values::Lists(_, size) => (size, None),
            Values::Fixed(_, len) => (0, Some(len as u64)),
        };
        if self.rows() > self.limits.variables(self.source.len()) {
            let reason = "it has more lists than are listed for a file of this size";
            return Ok(Content::Other(Some(reason)));
        }
        let mut lists = Vec::new();
        for (number, batch) in self.batches.iter().enumerate() {
            let piece = &batch.pieces[index];
            let rows = batch.rows as u64;
            let offsets = match fixed {
                Some(len) => (0..=rows).map(|row| row.checked_mul(len)).collect::<Option<_>>(),
                None => Some(self.offsets(index, batch, piece, size)?),
            };
            let offsets = offsets.filter(|o| o.last().is_some_and(|last| *last <= piece.elements as u64));
            let Some(offsets) = offsets else {
                return Err(self.damaged(index, piece.data.start, "lists of more elements than there are"));
            };
            let valid = self.valid(index, batch, &piece.valid, &(0..rows), rows)?;
            for (row, pair) in offsets.windows(2).enumerate() {
                let is_there = valid.as_ref().is_none_or(|valid| valid[row]);
                let len = if is_there { (pair[1] - pair[0]) as usize } else { 0 };
                let batch = number as u32;
                lists.push((len, At { batch, first: pair[0] }));
            }
        }
        Ok(Content::Lists(lists))
    }

    /// The columns that are no lists, as attributes of the rows, as far as they take no more memory than the file.
    fn beside(&self) -> Result<Vec<table::Values>> {
        let len = usize::try_from(self.source.len()).unwrap_or(usize::MAX);
        let (mut values, mut bytes) = (len / 16 + 8192, len / 4 + (1 << 17));
        let mut beside = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            if !matches!(field.values, Values::Single(_) | Values::Texts(_) | Values::Views) {
                continue;
            }
            let Some(left) = values.checked_sub(self.rows()) else {
                break;
            };
            values = left;
            let mut column = Vec::new();
            for batch in &self.batches {
                match field.values {
                    Values::Single(single) => {
                        let mut numbers = Vec::new();
                        self.single(index, batch, single, 0..batch.rows as u64, &mut numbers)?;
                        column.extend(numbers.into_iter().map(|n| match single {
                            _ if n.is_nan() => None,
                            Single::Flags => Some(Attribute::Flag(n != 0.0)),
                            Single::Numbers(_) => Some(Attribute::Number(n)),
                        }));
                    }
                    values => self.texts(index, batch, values, &mut bytes, &mut column)?,
                }
            }
            beside.push((field.name.clone(), column));
        }
        Ok(beside)
    }

    fn single(
        &self,
        field: usize,
        batch: &Batch,
        single: Single,
        wanted: Range<u64>,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let piece = &batch.pieces[field];
        let buffers = (&piece.valid, &piece.data);
        self.numbers(field, batch, buffers, single, wanted, batch.rows, out)
    }

    /// The texts of a batch; `None` for those that are not there, are long, or go beyond `budget` bytes.
    fn texts(
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
            let len = match batch.packing {
                Packing::Plain => buffer.end - buffer.start,
                _ => {
                    let size = self
                        .source
                        .bytes(buffer.start, 8.min(buffer.end - buffer.start), "a buffer")?;
                    let stated = size.first_chunk().map_or(0, |size| i64::from_le_bytes(*size));
                    u64::try_from(stated).unwrap_or((buffer.end - buffer.start).saturating_sub(8))
                }
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

    /// Samples of a column, which goes on from batch to batch.
    fn column(&self, index: usize, single: Single, samples: Range<usize>) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(samples.len());
        let mut first = 0;
        for batch in &self.batches {
            let rows = first..first + batch.rows;
            first = rows.end;
            let (from, to) = (samples.start.max(rows.start), samples.end.min(rows.end));
            if from < to {
                let wanted = (from - rows.start) as u64..(to - rows.start) as u64;
                self.single(index, batch, single, wanted, &mut out)?;
            }
        }
        Ok(out)
    }

    fn list(&self, index: usize, at: At, samples: Range<usize>) -> Result<Vec<f64>> {
        let (Values::Lists(single, _) | Values::Fixed(single, _)) = self.fields[index].values else {
            return Ok(Vec::new());
        };
        let batch = &self.batches[at.batch as usize];
        let piece = &batch.pieces[index];
        let [valid, data] = &piece.more[..] else {
            return Err(self.damaged(index, piece.data.start, "lists without elements"));
        };
        let mut out = Vec::with_capacity(samples.len());
        let wanted = at.first + samples.start as u64..at.first + samples.end as u64;
        self.numbers(index, batch, (valid, data), single, wanted, piece.elements, &mut out)?;
        Ok(out)
    }
}

impl Reader for ArrowFile {
    fn format(&self) -> &'static str {
        "Arrow"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        let one = |chosen: &Chosen| match self.listing.spots[chosen.variable] {
            _ if samples.is_empty() => Ok(Vec::new()),
            Spot::None => Ok(Vec::new()),
            Spot::List(index, at) => self.list(index, at, samples.clone()),
            Spot::Column(index) => match self.fields[index].values {
                Values::Single(single) => self.column(index, single, samples.clone()),
                _ => Ok(Vec::new()),
            },
        };
        channels.iter().map(one).collect()
    }
}

/// The schema and the batches of a file or a stream.
struct Contents<'a> {
    source: &'a Source,
    limits: &'a Limits,
    schema: Schema,
    batches: Vec<Batch>,
}

impl<'a> Contents<'a> {
    /// By the footer, which says where the batches are.
    fn of_file(source: &'a Source, limits: &'a Limits) -> Result<Self> {
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
    fn of_stream(source: &'a Source, limits: &'a Limits) -> Result<Self> {
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

    fn finish(self) -> (Schema, Vec<Batch>) {
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
