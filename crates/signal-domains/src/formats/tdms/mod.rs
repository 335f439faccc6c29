//! TDMS files (LabVIEW, DIAdem, npTDMS): segments with lists of objects that change as they go, contiguous or
//! interleaved, of either byte order, the last one left incomplete or not.
//!
//! Source: National Instruments, *TDMS File Format Internal Structure*. A channel is `group/channel`; the file (`/`) and
//! the groups are listed for what they say.

mod objects;
mod scaling;
mod values;

use std::ops::Range;

use self::objects::{Objects, Part};
use self::scaling::Scaling;
use super::listing::{Full, Listing};
use super::numbers::{Endian, Number};
use super::source::Source;
use super::stream::Stream;
use super::{Limits, Out, Reader, Variable};
use crate::error::{Error, Result};
use crate::select::Chosen;

/// Bytes before a segment's metadata: tag, contents, version, and two lengths.
const LEAD_IN: u64 = 28;
/// The length of a segment that was never closed.
const OPEN: u64 = u64::MAX;

/// What a segment's mask says.
mod toc {
    pub const METADATA: u32 = 1 << 1;
    pub const NEW_LIST: u32 = 1 << 2;
    pub const RAW_DATA: u32 = 1 << 3;
    pub const INTERLEAVED: u32 = 1 << 5;
    pub const BIG_ENDIAN: u32 = 1 << 6;
    pub const DAQMX: u32 = 1 << 7;
}

/// A TDMS file with its channels and where their pieces are.
pub(super) struct TdmsFile {
    source: Source,
    listing: Listing<Option<Values>>,
    segments: Vec<Segment>,
    layouts: Vec<Vec<Part>>,
}

/// How a channel's values are stored and become what is meant.
struct Values {
    number: Number,
    scaling: Option<Scaling>,
}

/// How the values of several channels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrangement {
    /// In each chunk all of one channel, then all of the next.
    Contiguous,
    /// One of each channel, then the next of each.
    Interleaved,
    /// In rows as a DAQmx device gives them, each channel at a place of its own.
    Rows,
}

/// The raw data of a segment.
struct Segment {
    start: u64,
    len: u64,
    /// Which of the layouts its chunks have.
    layout: usize,
    endian: Endian,
    arrangement: Arrangement,
}

/// Whether a file starts like a TDMS file.
pub(super) fn is_tdms(head: &[u8]) -> bool {
    head.starts_with(b"TDSm")
}

/// The fixed part of a segment.
struct LeadIn {
    mask: u32,
    endian: Endian,
    metadata: u64,
    /// Where the segment ends, and whether it was left open.
    end: u64,
    open: bool,
}

impl LeadIn {
    fn read(source: &Source, at: u64) -> Result<Self> {
        let mut stream = Stream::plain(source, at..source.len(), Endian::Little);
        let what = "the start of a segment";
        let tag = stream.array::<4>(what)?;
        if tag != *b"TDSm" {
            let message = format!(
                "a segment starts with {:02x} {:02x} {:02x} {:02x}, expected 54 44 53 6d (`TDSm`); the file is damaged from here on",
                tag[0], tag[1], tag[2], tag[3]
            );
            return Err(stream.error(at, message));
        }
        let mask = stream.u32(what)?;
        let endian = if mask & toc::BIG_ENDIAN == 0 {
            Endian::Little
        } else {
            Endian::Big
        };
        stream.endian = endian;
        let version = stream.u32(what)?;
        if !matches!(version, 4712 | 4713) {
            let message = format!("TDMS version {version}, read are 4712 (1.0) and 4713 (2.0)");
            return Err(stream.error(at + 8, message));
        }
        let len = stream.u64(what)?;
        let metadata = stream.u64(what)?;
        let open = len == OPEN;
        let left = stream.left();
        if !open && len > left {
            let message =
                format!("a segment of {len} bytes, but only {left} are left; the file is cut short or damaged");
            return Err(stream.error(at, message));
        }
        let len = if open { left } else { len };
        if metadata > len {
            let message = format!("a segment of {len} bytes with {metadata} bytes of metadata; the file is damaged");
            return Err(stream.error(at + 20, message));
        }
        Ok(Self {
            mask,
            endian,
            metadata,
            end: at + LEAD_IN + len,
            open,
        })
    }

    fn has(&self, flag: u32) -> bool {
        self.mask & flag != 0
    }
}

impl TdmsFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let full = |Full| Error::limit(source.path(), Full::MESSAGE);
        let mut objects = Objects::new(limits, source.len());
        let mut segments: Vec<Segment> = Vec::new();
        let mut at = 0;
        while at < source.len() {
            let lead = LeadIn::read(&source, at)?;
            let start = at + LEAD_IN + lead.metadata;
            if lead.has(toc::METADATA) {
                let mut stream = Stream::plain(&source, at + LEAD_IN..start, lead.endian);
                objects.update(&mut stream, lead.has(toc::NEW_LIST) || segments.is_empty() && at == 0)?;
            }
            if lead.has(toc::RAW_DATA) && lead.end > start {
                let layout = objects.layout().map_err(full)?;
                let segment = Segment {
                    start,
                    len: lead.end - start,
                    layout,
                    endian: lead.endian,
                    arrangement: if lead.has(toc::DAQMX) {
                        Arrangement::Rows
                    } else if lead.has(toc::INTERLEAVED) {
                        Arrangement::Interleaved
                    } else {
                        Arrangement::Contiguous
                    },
                };
                objects.count(&source, &segment, lead.open)?;
                if segments.len() == segments.capacity() {
                    segments.reserve_exact(segments.len() / 4 + 16);
                }
                segments.push(segment);
            }
            at = lead.end;
        }
        let (listing, layouts) = objects.finish();
        Ok(Self {
            source,
            listing,
            segments,
            layouts,
        })
    }

    /// Samples of one channel: from each segment that has some, from each of its chunks.
    fn channel(&self, index: usize, samples: Range<usize>) -> Result<Vec<f64>> {
        let Some(values) = &self.listing.spots[index] else {
            return Ok(Vec::new());
        };
        let what = self.listing.variables[index].describe();
        let (mut skip, mut left) = (samples.start as u64, samples.len() as u64);
        let mut out = Vec::with_capacity(samples.len());
        let mut stream = Stream::plain(&self.source, 0..self.source.len(), Endian::Little);
        let mut known = None;
        for segment in &self.segments {
            if left == 0 {
                break;
            }
            let lane = match known {
                Some((layout, interleaved, lane)) if (layout, interleaved) == (segment.layout, segment.arrangement) => {
                    lane
                }
                _ => ChunkLane::find(&self.layouts[segment.layout], index, segment.arrangement),
            };
            known = Some((segment.layout, segment.arrangement, lane));
            let Some(lane) = lane else { continue };
            let total = lane.total(segment.len);
            stream.endian = segment.endian;
            while skip < total && left > 0 {
                let chunk = skip / lane.count;
                let from = skip % lane.count;
                let take = (lane.count - from).min(total - skip).min(left);
                let at = segment.start + chunk * lane.chunk + lane.offset + from * lane.row;
                stream.skip(at - stream.at(), &what)?;
                stream.strided(values.number, lane.row, take, &mut out, &what)?;
                skip += take;
                left -= take;
            }
            skip -= total.min(skip);
        }
        if let Some(scaling) = &values.scaling {
            scaling.apply(&mut out);
        }
        Ok(out)
    }
}

/// Where the values of a channel lie in the chunks of a segment.
#[derive(Clone, Copy)]
struct ChunkLane {
    /// Bytes of a chunk.
    chunk: u64,
    /// Offset of the first value.
    offset: u64,
    /// Bytes from one value to the next.
    row: u64,
    /// Values in a chunk.
    count: u64,
}

impl ChunkLane {
    fn find(layout: &[Part], index: usize, arrangement: Arrangement) -> Option<Self> {
        let chunk = layout.iter().map(|p| p.size).sum();
        let row = layout.iter().map(|p| p.width).sum();
        let mut offset = 0;
        for part in layout {
            let lane = Self::of(part, offset, chunk, row, arrangement);
            if part.variable == index {
                return Some(lane);
            }
            offset += lane.passed(part);
        }
        None
    }

    /// Of `part`, which starts at `offset` of a chunk or of a row.
    fn of(part: &Part, offset: u64, chunk: u64, row: u64, arrangement: Arrangement) -> Self {
        // rows follow each other without regard to chunks
        let rows = |offset, row| Self {
            chunk: row,
            offset,
            row,
            count: 1,
        };
        match (arrangement, part.row) {
            (Arrangement::Rows, Some((at, row))) => rows(at, row),
            (Arrangement::Contiguous, _) => Self {
                chunk,
                offset,
                row: part.width,
                count: part.count,
            },
            _ => rows(offset, row),
        }
    }

    /// What to add to the offset for the part after this one.
    fn passed(&self, part: &Part) -> u64 {
        if self.chunk == self.row { part.width } else { part.size }
    }

    /// Values in `bytes` of raw data: of the whole chunks, and what is there of the last.
    fn total(&self, bytes: u64) -> u64 {
        // a row of interleaved data that is not whole counts for no channel
        let rest = (bytes % self.chunk).saturating_sub(self.offset) / self.row.max(1);
        bytes / self.chunk * self.count + rest.min(self.count)
    }
}

impl TdmsFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        channels
            .iter()
            .map(|c| self.channel(c.variable, samples.clone()))
            .collect()
    }
}

impl Reader for TdmsFile {
    fn format(&self) -> &'static str {
        "TDMS"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}
