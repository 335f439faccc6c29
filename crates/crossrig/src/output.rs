//! Where results go: folders, files, standard output.

use std::io::Write as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Checks that results can go to `dir`: it is new or empty, or the run is resumed.
pub fn check_folder(dir: &Path, resume: bool) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        return Err(Error::input(format!("--out {} is a file", dir.display())));
    }
    let filled = std::fs::read_dir(dir).is_ok_and(|mut d| d.next().is_some());
    if filled && !resume {
        return Err(Error::input_with_hint(
            format!("--out {} is not empty", dir.display()),
            "give a new folder, or --resume to go on with the run in it",
        ));
    }
    Ok(())
}

/// Creates a folder and those above it.
pub fn create_folder(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|source| Error::Write {
        path: dir.to_owned(),
        source,
    })
}

/// Writes a file: to a temporary name, then in place, so that no half-written one is left.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    candle_trainer::write_atomic(path, |out| out.write_all(bytes)).map_err(crate::training::file_error)
}

/// Prints results to standard output. A closed pipe is a normal end.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Sets the number of threads of the one pool that everything runs on.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        None => Ok(()),
        Some(0) => Err(Error::input("--threads must be at least 1")),
        // a pool that is already running keeps its size: only a caller from Rust can meet that
        Some(n) => {
            let _ = rayon::ThreadPoolBuilder::new().num_threads(n).build_global();
            Ok(())
        }
    }
}
