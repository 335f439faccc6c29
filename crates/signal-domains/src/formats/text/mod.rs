//! Text files of numbers in columns: CSV, TSV, semicolons with decimal commas, columns set apart by spaces.
//!
//! Strict: what was detected is shown ([`Dialect`]), and a cell that is no number is an error with line and column; no
//! byte is dropped, and no other encoding than UTF-8 is guessed.

mod cells;
mod dialect;

use std::path::Path;

pub use dialect::{Decimal, Delimiter, Dialect, TextLayout};

use self::cells::{number, split};
use super::source::Source;
use super::{Reader, Variable};
use crate::error::{Error, Place, Result};
use crate::select::Chosen;

/// A text file, read as a whole.
pub(super) struct TextFile {
    dialect: Dialect,
    variables: Vec<Variable>,
    columns: Vec<Vec<f64>>,
}

impl TextFile {
    pub(super) fn open(source: &Source, layout: TextLayout) -> Result<Self> {
        Self::parse(source.path(), &source.head(source.len())?, layout)
    }

    /// Reads all columns; `path` is for messages only.
    fn parse(path: &Path, bytes: &[u8], layout: TextLayout) -> Result<Self> {
        let lines = lines(path, bytes)?;
        let dialect = dialect::detect(path, &lines, layout)?;
        let first = dialect.comment_lines;
        let names = column_names(path, &lines, &dialect)?;
        let mut columns = vec![Vec::with_capacity(lines.len()); dialect.columns];
        for (i, line) in lines.iter().enumerate().skip(first + usize::from(dialect.header)) {
            let cells = split(line, dialect.delimiter);
            if cells.len() != dialect.columns {
                let message = format!("{} cells, expected {} ({dialect})", cells.len(), dialect.columns);
                return Err(Error::file(path, Place::Line(i + 1), message));
            }
            for (c, cell) in cells.iter().enumerate() {
                let value = number(cell, dialect.decimal).ok_or_else(|| {
                    let shown: String = cell.chars().take(40).collect();
                    let message = format!("expected a number, found {shown:?} ({dialect})");
                    Error::file(
                        path,
                        Place::Cell {
                            line: i + 1,
                            column: c + 1,
                        },
                        message,
                    )
                })?;
                columns[c].push(value);
            }
        }
        let rows = columns.first().map_or(0, Vec::len);
        let variables = names
            .into_iter()
            .map(|name| Variable::numbers(name, vec![rows], "text"))
            .collect();
        Ok(Self {
            dialect,
            variables,
            columns,
        })
    }
}

impl Reader for TextFile {
    fn format(&self) -> &'static str {
        "text"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read(&self, channels: &[Chosen], samples: std::ops::Range<usize>) -> Result<Vec<Vec<f64>>> {
        Ok(channels
            .iter()
            .map(|c| self.columns[c.variable][samples.clone()].to_vec())
            .collect())
    }

    fn dialect(&self) -> Option<&Dialect> {
        Some(&self.dialect)
    }
}

/// The lines without their ends and without empty lines at the end of the file.
fn lines<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<&'a str>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].split(|b| *b == b'\n').count();
        let message = format!(
            "byte {} of the file is not UTF-8; save the file as UTF-8 text",
            e.valid_up_to()
        );
        Error::file(path, Place::Line(line), message)
    })?;
    let mut lines: Vec<&str> = text.lines().collect();
    while lines.last().is_some_and(|l| l.trim().is_empty()) {
        lines.pop();
    }
    if lines.is_empty() {
        return Err(Error::file(
            path,
            Place::Whole,
            "the file holds nothing but empty lines",
        ));
    }
    Ok(lines)
}

/// Names from the header, or numbers from 1 on.
fn column_names(path: &Path, lines: &[&str], dialect: &Dialect) -> Result<Vec<String>> {
    if !dialect.header {
        return Ok((1..=dialect.columns).map(|n| n.to_string()).collect());
    }
    let cells = split(lines[dialect.comment_lines], dialect.delimiter);
    if cells.len() != dialect.columns {
        let message = format!(
            "a header of {} names over {} columns ({dialect})",
            cells.len(),
            dialect.columns
        );
        return Err(Error::file(path, Place::Line(dialect.comment_lines + 1), message));
    }
    Ok(cells
        .into_iter()
        .map(|c| c.trim().trim_matches('"').to_owned())
        .collect())
}
