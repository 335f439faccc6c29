//! Lines of bytes, one at a time.

use std::io::{self, BufRead, BufReader, Read};

/// Longest line that is read: a file without line ends must not fill the memory.
pub(crate) const MOST_LINE: u64 = 1 << 17;
/// Bytes that are read at once.
const BLOCK: usize = 1 << 13;

/// Gives the lines of `R` without their ends (`\n`, `\r\n`).
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Offset of the next line.
    at: u64,
}

/// A line and where it starts.
pub(crate) struct Line<'l> {
    pub at: u64,
    pub bytes: &'l [u8],
}

impl<R: Read> Lines<R> {
    /// Of `reader`, whose first byte has the offset `at`.
    pub fn new(reader: R, at: u64) -> Self {
        Self {
            reader: BufReader::with_capacity(BLOCK, reader),
            line: Vec::new(),
            at,
        }
    }

    /// Offset of the next line.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next line; `None` at the end. A line that is too long is an error of kind `FileTooLarge`.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let at = self.at;
        let n = self
            .reader
            .by_ref()
            .take(MOST_LINE + 1)
            .read_until(b'\n', &mut self.line)?;
        if n == 0 {
            return Ok(None);
        }
        if n as u64 > MOST_LINE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.at += n as u64;
        let bytes = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { at, bytes }))
    }
}
