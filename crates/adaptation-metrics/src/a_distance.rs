//! How far apart two domains are, measured by how well a simple classifier tells them apart.

use crate::error::{Error, Result};
use crate::logistic::{LogisticConfig, LogisticRegression};
use crate::random::SplitMix;
use crate::table;

/// Proxy A-distance of two domains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ADistance {
    /// `2 (1 - 2 error)`, clipped at 0: 0 where the domains cannot be told apart, 2 where they never are confused.
    pub value: f64,
    /// Share of held-out rows whose domain the classifier gets wrong, 0 to 1.
    pub error: f64,
}

/// Proxy A-distance between two sets of features (Ben-David et al. 2007, *Analysis of Representations for Domain
/// Adaptation*, section 4; with a logistic regression for the classifier).
///
/// `features_a` and `features_b` are row-major tables of `columns` columns. The larger domain is thinned to the size of
/// the smaller, so that guessing has error 1/2. A seeded half of each trains a logistic regression (C 1), the other half
/// gives the error. Features are standardised with mean and spread of the training half (a feature without spread there
/// becomes 0): the distance does not depend on their scale.
///
/// Rows of one recording fall on both sides: where recordings differ among themselves, part of the distance is between
/// recordings, not domains.
///
/// # Errors
/// Fewer than two rows in a domain, tables that are no whole number of rows, NaN or infinity.
pub fn proxy_a_distance(features_a: &[f64], features_b: &[f64], columns: usize, seed: u64) -> Result<ADistance> {
    let rows_a = table::rows("features of the first domain", features_a, columns)?;
    let rows_b = table::rows("features of the second domain", features_b, columns)?;
    let rows = rows_a.min(rows_b);
    if rows < 2 {
        return Err(Error::Setting {
            name: "number of rows of the smaller domain",
            found: rows.to_string(),
            expected: "at least 2: one to train on and one to test on".into(),
        });
    }
    let mut random = SplitMix::new(seed);
    let half = rows / 2;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (features, n) in [(features_a, rows_a), (features_b, rows_b)] {
        for (place, row) in random.permutation(n).into_iter().take(rows).enumerate() {
            let part = if place < half { &mut train } else { &mut test };
            part.extend_from_slice(&features[row * columns..(row + 1) * columns]);
        }
    }
    standardise(&mut train, &mut test, columns);
    let labels = |n: usize| -> Vec<usize> { (0..2 * n).map(|i| usize::from(i >= n)).collect() };
    // a held-out error needs no more digits than this
    let config = LogisticConfig {
        tol: 1e-5,
        ..LogisticConfig::default()
    };
    let classifier = LogisticRegression::fit(&train, &labels(half), 2, &config)?;
    let truth = labels(rows - half);
    let wrong = classifier
        .predict(&test)?
        .iter()
        .zip(&truth)
        .filter(|(p, t)| p != t)
        .count();
    let error = wrong as f64 / truth.len() as f64;
    Ok(ADistance {
        value: (2.0 * (1.0 - 2.0 * error)).max(0.0),
        error,
    })
}

/// Gives each column of `train` mean 0 and spread 1, and does the same to `test` with the numbers of `train`.
fn standardise(train: &mut [f64], test: &mut [f64], columns: usize) {
    let mean = table::column_means(train, columns);
    let mut spread = vec![0.0; columns];
    for row in train.chunks_exact(columns) {
        for ((s, x), m) in spread.iter_mut().zip(row).zip(&mean) {
            *s += (x - m).powi(2);
        }
    }
    let n = (train.len() / columns) as f64;
    // spread of the size of the mean's rounding is no spread
    let factor: Vec<f64> = spread
        .iter()
        .map(|s| (s / n).sqrt())
        .zip(&mean)
        .map(|(s, m)| if s > 1e-12 * m.abs() { 1.0 / s } else { 0.0 })
        .collect();
    for row in train.chunks_exact_mut(columns).chain(test.chunks_exact_mut(columns)) {
        for ((x, m), f) in row.iter_mut().zip(&mean).zip(&factor) {
            *x = (*x - m) * f;
        }
    }
}
