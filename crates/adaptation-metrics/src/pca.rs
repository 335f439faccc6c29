//! Principal components: the flattest picture of many features.

use crate::error::{Error, Result};
use crate::random::SplitMix;
use crate::table::{self, axpy, divide, dot};

/// Length of a Krylov basis before a restart.
const BASIS: usize = 60;
/// Restarts; each squares away what the last one left.
const RESTARTS: usize = 50;
/// Residual relative to the total variance at which a component counts as found.
const TOLERANCE: f64 = 1e-13;

/// Principal component analysis.
///
/// Components come one at a time by Lanczos' method with full reorthogonalisation, deflated by those already found, so
/// that thousands of features cost some passes over the data and no covariance matrix. The start vectors are fixed: the
/// same input gives the same bits. The sign is such that the entry of largest magnitude is positive (scikit-learn's
/// convention since 1.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    mean: Vec<f64>,
    components: Vec<Vec<f64>>,
    explained_variance: Vec<f64>,
    total_variance: f64,
}

impl Pca {
    /// Finds the first `components` components of the row-major table `x` of `rows` rows and `columns` columns.
    ///
    /// # Errors
    /// An empty table or one of another size, NaN or infinity, fewer than 1 or more than min(rows, columns) components.
    pub fn fit(x: &[f64], rows: usize, columns: usize, components: usize) -> Result<Self> {
        let found = table::columns("x", x, rows)?;
        if found != columns {
            return Err(Error::Length {
                what: "x",
                found: x.len(),
                expected: rows * columns,
            });
        }
        let most = rows.min(columns);
        if !(1..=most).contains(&components) {
            return Err(Error::Setting {
                name: "components",
                found: components.to_string(),
                expected: format!("1 to {most} (the smaller of rows and columns)"),
            });
        }
        let covariance = Covariance::new(x, columns);
        let mut found: Vec<Vec<f64>> = Vec::new();
        let mut explained_variance = Vec::new();
        for number in 0..components {
            let (variance, component) = leading(&covariance, &found, number);
            explained_variance.push(variance.max(0.0));
            found.push(component);
        }
        for component in &mut found {
            fix_sign(component);
        }
        Ok(Self {
            total_variance: covariance.total,
            mean: covariance.mean,
            components: found,
            explained_variance,
        })
    }

    /// Mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Unit vectors, orthogonal to each other, by falling variance.
    pub fn components(&self) -> &[Vec<f64>] {
        &self.components
    }

    /// Variance (divided by rows - 1) along each component.
    pub fn explained_variance(&self) -> &[f64] {
        &self.explained_variance
    }

    /// Share of the total variance along each component, 0 to 1; zeros where all rows are equal.
    pub fn explained_variance_ratio(&self) -> Vec<f64> {
        let total = if self.total_variance > 0.0 {
            self.total_variance
        } else {
            1.0
        };
        self.explained_variance.iter().map(|v| v / total).collect()
    }

    /// Coordinates of each row of `x`: row-major, one column per component.
    ///
    /// # Errors
    /// A table with another number of columns than in [`fit`](Self::fit), NaN or infinity.
    pub fn transform(&self, x: &[f64]) -> Result<Vec<f64>> {
        let columns = self.mean.len();
        table::rows("x", x, columns)?;
        let mut centred = vec![0.0; columns];
        let mut out = Vec::with_capacity(x.len() / columns * self.components.len());
        for row in x.chunks_exact(columns) {
            centre(row, &self.mean, &mut centred);
            out.extend(self.components.iter().map(|c| dot(c, &centred)));
        }
        Ok(out)
    }
}

fn centre(row: &[f64], mean: &[f64], out: &mut [f64]) {
    for ((o, x), m) in out.iter_mut().zip(row).zip(mean) {
        *o = x - m;
    }
}

fn fix_sign(component: &mut [f64]) {
    let magnitudes: Vec<f64> = component.iter().map(|c| c.abs()).collect();
    if component[table::argmax(&magnitudes)] < 0.0 {
        divide(component, -1.0);
    }
}

/// The covariance matrix as an operator; never stored.
struct Covariance<'a> {
    x: &'a [f64],
    mean: Vec<f64>,
    /// Trace.
    total: f64,
}

impl<'a> Covariance<'a> {
    fn new(x: &'a [f64], columns: usize) -> Self {
        let mean = table::column_means(x, columns);
        let mut it = Self { x, mean, total: 0.0 };
        let mut centred = vec![0.0; columns];
        let sum: f64 = x
            .chunks_exact(columns)
            .map(|row| {
                centre(row, &it.mean, &mut centred);
                dot(&centred, &centred)
            })
            .sum();
        it.total = sum / it.degrees_of_freedom();
        it
    }

    fn degrees_of_freedom(&self) -> f64 {
        // a single row has no spread: 0 / 1 is the answer wanted
        (self.x.len() / self.mean.len()).saturating_sub(1).max(1) as f64
    }

    /// Covariance times `v`. Rows are centred one by one: subtracting the mean's share afterwards would cancel digits.
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; v.len()];
        let mut centred = vec![0.0; v.len()];
        for row in self.x.chunks_exact(v.len()) {
            centre(row, &self.mean, &mut centred);
            axpy(dot(&centred, v), &centred, &mut out);
        }
        let n = self.degrees_of_freedom();
        divide(&mut out, n);
        out
    }
}

/// Largest eigenvalue and its vector in the space orthogonal to `found`.
fn leading(covariance: &Covariance, found: &[Vec<f64>], seed: usize) -> (f64, Vec<f64>) {
    let columns = covariance.mean.len();
    let small = TOLERANCE * covariance.total;
    let mut random = SplitMix::new(seed as u64);
    let mut vector: Vec<f64> = (0..columns).map(|_| random.symmetric()).collect();
    make_orthogonal(&mut vector, found, &[]);
    normalise(&mut vector);
    let mut value = 0.0;
    for _ in 0..RESTARTS {
        let length = BASIS.min(columns - found.len());
        let mut basis = vec![vector];
        let (mut diagonal, mut off) = (Vec::new(), Vec::new());
        loop {
            let last = &basis[basis.len() - 1];
            let mut next = covariance.times(last);
            diagonal.push(dot(&next, last));
            make_orthogonal(&mut next, found, &basis);
            let norm = normalise(&mut next);
            off.push(norm);
            // an invariant subspace is complete: no direction is left to add
            if basis.len() == length || norm <= small {
                break;
            }
            basis.push(next);
        }
        let (top, weights) = largest_of_tridiagonal(&diagonal, &off[..off.len() - 1]);
        let residual = off[off.len() - 1] * weights[weights.len() - 1].abs();
        vector = vec![0.0; columns];
        for (b, w) in basis.iter().zip(&weights) {
            axpy(*w, b, &mut vector);
        }
        make_orthogonal(&mut vector, found, &[]);
        normalise(&mut vector);
        value = top;
        if residual <= small {
            break;
        }
    }
    (value, vector)
}

/// Takes the parts along orthonormal `found` and `basis` out of `v`, twice, since once leaves rounding behind. Both in
/// each pass: what taking out one leaves along the other grows from step to step.
fn make_orthogonal(v: &mut [f64], found: &[Vec<f64>], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for b in found.iter().chain(basis) {
            axpy(-dot(v, b), b, v);
        }
    }
}

/// Scales `v` to length 1 and returns the length it had.
fn normalise(v: &mut [f64]) -> f64 {
    let norm = dot(v, v).sqrt();
    if norm > 0.0 {
        divide(v, norm);
    }
    norm
}

/// Largest eigenvalue of a symmetric tridiagonal matrix and its unit vector, by cyclic Jacobi rotations: slow, short,
/// accurate, and the matrix has 60 rows at most.
fn largest_of_tridiagonal(diagonal: &[f64], off: &[f64]) -> (f64, Vec<f64>) {
    let n = diagonal.len();
    let mut a = vec![vec![0.0; n]; n];
    let mut vectors = vec![vec![0.0; n]; n];
    for i in 0..n {
        a[i][i] = diagonal[i];
        vectors[i][i] = 1.0;
        if i + 1 < n {
            a[i][i + 1] = off[i];
            a[i + 1][i] = off[i];
        }
    }
    let scale = diagonal.iter().chain(off).fold(0.0_f64, |m, v| m.max(v.abs()));
    for _sweep in 0..60 {
        let mut largest = 0.0_f64;
        for p in 0..n {
            for q in p + 1..n {
                largest = largest.max(a[p][q].abs());
                if a[p][q] != 0.0 {
                    rotate(&mut a, &mut vectors, p, q);
                }
            }
        }
        if largest <= f64::EPSILON * scale {
            break;
        }
    }
    let eigenvalues: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    let top = table::argmax(&eigenvalues);
    (eigenvalues[top], vectors.swap_remove(top))
}

/// One Jacobi rotation that makes `a[p][q]` zero; row k of `vectors` belongs to eigenvalue k.
fn rotate(a: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    let turn = |x: f64, y: f64| (c * x - s * y, s * x + c * y);
    for row in a.iter_mut() {
        (row[p], row[q]) = turn(row[p], row[q]);
    }
    for k in 0..a.len() {
        (a[p][k], a[q][k]) = turn(a[p][k], a[q][k]);
        (vectors[p][k], vectors[q][k]) = turn(vectors[p][k], vectors[q][k]);
    }
}
