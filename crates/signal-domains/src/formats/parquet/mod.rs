//! Parquet files: columns of numbers, and of lists of numbers. See [`table`](super::table) for what they are as signals.
//!
//! The reader is our own: those there are take memory by sizes that a file states, and panic on values that do not fit. It
//! reads what pandas, polars, DuckDB and Spark write of numbers and texts.

mod encodings;
mod footer;
mod page;
mod pages;
mod schema;
mod thrift;
mod write;

use std::ops::Range;

use self::footer::Footer;
use self::pages::Pages;
use self::schema::{Leaf, Values};
pub(crate) use self::write::{Kind, ParquetWriter, Row};
use super::listing::Listing;
use super::source::Source;
use super::table::{Column, Content, Spot, list, text};
use super::{Limits, Out, Reader, Variable, arrow, table};
use crate::dataset::Attribute;
use crate::error::Result;
use crate::select::Chosen;

/// A Parquet file, of which the description is in memory.
pub(crate) struct ParquetFile {
    source: Source,
    footer: Footer,
    listing: Listing<Spot<At>>,
}

/// Where a list is: in which group of rows, and its first entry there.
#[derive(Clone, Copy)]
struct At {
    group: u32,
    entry: u64,
}

impl ParquetFile {
    pub(crate) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let footer = Footer::read(&source, limits)?;
        let mut file = Self {
            listing: Listing::new(limits, source.len()),
            source,
            footer,
        };
        let of_fields = arrow::stated_of_fields(&file.footer.stated);
        let columns = file
            .footer
            .leaves
            .iter()
            .enumerate()
            .map(|(index, leaf)| {
                Ok(Column {
                    name: leaf.name.clone(),
                    kind: leaf.kind,
                    content: file.content(index, leaf, limits)?,
                    stated: of_fields.get(&leaf.name).cloned().unwrap_or_default(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let any_list = columns.iter().any(|c| matches!(c.content, Content::Lists(_)));
        let beside = if any_list { file.beside()? } else { Vec::new() };
        file.listing = list(
            &file.source,
            limits,
            file.footer.rows,
            columns,
            &file.footer.stated,
            &beside,
        )?;
        Ok(file)
    }

    /// What the file states by a key.
    pub(crate) fn stated(&self, name: &str) -> Option<String> {
        let found = self.footer.stated.iter().find(|(key, _)| key == name);
        found.map(|(_, text)| text.clone())
    }

    fn pages(&self, group: usize, column: usize) -> Pages<'_> {
        Pages {
            source: &self.source,
            leaf: &self.footer.leaves[column],
            chunk: &self.footer.groups[group].chunks[column],
        }
    }

    fn content(&self, index: usize, leaf: &Leaf, limits: &Limits) -> Result<Content<At>> {
        let numeric = matches!(leaf.values, Values::Flags | Values::Numbers(_));
        Ok(match leaf.values {
            _ if leaf.most_repeated > 1 => Content::Other(Some("lists of lists are not read")),
            Values::Other(reason) => Content::Other(reason),
            Values::Texts => Content::Other(None),
            _ if leaf.most_repeated == 0 && numeric => Content::Numbers,
            _ if self.footer.rows > limits.variables(self.source.len()) => {
                Content::Other(Some("it has more lists than are listed for a file of this size"))
            }
            _ => {
                let mut lists = Vec::new();
                for (number, group) in self.footer.groups.iter().enumerate() {
                    let mut of_group = Vec::new();
                    self.pages(number, index).lists(group.rows, &mut of_group)?;
                    let group = number as u32;
                    lists.extend(of_group.into_iter().map(|(len, entry)| (len, At { group, entry })));
                }
                Content::Lists(lists)
            }
        })
    }

    /// The columns that are no lists, as attributes of the rows, as far as they take no more memory than the file.
    fn beside(&self) -> Result<Vec<table::Values>> {
        let len = usize::try_from(self.source.len()).unwrap_or(usize::MAX);
        let (mut values, mut bytes) = (len / 16 + 8192, len / 4 + (1 << 17));
        let mut beside = Vec::new();
        for (index, leaf) in self.footer.leaves.iter().enumerate() {
            if leaf.most_repeated > 0 || matches!(leaf.values, Values::Other(_)) {
                continue;
            }
            let Some(left) = values.checked_sub(self.footer.rows) else {
                break;
            };
            values = left;
            let mut column = Vec::new();
            for (number, group) in self.footer.groups.iter().enumerate() {
                let pages = self.pages(number, index);
                if leaf.values == Values::Texts {
                    let mut texts = Vec::new();
                    pages.texts(&mut bytes, &mut texts)?;
                    column.extend(texts.into_iter().map(|t| t.as_deref().and_then(text)));
                } else {
                    let mut numbers = Vec::new();
                    pages.numbers(0..group.rows as u64, &mut numbers)?;
                    let attribute = |n: f64| match leaf.values {
                        _ if n.is_nan() => None,
                        Values::Flags => Some(Attribute::Flag(n != 0.0)),
                        _ => Some(Attribute::Number(n)),
                    };
                    column.extend(numbers.into_iter().map(attribute));
                }
            }
            beside.push((leaf.name.clone(), column));
        }
        Ok(beside)
    }

    /// Samples of a column, which goes on from group to group.
    fn column(&self, index: usize, samples: Range<usize>) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(samples.len());
        let mut first = 0;
        for (number, group) in self.footer.groups.iter().enumerate() {
            let rows = first..first + group.rows;
            first = rows.end;
            let (from, to) = (samples.start.max(rows.start), samples.end.min(rows.end));
            if from < to {
                let wanted = (from - rows.start) as u64..(to - rows.start) as u64;
                self.pages(number, index).numbers(wanted, &mut out)?;
            }
        }
        Ok(out)
    }
}

impl ParquetFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        let one = |chosen: &Chosen| match self.listing.spots[chosen.variable] {
            _ if samples.is_empty() => Ok(Vec::new()),
            Spot::None => Ok(Vec::new()),
            Spot::Column(index) => self.column(index, samples.clone()),
            Spot::List(index, At { group, entry }) => {
                let mut out = Vec::with_capacity(samples.len());
                let wanted = entry + samples.start as u64..entry + samples.end as u64;
                self.pages(group as usize, index).numbers(wanted, &mut out)?;
                Ok(out)
            }
        };
        channels.iter().map(one).collect()
    }
}

impl Reader for ParquetFile {
    fn format(&self) -> &'static str {
        "Parquet"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}
