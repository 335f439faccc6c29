//! The bytes of a file, read where they are wanted and never beyond its end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Limits;
use crate::error::{Error, Place, Result};

/// A file on disk or bytes in memory.
pub(crate) struct Source {
    path: PathBuf,
    data: Data,
    len: u64,
}

enum Data {
    File(File),
    Memory(Vec<u8>),
    /// Bytes of which each call gives a few, as a pipe or a network may.
    #[cfg(test)]
    Dripping(Vec<u8>, usize),
}

impl Source {
    /// Opens a regular file; nothing is read yet.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let metadata = file.metadata().map_err(|e| Error::io(path, e))?;
        if !metadata.is_file() {
            return Err(Error::file(path, Place::Whole, "not a regular file; name a file"));
        }
        Self {
            path: path.to_owned(),
            data: Data::File(file),
            len: metadata.len(),
        }
        .checked(limits)
    }

    /// Bytes in memory; `path` is for messages only.
    pub fn memory(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Self> {
        let len = bytes.len() as u64;
        Self {
            path: path.to_owned(),
            data: Data::Memory(bytes),
            len,
        }
        .checked(limits)
    }

    /// Bytes in memory, at most `drop` of them at a time.
    #[cfg(test)]
    pub fn dripping(path: &Path, bytes: Vec<u8>, drop: usize, limits: &Limits) -> Result<Self> {
        let len = bytes.len() as u64;
        let data = Data::Dripping(bytes, drop);
        let path = path.to_owned();
        Self { path, data, len }.checked(limits)
    }

    fn checked(self, limits: &Limits) -> Result<Self> {
        if self.len == 0 {
            let message = "the file is empty (0 bytes); fetch it again";
            return Err(Error::file(&self.path, Place::Whole, message));
        }
        if self.len > limits.max_bytes {
            let message = format!("{} bytes are more than the {} allowed", self.len, limits.max_bytes);
            return Err(Error::limit(&self.path, message));
        }
        Ok(self)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn in_memory(&self) -> bool {
        matches!(self.data, Data::Memory(_))
    }

    /// Up to `n` bytes from the start.
    pub fn head(&self, n: u64) -> Result<Vec<u8>> {
        self.bytes(0, n.min(self.len), "the file")
    }

    /// Exactly `n` bytes from `at`, for `what`: checked against the file's length before anything is allocated.
    pub fn bytes(&self, at: u64, n: u64, what: &str) -> Result<Vec<u8>> {
        self.check(at, n, what)?;
        let mut out = vec![0; n as usize];
        self.read_at(at, &mut out)
            .and_then(|got| if got == out.len() { Ok(()) } else { Err(shrunk()) })
            .map_err(|e| Error::io(&self.path, e))?;
        Ok(out)
    }

    /// Whether `n` bytes from `at` lie inside the file.
    pub fn check(&self, at: u64, n: u64, what: &str) -> Result<()> {
        if at.checked_add(n).is_some_and(|end| end <= self.len) && usize::try_from(n).is_ok() {
            return Ok(());
        }
        let left = self.len.saturating_sub(at);
        let message = format!("{what} needs {n} bytes, but only {left} are left; the file is cut short or damaged");
        Err(self.error(at, message))
    }

    /// Reads from `range`, which is cut at the end of the file.
    pub fn reader(&self, range: Range<u64>) -> SourceReader<'_> {
        SourceReader {
            source: self,
            at: range.start,
            end: range.end.min(self.len),
        }
    }

    pub fn error(&self, at: u64, message: impl Into<String>) -> Error {
        Error::file(&self.path, Place::Byte(at), message)
    }

    pub fn unsupported(&self, message: impl Into<String>) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            message: message.into(),
        }
    }

    /// Fills `out` from `at` as far as the file goes.
    pub fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        match &self.data {
            Data::Memory(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
                let n = rest.len().min(out.len());
                out[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
            #[cfg(test)]
            Data::Dripping(bytes, _) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
                let n = rest.len().min(out.len());
                out[..n].copy_from_slice(&rest[..n]);
                Ok(n)
            }
            Data::File(file) => {
                let mut n = 0;
                while n < out.len() {
                    match read_some(file, at + n as u64, &mut out[n..]) {
                        Ok(0) => break,
                        Ok(got) => n += got,
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(e),
                    }
                }
                Ok(n)
            }
        }
    }
}

/// Some bytes from `at`: one call of the system, and several threads need not wait for each other.
#[cfg(unix)]
fn read_some(file: &File, at: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, at)
}

#[cfg(windows)]
fn read_some(file: &File, at: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, at)
}

#[cfg(not(any(unix, windows)))]
fn read_some(_: &File, _: u64, _: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

fn shrunk() -> io::Error {
    io::Error::other("the file became shorter while it was read")
}

/// A stretch of a [`Source`] as a reader.
#[derive(Clone)]
pub(crate) struct SourceReader<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for SourceReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        #[cfg(test)]
        let n = match self.source.data {
            Data::Dripping(_, drop) => n.min(drop),
            _ => n,
        };
        let got = self.source.read_at(self.at, &mut out[..n])?;
        if got < n {
            return Err(shrunk());
        }
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for SourceReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek before the start"))?;
        Ok(self.at)
    }
}
