//! Places in a signal that are found again in every copy of it.
//!
//! A landmark is the largest (or smallest) sample among its neighbours; its mark says which of 32 fixed pairs of
//! neighbours stand in which order. Order survives whatever a change of format does to numbers: gain and offset keep it,
//! a change of sign turns it around (a smallest sample becomes a largest one, and is marked with the order turned), and
//! rounding changes it only where two neighbours are nearly equal. Nothing depends on where the signal starts.

use crate::error::Result;
use crate::formats::SignalFile;

/// Neighbours on either side.
pub(super) const REACH: usize = 32;

/// Samples that are read at a time.
const BLOCK: usize = 1 << 22;

/// A landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Landmark {
    pub mark: u32,
    pub sample: u64,
}

/// Every landmark of a channel. Memory: one block of samples, and the landmarks (about one for each 30 samples of noise).
pub(super) fn landmarks(file: &SignalFile, variable: usize, channel: usize) -> Result<Vec<Landmark>> {
    let samples = file.variables()[variable].samples();
    let mut found = Vec::new();
    let mut from = 0;
    while from < samples {
        let to = samples.min(from + BLOCK);
        let (begin, end) = (from.saturating_sub(REACH), samples.min(to + REACH));
        let x = file.read_range(variable, channel, begin, end - begin)?;
        for at in from..to {
            if let Some(mark) = mark(&x, at - begin) {
                found.push(Landmark {
                    mark,
                    sample: at as u64,
                });
            }
        }
        from = to;
    }
    Ok(found)
}

/// The mark of sample `at`, if it is a landmark.
fn mark(x: &[f64], at: usize) -> Option<u32> {
    let around = x.get(at.checked_sub(REACH)?..=at + REACH)?;
    let (before, after) = (&around[..REACH], &around[REACH + 1..]);
    let here = x[at];
    let largest = before.last() < Some(&here) && before.iter().chain(after).all(|v| *v < here);
    let smallest = before.last() > Some(&here) && before.iter().chain(after).all(|v| *v > here);
    if !(largest || smallest) {
        return None;
    }
    let mut bits = 0;
    for (bit, (a, b)) in pairs().enumerate() {
        let (a, b) = (around[a], around[b]);
        let ordered = if largest { a > b } else { a < b };
        bits |= u32::from(ordered) << bit;
    }
    Some(bits)
}

/// 32 pairs of different neighbours, always the same: a walk through the neighbourhood in two strides without common
/// factors, so that pairs lie near and far apart.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = 2 * REACH + 1;
    (0..32).map(move |k| {
        let a = (17 * k + 3) % all;
        let b = (28 * k + 41) % all;
        if a == b { (a, (b + 7) % all) } else { (a, b) }
    })
}
