//! MAT files of level 5 (MATLAB `save -v6` and `-v7`, `SciPy`, Octave), plain and compressed, of either byte order.
//!
//! Source: `MathWorks`, *MAT-File Format*, chapter "Level 5 MAT-File Format". A level 5 file has neither a count of its
//! variables nor an end mark: a file cut exactly between two variables cannot be told from a shorter one.

mod element;
mod header;
mod walk;

use std::ops::Range;

use self::element::{Tag, mi};
use self::walk::{Spot, Stop, Walk};
use super::listing::{Full, Listing};
use super::numbers::Endian;
use super::source::Source;
use super::stream::Stream;
use super::{ByChannel, Limits, Order, Out, Reader, Sample, Variable};
use crate::error::{Error, Place, Result};
use crate::select::Chosen;

/// Bytes of the file header: text, subsystem offset, version, byte order.
const FILE_HEADER: u64 = 128;

/// A MAT file with the list of what it holds; data are inflated and converted when asked for.
pub(super) struct MatFile {
    source: Source,
    limits: Limits,
    endian: Endian,
    listing: Listing<Spot>,
    entries: Vec<Entry>,
}

/// Where a top-level element lies in the file.
#[derive(Clone, Copy)]
struct Entry {
    /// Offset of the element's tag.
    tag: u64,
    /// Offset and length of its data.
    start: u64,
    len: u64,
    compressed: bool,
}

impl MatFile {
    pub(super) fn open(source: Source, limits: &Limits) -> Result<Self> {
        let endian = file_header(&source)?;
        let mut listing = Listing::new(limits, source.len());
        let mut entries = Vec::new();
        let mut inflated = 0u64;
        let mut tags = Stream::plain(&source, FILE_HEADER..source.len(), endian);
        while tags.left() > 0 {
            let entry = Entry::next(&mut tags, source.len())?;
            entries.push(entry);
            let place = (&source, limits, endian, entry);
            inflated = inflated.saturating_add(list(place, entries.len() - 1, &mut listing)?);
            if inflated > limits.max_inflated {
                let message = format!("listing the file inflates more than {} bytes", limits.max_inflated);
                return Err(Error::limit(source.path(), message));
            }
        }
        drop(tags);
        Ok(Self {
            source,
            limits: *limits,
            endian,
            listing,
            entries,
        })
    }
}

impl Entry {
    /// The element that starts here, and passes over its data.
    fn next(tags: &mut Stream<'_>, end: u64) -> Result<Self> {
        let tag = Tag::next(tags)?;
        let compressed = match tag.kind {
            mi::MATRIX => false,
            mi::COMPRESSED => true,
            other => {
                let message = format!(
                    "an element of type {other} where a variable (14) or a compressed variable (15) was expected; the \
                     file is damaged"
                );
                return Err(tags.error(tag.at, message));
            }
        };
        tag.pass(tags, end)?;
        Ok(Self {
            tag: tag.at,
            start: tag.start,
            len: tag.len,
            compressed,
        })
    }
}

/// A file, its limits and byte order, and an element of it.
type Located<'a> = (&'a Source, &'a Limits, Endian, Entry);

/// Lists top-level element `number` and gives the number of bytes that were inflated for it.
fn list(place: Located<'_>, number: usize, listing: &mut Listing<Spot>) -> Result<u64> {
    let (source, limits, _, entry) = place;
    let first = listing.len();
    let mut stream = stream(place);
    let Some(end) = array_end(&mut stream, entry)? else {
        return Ok(0);
    };
    let mut walk = Walk {
        limits,
        listing,
        entry: number,
    };
    let walked = walk.array(&mut stream, end, None, 0);
    match walked {
        Ok(()) if stream.at() == end => check_end(&mut stream, end)?,
        Ok(()) => {}
        Err(Stop::Damaged(e)) => return Err(e),
        Err(Stop::Refused(reason)) if listing.len() > first => {
            listing.truncate(first + 1);
            let variable = &mut listing.variables[first];
            variable.numeric = false;
            variable.reason = Some(reason);
        }
        Err(Stop::Refused(_)) => return Err(Error::limit(source.path(), Full::MESSAGE)),
    }
    Ok(if entry.compressed { stream.at() } else { 0 })
}

/// Over the element's data: the array's, or what they inflate to.
fn stream((source, limits, endian, entry): Located<'_>) -> Stream<'_> {
    let range = entry.start..entry.start + entry.len;
    if entry.compressed {
        Stream::inflated(source, range, entry.tag, limits).with_endian(endian)
    } else {
        Stream::plain(source, range, endian)
    }
}

/// Where the array of an element ends; `None` for an empty element, which holds nothing.
fn array_end(stream: &mut Stream<'_>, entry: Entry) -> Result<Option<u64>> {
    if !entry.compressed {
        return Ok((entry.len > 0).then_some(entry.start + entry.len));
    }
    let tag = Tag::large(stream)?;
    if tag.kind != mi::MATRIX {
        let message = format!(
            "an element of type {} where a variable (14) was expected; the file is damaged",
            tag.kind
        );
        return Err(stream.error(0, message));
    }
    if tag.len > stream.left() {
        let message = format!(
            "the variable declares {} bytes, more than its {} compressed bytes can inflate to; the file is damaged",
            tag.len, entry.len
        );
        return Err(stream.error(4, message));
    }
    Ok((tag.len > 0).then_some(tag.start + tag.len))
}

/// What was inflated ends where the array does, with the right checksum.
fn check_end(stream: &mut Stream<'_>, end: u64) -> Result<()> {
    stream.finish(format_args!("the variable declares {end} inflated bytes and"))
}

impl Reader for MatFile {
    fn format(&self) -> &'static str {
        "MAT level 5"
    }

    fn variables(&self) -> &[Variable] {
        &self.listing.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        self.channels_into(channels, samples, out)
    }
}

impl ByChannel for MatFile {
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()> {
        let (variable, spot) = (
            &self.listing.variables[chosen.variable],
            self.listing.spots[chosen.variable],
        );
        let Some(number) = spot.number else {
            out.clear();
            return Ok(());
        };
        let entry = self.entries[spot.entry];
        let mut stream = stream((&self.source, &self.limits, self.endian, entry));
        let end = array_end(&mut stream, entry)?;
        stream.skip(spot.start - stream.at(), variable)?;
        let whole = samples.end == variable.samples();
        let lane = variable.lane(Order::ColumnMajor, chosen.channel);
        stream.numbers_into(number, lane, samples, variable, out)?;
        if let (true, true, Some(end)) = (whole, entry.compressed, end) {
            // up to the end of the compressed data, where the checksum is
            stream.skip(end.saturating_sub(stream.at()), variable)?;
            check_end(&mut stream, end)?;
        }
        Ok(())
    }
}

/// Whether a file starts like a MAT file of level 5.
pub(super) fn is_mat5(head: &[u8]) -> bool {
    matches!(head.get(124..128), Some([0, 1, b'I', b'M'] | [1, 0, b'M', b'I']))
}

/// Checks the file header and returns the byte order.
fn file_header(source: &Source) -> Result<Endian> {
    let head = source.head(FILE_HEADER)?;
    if (head.len() as u64) < FILE_HEADER {
        return Err(source.error(
            head.len() as u64,
            format!("the file ends here, inside the {FILE_HEADER}-byte header of a MAT file"),
        ));
    }
    let endian = match &head[126..128] {
        b"IM" => Endian::Little,
        b"MI" => Endian::Big,
        other => {
            return Err(source.error(
                126,
                format!(
                    "not a MAT file of level 5: the byte-order mark is {:02x} {:02x}, expected `IM` or `MI`",
                    other[0], other[1]
                ),
            ));
        }
    };
    match endian.u16([head[124], head[125]]) {
        0x0100 => Ok(endian),
        0x0200 => Err(source.unsupported("a MAT file of version 7.3 without HDF5 data in it; the file is damaged")),
        other => Err(Error::file(
            source.path(),
            Place::Byte(124),
            format!("MAT version {other:#06x}, expected 0x0100 (level 5)"),
        )),
    }
}

#[cfg(test)]
mod tests;
