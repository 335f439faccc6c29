//! t-SNE: a picture of which samples are near each other.

use crate::error::{Error, Result};
use crate::pca::Pca;
use crate::random::SplitMix;
use crate::table;

/// How far attraction is exaggerated at first, and for how large a part of the steps.
const EXAGGERATION: f64 = 12.0;
const EXAGGERATED_PART: f64 = 0.25;
/// A gain never falls below this.
const LEAST_GAIN: f64 = 0.01;
/// Spread of the first coordinate at the start.
const START: f64 = 1e-4;

/// Settings of [`Tsne::fit`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TsneConfig {
    /// about how many neighbours count as near, at least 1 and below the number of rows; 30
    pub perplexity: f64,
    /// gradient steps; 500
    pub iterations: usize,
}

impl Default for TsneConfig {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 500,
        }
    }
}

/// Two coordinates a row, such that rows that are near in many dimensions are near in two.
///
/// Distances *between* groups, their sizes and their densities mean nothing in such a picture; only who is next to whom does. It starts
/// from the first two principal components, so that the same input gives the same bits. All pairs are visited in each step: meant
/// for up to about a thousand rows (a second or two).
///
/// Source: L. van der Maaten, G. Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008), equations 1 to 5 and section 3.4; the step
/// size is that of A. C. Belkina et al., Nature Communications 10 (2019), rows / 12 (at least 50).
#[derive(Clone, Debug, PartialEq)]
pub struct Tsne {
    /// coordinates of each row
    pub points: Vec<[f64; 2]>,
    /// Kullback-Leibler divergence that is left, nepers: 0 would be a picture that keeps every neighbourhood
    pub divergence: f64,
}

impl Tsne {
    /// Lays out the row-major table `x` of `rows` rows.
    ///
    /// # Errors
    /// Fewer than three rows, a table of another size, NaN or infinity, a perplexity out of its range.
    pub fn fit(x: &[f64], rows: usize, config: &TsneConfig) -> Result<Self> {
        let columns = table::columns("x", x, rows)?;
        if rows < 3 {
            return Err(Error::Setting {
                name: "number of rows",
                found: rows.to_string(),
                expected: "at least 3".into(),
            });
        }
        let perplexity = config.perplexity;
        if !(perplexity >= 1.0 && perplexity < rows as f64) {
            return Err(Error::Setting {
                name: "perplexity",
                found: perplexity.to_string(),
                expected: format!("at least 1 and below the {rows} rows"),
            });
        }
        let near = joint_probabilities(x, rows, columns, perplexity);
        let mut picture = Picture::start(x, rows, columns)?;
        let exaggerated = (config.iterations as f64 * EXAGGERATED_PART) as usize;
        let rate = (rows as f64 / EXAGGERATION).max(50.0);
        for step in 0..config.iterations {
            let (exaggeration, momentum) = if step < exaggerated {
                (EXAGGERATION, 0.5)
            } else {
                (1.0, 0.8)
            };
            picture.step(&near, exaggeration, momentum, rate);
        }
        let divergence = picture.divergence(&near);
        let points = picture.at[0]
            .iter()
            .zip(&picture.at[1])
            .map(|(&x, &y)| [x, y])
            .collect();
        Ok(Self { points, divergence })
    }
}

/// `p_ij` of equation 1 and section 3.1, symmetric, adding up to 1; row-major, `rows` squared.
fn joint_probabilities(x: &[f64], rows: usize, columns: usize, perplexity: f64) -> Vec<f64> {
    let row = |i: usize| &x[i * columns..(i + 1) * columns];
    let mut squared = vec![0.0; rows * rows];
    let mut difference = vec![0.0; columns];
    for i in 0..rows {
        for j in 0..i {
            // not by |a|^2 + |b|^2 - 2ab, which loses near rows far from zero
            for (d, (a, b)) in difference.iter_mut().zip(row(i).iter().zip(row(j))) {
                *d = a - b;
            }
            let distance = table::dot(&difference, &difference);
            squared[i * rows + j] = distance;
            squared[j * rows + i] = distance;
        }
    }
    let mut conditional = squared;
    for (i, distances) in conditional.chunks_exact_mut(rows).enumerate() {
        neighbours(distances, i, perplexity.ln());
    }
    let mut joint = vec![0.0; rows * rows];
    for i in 0..rows {
        for j in 0..rows {
            joint[i * rows + j] = (conditional[i * rows + j] + conditional[j * rows + i]) / (2.0 * rows as f64);
        }
    }
    joint
}

/// Turns squared distances from row `own` into probabilities of being its neighbour, whose entropy is `entropy` nepers.
fn neighbours(distances: &mut [f64], own: usize, entropy: f64) {
    let others = |d: &[f64]| {
        d.iter()
            .enumerate()
            .filter(|&(j, _)| j != own)
            .fold(f64::INFINITY, |m, (_, &d)| m.min(d))
    };
    let nearest = others(distances);
    // only differences of distances matter, so the nearest may be zero; then no exponential overflows and not all vanish
    for d in distances.iter_mut() {
        *d -= nearest;
    }
    let scale = distances.iter().sum::<f64>() / distances.len() as f64;
    if scale <= 0.0 || !scale.is_finite() {
        // all alike
        let share = 1.0 / (distances.len() - 1) as f64;
        distances.fill(share);
        distances[own] = 0.0;
        return;
    }
    let weights = |beta: f64, out: &mut Vec<f64>| -> f64 {
        out.clear();
        out.extend(distances.iter().map(|d| (-beta * d).exp()));
        out[own] = 0.0;
        let sum: f64 = out.iter().sum();
        let mean: f64 = out.iter().zip(distances.iter()).map(|(w, d)| w * d).sum::<f64>() / sum;
        beta * mean + sum.ln()
    };
    // the entropy falls as beta rises: bracket it, then halve on a logarithmic scale
    let (mut low, mut high) = (1e-6 / scale, 1e6 / scale);
    let mut out = Vec::with_capacity(distances.len());
    for _ in 0..100 {
        let beta = (low * high).sqrt();
        if weights(beta, &mut out) > entropy {
            low = beta;
        } else {
            high = beta;
        }
    }
    weights((low * high).sqrt(), &mut out);
    let sum: f64 = out.iter().sum();
    for (d, w) in distances.iter_mut().zip(out) {
        *d = w / sum;
    }
}

struct Picture {
    /// both coordinates, one slice each
    at: [Vec<f64>; 2],
    velocity: [Vec<f64>; 2],
    gain: [Vec<f64>; 2],
    /// `1 / (1 + distance^2)` of every pair, 0 on the diagonal
    closeness: Vec<f64>,
}

impl Picture {
    fn start(x: &[f64], rows: usize, columns: usize) -> Result<Self> {
        let components = 2.min(columns);
        let principal = Pca::fit(x, rows, columns, components)?.transform(x)?;
        let spread = (principal.iter().step_by(components).map(|v| v * v).sum::<f64>() / rows as f64).sqrt();
        let scale = if spread > 0.0 { START / spread } else { 0.0 };
        // a grain of chance, so that rows that are equal, or lie on a line, can part
        let mut random = SplitMix::new(0);
        let mut coordinate = |k: usize| -> Vec<f64> {
            let own = |row: usize| {
                if k < components {
                    principal[row * components + k] * scale
                } else {
                    0.0
                }
            };
            (0..rows)
                .map(|row| own(row) + 0.01 * START * random.symmetric())
                .collect()
        };
        Ok(Self {
            at: [coordinate(0), coordinate(1)],
            velocity: [vec![0.0; rows], vec![0.0; rows]],
            gain: [vec![1.0; rows], vec![1.0; rows]],
            closeness: vec![0.0; rows * rows],
        })
    }

    /// Refreshes `closeness`; its sum.
    fn measure(&mut self) -> f64 {
        let [xs, ys] = &self.at;
        let mut total = 0.0;
        for (i, closeness) in self.closeness.chunks_exact_mut(xs.len()).enumerate() {
            let (x, y) = (xs[i], ys[i]);
            for (c, (x2, y2)) in closeness.iter_mut().zip(xs.iter().zip(ys)) {
                let (dx, dy) = (x - x2, y - y2);
                *c = 1.0 / (1.0 + dx * dx + dy * dy);
            }
            closeness[i] = 0.0;
            total += closeness.iter().sum::<f64>();
        }
        total
    }

    /// One step down the gradient (equation 5), with momentum and a gain for each coordinate.
    fn step(&mut self, near: &[f64], exaggeration: f64, momentum: f64, rate: f64) {
        let total = self.measure();
        let rows = self.at[0].len();
        let mut force = vec![0.0; rows];
        let mut gradients = [vec![0.0; rows], vec![0.0; rows]];
        for i in 0..rows {
            let pairs = near[i * rows..][..rows].iter().zip(&self.closeness[i * rows..][..rows]);
            for (f, (p, c)) in force.iter_mut().zip(pairs) {
                *f = (exaggeration * p - c / total) * c;
            }
            let sum: f64 = force.iter().sum();
            for (gradient, at) in gradients.iter_mut().zip(&self.at) {
                gradient[i] = 4.0 * (sum * at[i] - table::dot(&force, at));
            }
        }
        for (k, gradients) in gradients.iter().enumerate() {
            let each = self.at[k].iter_mut().zip(&mut self.velocity[k]).zip(&mut self.gain[k]);
            let mut sum = 0.0;
            for (((at, velocity), gain), gradient) in each.zip(gradients) {
                *gain = if gradient * *velocity > 0.0 {
                    (*gain * 0.8).max(LEAST_GAIN)
                } else {
                    *gain + 0.2
                };
                *velocity = momentum * *velocity - rate * *gain * gradient;
                *at += *velocity;
                sum += *at;
            }
            let mean = sum / rows as f64;
            for at in &mut self.at[k] {
                *at -= mean;
            }
        }
    }

    /// Equation 2.
    fn divergence(&mut self, near: &[f64]) -> f64 {
        let total = self.measure();
        let pairs = near.iter().zip(&self.closeness);
        pairs
            .filter(|(p, _)| **p > 0.0)
            .map(|(p, c)| p * (p * total / c).ln())
            .sum()
    }
}
