//! Stretches of one recording that share samples, or lie too near.

use std::collections::BTreeMap;

use super::Piece;

/// A stretch in samples of the recording that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
    pub start: i128,
    /// `None`: to the end of the file.
    pub end: Option<i128>,
    pub file: &'a str,
    pub part: &'a str,
    /// Whether it comes from a copy; then stretches of the original are the only ones it is compared with.
    pub copy: bool,
    /// Whether copies are compared at all.
    pub cross: bool,
}

impl<'a> Stretch<'a> {
    pub fn of(piece: &'a Piece) -> Self {
        let start = i128::from(piece.start);
        Self {
            start,
            end: piece.length.map(|n| start + i128::from(n)),
            file: &piece.file,
            part: &piece.part,
            copy: false,
            cross: false,
        }
    }

    /// The same stretch of a copy, `shift` samples later in the original.
    pub fn as_copy(&self, shift: i128) -> Self {
        Self {
            start: self.start + shift,
            end: self.end.map(|end| end + shift),
            copy: true,
            ..self.clone()
        }
    }

    /// What of it lies within the samples that were seen to be equal; whole where nothing bounds them.
    pub fn within(mut self, bounds: Option<(i128, i128)>) -> Option<Self> {
        self.cross = true;
        let Some((from, to)) = bounds else { return Some(self) };
        let (start, end) = (self.start.max(from), self.end.map_or(to, |end| end.min(to)));
        if start >= end {
            return None;
        }
        (self.start, self.end) = (start, Some(end));
        Some(self)
    }
}

/// Pieces of one part in conflict with another part.
#[derive(Debug)]
pub(super) struct Conflict<'a> {
    pub pieces: usize,
    /// The earlier and the later stretch of the first conflict.
    pub first: [Stretch<'a>; 2],
}

/// For each pair of parts, how many stretches start before one of the other part has ended, or less than `gap` after.
///
/// One pass in the order of starts: of each part only the stretch that ends last so far can still matter, so that a list
/// of any length takes time in proportion to its length and the number of parts.
pub(super) fn conflicts(mut stretches: Vec<Stretch<'_>>, gap: i128) -> Vec<Conflict<'_>> {
    stretches.sort_by(|a, b| (a.start, a.end, a.part, a.file).cmp(&(b.start, b.end, b.part, b.file)));
    let mut open: BTreeMap<(&str, bool), Stretch<'_>> = BTreeMap::new();
    let mut found: BTreeMap<[&str; 2], Conflict<'_>> = BTreeMap::new();
    for later in stretches {
        for ((part, copy), earlier) in &open {
            let compared = *part != later.part && (!later.cross || *copy != later.copy);
            let apart = earlier.end.is_some_and(|end| end + gap <= later.start);
            if !compared || apart {
                continue;
            }
            let conflict = found.entry([part, later.part]).or_insert_with(|| Conflict {
                pieces: 0,
                first: [earlier.clone(), later.clone()],
            });
            conflict.pieces += 1;
        }
        let longest = open.entry((later.part, later.copy)).or_insert_with(|| later.clone());
        let beyond = match (longest.end, later.end) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(old), Some(new)) => new > old,
        };
        if beyond {
            *longest = later;
        }
    }
    // train before test and test before train are one thing to tell
    let mut joined: BTreeMap<[&str; 2], Conflict<'_>> = BTreeMap::new();
    for (mut parts, conflict) in found {
        parts.sort_unstable();
        match joined.get_mut(&parts) {
            Some(known) => {
                known.pieces += conflict.pieces;
                if conflict.first[1].start < known.first[1].start {
                    known.first = conflict.first;
                }
            }
            None => {
                joined.insert(parts, conflict);
            }
        }
    }
    joined.into_values().collect()
}
