//! Files of columns: known by their first bytes in every build, read with feature `parquet`.

use super::source::Source;
use super::{Limits, Reader};
use crate::error::Result;

/// What such a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columnar {
    Parquet,
    /// Arrow IPC as a file or a stream, also named Feather.
    Arrow,
}

impl Columnar {
    /// By a file's first bytes.
    pub fn of(head: &[u8]) -> Option<Self> {
        // an Arrow stream: a mark, the length of a schema, and a table inside it
        let is_stream = || {
            let four = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
            let (size, root) = (four(4)?, four(8)?);
            Some(head.starts_with(&[0xff; 4]) && size.is_multiple_of(8) && size > root && root > 0)
        };
        match head {
            [b'P', b'A', b'R', b'1' | b'E', ..] => Some(Self::Parquet),
            _ if head.starts_with(b"ARROW1") || head.starts_with(b"FEA1") => Some(Self::Arrow),
            _ if is_stream() == Some(true) => Some(Self::Arrow),
            _ => None,
        }
    }

    #[cfg(feature = "parquet")]
    pub fn open(self, source: Source, limits: &Limits) -> Result<Box<dyn Reader>> {
        Ok(match self {
            Self::Parquet => Box::new(super::parquet::ParquetFile::open(source, limits)?),
            Self::Arrow => Box::new(super::arrow::ArrowFile::open(source, limits)?),
        })
    }

    #[cfg(not(feature = "parquet"))]
    pub fn open(self, source: Source, _limits: &Limits) -> Result<Box<dyn Reader>> {
        let message = format!(
            "a {} file, which this build does not read; build with `--features parquet`, or write CSV, NPY or HDF5",
            match self {
                Self::Parquet => "Parquet",
                Self::Arrow => "Arrow",
            }
        );
        Err(source.unsupported(message))
    }
}
