//! The leak check: whether anybody's split has the same samples, or the same unit, in two parts.
//!
//! `overlap` compares stretches of one recording, `copies` finds files with the same samples (by `landmarks`, then by
//! correlation), this file puts both together.

mod copies;
mod landmarks;
mod overlap;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use copies::{Copied, Likeness};

use self::copies::find_copies;
use self::overlap::{Stretch, conflicts};
use crate::error::{Error, Result};

/// A stretch of a file that somebody put into a part of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// The file.
    pub file: String,
    /// First sample.
    #[serde(default)]
    pub start: u64,
    /// Samples; `None`: to the end of the file.
    #[serde(default)]
    pub length: Option<u64>,
    /// Name of the part: `train`, `test` or any other. Whatever has another name is another part.
    pub part: String,
    /// Which physical bearing or machine it is of, where known.
    #[serde(default)]
    pub unit: Option<String>,
}

/// What to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeakOptions {
    /// Samples that must lie between two parts of one recording. 0: parts may touch.
    pub gap: u64,
}

/// Something that training can know of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "leak")]
pub enum Leak {
    /// The same samples in two parts.
    Samples {
        /// The parts.
        parts: [String; 2],
        /// The files: twice the same, or a file and a copy of it.
        files: [String; 2],
        /// Pieces of the second part that share samples with the first, or lie closer than the gap.
        pieces: usize,
        /// The first such pair, as start and end of each in its own file; `None` as an end: the end of the file.
        first: [(u64, Option<u64>); 2],
    },
    /// One unit in several parts.
    Unit {
        /// The bearing or machine.
        unit: String,
        /// Its parts.
        parts: Vec<String>,
        /// Its files.
        files: Vec<String>,
    },
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LeakReport {
    /// Parts, and the pieces and files of each.
    pub parts: BTreeMap<String, (usize, usize)>,
    /// What leaks; empty: nothing that was looked for.
    pub leaks: Vec<Leak>,
    /// Files that hold the same samples, in one part or in several.
    pub copies: Vec<Copied>,
    /// Files whose samples could not be compared, and why.
    pub unread: BTreeMap<String, String>,
    /// Whether units are stated for all pieces.
    pub units_known: bool,
}

/// Looks for samples and units in more than one part.
///
/// `find` says where a file is; `None`: it is not there, or not to be read. Files without samples in reach are compared
/// by name alone, and listed in [`LeakReport::unread`]. What is found are overlaps in one file; copies of whole files
/// or of stretches, also in another format, with another gain, offset or sign, cut shorter or starting later; units.
/// Resampled or filtered copies are not found.
///
/// Errors: no piece; one part only; an empty piece; one that reaches beyond the end of its file.
pub fn check_leaks(
    pieces: &[Piece],
    find: &dyn Fn(&str) -> Option<PathBuf>,
    options: LeakOptions,
) -> Result<LeakReport> {
    let parts = parts(pieces)?;
    let files: BTreeSet<&str> = pieces.iter().map(|p| p.file.as_str()).collect();
    let found = find_copies(&files, find)?;
    for piece in pieces {
        let end = piece.start.saturating_add(piece.length.unwrap_or(1));
        if let Some(&samples) = found.samples.get(piece.file.as_str()).filter(|&&samples| end > samples) {
            return Err(Error::Argument(format!(
                "{}: a piece of part {} reaches to sample {end}, the file has {samples}",
                piece.file, piece.part
            )));
        }
    }
    let mut leaks = sample_leaks(pieces, &found.copies, options);
    leaks.extend(unit_leaks(pieces));
    Ok(LeakReport {
        parts,
        leaks,
        copies: found.copies,
        unread: found.unread,
        units_known: pieces.iter().all(|p| p.unit.is_some()),
    })
}

fn parts(pieces: &[Piece]) -> Result<BTreeMap<String, (usize, usize)>> {
    let mut parts: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for piece in pieces {
        if piece.length == Some(0) {
            return Err(Error::Argument(format!(
                "{}: a piece at sample {} has no samples",
                piece.file, piece.start
            )));
        }
        let part = parts.entry(&piece.part).or_default();
        part.0 += 1;
        part.1.insert(&piece.file);
    }
    if parts.len() < 2 {
        let have: Vec<&str> = parts.keys().copied().collect();
        return Err(Error::Argument(format!(
            "a split has at least two parts, this list has {} ({})",
            have.len(),
            have.join(", ")
        )));
    }
    Ok(parts
        .into_iter()
        .map(|(name, (n, files))| (name.to_owned(), (n, files.len())))
        .collect())
}

/// Overlaps inside each file, and from each file to its copies.
fn sample_leaks(pieces: &[Piece], copies: &[Copied], options: LeakOptions) -> Vec<Leak> {
    // files with equal bytes are one file
    let equal = copies.iter().filter(|c| c.likeness == Likeness::Bytes);
    let same: BTreeMap<&str, &str> = equal.map(|c| (c.files[1].as_str(), c.files[0].as_str())).collect();
    let mut of_file: BTreeMap<&str, Vec<Stretch<'_>>> = BTreeMap::new();
    for piece in pieces {
        let file = piece.file.as_str();
        of_file
            .entry(same.get(file).copied().unwrap_or(file))
            .or_default()
            .push(Stretch::of(piece));
    }
    let mut leaks = Vec::new();
    let mut tell = |stretches: Vec<Stretch<'_>>, shift: i128| {
        for conflict in conflicts(stretches, i128::from(options.gap)) {
            let [a, b] = &conflict.first;
            // back from the first file's samples to the second's own
            let own = |s: &Stretch<'_>| {
                let shift = if s.copy { shift } else { 0 };
                ((s.start - shift) as u64, s.end.map(|end| (end - shift) as u64))
            };
            leaks.push(Leak::Samples {
                parts: [a.part.to_owned(), b.part.to_owned()],
                files: [a.file.to_owned(), b.file.to_owned()],
                pieces: conflict.pieces,
                first: [own(a), own(b)],
            });
        }
    };
    for stretches in of_file.values() {
        tell(stretches.clone(), 0);
    }
    for copied in copies.iter().filter(|c| c.likeness != Likeness::Bytes) {
        let [first, second] = copied.files.each_ref().map(|f| of_file.get(f.as_str()));
        let (Some(first), Some(second)) = (first, second) else {
            continue;
        };
        let shift = i128::from(copied.shift);
        let within = copied.samples.map(|(from, to)| (i128::from(from), i128::from(to)));
        let shifted = second.iter().map(|s| s.as_copy(shift));
        let all = first.iter().cloned().chain(shifted);
        // only what was seen to be the same counts
        tell(all.filter_map(|s| s.within(within)).collect(), shift);
    }
    leaks
}

fn unit_leaks(pieces: &[Piece]) -> Vec<Leak> {
    let mut of_unit: BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for piece in pieces {
        if let Some(unit) = &piece.unit {
            let (parts, files) = of_unit.entry(unit).or_default();
            parts.insert(&piece.part);
            files.insert(&piece.file);
        }
    }
    let owned = |set: BTreeSet<&str>| set.into_iter().map(str::to_owned).collect();
    of_unit
        .into_iter()
        .filter(|(_, (parts, _))| parts.len() > 1)
        .map(|(unit, (parts, files))| Leak::Unit {
            unit: unit.into(),
            parts: owned(parts),
            files: owned(files),
        })
        .collect()
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples {
                parts: [a, b],
                files: [file, other],
                pieces,
                first: [one, two],
            } => {
                let range = |(start, end): &(u64, Option<u64>)| {
                    end.map_or_else(|| format!("{start} to the end"), |end| format!("{start}..{end}"))
                };
                let (one, two) = (range(one), range(two));
                if file == other {
                    write!(
                        f,
                        "{file}: pieces of {b} that overlap {a} or lie too near: {pieces}; first {one} and {two}"
                    )
                } else {
                    write!(
                        f,
                        "{other} is a copy of {file}: pieces of {b} that overlap {a} or lie too near: {pieces}; first {one} and {two}"
                    )
                }
            }
            Self::Unit { unit, parts, files } => {
                write!(f, "unit {unit} is in {}: {}", parts.join(" and "), files.join(", "))
            }
        }
    }
}
