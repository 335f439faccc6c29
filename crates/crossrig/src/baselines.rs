//! The simple methods that stand beside every deep result: no tensors, no epochs, seconds.

use std::collections::BTreeMap;

use adaptation_metrics::{LogisticRegression, NearestCentroid, kurtosis, rms};
use rayon::prelude::*;
use signal_conditioning::{Grouping, Standardiser, StandardiserBuilder, log_spectrum};

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

/// Rows of features, one a window.
struct Rows {
    values: Vec<f64>,
    width: usize,
}

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
    let level: fn(&[f64]) -> Vec<f64> = |x| vec![rms(x), kurtosis(x)];
    let spectrum: fn(&[f64]) -> Vec<f64> = log_spectrum;
    let machine = |e: adaptation_metrics::Error| Error::Machine(e.to_string());
    let k = task.classes.len();

    let (x, y) = source_rows(task, level, seed)?;
    let centroid = NearestCentroid::fit(&x, &y, k).map_err(machine)?;
    let by_level = predict_targets(task, scored, level, seed, |rows| {
        centroid.predict(rows).map_err(machine)
    })?;

    let counts = y.iter().fold(vec![0_usize; k], |mut n, &c| {
        n[c] += 1;
        n
    });
    let majority = (0..k).rev().max_by_key(|&c| counts[c]).unwrap_or(0);

    let (x, y) = source_rows(task, spectrum, seed)?;
    let logistic = LogisticRegression::fit(&x, &y, k, &crate::logistic::config()).map_err(machine)?;
    let by_spectrum = predict_targets(task, scored, spectrum, seed, |rows| {
        logistic.predict(rows).map_err(machine)
    })?;

    let (mut right, mut all) = (0, 0);
    for s in &task.sources {
        let train = at_most(&s.domain.train, MOST_WINDOWS, seed);
        let by = statistics(&rows_of(&s.domain, &train, task.window, spectrum))?;
        let windows = at_most(&s.domain.validation, MOST_WINDOWS, seed);
        let mut rows = rows_of(&s.domain, &windows, task.window, spectrum);
        by.apply_rows(&mut rows)?;
        let labels = logistic.predict(&rows.values).map_err(machine)?;
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

/// Standardised rows of all sources with their classes.
fn source_rows(task: &Task, features: fn(&[f64]) -> Vec<f64>, seed: u64) -> Result<(Vec<f64>, Vec<usize>)> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for s in &task.sources {
        let windows = at_most(&s.domain.train, MOST_WINDOWS, seed);
        let mut rows = rows_of(&s.domain, &windows, task.window, features);
        statistics(&rows)?.apply_rows(&mut rows)?;
        x.extend(rows.values);
        y.extend(windows.iter().map(|w| s.classes[w.recording]));
    }
    Ok((x, y))
}

/// Predictions for the scored windows of each target, standardised by the target's own training windows.
fn predict_targets(
    task: &Task,
    scored: &[Vec<WindowRef>],
    features: fn(&[f64]) -> Vec<f64>,
    seed: u64,
    predict: impl Fn(&[f64]) -> Result<Vec<usize>>,
) -> Result<Vec<Vec<usize>>> {
    task.targets
        .iter()
        .zip(scored)
        .map(|(d, windows)| {
            let train = at_most(&d.train, MOST_WINDOWS, seed);
            let by = statistics(&rows_of(d, &train, task.window, features))?;
            let mut rows = rows_of(d, windows, task.window, features);
            by.apply_rows(&mut rows)?;
            predict(&rows.values)
        })
        .collect()
}

fn rows_of(d: &Domain, windows: &[WindowRef], window: usize, features: fn(&[f64]) -> Vec<f64>) -> Rows {
    let rows: Vec<Vec<f64>> = windows
        .par_iter()
        .map(|w| {
            d.signals[w.recording]
                .channels
                .iter()
                .flat_map(|c| features(&c[w.start..w.start + window]))
                .collect()
        })
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    Rows {
        values: rows.concat(),
        width,
    }
}

fn statistics(rows: &Rows) -> Result<Standardiser> {
    let mut builder = StandardiserBuilder::new(rows.width, Grouping::PerBin);
    for row in rows.values.chunks_exact(rows.width.max(1)) {
        builder.push(row).map_err(|e| Error::Machine(e.to_string()))?;
    }
    builder.finish().map_err(|e| Error::Machine(e.to_string()))
}

trait ApplyRows {
    fn apply_rows(&self, rows: &mut Rows) -> Result<()>;
}

impl ApplyRows for Standardiser {
    fn apply_rows(&self, rows: &mut Rows) -> Result<()> {
        for row in rows.values.chunks_exact_mut(rows.width.max(1)) {
            self.apply(row).map_err(|e| Error::Machine(e.to_string()))?;
        }
        Ok(())
    }
}

/// All of `windows`, or `most` of them drawn by `seed`, in their order.
pub fn at_most(windows: &[WindowRef], most: usize, seed: u64) -> Vec<WindowRef> {
    if windows.len() <= most {
        return windows.to_vec();
    }
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&i| splitmix64(seed ^ splitmix64(i as u64)));
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|i| windows[i]).collect()
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
