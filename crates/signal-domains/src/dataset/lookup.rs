//! Finds the files of a manifest.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::OpenOptions;
use crate::error::{Error, Result};

/// The folder below which recordings are looked for: `options.root`; else `options.data_root/<root>` where the manifest
/// states a root and that folder is there; else `<manifest's folder>/<root>`.
pub(super) fn base(manifest: &Path, root: Option<&str>, options: &OpenOptions) -> Result<PathBuf> {
    if let Some(root) = &options.root {
        if !root.is_dir() {
            let message = "not a folder; give the folder that holds the recordings".into();
            return Err(Error::Missing {
                path: root.clone(),
                message,
            });
        }
        return Ok(root.clone());
    }
    let root = root.unwrap_or(".");
    if let Some(data_root) = options.data_root.as_ref().filter(|_| root != ".") {
        let folder = data_root.join(root);
        if folder.is_dir() {
            return Ok(folder);
        }
    }
    // a bare file name has the empty path as its folder, which no system call takes
    let beside = manifest
        .parent()
        .filter(|p| *p != Path::new(""))
        .unwrap_or(Path::new("."));
    Ok(if root == "." {
        beside.to_owned()
    } else {
        beside.join(root)
    })
}

/// Looks files up below a folder, which is walked through only if a file is not where it is said to be.
pub(super) struct Finder<'a> {
    base: &'a Path,
    by_name: OnceCell<BTreeMap<OsString, Vec<PathBuf>>>,
}

impl<'a> Finder<'a> {
    pub fn new(base: &'a Path) -> Self {
        Self {
            base,
            by_name: OnceCell::new(),
        }
    }

    /// `base/file`, else the only file of that name below `base`, else why not.
    pub fn find(&self, file: &str) -> Result<PathBuf, String> {
        let direct = self.base.join(file);
        if direct.is_file() {
            return Ok(direct);
        }
        let by_name = self.by_name.get_or_init(|| {
            let mut found = BTreeMap::new();
            collect(self.base, &mut found);
            found
        });
        let below = self.base.display();
        let found = Path::new(file).file_name().and_then(|name| by_name.get(name));
        match found.map(Vec::as_slice) {
            Some([only]) => Ok(only.clone()),
            Some(several) => {
                let list: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
                Err(format!(
                    "{} files of that name below {below}: {}; name one with its folder",
                    several.len(),
                    list.join(", ")
                ))
            }
            None => Err(format!("no file of that name in or below {below}")),
        }
    }
}

/// Collects files by name. Folders that cannot be read hold nothing that could be used; links to folders are not
/// followed, which keeps the walk finite.
fn collect(folder: &Path, found: &mut BTreeMap<OsString, Vec<PathBuf>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect(&path, found);
        } else if path.is_file() {
            found.entry(entry.file_name()).or_default().push(path);
        }
    }
}
