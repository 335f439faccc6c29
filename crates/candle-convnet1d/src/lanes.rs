//! Reductions of one row, in an order that depends on its length alone.
//!
//! Elements are added in their own type in 16 interleaved partial sums, which the compiler turns
//! into vector registers, for at most [`STRETCH`] elements; stretches are added in f64. The error
//! of an f32 sum is thus that of some 64 additions, however long the row.

use crate::buffer::Float;
use crate::vectorised::vectorised;

const LANES: usize = 16;
const STRETCH: usize = 1024;

/// Sum of `f(a[i], b[i])`.
#[allow(
    clippy::inline_always,
    reason = "a loop over a closure: without inlining it is no vector loop"
)]
#[inline(always)]
fn fold2<T: Float>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.chunks(STRETCH).zip(b.chunks(STRETCH)) {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut lanes = [T::zero(); LANES];
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                lanes[i] += f(a[i], b[i]);
            }
        }
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
            *lane += f(a, b);
        }
        sum += total(lanes);
    }
    sum
}

vectorised! {
    /// Sum of a row.
    pub(crate) fn sum<T>(row: &[T]) -> f64 {
        fold2(row, row, |x, _| x)
    }
}

vectorised! {
    /// Sum of products of two rows of the same length.
    pub(crate) fn dot<T>(a: &[T], b: &[T]) -> f64 {
        fold2(a, b, |a, b| a * b)
    }
}

vectorised! {
    /// Sum of squared distances from `centre`.
    pub(crate) fn squares_about<T>(row: &[T], centre: T) -> f64 {
        fold2(row, row, |x, _| (x - centre) * (x - centre))
    }
}

/// Sums of `g[i]` and of `g[i] (x[i] - centre)`, `g[i]` being `f(dy[i], x[i])`.
#[allow(
    clippy::inline_always,
    reason = "a loop over a closure: without inlining it is no vector loop"
)]
#[inline(always)]
pub(crate) fn sum_and_centred_dot<T: Float>(dy: &[T], x: &[T], centre: T, f: impl Fn(T, T) -> T) -> (f64, f64) {
    let mut totals = (0.0, 0.0);
    for (dy, x) in dy.chunks(STRETCH).zip(x.chunks(STRETCH)) {
        let ((dy, dy_rest), (x, x_rest)) = (dy.as_chunks::<LANES>(), x.as_chunks::<LANES>());
        let (mut sums, mut dots) = ([T::zero(); LANES], [T::zero(); LANES]);
        for (dy, x) in dy.iter().zip(x) {
            for i in 0..LANES {
                let g = f(dy[i], x[i]);
                sums[i] += g;
                dots[i] += g * (x[i] - centre);
            }
        }
        for (i, (&dy, &x)) in dy_rest.iter().zip(x_rest).enumerate() {
            let g = f(dy, x);
            sums[i] += g;
            dots[i] += g * (x - centre);
        }
        totals.0 += total(sums);
        totals.1 += total(dots);
    }
    totals
}

/// Sum of partial sums, the last four in f64.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn total<T: Float>(mut lanes: [T; LANES]) -> f64 {
    for half in [LANES / 2, LANES / 4] {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
    }
    lanes[..LANES / 4].iter().map(|lane| lane.to_f64()).sum()
}

vectorised! {
    /// The largest value of a row that is not empty; NaN where it holds NaN.
    pub(crate) fn max<T>(row: &[T]) -> T {
        // once NaN, always NaN
        let larger = |a: T, b: T| if b > a || b.is_nan() { b } else { a };
        let mut lanes = [row[0]; LANES];
        let (chunks, rest) = row.as_chunks::<LANES>();
        let zero = T::zero();
        let mut nan = [zero; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
                // 0, or NaN from the first NaN or infinity on: no early exit, so that it is a vector loop
                nan[i] += zero * chunk[i];
            }
        }
        let found = lanes.iter().chain(rest).copied().fold(row[0], larger);
        if nan.iter().all(|x| !x.is_nan()) {
            return found;
        }
        // infinities are no NaN
        row.iter().copied().fold(row[0], larger)
    }
}
