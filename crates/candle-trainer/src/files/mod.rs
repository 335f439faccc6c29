//! The operations on files that durable writing is made of.
//!
//! Everything this crate writes goes through them. In this crate's own tests each call is announced before it is made,
//! so that it can fail, or the process end or the power go at it.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
#[cfg(test)]
use std::path::PathBuf;

use crate::error::{Error, Result};
#[cfg(test)]
use faults::{Call, announce};

/// A file that is being written.
pub(crate) struct NewFile {
    file: File,
    #[cfg(test)]
    path: PathBuf,
}

impl NewFile {
    /// Makes an empty file, or empties the one that is there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        #[cfg(test)]
        announce(Call::Create(path.into()))?;
        Ok(Self {
            file: OpenOptions::new().write(true).create(true).truncate(true).open(path)?,
            #[cfg(test)]
            path: path.into(),
        })
    }

    /// Makes what was written survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        announce(Call::Sync(self.path.clone()))?;
        self.file.sync_all()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(test)]
        announce(Call::Write(self.path.clone(), bytes.into()))?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Puts a file in the place of another, in one step.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    announce(Call::Rename(from.into(), to.into()))?;
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    announce(Call::Remove(path.into()))?;
    fs::remove_file(path)
}

/// Makes what was created, renamed and removed in a folder survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(test)]
    announce(Call::SyncFolder(folder.into()))?;
    // elsewhere a folder cannot be opened as a file; the durability of its entries is the system's
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes a folder and those above it that are missing, so that they survive a power failure. One that is there is left
/// as it is.
pub fn create_folder(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        match make_folder(folder) {
            // someone else was quicker
            Err(_) if folder.is_dir() => {}
            made => made.map_err(machine(folder, "creating the folder"))?,
        }
        let above = folder_of(folder);
        sync_folder(above).map_err(machine(above, "flushing the folder to disk"))?;
    }
    Ok(())
}

fn make_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    announce(Call::MakeFolder(path.into()))?;
    fs::create_dir(path)
}

/// Opens a regular file for reading; also its length in bytes.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    // asked before opening: a pipe would wait for a writer, a device has no end
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The folder that `path` lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What to make of an error of the file system.
pub(crate) fn machine(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Machine { path, action, source }
}
