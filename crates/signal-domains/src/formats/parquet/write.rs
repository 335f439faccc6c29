//! Writes Parquet files of signals that say themselves what they are: a row a signal, its samples a list.
//!
//! A row is a row group of its own: a reader finds a signal, and its length, by the footer alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::footer::MAGIC;
use super::thrift::CompactWriter;
use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Samples of a page. A window of 1024 samples costs one page or two.
const PAGE: usize = 1 << 14;
/// Levels above gain a percent on vibration, and cost several times the time.
const DEFLATE: u32 = 4;
/// The column of the samples.
const SAMPLES: &str = "samples";

/// Codes of `parquet.thrift`: types, encodings, packings.
const BOOLEAN: i32 = 0;
const DOUBLE: i32 = 5;
const BYTE_ARRAY: i32 = 6;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const BYTE_STREAM_SPLIT: i32 = 9;
const UNCOMPRESSED: i32 = 0;
const GZIP: i32 = 2;

/// What a column beside the samples holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Flags,
    Numbers,
    Texts,
}

impl Kind {
    /// Of the column that holds a value.
    pub fn of(value: &Attribute) -> Self {
        match value {
            Attribute::Flag(_) => Self::Flags,
            Attribute::Number(_) => Self::Numbers,
            Attribute::Text(_) => Self::Texts,
        }
    }

    fn code(self) -> i32 {
        match self {
            Self::Flags => BOOLEAN,
            Self::Numbers => DOUBLE,
            Self::Texts => BYTE_ARRAY,
        }
    }
}

/// A new Parquet file that is being written.
pub(crate) struct ParquetWriter {
    path: PathBuf,
    file: BufWriter<File>,
    at: u64,
    columns: Vec<(String, Kind)>,
    stated: Vec<(String, String)>,
    /// The row groups as they stand in the footer.
    groups: CompactWriter,
    row_groups: usize,
    rows: usize,
}

/// A row: samples, and what is said of them.
pub(crate) struct Row<'a> {
    pub samples: &'a [f64],
    pub values: &'a BTreeMap<String, Attribute>,
}

/// Where the pages of a column in a row group are.
struct Chunk<'a> {
    path: &'a [&'a str],
    kind: i32,
    packing: i32,
    encodings: [i32; 2],
    start: u64,
    entries: usize,
    unpacked: u64,
    packed: u64,
}

impl ParquetWriter {
    /// A new, empty file with these columns beside the samples; one that is there is overwritten.
    pub fn create(path: &Path, columns: Vec<(String, Kind)>) -> Result<Self> {
        let create = || {
            let mut file = BufWriter::new(File::create(path)?);
            file.write_all(MAGIC)?;
            Ok(file)
        };
        Ok(Self {
            path: path.to_owned(),
            file: create().map_err(|e| Error::io(path, e))?,
            at: MAGIC.len() as u64,
            columns,
            stated: Vec::new(),
            groups: CompactWriter::default(),
            row_groups: 0,
            rows: 0,
        })
    }

    /// States a text of the file as a whole.
    pub fn state(&mut self, key: &str, text: &str) {
        self.stated.push((key.to_owned(), text.to_owned()));
    }

    /// A row group; values of columns that there are not are left out.
    pub fn rows(&mut self, rows: &[Row<'_>]) -> Result<()> {
        self.write(rows).map_err(|e| Error::io(&self.path, e))
    }

    fn write(&mut self, rows: &[Row<'_>]) -> io::Result<()> {
        let columns = std::mem::take(&mut self.columns);
        let names: Vec<[&str; 1]> = columns.iter().map(|(name, _)| [name.as_str()]).collect();
        let mut chunks = Vec::with_capacity(columns.len() + 1);
        for ((name, kind), path) in columns.iter().zip(&names) {
            chunks.push(self.values(path, *kind, rows.iter().map(|row| row.values.get(name)))?);
        }
        chunks.push(self.samples(rows)?);
        let bytes = chunks.iter().map(|c| c.unpacked).sum::<u64>();
        self.groups.element_record(|w| {
            w.list(1, 'r', chunks.len(), |w| chunks.iter().for_each(|chunk| chunk.write(w)));
            w.i64(2, bytes as i64);
            w.i64(3, rows.len() as i64);
        });
        self.row_groups += 1;
        self.rows += rows.len();
        drop(chunks);
        self.columns = columns;
        Ok(())
    }

    /// A column beside the samples. One value alone would grow by being packed.
    fn values<'a>(
        &mut self,
        path: &'a [&'a str],
        kind: Kind,
        values: impl Iterator<Item = Option<&'a Attribute>>,
    ) -> io::Result<Chunk<'a>> {
        let values: Vec<_> = values
            .map(|value| value.filter(|value| Kind::of(value) == kind))
            .collect();
        let runs: Vec<_> = values.iter().map(|value| (1, u8::from(value.is_some()))).collect();
        let mut page = levels(&runs);
        // flags are bits
        let mut flags = 0;
        for value in values.iter().flatten() {
            match value {
                Attribute::Flag(flag) => {
                    if flags % 8 == 0 {
                        page.push(0);
                    }
                    if let Some(bits) = page.last_mut() {
                        *bits |= u8::from(*flag) << (flags % 8);
                    }
                    flags += 1;
                }
                Attribute::Number(number) => page.extend(number.to_le_bytes()),
                Attribute::Text(text) => {
                    page.extend((text.len() as u32).to_le_bytes());
                    page.extend(text.as_bytes());
                }
            }
        }
        let packed = if values.len() > 1 { Some(pack(&page)?) } else { None };
        let mut chunk = Chunk {
            path,
            kind: kind.code(),
            packing: if packed.is_some() { GZIP } else { UNCOMPRESSED },
            encodings: [PLAIN, RLE],
            start: self.at,
            entries: values.len(),
            unpacked: 0,
            packed: 0,
        };
        self.page(&mut chunk, values.len(), PLAIN, &page, packed.as_deref())?;
        Ok(chunk)
    }

    fn samples(&mut self, rows: &[Row<'_>]) -> io::Result<Chunk<'static>> {
        // a list without elements is an entry that is not defined
        let pieces = rows.iter().flat_map(|row| {
            let empty = row.samples.is_empty().then_some((true, &[][..]));
            let full = row.samples.chunks(PAGE).enumerate().map(|(n, piece)| (n == 0, piece));
            empty.into_iter().chain(full)
        });
        // (whether a row starts, its samples)
        let mut pages: Vec<Vec<(bool, &[f64])>> = Vec::new();
        let (mut entries, mut held) = (0, PAGE);
        for (starts, piece) in pieces {
            entries += piece.len().max(1);
            held += piece.len().max(1);
            match pages.last_mut() {
                Some(page) if held <= PAGE => page.push((starts, piece)),
                _ => {
                    held = piece.len().max(1);
                    pages.push(vec![(starts, piece)]);
                }
            }
        }
        let mut chunk = Chunk {
            path: &[SAMPLES, "list", "element"],
            kind: DOUBLE,
            packing: GZIP,
            encodings: [BYTE_STREAM_SPLIT, RLE],
            start: self.at,
            entries,
            unpacked: 0,
            packed: 0,
        };
        for pieces in pages {
            let (mut repeated, mut defined, mut samples) = (Vec::new(), Vec::new(), Vec::new());
            for (starts, piece) in pieces {
                let entries = piece.len().max(1);
                let starts = usize::from(starts);
                repeated.extend([(starts, 0), (entries - starts, 1)]);
                defined.push((entries, u8::from(!piece.is_empty())));
                samples.extend_from_slice(piece);
            }
            let entries = defined.iter().map(|(n, _)| n).sum();
            let mut page = levels(&repeated);
            page.extend(levels(&defined));
            let mut planes = vec![0; 8 * samples.len()];
            for (i, sample) in samples.iter().enumerate() {
                for (plane, byte) in sample.to_le_bytes().into_iter().enumerate() {
                    planes[plane * samples.len() + i] = byte;
                }
            }
            page.extend(planes);
            let packed = pack(&page)?;
            self.page(&mut chunk, entries, BYTE_STREAM_SPLIT, &page, Some(&packed))?;
        }
        Ok(chunk)
    }

    fn page(
        &mut self,
        chunk: &mut Chunk<'_>,
        entries: usize,
        encoding: i32,
        page: &[u8],
        packed: Option<&[u8]>,
    ) -> io::Result<()> {
        let body = packed.unwrap_or(page);
        let mut header = CompactWriter::default();
        header.element_record(|w| {
            w.i32(1, 0);
            w.i32(2, page.len() as i32);
            w.i32(3, body.len() as i32);
            w.record(5, |w| {
                w.i32(1, entries as i32);
                w.i32(2, encoding);
                w.i32(3, RLE);
                w.i32(4, RLE);
            });
        });
        self.file.write_all(&header.bytes)?;
        self.file.write_all(body)?;
        let header = header.bytes.len() as u64;
        chunk.unpacked += header + page.len() as u64;
        chunk.packed += header + body.len() as u64;
        self.at += header + body.len() as u64;
        Ok(())
    }

    /// Writes the footer; nothing is left to be written when this returns.
    pub fn finish(mut self) -> Result<()> {
        let mut footer = CompactWriter::default();
        footer.element_record(|w| {
            w.i32(1, 2);
            w.list(2, 'r', self.columns.len() + 4, |w| {
                node(w, "schema", None, None, self.columns.len() as i32 + 1);
                for (name, kind) in &self.columns {
                    let utf8 = (*kind == Kind::Texts).then_some(0);
                    node(w, name, Some((kind.code(), 1)), utf8, 0);
                }
                w.element_record(|w| {
                    w.i32(3, 0);
                    w.text(4, SAMPLES);
                    w.i32(5, 1);
                    w.i32(6, 3);
                    w.record(10, |w| w.record(3, |_| ()));
                });
                w.element_record(|w| {
                    w.i32(3, 2);
                    w.text(4, "list");
                    w.i32(5, 1);
                });
                node(w, "element", Some((DOUBLE, 0)), None, 0);
            });
            w.i64(3, self.rows as i64);
            w.list(4, 'r', self.row_groups, |w| w.bytes.append(&mut self.groups.bytes));
            w.list(5, 'r', self.stated.len(), |w| {
                for (key, text) in &self.stated {
                    w.element_record(|w| {
                        w.text(1, key);
                        w.text(2, text);
                    });
                }
            });
            w.text(6, concat!("signal-domains version ", env!("CARGO_PKG_VERSION")));
        });
        let mut write = || {
            self.file.write_all(&footer.bytes)?;
            let size = u32::try_from(footer.bytes.len())
                .map_err(|_| io::Error::other("more recordings than a Parquet file can describe; pack to HDF5"))?;
            self.file.write_all(&size.to_le_bytes())?;
            self.file.write_all(MAGIC)?;
            self.file.flush()
        };
        write().map_err(|e| Error::io(&self.path, e))
    }
}

/// A node of the schema: with a type and how often it is there (0: once, 1: at most once), or with children.
fn node(w: &mut CompactWriter, name: &str, leaf: Option<(i32, i32)>, converted: Option<i32>, children: i32) {
    w.element_record(|w| {
        if let Some((kind, repetition)) = leaf {
            w.i32(1, kind);
            w.i32(3, repetition);
        }
        w.text(4, name);
        if leaf.is_none() {
            w.i32(5, children);
        }
        if let Some(converted) = converted {
            w.i32(6, converted);
            w.record(10, |w| w.record(1, |_| ()));
        }
    });
}

fn pack(page: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(DEFLATE));
    encoder.write_all(page)?;
    encoder.finish()
}

/// Levels of one bit as runs of (how many, which), behind their length.
fn levels(runs: &[(usize, u8)]) -> Vec<u8> {
    let runs = runs.iter().filter(|(n, _)| *n > 0);
    let mut out = vec![0; 4];
    for run in runs.collect::<Vec<_>>().chunk_by(|a, b| a.1 == b.1) {
        let (n, level) = (run.iter().map(|(n, _)| n).sum::<usize>(), run[0].1);
        let mut head = n << 1;
        while head >= 0x80 {
            out.push(head as u8 | 0x80);
            head >>= 7;
        }
        out.extend([head as u8, level]);
    }
    let len = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out
}

impl Chunk<'_> {
    fn write(&self, w: &mut CompactWriter) {
        w.element_record(|w| {
            w.i64(2, 0);
            w.record(3, |w| {
                w.i32(1, self.kind);
                w.list(2, 'i', 2, |w| self.encodings.iter().for_each(|e| w.element_i32(*e)));
                w.list(3, 'b', self.path.len(), |w| {
                    self.path.iter().for_each(|p| w.element_text(p));
                });
                w.i32(4, self.packing);
                w.i64(5, self.entries as i64);
                w.i64(6, self.unpacked as i64);
                w.i64(7, self.packed as i64);
                w.i64(9, self.start as i64);
            });
        });
    }
}
