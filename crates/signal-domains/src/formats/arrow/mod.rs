//! Arrow IPC, as a file (also named Feather) and as a stream: columns of numbers, and of lists of numbers. See
//! [`table`](super::table) for what they are as signals.
//!
//! Source: `Columnar.rst`, `Message.fbs` and `File.fbs` of Apache Arrow. The reader is our own:
//! the one there is takes memory by sizes that a file states.

mod batches;
mod buffers;
mod flat;
mod schema;

use std::ops::Range;

use self::batches::{Batch, Contents, MAGIC};
use self::buffers::Singles;
pub(super) use self::schema::stated_of_fields;
use self::schema::{Field, Single, Values};
use super::listing::Listing;
use super::source::Source;
use super::table::{self, Column, Content, Spot, list};
use super::{Limits, Out, Reader, Variable};
use crate::dataset::Attribute;
use crate::error::Result;
use crate::select::Chosen;

/// An Arrow file, of which the description is in memory.
pub(super) struct ArrowFile {
    source: Source,
    limits: Limits,
    fields: Vec<Field>,
    batches: Vec<Batch>,
    listing: Listing<Spot<At>>,
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
        let values = Singles {
            valid: &piece.valid,
            data: &piece.data,
            n: batch.rows,
        };
        self.numbers(field, batch, &values, single, wanted, out)
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
        let values = Singles {
            valid,
            data,
            n: piece.elements,
        };
        self.numbers(index, batch, &values, single, wanted, &mut out)?;
        Ok(out)
    }
}

impl ArrowFile {
    /// Samples `samples` of each channel.
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

impl Reader for ArrowFile {
    fn format(&self) -> &'static str {
        "Arrow"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}
