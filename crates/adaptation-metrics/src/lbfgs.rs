//! Minimisation of smooth functions: L-BFGS with a line search for the strong Wolfe conditions.
//!
//! Nocedal and Wright, *Numerical Optimization* (2006): algorithm 7.4 (two-loop recursion), 3.5 and 3.6 (line search).

use crate::table::{axpy, divide, dot};

/// Pairs of steps and gradient changes kept.
const MEMORY: usize = 20;
/// Sufficient decrease and curvature, the usual constants of quasi-Newton methods.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Trials of one line search; a convex smooth function needs one or two.
const TRIALS: usize = 30;

/// How a minimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Steps taken.
    pub iterations: usize,
    /// Whether the largest entry of the gradient is within the tolerance.
    pub converged: bool,
}

/// Minimises `f` from `x` on; `f(x, gradient)` returns the value and overwrites the gradient.
///
/// Stops when the largest absolute entry of the gradient is at most `tol`, after `max_iter` steps, or where rounding
/// leaves nothing to gain.
pub fn minimise(x: &mut [f64], max_iter: usize, tol: f64, mut f: impl FnMut(&[f64], &mut [f64]) -> f64) -> Outcome {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = f(x, &mut gradient);
    let mut history = History::default();
    let mut iterations = 0;
    while largest(&gradient) > tol && iterations < max_iter {
        let mut direction = history.direction(&gradient);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 || !slope.is_finite() {
            history = History::default();
            direction = history.direction(&gradient);
            slope = dot(&direction, &gradient);
        }
        let start = if history.pairs.is_empty() {
            (1.0 / dot(&gradient, &gradient).sqrt()).min(1.0)
        } else {
            1.0
        };
        let Some(point) = line_search(x, &direction, value, slope, start, &mut f) else {
            // a poor model of the curvature can spoil the direction: try steepest descent once before giving up
            if history.pairs.is_empty() {
                break;
            }
            history = History::default();
            continue;
        };
        let step: Vec<f64> = direction.iter().map(|d| d * point.length).collect();
        let change: Vec<f64> = point
            .gradient
            .iter()
            .zip(&gradient)
            .map(|(new, old)| new - old)
            .collect();
        axpy(1.0, &step, x);
        value = point.value;
        gradient = point.gradient;
        history.push(step, change);
        iterations += 1;
    }
    Outcome {
        iterations,
        converged: largest(&gradient) <= tol,
    }
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// The last steps `s` and gradient changes `y`, with `1 / s.y`.
#[derive(Default)]
struct History {
    pairs: std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl History {
    fn push(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let curvature = dot(&step, &change);
        // without positive curvature the model would not stay positive definite
        if curvature > f64::EPSILON * dot(&change, &change) {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back((step, change, 1.0 / curvature));
        }
    }

    /// The quasi-Newton direction `-H gradient`.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y, rho) in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &q);
            axpy(-alpha, y, &mut q);
            alphas.push(alpha);
        }
        if let Some((_, y, rho)) = self.pairs.back() {
            divide(&mut q, rho * dot(y, y));
        }
        for ((s, y, rho), alpha) in self.pairs.iter().zip(alphas.iter().rev()) {
            let beta = rho * dot(y, &q);
            axpy(alpha - beta, s, &mut q);
        }
        q
    }
}

/// A trial point on the line.
#[derive(Clone)]
struct Point {
    length: f64,
    value: f64,
    slope: f64,
    gradient: Vec<f64>,
}

/// A point on `x + length * direction` with sufficient decrease and a flat enough slope; `None` where there is none.
fn line_search(
    x: &[f64],
    direction: &[f64],
    value: f64,
    slope: f64,
    start: f64,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Point> {
    // close to the minimum, differences of the value drown in its rounding; the slope does not
    let noise = 16.0 * f64::EPSILON * value.abs();
    let mut at = |length: f64| {
        let trial: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + length * d).collect();
        let mut gradient = vec![0.0; x.len()];
        let value = f(&trial, &mut gradient);
        Point {
            length,
            value,
            slope: dot(&gradient, direction),
            gradient,
        }
    };
    let decreases = |p: &Point| p.value <= value + DECREASE * p.length * slope + noise;
    let flat = |p: &Point| p.slope.abs() <= -CURVATURE * slope;

    // `low`: the best point so far; `high`: the other end of a bracket that holds an acceptable point
    let mut low = Point {
        length: 0.0,
        value,
        slope,
        gradient: Vec::new(),
    };
    let mut high: Option<Point> = None;
    let mut length = start;
    for _ in 0..TRIALS {
        let p = at(length);
        if !p.value.is_finite() || !decreases(&p) || (p.value > low.value + noise) {
            high = Some(p);
        } else if flat(&p) {
            return Some(p);
        } else {
            // the minimum lies on the side where the slope points down
            let beyond = p.slope < 0.0;
            if beyond == (p.length < low.length) {
                high = Some(low);
            }
            low = p;
        }
        length = match &high {
            None => low.length * 2.0,
            Some(high) => between(&low, high),
        };
        if let Some(high) = &high
            && (high.length - low.length).abs() <= 1e-14 * low.length.max(high.length)
        {
            break;
        }
    }
    // progress without the curvature condition is still progress
    (low.length > 0.0 && low.value < value).then_some(low)
}

/// The minimum of the cubic through both ends, kept away from them.
fn between(low: &Point, high: &Point) -> f64 {
    let (a, b) = (low.length, high.length);
    let middle = 0.5 * (a + b);
    if !high.value.is_finite() || !high.slope.is_finite() {
        return middle;
    }
    let d1 = low.slope + high.slope - 3.0 * (low.value - high.value) / (a - b);
    let radicand = d1 * d1 - low.slope * high.slope;
    if radicand < 0.0 {
        return middle;
    }
    let d2 = (b - a).signum() * radicand.sqrt();
    let cubic = b - (b - a) * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2);
    let margin = 0.1 * (b - a).abs();
    let (from, to) = (a.min(b) + margin, a.max(b) - margin);
    if cubic.is_finite() {
        cubic.clamp(from, to)
    } else {
        middle
    }
}
