//! Weights of a convolution in the order in which its inner loop reads them.

use rayon::prelude::*;

use super::panel::{Steps, transpose};
use super::real::Real;
use super::tile::{Span, padded, spans};
use super::winograd;
use crate::{InstructionSet, shares};

/// The weights of a forward pass.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a, T> {
    /// `(c_out, c_in / groups, kernel)`.
    Plain(&'a [T]),
    /// What [`packed`] made of them.
    Packed(&'a [T]),
}

/// A tap of the kernel, and how far from the position of the output it reads.
#[derive(Clone, Copy)]
pub(super) struct Tap {
    pub tap: usize,
    pub shift: isize,
}

/// Where a weight lies: `group`, `output` and `input` elements apart, taps adjacent.
pub(super) struct Strides {
    pub group: usize,
    pub output: usize,
    pub input: usize,
}

/// Of the forward pass of groups of `c` input and `o` output channels.
pub(super) fn forward_strides(c: usize, o: usize, kernel: usize) -> Strides {
    Strides {
        group: o * c * kernel,
        output: c * kernel,
        input: kernel,
    }
}

/// The weights `(c_out, c_in / groups, kernel)` of a forward pass, packed for every input.
pub(crate) fn packed<T: Real>(
    isa: InstructionSet,
    weights: &[T],
    (c_out, inputs, kernel): (usize, usize, usize),
    (stride, dilation, groups): (usize, usize, usize),
) -> Vec<T> {
    let outputs = c_out / groups;
    if winograd::serves((kernel, stride, dilation), (inputs, outputs)) {
        return winograd::pack(isa, weights, (inputs, outputs), groups, false);
    }
    let taps: Vec<Tap> = (0..kernel).map(|tap| Tap { tap, shift: 0 }).collect();
    let strides = forward_strides(inputs, outputs, kernel);
    pack_weights(isa, weights, inputs, (outputs, groups), &taps, &strides)
}

/// The weights in the order in which the inner loop reads them.
pub(super) fn pack_weights<T: Real>(
    isa: InstructionSet,
    weights: &[T],
    inputs: usize,
    (outputs, groups): (usize, usize),
    taps: &[Tap],
    strides: &Strides,
) -> Vec<T> {
    let mut packed = vec![T::zero(); groups * padded(outputs) * inputs * taps.len()];
    pack_weights_to(isa, weights, inputs, (outputs, groups), taps, strides, &mut packed);
    packed
}

/// The same to where zeros are.
pub(super) fn pack_weights_to<T: Real>(
    isa: InstructionSet,
    weights: &[T],
    inputs: usize,
    (outputs, groups): (usize, usize),
    taps: &[Tap],
    strides: &Strides,
    packed: &mut [T],
) {
    let terms = inputs * taps.len();
    let spans: Vec<Span> = (0..groups)
        .flat_map(|g| {
            spans(outputs).map(move |span| Span {
                first: g * outputs + span.first,
                ..span
            })
        })
        .collect();
    let mut places = Vec::with_capacity(spans.len());
    let mut rest = packed;
    for span in spans {
        let (place, others) = rest.split_at_mut(span.height * terms);
        places.push((span, place));
        rest = others;
    }
    let pack = |(span, place): (Span, &mut [T])| {
        if terms == 0 {
            return;
        }
        let (g, first) = (span.first / outputs, span.first % outputs);
        let weights = &weights[g * strides.group + first * strides.output..];
        if strides.input == taps.len() {
            // all taps of an input in order, and input by input: a row of the weights is one for all terms
            transpose(
                isa,
                weights,
                strides.output,
                (span.rows, terms),
                place,
                Steps::even(span.height),
            );
            return;
        }
        // input by input, where the rows of a block lie side by side
        for (input, place) in place.chunks_exact_mut(taps.len() * span.height).enumerate() {
            let weights = &weights[input * strides.input..];
            for (tap, place) in taps.iter().zip(place.chunks_exact_mut(span.height)) {
                if strides.output == 1 {
                    place[..span.rows].copy_from_slice(&weights[tap.tap..][..span.rows]);
                    continue;
                }
                let of_rows = weights[tap.tap..].iter().step_by(strides.output);
                place[..span.rows]
                    .iter_mut()
                    .zip(of_rows)
                    .for_each(|(place, &weight)| *place = weight);
            }
        }
    };
    if terms * outputs * groups > 64 * 1024 && shares::threads() > 1 {
        places.into_par_iter().for_each(pack);
    } else {
        places.into_iter().for_each(pack);
    }
}
