//! MAT files of level 5 (MATLAB `save -v6` and `-v7`, `SciPy`, Octave), plain and compressed, of either byte order.
//!
//! Source: `MathWorks`, *MAT-File Format*, chapter "Level 5 MAT-File Format". A level 5 file has neither a count of its
//! variables nor an end mark: a file cut exactly between two variables cannot be told from a shorter one.

mod element;
mod header;
mod numbers;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::ZlibDecoder;

use self::element::{Cursor, Endian, mi};
use self::header::Header;
use super::{MAX_SAMPLES, Order, SignalFile, Variable, into_channels};
use crate::error::{Error, Place, Result};

/// Bytes of the file header: text, subsystem offset, version, byte order.
const FILE_HEADER: usize = 128;
/// Enough of an inflated variable to hold its header: flags, up to 200 extents, the name.
const HEADER_BYTES: usize = 1024;

/// A MAT file in memory with the list of what it holds; data are inflated and converted when asked for.
pub(super) struct MatFile {
    path: PathBuf,
    bytes: Vec<u8>,
    endian: Endian,
    variables: Vec<Variable>,
    entries: Vec<Entry>,
}

/// Where one variable's element lies in the file.
#[derive(Clone, Copy)]
struct Entry {
    /// Offset of the element's tag.
    tag: usize,
    /// Offset and length of its data.
    start: usize,
    len: usize,
    compressed: bool,
}

impl MatFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::parse(path, fs::read(path).map_err(|e| Error::io(path, e))?)
    }

    /// Reads the list of variables; `path` is for messages only.
    pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let endian = file_header(path, &bytes)?;
        let mut file = Self {
            path: path.to_owned(),
            bytes,
            endian,
            variables: Vec::new(),
            entries: Vec::new(),
        };
        let mut cursor = Cursor::new(path, &file.bytes, endian, None);
        cursor.skip_to(FILE_HEADER);
        let mut found = Vec::new();
        while !cursor.at_end() {
            let element = cursor.element()?;
            let compressed = match element.kind {
                mi::MATRIX => false,
                mi::COMPRESSED => true,
                other => {
                    return Err(Error::file(
                        path,
                        Place::Byte(element.tag as u64),
                        format!(
                            "an element of type {other} where a variable (14) or a compressed variable (15) was \
                             expected; the file is damaged"
                        ),
                    ));
                }
            };
            let entry = Entry {
                tag: element.tag,
                start: element.start,
                len: element.data.len(),
                compressed,
            };
            found.push(entry);
        }
        for entry in found {
            if let Some(header) = file.header(entry)? {
                file.variables.push(header.variable());
                file.entries.push(entry);
            }
        }
        Ok(file)
    }

    /// The header of a variable; `None` for an empty element, which holds nothing.
    fn header(&self, entry: Entry) -> Result<Option<Header>> {
        if entry.compressed {
            let inflated = self.inflate(entry, HEADER_BYTES)?;
            let mut cursor = Cursor::new(&self.path, &inflated, self.endian, Some(entry.tag));
            let (kind, len) = cursor.tag()?;
            self.check_matrix(entry, kind)?;
            if len == 0 {
                return Ok(None);
            }
            Header::read(&mut cursor).map(Some)
        } else if entry.len == 0 {
            Ok(None)
        } else {
            let mut cursor = Cursor::new(&self.path, &self.bytes[..entry.start + entry.len], self.endian, None);
            cursor.skip_to(entry.start);
            Header::read(&mut cursor).map(Some)
        }
    }

    fn check_matrix(&self, entry: Entry, kind: u32) -> Result<()> {
        if kind == mi::MATRIX {
            return Ok(());
        }
        Err(Error::file(
            &self.path,
            Place::Inflated {
                variable: entry.tag as u64,
                byte: 0,
            },
            format!("an element of type {kind} where a variable (14) was expected; the file is damaged"),
        ))
    }

    /// Inflates at most `limit` bytes of a compressed variable.
    fn inflate(&self, entry: Entry, limit: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut decoder = ZlibDecoder::new(&self.bytes[entry.start..entry.start + entry.len]);
        let place = |out: &Vec<u8>| Place::Inflated {
            variable: entry.tag as u64,
            byte: out.len() as u64,
        };
        match decoder.by_ref().take(limit as u64).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(e) => Err(Error::file(
                &self.path,
                place(&out),
                format!("the compressed data are damaged ({e}); fetch the file again"),
            )),
        }
    }

    /// Inflates a whole variable: no more than it declares, and exactly that.
    fn inflate_whole(&self, entry: Entry, elements: usize) -> Result<Vec<u8>> {
        let head = self.inflate(entry, 8)?;
        let mut cursor = Cursor::new(&self.path, &head, self.endian, Some(entry.tag));
        let (kind, declared) = cursor.tag()?;
        self.check_matrix(entry, kind)?;
        // no sound variable is larger than its header and 8 bytes an element
        let most = HEADER_BYTES + 8 * elements;
        if declared > most {
            return Err(Error::file(
                &self.path,
                Place::Inflated {
                    variable: entry.tag as u64,
                    byte: 4,
                },
                format!("the variable declares {declared} bytes, but its {elements} elements need {most} at most"),
            ));
        }
        // one byte more than declared: reaches the end of the stream, and with it the checksum
        let out = self.inflate(entry, declared + 9)?;
        if out.len() != declared + 8 {
            let found = if out.len() > declared + 8 {
                "more".into()
            } else {
                format!("{}", out.len())
            };
            return Err(Error::file(
                &self.path,
                Place::Inflated {
                    variable: entry.tag as u64,
                    byte: out.len() as u64,
                },
                format!(
                    "the variable declares {} inflated bytes, {found} came out; the file is damaged",
                    declared + 8
                ),
            ));
        }
        Ok(out)
    }
}

impl SignalFile for MatFile {
    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read(&self, index: usize) -> Result<Vec<Vec<f64>>> {
        let (variable, entry) = (&self.variables[index], self.entries[index]);
        let elements = variable.elements();
        if elements > MAX_SAMPLES {
            return Err(Error::file(
                &self.path,
                Place::Byte(entry.tag as u64),
                format!(
                    "{} has more than {MAX_SAMPLES} elements; cut the recording",
                    variable.describe()
                ),
            ));
        }
        let inflated;
        let mut cursor = if entry.compressed {
            inflated = self.inflate_whole(entry, elements)?;
            let mut cursor = Cursor::new(&self.path, &inflated, self.endian, Some(entry.tag));
            cursor.tag()?;
            cursor
        } else {
            let mut cursor = Cursor::new(&self.path, &self.bytes[..entry.start + entry.len], self.endian, None);
            cursor.skip_to(entry.start);
            cursor
        };
        Header::read(&mut cursor)?;
        let values = numbers::read(&mut cursor, variable)?;
        Ok(into_channels(variable, values, Order::ColumnMajor))
    }
}

/// Whether a file starts like a MAT file of level 5.
pub(super) fn is_mat5(head: &[u8]) -> bool {
    matches!(head.get(126..128), Some(b"IM" | b"MI"))
}

/// Checks the file header and returns the byte order.
fn file_header(path: &Path, bytes: &[u8]) -> Result<Endian> {
    let unsupported = |message: &str| {
        Err(Error::Unsupported {
            path: path.to_owned(),
            message: message.into(),
        })
    };
    if looks_like_v4(bytes) {
        return unsupported(
            "a MAT file of level 4, which is not read; in MATLAB load it and `save -v7`, in SciPy `savemat(..)` again",
        );
    }
    if bytes.len() < FILE_HEADER {
        return Err(Error::file(
            path,
            Place::Byte(bytes.len() as u64),
            format!("the file ends here, inside the {FILE_HEADER}-byte header of a MAT file"),
        ));
    }
    let endian = match &bytes[126..128] {
        b"IM" => Endian::Little,
        b"MI" => Endian::Big,
        other => {
            return Err(Error::file(
                path,
                Place::Byte(126),
                format!(
                    "not a MAT file of level 5: the byte-order mark is {:02x} {:02x}, expected `IM` or `MI`",
                    other[0], other[1]
                ),
            ));
        }
    };
    match endian.u16([bytes[124], bytes[125]]) {
        0x0100 => Ok(endian),
        0x0200 => unsupported("a MAT file of version 7.3 without HDF5 data in it; the file is damaged"),
        other => Err(Error::file(
            path,
            Place::Byte(124),
            format!("MAT version {other:#06x}, expected 0x0100 (level 5)"),
        )),
    }
}

/// Level 4 has no file header: it starts with type, rows, columns, imaginary flag and length of the name.
fn looks_like_v4(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..20) else { return false };
    if matches!(bytes.get(126..128), Some(b"IM" | b"MI")) {
        return false;
    }
    [Endian::Little, Endian::Big].into_iter().any(|endian| {
        let word = |i: usize| endian.u32([head[4 * i], head[4 * i + 1], head[4 * i + 2], head[4 * i + 3]]);
        let (kind, imaginary, name) = (word(0), word(3), word(4));
        let digits = kind / 1000 <= 4 && kind / 100 % 10 == 0 && kind / 10 % 10 <= 5 && kind % 10 <= 2;
        digits
            && imaginary <= 1
            && (2..=64).contains(&name)
            && bytes.get(20).is_some_and(u8::is_ascii_alphabetic)
            && bytes.get(20 + name as usize - 1) == Some(&0)
    })
}

#[cfg(test)]
mod tests;
