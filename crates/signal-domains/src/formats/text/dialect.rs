//! How a text file is laid out: stated, or detected and then shown.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cells::{number, split};
use crate::error::{Error, Place, Result};

/// Lines looked at to find the delimiter; every line is still checked when it is read.
const SAMPLE_LINES: usize = 64;

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
    pub(super) fn character(self) -> Option<char> {
        match self {
            Self::Comma => Some(','),
            Self::Semicolon => Some(';'),
            Self::Tab => Some('\t'),
            Self::Spaces | Self::None => None,
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
    /// Lines at the top that start with `#` or `%` and are passed over.
    pub comment_lines: usize,
    /// Number of columns.
    pub columns: usize,
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
        match self.comment_lines {
            0 => Ok(()),
            n => write!(f, ", {n} comment lines"),
        }
    }
}

/// Finds the layout that reads the first lines, in a fixed order of trial: tab, semicolon, comma, spaces, one column.
/// A decimal comma is tried only where columns are set apart by semicolons or tabs, else `1,5` could be two columns.
pub(super) fn detect(path: &Path, lines: &[&str], layout: TextLayout) -> Result<Dialect> {
    if (layout.delimiter, layout.decimal) == (Some(Delimiter::Comma), Some(Decimal::Comma)) {
        let message = "a comma is stated both as delimiter and as decimal mark; it can be only one of them";
        return Err(Error::Argument(message.into()));
    }
    let comment_lines = lines.iter().take_while(|l| l.starts_with(['#', '%'])).count();
    let body = &lines[comment_lines..(comment_lines + SAMPLE_LINES).min(lines.len())];
    let Some(first) = body.first() else {
        return Err(Error::file(
            path,
            Place::Whole,
            "the file holds nothing but comment lines",
        ));
    };
    // the last line read decides the number of columns: the first may be a header, alone if there are no data
    let last = body[body.len() - 1];
    for (delimiter, decimal) in candidates(layout) {
        let columns = split(last, delimiter).len();
        let fits = |line: &str| {
            let cells = split(line, delimiter);
            cells.len() == columns && cells.iter().all(|c| number(c, decimal).is_some())
        };
        let separated = columns > 1 || matches!(delimiter, Delimiter::None) || layout.delimiter.is_some();
        let header = layout.header.unwrap_or_else(|| is_header(first, delimiter, decimal));
        let data = &body[usize::from(header)..];
        let named = !header || split(first, delimiter).len() == columns;
        if separated && named && data.iter().all(|l| fits(l)) && (!data.is_empty() || layout.delimiter.is_some()) {
            return Ok(Dialect {
                delimiter,
                decimal,
                header,
                comment_lines,
                columns,
            });
        }
    }
    undetected(path, body, comment_lines, layout)
}

/// A header names columns: a line in which some cells are numbers is a damaged line of data instead.
fn is_header(line: &str, delimiter: Delimiter, decimal: Decimal) -> bool {
    split(line, delimiter).iter().all(|c| number(c, decimal).is_none())
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
fn undetected(path: &Path, body: &[&str], comment_lines: usize, layout: TextLayout) -> Result<Dialect> {
    let delimiter = layout.delimiter.unwrap_or_else(|| {
        [Delimiter::Tab, Delimiter::Semicolon, Delimiter::Comma]
            .into_iter()
            .find(|d| body.iter().skip(1).any(|l| split(l, *d).len() > 1))
            .unwrap_or(if body.iter().skip(1).any(|l| split(l, Delimiter::Spaces).len() > 1) {
                Delimiter::Spaces
            } else {
                Delimiter::None
            })
    });
    let decimal = layout.decimal.unwrap_or(match delimiter {
        Delimiter::Semicolon if body.iter().skip(1).any(|l| l.contains(',')) => Decimal::Comma,
        _ => Decimal::Point,
    });
    let header = layout.header.unwrap_or_else(|| is_header(body[0], delimiter, decimal));
    if body.len() == usize::from(header) {
        let message = "a header line and no data: the recording has zero length";
        return Err(Error::file(path, Place::Line(comment_lines + 1), message));
    }
    // the reading goes on and finds the cell that is no number, or the line with another number of cells
    let columns = split(body[usize::from(header)], delimiter).len();
    Ok(Dialect {
        delimiter,
        decimal,
        header,
        comment_lines,
        columns,
    })
}
