//! NPY and NPZ files (`numpy.save`, `numpy.savez`, `numpy.savez_compressed`), of either byte order, in C or Fortran
//! order.
//!
//! Source: NumPy, *NEP 1: A simple file format for NumPy arrays*, versions 1 to 3. Objects are never unpickled.

use std::ops::Range;

use super::listing::{Full, Listing};
use super::numbers::{Endian, Number, elements};
use super::source::Source;
use super::stream::Stream;
use super::zip::{Member, Packing, members};
use super::{ByChannel, Limits, Order, Out, Reader, Sample, Variable};
use crate::error::{Error, Result};
use crate::select::Chosen;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header that is read; NumPy itself stops at 10,000.
const MOST_HEADER: u64 = 1 << 16;
/// Most extents of an array, as in NumPy.
const MOST_EXTENTS: usize = 64;

/// Whether a file starts like an NPY file.
pub(super) fn is_npy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// How an array is stored; its numbers start at byte `start` of the NPY file.
struct Array {
    shape: Vec<usize>,
    order: Order,
    dtype: Dtype,
    start: u64,
}

enum Dtype {
    Numbers(Number, Endian, &'static str),
    /// What it is, and why it is not read.
    Other(String, &'static str),
}

impl Array {
    /// Reads the header of the array whose file is `len` bytes long.
    fn read(stream: &mut Stream<'_>, len: u64) -> Result<Self> {
        let (from, what) = (stream.at(), "the header of an array");
        let [magic @ .., major, _minor] = stream.array::<8>(what)?;
        if magic != *MAGIC {
            return Err(stream.error(
                from,
                "no NPY header (93 `NUMPY`) where one was expected; the file is damaged",
            ));
        }
        let header = match major {
            1 => u64::from(stream.u16(what)?),
            2 | 3 => u64::from(stream.u32(what)?),
            _ => {
                let message = format!("NPY version {major}, read are 1 to 3");
                return Err(stream.error(from + 6, message));
            }
        };
        if header > MOST_HEADER {
            let message = format!("a header of {header} bytes, read are at most {MOST_HEADER}; the file is damaged");
            return Err(stream.error(from + 8, message));
        }
        let at = stream.at();
        let header = stream.bytes(header, what)?;
        let text = String::from_utf8_lossy(&header);
        let (descr, fortran, shape) = Literal(&text).header().ok_or_else(|| {
            let message = "expected {'descr': .., 'fortran_order': .., 'shape': (..)}; the file is damaged";
            stream.error(at, message)
        })?;
        let array = Self {
            shape,
            order: if fortran { Order::ColumnMajor } else { Order::RowMajor },
            dtype: dtype(descr),
            start: stream.at() - from,
        };
        if let Dtype::Numbers(number, ..) = array.dtype {
            let shape: Vec<u64> = array.shape.iter().map(|&n| n as u64).collect();
            let need = elements(&shape).map(|n| n * number.size() as u64);
            let there = len.checked_sub(array.start);
            if need.is_none() || need != there {
                let need = need.map_or("more than can be counted".to_owned(), |n| n.to_string());
                let message = format!(
                    "an array of {:?} {} needs {need} bytes, but {} follow its header; the file is cut short or damaged",
                    array.shape,
                    number.name(),
                    there.unwrap_or(0)
                );
                return Err(stream.error(stream.at(), message));
            }
        }
        Ok(array)
    }

    fn variable(&self, name: String) -> Variable {
        match &self.dtype {
            Dtype::Numbers(_, _, kind) => Variable::numbers(name, self.shape.clone(), kind),
            Dtype::Other(kind, reason) => Variable {
                reason: Some((*reason).into()),
                ..Variable::other(name, self.shape.clone(), kind.clone())
            },
        }
    }

    /// Samples of a channel, from a stream at the array's first byte.
    fn samples<S: Sample>(
        &self,
        stream: &mut Stream<'_>,
        variable: &Variable,
        channel: usize,
        samples: &Range<usize>,
        out: &mut Vec<S>,
    ) -> Result<()> {
        let Dtype::Numbers(number, endian, _) = self.dtype else {
            out.clear();
            return Ok(());
        };
        stream.skip(self.start, variable)?;
        stream.endian = endian;
        stream.numbers_into(number, variable.lane(self.order, channel), samples, variable, out)
    }
}

/// The dtype that a header's `descr` names, between its quotes.
fn dtype(descr: &str) -> Dtype {
    let other = |kind: &str, reason| Dtype::Other(kind.into(), reason);
    let Some(name) = descr
        .strip_prefix(['\'', '"'])
        .and_then(|d| d.strip_suffix(['\'', '"']))
    else {
        return other(
            "structured",
            "a structured array; save each of its fields as an array of its own",
        );
    };
    let (endian, code) = match name.as_bytes().first() {
        Some(b'>') => (Endian::Big, &name[1..]),
        Some(b'<' | b'|' | b'=') => (Endian::Little, &name[1..]),
        _ => (Endian::Little, name),
    };
    let number = match code {
        "b1" => return Dtype::Numbers(Number::U8, endian, "logical"),
        "i1" => Number::I8,
        "u1" => Number::U8,
        "i2" => Number::I16,
        "u2" => Number::U16,
        "i4" => Number::I32,
        "u4" => Number::U32,
        "i8" => Number::I64,
        "u8" => Number::U64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        _ => {
            return match code.as_bytes().first() {
                Some(b'c') => other("complex", "complex numbers; save real and imaginary part as two arrays"),
                Some(b'O') => other(
                    "object",
                    "pickled Python objects, which may run anything when unpickled and are never read",
                ),
                Some(b'S' | b'U' | b'a') => other("char", "texts"),
                Some(b'M' | b'm') => other("datetime", "dates or times; save them as numbers of seconds"),
                Some(b'f') => other(
                    "long double",
                    "its layout differs from machine to machine; save it as float64",
                ),
                _ => Dtype::Other(
                    code.chars().take(40).collect(),
                    "a type that is not read; save it as float64",
                ),
            };
        }
    };
    Dtype::Numbers(number, endian, number.name())
}

/// What is left of a header, a Python literal.
struct Literal<'t>(&'t str);

impl<'t> Literal<'t> {
    /// `descr` as it stands, `fortran_order` and `shape`, in whatever order; `None` if the header is anything else.
    fn header(mut self) -> Option<(&'t str, bool, Vec<usize>)> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.skip("{")?;
        while self.skip("}").is_none() {
            let key = self.value()?;
            self.skip(":")?;
            let value = self.value()?;
            match key.trim_matches(['\'', '"']) {
                "descr" => descr = Some(value),
                "fortran_order" => fortran = Some(flag(value)?),
                "shape" => shape = Some(extents(value)?),
                _ => return None,
            }
            if self.skip(",").is_none() {
                self.skip("}")?;
                break;
            }
        }
        self.0.trim().is_empty().then_some(())?;
        Some((descr?, fortran?, shape?))
    }

    fn skip(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    /// A text, a word, or whatever stands between brackets.
    fn value(&mut self) -> Option<&'t str> {
        let text = self.0.trim_start();
        let (mut depth, mut quote) = (0usize, None);
        for (i, c) in text.char_indices() {
            if let Some(q) = quote {
                if q == c {
                    quote = None;
                }
                continue;
            }
            match c {
                '\'' | '"' => quote = Some(c),
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.checked_sub(1)?,
                ',' | ':' | '}' if depth == 0 => {
                    self.0 = &text[i..];
                    return Some(text[..i].trim());
                }
                _ => {}
            }
        }
        None
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// `(3, 4)`, `(5,)`, `()`.
fn extents(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    // Python 2 wrote an L behind long integers
    let extents: Option<Vec<usize>> = inside
        .split(',')
        .map(|n| n.trim().trim_end_matches('L').parse().ok())
        .collect();
    extents.filter(|e| e.len() <= MOST_EXTENTS)
}

/// An NPY file: one array, which has no name.
pub(super) struct NpyFile {
    source: Source,
    array: Array,
    variables: [Variable; 1],
}

impl NpyFile {
    pub(super) fn open(source: Source) -> Result<Self> {
        let mut stream = Stream::plain(&source, 0..source.len(), Endian::Little);
        let array = Array::read(&mut stream, source.len())?;
        drop(stream);
        let variables = [array.variable("1".into())];
        Ok(Self {
            source,
            array,
            variables,
        })
    }
}

impl Reader for NpyFile {
    fn format(&self) -> &'static str {
        "NPY"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for NpyFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let mut stream = Stream::plain(&self.source, 0..self.source.len(), Endian::Little);
        self.array
            .samples(&mut stream, &self.variables[0], chosen.channel, samples, out)
    }
}

/// An NPZ file: arrays by name in a ZIP archive.
pub(super) struct NpzFile {
    source: Source,
    limits: Limits,
    listing: Listing<Option<(Member, Array)>>,
}

impl NpzFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let mut listing = Listing::new(limits, source.len());
        let members = members(&source, limits)?;
        let any = !members.is_empty();
        for member in members {
            let (variable, spot) = entry(&source, limits, member)?;
            listing
                .push(variable, spot)
                .map_err(|Full| Error::limit(source.path(), Full::MESSAGE))?;
        }
        if any && listing.variables.iter().all(|v| v.kind == FOREIGN) {
            let message = "a ZIP archive without arrays (.npy); read are NPZ files. Save a spreadsheet as CSV, unpack \
                           other archives";
            return Err(source.unsupported(message));
        }
        Ok(Self {
            source,
            limits: *limits,
            listing,
        })
    }
}

/// The kind of members that are no arrays.
const FOREIGN: &str = "file";

/// Lists one member.
fn entry(source: &Source, limits: &Limits, member: Member) -> Result<(Variable, Option<(Member, Array)>)> {
    let refused = |name: &str, kind: &str, reason: &str| {
        let mut variable = Variable::other(name, Vec::new(), kind);
        variable.reason = Some(reason.into());
        Ok((variable, None))
    };
    let Some(name) = member.name.strip_suffix(".npy") else {
        return refused(&member.name, FOREIGN, "a member of the archive that is no array");
    };
    if let Packing::Other(reason) = member.packing {
        return refused(name, "array", reason);
    }
    let mut stream = member_stream(source, limits, &member, false);
    let array = Array::read(&mut stream, member.len)?;
    drop(stream);
    Ok((array.variable(name.to_owned()), Some((member, array))))
}

/// Over the unpacked member; `summed` where all of it will be read and its checksum compared.
fn member_stream<'a>(source: &'a Source, limits: &Limits, member: &Member, summed: bool) -> Stream<'a> {
    match member.packing {
        Packing::Deflated => Stream::deflated(source, member.range.clone(), limits, member.sum),
        _ if summed => Stream::summed(source, member.range.clone(), member.sum),
        _ => Stream::plain(source, member.range.clone(), Endian::Little),
    }
}

impl Reader for NpzFile {
    fn format(&self) -> &'static str {
        "NPZ"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for NpzFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let variable = &self.listing.variables[chosen.variable];
        let Some((member, array)) = &self.listing.spots[chosen.variable] else {
            out.clear();
            return Ok(());
        };
        // all numbers in one piece: the checksum can be compared on the way
        let whole = samples.len() == variable.elements();
        let mut stream = member_stream(&self.source, &self.limits, member, whole);
        array.samples(&mut stream, variable, chosen.channel, samples, out)?;
        if whole {
            stream.finish(variable)?;
        }
        Ok(())
    }
}
