//! How far confidences can be taken at their word.

use crate::error::{Error, Result};
use crate::table;

/// How far a row of probabilities may be off 1: far above the rounding of an f32 softmax, far below a mistake.
const SUM_TOLERANCE: f64 = 1e-3;

/// Expected calibration error of the top label, 0 (confidence equals accuracy) to 1.
///
/// `probabilities` is a row-major table of one row per label in `truth` and `classes` columns. The largest probability
/// of a row is its confidence (ties: the first class); confidences fall into `bins` equal bins `(b / bins, (b + 1) /
/// bins]`, usually 15, and the error is the mean over samples of |accuracy - mean confidence| of their bin (Guo et al.
/// 2017, *On Calibration of Modern Neural Networks*, equation 3).
///
/// # Errors
/// No samples, no bins, a label that is no class, a table of the wrong size or a row that is no distribution.
pub fn expected_calibration_error(probabilities: &[f64], truth: &[usize], classes: usize, bins: usize) -> Result<f64> {
    if truth.is_empty() {
        return Err(Error::Empty { what: "truth" });
    }
    if bins == 0 {
        return Err(Error::Setting {
            name: "bins",
            found: "0".into(),
            expected: "at least 1, usually 15".into(),
        });
    }
    table::labels("truth", truth, classes)?;
    let expected = truth.len() * classes;
    if probabilities.len() != expected {
        return Err(Error::Length {
            what: "probabilities",
            found: probabilities.len(),
            expected,
        });
    }
    // per bin: sum of (right - confidence)
    let mut gaps = vec![0.0; bins];
    for (row, (p, &label)) in probabilities.chunks_exact(classes).zip(truth).enumerate() {
        check_distribution(row, p)?;
        let top = table::argmax(p);
        let bin = (p[top].min(1.0) * bins as f64).ceil() as usize;
        gaps[bin.saturating_sub(1).min(bins - 1)] += f64::from(u8::from(top == label)) - p[top];
    }
    Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / truth.len() as f64)
}

fn check_distribution(row: usize, p: &[f64]) -> Result<()> {
    let bad = p.iter().find(|p| !(-SUM_TOLERANCE..=1.0 + SUM_TOLERANCE).contains(*p));
    if let Some(value) = bad {
        return Err(Error::Probabilities {
            row,
            found: format!("holds {value}"),
        });
    }
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(Error::Probabilities {
            row,
            found: format!("adds up to {sum}"),
        });
    }
    Ok(())
}
