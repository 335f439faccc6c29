//! Types of channels and values of properties.

use super::super::numbers::Number;
use super::super::stream::Stream;
use crate::dataset::Attribute;
use crate::error::Result;

/// How a channel's values are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub name: &'static str,
    /// Bytes of a value; 0 for texts, which differ in length.
    pub width: u64,
    pub number: Option<Number>,
    /// Why it is not read as a signal.
    pub reason: Option<&'static str>,
}

/// The code of texts, whose size in bytes stands beside their number.
pub(super) const TEXT: u32 = 0x20;
const TIMESTAMP: u32 = 0x44;

impl Kind {
    pub fn of(code: u32) -> Option<Self> {
        let number = match code {
            1 => Number::I8,
            2 => Number::I16,
            3 => Number::I32,
            4 => Number::I64,
            5 => Number::U8,
            6 => Number::U16,
            7 => Number::U32,
            8 => Number::U64,
            9 | 0x19 => Number::F32,
            10 | 0x1a => Number::F64,
            0x21 => {
                return Some(Self {
                    name: "logical",
                    width: 1,
                    number: Some(Number::U8),
                    reason: None,
                });
            }
            _ => return Self::other(code),
        };
        Some(Self {
            name: number.name(),
            width: number.size() as u64,
            number: Some(number),
            reason: None,
        })
    }

    /// Of a number in the rows of a DAQmx device, which has codes of its own.
    pub fn of_daqmx(code: u32) -> Option<Self> {
        let code = [5, 1, 6, 2, 7, 3, 8, 4, 9, 10].get(code as usize)?;
        Self::of(*code)
    }

    fn other(code: u32) -> Option<Self> {
        let complex = "complex numbers; save real and imaginary part as two channels";
        let (name, width, reason) = match code {
            TEXT => ("char", 0, "texts"),
            TIMESTAMP => ("timestamp", 16, "times"),
            0x0008_000c => ("complex float32", 8, complex),
            0x0010_000d => ("complex float64", 16, complex),
            _ => return None,
        };
        Some(Self {
            name,
            width,
            number: None,
            reason: Some(reason),
        })
    }
}

/// A text with its length before it.
pub(super) fn text(stream: &mut Stream<'_>, what: &str) -> Result<String> {
    let len = stream.u32(what)?;
    let bytes = stream.bytes(u64::from(len), what)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// The value of a property, whose type stands before it; `None` for a type that says nothing here.
pub(super) fn property(stream: &mut Stream<'_>) -> Result<Option<Attribute>> {
    let what = "the value of a property";
    let at = stream.at();
    let code = stream.u32(what)?;
    Ok(match code {
        0 => None,
        TEXT => Some(Attribute::Text(text(stream, what)?)),
        0x21 => Some(Attribute::Flag(stream.array::<1>(what)?[0] != 0)),
        TIMESTAMP => Some(Attribute::Text(time(stream)?)),
        _ => {
            let Some(kind) = Kind::of(code) else {
                let message = format!("a property of type {code:#x}, which is not known; the file is damaged");
                return Err(stream.error(at, message));
            };
            let bytes = stream.bytes(kind.width, what)?;
            kind.number.map(|number| {
                let mut value = Vec::with_capacity(1);
                number.decode(stream.endian, &bytes, &mut value);
                Attribute::Number(value[0])
            })
        }
    })
}

/// A time (seconds since the start of 1904 in UTC, and fractions of 2^-64 s) as `2020-04-09T22:10:43.381035Z`.
fn time(stream: &mut Stream<'_>) -> Result<String> {
    use super::super::numbers::Endian;
    let what = "the value of a property";
    let (a, b) = (stream.u64(what)?, stream.u64(what)?);
    let (fraction, seconds) = if stream.endian == Endian::Little {
        (a, b)
    } else {
        (b, a)
    };
    let seconds = seconds as i64;
    let micros = ((u128::from(fraction) * 1_000_000) >> 64) as u64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // days since 1904-01-01, counted in cycles of four years from 1904 to 2099, in which no leap day is left out
    if !(0..71_589).contains(&day) {
        return Ok(format!("{seconds} s after the start of 1904"));
    }
    let (cycle, in_cycle) = (day / 1461, day % 1461);
    let (year, mut day) = match in_cycle {
        0..366 => (0, in_cycle),
        n => ((n - 366) / 365 + 1, (n - 366) % 365),
    };
    let leap = i64::from(year == 0);
    let mut month = 1;
    for days in [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    Ok(format!(
        "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}Z",
        1904 + 4 * cycle + year,
        day + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    ))
}
