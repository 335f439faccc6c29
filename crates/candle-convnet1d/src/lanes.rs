//! Reductions of one row, in an order that depends on its length alone.
//!
//! Elements are added in their own type in 16 interleaved partial sums, which the compiler turns
//! into vector registers, for at most [`STRETCH`] elements; stretches are added in f64. The error
//! of an f32 sum is thus that of some 64 additions, however long the row.

use crate::buffer::Float;
use crate::vectorised::vectorised;

/// Partial sums.
pub(crate) const LANES: usize = 16;
const STRETCH: usize = 1024;

/// Sum of `f(a[i], b[i], c[i])`.
#[allow(
    clippy::inline_always,
    reason = "a loop over a closure: without inlining it is no vector loop"
)]
#[inline(always)]
pub(crate) fn fold3<T: Float>(a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T) -> f64 {
    let mut sum = 0.0;
    for (a, (b, c)) in a.chunks(STRETCH).zip(b.chunks(STRETCH).zip(c.chunks(STRETCH))) {
        let ((a, a_rest), (b, b_rest), (c, c_rest)) = (a.as_chunks(), b.as_chunks(), c.as_chunks());
        let mut lanes = [T::zero(); LANES];
        for (a, (b, c)) in a.iter().zip(b.iter().zip(c)) {
            let (a, b, c): (&[T; LANES], &[T; LANES], &[T; LANES]) = (a, b, c);
            for i in 0..LANES {
                lanes[i] += f(a[i], b[i], c[i]);
            }
        }
        for (lane, (&a, (&b, &c))) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest.iter().zip(c_rest))) {
            *lane += f(a, b, c);
        }
        sum += total(&lanes);
    }
    sum
}

vectorised! {
    /// Sum of a row.
    pub(crate) fn sum<T>(row: &[T]) -> f64 {
        fold3(row, row, row, |x, _, _| x)
    }
}

vectorised! {
    /// Sum of products of two rows of the same length.
    pub(crate) fn dot<T>(a: &[T], b: &[T]) -> f64 {
        fold3(a, b, b, |a, b, _| a * b)
    }
}

/// Two sums over rows that come one after another, in partial sums that go on from row to row: a short row costs no sum of
/// its partial sums.
#[derive(Clone)]
pub(crate) struct RowSums<T> {
    first: [T; LANES],
    second: [T; LANES],
    /// Vectors in them.
    vectors: usize,
    totals: (f64, f64),
}

impl<T: Float> RowSums<T> {
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            first: [T::zero(); LANES],
            second: [T::zero(); LANES],
            vectors: 0,
            totals: (0.0, 0.0),
        }
    }

    /// Adds both of `f(a[i], b[i])` of two rows of the same length.
    #[allow(
        clippy::inline_always,
        reason = "a loop over a closure: without inlining it is no vector loop"
    )]
    #[inline(always)]
    pub fn add(&mut self, a: &[T], b: &[T], f: impl Fn(T, T) -> (T, T)) {
        for (a, b) in a.chunks(STRETCH).zip(b.chunks(STRETCH)) {
            let vectors = a.len().div_ceil(LANES);
            if self.vectors + vectors > STRETCH / LANES {
                self.add_up();
            }
            self.vectors += vectors;
            let (mut first, mut second) = (self.first, self.second);
            let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            for (a, b) in whole_a.iter().zip(whole_b) {
                for i in 0..LANES {
                    let (x, y) = f(a[i], b[i]);
                    first[i] += x;
                    second[i] += y;
                }
            }
            for (i, (&a, &b)) in rest_a.iter().zip(rest_b).enumerate() {
                let (x, y) = f(a, b);
                first[i] += x;
                second[i] += y;
            }
            (self.first, self.second) = (first, second);
        }
    }

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn add_up(&mut self) {
        let zeros = [T::zero(); LANES];
        let (first, second) = totals(&self.first, &self.second);
        (self.first, self.second) = (zeros, zeros);
        self.totals = (self.totals.0 + first, self.totals.1 + second);
        self.vectors = 0;
    }

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn totals(mut self) -> (f64, f64) {
        self.add_up();
        self.totals
    }
}

/// Sum of partial sums, the last four in f64.
#[allow(clippy::inline_always, reason = "part of the two functions below")]
#[inline(always)]
fn added<T: Float>(lanes: &[T; LANES]) -> f64 {
    let halves: [T; LANES / 2] = std::array::from_fn(|i| lanes[i] + lanes[i + LANES / 2]);
    let quarters: [T; LANES / 4] = std::array::from_fn(|i| halves[i] + halves[i + LANES / 4]);
    quarters.iter().map(|lane| lane.to_f64()).sum()
}

/// Sum of partial sums. Never inlined: taken apart into single numbers, the partial sums would be that in the loops before it
/// too.
#[inline(never)]
pub(crate) fn total<T: Float>(lanes: &[T; LANES]) -> f64 {
    added(lanes)
}

/// Two of them.
#[inline(never)]
fn totals<T: Float>(first: &[T; LANES], second: &[T; LANES]) -> (f64, f64) {
    (added(first), added(second))
}

/// Sums of the distances of a row's values from `centre`, and of their squares.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
pub(crate) fn distances<T: Float>(row: &[T], centre: T) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for stretch in row.chunks(STRETCH) {
        let (whole, rest) = stretch.as_chunks::<LANES>();
        // what is not there is no distance away
        let mut last = [centre; LANES];
        last[..rest.len()].copy_from_slice(rest);
        let mut first = last.map(|x| x - centre);
        let mut second = first.map(|distance| distance * distance);
        for values in whole {
            for i in 0..LANES {
                first[i] += values[i] - centre;
            }
            for i in 0..LANES {
                second[i] += (values[i] - centre) * (values[i] - centre);
            }
        }
        let (first, second) = totals(&first, &second);
        sums = (sums.0 + first, sums.1 + second);
    }
    sums
}

vectorised! {
    /// Where the first of the values that equal `value` lies.
    pub(crate) fn position<T>(row: &[T], value: T) -> Option<usize> {
        let (chunks, _) = row.as_chunks::<LANES>();
        // a whole chunk at a time, so that it is a vector loop
        let in_chunk = |chunk: &[T; LANES]| chunk.iter().fold(0u32, |found, &x| found | u32::from(x == value)) != 0;
        let first = chunks.iter().position(in_chunk).unwrap_or(chunks.len()) * LANES;
        row[first..].iter().position(|&x| x == value).map(|i| first + i)
    }
}

vectorised! {
    /// The largest value of a row that is not empty; NaN where it holds NaN.
    pub(crate) fn max<T>(row: &[T]) -> T {
        // once NaN, always NaN
        let larger = |a: T, b: T| if b > a || b.is_nan() { b } else { a };
        let zero = T::zero();
        // the last whole vector of values is taken from the row's end, some of them twice
        let (Some(last), (chunks, _)) = (row.last_chunk::<LANES>(), row.as_chunks::<LANES>()) else {
            return row.iter().copied().fold(row[0], larger);
        };
        let mut lanes = *last;
        // 0, or NaN from the first NaN or infinity on: no early exit, so that it is a vector loop
        let mut nan = last.map(|x| zero * x);
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
                nan[i] += zero * chunk[i];
            }
        }
        match largest(&lanes, &nan) {
            Some(largest) => largest,
            // infinities are no NaN
            None => row.iter().copied().fold(row[0], larger),
        }
    }
}

/// The largest of partial maxima, unless one of the other numbers is NaN. Never inlined, as [`total`].
#[inline(never)]
fn largest<T: Float>(lanes: &[T; LANES], nan: &[T; LANES]) -> Option<T> {
    let sum = nan.iter().fold(T::zero(), |sum, &x| sum + x);
    let largest = lanes[1..]
        .iter()
        .fold(lanes[0], |max, &x| if x > max { x } else { max });
    (!sum.is_nan()).then_some(largest)
}
