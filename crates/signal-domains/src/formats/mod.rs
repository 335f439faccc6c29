//! Readers of recordings' files, one a module, behind one small trait.

mod hdf5;
mod mat5;
mod text;
mod variable;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use text::{Decimal, Delimiter, Dialect, TextLayout};
pub(crate) use variable::{Order, into_channels};
pub use variable::{Variable, list_variables};

use crate::error::{Error, Place, Result};

/// The most samples one variable may hold (2^28, 2 GiB as f64): a guard against files that claim more than they are.
pub const MAX_SAMPLES: usize = 1 << 28;

/// Endings of the files that are taken for recordings in a folder without a manifest.
pub(crate) const ENDINGS: [&str; 8] = ["mat", "csv", "txt", "tsv", "asc", "h5", "hdf5", "hdf"];

/// A file that holds named arrays.
pub(crate) trait SignalFile {
    /// Everything in the file, readable as a signal or not, in the file's order.
    fn variables(&self) -> &[Variable];
    /// All channels of the numeric variable `index`, each with [`Variable::samples`] samples.
    fn read(&self, index: usize) -> Result<Vec<Vec<f64>>>;
    /// How a text file was read.
    fn dialect(&self) -> Option<Dialect> {
        None
    }
}

/// Opens a file by what its first bytes say it is; names decide only between text and nothing known.
pub(crate) fn open(path: &Path, layout: TextLayout) -> Result<Box<dyn SignalFile>> {
    // an HDF5 file may start with a user block of 512, 1024, 2048 .. bytes
    let mut head = Vec::new();
    File::open(path)
        .and_then(|f| f.take((1 << 16) + 8).read_to_end(&mut head))
        .map_err(|e| Error::io(path, e))?;
    if head.is_empty() {
        return Err(Error::file(
            path,
            Place::Whole,
            "the file is empty (0 bytes); fetch it again",
        ));
    }
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if hdf5::is_hdf5(&head) {
        Ok(Box::new(hdf5::Hdf5File::open(path)?))
    } else if ending == "mat" || mat5::is_mat5(&head) {
        Ok(Box::new(mat5::MatFile::open(path)?))
    } else if ["h5", "hdf5", "hdf"].contains(&&*ending) {
        let message =
            "not an HDF5 file: its signature (89 48 44 46 0d 0a 1a 0a) is not there; the file is damaged or misnamed";
        Err(Error::file(path, Place::Byte(0), message))
    } else if head.contains(&0) {
        Err(Error::Unsupported {
            path: path.to_owned(),
            message: "neither MAT, HDF5 nor text; read are MAT (level 5 and 7.3), HDF5 and CSV / TXT".into(),
        })
    } else {
        Ok(Box::new(text::TextFile::open(path, layout)?))
    }
}
