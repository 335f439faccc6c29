//! Bits of a FLAC frame, with the checksums that run along.

use std::io::{BufRead, BufReader};

use super::super::source::{Source, SourceReader};
use crate::error::{Error, Result};

/// Reads bits, the highest of a byte first.
pub(super) struct Bits<'s> {
    source: &'s Source,
    reader: BufReader<SourceReader<'s>>,
    at: u64,
    /// Bits that were read from the file and not asked for yet: the lowest `count` of `held`.
    held: u64,
    count: u32,
    /// Checksums of the bytes since the last reset.
    sum_8: u8,
    sum_16: u16,
}

impl<'s> Bits<'s> {
    pub fn new(source: &'s Source, at: u64) -> Self {
        Self {
            source,
            reader: BufReader::with_capacity(1 << 13, source.reader(at..source.len())),
            at,
            held: 0,
            count: 0,
            sum_8: 0,
            sum_16: 0,
        }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> u64 {
        self.at - u64::from(self.count / 8)
    }

    pub fn reset_sums(&mut self) {
        (self.sum_8, self.sum_16) = (0, 0);
    }

    pub fn sum_8(&self) -> u8 {
        self.sum_8
    }

    pub fn sum_16(&self) -> u16 {
        self.sum_16
    }

    pub fn error(&self, message: impl Into<String>) -> Error {
        self.source.error(self.at(), message)
    }

    fn load(&mut self) -> Result<()> {
        let buffer = self.reader.fill_buf().map_err(|e| Error::io(self.source.path(), e))?;
        let Some(&byte) = buffer.first() else {
            return Err(self.error("the file ends within a frame; it is cut short"));
        };
        self.reader.consume(1);
        self.at += 1;
        self.held = self.held << 8 | u64::from(byte);
        self.count += 8;
        self.sum_8 = SUMS_8[usize::from(self.sum_8 ^ byte)];
        self.sum_16 = self.sum_16 << 8 ^ SUMS_16[usize::from((self.sum_16 >> 8) as u8 ^ byte)];
        Ok(())
    }

    /// The next `n` bits, at most 32.
    pub fn get(&mut self, n: u32) -> Result<u32> {
        while self.count < n {
            self.load()?;
        }
        self.count -= n;
        Ok((self.held >> self.count & ((1 << n) - 1)) as u32)
    }

    /// The next `n` bits, at most 32, as a number with a sign.
    pub fn signed(&mut self, n: u32) -> Result<i32> {
        if n == 0 {
            return Ok(0);
        }
        let value = self.get(n)?;
        Ok((value << (32 - n)) as i32 >> (32 - n))
    }

    /// The number of zeros before the next one.
    pub fn zeros(&mut self) -> Result<u32> {
        let mut zeros = 0;
        loop {
            let held = self.held & ((1u64 << self.count) - 1);
            if held != 0 {
                let before = held.leading_zeros() - (64 - self.count);
                self.count -= before + 1;
                return Ok(zeros + before);
            }
            zeros += self.count;
            self.count = 0;
            self.load()?;
        }
    }

    /// Passes over the rest of a byte.
    pub fn align(&mut self) {
        self.count -= self.count % 8;
    }
}

/// Checksums of single bytes, by the polynomials x^8 + x^2 + x + 1 and x^16 + x^15 + x^2 + 1.
const SUMS_8: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u8;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x80 == 0 { sum << 1 } else { sum << 1 ^ 0x07 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};
const SUMS_16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x8005 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};
