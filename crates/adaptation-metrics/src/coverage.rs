//! What is gained by answering only where one is sure.

use crate::error::{Error, Result};

/// One point of [`accuracy_against_coverage`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoveragePoint {
    /// the least confidence that is answered
    pub threshold: f64,
    /// share of all samples that are answered, above 0 to 1
    pub coverage: f64,
    /// share of the answers that are right, 0 to 1
    pub accuracy: f64,
}

/// Accuracy among the samples of at least some confidence, for every confidence that occurs, from the surest on.
///
/// `right[i]` says whether sample `i` was answered rightly. Coverage rises from point to point and ends at 1, where the accuracy is
/// that of all samples. Confidences that order the samples well give a curve that falls from left to right; a flat one says that
/// the confidence is worth nothing. Samples of equal confidence come in together (El-Yaniv, Wiener 2010, *On the Foundations of
/// Noise-free Selective Classification*, section 2).
///
/// # Errors
/// No samples, slices of unequal length, a confidence that is not finite.
pub fn accuracy_against_coverage(confidence: &[f64], right: &[bool]) -> Result<Vec<CoveragePoint>> {
    if confidence.is_empty() {
        return Err(Error::Empty { what: "confidence" });
    }
    if right.len() != confidence.len() {
        return Err(Error::Length {
            what: "right",
            found: right.len(),
            expected: confidence.len(),
        });
    }
    crate::table::columns("confidence", confidence, confidence.len())?;
    let mut order: Vec<usize> = (0..confidence.len()).collect();
    order.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
    let mut points: Vec<CoveragePoint> = Vec::new();
    let mut hits = 0;
    for (rank, &i) in order.iter().enumerate() {
        hits += usize::from(right[i]);
        let answered = (rank + 1) as f64;
        let point = CoveragePoint {
            threshold: confidence[i],
            coverage: answered / confidence.len() as f64,
            accuracy: hits as f64 / answered,
        };
        match points.last_mut() {
            Some(last) if last.threshold == point.threshold => *last = point,
            _ => points.push(point),
        }
    }
    Ok(points)
}
