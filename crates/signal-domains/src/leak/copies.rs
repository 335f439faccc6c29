//! Files that hold the same samples.
//!
//! Bytes first: equal files are copies without a look inside. Then landmarks: two channels with the same marks at the
//! same distance, at least [`VOTES`] times, are candidates. What decides is the correlation of the samples themselves.
//!
//! # False alarms
//!
//! A format or a gain leaves the signal and adds rounding: 8 bits are 1e-4 of a signal's power, [`RESIDUAL`] allows ten
//! times that. Two different recordings of noise agree so far by chance with probability (2 [`RESIDUAL`])^(n/2), n the
//! number of independent samples: 1e-270 for 200 of them, whatever the number of pairs tried. What is nearly one tone has
//! few independent samples, and recordings of one tone do agree. So a copy must also agree far better at its own shift
//! than at the next best one, [`STANDS_OUT`] times: a periodic signal agrees with itself at every period and is never
//! called a copy, unless it is equal to rounding error. Time stamps and counters have no landmarks. What is missed: copies
//! that were resampled or filtered, periodic copies that were rounded, and stretches with fewer than [`VOTES`] landmarks
//! (a few hundred samples).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::landmarks::{REACH, landmarks};
use crate::error::Result;
use crate::formats::{ReadOptions, SignalFile};
use crate::recording::sha256_of;

/// Landmarks that must agree on a shift before samples are compared.
const VOTES: u32 = 4;
/// Largest part of the power that a copy may differ by (1 - |r|).
const RESIDUAL: f64 = 1e-3;
/// Times that a copy must differ less at its own shift than at the next.
const STANDS_OUT: f64 = 10.0;
/// Below this part of the power nothing but rounding in f64 differs.
const EQUAL: f64 = 1e-9;
/// A mark that is more frequent than this tells nothing: it is of a signal that repeats itself.
const FREQUENT: usize = 64;
/// Samples that are compared at most.
const COMPARED: u64 = 1 << 20;

/// In what two files are alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likeness {
    /// Byte for byte.
    Bytes,
    /// In the samples of a channel, up to a gain, an offset and rounding.
    Samples {
        /// What the first file's samples are multiplied by to be the second's.
        gain: f64,
        /// Correlation coefficient over the samples that were compared.
        correlation: f64,
    },
}

/// A file that holds samples of another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Copied {
    /// The files. Of files with equal bytes the first by name stands for all.
    pub files: [String; 2],
    /// In what they are alike.
    pub likeness: Likeness,
    /// The channels that are alike, as variable and number from 1; empty for equal bytes.
    pub channels: Vec<String>,
    /// Where the second file's first sample lies in the first file.
    pub shift: i64,
    /// The samples of the first file that the second has too; `None`: all.
    pub samples: Option<(u64, u64)>,
}

pub(super) struct Found {
    pub copies: Vec<Copied>,
    pub unread: BTreeMap<String, String>,
    /// Samples of each file, where its signals are all of one length.
    pub samples: BTreeMap<String, u64>,
}

struct Channel {
    file: String,
    path: PathBuf,
    variable: usize,
    /// Number of the channel in the variable, from 0.
    number: usize,
    name: String,
    samples: u64,
}

pub(super) fn find_copies(files: &BTreeSet<&str>, find: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Found> {
    let mut found = Found {
        copies: Vec::new(),
        unread: BTreeMap::new(),
        samples: BTreeMap::new(),
    };
    let mut of_bytes: BTreeMap<String, Vec<(&str, PathBuf)>> = BTreeMap::new();
    for &file in files {
        let Some(path) = find(file) else {
            found.unread.insert(file.into(), "the file is not there".into());
            continue;
        };
        match sha256_of(&path) {
            Ok(hash) => of_bytes.entry(hash).or_default().push((file, path)),
            Err(e) if e.is_machine() => return Err(e),
            Err(e) => drop(found.unread.insert(file.into(), e.to_string())),
        }
    }
    let (mut channels, mut marks) = (Vec::new(), Vec::new());
    // in the order of names, not of hashes
    let mut groups: Vec<Vec<(&str, PathBuf)>> = of_bytes.into_values().collect();
    groups.sort();
    for group in groups {
        let (first, path) = &group[0];
        for (other, _) in &group[1..] {
            found.copies.push(Copied {
                files: [(*first).into(), (*other).into()],
                likeness: Likeness::Bytes,
                channels: Vec::new(),
                shift: 0,
                samples: None,
            });
        }
        match read(first, path, &mut channels, &mut marks) {
            Ok(samples) => {
                for (file, _) in &group {
                    found.samples.extend(samples.map(|n| ((*file).to_owned(), n)));
                }
            }
            Err(e) if e.is_machine() => return Err(e),
            Err(e) => found
                .unread
                .extend(group.iter().map(|(file, _)| ((*file).to_owned(), e.to_string()))),
        }
    }
    let mut alike: BTreeMap<[&str; 2], Copied> = BTreeMap::new();
    for (pair, shifts) in votes(&mut marks, &channels) {
        let [a, b] = pair.map(|i| &channels[i as usize]);
        let Some(copied) = compare(a, b, &shifts)? else {
            continue;
        };
        match alike.get_mut(&[a.file.as_str(), b.file.as_str()]) {
            // several channels of two files
            Some(known) if known.shift == copied.shift => known.channels.extend(copied.channels),
            Some(_) => {}
            None => drop(alike.insert([&a.file, &b.file], copied)),
        }
    }
    found.copies.extend(alike.into_values());
    found.copies.sort_by(|a, b| a.files.cmp(&b.files));
    Ok(found)
}

/// Landmarks of every signal of a file; the number of samples, where all have the same.
fn read(file: &str, path: &Path, channels: &mut Vec<Channel>, marks: &mut Vec<(u32, u32, u64)>) -> Result<Option<u64>> {
    let open = SignalFile::open(path, &ReadOptions::default())?;
    let mut lengths = BTreeSet::new();
    for (variable, v) in open.variables().iter().enumerate().filter(|(_, v)| v.is_signal()) {
        lengths.insert(v.samples() as u64);
        for channel in 0..v.channels() {
            let number = channels.len() as u32;
            let found = landmarks(&open, variable, channel)?;
            marks.extend(found.into_iter().map(|l| (l.mark, number, l.sample)));
            channels.push(Channel {
                file: file.into(),
                path: path.to_owned(),
                variable,
                number: channel,
                name: format!("{}#{}", v.name, channel + 1),
                samples: v.samples() as u64,
            });
        }
    }
    Ok(lengths.first().copied().filter(|_| lengths.len() == 1))
}

/// A shift of one channel against another, and the landmarks that speak for it.
#[derive(Clone, Copy)]
struct Shift {
    /// Where the second channel's first sample lies in the first.
    by: i64,
    votes: u32,
    /// First and last landmark, in samples of the first channel.
    span: (u64, u64),
}

/// For each pair of channels of different files, the shifts, that of most votes first.
fn votes(marks: &mut [(u32, u32, u64)], channels: &[Channel]) -> BTreeMap<[u32; 2], Vec<Shift>> {
    marks.sort_unstable();
    let mut shifts: HashMap<([u32; 2], i64), Shift> = HashMap::new();
    for alike in marks
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|alike| alike.len() <= FREQUENT)
    {
        for (i, &(_, a, at)) in alike.iter().enumerate() {
            for &(_, b, in_b) in &alike[i + 1..] {
                if channels[a as usize].file == channels[b as usize].file {
                    continue;
                }
                // sorted: a is below b
                let by = at as i64 - in_b as i64;
                let shift = shifts.entry(([a, b], by)).or_insert(Shift {
                    by,
                    votes: 0,
                    span: (at, at),
                });
                shift.votes += 1;
                shift.span = (shift.span.0.min(at), shift.span.1.max(at));
            }
        }
    }
    let mut pairs: BTreeMap<[u32; 2], Vec<Shift>> = BTreeMap::new();
    for ((pair, _), shift) in shifts {
        pairs.entry(pair).or_default().push(shift);
    }
    pairs.retain(|_, list| {
        list.sort_unstable_by_key(|s| (std::cmp::Reverse(s.votes), s.by));
        list[0].votes >= VOTES
    });
    pairs
}

/// Whether two channels are alike at the shift of most votes, and at no other.
fn compare(a: &Channel, b: &Channel, shifts: &[Shift]) -> Result<Option<Copied>> {
    let best = shifts[0];
    // where both have samples, in samples of the first
    let overlap = (
        best.by.max(0) as u64,
        a.samples.min(b.samples.saturating_add_signed(best.by)),
    );
    let span = (
        best.span.0.saturating_sub(REACH as u64).max(overlap.0),
        (best.span.1 + REACH as u64 + 1).min(overlap.1),
    );
    let open = |c: &Channel| SignalFile::open(&c.path, &ReadOptions::default());
    let (file_a, file_b) = (open(a)?, open(b)?);
    let likeness = |(from, to): (u64, u64), by: i64| -> Result<Option<(f64, f64)>> {
        let n = to.saturating_sub(from).min(COMPARED) as usize;
        let x = file_a.read_range(a.variable, a.number, from as usize, n)?;
        let y = file_b.read_range(b.variable, b.number, (from as i64 - by) as usize, n)?;
        Ok(fit(&x, &y))
    };
    let mut samples = overlap;
    let mut seen = likeness(overlap, best.by)?;
    if seen.is_none_or(|(r, _)| 1.0 - r.abs() > RESIDUAL) {
        // a stretch of the one inside the other
        samples = span;
        seen = likeness(span, best.by)?;
    }
    let Some((r, gain)) = seen.filter(|(r, _)| 1.0 - r.abs() <= RESIDUAL) else {
        return Ok(None);
    };
    let residual = 1.0 - r.abs();
    if let Some(next) = shifts[1..].iter().find(|s| s.by.abs_diff(best.by) > 1)
        && residual > EQUAL
    {
        let (from, to) = (
            samples.0.max(next.by.max(0) as u64),
            samples.1.min(a.samples.min(b.samples.saturating_add_signed(next.by))),
        );
        let other = if from < to {
            likeness((from, to), next.by)?
        } else {
            None
        };
        if other.is_some_and(|(other, _)| residual * STANDS_OUT > 1.0 - other.abs()) {
            return Ok(None);
        }
    }
    Ok(Some(Copied {
        files: [a.file.clone(), b.file.clone()],
        likeness: Likeness::Samples { gain, correlation: r },
        channels: vec![if a.name == b.name {
            a.name.clone()
        } else {
            format!("{} = {}", a.name, b.name)
        }],
        shift: best.by,
        samples: Some(samples),
    }))
}

/// Correlation coefficient and the gain from x to y; `None` where one of them does not vary or is not finite.
fn fit(x: &[f64], y: &[f64]) -> Option<(f64, f64)> {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - mx, y - my);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    let r = xy / (xx.sqrt() * yy.sqrt());
    (r.is_finite() && xx > 0.0 && yy > 0.0).then_some((r, xy / xx))
}
