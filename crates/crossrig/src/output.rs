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
    candle_trainer::create_folder(dir).map_err(crate::training::file_error)
}

/// Removes what a run that was killed left half-written in its folder.
pub fn remove_scratch(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = [
            "config.toml",
            "metrics.json",
            "report.html",
            "model.safetensors",
            "source_only.safetensors",
        ];
        if name
            .to_str()
            .is_some_and(|name| ours.iter().any(|file| candle_trainer::is_scratch_of(name, file)))
        {
            // a file that stays does no harm
            let _ = std::fs::remove_file(entry.path());
        }
    }
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
