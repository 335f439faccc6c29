//! MAT files of level 4 (MATLAB `save -v4`, instruments, `SciPy` with `format='4'`), of either byte order.
//!
//! Source: `MathWorks`, *MAT-File Format*, chapter "Level 4 MAT-File Format". There is no file header: each matrix has one
//! of 20 bytes (type, rows, columns, imaginary flag, length of the name), its name, and the numbers.

use std::ops::Range;

use super::listing::{Full, Listing};
use super::numbers::{Endian, Number};
use super::source::Source;
use super::stream::Stream;
use super::{ByChannel, Limits, Order, Out, Reader, Sample, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::select::Chosen;

/// Longest name that is read, with the zero behind it.
const MOST_NAME: u32 = 256;
/// Longest text that is shown.
const MOST_TEXT: usize = 512;

/// A MAT file of level 4 with the list of its matrices.
pub(super) struct Mat4File {
    source: Source,
    endian: Endian,
    listing: Listing<(u64, Number)>,
}

/// The header of a matrix.
struct Header {
    number: Number,
    kind: Kind,
    rows: u32,
    columns: u32,
    imaginary: bool,
    /// Bytes of the name with its zero.
    name: u32,
}

enum Kind {
    Numeric,
    Text,
    Sparse,
}

impl Header {
    fn parse(bytes: &[u8; 20], endian: Endian) -> Option<Self> {
        let word = |i: usize| endian.u32([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
        let (kind, rows, columns, imaginary, name) = (word(0), word(1), word(2), word(3), word(4));
        // thousands: the machine's byte order; hundreds: always zero; tens: how numbers are stored; ones: what they mean
        let machine = u32::from(endian == Endian::Big);
        if kind / 1000 != machine || kind / 100 % 10 != 0 || imaginary > 1 || !(1..=MOST_NAME).contains(&name) {
            return None;
        }
        Some(Self {
            number: match kind / 10 % 10 {
                0 => Number::F64,
                1 => Number::F32,
                2 => Number::I32,
                3 => Number::I16,
                4 => Number::U16,
                5 => Number::U8,
                _ => return None,
            },
            kind: match kind % 10 {
                0 => Kind::Numeric,
                1 => Kind::Text,
                2 => Kind::Sparse,
                _ => return None,
            },
            rows,
            columns,
            imaginary: imaginary == 1,
            name,
        })
    }
}

/// The byte order, if a file starts like one of level 4.
pub(super) fn is_mat4(head: &[u8]) -> Option<Endian> {
    let first = head.first_chunk::<20>()?;
    [Endian::Little, Endian::Big].into_iter().find(|endian| {
        Header::parse(first, *endian).is_some_and(|header| {
            let name = head.get(20..20 + header.name as usize).unwrap_or_default();
            i32::try_from(header.rows).is_ok()
                && i32::try_from(header.columns).is_ok()
                && name.first().is_some_and(u8::is_ascii_alphabetic)
                && name.iter().position(|b| *b == 0) == Some(name.len() - 1)
        })
    })
}

impl Mat4File {
    pub(super) fn open(source: Source, endian: Endian, limits: &Limits) -> Result<Self> {
        let mut listing = Listing::new(limits, source.len());
        let mut stream = Stream::plain(&source, 0..source.len(), endian);
        while stream.left() > 0 {
            let (variable, number, at) = matrix(&mut stream)?;
            listing
                .push(variable, (at, number))
                .map_err(|Full| Error::limit(source.path(), Full::MESSAGE))?;
        }
        drop(stream);
        Ok(Self {
            source,
            endian,
            listing,
        })
    }
}

/// One matrix; the stream is left behind its numbers.
fn matrix(stream: &mut Stream<'_>) -> Result<(Variable, Number, u64)> {
    let at = stream.at();
    let bytes: [u8; 20] = stream.array("the header of a matrix")?;
    let header = Header::parse(&bytes, stream.endian).ok_or_else(|| {
        let message = "not the header of a matrix of a MAT file of level 4; the file is damaged";
        stream.error(at, message)
    })?;
    let name = stream.bytes(u64::from(header.name), "a name")?;
    let name = String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(&name)).into_owned();
    let start = stream.at();
    let elements = u64::from(header.rows) * u64::from(header.columns);
    let parts = if header.imaginary { 2 } else { 1 };
    let what = format!("{name} ({}x{} {})", header.rows, header.columns, header.number.name());
    let bytes = elements.saturating_mul(header.number.size() as u64 * parts);
    let shape = vec![header.rows as usize, header.columns as usize];
    let variable = match header.kind {
        Kind::Numeric if !header.imaginary => Variable::numbers(name, shape, header.number.name()),
        Kind::Numeric => {
            let mut variable = Variable::other(name, shape, format!("complex {}", header.number.name()));
            variable.reason = Some("complex numbers; save real and imaginary part as two arrays".into());
            variable
        }
        Kind::Text => {
            let mut variable = Variable::other(name, shape, "char");
            if header.rows == 1 && elements <= MOST_TEXT as u64 {
                let mut codes = Vec::<f64>::new();
                let data = stream.bytes(elements * header.number.size() as u64, &what)?;
                header.number.decode(stream.endian, &data, &mut codes);
                let text = codes
                    .iter()
                    .map(|c| char::from_u32(*c as u32).unwrap_or('\u{fffd}'))
                    .collect();
                variable.attributes.insert("text".into(), Attribute::Text(text));
            }
            variable
        }
        Kind::Sparse => {
            let mut variable = Variable::other(name, shape, "sparse");
            variable.reason = Some("a sparse matrix; in MATLAB save `full(..)` of it".into());
            variable
        }
    };
    stream.skip(bytes - (stream.at() - start), &what)?;
    Ok((variable, header.number, start))
}

impl Reader for Mat4File {
    fn format(&self) -> &'static str {
        "MAT level 4"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for Mat4File {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let (variable, (at, number)) = (
            &self.listing.variables[chosen.variable],
            self.listing.spots[chosen.variable],
        );
        let lane = variable.lane(Order::ColumnMajor, chosen.channel);
        Stream::plain(&self.source, at..self.source.len(), self.endian)
            .numbers_into(number, lane, samples, variable, out)
    }
}
