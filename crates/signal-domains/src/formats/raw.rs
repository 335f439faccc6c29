//! Raw binary files: bare numbers, whose layout must be stated.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::numbers::{Endian, Lane, Number};
use super::source::Source;
use super::stream::Stream;
use super::{ByChannel, Out, Reader, Sample, Variable};
use crate::error::{Error, Result};
use crate::select::Chosen;

/// How a file of bare numbers is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLayout {
    /// How each number is stored.
    #[serde(rename = "type")]
    pub number: RawNumber,
    /// Byte order.
    #[serde(default)]
    pub endian: RawEndian,
    /// Number of channels.
    #[serde(default = "one")]
    pub channels: usize,
    /// How the channels lie.
    #[serde(default)]
    pub order: RawOrder,
    /// Bytes at the start of the file that are passed over.
    #[serde(default)]
    pub offset: u64,
}

fn one() -> usize {
    1
}

/// How numbers of a raw file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RawNumber {
    Int8,
    Uint8,
    Int16,
    Uint16,
    /// Three bytes, as 24-bit converters write.
    Int24,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float16,
    Float32,
    Float64,
}

impl RawNumber {
    fn number(self) -> Number {
        match self {
            Self::Int8 => Number::I8,
            Self::Uint8 => Number::U8,
            Self::Int16 => Number::I16,
            Self::Uint16 => Number::U16,
            Self::Int24 => Number::I24,
            Self::Int32 => Number::I32,
            Self::Uint32 => Number::U32,
            Self::Int64 => Number::I64,
            Self::Uint64 => Number::U64,
            Self::Float16 => Number::F16,
            Self::Float32 => Number::F32,
            Self::Float64 => Number::F64,
        }
    }
}

/// Byte order of a raw file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawEndian {
    /// The low byte first, as PCs write.
    #[default]
    Little,
    /// The high byte first.
    Big,
}

/// How the channels of a raw file lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawOrder {
    /// One sample of each channel, then the next of each.
    #[default]
    Interleaved,
    /// All samples of the first channel, then all of the next.
    Consecutive,
}

/// A file of bare numbers.
pub(super) struct RawFile {
    source: Source,
    layout: RawLayout,
    variables: Vec<Variable>,
}

impl RawFile {
    pub(super) fn open(source: Source, layout: RawLayout) -> Result<Self> {
        let size = layout.number.number().size() as u64;
        let channels = layout.channels as u64;
        if !(1..=4096).contains(&channels) {
            return Err(Error::Argument(format!("raw: {channels} channels, expected 1 to 4096")));
        }
        let bytes = source.len().checked_sub(layout.offset).ok_or_else(|| {
            let message = format!(
                "the layout passes over {} bytes, but the file has {}",
                layout.offset,
                source.len()
            );
            source.error(source.len(), message)
        })?;
        let row = size * channels;
        if !bytes.is_multiple_of(row) {
            let message = format!(
                "{bytes} bytes are no whole number of {channels} x {size} bytes; the file is cut short, or the layout is another"
            );
            return Err(source.error(layout.offset, message));
        }
        let samples = (bytes / row) as usize;
        let name = layout.number.number().name();
        let variables = (1..=channels)
            .map(|n| Variable::numbers(n.to_string(), vec![samples], name))
            .collect();
        Ok(Self {
            source,
            layout,
            variables,
        })
    }
}

impl Reader for RawFile {
    fn format(&self) -> &'static str {
        "raw binary"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for RawFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let endian = match self.layout.endian {
            RawEndian::Little => Endian::Little,
            RawEndian::Big => Endian::Big,
        };
        let channel = chosen.variable as u64;
        let lane = match self.layout.order {
            RawOrder::Interleaved => Lane {
                first: channel,
                stride: self.variables.len() as u64,
            },
            RawOrder::Consecutive => Lane {
                first: channel * self.variables[chosen.variable].samples() as u64,
                stride: 1,
            },
        };
        let mut stream = Stream::plain(&self.source, self.layout.offset..self.source.len(), endian);
        stream.numbers_into(self.layout.number.number(), lane, samples, "the file", out)
    }
}
