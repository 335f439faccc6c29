//! The simple methods that stand beside every deep result: no tensors, no epochs, seconds.

use std::collections::BTreeMap;

use adaptation_metrics::{LogisticRegression, NearestCentroid, kurtosis, rms};
use rayon::prelude::*;
use signal_conditioning::{Grouping, Standardiser, StandardiserBuilder, log_spectrum};

use crate::ahead::ahead;
use crate::error::{Error, Result};
use crate::metrics::{Scored, Scores, score};
use crate::task::{Domain, Task, Truth, WindowRef};

/// Most windows of a domain that baselines, A-distance and maps use.
pub const MOST_WINDOWS: usize = 20_000;

/// RMS and kurtosis, z-scored per domain, nearest centroid.
pub const RMS_KURTOSIS: &str = "rms-kurtosis-centroid";
/// Logistic regression on the log-spectrum, standardised per domain.
pub const LOG_SPECTRUM: &str = "log-spectrum-logistic";
/// The most frequent class of the source.
pub const MAJORITY: &str = "majority-class";

/// What a simple method says.
pub struct Baseline {
    /// Its scores on the targets.
    pub scores: Scores,
    /// Its label for each scored window of each target.
    pub predicted: Vec<Vec<usize>>,
    /// Accuracy on the source's validation windows; only of the logistic regression.
    pub source_validation: Option<f64>,
}

/// What a simple method sees of a channel of a window.
type Features = fn(&[f64]) -> Vec<f64>;

/// Windows whose features are in memory at once, but for those that a method is fitted on.
const AT_ONCE: usize = 1024;

/// Fits the baselines on the source's training windows and scores them on `scored`, the windows of each target.
///
/// Statistics are per domain, from its training windows; no label of a target is read but to score.
///
/// Beside the scores stand the labels, for each target.
pub fn baselines(
    task: &Task,
    truth: &Truth,
    scored: &[Vec<WindowRef>],
    seed: u64,
) -> Result<BTreeMap<String, Baseline>> {
    let level: Features = |x| vec![rms(x), kurtosis(x)];
    let spectrum: Features = log_spectrum;
    let fault = |e: adaptation_metrics::Error| Error::Machine(e.to_string());
    let k = task.classes.len();

    let (x, y, _) = source_rows(task, level, seed)?;
    let centroid = NearestCentroid::fit(&x, &y, k).map_err(fault)?;
    let by_level = predict_targets(task, scored, level, seed, |rows| centroid.predict(rows).map_err(fault))?;

    let counts = y.iter().fold(vec![0_usize; k], |mut n, &c| {
        n[c] += 1;
        n
    });
    let majority = (0..k).rev().max_by_key(|&c| counts[c]).unwrap_or(0);

    let (x, y, statistics) = source_rows(task, spectrum, seed)?;
    let logistic = LogisticRegression::fit(&x, &y, k, &crate::logistic::config()).map_err(fault)?;
    drop((x, y));
    let by_logistic = |rows: &[f64]| logistic.predict(rows).map_err(fault);
    let by_spectrum = predict_targets(task, scored, spectrum, seed, by_logistic)?;

    let (mut right, mut all) = (0, 0);
    for (s, by) in task.sources.iter().zip(&statistics) {
        let windows = at_most(&s.domain.validation, MOST_WINDOWS, seed);
        let labels = predict(&s.domain, &windows, task.window, spectrum, by, by_logistic)?;
        right += labels
            .iter()
            .zip(&windows)
            .filter(|(l, w)| **l == s.classes[w.recording])
            .count();
        all += windows.len();
    }
    let validation = (all > 0).then(|| right as f64 / all as f64);

    let by_majority: Vec<Vec<usize>> = scored.iter().map(|w| vec![majority; w.len()]).collect();
    [
        (MAJORITY, by_majority),
        (RMS_KURTOSIS, by_level),
        (LOG_SPECTRUM, by_spectrum),
    ]
    .into_iter()
    .map(|(name, predicted)| {
        let scores = score_targets(task, truth, scored, &predicted, None)?;
        let source_validation = validation.filter(|_| name == LOG_SPECTRUM);
        Ok((
            name.to_owned(),
            Baseline {
                scores,
                predicted,
                source_validation,
            },
        ))
    })
    .collect()
}

/// Scores predictions on the targets.
pub fn score_targets(
    task: &Task,
    truth: &Truth,
    scored: &[Vec<WindowRef>],
    predicted: &[Vec<usize>],
    epoch: Option<usize>,
) -> Result<Scores> {
    let files: Vec<Vec<String>> = task
        .targets
        .iter()
        .map(|d| d.signals.iter().map(|s| s.file.clone()).collect())
        .collect();
    let recording: Vec<Vec<usize>> = scored.iter().map(|w| w.iter().map(|w| w.recording).collect()).collect();
    let domains: Vec<Scored> = (0..task.targets.len())
        .map(|i| Scored {
            domain: &task.targets[i].name,
            files: &files[i],
            recording: &recording[i],
            truth: &truth.targets[i],
            predicted: &predicted[i],
        })
        .collect();
    score(&domains, truth.classes.len(), epoch)
}

/// Standardised rows of all sources with their classes, and the statistics of each source.
fn source_rows(task: &Task, features: Features, seed: u64) -> Result<(Vec<f64>, Vec<usize>, Vec<Standardiser>)> {
    let windows: Vec<Vec<WindowRef>> = (task.sources.iter())
        .map(|s| at_most(&s.domain.train, MOST_WINDOWS, seed))
        .collect();
    let width = task
        .sources
        .first()
        .map_or(0, |s| width(&s.domain, task.window, features));
    // at its final size: a table that grows is there twice
    let mut x = vec![0.0; width * windows.iter().map(Vec::len).sum::<usize>()];
    let (mut y, mut all) = (Vec::new(), Vec::new());
    let mut rest = x.as_mut_slice();
    for (s, windows) in task.sources.iter().zip(&windows) {
        let (rows, after) = rest.split_at_mut(width * windows.len());
        rest = after;
        fill(rows, &s.domain, windows, task.window, features)?;
        let mut builder = StandardiserBuilder::new(width, Grouping::PerBin);
        rows.chunks_exact(width)
            .try_for_each(|row| builder.push(row))
            .map_err(machine)?;
        let by = builder.finish().map_err(machine)?;
        rows.chunks_exact_mut(width)
            .try_for_each(|row| by.apply(row))
            .map_err(machine)?;
        y.extend(windows.iter().map(|w| s.classes[w.recording]));
        all.push(by);
    }
    Ok((x, y, all))
}

/// Features of a window, all channels together.
fn width(d: &Domain, window: usize, features: Features) -> usize {
    let channels = d.signals.first().map_or(1, |s| s.samples.channels());
    channels * features(&vec![0.0; window]).len()
}

/// Predictions for the scored windows of each target, standardised by the target's own training windows.
fn predict_targets(
    task: &Task,
    scored: &[Vec<WindowRef>],
    features: Features,
    seed: u64,
    by_rows: impl Fn(&[f64]) -> Result<Vec<usize>>,
) -> Result<Vec<Vec<usize>>> {
    task.targets
        .iter()
        .zip(scored)
        .map(|(d, windows)| {
            let train = at_most(&d.train, MOST_WINDOWS, seed);
            let mut builder = None;
            rows_of(d, &train, task.window, features, |rows, width| {
                let builder = builder.get_or_insert_with(|| StandardiserBuilder::new(width, Grouping::PerBin));
                rows.chunks_exact(width)
                    .try_for_each(|row| builder.push(row))
                    .map_err(machine)
            })?;
            let builder = builder.unwrap_or_else(|| StandardiserBuilder::new(1, Grouping::PerBin));
            let by = builder.finish().map_err(machine)?;
            predict(d, windows, task.window, features, &by, &by_rows)
        })
        .collect()
}

/// Predictions for some windows of a domain, standardised.
fn predict(
    d: &Domain,
    windows: &[WindowRef],
    window: usize,
    features: Features,
    by: &Standardiser,
    by_rows: impl Fn(&[f64]) -> Result<Vec<usize>>,
) -> Result<Vec<usize>> {
    let mut labels = Vec::with_capacity(windows.len());
    rows_of(d, windows, window, features, |rows, width| {
        rows.chunks_exact_mut(width)
            .try_for_each(|row| by.apply(row))
            .map_err(machine)?;
        labels.extend(by_rows(rows)?);
        Ok(())
    })?;
    Ok(labels)
}

/// Hands out the features of some windows, a row each, [`AT_ONCE`] at a time, and the width of a row.
fn rows_of(
    d: &Domain,
    windows: &[WindowRef],
    window: usize,
    features: Features,
    mut take: impl FnMut(&mut [f64], usize) -> Result<()>,
) -> Result<()> {
    let width = width(d, window, features);
    let pieces = windows.chunks(AT_ONCE).map(|some| {
        let mut rows = vec![0.0; width * some.len()];
        fill(&mut rows, d, some, window, features).map(|()| rows)
    });
    ahead(pieces, |pieces| {
        for rows in pieces {
            take(&mut rows?, width)?;
        }
        Ok(())
    })
}

/// Features of some windows, a row each.
fn fill(rows: &mut [f64], d: &Domain, windows: &[WindowRef], window: usize, features: Features) -> Result<()> {
    let width = rows.len() / windows.len().max(1);
    rows.par_chunks_mut(width.max(1)).zip(windows).try_for_each(|(row, w)| {
        let samples = d.signals[w.recording].samples.read(w.start, window)?;
        for (out, channel) in row.chunks_exact_mut(width / samples.len()).zip(&samples) {
            out.copy_from_slice(&features(channel));
        }
        Ok(())
    })
}

fn machine(e: signal_conditioning::Error) -> Error {
    Error::Machine(e.to_string())
}

/// All of `windows`, or `most` of them drawn by `seed`, in their order.
pub fn at_most(windows: &[WindowRef], most: usize, seed: u64) -> Vec<WindowRef> {
    sample(windows.len(), most, seed)
        .into_iter()
        .map(|i| windows[i])
        .collect()
}

/// All numbers below `n`, or `most` of them drawn by `seed`, in their order.
pub fn sample(n: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    if n > most {
        // no two have the same key: it can be undone
        order.select_nth_unstable_by_key(most, |&i| splitmix64(seed ^ splitmix64(i as u64)));
        order.truncate(most);
        order.sort_unstable();
    }
    order
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_numbers_with_the_smallest_keys_in_their_order() {
        let mut sorted: Vec<usize> = (0..1000).collect();
        sorted.sort_by_key(|&i| splitmix64(3 ^ splitmix64(i as u64)));
        sorted.truncate(70);
        sorted.sort_unstable();
        assert_eq!(sample(1000, 70, 3), sorted);
        assert_ne!(sample(1000, 70, 4), sorted);
        assert_eq!(sample(5, 5, 3), [0, 1, 2, 3, 4]);
    }
}
