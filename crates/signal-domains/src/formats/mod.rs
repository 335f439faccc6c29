//! Readers of recordings' files, one a module, behind one small trait.

mod mat5;
mod variable;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use variable::{Variable, list_variables};
pub(crate) use variable::{Order, into_channels};

use crate::error::{Error, Place, Result};

/// The most samples one variable may hold (2^28, 2 GiB as f64): a guard against files that claim more than they are.
pub const MAX_SAMPLES: usize = 1 << 28;

/// A file that holds named arrays.
pub(crate) trait SignalFile {
    /// Everything in the file, readable as a signal or not, in the file's order.
    fn variables(&self) -> &[Variable];
    /// All channels of the numeric variable `index`, each with [`Variable::samples`] samples.
    fn read(&self, index: usize) -> Result<Vec<Vec<f64>>>;
}

/// Opens a file by what its first bytes say it is.
pub(crate) fn open(path: &Path) -> Result<Box<dyn SignalFile>> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|f| f.take(132).read_to_end(&mut head))
        .map_err(|e| Error::io(path, e))?;
    if head.is_empty() {
        return Err(Error::file(path, Place::Whole, "the file is empty (0 bytes)"));
    }
    Ok(Box::new(mat5::MatFile::open(path)?))
}
