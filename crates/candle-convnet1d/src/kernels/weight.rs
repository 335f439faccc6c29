//! The gradient of the weight: for each tap the product of the output gradient with the shifted
//! input, summed over samples and positions.
//!
//! The lanes of a vector are input channels, and taps where there are few channels: a sample's
//! input lies transposed, `(position, channel)`, so that adjacent taps follow each other as well.
#![allow(unsafe_code)]

use std::ops::Range;

use rayon::prelude::*;

use super::panel::transpose;
use super::tile::{Finish, Offsets, Place, Real, SLACK, Span, Terms, block, padded, spans};
use super::{Sizes, bias_gradient};
use crate::scratch::Scratch;
use crate::values::Input;
use crate::vectorised::vectorised;
use crate::{InstructionSet, lanes};

/// Input channels that lie side by side. With [`POSITIONS`] they fill a first-level cache.
const CHANNELS: usize = 32;
/// Positions that are summed before the sums leave their registers.
const POSITIONS: usize = 256;
/// Tasks, at least, of a gradient. Fixed, so that the order of summation does not depend on the
/// number of threads.
const TASKS: usize = 8;
/// Rows that are normalised before they are transposed.
const SQUARE: usize = 8;
/// Output channels, at least, of a task, where there are more: each task transposes its input.
const OUTPUTS: usize = 256;

/// Input channels of a group that lie side by side: the first and how many.
fn channel_tiles(channels: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..channels)
        .step_by(CHANNELS)
        .map(move |first| (first, (channels - first).min(CHANNELS)))
}

/// How the work is cut: each task owns some outputs of a group and some of the samples.
struct Cut {
    /// Output channels of a task.
    outputs: usize,
    /// Tasks for the outputs of a group.
    parts: usize,
    /// Samples of a task.
    samples: usize,
    /// Tasks for the samples, whose sums are added up in order.
    chunks: usize,
}

impl Cut {
    fn new(s: &Sizes) -> Self {
        let (_, o) = s.group();
        let wanted = TASKS.div_ceil(s.groups);
        let outputs = o.div_ceil((o / OUTPUTS).clamp(1, wanted)).next_multiple_of(8);
        let parts = o.div_ceil(outputs);
        let samples = s.n.div_ceil(wanted.div_ceil(parts));
        let chunks = s.n.div_ceil(samples);
        Self {
            outputs,
            parts,
            samples,
            chunks,
        }
    }

    /// The task of a number: group, outputs of the group, samples.
    fn task(&self, s: &Sizes, number: usize) -> (usize, Range<usize>, Range<usize>) {
        let (part, chunk) = (number / self.chunks, number % self.chunks);
        let (group, part) = (part / self.parts, part % self.parts);
        let range = |number: usize, size: usize, end: usize| number * size..((number + 1) * size).min(end);
        (
            group,
            range(part, self.outputs, s.group().1),
            range(chunk, self.samples, s.n),
        )
    }
}

/// The positions that one run of the inner loop sums over: some pieces of samples, all of one
/// length but for the last.
struct Pieces {
    /// Outputs of a piece.
    length: usize,
    /// Pieces of a sample.
    per_sample: usize,
    /// Pieces at a time.
    batch: usize,
    /// Positions of the input that a piece reads.
    reads: usize,
}

impl Pieces {
    fn new(s: &Sizes) -> Self {
        let length = s.l_out.div_ceil(s.l_out.div_ceil(POSITIONS));
        Self {
            length,
            per_sample: s.l_out.div_ceil(length),
            batch: (POSITIONS / s.l_out).max(1),
            reads: (length - 1) * s.stride + s.dilation * (s.kernel - 1) + 1,
        }
    }

    /// Values of the panel of `width` channels.
    fn panel(&self, width: usize) -> usize {
        self.batch * self.reads * width + SLACK
    }

    /// Where each position of all pieces starts in a panel of `width` channels.
    fn offsets(&self, s: &Sizes, width: usize) -> Offsets {
        let piece = |piece: usize| (0..self.length).map(move |j| (piece * self.reads + j * s.stride) * width);
        Offsets::new((0..self.batch).flat_map(piece).collect())
    }
}

struct Work<'a, T> {
    s: &'a Sizes,
    isa: InstructionSet,
    pieces: Pieces,
    /// For a whole tile of channels, and for the last one.
    offsets: [Offsets; 2],
    x: Input<'a, T>,
    dy: &'a [T],
    with_bias: bool,
}

/// The gradients of the weight and, if `with_bias`, of the bias, whose sums are taken while the output gradient is near.
pub(crate) fn weight_gradient<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    dy: &[T],
    with_bias: bool,
) -> (Vec<T>, Option<Vec<T>>) {
    let (c, o) = s.group();
    let row = c * s.kernel;
    let mut dw = vec![T::zero(); s.c_out * row];
    if s.n * s.l_in * dw.len() == 0 {
        return (dw, with_bias.then(|| bias_gradient(s, dy)));
    }
    let cut = Cut::new(s);
    let pieces = Pieces::new(s);
    let offsets = [CHANNELS.min(c), c % CHANNELS].map(|width| pieces.offsets(s, width));
    let work = Work {
        s,
        isa,
        pieces,
        offsets,
        x,
        dy,
        with_bias,
    };
    let sums: Vec<(Vec<T>, Vec<f64>)> = (0..s.groups * cut.parts * cut.chunks)
        .into_par_iter()
        .map_init(
            || [(); 3].map(|()| Scratch::new()),
            |scratch, number| {
                let (group, outputs, samples) = cut.task(s, number);
                work.sums(group, outputs, samples, scratch)
            },
        )
        .collect();
    // the tasks of an output channel, and its place in theirs
    let of_output = |output: usize| {
        let (group, output) = (output / o, output % o);
        let (part, output) = (output / cut.outputs, output % cut.outputs);
        let first = (group * cut.parts + part) * cut.chunks;
        (&sums[first..first + cut.chunks], output)
    };
    dw.par_chunks_exact_mut(row)
        .with_min_len(16)
        .enumerate()
        .for_each(|(output, dw)| {
            let (sums, output) = of_output(output);
            add_rows(s, sums.iter().map(|(sums, _)| &sums[..]), output, dw);
        });
    let of_bias = |output: usize| {
        let (sums, output) = of_output(output);
        T::from_f64(sums.iter().map(|(_, bias)| bias[output]).sum())
    };
    let db = with_bias.then(|| (0..s.c_out).map(of_bias).collect());
    (dw, db)
}

/// The sum of one output's rows of what [`Work::sums`] returned, as `(channel, tap)`, to `dw`, which is 0.
fn add_rows<'a, T: Real>(s: &Sizes, sums: impl Iterator<Item = &'a [T]> + Clone, output: usize, dw: &mut [T]) {
    let mut scratch = Scratch::new();
    let total = scratch.take(CHANNELS * s.kernel);
    let channels = dw.len() / s.kernel;
    for (channel, width) in channel_tiles(channels) {
        let row = s.kernel * width;
        let total = &mut total[..row];
        total.fill(T::zero());
        for sums in sums.clone() {
            // the tiles before it are whole, and have the rows of all outputs
            let outputs = sums.len() / dw.len();
            add(&sums[outputs * s.kernel * channel + output * row..][..row], total);
        }
        for (tap, sums) in total.chunks_exact(width).enumerate() {
            for (i, &sum) in sums.iter().enumerate() {
                dw[(channel + i) * s.kernel + tap] = sum;
            }
        }
    }
}

vectorised! {
    fn add<T>(sums: &[T], total: &mut [T]) {
        for (total, &sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
}

impl<T: Real> Work<'_, T> {
    /// The sums of one task: `(output, tap, channel)` for each tile of channels; and for each output those for the bias, if
    /// wanted.
    fn sums(
        &self,
        group: usize,
        outputs: Range<usize>,
        samples: Range<usize>,
        [panels, factors, normalised]: &mut [Scratch<T>; 3],
    ) -> (Vec<T>, Vec<f64>) {
        let (s, pieces) = (self.s, &self.pieces);
        let (c, o) = s.group();
        let mut of_bias = vec![0.0; if self.with_bias { outputs.len() } else { 0 }];
        let mut sums = vec![T::zero(); outputs.len() * c * s.kernel];
        let panels = panels.take(channel_tiles(c).map(|(_, width)| pieces.panel(width)).sum());
        let factors = factors.take(padded(outputs.len()) * pieces.batch * pieces.length);
        let mut numbers = samples.start * pieces.per_sample..samples.end * pieces.per_sample;
        while !numbers.is_empty() {
            let mut positions = 0;
            for (slot, piece) in numbers.by_ref().take(pieces.batch).enumerate() {
                let (sample, first) = (piece / pieces.per_sample, piece % pieces.per_sample * pieces.length);
                let length = pieces.length.min(s.l_out - first);
                self.pack_input(sample * s.c_in + group * c, first, slot, panels, normalised);
                let dy = &self.dy[(sample * s.c_out + group * o + outputs.start) * s.l_out..];
                let dy = &dy[..outputs.len() * s.l_out];
                self.pack_gradient(dy, first..first + length, positions, factors);
                for (sum, row) in of_bias.iter_mut().zip(dy.chunks_exact(s.l_out)) {
                    *sum += lanes::sum(&row[first..first + length]);
                }
                positions += length;
            }
            self.add_products(positions, panels, factors, &mut sums);
        }
        (sums, of_bias)
    }

    /// Transposes what the piece from output `first` on reads, tile by tile, of the channels from row `row` on.
    fn pack_input(&self, row: usize, first: usize, slot: usize, mut panels: &mut [T], normalised: &mut Scratch<T>) {
        let (s, pieces) = (self.s, &self.pieces);
        // of the padded input
        let first = first * s.stride;
        let low = s.padding.saturating_sub(first).min(pieces.reads);
        let high = (s.padding + s.l_in).saturating_sub(first).clamp(low, pieces.reads);
        for (channel, width) in channel_tiles(s.group().0) {
            let (panel, others) = panels.split_at_mut(pieces.panel(width));
            panels = others;
            let panel = &mut panel[slot * pieces.reads * width..][..pieces.reads * width];
            panel[..low * width].fill(T::zero());
            panel[high * width..].fill(T::zero());
            if low < high {
                let from = (row + channel, first + low - s.padding);
                self.pack_tile(from, (width, high - low), &mut panel[low * width..], normalised);
            }
        }
    }

    /// Transposes `count` values of `width` rows from a row and position on.
    fn pack_tile(
        &self,
        (row, from): (usize, usize),
        (width, count): (usize, usize),
        panel: &mut [T],
        normalised: &mut Scratch<T>,
    ) {
        let length = self.s.l_in;
        if let Some(x) = self.x.in_memory() {
            transpose(
                self.isa,
                &x[row * length + from..],
                length,
                (width, count),
                panel,
                width,
            );
            return;
        }
        // so few rows at a time that they stay in the first-level cache
        let stride = count.next_multiple_of(SLACK) + SLACK;
        let rows = normalised.take(SQUARE * stride);
        for first in (0..width).step_by(SQUARE) {
            let height = SQUARE.min(width - first);
            for (i, place) in rows.chunks_exact_mut(stride).take(height).enumerate() {
                self.x.copy(row + first + i, from, &mut place[..count]);
            }
            transpose(self.isa, rows, stride, (height, count), &mut panel[first..], width);
        }
    }

    /// Transposes the gradients of some outputs, block by block, to behind `positions` others.
    fn pack_gradient(&self, dy: &[T], range: Range<usize>, positions: usize, mut factors: &mut [T]) {
        for span in spans(dy.len() / self.s.l_out) {
            let (these, others) = factors.split_at_mut(self.pieces.batch * self.pieces.length * span.height);
            factors = others;
            let these = &mut these[positions * span.height..][..range.len() * span.height];
            if span.rows < span.height {
                these.fill(T::zero());
            }
            let dy = &dy[span.first * self.s.l_out + range.start..];
            transpose(self.isa, dy, self.s.l_out, (span.rows, range.len()), these, span.height);
        }
    }

    /// Adds the products of all blocks of outputs with all tiles of channels.
    fn add_products(&self, positions: usize, mut panels: &[T], factors: &[T], mut sums: &mut [T]) {
        let (s, pieces) = (self.s, &self.pieces);
        let c = s.group().0;
        let outputs = sums.len() / (c * s.kernel);
        for (channel, width) in channel_tiles(c) {
            let (panel, other_panels) = panels.split_at(pieces.panel(width));
            let (tile, other_sums) = sums.split_at_mut(outputs * s.kernel * width);
            (panels, sums) = (other_panels, other_sums);
            let offsets = &self.offsets[usize::from(channel > 0 && c - channel < CHANNELS)];
            let mut factors = factors;
            for span in spans(outputs) {
                let (weights, others) = factors.split_at(pieces.batch * pieces.length * span.height);
                factors = others;
                let terms = Terms {
                    weights,
                    offsets,
                    count: positions,
                    panel,
                    finish: Finish::NONE,
                };
                self.add_block(span, &terms, width, &mut tile[span.first * s.kernel * width..]);
            }
        }
    }

    /// Adds to the rows of a block of outputs, `(tap, channel)` each.
    fn add_block(&self, span: Span, terms: &Terms<'_, T>, width: usize, sums: &mut [T]) {
        let stride = self.s.kernel * width;
        assert!(sums.len() >= span.rows * stride);
        // adjacent taps are adjacent lanes if they are adjacent positions
        let (runs, lanes) = if self.s.dilation == 1 {
            (1, stride)
        } else {
            (self.s.kernel, width)
        };
        for run in 0..runs {
            let terms = Terms {
                panel: &terms.panel[run * self.s.dilation * width..],
                ..*terms
            };
            let first = sums[run * width..].as_mut_ptr();
            let place = Place {
                first,
                stride,
                width: lanes,
                add: true,
            };
            // SAFETY: `sums` is borrowed exclusively and holds all rows, each of `runs` times
            // `lanes` values; the machine has `isa`
            unsafe { block(self.isa, span, &terms, &place) };
        }
    }
}
