//! Recordings that a manifest names by globs instead of one by one.

use std::fs;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use toml::Spanned;

use super::schema::{Globs, RecordingTable};
use super::source::Source;
use crate::error::{Error, Result};

/// The stated recordings, and those files below `base` that the globs choose. A file that is stated too is the stated
/// recording: what is stated of single files adds to what is known of all.
pub(super) fn with_chosen_files(
    source: &Source<'_>,
    globs: &Spanned<Globs>,
    base: &Path,
    mut stated: Vec<RecordingTable>,
) -> Result<Vec<RecordingTable>> {
    let chosen = Chosen::new(source, globs)?;
    let mut files = Vec::new();
    walk(base, "", &mut files)?;
    files.retain(|file| chosen.has(file));
    if files.is_empty() {
        let message = format!(
            "files: no file below {} fits {}",
            base.display(),
            globs.as_ref().list().join(", ")
        );
        return Err(source.error(Some(globs.span()), message));
    }
    for table in &mut stated {
        let file = table.file.as_ref();
        if files.contains(file) {
            continue;
        }
        // as everywhere, a bare name means the only file of that name
        let same_name = |path: &&String| path.rsplit('/').next() == Some(file.as_str());
        let mut found = files.iter().filter(same_name);
        if let (Some(only), None) = (found.next(), found.next()) {
            table.file = Spanned::new(table.file.span(), only.clone());
        }
    }
    let known: std::collections::BTreeSet<String> = stated.iter().map(|t| t.file.as_ref().clone()).collect();
    let new = files.into_iter().filter(|file| !known.contains(file));
    stated.extend(new.map(|file| RecordingTable::of(Spanned::new(globs.span(), file))));
    Ok(stated)
}

struct Chosen {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

impl Chosen {
    /// A leading `!` excludes. `*` stays within a folder, `**` goes through all.
    fn new(source: &Source<'_>, globs: &Spanned<Globs>) -> Result<Self> {
        let mut chosen = Self {
            include: Vec::new(),
            exclude: Vec::new(),
        };
        for text in globs.as_ref().list() {
            let (list, pattern) = match text.strip_prefix('!') {
                Some(rest) => (&mut chosen.exclude, rest),
                None => (&mut chosen.include, text),
            };
            let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|e| {
                source.error(
                    Some(globs.span()),
                    format!("files: {pattern:?} is no glob: {}", e.kind()),
                )
            })?;
            list.push(glob.compile_matcher());
        }
        Ok(chosen)
    }

    fn has(&self, file: &str) -> bool {
        self.include.iter().any(|g| g.is_match(file)) && !self.exclude.iter().any(|g| g.is_match(file))
    }
}

/// Files below a folder in alphabetical order, with `/` between folders on every system. Hidden ones are passed over;
/// links to folders are not followed, which keeps the walk finite.
pub(crate) fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Error::io(folder, e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        // a name that is no text cannot be written in a manifest
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), &format!("{path}/"), found)?,
            Ok(_) if entry.path().is_file() => found.push(path),
            _ => {}
        }
    }
    Ok(())
}
