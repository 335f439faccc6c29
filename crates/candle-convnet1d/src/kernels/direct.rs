//! Convolution as sums of shifted rows: the forward pass and the gradient of the input, which is a
//! convolution as well, or `stride` interleaved ones.
#![allow(unsafe_code)]

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Sizes;
use super::ahead::Ahead;
use super::cut::{Cut, SMALL};
use super::panel::Rows;
use super::real::Real;
use super::tile::{Finish, Offsets, Place, Put, SLACK, Span, Terms, block, padded, spans};
use super::weights::{Strides, Tap, Weights, forward_strides, pack_weights};
use crate::InstructionSet;
use crate::moments::{self, RowMoment};
use crate::scratch::Scratch;
use crate::shares;
use crate::values::Input;
use crate::vectorised::vectorised;

/// One convolution: phase number i has the outputs i, i + the plan's `step` and so on.
struct Phase<'a, T: Real> {
    length: usize,
    offsets: Offsets,
    /// For each group and block of outputs, for each term, one weight for each output.
    weights: Cow<'a, [T]>,
}

/// The convolutions that make up a pass, and what they share.
struct Plan<'a, T: Real> {
    rows: Rows,
    /// Whether the input serves as it lies, as panels of all its positions.
    in_place: bool,
    /// Output channels of a group.
    outputs: usize,
    groups: usize,
    /// Length of an output row.
    length: usize,
    /// From one output of a phase to the next.
    step: usize,
    phases: Vec<Phase<'a, T>>,
    cut: Cut,
}

/// Bytes of a panel that stay in the first-level cache while all outputs are computed from them.
const NEAR: usize = 24 * 1024;
/// The least number of positions of such a stripe; stripes are multiples of it, and whole tiles.
const STRIPE: usize = 64;

/// The start of a result, written to by several tasks.
pub(super) struct Start<T>(*mut MaybeUninit<T>);
// SAFETY: each task writes to places of its own
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    pub fn new(result: &mut Vec<T>) -> Self {
        Self(result.spare_capacity_mut().as_mut_ptr())
    }

    /// # Safety
    /// `index` lies inside the result.
    pub unsafe fn at(&self, index: usize) -> *mut MaybeUninit<T> {
        // SAFETY: the caller's promise
        unsafe { self.0.add(index) }
    }
}

impl<T: Real> Plan<'_, T> {
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
        assert!(x.count() >= samples * self.groups * self.rows.channels * self.rows.length);
        let place = &mut out.spare_capacity_mut()[..samples * sample];
        let moments = match self.cut {
            Cut::Pieces { rows, positions } => {
                self.run_pieces(isa, (rows, positions), place, x, finish);
                None
            }
            Cut::Samples(batch) => {
                let task = |(panels, strided): &mut (Scratch<T>, Scratch<T>),
                            (task, out): (usize, &mut [MaybeUninit<T>])| {
                    self.task(isa, (x, task * batch), finish, out, panels, strided);
                    if !counted {
                        return Vec::new();
                    }
                    // SAFETY: the task has written all of it
                    let out = unsafe { &*(std::ptr::from_ref(out) as *const [T]) };
                    moments::of_near(out, self.length)
                };
                let scratch = || (Scratch::new(), Scratch::new());
                let moments: Vec<_> = if shares::threads() == 1 {
                    let mut scratch = scratch();
                    let tasks = place.chunks_mut(batch * sample).enumerate();
                    tasks.map(|part| task(&mut scratch, part)).collect()
                } else {
                    let tasks = place.par_chunks_mut(batch * sample).enumerate();
                    tasks.map_init(scratch, task).collect()
                };
                Some(moments.concat())
            }
        };
        // SAFETY: the tasks' parts make up the whole buffer, and each task writes all of its part
        unsafe { out.set_len(samples * sample) };
        let moments = match moments {
            None if counted => moments::of_all(&out, self.length),
            moments => moments.unwrap_or_default(),
        };
        (out, moments)
    }

    /// Pieces of so many rows and positions of each group of each sample.
    fn run_pieces(
        &self,
        isa: InstructionSet,
        (rows, positions): (usize, usize),
        out: &mut [MaybeUninit<T>],
        x: Input<'_, T>,
        finish: Finish<'_, T>,
    ) {
        let group_in = self.rows.channels * self.rows.length;
        let group_out = self.outputs * self.length;
        let groups = out.len() / group_out;
        let (by_rows, by_positions) = (self.outputs.div_ceil(rows), self.length.div_ceil(positions));
        let start = Start(out.as_mut_ptr());
        let piece = |(panels, strided): &mut (Scratch<T>, Scratch<T>), number: usize| {
            let (number, from) = (number / by_positions, number % by_positions * positions);
            let (number, first) = (number / by_rows, number % by_rows * rows);
            let g = number % self.groups;
            let (panel, before) = match x.in_memory() {
                Some(x) if self.in_place => (&x[number * group_in..][..group_in], 0),
                _ => {
                    let panel = panels.take(self.rows.size());
                    self.rows.pack(x, number * self.rows.channels, from, panel);
                    (&*panel, from)
                }
            };
            let finish = finish.rows(g * self.outputs..(g + 1) * self.outputs);
            let end = (from + positions).min(self.longest());
            let stripes = self.stripes(end - from.min(end));
            for at in (from..end).step_by(stripes) {
                for span in spans(self.outputs).filter(|span| (first..first + rows).contains(&span.first)) {
                    let stripe = at..(at + stripes).min(end);
                    // SAFETY: the group's place; no other piece has these rows at these positions
                    unsafe {
                        let out = start.at(number * group_out);
                        self.block(isa, (g, span), (panel, before), finish, stripe, out, strided);
                    }
                }
            }
        };
        let pieces = groups * by_rows * by_positions;
        let terms: usize = self.phases.iter().map(|phase| phase.offsets.len() * phase.length).sum();
        let threads = shares::threads();
        let scratch = || (Scratch::new(), Scratch::new());
        if threads == 1 || pieces == 1 || groups * self.outputs * terms < SMALL {
            let mut scratch = scratch();
            (0..pieces).for_each(|number| piece(&mut scratch, number));
        } else {
            let pieces = (0..pieces).into_par_iter().with_min_len(pieces.div_ceil(threads));
            pieces.for_each_init(scratch, piece);
        }
    }

    /// All outputs of some samples, from a first one of `x` on.
    fn task(
        &self,
        isa: InstructionSet,
        (x, first): (Input<'_, T>, usize),
        finish: Finish<'_, T>,
        out: &mut [MaybeUninit<T>],
        panels: &mut Scratch<T>,
        strided: &mut Scratch<T>,
    ) {
        let group_out = self.outputs * self.length;
        let samples = out.len() / (self.groups * group_out);
        let size = self.rows.size();
        let panels = panels.take(samples * size);
        let out = Start(out.as_mut_ptr());
        let end = self.longest();
        // weights that do not stay in the cache serve all samples before the next block of them
        let stripes = if samples > 1 { end.max(1) } else { self.stripes(end) };
        let calls = end.div_ceil(stripes) * samples * spans(self.outputs).count();
        let sample = self.groups * self.rows.channels * self.rows.length;
        let mut ahead = Ahead::new(sample, &(first..first + samples), self.groups * calls);
        for g in 0..self.groups {
            for (sample, panel) in panels.chunks_exact_mut(size).enumerate() {
                let row = ((first + sample) * self.groups + g) * self.rows.channels;
                self.rows.pack(x, row, 0, panel);
            }
            let finish = finish.rows(g * self.outputs..(g + 1) * self.outputs);
            let panels = &*panels;
            for at in (0..end).step_by(stripes) {
                for span in spans(self.outputs) {
                    for (sample, panel) in panels.chunks_exact(size).enumerate() {
                        let positions = at..(at + stripes).min(end);
                        ahead.ask(x);
                        // SAFETY: the place of a group, which is this task's
                        unsafe {
                            let out = out.at((sample * self.groups + g) * group_out);
                            self.block(isa, (g, span), (panel, 0), finish, positions, out, strided);
                        }
                    }
                }
            }
        }
    }

    /// Positions whose part of a panel stays near.
    fn stripes(&self, length: usize) -> usize {
        let fit = NEAR / (self.rows.channels * self.rows.residues() * size_of::<T>()).max(1);
        if length <= fit {
            length.max(1)
        } else {
            (fit / STRIPE).max(1) * STRIPE
        }
    }

    /// Positions of the longest phase.
    fn longest(&self) -> usize {
        self.phases.iter().map(|phase| phase.length).max().unwrap_or(0)
    }

    /// Some positions of all phases of a block of output rows of one group of one sample, from a panel whose first output has the
    /// number `before`.
    ///
    /// # Safety
    /// `out` is the start of that group's rows, `outputs` of them, and nobody else uses these positions of these rows
    /// meanwhile.
    #[allow(clippy::too_many_arguments, reason = "the four loops around it")]
    unsafe fn block(
        &self,
        isa: InstructionSet,
        (g, span): (usize, Span),
        (panel, before): (&[T], usize),
        finish: Finish<'_, T>,
        positions: Range<usize>,
        out: *mut MaybeUninit<T>,
        strided: &mut Scratch<T>,
    ) {
        assert!(span.first + span.rows <= self.outputs && positions.end <= self.longest());
        let start = positions.start;
        let finish = finish.rows(span.first..span.first + span.rows);
        let terms = |phase: &'_ Phase<'_, T>| {
            let count = phase.offsets.len();
            // all blocks before the last one of a group are full
            let first = (g * padded(self.outputs) + span.first) * count;
            (count, first..first + span.height * count)
        };
        let sums = |phase: &Phase<'_, T>, place: Place<T>| {
            if place.width == 0 {
                return;
            }
            let (count, weights) = terms(phase);
            let terms = Terms {
                weights: &phase.weights[weights],
                offsets: &phase.offsets,
                count,
                panel: panel.get(start - before..).unwrap_or(&[]),
                finish,
            };
            // SAFETY: the callers' places hold all rows; the machine has `isa`
            unsafe { block(isa, span, &terms, &place) };
        };
        // SAFETY: the first of the rows, which lie inside the group
        let out = unsafe { out.add(span.first * self.length) };
        if let [phase] = &self.phases[..] {
            assert!(phase.length == self.length);
            let place = Place {
                // SAFETY: inside the row
                first: unsafe { out.add(start) }.cast::<T>(),
                stride: self.length,
                width: positions.len(),
                put: Put::Write,
            };
            sums(phase, place);
            return;
        }
        let size = span.rows * positions.len();
        let rows = strided.take(self.phases.len() * size);
        for (phase, rows) in self.phases.iter().zip(rows.chunks_exact_mut(size.max(1))) {
            let place = Place {
                first: rows.as_mut_ptr(),
                stride: positions.len(),
                width: positions.end.min(phase.length) - start.min(phase.length),
                put: Put::Near,
            };
            sums(phase, place);
        }
        for m in 0..span.rows {
            let first = m * self.length + start * self.step;
            let count = (positions.len() * self.step).min(self.length - start * self.step);
            // SAFETY: the positions of a row, which has them
            let to = unsafe { std::slice::from_raw_parts_mut(out.add(first), count) };
            let row = |number: usize| &rows[number * size + m * positions.len()..][..positions.len()];
            if let [_, _] = self.phases[..] {
                alternate(row(0), row(1), to);
                continue;
            }
            for (at, to) in to.iter_mut().enumerate() {
                to.write(row(at % self.step)[at / self.step]);
            }
        }
    }
}

vectorised! {
    /// A value of each in turn.
    fn alternate<T>(even: &[T], odd: &[T], to: &mut [MaybeUninit<T>]) {
        let (pairs, last) = to.as_chunks_mut::<2>();
        let count = pairs.len();
        for ([a, b], (&even, &odd)) in pairs.iter_mut().zip(even.iter().zip(odd)) {
            a.write(even);
            b.write(odd);
        }
        if let [last] = last {
            last.write(even[count]);
        }
    }
}

impl Sizes {
    /// Whether rows serve as they lie, as panels of all their positions.
    fn in_place(&self) -> bool {
        (self.kernel, self.stride, self.padding, self.l_out) == (1, 1, 0, self.l_in) && self.l_in.is_multiple_of(SLACK)
    }
}

impl Rows {
    /// For each channel of such rows, where it starts.
    fn as_they_lie(&self) -> Offsets {
        Offsets::new((0..self.channels).map(|channel| channel * self.length).collect())
    }
}

/// For each channel and tap, where in a panel it starts.
fn offsets(rows: &Rows, taps: &[Tap]) -> Offsets {
    let of_taps: Vec<usize> = taps.iter().map(|tap| rows.offset(tap.shift)).collect();
    let mut starts = Vec::with_capacity(rows.channels * taps.len());
    for channel in 0..rows.channels {
        let start = channel * rows.channel_stride();
        starts.extend(of_taps.iter().map(|offset| start + offset));
    }
    Offsets::new(starts)
}

/// The forward pass; and, if `counted`, the moments of the rows that it makes, taken while they lie in a cache.
pub(crate) fn forward<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    weights: Weights<'_, T>,
    finish: Finish<'_, T>,
    counted: bool,
) -> (Vec<T>, Vec<RowMoment>) {
    let (c, o) = s.group();
    let taps: Vec<Tap> = (0..s.kernel)
        .map(|tap| Tap {
            tap,
            shift: (tap * s.dilation) as isize - s.padding as isize,
        })
        .collect();
    let cut = Cut::new::<T>(s.n, s.groups, (o, s.l_out, c * s.kernel), c * s.l_in, true);
    let (outputs, few) = match cut {
        Cut::Samples(_) => (s.l_out, false),
        Cut::Pieces { positions, .. } => (positions, true),
    };
    let in_place = few && x.in_memory().is_some() && s.in_place();
    let rows = Rows::new(c, s.l_in, s.stride, outputs, taps.iter().map(|tap| tap.shift));
    let offsets = if in_place {
        rows.as_they_lie()
    } else {
        offsets(&rows, &taps)
    };
    let weights = match weights {
        Weights::Packed(weights) => Cow::Borrowed(weights),
        Weights::Plain(weights) => {
            let strides = forward_strides(c, o, s.kernel);
            Cow::Owned(pack_weights(isa, weights, c, (o, s.groups), &taps, &strides))
        }
    };
    Plan {
        rows,
        in_place,
        outputs: o,
        groups: s.groups,
        length: s.l_out,
        step: 1,
        phases: vec![Phase {
            length: s.l_out,
            offsets,
            weights,
        }],
        cut,
    }
    .run(isa, s.n, x, finish, counted)
}

/// The gradient of the input.
pub(super) fn input_gradient<T: Real>(s: &Sizes, isa: InstructionSet, weights: &[T], dy: &[T]) -> Vec<T> {
    InputGradient::new(s, isa, weights).of(s.n, dy)
}

/// Gradients of the input for outputs' gradients of one shape, but for the number of samples: input i contributed to output j
/// by tap t where `i + padding = j stride + t dilation`, so the inputs of one residue modulo the stride are a convolution of
/// the output gradient with some of the taps.
pub(crate) struct InputGradient<'a, T: Real> {
    plan: Plan<'a, T>,
    isa: InstructionSet,
    /// Of an output row.
    length: usize,
}

impl<T: Real> InputGradient<'_, T> {
    /// With the work shared out for so many samples as `s` says.
    pub fn new(s: &Sizes, isa: InstructionSet, weights: &[T]) -> Self {
        let (c, o) = s.group();
        let stride = s.stride as isize;
        let phases: Vec<_> = (0..s.stride.min(s.l_in))
            .map(|first| {
                let taps = (0..s.kernel).filter_map(|tap| {
                    let ahead = (first + s.padding) as isize - (tap * s.dilation) as isize;
                    (ahead % stride == 0).then_some(Tap {
                        tap,
                        shift: ahead / stride,
                    })
                });
                ((s.l_in - first).div_ceil(s.stride), taps.collect::<Vec<_>>())
            })
            .collect();
        let shifts = phases.iter().flat_map(|(_, taps)| taps.iter().map(|tap| tap.shift));
        let strides = Strides {
            group: o * c * s.kernel,
            output: s.kernel,
            input: c * s.kernel,
        };
        let rows = Rows::new(o, s.l_out, 1, s.l_in.div_ceil(s.stride), shifts);
        let cut = Cut::new::<T>(s.n, s.groups, (c, s.l_in, o * s.kernel), o * s.l_out, false);
        let in_place = matches!(cut, Cut::Pieces { .. }) && s.in_place();
        let phases = phases.into_iter().map(|(length, taps)| Phase {
            length,
            offsets: if in_place {
                rows.as_they_lie()
            } else {
                offsets(&rows, &taps)
            },
            weights: Cow::Owned(pack_weights(isa, weights, o, (c, s.groups), &taps, &strides)),
        });
        let phases = phases.collect();
        Self {
            plan: Plan {
                rows,
                in_place,
                outputs: c,
                groups: s.groups,
                length: s.l_in,
                step: s.stride,
                phases,
                cut,
            },
            isa,
            length: s.l_out,
        }
    }

    /// Of some samples.
    pub fn of(&self, samples: usize, dy: &[T]) -> Vec<T> {
        let dy = Input::written(dy, self.length);
        self.plan.run(self.isa, samples, dy, Finish::NONE, false).0
    }
}
