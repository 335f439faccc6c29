//! Checks of row-major tables and the two loops over their rows that everything else is made of.

use crate::error::{Error, Result};

/// Number of columns of a table of `rows` rows; finite values only.
pub fn columns(what: &'static str, x: &[f64], rows: usize) -> Result<usize> {
    if rows == 0 || x.is_empty() {
        return Err(Error::Empty { what });
    }
    if !x.len().is_multiple_of(rows) {
        return Err(Error::Table {
            what,
            values: x.len(),
            rows: Some(rows),
            columns: None,
        });
    }
    let d = x.len() / rows;
    finite(what, x, d)?;
    Ok(d)
}

/// Number of rows of a table of `columns` columns, possibly none; finite values only.
pub fn rows(what: &'static str, x: &[f64], columns: usize) -> Result<usize> {
    if columns == 0 {
        return Err(Error::Setting {
            name: "number of columns",
            found: "0".into(),
            expected: "at least 1".into(),
        });
    }
    if !x.len().is_multiple_of(columns) {
        return Err(Error::Table {
            what,
            values: x.len(),
            rows: None,
            columns: Some(columns),
        });
    }
    finite(what, x, columns)?;
    Ok(x.len() / columns)
}

fn finite(what: &'static str, x: &[f64], columns: usize) -> Result<()> {
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::NotFinite {
            what,
            row: at / columns,
            column: at % columns,
            value: x[at],
        }),
    }
}

/// Every label names a class.
pub fn labels(what: &'static str, y: &[usize], classes: usize) -> Result<()> {
    match y.iter().position(|&label| label >= classes) {
        None => Ok(()),
        Some(index) => Err(Error::Label {
            what,
            index,
            label: y[index],
            classes,
        }),
    }
}

/// Mean of each column; `x` has at least one row.
pub fn column_means(x: &[f64], columns: usize) -> Vec<f64> {
    let mut mean = vec![0.0; columns];
    for row in x.chunks_exact(columns) {
        axpy(1.0, row, &mut mean);
    }
    let n = (x.len() / columns) as f64;
    divide(&mut mean, n);
    mean
}

/// The first index of the largest value.
pub fn argmax(x: &[f64]) -> usize {
    (1..x.len()).fold(0, |best, i| if x[i] > x[best] { i } else { best })
}

/// Partial sums of [`dot`]: enough to fill the vector registers and hide the latency of the additions.
const LANES: usize = 16;

/// Inner product. The order of the additions is fixed, so results do not depend on the machine's vector width.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut acc = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f64 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            acc[lane] += x[lane] * y[lane];
        }
    }
    acc.iter().sum::<f64>() + tail
}

/// `y += a x`.
pub fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// `x /= by`.
pub fn divide(x: &mut [f64], by: f64) {
    for x in x {
        *x /= by;
    }
}
