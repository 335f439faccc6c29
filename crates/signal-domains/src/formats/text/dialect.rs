//! How a text file is laid out: stated, or detected and then shown.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cells::{bare, number, split, stamp};
use super::encoding::Encoding;
use crate::error::{Error, Place, Result};

/// Longest unit, in characters.
const MOST_UNIT: usize = 20;

/// What sets columns apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// One or more spaces or tabs; those at the ends of a line do not count.
    Spaces,
    /// Nothing: a single column.
    None,
}

impl Delimiter {
    /// The byte that sets columns apart, where it is one.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Spaces | Self::None => b' ',
        }
    }
}

/// What stands between whole and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// `1.5`
    Point,
    /// `1,5`
    Comma,
}

/// What is stated about text files in advance; what is not stated is detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextLayout {
    /// What sets columns apart.
    pub delimiter: Option<Delimiter>,
    /// What stands between whole and fraction.
    pub decimal: Option<Decimal>,
    /// Whether the first line that is no comment names the columns.
    pub header: Option<bool>,
    /// How its characters are stored. A byte-order mark outweighs this; without either it is UTF-8.
    pub encoding: Option<Encoding>,
    /// Lines at the top that are passed over, whatever they hold.
    pub skip_lines: usize,
}

/// How a text file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dialect {
    /// What sets columns apart.
    pub delimiter: Delimiter,
    /// What stands between whole and fraction.
    pub decimal: Decimal,
    /// Whether the first line that is no comment names the columns.
    pub header: bool,
    /// Whether the line after the header gives the units.
    pub units: bool,
    /// Lines at the top that are passed over: those stated, and those that are empty or start with `#` or `%`.
    pub comment_lines: usize,
    /// Number of columns.
    pub columns: usize,
    /// How its characters are stored.
    pub encoding: Encoding,
    /// Whether it is packed by gzip.
    pub gzip: bool,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delimiter = match self.delimiter {
            Delimiter::Comma => "set apart by commas",
            Delimiter::Semicolon => "set apart by semicolons",
            Delimiter::Tab => "set apart by tabs",
            Delimiter::Spaces => "set apart by spaces",
            Delimiter::None => "without a delimiter",
        };
        let columns = if self.columns == 1 { "column" } else { "columns" };
        write!(f, "read as {} {columns} {delimiter}", self.columns)?;
        if self.decimal == Decimal::Comma {
            write!(f, ", decimal comma")?;
        }
        write!(f, ", {} header line", if self.header { "a" } else { "no" })?;
        if self.units {
            write!(f, ", a line of units")?;
        }
        if self.comment_lines > 0 {
            write!(f, ", {} comment lines", self.comment_lines)?;
        }
        if self.encoding != Encoding::Utf8 {
            write!(f, ", {}", self.encoding.name())?;
        }
        if self.gzip {
            write!(f, ", unpacked by gzip")?;
        }
        Ok(())
    }
}

/// The first lines of a file that are neither passed over nor comments, at least one, and how many came before.
pub(super) struct Sample<'l> {
    pub path: &'l Path,
    pub lines: &'l [String],
    pub comment_lines: usize,
    pub encoding: Encoding,
    pub gzip: bool,
}

/// Finds the layout that reads the first lines, in a fixed order of trial: tab, semicolon, comma, spaces, one column.
/// A decimal comma is tried only where columns are set apart by semicolons or tabs, else `1,5` could be two columns.
pub(super) fn detect(sample: &Sample<'_>, layout: TextLayout) -> Result<Dialect> {
    if (layout.delimiter, layout.decimal) == (Some(Delimiter::Comma), Some(Decimal::Comma)) {
        let message = "a comma is stated both as delimiter and as decimal mark; it can be only one of them";
        return Err(Error::Argument(message.into()));
    }
    let body = sample.lines;
    // the last line read decides the number of columns: the first may be a header, alone if there are no data
    let last = &body[body.len() - 1];
    for (delimiter, decimal) in candidates(layout) {
        let columns = split(last, delimiter).count();
        let fits = |line: &String| {
            let mut cells = 0;
            split(line, delimiter)
                .inspect(|_| cells += 1)
                .all(|c| is_value(c, decimal))
                && cells == columns
        };
        let separated = columns > 1 || matches!(delimiter, Delimiter::None) || layout.delimiter.is_some();
        let header = layout.header.unwrap_or_else(|| is_header(&body[0], delimiter, decimal));
        let units = header && is_units(body, delimiter, decimal, columns);
        let data = &body[usize::from(header) + usize::from(units)..];
        let named = !header || split(&body[0], delimiter).count() == columns;
        if separated && named && data.iter().all(fits) && (!data.is_empty() || layout.delimiter.is_some()) {
            return Ok(sample.dialect((delimiter, decimal), (header, units), columns));
        }
    }
    undetected(sample, layout)
}

impl Sample<'_> {
    fn dialect(
        &self,
        (delimiter, decimal): (Delimiter, Decimal),
        (header, units): (bool, bool),
        columns: usize,
    ) -> Dialect {
        Dialect {
            delimiter,
            decimal,
            header,
            units,
            comment_lines: self.comment_lines,
            columns,
            encoding: self.encoding,
            gzip: self.gzip,
        }
    }
}

fn is_value(cell: &str, decimal: Decimal) -> bool {
    number(cell, decimal).is_some() || stamp(cell).is_some()
}

/// A header names columns: a line in which some cells are numbers is a damaged line of data instead.
fn is_header(line: &str, delimiter: Delimiter, decimal: Decimal) -> bool {
    split(line, delimiter).all(|c| !is_value(c, decimal))
}

/// Whether the second line gives units: short words, one a column, with data below.
fn is_units(body: &[String], delimiter: Delimiter, decimal: Decimal, columns: usize) -> bool {
    body.len() > 2
        && split(&body[1], delimiter).count() == columns
        && split(&body[1], delimiter).all(|c| is_unit(bare(c), decimal))
        && split(&body[1], delimiter).any(|c| !bare(c).is_empty())
        && split(&body[2], delimiter).any(|c| is_value(c, decimal))
}

/// Nothing, or a short word with a letter or a sign in it.
fn is_unit(cell: &str, decimal: Decimal) -> bool {
    let word = |c: char| c.is_alphabetic() || matches!(c, '%' | '\u{b0}' | '-');
    cell.is_empty() || cell.chars().count() <= MOST_UNIT && cell.chars().any(word) && !is_value(cell, decimal)
}

/// The unit at the end of a column's name: `acc [g]`, `time (ms)`.
pub(super) fn unit_in(name: &str) -> Option<&str> {
    let inside = match name.strip_suffix(']') {
        Some(rest) => rest.rsplit_once('[')?.1,
        None => name.strip_suffix(')')?.rsplit_once('(')?.1,
    };
    let unit = inside.trim();
    (!unit.is_empty() && unit.chars().count() <= MOST_UNIT).then_some(unit)
}

fn candidates(layout: TextLayout) -> Vec<(Delimiter, Decimal)> {
    use Decimal::{Comma, Point};
    let all = [
        (Delimiter::Tab, Point),
        (Delimiter::Tab, Comma),
        (Delimiter::Semicolon, Point),
        (Delimiter::Semicolon, Comma),
        (Delimiter::Comma, Point),
        (Delimiter::Spaces, Point),
        (Delimiter::None, Point),
    ];
    if let (Some(delimiter), Some(decimal)) = (layout.delimiter, layout.decimal) {
        return vec![(delimiter, decimal)];
    }
    let mut kept: Vec<_> = all
        .into_iter()
        .filter(|(delimiter, decimal)| {
            layout.delimiter.is_none_or(|d| d == *delimiter) && layout.decimal.is_none_or(|d| d == *decimal)
        })
        .collect();
    if layout.decimal == Some(Comma) {
        kept.extend([(Delimiter::Spaces, Comma), (Delimiter::None, Comma)]);
    }
    kept
}

/// Says why nothing fits, by the simplest reading: with the delimiter that most lines hold.
fn undetected(sample: &Sample<'_>, layout: TextLayout) -> Result<Dialect> {
    let body = sample.lines;
    let parts = |delimiter: Delimiter| body.iter().skip(1).any(|l| split(l, delimiter).count() > 1);
    let delimiter = layout.delimiter.unwrap_or_else(|| {
        [
            Delimiter::Tab,
            Delimiter::Semicolon,
            Delimiter::Comma,
            Delimiter::Spaces,
        ]
        .into_iter()
        .find(|d| parts(*d))
        .unwrap_or(Delimiter::None)
    });
    let decimal = layout.decimal.unwrap_or(match delimiter {
        Delimiter::Semicolon if body.iter().skip(1).any(|l| l.contains(',')) => Decimal::Comma,
        _ => Decimal::Point,
    });
    let header = layout.header.unwrap_or_else(|| is_header(&body[0], delimiter, decimal));
    if body.len() == usize::from(header) {
        let message = "a header line and no data: the recording has zero length";
        return Err(Error::file(sample.path, Place::Line(sample.comment_lines + 1), message));
    }
    // the reading goes on and finds the cell that is no number, or the line with another number of cells
    let columns = split(&body[usize::from(header)], delimiter).count();
    Ok(sample.dialect((delimiter, decimal), (header, false), columns))
}
