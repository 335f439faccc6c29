//! Multinomial logistic regression with an L2 penalty.

use crate::error::{Error, Result};
use crate::lbfgs;
use crate::table::{self, axpy, divide, dot};

/// Settings of [`LogisticRegression::fit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticConfig {
    /// Inverse strength of the penalty (scikit-learn's `C`), above 0; the default is 1.
    pub c: f64,
    /// Most steps of the optimiser; the default is 2,000.
    pub max_iter: usize,
    /// Largest entry of the gradient of the objective per sample at which the fit counts as converged; the default is
    /// 1e-9, where coefficients agree with the exact minimum to about 1e-4 of the largest even for strongly correlated
    /// features (spectra). Predictions need less: 1e-6 takes half the time.
    pub tol: f64,
}

impl Default for LogisticConfig {
    fn default() -> Self {
        Self {
            c: 1.0,
            max_iter: 2000,
            tol: 1e-8,
        }
    }
}

/// Multinomial logistic regression.
///
/// Minimises `C * sum of cross-entropies + |W|^2 / 2`, intercepts free of the penalty: the objective of scikit-learn's
/// `LogisticRegression(C=..)`. As there, two classes share one weight vector (logistic function instead of softmax).
/// A class without a training sample takes no part and has probability 0.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    columns: usize,
    classes: usize,
    /// Classes with training samples, in order; a row of `weights` and an intercept each (one in all for two classes).
    present: Vec<usize>,
    weights: Vec<f64>,
    intercepts: Vec<f64>,
    outcome: lbfgs::Outcome,
}

impl LogisticRegression {
    /// Fits the row-major table `x`, one row per label in `y`, labels in `0..classes`.
    ///
    /// Features count by their spread (the penalty is on the weights): standardise them first. Ends after `max_iter`
    /// steps at the latest; see [`converged`](Self::converged).
    ///
    /// # Errors
    /// No samples, a table that does not fit the labels, a label that is no class, fewer than two classes among the
    /// labels, NaN or infinity, a setting out of range.
    pub fn fit(x: &[f64], y: &[usize], classes: usize, config: &LogisticConfig) -> Result<Self> {
        check(config)?;
        let columns = table::columns("x", x, y.len())?;
        table::labels("label", y, classes)?;
        let present: Vec<usize> = (0..classes).filter(|class| y.contains(class)).collect();
        if let [class] = present[..] {
            return Err(Error::OneClass { class });
        }
        let y: Vec<usize> = y
            .iter()
            .map(|label| present.partition_point(|class| class < label))
            .collect();
        let outputs = if present.len() == 2 { 1 } else { present.len() };
        let penalty = 1.0 / (config.c * y.len() as f64);
        let mut parameters = vec![0.0; outputs * (columns + 1)];
        let outcome = lbfgs::minimise(&mut parameters, config.max_iter, config.tol, |p, gradient| {
            objective(x, &y, columns, penalty, p, gradient)
        });
        let intercepts = parameters.split_off(outputs * columns);
        Ok(Self {
            columns,
            classes,
            present,
            weights: parameters,
            intercepts,
            outcome,
        })
    }

    /// A regression that was fitted before: of `classes` classes, those `present` in the fit, in order, and their
    /// [`weights`](Self::weights) and [`intercepts`](Self::intercepts).
    ///
    /// # Errors
    /// Fewer than two classes present, one that is no class or out of order, numbers of weights that do not fit, NaN or infinity.
    pub fn from_parts(classes: usize, present: Vec<usize>, weights: Vec<f64>, intercepts: Vec<f64>) -> Result<Self> {
        if present.len() < 2 {
            let class = present.first().copied().unwrap_or(0);
            return Err(Error::OneClass { class });
        }
        table::labels("class present", &present, classes)?;
        if let Some((a, b)) = present.iter().zip(&present[1..]).find(|(a, b)| a >= b) {
            return Err(Error::Setting {
                name: "the list of classes present",
                found: format!("{a} before {b}"),
                expected: "classes in order, each once".into(),
            });
        }
        let outputs = if present.len() == 2 { 1 } else { present.len() };
        if intercepts.len() != outputs {
            return Err(Error::Length {
                what: "intercepts",
                found: intercepts.len(),
                expected: outputs,
            });
        }
        let columns = table::columns("weights", &weights, outputs)?;
        table::rows("intercepts", &intercepts, 1)?;
        Ok(Self {
            columns,
            classes,
            present,
            weights,
            intercepts,
            outcome: lbfgs::Outcome {
                iterations: 0,
                converged: true,
            },
        })
    }

    /// Number of features of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Classes with training samples, in order.
    pub fn present(&self) -> &[usize] {
        &self.present
    }

    /// Whether the gradient reached the tolerance.
    pub fn converged(&self) -> bool {
        self.outcome.converged
    }

    /// Steps the optimiser took.
    pub fn iterations(&self) -> usize {
        self.outcome.iterations
    }

    /// Weights, row-major: one row per class with training samples, or a single row (of the higher class) for two.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Intercepts, one per row of [`weights`](Self::weights).
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// Probability of each class for each row of `x`: row-major, one column per class.
    ///
    /// # Errors
    /// A table with another number of columns than in [`fit`](Self::fit), NaN or infinity.
    pub fn predict_proba(&self, x: &[f64]) -> Result<Vec<f64>> {
        let rows = table::rows("x", x, self.columns)?;
        let mut all = vec![0.0; rows * self.classes];
        for (row, p) in x.chunks_exact(self.columns).zip(all.chunks_exact_mut(self.classes)) {
            let mut scores = self.scores(row);
            softmax(&mut scores);
            for (&class, score) in self.present.iter().zip(scores) {
                p[class] = score;
            }
        }
        Ok(all)
    }

    /// The most probable class for each row of `x` (ties: the lower class).
    ///
    /// # Errors
    /// As [`predict_proba`](Self::predict_proba).
    pub fn predict(&self, x: &[f64]) -> Result<Vec<usize>> {
        table::rows("x", x, self.columns)?;
        Ok(x.chunks_exact(self.columns)
            .map(|row| self.present[table::argmax(&self.scores(row))])
            .collect())
    }

    /// Logits of the present classes.
    fn scores(&self, row: &[f64]) -> Vec<f64> {
        let linear = self
            .weights
            .chunks_exact(self.columns)
            .zip(&self.intercepts)
            .map(|(w, b)| dot(w, row) + b);
        if self.present.len() == 2 {
            std::iter::once(0.0).chain(linear).collect()
        } else {
            linear.collect()
        }
    }
}

fn check(config: &LogisticConfig) -> Result<()> {
    if !(config.c.is_finite() && config.c > 0.0) {
        return Err(Error::Setting {
            name: "c",
            found: config.c.to_string(),
            expected: "a number above 0".into(),
        });
    }
    if !(config.tol.is_finite() && config.tol >= 0.0) {
        return Err(Error::Setting {
            name: "tol",
            found: config.tol.to_string(),
            expected: "a number from 0 up".into(),
        });
    }
    Ok(())
}

/// Rows worked on at a time: they stay in the cache between the logits and the gradient.
const BLOCK: usize = 16;

/// Mean cross-entropy plus penalty, divided by the number of samples; `p` is the weights row by row, then the
/// intercepts. One pass over `x` gives value and gradient.
fn objective(x: &[f64], y: &[usize], columns: usize, penalty: f64, p: &[f64], gradient: &mut [f64]) -> f64 {
    let outputs = p.len() / (columns + 1);
    let (weights, intercepts) = p.split_at(outputs * columns);
    gradient.fill(0.0);
    let (gradient_w, gradient_b) = gradient.split_at_mut(outputs * columns);
    let scale = 1.0 / y.len() as f64;
    let mut loss = 0.0;
    // residuals of the block, one run of BLOCK rows for each output
    let mut residuals = vec![0.0; outputs * BLOCK];
    let mut scores = vec![0.0; outputs];
    for (rows, labels) in x.chunks(BLOCK * columns).zip(y.chunks(BLOCK)) {
        for (i, (row, &label)) in rows.chunks_exact(columns).zip(labels).enumerate() {
            for ((score, w), b) in scores.iter_mut().zip(weights.chunks_exact(columns)).zip(intercepts) {
                *score = dot(w, row) + b;
            }
            loss += cross_entropy(&mut scores, label);
            for (k, r) in scores.iter().enumerate() {
                residuals[k * BLOCK + i] = r * scale;
                gradient_b[k] += r * scale;
            }
        }
        for (g, r) in gradient_w.chunks_exact_mut(columns).zip(residuals.chunks_exact(BLOCK)) {
            accumulate(rows, columns, r, g);
        }
    }
    axpy(penalty, weights, gradient_w);
    loss * scale + 0.5 * penalty * dot(weights, weights)
}

/// Cross-entropy of one row; `scores` becomes the gradient by the scores. One score stands for the second of two classes.
fn cross_entropy(scores: &mut [f64], label: usize) -> f64 {
    if let [score] = scores {
        let (z, truth) = (*score, label as f64);
        // ln(1 + e^z) - truth z, without overflow for either sign
        let e = (-z.abs()).exp();
        *score = if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) } - truth;
        return z.max(0.0) + e.ln_1p() - truth * z;
    }
    let own = scores[label];
    let log_sum = softmax(scores);
    scores[label] -= 1.0;
    log_sum - own
}

/// Turns scores into probabilities and returns the logarithm of the sum of their exponentials.
fn softmax(scores: &mut [f64]) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for s in scores.iter_mut() {
        *s = (*s - top).exp();
        sum += *s;
    }
    divide(scores, sum);
    top + sum.ln()
}

/// `g += sum of r_i * row_i`, four rows at a time to spare loads and stores of `g`.
fn accumulate(rows: &[f64], columns: usize, r: &[f64], g: &mut [f64]) {
    let fours = rows.chunks_exact(4 * columns);
    let done = rows.len() / (4 * columns) * 4;
    let rest = fours.remainder();
    for (four, r) in fours.zip(r.chunks_exact(4)) {
        let (ab, cd) = four.split_at(2 * columns);
        let ((a, b), (c, d)) = (ab.split_at(columns), cd.split_at(columns));
        for ((((g, a), b), c), d) in g.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *g += r[0] * a + r[1] * b + r[2] * c + r[3] * d;
        }
    }
    for (row, r) in rest.chunks_exact(columns).zip(&r[done..]) {
        axpy(*r, row, g);
    }
}
