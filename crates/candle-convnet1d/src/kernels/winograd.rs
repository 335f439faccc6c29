//! Three adjacent taps by pairs of outputs: four products for each input channel instead of six.
//!
//! Winograd's minimal filtering F(2, 3) (S. Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast
//! Algorithms for Convolutional Neural Networks", arXiv:1509.09308, section 4.1). Of the inputs d0 to d3 and the taps g0 to g2,
//!
//! ```text
//! p0 = (d0 - d2) g0                        y0 = p0 + p1 + p2
//! p1 = (d1 + d2) (g0 + g1 + g2) / 2        y1 = p1 - p2 - p3
//! p2 = (d2 - d1) (g0 - g1 + g2) / 2
//! p3 = (d1 - d3) g2
//! ```
//!
//! Over many channels each of the four is a convolution with one tap ([`pairs`](super::pairs)). An output depends on the same
//! inputs as by the definition, three zeros give exactly zero, and no constant is larger than 1: the error is a small multiple of
//! that of the plain sum. The gradient of the input is such a convolution too; that of the weight is the scheme transposed
//! ([`weight`](super::weight)).

use std::ops::Range;

use rayon::prelude::*;

use super::panel::{Steps, transpose};
use super::real::Real;
use super::tile::padded;
use super::weights::{Strides, Tap, pack_weights_to};
use crate::InstructionSet;
use crate::buffer::Float;
use crate::scratch::Scratch;
use crate::vectorised::vectorised;

/// Products for a pair of outputs and an input channel.
pub(super) const PRODUCTS: usize = 4;
/// Pairs that lie side by side: a tile of the inner loop.
pub(super) const STRIPE: usize = 32;
/// Channels of a group, at least, on either side: of fewer, the sums before and after take more time than is saved.
const CHANNELS: usize = 64;

/// Whether a convolution of groups of `inputs` and `outputs` channels is computed so. Of what changes from batch to batch nothing
/// matters: packed weights serve any, and a row has the same bits in each.
pub(super) fn serves((kernel, stride, dilation): (usize, usize, usize), (inputs, outputs): (usize, usize)) -> bool {
    (kernel, stride, dilation) == (3, 1, 1) && inputs.min(outputs) >= CHANNELS
}

/// Equal parts, one for each product.
pub(super) fn quarters<T>(all: &mut [T]) -> [&mut [T]; PRODUCTS] {
    let (low, high) = all.split_at_mut(all.len() / 2);
    let (first, second) = low.split_at_mut(low.len() / 2);
    let (third, fourth) = high.split_at_mut(high.len() / 2);
    [first, second, third, fourth]
}

vectorised! {
    /// What the weights are multiplied with, of pairs two positions apart in `line`: the pairs from number `first` on of one input of
    /// so many, in a panel for each product.
    pub(super) fn input_sums<T>(
        line: &[T],
        first: usize,
        input: (usize, usize),
        p0: &mut [T],
        p1: &mut [T],
        p2: &mut [T],
        p3: &mut [T],
    ) {
        let (input, inputs) = input;
        let (mut from, mut left) = (first, line.len() / 2 - 1);
        let mut line = line;
        while left > 0 {
            let count = (STRIPE - from % STRIPE).min(left);
            let at = (from / STRIPE * inputs + input) * STRIPE + from % STRIPE;
            let places = [&mut p0[at..at + count], &mut p1[at..at + count], &mut p2[at..at + count], &mut p3[at..at + count]];
            if count == STRIPE {
                // a number that the compiler knows
                sums_of_pairs(&line[..2 * STRIPE + 2], places.map(|p| &mut p[..STRIPE]));
            } else {
                sums_of_pairs(line, places);
            }
            (line, from, left) = (&line[2 * count..], from + count, left - count);
        }
    }
}

#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn sums_of_pairs<T: Float>(line: &[T], [p0, p1, p2, p3]: [&mut [T]; PRODUCTS]) {
    let places = p0.iter_mut().zip(p1).zip(p2.iter_mut().zip(p3));
    let pairs = line.as_chunks::<2>().0.iter().zip(line[2..].as_chunks::<2>().0);
    for ((&[d0, d1], &[d2, d3]), ((p0, p1), (p2, p3))) in pairs.zip(places) {
        *p0 = d0 - d2;
        *p1 = d1 + d2;
        *p2 = d2 - d1;
        *p3 = d1 - d3;
    }
}

vectorised! {
    /// What the inputs are multiplied with: for each product the weights `(output, input)`.
    fn weight_sums<T>(taps: &[[T; 3]], g0: &mut [T], g1: &mut [T], g2: &mut [T], g3: &mut [T]) {
        let half = T::from_f64(0.5);
        let places = g0.iter_mut().zip(g1).zip(g2.iter_mut().zip(g3));
        for (&[a, b, c], ((g0, g1), (g2, g3))) in taps.iter().zip(places) {
            *g0 = a;
            *g1 = (a + c) * half + b * half;
            *g2 = (a + c) * half - b * half;
            *g3 = c;
        }
    }
}

vectorised! {
    /// What the gradients of pairs are multiplied with: of positions that lie `width` channels apart in `rows`, two more than of pairs.
    pub(super) fn row_sums<T>(rows: &[T], width: usize, p0: &mut [T], p1: &mut [T], p2: &mut [T], p3: &mut [T]) {
        let places = p0.chunks_exact_mut(width).zip(p1.chunks_exact_mut(width));
        let places = places.zip(p2.chunks_exact_mut(width).zip(p3.chunks_exact_mut(width)));
        for (pair, ((p0, p1), (p2, p3))) in places.enumerate() {
            let row = |number: usize| &rows[(2 * pair + number) * width..][..width];
            let (d0, d1, d2, d3) = (row(0), row(1), row(2), row(3));
            for i in 0..width {
                p0[i] = d0[i] - d2[i];
                p1[i] = d1[i] + d2[i];
                p2[i] = d2[i] - d1[i];
                p3[i] = d1[i] - d3[i];
            }
        }
    }
}

/// The gradients of the four products, that of the last with the other sign: of rows of output gradients from `(values, stride, (rows,
/// count))` to `place` in each quarter of `factors`, `height` for a pair.
pub(super) fn transpose_pairs<T: Float>(
    isa: InstructionSet,
    (dy, stride, (rows, count)): (&[T], usize, (usize, usize)),
    factors: &mut [T],
    place: Range<usize>,
    height: usize,
) {
    // the first of each pair to the first quarter, the second to the last
    let odd = factors.len() / PRODUCTS * (PRODUCTS - 1);
    if rows < height || !count.is_multiple_of(2) {
        factors[place.clone()].fill(T::zero());
        factors[odd + place.start..odd + place.end].fill(T::zero());
    }
    let steps = Steps { pair: height, odd };
    transpose(isa, dy, stride, (rows, count), &mut factors[place.start..], steps);
    let [first, sum, difference, second] = quarters(factors).map(|factors| &mut factors[place.clone()]);
    sums_and_differences(first, second, sum, difference);
}

vectorised! {
    fn sums_and_differences<T>(a: &[T], b: &[T], sum: &mut [T], difference: &mut [T]) {
        for ((&a, &b), (sum, difference)) in a.iter().zip(b).zip(sum.iter_mut().zip(difference)) {
            *sum = a + b;
            *difference = a - b;
        }
    }
}

/// The gradients of three taps, of the sums for the four products, that of the last with the other sign.
pub(super) fn tap_gradients<T: Float>([u0, u1, u2, u3]: [T; PRODUCTS]) -> [T; 3] {
    let half = T::from_f64(0.5);
    let (even, odd) = ((u1 + u2) * half, (u1 - u2) * half);
    [u0 + even, odd, even - u3]
}

/// Weights of a stretch that one thread takes.
const STRETCH: usize = 16 * 1024;

/// Packed for each product, of weights `(outputs of all groups, inputs, 3)`; `transposed`: those of the gradient of the input.
pub(super) fn pack<T: Real>(
    isa: InstructionSet,
    weights: &[T],
    (inputs, outputs): (usize, usize),
    groups: usize,
    transposed: bool,
) -> Vec<T> {
    let count = groups * outputs * inputs;
    let mut scratch = Scratch::new();
    let plain = scratch.take(PRODUCTS * count);
    let [g0, g1, g2, g3] = quarters(plain);
    let taps = weights.as_chunks::<3>().0;
    let stretches = taps
        .par_chunks(STRETCH)
        .zip(g0.par_chunks_mut(STRETCH).zip(g1.par_chunks_mut(STRETCH)))
        .zip(g2.par_chunks_mut(STRETCH).zip(g3.par_chunks_mut(STRETCH)));
    stretches.for_each(|((taps, (g0, g1)), (g2, g3))| weight_sums(taps, g0, g1, g2, g3));
    let group = outputs * inputs;
    let (inputs, outputs, output, input) = if transposed {
        (outputs, inputs, 1, inputs)
    } else {
        (inputs, outputs, inputs, 1)
    };
    let strides = Strides { group, output, input };
    let mut packed = vec![T::zero(); PRODUCTS * groups * padded(outputs) * inputs];
    for (product, packed) in quarters(&mut packed).into_iter().enumerate() {
        // taps in the other order: the first and the last product change places
        let product = match (product, transposed) {
            (0, true) => 3,
            (3, true) => 0,
            _ => product,
        };
        let plain = &plain[product * count..][..count];
        let tap = [Tap { tap: 0, shift: 0 }];
        pack_weights_to(isa, plain, inputs, (outputs, groups), &tap, &strides, packed);
    }
    packed
}
