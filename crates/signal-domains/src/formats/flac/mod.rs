//! FLAC files: integer samples, compressed without loss.
//!
//! Source: RFC 9639. Checksums of headers and frames are compared. Samples stay the integers they are.

mod bits;
mod frame;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use self::bits::Bits;
use self::frame::Blocks;
use super::numbers::Endian;
use super::source::Source;
use super::stream::Stream;
use super::{Limits, Out, Reader, Variable};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::select::Chosen;

/// Longest block of samples, and the fewest bytes of a frame that holds it.
const MOST_BLOCK: u64 = 65_536;
const FEWEST_BYTES: u64 = 8;

/// A FLAC file.
pub(super) struct FlacFile {
    source: Source,
    info: Info,
    variables: Vec<Variable>,
    /// First samples and offsets of the frames met so far, so that reading can start there.
    frames: Mutex<Vec<(u64, u64)>>,
}

/// What the stream says of itself.
#[derive(Clone, Copy)]
struct Info {
    rate_hz: u32,
    channels: u32,
    bits: u32,
    samples: u64,
}

pub(super) fn is_flac(head: &[u8]) -> bool {
    head.starts_with(b"fLaC")
}

impl Info {
    fn read(stream: &mut Stream<'_>) -> Result<Self> {
        let at = stream.at();
        let what = "the stream's description";
        stream.skip(10, what)?;
        let packed = stream.u64(what)?;
        stream.skip(16, what)?;
        let info = Self {
            rate_hz: (packed >> 44) as u32,
            channels: (packed >> 41 & 7) as u32 + 1,
            bits: (packed >> 36 & 31) as u32 + 1,
            samples: packed & ((1 << 36) - 1),
        };
        if info.rate_hz == 0 || info.bits < 4 {
            let message = format!(
                "{} bits at {} Hz: that cannot be; the file is damaged",
                info.bits, info.rate_hz
            );
            return Err(stream.error(at, message));
        }
        Ok(info)
    }
}

impl FlacFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let mut stream = Stream::plain(&source, 4..source.len(), Endian::Big);
        let mut info = None;
        loop {
            let at = stream.at();
            let word = stream.u32("a block of metadata")?;
            let (kind, len) = (word >> 24 & 127, u64::from(word & 0xff_ffff));
            match (kind, info) {
                (0, None) if len == 34 => info = Some(Info::read(&mut stream)?),
                (_, Some(_)) => stream.skip(len, "a block of metadata")?,
                _ => {
                    return Err(stream.error(
                        at,
                        "no description of the stream where it must stand; the file is damaged",
                    ));
                }
            }
            if word >> 31 == 1 {
                break;
            }
        }
        let start = stream.at();
        drop(stream);
        let Some(info) = info else {
            return Err(source.error(4, "no description of the stream; the file is damaged"));
        };
        if info.samples == 0 {
            return Err(source.unsupported("a FLAC stream that does not state its length; encode it into a file again"));
        }
        if info.bits == 32 {
            return Err(source.unsupported("FLAC of 32 bits a sample; read are 4 to 31; save it as WAV"));
        }
        if info.channels as usize > limits.max_variables {
            return Err(Error::limit(source.path(), format!("{} channels", info.channels)));
        }
        let most = ((source.len() - start) / FEWEST_BYTES).saturating_mul(MOST_BLOCK);
        if info.samples > most {
            let message = format!(
                "{} samples, more than {} bytes of frames can hold; the file is cut short or damaged",
                info.samples,
                source.len() - start
            );
            return Err(source.error(start, message));
        }
        let kind = format!("int{}", info.bits.next_multiple_of(8));
        let variable = |n: u32| Variable {
            rate_hz: Some(f64::from(info.rate_hz)),
            attributes: [("bits".to_owned(), Attribute::Number(f64::from(info.bits)))].into(),
            ..Variable::numbers(n.to_string(), vec![info.samples as usize], &kind)
        };
        Ok(Self {
            variables: (1..=info.channels).map(variable).collect(),
            source,
            info,
            frames: Mutex::new(vec![(0, start)]),
        })
    }
}

impl FlacFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        let mut out: Vec<Vec<f64>> = channels.iter().map(|_| Vec::with_capacity(samples.len())).collect();
        if samples.is_empty() {
            return Ok(out);
        }
        let wanted = samples.start as u64..samples.end as u64;
        // a panic elsewhere leaves a list of sound entries
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let from = frames.partition_point(|(first, _)| *first <= wanted.start) - 1;
        let (mut first, at) = frames[from];
        let mut bits = Bits::new(&self.source, at);
        let mut blocks = Blocks::default();
        while first < wanted.end {
            let block = blocks.frame(&mut bits, &self.info, |channel, block| {
                let end = first + block.len() as u64;
                let (a, b) = (wanted.start.max(first), wanted.end.min(end));
                if a < b {
                    let part = &block[(a - first) as usize..(b - first) as usize];
                    for (out, _) in out.iter_mut().zip(channels).filter(|(_, c)| c.variable == channel) {
                        out.extend(part.iter().map(|v| f64::from(*v)));
                    }
                }
            })?;
            first += block as u64;
            if frames.last().is_some_and(|(last, _)| *last < first) {
                frames.push((first, bits.at()));
            }
        }
        Ok(out)
    }
}

impl Reader for FlacFile {
    fn format(&self) -> &'static str {
        "FLAC"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}
