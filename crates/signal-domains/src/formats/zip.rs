//! ZIP archives, as far as NPZ files need them: the list of members, each stored or deflated.
//!
//! Source: PKWARE, *APPNOTE.TXT*, version 6.3.10: end record, ZIP64 records, central directory, local headers.

use std::ops::Range;

use super::Limits;
use super::listing::Full;
use super::numbers::Endian;
use super::source::Source;
use super::stream::Stream;
use crate::error::{Error, Result};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: u32 = u32::from_le_bytes(*b"PK\x01\x02");
const END: &[u8; 4] = b"PK\x05\x06";
const END_64: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const LOCATOR_64: u32 = u32::from_le_bytes(*b"PK\x06\x07");
/// The end record, without and with the longest comment.
const END_BYTES: u64 = 22;
const MOST_END: u64 = END_BYTES + 0xffff;

/// A member of an archive.
pub(super) struct Member {
    pub name: String,
    /// Where its bytes stand, as stored or deflated.
    pub range: Range<u64>,
    /// Bytes of the unpacked member.
    pub len: u64,
    pub sum: u32,
    pub packing: Packing,
}

/// How a member is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Stored,
    Deflated,
    /// By a method that is not read, or encrypted: why.
    Other(&'static str),
}

/// Whether a file starts like an archive, be it an empty one.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(LOCAL) || head.starts_with(END)
}

/// Lists the members in the order of the central directory.
pub(super) fn members(source: &Source, limits: &Limits) -> Result<Vec<Member>> {
    let directory = directory(source)?;
    let mut stream = Stream::plain(source, directory.range.clone(), Endian::Little);
    let most = limits.variables(source.len());
    if directory.members > most as u64 {
        return Err(Error::limit(source.path(), Full::MESSAGE));
    }
    let mut members = Vec::new();
    for _ in 0..directory.members {
        members.push(member(source, &mut stream, directory.range.start)?);
    }
    Ok(members)
}

struct Directory {
    members: u64,
    range: Range<u64>,
}

/// From the end record, the last thing in the file but for a comment.
fn directory(source: &Source) -> Result<Directory> {
    let from = source.len().saturating_sub(MOST_END);
    let tail = source.bytes(from, source.len() - from, "the end of the archive")?;
    let at = (0..(tail.len() + 1).saturating_sub(END_BYTES as usize))
        .rev()
        .find(|&i| {
            tail[i..].starts_with(END)
                && i + 22 + usize::from(tail[i + 20]) + 256 * usize::from(tail[i + 21]) == tail.len()
        });
    let Some(at) = at.map(|i| from + i as u64) else {
        let message = "a ZIP archive without its end record; the file is cut short";
        return Err(source.error(source.len(), message));
    };
    let mut end = Stream::plain(source, at + 4..source.len(), Endian::Little);
    let what = "the end record";
    let (disk, other) = (end.u16(what)?, end.u16(what)?);
    end.skip(2, what)?;
    let mut members = u64::from(end.u16(what)?);
    let mut len = u64::from(end.u32(what)?);
    let mut start = u64::from(end.u32(what)?);
    let mut limit = at;
    if members == 0xffff || len == 0xffff_ffff || start == 0xffff_ffff {
        let locator = at.checked_sub(20).unwrap_or(at);
        let mut stream = Stream::plain(source, locator..at, Endian::Little);
        if stream.u32("the ZIP64 locator")? == LOCATOR_64 {
            stream.skip(4, "the ZIP64 locator")?;
            let record = stream.u64("the ZIP64 locator")?;
            source.check(record, 56, "the ZIP64 end record")?;
            let mut stream = Stream::plain(source, record..record + 56, Endian::Little);
            if stream.u32("the ZIP64 end record")? != END_64 {
                return Err(source.error(
                    record,
                    "no ZIP64 end record where one was expected; the file is damaged",
                ));
            }
            stream.skip(28, "the ZIP64 end record")?;
            members = stream.u64("the ZIP64 end record")?;
            len = stream.u64("the ZIP64 end record")?;
            start = stream.u64("the ZIP64 end record")?;
            limit = record;
        }
    }
    if disk != 0 || other != 0 {
        return Err(source.unsupported("an archive in several parts; pack it into one"));
    }
    match start.checked_add(len) {
        Some(end) if end <= limit => Ok(Directory {
            members,
            range: start..end,
        }),
        _ => {
            let message =
                format!("the list of members ({len} bytes from byte {start}) is not in the file; the file is damaged");
            Err(source.error(at, message))
        }
    }
}

/// One entry of the central directory; its data must end before the directory starts.
fn member(source: &Source, stream: &mut Stream<'_>, limit: u64) -> Result<Member> {
    let at = stream.at();
    let what = "the list of members";
    if stream.u32(what)? != CENTRAL {
        return Err(source.error(
            at,
            "no entry of the list of members where one was expected; the file is damaged",
        ));
    }
    stream.skip(4, what)?;
    let (flags, method) = (stream.u16(what)?, stream.u16(what)?);
    stream.skip(4, what)?;
    let sum = stream.u32(what)?;
    let mut packed = u64::from(stream.u32(what)?);
    let mut len = u64::from(stream.u32(what)?);
    let (name, extra, comment) = (stream.u16(what)?, stream.u16(what)?, stream.u16(what)?);
    stream.skip(8, what)?;
    let mut local = u64::from(stream.u32(what)?);
    let name = String::from_utf8_lossy(&stream.bytes(u64::from(name), what)?).into_owned();
    let extra = stream.bytes(u64::from(extra), what)?;
    stream.skip(u64::from(comment), what)?;
    // values that do not fit stand in the ZIP64 field, in this order
    let mut long = field(&extra, 1);
    for value in [&mut len, &mut packed, &mut local] {
        if *value == 0xffff_ffff
            && let Some((first, rest)) = long.split_first_chunk::<8>()
        {
            *value = u64::from_le_bytes(*first);
            long = rest;
        }
    }
    let mut header = Stream::plain(source, local..source.len(), Endian::Little);
    let what = format!("the header of {name}");
    if header.array::<4>(&what)? != *LOCAL {
        return Err(source.error(
            local,
            format!("no header of {name} where one was expected; the file is damaged"),
        ));
    }
    header.skip(22, &what)?;
    let skipped = u64::from(header.u16(&what)?) + u64::from(header.u16(&what)?);
    let start = local + 30 + skipped;
    match start.checked_add(packed) {
        Some(end) if end <= limit => {}
        _ => {
            let message = format!("{name} needs {packed} bytes, but they are not there; the file is damaged");
            return Err(source.error(start, message));
        }
    }
    let packing = match method {
        _ if flags & 1 != 0 => Packing::Other("it is encrypted"),
        0 if packed == len => Packing::Stored,
        0 => Packing::Other("its two sizes contradict each other"),
        8 => Packing::Deflated,
        _ => Packing::Other("it is packed by another method than deflate"),
    };
    Ok(Member {
        name,
        range: start..start + packed,
        len,
        sum,
        packing,
    })
}

/// The contents of extra field `wanted`.
fn field(mut extra: &[u8], wanted: u16) -> &[u8] {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let Some((contents, next)) = rest.split_at_checked(len) else {
            break;
        };
        if u16::from_le_bytes([head[0], head[1]]) == wanted {
            return contents;
        }
        extra = next;
    }
    &[]
}
