//! Bytes of a text file into lines of text.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use encoding_rs::{DecoderResult, GB18030, UTF_16BE, UTF_16LE, WINDOWS_1252};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::super::Limits;
use super::super::lines::{Lines, MOST_LINE};
use super::super::source::{Source, SourceReader};
use crate::error::{Error, Place, Result};

/// How the characters of a text file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8, hence ASCII.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16 behind a byte-order mark, as spreadsheets save "Unicode text".
    #[serde(rename = "utf-16")]
    Utf16,
    /// One byte a character: Latin-1 as Windows has it (code page 1252).
    #[serde(rename = "latin-1")]
    Latin1,
    /// GB 18030, which covers GBK and GB 2312.
    Gb18030,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Latin1 => "Latin-1",
            Self::Gb18030 => "GB 18030",
        }
    }
}

/// Whether a file starts like one packed by gzip.
pub(in super::super) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b, 8])
}

/// Whether a file starts with a byte-order mark of UTF-16.
pub(in super::super) fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])
}

/// How the bytes of a file become text.
#[derive(Clone, Copy)]
pub(super) struct Coding {
    pub gzip: bool,
    pub encoding: Encoding,
    big: bool,
    /// Bytes of the mark at the start of UTF-8 text.
    mark: u64,
    limit: u64,
}

/// What was unpacked went beyond the limit.
const BEYOND: io::ErrorKind = io::ErrorKind::QuotaExceeded;

impl Coding {
    /// Marks decide, then what is stated, else it is UTF-8: other encodings are not guessed.
    pub fn of(source: &Source, stated: Option<Encoding>, limits: &Limits) -> Result<Self> {
        let gzip = is_gzip(&source.head(3)?);
        let mut coding = Self {
            gzip,
            encoding: Encoding::Utf8,
            big: false,
            mark: 0,
            limit: limits.inflated(source.len()),
        };
        let mut start = Vec::new();
        coding
            .bytes(source, 0..source.len())
            .take(3)
            .read_to_end(&mut start)
            .map_err(|e| coding.error(source, 0, 1, e))?;
        if is_utf16(&start) {
            coding.encoding = Encoding::Utf16;
            coding.big = start[0] == 0xfe;
        } else if start == b"\xef\xbb\xbf" {
            coding.mark = 3;
        } else if let Some(stated) = stated {
            coding.encoding = stated;
        }
        if coding.encoding == Encoding::Utf16 && !is_utf16(&start) {
            let message = "stated to be UTF-16, but without a byte-order mark (ff fe or fe ff); save it as UTF-8";
            return Err(source.error(0, message));
        }
        Ok(coding)
    }

    /// Whether offsets of lines are those of the file, so that reading may start at any of them.
    pub fn seeks(self) -> bool {
        !self.gzip && self.encoding != Encoding::Utf16
    }

    /// The lines from byte `at` of the text, which has the number `number`.
    pub fn lines(self, source: &Source, at: u64, number: usize) -> TextLines<'_> {
        let bytes: Box<dyn Read + '_> = match self.encoding {
            Encoding::Utf16 => Box::new(Transcoder::new(self.bytes(source, 0..source.len()), self.big)),
            _ => self.bytes(source, at..source.len()),
        };
        TextLines {
            lines: Lines::new(bytes, at),
            source,
            coding: self,
            number,
        }
    }

    fn bytes(self, source: &Source, range: Range<u64>) -> Box<dyn Read + '_> {
        let reader = source.reader(range);
        if self.gzip {
            Box::new(Bounded {
                reader: MultiGzDecoder::new(BufReader::with_capacity(1 << 13, reader)),
                left: self.limit,
            })
        } else {
            Box::new(reader)
        }
    }

    fn error(self, source: &Source, at: u64, line: usize, e: io::Error) -> Error {
        let wrong = |message: String| Error::file(source.path(), Place::Line(line), message);
        match e.kind() {
            io::ErrorKind::FileTooLarge => wrong(format!(
                "a line of more than {MOST_LINE} bytes; the file is no table of numbers in lines"
            )),
            BEYOND => Error::limit(source.path(), format!("it unpacks to more than {} bytes", self.limit)),
            io::ErrorKind::InvalidData
                if self.encoding == Encoding::Utf16 && matches!(e.get_ref(), Some(e) if e.is::<NotUtf16>()) =>
            {
                wrong(format!(
                    "what follows byte {at} of the text is not UTF-16; the file is damaged"
                ))
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput if self.gzip => {
                wrong(format!(
                    "the compressed data are damaged or cut short ({e}); fetch the file again"
                ))
            }
            _ => Error::io(source.path(), e),
        }
    }
}

/// Lines of text with their numbers.
pub(super) struct TextLines<'s> {
    lines: Lines<Box<dyn Read + 's>>,
    source: &'s Source,
    coding: Coding,
    /// Number of the next line, counted from 1.
    number: usize,
}

/// A line of text.
pub(super) struct TextLine<'l> {
    pub number: usize,
    /// Offset in the text.
    pub at: u64,
    pub text: Cow<'l, str>,
}

impl TextLines<'_> {
    pub fn next(&mut self) -> Result<Option<TextLine<'_>>> {
        let (number, coding, source) = (self.number, self.coding, self.source);
        let at = self.lines.at();
        let Some(line) = self.lines.next().map_err(|e| coding.error(source, at, number, e))? else {
            return Ok(None);
        };
        self.number += 1;
        let (mut bytes, mut at) = (line.bytes, line.at);
        if at == 0 {
            bytes = bytes.get(coding.mark as usize..).unwrap_or_default();
            at = coding.mark;
        }
        let text = match coding.encoding {
            Encoding::Utf8 | Encoding::Utf16 => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|e| e.valid_up_to()),
            Encoding::Latin1 => Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0),
            Encoding::Gb18030 => GB18030
                .decode_without_bom_handling_and_without_replacement(bytes)
                .ok_or(0),
        };
        match text {
            Ok(text) => Ok(Some(TextLine { number, at, text })),
            Err(valid) => {
                let place = at + valid as u64;
                let message = if coding.encoding == Encoding::Utf8 {
                    format!(
                        "byte {place} of the file is not UTF-8; save it as UTF-8, or state its encoding (`latin-1`, \
                         `gb18030`)"
                    )
                } else {
                    format!("the line is not {}; is that its encoding?", coding.encoding.name())
                };
                Err(Error::file(source.path(), Place::Line(number), message))
            }
        }
    }
}

/// Stops what inflates to more than it may.
struct Bounded<'s> {
    reader: MultiGzDecoder<BufReader<SourceReader<'s>>>,
    left: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        self.left = self.left.checked_sub(n as u64).ok_or(BEYOND)?;
        Ok(n)
    }
}

/// UTF-16 into UTF-8, without the byte-order mark.
struct Transcoder<'s> {
    reader: Box<dyn Read + 's>,
    decoder: encoding_rs::Decoder,
    buffer: Box<[u8; 4096]>,
    filled: Range<usize>,
    /// No more comes from the reader, and nothing is left in the decoder, which must not be asked again.
    ended: bool,
    drained: bool,
    /// What comes next is not UTF-16. The text before it goes out first, so that the error has its place.
    malformed: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("not UTF-16")]
struct NotUtf16;

impl<'s> Transcoder<'s> {
    fn new(reader: Box<dyn Read + 's>, big: bool) -> Self {
        let encoding = if big { UTF_16BE } else { UTF_16LE };
        Self {
            reader,
            decoder: encoding.new_decoder_with_bom_removal(),
            buffer: Box::new([0; 4096]),
            filled: 0..0,
            ended: false,
            drained: false,
            malformed: false,
        }
    }
}

impl Read for Transcoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.drained {
            if self.malformed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, NotUtf16));
            }
            if self.filled.is_empty() && !self.ended {
                let n = self.reader.read(&mut self.buffer[..])?;
                self.filled = 0..n;
                self.ended = n == 0;
            }
            let input = &self.buffer[self.filled.clone()];
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(input, out, self.ended);
            self.filled.start += read;
            self.drained = self.ended && matches!(result, DecoderResult::InputEmpty);
            self.malformed = matches!(result, DecoderResult::Malformed(..));
            match result {
                _ if written > 0 => return Ok(written),
                DecoderResult::OutputFull => return Err(io::Error::other("no room for a character")),
                DecoderResult::Malformed(..) | DecoderResult::InputEmpty => {}
            }
        }
        Ok(0)
    }
}
