//! Text files of numbers in columns: CSV, TSV, semicolons with decimal commas, columns set apart by spaces; with times
//! beside the samples, lines of units, packed by gzip, in UTF-8, UTF-16, Latin-1 or GB 18030.
//!
//! Strict: what was detected is shown ([`Dialect`]), and a cell that is no number is an error with line and column; no
//! byte is dropped, and no encoding is guessed. Every cell is checked when the file is opened, line by line; samples are
//! read again when asked for, so that memory does not grow with the file.

mod cells;
mod clock;
mod dialect;
mod encoding;

use std::ops::Range;

pub use dialect::{Decimal, Delimiter, Dialect, TextLayout};
pub use encoding::Encoding;
pub(super) use encoding::{is_gzip, is_utf16};

use self::cells::{bare, number, resolution, split, stamp};
use self::clock::{Clock, Pace};
use self::dialect::{Sample, detect, unit_in};
use self::encoding::{Coding, TextLine};
use super::listing::{Full, Listing};
use super::source::Source;
use super::{Limits, Out, Reader, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Place, Result};
use crate::select::Chosen;

/// Lines, and bytes of them, that are looked at to find the layout; every line is still checked.
const SAMPLE_LINES: usize = 64;
const SAMPLE_BYTES: usize = 1 << 17;
/// Most columns.
const MOST_COLUMNS: usize = 1 << 12;
/// Most different words of a column of labels, and characters of one.
const MOST_WORDS: usize = 256;
const LONGEST_WORD: usize = 64;
/// Every so many rows it is remembered where they start.
const MARK_ROWS: usize = 1 << 12;
/// Names of columns that hold times if their values grow from row to row.
const TIMES: [&str; 11] = [
    "t",
    "time",
    "times",
    "timestamp",
    "timestamps",
    "datetime",
    "date",
    "zeit",
    "temps",
    "tiempo",
    "\u{65f6}\u{95f4}",
];

/// A text file, of which no more than its layout is in memory.
pub(super) struct TextFile {
    source: Source,
    coding: Coding,
    dialect: Dialect,
    listing: Listing<Column>,
    /// Number of the first line of data.
    first_line: usize,
    /// Offset of the first row, and of every `MARK_ROWS`-th after it where reading can start there.
    marks: Vec<u64>,
}

/// What a column holds.
#[derive(Clone)]
enum Column {
    Numbers,
    /// Times, as nanoseconds from the first one.
    Stamps(i64),
    /// One of these words, in the order in which they first come.
    Words(Vec<String>),
}

impl Column {
    fn value(&self, cell: &str, decimal: Decimal) -> Option<f64> {
        match self {
            Self::Numbers => number(cell, decimal),
            Self::Stamps(first) => stamp(cell).map(|ns| (ns.wrapping_sub(*first)) as f64 * 1e-9),
            Self::Words(words) => words
                .iter()
                .position(|word| word == bare(cell))
                .map(|place| place as f64),
        }
    }

    /// Takes up a word that is new; not if it is none, or there are too many.
    fn learn(&mut self, cell: &str) {
        if let Self::Words(words) = self
            && words.len() < MOST_WORDS
        {
            let word = bare(cell);
            if !word.is_empty() && word.chars().count() <= LONGEST_WORD && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
    }
}

/// The lines at the top: those of the sample, and how many came before.
struct Top {
    lines: Vec<String>,
    comment_lines: usize,
}

impl Top {
    fn read(source: &Source, coding: Coding, skip: usize) -> Result<Self> {
        let nothing = |what: &str| {
            let message = format!("the file holds nothing but {what} lines");
            Err(Error::file(source.path(), Place::Whole, message))
        };
        let mut top = Self {
            lines: Vec::new(),
            comment_lines: 0,
        };
        let mut stream = coding.lines(source, 0, 1);
        let (mut bytes, mut blank) = (0, true);
        while top.lines.len() < SAMPLE_LINES && (bytes < SAMPLE_BYTES || top.lines.len() < 3) {
            let Some(line) = stream.next()? else { break };
            let empty = line.text.trim().is_empty();
            if line.number == 1 && line.text.contains('\0') {
                return Err(source.unsupported("neither a known format nor text; if it is packed, unpack it"));
            }
            if top.lines.is_empty() && (line.number <= skip || empty || line.text.starts_with(['#', '%'])) {
                top.comment_lines += 1;
                blank &= empty;
                continue;
            }
            bytes += line.text.len();
            top.lines.push(line.text.into_owned());
        }
        while top.lines.last().is_some_and(|l| l.trim().is_empty()) {
            top.lines.pop();
        }
        match top.lines.is_empty() {
            true if blank => nothing("empty"),
            true => nothing("comment"),
            false => Ok(top),
        }
    }
}

impl TextFile {
    pub(super) fn open(source: Source, layout: TextLayout, words: Option<&str>, limits: &Limits) -> Result<Self> {
        let coding = Coding::of(&source, layout.encoding, limits)?;
        let top = Top::read(&source, coding, layout.skip_lines)?;
        let dialect = detect(
            &Sample {
                path: source.path(),
                lines: &top.lines,
                comment_lines: top.comment_lines,
                encoding: coding.encoding,
                gzip: coding.gzip,
            },
            layout,
        )?;
        if dialect.columns > MOST_COLUMNS {
            let message = format!("{} columns, read are at most {MOST_COLUMNS}", dialect.columns);
            return Err(Error::limit(source.path(), message));
        }
        let head = usize::from(dialect.header) + usize::from(dialect.units);
        let mut columns = Columns::new(&source, &dialect, &top.lines, words)?;
        let first_line = top.comment_lines + head + 1;
        drop(top);
        let marks = columns.check(coding, first_line)?;
        let listing = columns
            .list(limits)
            .map_err(|Full| Error::limit(source.path(), Full::MESSAGE))?;
        Ok(Self {
            source,
            coding,
            dialect,
            listing,
            first_line,
            marks,
        })
    }
}

/// The columns of a file while it is checked.
struct Columns<'s> {
    source: &'s Source,
    dialect: &'s Dialect,
    names: Vec<String>,
    units: Vec<Option<String>>,
    kinds: Vec<Column>,
    /// Of the columns that may hold times.
    clocks: Vec<(usize, Clock)>,
    rows: usize,
}

impl<'s> Columns<'s> {
    fn new(source: &'s Source, dialect: &'s Dialect, lines: &[String], words: Option<&str>) -> Result<Self> {
        let cells = |i: usize| split(&lines[i], dialect.delimiter).map(|c| bare(c).trim().to_owned());
        let numbered = || (1..=dialect.columns).map(|n| n.to_string()).collect();
        let names: Vec<String> = if dialect.header { cells(0).collect() } else { numbered() };
        if names.len() != dialect.columns {
            let message = format!(
                "a header of {} names over {} columns ({dialect})",
                names.len(),
                dialect.columns
            );
            return Err(Error::file(
                source.path(),
                Place::Line(dialect.comment_lines + 1),
                message,
            ));
        }
        let units: Vec<Option<String>> = if dialect.units {
            let bracketed = |unit: String| unit.trim_matches(['[', ']', '(', ')']).trim().to_owned();
            cells(1).map(|u| Some(bracketed(u)).filter(|u| !u.is_empty())).collect()
        } else {
            names.iter().map(|name| unit_in(name).map(Into::into)).collect()
        };
        let first = lines.get(usize::from(dialect.header) + usize::from(dialect.units));
        let mut kinds = vec![Column::Numbers; dialect.columns];
        if let Some(first) = first {
            for ((kind, name), cell) in kinds.iter_mut().zip(&names).zip(split(first, dialect.delimiter)) {
                if number(cell, dialect.decimal).is_some() {
                    continue;
                }
                if let Some(first) = stamp(cell) {
                    *kind = Column::Stamps(first);
                } else if words == Some(name) {
                    *kind = Column::Words(Vec::new());
                }
            }
        }
        let clocks = (0..dialect.columns)
            .filter(|&c| matches!(kinds[c], Column::Stamps(_)) || is_time_name(&names[c]))
            .map(|c| (c, Clock::new()))
            .collect();
        Ok(Self {
            source,
            dialect,
            names,
            units,
            kinds,
            clocks,
            rows: 0,
        })
    }

    /// Reads every line, and says where rows start.
    fn check(&mut self, coding: Coding, first_line: usize) -> Result<Vec<u64>> {
        let mut lines = coding.lines(self.source, 0, 1);
        let mut marks = Vec::new();
        let mut blank = None;
        while let Some(line) = lines.next()? {
            if line.number < first_line {
                continue;
            }
            if line.text.trim().is_empty() {
                // no fault where nothing but empty lines follows
                blank.get_or_insert(line.number);
                continue;
            }
            if let Some(number) = blank {
                return Err(Error::file(
                    self.source.path(),
                    Place::Line(number),
                    format!(
                        "1 cells, expected {}: an empty line between lines of data",
                        self.dialect.columns
                    ),
                ));
            }
            if self.rows == 0 || coding.seeks() && self.rows.is_multiple_of(MARK_ROWS) {
                marks.push(line.at);
            }
            self.row(&line)?;
        }
        Ok(marks)
    }

    fn row(&mut self, line: &TextLine<'_>) -> Result<()> {
        let dialect = self.dialect;
        let wrong = |place, message| Err(Error::file(self.source.path(), place, message));
        let mut cells = 0;
        let mut clocks = self.clocks.iter_mut().peekable();
        for cell in split(&line.text, dialect.delimiter) {
            cells += 1;
            let Some(kind) = self.kinds.get_mut(cells - 1) else {
                continue;
            };
            kind.learn(cell);
            let Some(value) = kind.value(cell, dialect.decimal) else {
                if split(&line.text, dialect.delimiter).count() != dialect.columns {
                    // said below
                    continue;
                }
                let shown: String = cell.chars().take(40).collect();
                let expected = match kind {
                    Column::Numbers => "a number",
                    Column::Stamps(_) => "a time",
                    Column::Words(_) => "one of at most 256 short labels",
                };
                let place = Place::Cell {
                    line: line.number,
                    column: cells,
                };
                return wrong(place, format!("expected {expected}, found {shown:?} ({dialect})"));
            };
            if let Some((_, clock)) = clocks.next_if(|(column, _)| *column == cells - 1) {
                let resolution = match kind {
                    Column::Stamps(_) => stamp_resolution(cell),
                    _ => resolution(cell),
                };
                clock.tick(value, resolution);
            }
        }
        if cells != dialect.columns {
            let message = format!("{cells} cells, expected {} ({dialect})", dialect.columns);
            return wrong(Place::Line(line.number), message);
        }
        self.rows += 1;
        Ok(())
    }

    /// The variables; times say the rate of those beside them.
    fn list(self, limits: &Limits) -> Result<Listing<Column>, Full> {
        let (mut rate_hz, mut remark) = (None, None);
        let mut times = vec![false; self.kinds.len()];
        for (column, clock) in &self.clocks {
            let stamps = matches!(self.kinds[*column], Column::Stamps(_));
            let unit = if stamps {
                Some(1.0)
            } else {
                seconds(self.units[*column].as_deref())
            };
            let pace = clock.pace(unit.unwrap_or(1.0));
            let name = &self.names[*column];
            times[*column] = stamps || pace != Pace::None;
            let (rate, word) = match (pace, unit) {
                (Pace::None, _) if stamps => (
                    None,
                    Some(format!("irregular: the times in {name} do not grow from row to row")),
                ),
                (Pace::None, _) => continue,
                (Pace::Irregular(row), _) => (
                    None,
                    Some(format!(
                        "irregular: the time in row {row} of {name} fits no steady rate with those before it"
                    )),
                ),
                (Pace::Regular(rate), Some(_)) => (Some(rate), None),
                (Pace::About(rate), Some(_)) => (
                    None,
                    Some(format!("about {rate:.6} Hz, as far as the digits in {name} tell")),
                ),
                (Pace::Regular(rate) | Pace::About(rate), None) => (
                    None,
                    Some(format!(
                        "steady, {:.6} from row to row in {name}, whose unit is not stated",
                        rate.recip()
                    )),
                ),
            };
            if rate_hz.is_none() && rate.is_some() {
                (rate_hz, remark) = (rate, None);
            } else if rate_hz.is_none() && remark.is_none() {
                remark = word;
            }
        }
        let mut listing = Listing::new(limits, self.source.len());
        let columns = self.names.into_iter().zip(self.units).zip(self.kinds).zip(times);
        for (((name, unit), kind), time) in columns {
            let stamps = matches!(kind, Column::Stamps(_));
            let (word, words) = match &kind {
                Column::Numbers => ("text", Vec::new()),
                Column::Stamps(_) => ("times", Vec::new()),
                Column::Words(words) => ("words", words.clone()),
            };
            let mut variable = Variable {
                time,
                rate_hz,
                unit: if stamps { Some("s".into()) } else { unit },
                words,
                ..Variable::numbers(name, vec![self.rows], word)
            };
            if let Some(remark) = &remark {
                variable
                    .attributes
                    .insert("sampling".into(), Attribute::Text(remark.clone()));
            }
            listing.push(variable, kind)?;
        }
        Ok(listing)
    }
}

/// Whether a column of this name may hold times: `Time`, `t [s]`, `time (ms)`.
pub(super) fn is_time_name(name: &str) -> bool {
    let bare = name.split(['[', '(', '/', ',']).next().unwrap_or(name).trim();
    TIMES.contains(&&*bare.to_lowercase())
}

/// Seconds of a unit of time.
fn seconds(unit: Option<&str>) -> Option<f64> {
    Some(match unit? {
        "s" | "sec" | "secs" | "second" | "seconds" | "S" => 1.0,
        "ms" | "msec" | "milliseconds" => 1e-3,
        "us" | "usec" | "\u{b5}s" | "\u{3bc}s" | "microseconds" => 1e-6,
        "ns" => 1e-9,
        "min" | "minutes" => 60.0,
        "h" | "hours" => 3600.0,
        _ => return None,
    })
}

/// The worth of the last digit of a time's seconds.
fn stamp_resolution(cell: &str) -> f64 {
    let cell = bare(cell);
    resolution(
        cell.strip_suffix('Z')
            .unwrap_or(cell)
            .rsplit(':')
            .next()
            .unwrap_or_default(),
    )
}

impl TextFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        let mut out: Vec<Vec<f64>> = channels.iter().map(|_| Vec::with_capacity(samples.len())).collect();
        if samples.is_empty() {
            return Ok(out);
        }
        let changed = || {
            Error::file(
                self.source.path(),
                Place::Whole,
                "the file was changed while it was open",
            )
        };
        // places of columns among the channels, in the order of the columns
        let mut wanted: Vec<(usize, usize)> = channels.iter().enumerate().map(|(i, c)| (c.variable, i)).collect();
        wanted.sort_unstable();
        let mark = (samples.start / MARK_ROWS).min(self.marks.len().saturating_sub(1));
        let (at, mut row, line) = if self.coding.seeks() {
            (*self.marks.get(mark).ok_or_else(changed)?, mark * MARK_ROWS, 0)
        } else {
            (0, 0, 1)
        };
        let mut lines = self.coding.lines(&self.source, at, line);
        while row < samples.end {
            let line = lines.next()?.ok_or_else(changed)?;
            if line.number < self.first_line && line.number > 0 && !self.coding.seeks() {
                continue;
            }
            row += 1;
            if row <= samples.start {
                continue;
            }
            let mut cells = split(&line.text, self.dialect.delimiter);
            let mut next = 0;
            let mut value = None;
            for &(column, channel) in &wanted {
                if column >= next || value.is_none() {
                    let cell = cells.nth(column - next).ok_or_else(changed)?;
                    next = column + 1;
                    value = self.listing.spots[column].value(cell, self.dialect.decimal);
                }
                out[channel].push(value.ok_or_else(changed)?);
            }
        }
        Ok(out)
    }
}

impl Reader for TextFile {
    fn format(&self) -> &'static str {
        "text"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }

    fn dialect(&self) -> Option<&Dialect> {
        Some(&self.dialect)
    }
}
