//! Data sets without a manifest: `FOLDER/<domain>/<class>/<files>`, `FOLDER/<domain>/<files>` where unlabelled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::take_channels;
use super::{Dataset, OpenOptions, RecordingEntry};
use crate::error::{Error, Result};
use crate::formats::{ENDINGS, TextLayout};
use crate::recording::sha256_of;

pub(super) fn open(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let channels = take_channels(None, options).map_err(Error::Argument)?;
    let mut warnings = Vec::new();
    let mut found: Vec<(String, Option<String>, PathBuf)> = Vec::new();
    let top = list(folder)?;
    warnings.extend(
        top.files
            .iter()
            .map(|f| format!("{}: not in the folder of a domain, passed over", f.display())),
    );
    for domain in top.folders {
        let inside = list(&domain)?;
        found.extend(inside.files.into_iter().map(|f| (name(&domain), None, f)));
        for class in inside.folders {
            let recordings = list(&class)?;
            found.extend(
                recordings
                    .files
                    .into_iter()
                    .map(|f| (name(&domain), Some(name(&class)), f)),
            );
            warnings.extend(
                recordings
                    .folders
                    .iter()
                    .map(|f| format!("{}: a folder inside a class, passed over", f.display())),
            );
        }
    }
    found.retain(|(_, _, file)| {
        let ending = file
            .extension()
            .map(|e| e.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        let known = ENDINGS.contains(&&*ending);
        if !known {
            warnings.push(format!(
                "{}: not a .{} file, passed over",
                file.display(),
                ENDINGS.join(" .")
            ));
        }
        known
    });
    if found.is_empty() {
        let message = "no recordings: expected FOLDER/<domain>/<class>/<files>, or FOLDER/<domain>/<files> for a domain \
                       without labels, or a manifest (a .toml file)";
        return Err(Error::Missing {
            path: folder.to_owned(),
            message: message.into(),
        });
    }
    let classes: Vec<String> = found
        .iter()
        .filter_map(|(_, class, _)| class.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut of_name: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (domain, _, path) in &found {
        *of_name.entry((domain.clone(), name(path))).or_default() += 1;
    }
    let mut recordings = Vec::with_capacity(found.len());
    for (domain, class, path) in found {
        // the folder of the class is no part of the recording's name: whatever depends on names (order, splits) must
        // not depend on a label; where names repeat, contents tell recordings apart
        let mut file = name(&path);
        if of_name[&(domain.clone(), file.clone())] > 1 {
            file = format!("{file}~{}", &sha256_of(&path)?[..8]);
        }
        recordings.push(RecordingEntry {
            file,
            path: Some(path),
            class: class.and_then(|c| classes.iter().position(|known| *known == c)),
            domain,
            unit: None,
            rpm: None,
            geometry: None,
            rate_hz: options.rate_hz,
            sha256: Vec::new(),
            bytes: Vec::new(),
            channels: channels.clone(),
            text: TextLayout::default(),
            raw: None,
            attributes: BTreeMap::new(),
            words: None,
            stretch: None,
            fault: None,
            packed: None,
        });
    }
    Ok(Dataset {
        name: name(&folder.canonicalize().unwrap_or_else(|_| folder.to_owned())),
        source: None,
        licence: None,
        base: folder.to_owned(),
        families: vec![None; classes.len()],
        classes,
        recordings,
        warnings,
    })
}

struct Listing {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// Files and folders in alphabetical order, without hidden ones.
fn list(folder: &Path) -> Result<Listing> {
    let mut listing = Listing {
        files: Vec::new(),
        folders: Vec::new(),
    };
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if name(&path).starts_with('.') {
            continue;
        }
        if path.is_dir() {
            &mut listing.folders
        } else {
            &mut listing.files
        }
        .push(path);
    }
    listing.files.sort();
    listing.folders.sort();
    Ok(listing)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
