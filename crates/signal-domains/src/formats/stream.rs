//! Reads forward through a stretch of a file, plain or inflated; every error says where.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use flate2::CrcReader;
use flate2::bufread::{DeflateDecoder, ZlibDecoder};

use super::Limits;
use super::numbers::{Endian, Lane, Number};
use super::sample::Sample;
use super::source::{Source, SourceReader};
use crate::error::{Error, Place, Result};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 13;
/// Bytes that are read at once where all of them are wanted.
const STRAIGHT: usize = 1 << 16;

thread_local! {
    /// They are read into the same place each time: filling new memory with zeros costs as much as reading does.
    static STRAIGHT_BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A cursor over bytes that are there, or over what they inflate to.
pub(crate) struct Stream<'a> {
    source: &'a Source,
    inner: Inner<'a>,
    at: u64,
    /// Where the bytes end at the latest.
    end: u64,
    pub endian: Endian,
    /// Offset in the file of what is inflated.
    inflated_from: Option<u64>,
}

enum Inner<'a> {
    /// Made when it is first read from: who reads straight from the file needs none.
    Plain(Option<BufReader<SourceReader<'a>>>),
    Unpacked(BufReader<Unpacker<'a>>),
}

/// Gives out what packed bytes hold.
enum Unpacker<'a> {
    Zlib(ZlibDecoder<BufReader<SourceReader<'a>>>),
    Deflate(CrcReader<DeflateDecoder<BufReader<SourceReader<'a>>>>, u32),
    Stored(CrcReader<SourceReader<'a>>, u32),
}

impl Read for Unpacker<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zlib(reader) => reader.read(out),
            Self::Deflate(reader, _) => reader.read(out),
            Self::Stored(reader, _) => reader.read(out),
        }
    }
}

impl Unpacker<'_> {
    /// Whether the checksum of all that came out is the one stated; zlib data carry their own.
    fn is_sound(&self) -> bool {
        match self {
            Self::Zlib(_) => true,
            Self::Deflate(reader, sum) => reader.crc().sum() == *sum,
            Self::Stored(reader, sum) => reader.crc().sum() == *sum,
        }
    }
}

impl<'a> Stream<'a> {
    /// Over `range` of the file, cut at the file's end.
    pub fn plain(source: &'a Source, range: Range<u64>, endian: Endian) -> Self {
        Self {
            source,
            at: range.start,
            end: range.end.min(source.len()),
            inner: Inner::Plain(None),
            endian,
            inflated_from: None,
        }
    }

    /// Over what `range` of the file inflates to by zlib; `from` is where that part of the file starts, for messages.
    pub fn inflated(source: &'a Source, range: Range<u64>, from: u64, limits: &Limits) -> Self {
        let end = limits.inflated(range.end.saturating_sub(range.start));
        let reader = BufReader::with_capacity(BLOCK, source.reader(range));
        Self {
            source,
            at: 0,
            end,
            inner: Inner::Unpacked(BufReader::with_capacity(
                BLOCK,
                Unpacker::Zlib(ZlibDecoder::new(reader)),
            )),
            endian: Endian::Little,
            inflated_from: Some(from),
        }
    }

    /// Over what `range` of the file inflates to by bare deflate, whose checksum stands elsewhere; see
    /// [`finish`](Self::finish).
    pub fn deflated(source: &'a Source, range: Range<u64>, limits: &Limits, sum: u32) -> Self {
        let from = range.start;
        let end = limits.inflated(range.end.saturating_sub(from));
        let reader = DeflateDecoder::new(BufReader::with_capacity(BLOCK, source.reader(range)));
        let unpacker = Unpacker::Deflate(CrcReader::new(reader), sum);
        Self {
            source,
            at: 0,
            end,
            inner: Inner::Unpacked(BufReader::with_capacity(BLOCK, unpacker)),
            endian: Endian::Little,
            inflated_from: Some(from),
        }
    }

    /// Over `range` as it stands, all of it read, so that [`finish`](Self::finish) can compare its checksum.
    pub fn summed(source: &'a Source, range: Range<u64>, sum: u32) -> Self {
        let unpacker = Unpacker::Stored(CrcReader::new(source.reader(range.clone())), sum);
        Self {
            inner: Inner::Unpacked(BufReader::with_capacity(BLOCK, unpacker)),
            ..Self::plain(source, range, Endian::Little)
        }
    }

    pub fn with_endian(mut self, endian: Endian) -> Self {
        self.endian = endian;
        self
    }

    /// Offset of the next byte, in the file or in the inflated bytes.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Bytes left at most; exact where nothing is inflated.
    pub fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    pub fn path(&self) -> &Path {
        self.source.path()
    }

    pub fn error(&self, at: u64, message: impl Into<String>) -> Error {
        let place = match self.inflated_from {
            None => Place::Byte(at),
            Some(variable) => Place::Inflated { variable, byte: at },
        };
        Error::file(self.source.path(), place, message)
    }

    fn check(&self, n: u64, what: impl Display + Copy) -> Result<()> {
        let left = self.left();
        if n <= left {
            return Ok(());
        }
        let message = if self.inflated_from.is_none() {
            format!("{what} needs {n} bytes, but only {left} are left; the file is cut short or damaged")
        } else {
            format!(
                "{what} needs {n} bytes more, which the compressed bytes that are there cannot inflate to; the file is damaged"
            )
        };
        Err(self.error(self.at, message))
    }

    /// Fills `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8], what: impl Display + Copy) -> Result<()> {
        self.check(out.len() as u64, what)?;
        let result = match &mut self.inner {
            Inner::Plain(reader) => {
                let new = || BufReader::with_capacity(BLOCK, self.source.reader(self.at..self.end));
                reader.get_or_insert_with(new).read_exact(out)
            }
            Inner::Unpacked(reader) => reader.read_exact(out),
        };
        match result {
            Ok(()) => {
                self.at += out.len() as u64;
                Ok(())
            }
            Err(e) => Err(self.failed(e, out.len() as u64, what)),
        }
    }

    fn failed(&self, e: io::Error, n: u64, what: impl Display + Copy) -> Error {
        match (&self.inner, e.kind()) {
            (Inner::Plain(_), _) => Error::io(self.source.path(), e),
            (Inner::Unpacked(_), _) if self.inflated_from.is_none() => Error::io(self.source.path(), e),
            (_, io::ErrorKind::UnexpectedEof) => {
                let message =
                    format!("{what} needs {n} bytes, but the compressed data end before; the file is damaged");
                self.error(self.at, message)
            }
            _ => self.error(
                self.at,
                format!("the compressed data are damaged ({e}); fetch the file again"),
            ),
        }
    }

    pub fn array<const N: usize>(&mut self, what: impl Display + Copy) -> Result<[u8; N]> {
        let mut out = [0; N];
        self.fill(&mut out, what)?;
        Ok(out)
    }

    pub fn u16(&mut self, what: impl Display + Copy) -> Result<u16> {
        Ok(self.endian.u16(self.array(what)?))
    }

    pub fn u32(&mut self, what: impl Display + Copy) -> Result<u32> {
        Ok(self.endian.u32(self.array(what)?))
    }

    pub fn u64(&mut self, what: impl Display + Copy) -> Result<u64> {
        Ok(self.endian.u64(self.array(what)?))
    }

    /// The next `n` bytes, allocated as they come.
    pub fn bytes(&mut self, n: u64, what: impl Display + Copy) -> Result<Vec<u8>> {
        self.check(n, what)?;
        let mut out = Vec::new();
        let mut left = n as usize;
        while left > 0 {
            let piece = left.min(BLOCK);
            let from = out.len();
            out.resize(from + piece, 0);
            self.fill(&mut out[from..], what)?;
            left -= piece;
        }
        Ok(out)
    }

    /// Passes over `n` bytes.
    pub fn skip(&mut self, n: u64, what: impl Display + Copy) -> Result<()> {
        self.check(n, what)?;
        let result = match &mut self.inner {
            Inner::Plain(None) => Ok(()),
            Inner::Plain(Some(reader)) => seek_forward(reader, n),
            Inner::Unpacked(reader) => match io::copy(&mut reader.by_ref().take(n), &mut io::sink()) {
                Ok(passed) if passed < n => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other.map(|_| ()),
            },
        };
        result.map_err(|e| self.failed(e, n, what))?;
        self.at += n;
        Ok(())
    }

    /// Samples `samples` of a channel from an array that starts here, in place of what `out` holds.
    pub fn numbers_into<S: Sample>(
        &mut self,
        number: Number,
        lane: Lane,
        samples: &Range<usize>,
        what: impl Display + Copy,
        out: &mut Vec<S>,
    ) -> Result<()> {
        let len = samples.len() as u64;
        if len == 0 {
            out.clear();
            return Ok(());
        }
        let size = number.size() as u64;
        // the last byte that is wanted, before anything is allocated
        let first = lane.first as u128 + samples.start as u128 * lane.stride as u128;
        let need = (first + (len as u128 - 1) * lane.stride as u128 + 1) * size as u128;
        self.check(u64::try_from(need).unwrap_or(u64::MAX), what)?;
        self.skip(first as u64 * size, what)?;
        let plain = lane.stride == 1 && matches!(self.inner, Inner::Plain(_));
        if plain && number == S::STORED && self.endian == Endian::NATIVE {
            // as they are wanted: the one copy is the system's
            out.truncate(samples.len());
            out.reserve_exact(samples.len() - out.len());
            out.resize(samples.len(), S::default());
            return self.straight(bytemuck::cast_slice_mut(out), what);
        }
        out.clear();
        out.reserve_exact(samples.len());
        if plain {
            self.contiguous(number, len, out, what)
        } else {
            self.strided(number, lane.stride * size, len, out, what)
        }
    }

    /// Fills `out` with the next bytes, straight from the file.
    fn straight(&mut self, out: &mut [u8], what: impl Display + Copy) -> Result<()> {
        match self.source.read_at(self.at, out) {
            Ok(got) if got == out.len() => self.skip(got as u64, what),
            Ok(_) => Err(self.failed(io::ErrorKind::UnexpectedEof.into(), out.len() as u64, what)),
            Err(e) => Err(self.failed(e, out.len() as u64, what)),
        }
    }

    /// Appends `count` numbers that follow each other as they are in the file, straight from it: no byte is read that is not
    /// wanted, and each is copied once before it is converted.
    fn contiguous<S: Sample>(
        &mut self,
        number: Number,
        count: u64,
        out: &mut Vec<S>,
        what: impl Display + Copy,
    ) -> Result<()> {
        let size = number.size() as u64;
        let most = STRAIGHT as u64 / size;
        STRAIGHT_BYTES.with_borrow_mut(|bytes| {
            let mut left = count;
            while left > 0 {
                let piece = left.min(most);
                bytes.resize((piece * size) as usize, 0);
                self.straight(bytes, what)?;
                number.decode(self.endian, bytes, out);
                left -= piece;
            }
            Ok(())
        })
    }

    /// Appends `count` numbers, of which each starts `row` bytes after the one before. The stream is left behind the last.
    pub fn strided<S: Sample>(
        &mut self,
        number: Number,
        row: u64,
        count: u64,
        out: &mut Vec<S>,
        what: impl Display + Copy,
    ) -> Result<()> {
        let size = number.size() as u64;
        let row = row.max(size);
        let most = (BLOCK as u64 / row).max(1);
        let mut block = [0; BLOCK];
        let mut left = count;
        while left > 0 {
            let rows = most.min(left);
            let block = &mut block[..((rows - 1) * row + size) as usize];
            self.fill(block, what)?;
            if row == size {
                number.decode(self.endian, block, out);
            } else {
                for piece in block.chunks(row as usize) {
                    number.decode(self.endian, &piece[..size as usize], out);
                }
            }
            left -= rows;
            if left > 0 && row > size {
                self.skip(row - size, what)?;
            }
        }
        Ok(())
    }

    /// The end of the unpacked bytes is here, and their checksum is right.
    pub fn finish(&mut self, what: impl Display + Copy) -> Result<()> {
        let Inner::Unpacked(reader) = &mut self.inner else {
            return Ok(());
        };
        match reader.read(&mut [0]) {
            Ok(0) if reader.get_ref().is_sound() => Ok(()),
            Ok(0) => Err(self.error(
                self.at,
                format!("{what} ends here with another checksum than the file states; the file is damaged"),
            )),
            Ok(_) => Err(self.error(
                self.at,
                format!("{what} ends here, but more came out; the file is damaged"),
            )),
            Err(e) => Err(self.failed(e, 1, what)),
        }
    }
}

fn seek_forward(reader: &mut BufReader<SourceReader<'_>>, n: u64) -> io::Result<()> {
    let mut left = n;
    while left > 0 {
        let step = left.min(i64::MAX as u64);
        reader.seek_relative(step as i64)?;
        left -= step;
    }
    Ok(())
}
