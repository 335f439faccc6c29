//! Walks through an array and what it holds: fields of structs (`bearing.gs`, of struct arrays `runs(2).gs`), cells
//! (`parts{3}`, counted along columns first, as MATLAB does).

use super::super::listing::{Full, Listing};
use super::super::numbers::Number;
use super::super::stream::Stream;
use super::super::{Limits, Variable};
use super::element::{Tag, mi, number};
use super::header::{Class, Header, OBJECT};
use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Longest text that is shown of a char array, in bytes of the file.
const MOST_TEXT: u64 = 1024;
/// Most bytes of field names in one struct.
const MOST_FIELDS: u64 = 1 << 18;

/// Where the numbers of a variable are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Number of the top-level element that it is part of.
    pub entry: usize,
    /// Offset of its data in the file, or in the inflated element.
    pub start: u64,
    /// How they are stored; `None` if it has none that are read.
    pub number: Option<Number>,
}

/// Why a walk through a variable ended early.
pub(super) enum Stop {
    /// The file is damaged.
    Damaged(Error),
    /// The variable goes beyond a limit; the rest of the file may be fine.
    Refused(String),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Damaged(e)
    }
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Refused(Full::MESSAGE.into())
    }
}

/// Lists a top-level element and all that it holds.
pub(super) struct Walk<'w> {
    pub limits: &'w Limits,
    pub listing: &'w mut Listing<Spot>,
    /// Number of the top-level element.
    pub entry: usize,
}

impl Walk<'_> {
    /// Lists the array whose data end at `end`; the stream stands behind its tag and is left at `end`, unless the array
    /// is of plain numbers at top level, whose data nobody needs now. A name that is given replaces the array's own.
    pub fn array(&mut self, stream: &mut Stream<'_>, end: u64, name: Option<String>, depth: usize) -> Result<(), Stop> {
        if depth > self.limits.max_depth {
            let message = format!(
                "structs or cells inside each other, more than {} deep",
                self.limits.max_depth
            );
            return Err(Stop::Refused(message));
        }
        let header = Header::read(stream, end)?;
        let nested = name.is_some();
        let nameless = !nested && header.name.is_empty();
        let name = name.unwrap_or(header.name);
        let shape = header.shape;
        if nameless {
            // a nameless array at top level holds what MATLAB's objects and functions refer to
            self.push(Variable::other(name, shape, "subsystem data"), stream.at(), None)?;
            return Ok(to_end(stream, end)?);
        }
        match header.class {
            Class::Number(kind) if header.complex => {
                let mut variable = Variable::other(name, shape, format!("complex {kind}"));
                variable.reason = Some("complex numbers; save real and imaginary part as two arrays".into());
                self.push(variable, stream.at(), None)?;
            }
            Class::Number(kind) => {
                let kind = if header.logical { "logical" } else { kind };
                let variable = Variable::numbers(name, shape, kind);
                let (start, number) = numbers(stream, end, &variable)?;
                self.push(variable, start, number)?;
                if !nested {
                    return Ok(());
                }
            }
            Class::Char => {
                let mut variable = Variable::other(name, shape, "char");
                let start = stream.at();
                if let Some(text) = text(stream, end, &variable.shape)? {
                    variable.attributes.insert("text".into(), Attribute::Text(text));
                }
                self.push(variable, start, None)?;
            }
            Class::Cell => self.cell(stream, end, name, shape, depth)?,
            Class::Struct => self.structure(stream, end, name, shape, depth)?,
            Class::Other(kind, reason) => {
                let mut variable = Variable::other(name, shape, kind);
                variable.reason = Some(reason.into());
                self.push(variable, stream.at(), None)?;
            }
            Class::Opaque => {
                let mut variable = Variable::other(name, shape, "object");
                variable.reason = Some(OBJECT.into());
                self.push(variable, stream.at(), None)?;
            }
        }
        Ok(to_end(stream, end)?)
    }

    fn push(&mut self, variable: Variable, start: u64, number: Option<Number>) -> Result<(), Full> {
        let spot = Spot {
            entry: self.entry,
            start,
            number,
        };
        self.listing.push(variable, spot)
    }

    fn cell(
        &mut self,
        stream: &mut Stream<'_>,
        end: u64,
        name: String,
        shape: Vec<usize>,
        depth: usize,
    ) -> Result<(), Stop> {
        let elements: usize = shape.iter().product();
        let mut variable = Variable::other(name.clone(), shape, "cell");
        variable.reason = Some(format!(
            "a cell array; its cells are {name}{{1}} to {name}{{{elements}}}"
        ));
        self.push(variable, stream.at(), None)?;
        for k in 1..=elements {
            self.member(stream, end, format!("{name}{{{k}}}"), depth)?;
        }
        Ok(())
    }

    fn structure(
        &mut self,
        stream: &mut Stream<'_>,
        end: u64,
        name: String,
        shape: Vec<usize>,
        depth: usize,
    ) -> Result<(), Stop> {
        let elements: usize = shape.iter().product();
        let width = Tag::expect(stream, &[mi::INT32], "the length of field names")?;
        let width_at = width.start;
        let width = width.data(stream, end, 8, "the length of field names")?;
        let width = width.first_chunk::<4>().map_or(0, |b| stream.endian.u32(*b));
        if width == 0 || width > 4096 {
            let message = format!("field names of {width} bytes each, expected 1 to 4096; the file is damaged");
            return Err(stream.error(width_at, message).into());
        }
        let names = Tag::expect(stream, &[mi::INT8, mi::UINT8, mi::UTF8], "field names")?;
        let names = names.data(stream, end, MOST_FIELDS, "field names")?;
        let fields: Vec<&[u8]> = names.chunks_exact(width as usize).collect();
        let mut variable = Variable::other(name.clone(), shape, "struct");
        variable.reason = Some(structure_reason(&name, elements, &fields));
        self.push(variable, stream.at(), None)?;
        if fields.is_empty() {
            return Ok(());
        }
        for k in 1..=elements {
            for field in &fields {
                let field = trimmed(field);
                let member = if elements == 1 {
                    format!("{name}.{field}")
                } else {
                    format!("{name}({k}).{field}")
                };
                self.member(stream, end, member, depth)?;
            }
        }
        Ok(())
    }

    /// An array inside another that ends at `end`.
    fn member(&mut self, stream: &mut Stream<'_>, end: u64, name: String, depth: usize) -> Result<(), Stop> {
        let tag = Tag::expect(stream, &[mi::MATRIX], &format!("the array {name}"))?;
        let own = tag.start + tag.len;
        if own > end {
            let left = end.saturating_sub(tag.start);
            let message = format!(
                "{name} needs {} bytes, but only {left} are left in what it is part of",
                tag.len
            );
            return Err(stream.error(tag.at, message).into());
        }
        if tag.len == 0 {
            // an empty element stands for an empty array
            return Ok(self.push(Variable::numbers(name, vec![0, 0], "float64"), tag.start, None)?);
        }
        self.array(stream, own, Some(name), depth + 1)?;
        Ok(tag.pad(stream, end)?)
    }
}

/// What to name instead of a struct.
fn structure_reason(name: &str, elements: usize, fields: &[&[u8]]) -> String {
    let index = if elements == 1 { "" } else { "(1)" };
    let shown: Vec<String> = fields
        .iter()
        .take(10)
        .map(|f| format!("{name}{index}.{}", trimmed(f)))
        .collect();
    let more = if fields.len() > shown.len() { " .." } else { "" };
    if shown.is_empty() || elements == 0 {
        return "a struct without fields".into();
    }
    let array = if elements == 1 { "struct" } else { "struct array" };
    format!("a {array}; its fields are {}{more}", shown.join(", "))
}

fn trimmed(name: &[u8]) -> String {
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

fn to_end(stream: &mut Stream<'_>, end: u64) -> Result<()> {
    if stream.at() > end {
        let message = "the array is longer than it declares; the file is damaged";
        return Err(stream.error(end, message));
    }
    stream.skip(end - stream.at(), "an array")
}

/// Where the real part is and how it is stored. MATLAB stores an array in the smallest type that holds its values, so
/// the stored type differs from the array's class.
fn numbers(stream: &mut Stream<'_>, end: u64, variable: &Variable) -> Result<(u64, Option<Number>)> {
    let elements = variable.elements() as u64;
    if elements == 0 && stream.at() >= end {
        return Ok((stream.at(), None));
    }
    let tag = Tag::next(stream)?;
    let Some(number) = number(tag.kind) else {
        let message = format!(
            "an element of type {} where the numbers of {} were expected",
            tag.kind, variable.name
        );
        return Err(stream.error(tag.at, message));
    };
    if elements.checked_mul(number.size() as u64) != Some(tag.len) || tag.start + tag.len > end {
        let message = format!(
            "{} needs {elements} numbers of {} bytes, but {} bytes are stored; the file is damaged",
            variable.describe(),
            number.size(),
            tag.len.min(end.saturating_sub(tag.start))
        );
        return Err(stream.error(tag.at, message));
    }
    // nothing but padding follows
    let need = tag.start + tag.len;
    if end - need > 8 {
        let message = format!(
            "{} goes on for {} bytes, though its {elements} elements end here; the file is damaged",
            variable.describe(),
            end - need
        );
        return Err(stream.error(need, message));
    }
    Ok((tag.start, Some(number)))
}

/// The text of a char array of one row, if it is short.
fn text(stream: &mut Stream<'_>, end: u64, shape: &[usize]) -> Result<Option<String>> {
    if stream.at() >= end {
        return Ok(None);
    }
    let tag = Tag::next(stream)?;
    if tag.start + tag.len > end {
        return Err(stream.error(tag.at, "a text that is longer than its array; the file is damaged"));
    }
    if tag.len > MOST_TEXT || shape.iter().filter(|n| **n != 1).count() > 1 {
        tag.pass(stream, end)?;
        return Ok(None);
    }
    let data = tag.data(stream, end, MOST_TEXT, "a text")?;
    Ok(match tag.kind {
        mi::UINT16 | mi::UTF16 | mi::INT16 => {
            let units: Vec<u16> = data.as_chunks::<2>().0.iter().map(|b| stream.endian.u16(*b)).collect();
            Some(String::from_utf16_lossy(&units))
        }
        mi::UTF8 => Some(String::from_utf8_lossy(&data).into_owned()),
        // one byte a character: the first 256 of Unicode
        mi::INT8 | mi::UINT8 => Some(data.iter().map(|&b| char::from(b)).collect()),
        _ => None,
    })
}
