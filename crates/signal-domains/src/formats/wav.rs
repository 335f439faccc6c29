//! WAV files: RIFF, RIFX (big endian) and RF64 (beyond 4 GiB), integer and float samples, plain and extensible format.
//!
//! Sources: Microsoft, *Multimedia Programming Interface and Data Specifications 1.0* and *Multiple Channel Audio Data and
//! WAVE Files*; EBU Tech 3306 (RF64). Integer samples stay the integers they are; those of 8 bits, stored with an offset
//! of 128, are freed of it.

use std::ops::Range;

use super::numbers::{Endian, Lane, Number};
use super::source::Source;
use super::stream::Stream;
use super::{ByChannel, Limits, Out, Reader, Sample, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::select::Chosen;

/// A WAV file.
pub(super) struct WavFile {
    source: Source,
    endian: Endian,
    format: Format,
    data: Range<u64>,
    variables: Vec<Variable>,
}

/// The `fmt ` chunk.
#[derive(Clone, Copy)]
struct Format {
    number: Number,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

/// Whether a file starts like a WAV file, and its byte order.
pub(super) fn is_wav(head: &[u8]) -> Option<Endian> {
    match (head.get(..4)?, head.get(8..12)?) {
        (b"RIFF" | b"RF64", b"WAVE") => Some(Endian::Little),
        (b"RIFX", b"WAVE") => Some(Endian::Big),
        _ => None,
    }
}

/// A size that says "until the end" where the writer could not go back to fill it in.
const UNKNOWN: u32 = u32::MAX;

impl WavFile {
    pub(super) fn open(source: Source, endian: Endian, limits: &Limits) -> Result<Self> {
        let mut stream = Stream::plain(&source, 0..source.len(), endian);
        let long = stream.array::<4>("the header")? == *b"RF64";
        let streamed = stream.u32("the header")? == UNKNOWN && !long;
        stream.skip(4, "the header")?;
        let mut format = None;
        let mut long_data = None;
        let data = loop {
            let at = stream.at();
            if stream.left() == 0 {
                return Err(stream.error(at, "the file ends without a `data` chunk; it is cut short or damaged"));
            }
            let id: [u8; 4] = stream.array("the header of a chunk")?;
            let size = stream.u32("the header of a chunk")?;
            let start = stream.at();
            match &id {
                b"ds64" if size >= 28 => {
                    stream.skip(8, "the `ds64` chunk")?;
                    long_data = Some(stream.u64("the `ds64` chunk")?);
                }
                b"fmt " => format = Some(Format::read(&mut stream, size)?),
                b"data" => {
                    let size = match (size, long_data) {
                        (UNKNOWN, Some(size)) if long => size,
                        (UNKNOWN, _) if streamed => stream.left(),
                        _ => u64::from(size),
                    };
                    source.check(start, size, "the `data` chunk")?;
                    break start..start + size;
                }
                _ => {}
            }
            // chunks are padded to an even length; some writers leave out the last padding
            let end = start + u64::from(size) + u64::from(size % 2);
            let end = if end == source.len() + 1 { source.len() } else { end };
            stream.skip(end - stream.at(), "a chunk")?;
        };
        let Some(format) = format else {
            return Err(stream.error(
                data.start - 8,
                "the `data` chunk comes before any `fmt ` chunk; the file is damaged",
            ));
        };
        drop(stream);
        let variables = format.variables(&source, &data, limits)?;
        Ok(Self {
            source,
            endian,
            format,
            data,
            variables,
        })
    }
}

impl Format {
    fn read(stream: &mut Stream<'_>, size: u32) -> Result<Self> {
        let at = stream.at();
        if size < 16 {
            return Err(stream.error(at, format!("a `fmt ` chunk of {size} bytes, expected at least 16")));
        }
        let what = "the `fmt ` chunk";
        let mut tag = stream.u16(what)?;
        let channels = stream.u16(what)?;
        let rate_hz = stream.u32(what)?;
        stream.skip(4, what)?;
        let (block, bits) = (stream.u16(what)?, stream.u16(what)?);
        if tag == 0xfffe && size >= 40 {
            // extensible: size of the extension, valid bits, speakers, then the format as the start of a GUID
            stream.skip(8, what)?;
            tag = stream.u16(what)?;
        }
        if channels == 0 || rate_hz == 0 || block == 0 || block % channels != 0 {
            let message = format!(
                "{channels} channels at {rate_hz} Hz in blocks of {block} bytes: that cannot be; the file is damaged"
            );
            return Err(stream.error(at, message));
        }
        let bytes = block / channels;
        if bits == 0 || u32::from(bits) > 8 * u32::from(bytes) {
            let message = format!("{bits} bits in {bytes} bytes a sample: that cannot be; the file is damaged");
            return Err(stream.error(at, message));
        }
        let number = match (tag, bytes) {
            (1, 1) => Number::U8,
            (1, 2) => Number::I16,
            (1, 3) => Number::I24,
            (1, 4) => Number::I32,
            (3, 4) => Number::F32,
            (3, 8) => Number::F64,
            _ => {
                let name = match tag {
                    1 => "integer",
                    2 | 0x11 => "ADPCM",
                    3 => "float",
                    6 => "A-law",
                    7 => "mu-law",
                    0x50 | 0x55 => "MPEG",
                    _ => "unknown",
                };
                return Err(Error::Unsupported {
                    path: stream.path().to_owned(),
                    message: format!(
                        "a WAV file of {name} samples (format {tag:#06x}) of {bytes} bytes; read are integers of 8 to 32 \
                         bits and floats of 32 and 64; convert it to one of these"
                    ),
                });
            }
        };
        Ok(Self {
            number,
            channels,
            rate_hz,
            bits,
        })
    }

    fn variables(&self, source: &Source, data: &Range<u64>, limits: &Limits) -> Result<Vec<Variable>> {
        let block = self.number.size() as u64 * u64::from(self.channels);
        let len = data.end - data.start;
        if !len.is_multiple_of(block) {
            let message = format!(
                "the `data` chunk of {len} bytes is no whole number of blocks of {block} bytes; the file is damaged"
            );
            return Err(source.error(data.start, message));
        }
        if usize::from(self.channels) > limits.max_variables {
            return Err(Error::limit(source.path(), format!("{} channels", self.channels)));
        }
        let frames = (len / block) as usize;
        let variable = |n: u16| Variable {
            rate_hz: Some(f64::from(self.rate_hz)),
            attributes: [("bits".to_owned(), Attribute::Number(f64::from(self.bits)))].into(),
            ..Variable::numbers(n.to_string(), vec![frames], self.kind())
        };
        Ok((1..=self.channels).map(variable).collect())
    }

    fn kind(&self) -> &'static str {
        match self.number {
            Number::U8 => "int8",
            other => other.name(),
        }
    }
}

impl Reader for WavFile {
    fn format(&self) -> &'static str {
        "WAV"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for WavFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let lane = Lane {
            first: chosen.variable as u64,
            stride: u64::from(self.format.channels),
        };
        let mut stream = Stream::plain(&self.source, self.data.clone(), self.endian);
        stream.numbers_into(self.format.number, lane, samples, "the `data` chunk", out)?;
        if self.format.number == Number::U8 {
            for v in out {
                *v = S::nearest((*v).into() - 128.0);
            }
        }
        Ok(())
    }
}
