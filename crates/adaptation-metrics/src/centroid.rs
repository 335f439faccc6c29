//! The simplest classifier of all.

use crate::error::Result;
use crate::table;

/// Nearest class mean by Euclidean distance.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestCentroid {
    columns: usize,
    /// `None` for a class without a sample, which is never predicted.
    centroids: Vec<Option<Vec<f64>>>,
}

impl NearestCentroid {
    /// Takes the mean of each class of the row-major table `x`, one row per label in `y`, labels in `0..classes`.
    ///
    /// Features count by their spread: standardise them first where their units differ. A class without a sample is
    /// never predicted.
    ///
    /// # Errors
    /// No samples, a table that does not fit the labels, a label that is no class, NaN or infinity.
    pub fn fit(x: &[f64], y: &[usize], classes: usize) -> Result<Self> {
        let columns = table::columns("x", x, y.len())?;
        table::labels("label", y, classes)?;
        let mut sums = vec![(0_usize, vec![0.0; columns]); classes];
        for (row, &label) in x.chunks_exact(columns).zip(y) {
            sums[label].0 += 1;
            table::axpy(1.0, row, &mut sums[label].1);
        }
        let centroids = sums
            .into_iter()
            .map(|(n, mut sum)| {
                table::divide(&mut sum, n as f64);
                (n > 0).then_some(sum)
            })
            .collect();
        Ok(Self { columns, centroids })
    }

    /// Mean of each class, `None` for a class without a sample.
    pub fn centroids(&self) -> &[Option<Vec<f64>>] {
        &self.centroids
    }

    /// The class of the nearest centroid for each row of `x` (ties: the lower class).
    ///
    /// # Errors
    /// A table with another number of columns than in [`fit`](Self::fit), NaN or infinity.
    pub fn predict(&self, x: &[f64]) -> Result<Vec<usize>> {
        table::rows("x", x, self.columns)?;
        Ok(x.chunks_exact(self.columns).map(|row| self.nearest(row)).collect())
    }

    fn nearest(&self, row: &[f64]) -> usize {
        let mut best = (f64::INFINITY, 0);
        let mut found = false;
        for (class, centroid) in self.centroids.iter().enumerate() {
            let Some(centroid) = centroid else { continue };
            let distance: f64 = row.iter().zip(centroid).map(|(a, b)| (a - b).powi(2)).sum();
            // the first centroid counts even where the distance overflows
            if distance < best.0 || !found {
                best = (distance, class);
                found = true;
            }
        }
        best.1
    }
}
