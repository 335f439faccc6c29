//! A file that is either whole or not there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::files::{self, NewFile, folder_of, machine};

/// Suffix of files being written.
const SUFFIX: &str = ".tmp";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Lets `fill` write a scratch file in the folder of `path`, flushes it to disk and renames it to `path`.
///
/// Whatever fails, a file that was at `path` before stays as it was and the scratch file is removed; only where the
/// very last step fails, flushing the folder, the new file is already in place.
pub fn write_atomic(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::Argument(format!("{}: not the name of a file", path.display())));
    };
    let folder = folder_of(path);
    // two writers of one name, in this process or another, never share a scratch file
    let mut scratch_name = name.to_os_string();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    scratch_name.push(format!(".{}-{count}{SUFFIX}", std::process::id()));

    let scratch = Scratch(folder.join(scratch_name));
    let file = NewFile::create(&scratch.0).map_err(machine(path, "creating"))?;
    let mut writer = io::BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer).map_err(machine(path, "writing"))?;
    let file = writer
        .into_inner()
        .map_err(|e| machine(path, "writing")(e.into_error()))?;
    file.sync().map_err(machine(path, "flushing to disk"))?;
    drop(file);
    files::rename(&scratch.0, path).map_err(machine(path, "renaming the finished file"))?;
    std::mem::forget(scratch);
    files::sync_folder(folder).map_err(machine(path, "flushing the folder (the file itself is written)"))
}

/// Whether `name` is that of a scratch file that a [`write_atomic`] of the file name `of` leaves where its process is
/// killed.
pub fn is_scratch_of(name: &str, of: &str) -> bool {
    let middle = name
        .strip_prefix(of)
        .and_then(|name| name.strip_prefix('.'))
        .and_then(|name| name.strip_suffix(SUFFIX));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    middle
        .and_then(|middle| middle.split_once('-'))
        .is_some_and(|(process, count)| digits(process) && digits(count))
}

/// Removes the file when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // best effort: the error that led here is the one to report
        let _ = files::remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
    fn scratch_files_are_told_from_files_of_others() {
        let of = "model.safetensors";
        assert!(is_scratch_of("model.safetensors.4711-0.tmp", of));
        for name in [
            "model.safetensors",
            "model.safetensors.tmp",
            "model.safetensors.4711.tmp",
            "model.safetensors.4711-.tmp",
            "model.safetensors.4711-0.tmp.gz",
            "model.safetensors.old-0.tmp",
            "my-model.safetensors.4711-0.tmp",
        ] {
            assert!(!is_scratch_of(name, of), "{name}");
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(&folder.path().join("no/model"), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Machine { action: "creating", .. }), "{error}");
    }
}
