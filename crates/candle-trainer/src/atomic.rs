//! A file that is either whole or not there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Suffix of files being written.
const SUFFIX: &str = ".tmp";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Lets `fill` write a scratch file in the folder of `path`, flushes it to disk and renames it to `path`.
///
/// Whatever fails, a file that was at `path` before stays as it was and the scratch file is removed.
pub fn write_atomic(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let machine = |action| {
        let path = path.to_path_buf();
        move |source| Error::Machine { path, action, source }
    };
    let Some(name) = path.file_name() else {
        return Err(Error::Argument(format!("{}: not the name of a file", path.display())));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // two writers of one name, in this process or another, never share a scratch file
    let mut scratch_name = name.to_os_string();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    scratch_name.push(format!(".{}-{count}{SUFFIX}", std::process::id()));

    let scratch = Scratch(folder.join(scratch_name));
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .open(&scratch.0)
        .map_err(machine("creating"))?;
    let mut writer = io::BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer).map_err(machine("writing"))?;
    let file = writer.into_inner().map_err(|e| machine("writing")(e.into_error()))?;
    file.sync_all().map_err(machine("flushing to disk"))?;
    drop(file);
    fs::rename(&scratch.0, path).map_err(machine("renaming the finished file"))?;
    std::mem::forget(scratch);
    sync_folder(folder).map_err(machine("flushing the folder (the file itself is written)"))
}

/// Whether `name` is a scratch file of a `write_atomic` of a file whose name starts with `start`.
pub(crate) fn is_scratch(name: &str, start: &str) -> bool {
    name.starts_with(start) && name.ends_with(SUFFIX)
}

/// Removes the file when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // best effort: the error that led here is the one to report
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a rename survive a power failure. Where a folder cannot be opened as a file, that is the system's business.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_whole_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomic(&path, |w| {
            // more than the writer's buffer, so part of it reaches the disk
            w.write_all(&vec![1; 3 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        let Error::Machine { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("model"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_error_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("no/model"), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Machine { action: "creating", .. }), "{error}");
    }
}
