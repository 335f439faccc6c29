//! Convolution as sums of shifted rows: the forward pass and the gradient of the input, which is a
//! convolution as well, or `stride` interleaved ones.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Sizes;
use super::panel::{Rows, Scratch};
use super::tile::{Finish, Offsets, Place, Real, Span, TALL, Terms, block, padded, spans};
use crate::InstructionSet;

/// A tap of the kernel, and how far from the position of the output it reads.
#[derive(Clone, Copy)]
struct Tap {
    tap: usize,
    shift: isize,
}

/// The outputs at `first`, `first` + the plan's `step` and so on: one convolution.
struct Phase<T> {
    first: usize,
    length: usize,
    offsets: Offsets,
    /// For each group and block of outputs, for each term, one weight for each output.
    weights: Vec<T>,
}

/// The convolutions that make up a pass, and what they share.
struct Plan<T> {
    rows: Rows,
    /// Output channels of a group.
    outputs: usize,
    groups: usize,
    /// Length of an output row.
    length: usize,
    /// From one output of a phase to the next.
    step: usize,
    phases: Vec<Phase<T>>,
}

/// Where a weight lies: `group`, `output` and `input` elements apart, taps adjacent.
struct Strides {
    group: usize,
    output: usize,
    input: usize,
}

/// Bytes of weights that stay in the second-level cache beside a panel. More are used for several
/// samples at a time.
const RESIDENT: usize = 256 * 1024;
/// Positions that make reading all the weights worth while.
const POSITIONS: usize = 256;
/// Below so many tasks, the outputs of a sample are shared out as well, into at least so many pieces.
const FEW: usize = 4;
const PIECES: usize = 8;
/// Bytes of a panel that stay in the first-level cache while all outputs are computed from them.
const NEAR: usize = 24 * 1024;
/// The least number of positions of such a stripe; stripes are multiples of it, and whole tiles.
const STRIPE: usize = 64;

impl<T: Real> Plan<T> {
    /// `phases`: first output, number of outputs, taps.
    fn new(
        rows: Rows,
        (outputs, groups, length): (usize, usize, usize),
        step: usize,
        phases: &[(usize, usize, Vec<Tap>)],
        weights: &[T],
        strides: &Strides,
    ) -> Self {
        let phases = phases.iter().map(|(first, length, taps)| {
            let starts = (0..rows.channels)
                .flat_map(|channel| taps.iter().map(move |tap| (channel, tap.shift)))
                .map(|(channel, shift)| rows.offset(channel, shift));
            Phase {
                first: *first,
                length: *length,
                offsets: Offsets::new(starts.collect()),
                weights: pack_weights(weights, rows.channels, (outputs, groups), taps, strides),
            }
        });
        let phases = phases.collect();
        Self {
            rows,
            outputs,
            groups,
            length,
            step,
            phases,
        }
    }

    /// Samples of a task.
    fn batch(&self) -> usize {
        let weights = self.phases.iter().map(|phase| phase.weights.len()).sum::<usize>() / self.groups;
        if weights * size_of::<T>() > RESIDENT {
            (POSITIONS / self.length.max(1)).max(1)
        } else {
            1
        }
    }

    /// `samples` samples of outputs.
    fn run(&self, isa: InstructionSet, samples: usize, x: &[T], finish: Finish<'_, T>) -> Vec<T> {
        let sample = self.groups * self.outputs * self.length;
        let mut out = Vec::with_capacity(samples * sample);
        if samples * sample == 0 {
            return out;
        }
        let batch = self.batch();
        if samples.div_ceil(batch) < FEW {
            self.run_few(isa, &mut out.spare_capacity_mut()[..samples * sample], x, finish);
            // SAFETY: each piece of the buffer is written in full
            unsafe { out.set_len(samples * sample) };
            return out;
        }
        out.spare_capacity_mut()[..samples * sample]
            .par_chunks_mut(batch * sample)
            .enumerate()
            .for_each_init(
                || (Scratch::new(), Scratch::new()),
                |(panels, strided), (task, out)| {
                    let inputs = self.groups * self.rows.channels * self.rows.length;
                    let x = &x[task * batch * inputs..];
                    self.task(isa, &x[..out.len() / sample * inputs], finish, out, panels, strided);
                },
            );
        // SAFETY: the chunks make up the whole buffer, and each task writes all of its chunk
        unsafe { out.set_len(samples * sample) };
        out
    }

    /// So few samples that tasks share the outputs of one: each packs its input anew.
    fn run_few(&self, isa: InstructionSet, out: &mut [MaybeUninit<T>], x: &[T], finish: Finish<'_, T>) {
        let group_in = self.rows.channels * self.rows.length;
        let group_out = self.outputs * self.length;
        let groups = out.len() / group_out;
        let parts = PIECES.div_ceil(groups);
        let rows = self.outputs.div_ceil(parts).next_multiple_of(TALL);
        let mut pieces: Vec<_> = out
            .chunks_mut(group_out)
            .enumerate()
            .flat_map(|(number, out)| {
                let parts = out.chunks_mut(rows * self.length).enumerate();
                parts.map(move |(part, out)| (number, part * rows, out))
            })
            .collect();
        // many groups: some of them are one task
        let least = pieces.len().div_ceil(PIECES);
        pieces.par_iter_mut().with_min_len(least).for_each_init(
            || (Scratch::new(), Scratch::new()),
            |(panels, strided), (number, first, out)| {
                let g = *number % self.groups;
                let panel = panels.take(self.rows.size());
                self.rows.pack(&x[*number * group_in..][..group_in], panel);
                let finish = finish.rows(g * self.outputs..(g + 1) * self.outputs);
                let end = *first + out.len() / self.length;
                for phase in &self.phases {
                    let stripes = self.stripes(phase.length);
                    for at in (0..phase.length).step_by(stripes) {
                        for span in spans(self.outputs).filter(|span| (*first..end).contains(&span.first)) {
                            let positions = at..(at + stripes).min(phase.length);
                            self.block(
                                isa,
                                (g, span),
                                phase,
                                panel,
                                finish,
                                positions,
                                (*first, &mut **out),
                                strided,
                            );
                        }
                    }
                }
            },
        );
    }

    /// All outputs of some samples.
    fn task(
        &self,
        isa: InstructionSet,
        x: &[T],
        finish: Finish<'_, T>,
        out: &mut [MaybeUninit<T>],
        panels: &mut Scratch<T>,
        strided: &mut Scratch<T>,
    ) {
        let group_in = self.rows.channels * self.rows.length;
        let group_out = self.outputs * self.length;
        let samples = out.len() / (self.groups * group_out);
        let size = self.rows.size();
        let panels = panels.take(samples * size);
        for g in 0..self.groups {
            for (sample, panel) in panels.chunks_exact_mut(size).enumerate() {
                self.rows
                    .pack(&x[(sample * self.groups + g) * group_in..][..group_in], panel);
            }
            let finish = finish.rows(g * self.outputs..(g + 1) * self.outputs);
            // weights that do not stay in the cache serve all samples before the next block of them
            let together = samples > 1;
            let panels = &*panels;
            for phase in &self.phases {
                let stripes = self.stripes(phase.length);
                if together {
                    for span in spans(self.outputs) {
                        for (sample, panel) in panels.chunks_exact(size).enumerate() {
                            let out = &mut out[(sample * self.groups + g) * group_out..][..group_out];
                            self.block(isa, (g, span), phase, panel, finish, 0..phase.length, (0, out), strided);
                        }
                    }
                    continue;
                }
                let out = &mut out[g * group_out..][..group_out];
                for at in (0..phase.length).step_by(stripes) {
                    for span in spans(self.outputs) {
                        let positions = at..(at + stripes).min(phase.length);
                        self.block(
                            isa,
                            (g, span),
                            phase,
                            panels,
                            finish,
                            positions,
                            (0, &mut *out),
                            strided,
                        );
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

    /// Some positions of a block of output rows of one group of one sample. `out` holds rows of that group from
    /// number `first` on.
    #[allow(clippy::too_many_arguments, reason = "the five loops around it")]
    fn block(
        &self,
        isa: InstructionSet,
        (g, span): (usize, Span),
        phase: &Phase<T>,
        panel: &[T],
        finish: Finish<'_, T>,
        positions: Range<usize>,
        (first, out): (usize, &mut [MaybeUninit<T>]),
        strided: &mut Scratch<T>,
    ) {
        let out = &mut out[(span.first - first) * self.length..];
        assert!(out.len() >= span.rows * self.length && phase.length <= self.length);
        assert!(positions.end <= phase.length && span.first + span.rows <= self.outputs);
        let count = phase.offsets.len();
        // all blocks before the last one of a group are full
        let weights = &phase.weights[(g * padded(self.outputs) + span.first) * count..][..span.height * count];
        let terms = Terms {
            weights,
            offsets: &phase.offsets,
            count,
            panel: panel.get(positions.start..).unwrap_or(&[]),
            finish: finish.rows(span.first..span.first + span.rows),
        };
        let width = positions.len();
        if self.phases.len() == 1 {
            let out = &mut out[positions.start..];
            assert!(out.len() >= (span.rows - 1) * self.length + width);
            let place = Place {
                first: out.as_mut_ptr().cast::<T>(),
                stride: self.length,
                width,
                add: false,
            };
            // SAFETY: `out` is borrowed exclusively and holds all rows; the machine has `isa`
            unsafe { block(isa, span, &terms, &place) };
            return;
        }
        if width == 0 {
            return;
        }
        let rows = strided.take(span.rows * width);
        let place = Place {
            first: rows.as_mut_ptr(),
            stride: width,
            width,
            add: false,
        };
        // SAFETY: as above, `rows` in place of `out`
        unsafe { block(isa, span, &terms, &place) };
        let out = out.chunks_exact_mut(self.length);
        for (out, row) in out.zip(rows.chunks_exact(width)) {
            let out = &mut out[phase.first + positions.start * self.step..];
            for (out, &value) in out.iter_mut().step_by(self.step).zip(row) {
                out.write(value);
            }
        }
    }
}

/// The weights in the order in which the inner loop reads them.
fn pack_weights<T: Real>(
    weights: &[T],
    inputs: usize,
    (outputs, groups): (usize, usize),
    taps: &[Tap],
    strides: &Strides,
) -> Vec<T> {
    let terms = inputs * taps.len();
    let mut packed = vec![T::zero(); groups * padded(outputs) * terms];
    let spans: Vec<Span> = (0..groups)
        .flat_map(|g| {
            spans(outputs).map(move |span| Span {
                first: g * outputs + span.first,
                ..span
            })
        })
        .collect();
    let mut places = Vec::with_capacity(spans.len());
    let mut rest = &mut packed[..];
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
        // row by row of the weights, as they lie
        for m in 0..span.rows {
            let row = &weights[g * strides.group + (first + m) * strides.output..];
            for input in 0..inputs {
                for (k, tap) in taps.iter().enumerate() {
                    place[(input * taps.len() + k) * span.height + m] = row[input * strides.input + tap.tap];
                }
            }
        }
    };
    if terms * outputs * groups > 64 * 1024 {
        places.into_par_iter().for_each(pack);
    } else {
        places.into_iter().for_each(pack);
    }
    packed
}

/// The forward pass.
pub(crate) fn forward<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: &[T],
    weights: &[T],
    finish: Finish<'_, T>,
) -> Vec<T> {
    let (c, o) = s.group();
    let taps: Vec<Tap> = (0..s.kernel)
        .map(|tap| Tap {
            tap,
            shift: (tap * s.dilation) as isize - s.padding as isize,
        })
        .collect();
    let rows = Rows::new(c, s.l_in, s.stride, s.l_out, taps.iter().map(|tap| tap.shift));
    let strides = Strides {
        group: o * c * s.kernel,
        output: c * s.kernel,
        input: s.kernel,
    };
    Plan::new(
        rows,
        (o, s.groups, s.l_out),
        1,
        &[(0, s.l_out, taps)],
        weights,
        &strides,
    )
    .run(isa, s.n, x, finish)
}

/// The gradient of the input: input i contributed to output j by tap t where
/// `i + padding = j stride + t dilation`, so the inputs of one residue modulo the stride are a
/// convolution of the output gradient with some of the taps.
pub(crate) fn input_gradient<T: Real>(s: &Sizes, isa: InstructionSet, weights: &[T], dy: &[T]) -> Vec<T> {
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
            (first, (s.l_in - first).div_ceil(s.stride), taps.collect::<Vec<_>>())
        })
        .collect();
    let shifts = phases.iter().flat_map(|(_, _, taps)| taps.iter().map(|tap| tap.shift));
    let rows = Rows::new(o, s.l_out, 1, s.l_in.div_ceil(s.stride), shifts);
    let strides = Strides {
        group: o * c * s.kernel,
        output: s.kernel,
        input: c * s.kernel,
    };
    Plan::new(rows, (c, s.groups, s.l_in), s.stride, &phases, weights, &strides).run(isa, s.n, dy, Finish::NONE)
}
