//! Universal files (UFF, UNV): functions at nodes, data sets 58 (text) and 58b (binary); other data sets are passed over.
//!
//! Source: University of Cincinnati, Structural Dynamics Research Laboratory, *Universal File Formats for Modal Analysis
//! Testing*, data set 58 and its binary form. A function has the name of its place among the functions, from 1.

use std::io;
use std::ops::Range;

use super::lines::{Line, Lines, MOST_LINE};
use super::listing::{Full, Listing};
use super::numbers::{Endian, Lane, Number, rate_of_spacing};
use super::source::{Source, SourceReader};
use super::stream::Stream;
use super::{ByChannel, Limits, Out, Reader, Sample, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::select::Chosen;

/// Lines of a function before its values, behind the one that names the data set.
const HEADER_LINES: usize = 11;
/// What an axis measures: time.
const TIME: i64 = 17;
/// The abscissa's increment is written with six digits.
const DIGITS: f64 = 5e-6;

/// A universal file with its functions.
pub(super) struct UffFile {
    source: Source,
    listing: Listing<Option<Values>>,
}

/// Where a function's values are.
#[derive(Clone, Copy)]
struct Values {
    start: u64,
    number: Number,
    /// `None`: as text, in columns of a fixed width.
    binary: Option<Endian>,
}

impl Values {
    /// Characters of a value, and values on a line.
    fn columns(number: Number) -> (usize, u64) {
        if number == Number::F32 { (13, 6) } else { (20, 4) }
    }
}

/// Whether a file starts with the mark of a data set and the number of one.
pub(super) fn is_uff(head: &[u8]) -> bool {
    let mut lines = head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
    let (Some(mark), Some(kind)) = (lines.next(), lines.next()) else {
        return false;
    };
    mark == b"    -1" && kind.len() >= 6 && kind[0] == b' ' && kind[5].is_ascii_digit()
}

fn is_mark(line: &[u8]) -> bool {
    line.starts_with(b"    -1") && line.trim_ascii() == b"-1"
}

/// Lines of a universal file; every error says where.
struct Cursor<'s> {
    source: &'s Source,
    lines: Lines<SourceReader<'s>>,
}

impl<'s> Cursor<'s> {
    fn at(source: &'s Source, at: u64) -> Self {
        Self {
            source,
            lines: Lines::new(source.reader(at..source.len()), at),
        }
    }

    fn next(&mut self) -> Result<Option<Line<'_>>> {
        let at = self.lines.at();
        self.lines.next().map_err(|e| match e.kind() {
            io::ErrorKind::FileTooLarge => {
                let message = format!("a line of more than {MOST_LINE} bytes; the file is damaged");
                self.source.error(at, message)
            }
            _ => Error::io(self.source.path(), e),
        })
    }

    fn expect(&mut self, what: &str) -> Result<Line<'_>> {
        let (source, at) = (self.source, self.lines.at());
        self.next()?
            .ok_or_else(|| source.error(at, format!("the file ends where {what} was expected; it is cut short")))
    }
}

impl UffFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let mut listing = Listing::new(limits, source.len());
        let mut cursor = Cursor::at(&source, 0);
        while let Some(line) = cursor.next()? {
            if line.bytes.trim_ascii().is_empty() {
                continue;
            }
            if !is_mark(line.bytes) {
                let message = "expected the mark of a data set (`    -1`); the file is damaged";
                return Err(source.error(line.at, message));
            }
            let kind = cursor.expect("the number of a data set")?;
            let number = kind.bytes.get(..6).unwrap_or(kind.bytes).trim_ascii();
            if number == b"58" {
                let head = Head::of_kind(kind.bytes);
                let (variable, values) = function(&mut cursor, head, listing.len() + 1)?;
                listing
                    .push(variable, values)
                    .map_err(|Full| Error::limit(source.path(), Full::MESSAGE))?;
            } else {
                while !is_mark(cursor.expect("the end of a data set (`    -1`)")?.bytes) {}
            }
        }
        drop(cursor);
        if listing.len() == 0 {
            return Err(source.unsupported("a universal file without functions (data set 58 or 58b)"));
        }
        Ok(Self { source, listing })
    }
}

/// What the line that names the data set says of its form.
#[derive(Clone, Copy)]
struct Head {
    binary: Option<Endian>,
    /// 2 is IEEE 754.
    format: i64,
}

impl Head {
    fn of_kind(line: &[u8]) -> Self {
        let field = |range: Range<usize>| integer(line, range).unwrap_or(0);
        let binary = line.get(6).is_some_and(|b| b.eq_ignore_ascii_case(&b'b'));
        Self {
            binary: binary.then(|| if field(7..13) == 2 { Endian::Big } else { Endian::Little }),
            format: field(13..19),
        }
    }
}

/// One function; the cursor stands behind its first line and is left behind its end mark.
fn function(cursor: &mut Cursor<'_>, head: Head, place: usize) -> Result<(Variable, Option<Values>)> {
    let source = cursor.source;
    let mut header: [(u64, Vec<u8>); HEADER_LINES] = Default::default();
    for slot in &mut header {
        let line = cursor.expect("the header of a function")?;
        // a line has 80 characters; what is longer says nothing
        *slot = (line.at, line.bytes[..line.bytes.len().min(100)].to_vec());
    }
    let wrong = |line: usize, what: &str| source.error(header[line].0, format!("{what}; the file is damaged"));
    let form = &header[6].1;
    let kind = integer(form, 0..10).ok_or_else(|| wrong(6, "no type of the values"))?;
    let points = integer(form, 10..20)
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| wrong(6, "no number of points"))?;
    let even = match integer(form, 20..30) {
        Some(spacing @ (0 | 1)) => spacing == 1,
        _ => return Err(wrong(6, "neither even nor uneven spacing")),
    };
    let (number, complex) = match kind {
        2 => (Number::F32, false),
        4 => (Number::F64, false),
        5 => (Number::F32, true),
        6 => (Number::F64, true),
        _ => return Err(wrong(6, &format!("values of type {kind}, known are 2, 4, 5 and 6"))),
    };
    let start = cursor.lines.at();
    let parts = 1 + u64::from(complex) + u64::from(!even);
    let values = points.saturating_mul(parts);
    if head.binary.is_some() {
        let bytes = values.saturating_mul(number.size() as u64);
        source.check(start, bytes, "a function's values")?;
        *cursor = Cursor::at(source, start + bytes);
        let mut end = cursor.expect("the end of a function (`    -1`)")?;
        if end.bytes.trim_ascii().is_empty() {
            end = cursor.expect("the end of a function (`    -1`)")?;
        }
        check_end(source, &end, points)?;
    } else {
        // what is uneven differs in its columns, and is not read
        let per_line = Values::columns(number).1;
        let mut left = if even { values.div_ceil(per_line) } else { u64::MAX };
        loop {
            let line = cursor.expect("a function's values or its end (`    -1`)")?;
            if left == 0 || is_mark(line.bytes) {
                if even && left > 0 {
                    let message = format!(
                        "the values of a function of {points} points end here, {left} lines early; the file is damaged"
                    );
                    return Err(source.error(line.at, message));
                }
                check_end(source, &line, points)?;
                break;
            }
            left -= 1;
        }
    }
    let refused = if complex {
        Some("complex numbers; save real and imaginary part as two functions")
    } else if !even {
        Some("values at uneven steps; resample them to even steps before saving")
    } else if head.binary.is_some() && head.format != 2 {
        Some("binary numbers of another format than IEEE 754; save them as text or as IEEE 754")
    } else {
        None
    };
    let name = place.to_string();
    let shape = vec![points as usize];
    let mut variable = match refused {
        None => Variable::numbers(name, shape, number.name()),
        Some(reason) => Variable {
            reason: Some(reason.into()),
            ..Variable::other(name, shape, if complex { "complex" } else { number.name() })
        },
    };
    describe(&mut variable, &header, even);
    let values = Values {
        start,
        number,
        binary: head.binary,
    };
    Ok((variable, refused.is_none().then_some(values)))
}

fn check_end(source: &Source, line: &Line<'_>, points: u64) -> Result<()> {
    if is_mark(line.bytes) {
        return Ok(());
    }
    let message = format!("expected the end (`    -1`) of a function of {points} points; the file is damaged");
    Err(source.error(line.at, message))
}

/// Rate, unit and attributes from the header's lines.
fn describe(variable: &mut Variable, header: &[(u64, Vec<u8>)], even: bool) {
    let text = |line: usize, from: usize, to: usize| {
        let line = &header[line].1;
        let field = line.get(from..to.min(line.len())).unwrap_or_default().trim_ascii();
        let text = String::from_utf8_lossy(field).into_owned();
        (!text.is_empty() && text != "NONE").then_some(text)
    };
    for line in 0..5 {
        if let Some(id) = text(line, 0, 80) {
            variable
                .attributes
                .insert(format!("id{}", line + 1), Attribute::Text(id));
        }
    }
    let dof = &header[5].1;
    for (name, range) in [
        ("function", 0..5),
        ("response_node", 41..51),
        ("response_direction", 51..55),
        ("reference_node", 66..76),
        ("reference_direction", 76..80),
    ] {
        if let Some(value) = integer(dof, range) {
            variable.attributes.insert(name.into(), Attribute::Number(value as f64));
        }
    }
    variable.unit = text(8, 47, 67);
    let seconds =
        text(7, 47, 67).is_none_or(|unit| matches!(&*unit.to_lowercase(), "s" | "sec" | "second" | "seconds"));
    let is_time = integer(&header[7].1, 0..10) == Some(TIME);
    if even && is_time && seconds {
        variable.rate_hz = real(&header[6].1, 43..56).and_then(|spacing| rate_of_spacing(spacing, DIGITS));
    }
}

/// The characters of a field; those beyond the end of the line are missing.
fn field(line: &[u8], range: Range<usize>) -> Option<&str> {
    let line = line.get(range.start..range.end.min(line.len()))?;
    std::str::from_utf8(line.trim_ascii()).ok()
}

fn integer(line: &[u8], range: Range<usize>) -> Option<i64> {
    field(line, range)?.parse().ok()
}

/// A number as Fortran writes it: `1.5E+00`, `1.5D+00`.
fn real(line: &[u8], range: Range<usize>) -> Option<f64> {
    let text = field(line, range)?;
    text.parse().ok().or_else(|| text.replace(['D', 'd'], "E").parse().ok())
}

impl UffFile {
    fn text(&self, values: Values, samples: Range<usize>) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(samples.len());
        let (width, per_line) = Values::columns(values.number);
        let per_line = per_line as usize;
        let mut cursor = Cursor::at(&self.source, values.start);
        let mut at = 0;
        while at < samples.end {
            let line = cursor.expect("a function's values")?;
            let wanted = samples.start.max(at)..samples.end.min(at + per_line);
            for sample in wanted {
                let column = sample - at;
                let value = real(line.bytes, column * width..(column + 1) * width).ok_or_else(|| {
                    let place = line.at + (column * width) as u64;
                    self.source.error(
                        place,
                        format!("expected a number {width} characters wide; the file is damaged"),
                    )
                })?;
                out.push(value);
            }
            at += per_line;
        }
        Ok(out)
    }
}

impl Reader for UffFile {
    fn format(&self) -> &'static str {
        "UFF 58"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for UffFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        out.clear();
        let Some(values) = self.listing.spots[chosen.variable] else {
            return Ok(());
        };
        let Some(endian) = values.binary else {
            out.extend(self.text(values, samples.clone())?.into_iter().map(S::nearest));
            return Ok(());
        };
        let lane = Lane { first: 0, stride: 1 };
        Stream::plain(&self.source, values.start..self.source.len(), endian).numbers_into(
            values.number,
            lane,
            samples,
            "a function's values",
            out,
        )
    }
}
