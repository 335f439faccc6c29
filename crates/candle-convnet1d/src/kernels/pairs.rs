//! Convolutions of three adjacent taps by pairs of outputs ([`winograd`]): the forward pass and the gradient of the input.
//!
//! The pairs of a task lie side by side, sample by sample, in stripes of as many as a tile of the inner loop has, which reads each
//! stripe from one end to the other.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Sizes;
use super::ahead::Ahead;
use super::direct::Start;
use super::real::Real;
use super::scatter::{PIECE, Piece, Pieces, Sums, scatter};
use super::tile::{Finish, Offsets, Place, Put, Span, TALL, Terms, block, padded, spans};
use super::weights::Weights;
use super::winograd::{self, PRODUCTS, STRIPE};
use crate::moments::{self, RowMoment};
use crate::scratch::Scratch;
use crate::values::Input;
use crate::{InstructionSet, shares};

/// Pairs of a task, if there are so many: below, weights are read for too little.
const PAIRS: usize = 128;
/// Rows that are copied before the first of them is read: a vector that was written in two parts is read late.
const LINES: usize = 8;
/// Tasks, at least, of more than one sample.
const FEW: usize = 4;
/// Products that are not worth a second thread.
const SMALL: usize = 128 * 1024;
/// Bytes of a stripe of all inputs that stay in the first-level cache while all its products are computed.
const NEAR: usize = 32 * 1024;

/// Sums of a block: for each product of a stripe.
const OF_BLOCK: usize = PRODUCTS * TALL * STRIPE;

/// A convolution by pairs of outputs.
struct Plan<'a, T: Real> {
    /// Channels of a group.
    inputs: usize,
    outputs: usize,
    groups: usize,
    /// Lengths of the rows.
    length_in: usize,
    length: usize,
    /// Zeros before the first sample; samples left out if it is negative.
    padding: isize,
    /// For each product, then group and block of outputs, then input, a weight for each output.
    weights: Cow<'a, [T]>,
}

/// What one task computes.
struct Part {
    samples: Range<usize>,
    groups: Range<usize>,
    /// Outputs of each group, from the start of a block on.
    rows: Range<usize>,
    /// Of each sample.
    pairs: Range<usize>,
    /// Room for those of a sample: whole pieces of outputs.
    slot: usize,
}

/// How the work is shared out: how much of each a task has. Every cut gives the same bits.
struct Cut {
    samples: usize,
    groups: usize,
    rows: usize,
    pairs: usize,
}

/// Some pairs of a group: as many as a tile has.
struct Stripe<'a, T> {
    g: usize,
    /// What the weights of each product are multiplied with, input by input.
    panels: [&'a [T]; PRODUCTS],
    offsets: &'a Offsets,
    /// Pairs.
    width: usize,
    pieces: &'a [Piece],
}

/// Part number `number` of `0..end` in parts of `size`.
fn part(number: usize, size: usize, end: usize) -> Range<usize> {
    number * size..((number + 1) * size).min(end)
}

impl<T: Real> Plan<'_, T> {
    /// Of a sample.
    fn pairs(&self) -> usize {
        self.length.div_ceil(2)
    }

    fn cut(&self, samples: usize) -> Cut {
        let (pairs, weights) = (self.pairs(), self.outputs * self.inputs * PRODUCTS);
        let small = samples * self.groups * pairs * weights < SMALL;
        let threads = if small { 1 } else { shares::threads() };
        let least = if threads > 1 { FEW } else { 1 };
        let mut cut = Cut {
            samples: (PAIRS / pairs).clamp(1, samples.div_ceil(least)),
            groups: self.groups,
            rows: self.outputs,
            pairs,
        };
        let tasks = samples.div_ceil(cut.samples);
        let parts = threads.div_ceil(tasks);
        if tasks >= FEW || parts == 1 {
            return cut;
        }
        if self.groups >= parts {
            cut.groups = self.groups.div_ceil(parts);
        } else if weights <= self.inputs * self.length_in && pairs >= parts * STRIPE {
            // a task reads all weights, or all of the input: the smaller of the two
            cut.pairs = pairs.div_ceil(parts).next_multiple_of(STRIPE);
        } else {
            cut.rows = self.outputs.div_ceil(TALL).div_ceil(parts) * TALL;
        }
        cut
    }

    /// `samples` samples of outputs; and, if `counted`, the moments of their rows.
    fn run(
        &self,
        isa: InstructionSet,
        samples: usize,
        x: Input<'_, T>,
        finish: Finish<'_, T>,
        counted: bool,
    ) -> (Vec<T>, Vec<RowMoment>) {
        let sample = self.groups * self.outputs * self.length;
        let mut out = Vec::with_capacity(samples * sample);
        if samples * sample == 0 {
            return (out, Vec::new());
        }
        assert!(x.count() >= samples * self.groups * self.inputs * self.length_in);
        let cut = self.cut(samples);
        let by_samples = samples.div_ceil(cut.samples);
        let by_groups = self.groups.div_ceil(cut.groups);
        let by_rows = self.outputs.div_ceil(cut.rows);
        let by_pairs = self.pairs().div_ceil(cut.pairs);
        let start = Start::new(&mut out);
        let task = |scratch: &mut [Scratch<T>; 3], number: usize| {
            let (number, pairs) = (number / by_pairs, number % by_pairs);
            let (number, rows) = (number / by_rows, number % by_rows);
            let (number, groups) = (number / by_groups, number % by_groups);
            let pairs = part(pairs, cut.pairs, self.pairs());
            let part = Part {
                samples: part(number, cut.samples, samples),
                groups: part(groups, cut.groups, self.groups),
                rows: part(rows, cut.rows, self.outputs),
                slot: pairs.len().next_multiple_of(PIECE / 2),
                pairs,
            };
            // SAFETY: the parts are disjoint, and lie inside the result
            unsafe { self.task(isa, x, finish, &start, &part, scratch) };
            if !counted || by_groups * by_rows * by_pairs > 1 {
                return Vec::new();
            }
            // SAFETY: the task has written all of these samples
            let rows = unsafe {
                let first = start.at(part.samples.start * sample).cast::<T>();
                std::slice::from_raw_parts(first, part.samples.len() * sample)
            };
            moments::of_near(rows, self.length)
        };
        let scratch = || [(); 3].map(|()| Scratch::new());
        let tasks = by_samples * by_groups * by_rows * by_pairs;
        let moments: Vec<_> = if shares::threads() == 1 || tasks == 1 {
            let mut scratch = scratch();
            (0..tasks).map(|number| task(&mut scratch, number)).collect()
        } else {
            (0..tasks).into_par_iter().map_init(scratch, task).collect()
        };
        // SAFETY: the parts make up the whole result, and each task has written all of its part
        unsafe { out.set_len(samples * sample) };
        let mut moments = moments.concat();
        if counted && moments.is_empty() {
            moments = moments::of_all(&out, self.length);
        }
        (out, moments)
    }

    /// # Safety
    /// `out` is the start of the whole result, the part lies inside of it and nobody else uses that meanwhile.
    unsafe fn task(
        &self,
        isa: InstructionSet,
        x: Input<'_, T>,
        finish: Finish<'_, T>,
        out: &Start<T>,
        part: &Part,
        [panels, sums, lines]: &mut [Scratch<T>; 3],
    ) {
        let width = part.samples.len() * part.slot;
        let of_product = width.div_ceil(STRIPE) * self.inputs * STRIPE;
        let panel = panels.take(PRODUCTS * of_product);
        let offsets = Offsets::new((0..self.inputs).map(|input| input * STRIPE).collect());
        let pieces = self.pieces(part);
        let blocks: Vec<Span> = spans(self.outputs)
            .filter(|span| part.rows.contains(&span.first))
            .collect();
        let near = PRODUCTS * self.inputs * STRIPE * size_of::<T>() <= NEAR;
        let at_once = if near { 1 } else { blocks.len() };
        let sums = sums.take(at_once * OF_BLOCK);
        let calls = part.groups.len() * blocks.len() * PRODUCTS * width.div_ceil(STRIPE);
        let mut ahead = Ahead::new(self.groups * self.inputs * self.length_in, &part.samples, calls);
        for g in part.groups.clone() {
            self.pack(x, g, part, lines, panel);
            for first in (0..width).step_by(STRIPE) {
                let end = (first + STRIPE).min(width);
                let stripe = Stripe {
                    g,
                    panels: std::array::from_fn(|product| &panel[product * of_product..][first * self.inputs..]),
                    offsets: &offsets,
                    width: end - first,
                    pieces: &pieces[2 * first / PIECE..2 * end / PIECE],
                };
                for blocks in blocks.chunks(at_once) {
                    // a stripe of one product of all inputs serves all blocks
                    for product in 0..PRODUCTS {
                        for (&span, sums) in blocks.iter().zip(sums.chunks_exact_mut(OF_BLOCK)) {
                            ahead.ask(x);
                            let row = (part.samples.start * self.groups + g) * self.outputs + span.first;
                            // SAFETY: the caller's promise
                            unsafe {
                                self.product(isa, &stripe, span, product, finish, out.at(row * self.length), sums);
                            };
                        }
                    }
                }
            }
        }
    }

    /// Where the outputs of all pairs go, from the first sample's rows on.
    fn pieces(&self, part: &Part) -> Vec<Piece> {
        let end = (2 * part.pairs.end).min(self.length);
        let of_sample = |sample: usize| {
            (0..2 * part.slot / PIECE).map(move |piece| {
                let first = 2 * part.pairs.start + piece * PIECE;
                Piece {
                    at: sample * self.groups * self.outputs * self.length + first,
                    count: end.saturating_sub(first).min(PIECE),
                }
            })
        };
        (0..part.samples.len()).flat_map(of_sample).collect()
    }

    /// What the weights are multiplied with: for each product a panel of all pairs, stripe by stripe the rows of all inputs. What
    /// lies between samples is of no meaning.
    fn pack(&self, x: Input<'_, T>, g: usize, part: &Part, lines: &mut Scratch<T>, panel: &mut [T]) {
        let count = 2 * part.slot + 2;
        let lines = lines.take(LINES * count);
        // of the first value of a line in a row of the input
        let start = 2 * part.pairs.start as isize - self.padding;
        let low = (-start).clamp(0, count as isize) as usize;
        let high = (self.length_in as isize - start).clamp(low as isize, count as isize) as usize;
        let [p0, p1, p2, p3] = winograd::quarters(panel);
        for (sample, number) in part.samples.clone().enumerate() {
            let first = (number * self.groups + g) * self.inputs;
            for inputs in (0..self.inputs).step_by(LINES) {
                let inputs = inputs..(inputs + LINES).min(self.inputs);
                for (input, line) in inputs.clone().zip(lines.chunks_exact_mut(count)) {
                    line[..low].fill(T::zero());
                    line[high..].fill(T::zero());
                    if low < high {
                        x.copy(first + input, (start + low as isize) as usize, &mut line[low..high]);
                    }
                }
                for (input, line) in inputs.zip(lines.chunks_exact(count)) {
                    winograd::input_sums(line, sample * part.slot, (input, self.inputs), p0, p1, p2, p3);
                }
            }
        }
    }

    /// One of the products of a stripe of a block of outputs; with the last come the outputs themselves.
    ///
    /// # Safety
    /// From `out` on, the block's first row of the task's first sample, the stripe's pieces lie inside the result, and nobody else uses
    /// them meanwhile.
    #[allow(clippy::too_many_arguments, reason = "the loops around it")]
    unsafe fn product(
        &self,
        isa: InstructionSet,
        stripe: &Stripe<'_, T>,
        span: Span,
        product: usize,
        finish: Finish<'_, T>,
        out: *mut MaybeUninit<T>,
        sums: &mut [T],
    ) {
        let to = Pieces {
            first: out.cast(),
            rows: span.rows,
            stride: self.length,
            row: stripe.pieces,
        };
        to.ask(product, PRODUCTS);
        let first = stripe.g * self.outputs + span.first;
        let finish = finish.rows(first..first + span.rows);
        let of_product = self.weights.len() / PRODUCTS;
        let weights = &self.weights[product * of_product..][..of_product];
        let weights = &weights[(stripe.g * padded(self.outputs) + span.first) * self.inputs..];
        let terms = Terms {
            weights: &weights[..span.height * self.inputs],
            offsets: stripe.offsets,
            count: self.inputs,
            panel: stripe.panels[product],
            // both outputs of a pair have the second product as it is
            finish: Finish {
                bias: if product == 1 { finish.bias } else { &[] },
                ..Finish::NONE
            },
        };
        let place = Place {
            first: sums[product * TALL * STRIPE..][..TALL * STRIPE].as_mut_ptr(),
            stride: STRIPE,
            width: stripe.width,
            put: Put::Near,
        };
        // SAFETY: the sums are borrowed exclusively and hold all rows; the machine has `isa`
        unsafe { block(isa, span, &terms, &place) };
        if product + 1 == PRODUCTS {
            let sums = Sums {
                values: sums,
                height: TALL,
                stride: STRIPE,
                width: stripe.width,
                finish,
            };
            // SAFETY: the caller's promise; the machine has `isa`
            unsafe { scatter(isa, &sums, &to) };
        }
    }
}

/// The forward pass; and, if `counted`, the moments of the rows that it makes.
pub(super) fn forward<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    weights: Weights<'_, T>,
    finish: Finish<'_, T>,
    counted: bool,
) -> (Vec<T>, Vec<RowMoment>) {
    let (inputs, outputs) = s.group();
    Plan {
        inputs,
        outputs,
        groups: s.groups,
        length_in: s.l_in,
        length: s.l_out,
        padding: s.padding as isize,
        weights: match weights {
            Weights::Packed(weights) => Cow::Borrowed(weights),
            Weights::Plain(weights) => Cow::Owned(winograd::pack(isa, weights, (inputs, outputs), s.groups, false)),
        },
    }
    .run(isa, s.n, x, finish, counted)
}

/// The gradient of the input.
pub(super) fn input_gradient<T: Real>(s: &Sizes, isa: InstructionSet, weights: &[T], dy: &[T]) -> Vec<T> {
    let (inputs, outputs) = s.group();
    Plan {
        inputs: outputs,
        outputs: inputs,
        groups: s.groups,
        length_in: s.l_out,
        length: s.l_in,
        padding: 2 - s.padding as isize,
        weights: Cow::Owned(winograd::pack(isa, weights, (inputs, outputs), s.groups, true)),
    }
    .run(isa, s.n, Input::written(dy, s.l_out), Finish::NONE, false)
    .0
}
