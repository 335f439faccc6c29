//! Counts of truth against prediction, and the scores that follow from them.

use crate::error::{Error, Result};
use crate::table;

/// The confusion matrix of a classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Counts `predicted` against `truth`, labels in `0..classes`.
    ///
    /// # Errors
    /// No labels, lists of different lengths, a label that is no class.
    pub fn new(truth: &[usize], predicted: &[usize], classes: usize) -> Result<Self> {
        if truth.is_empty() {
            return Err(Error::Empty { what: "truth" });
        }
        if predicted.len() != truth.len() {
            return Err(Error::Length {
                what: "predicted",
                found: predicted.len(),
                expected: truth.len(),
            });
        }
        table::labels("truth", truth, classes)?;
        table::labels("predicted", predicted, classes)?;
        let mut counts = vec![vec![0; classes]; classes];
        for (&t, &p) in truth.iter().zip(predicted) {
            counts[t][p] += 1;
        }
        Ok(Self { counts })
    }

    /// Counts by class: row is the truth, column the prediction.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Number of samples, at least 1.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Share of samples whose class is named right, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.counts.len()).map(|k| self.counts[k][k]).sum();
        right as f64 / self.total() as f64
    }

    /// Share of each class's samples that are found, 0 to 1; `None` for a class absent from the truth.
    pub fn recall(&self) -> Vec<Option<f64>> {
        self.per_class(|right, truth, _| right / truth)
    }

    /// F1 of each class, `2 TP / (2 TP + FP + FN)`, 0 to 1; `None` for a class absent from the truth.
    pub fn f1(&self) -> Vec<Option<f64>> {
        self.per_class(|right, truth, predicted| 2.0 * right / (truth + predicted))
    }

    /// Mean F1 over the classes present in the truth, 0 to 1.
    ///
    /// The number of scikit-learn's `f1_score(average="macro", labels=<classes present>, zero_division=0)`: a class
    /// that is predicted but absent lowers the F1 of those it was mistaken for and has no F1 of its own.
    pub fn macro_f1(&self) -> f64 {
        let present: Vec<f64> = self.f1().into_iter().flatten().collect();
        present.iter().sum::<f64>() / present.len() as f64
    }

    /// `score(right, truth, predicted)` of each class that is present in the truth.
    fn per_class(&self, score: impl Fn(f64, f64, f64) -> f64) -> Vec<Option<f64>> {
        (0..self.counts.len())
            .map(|k| {
                let truth: u64 = self.counts[k].iter().sum();
                let predicted: u64 = self.counts.iter().map(|row| row[k]).sum();
                (truth > 0).then(|| score(self.counts[k][k] as f64, truth as f64, predicted as f64))
            })
            .collect()
    }
}
