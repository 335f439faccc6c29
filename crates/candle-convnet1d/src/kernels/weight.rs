//! The gradient of the weight: for each tap the product of the output gradient with the shifted
//! input, summed over samples and positions.
//!
//! The lanes of a vector are input channels, and taps where there are few channels: a sample's
//! input lies transposed, `(position, channel)`, so that adjacent taps follow each other as well. By pairs of outputs
//! ([`winograd`]) the four products' weights have a gradient each, with half as many terms, of which those of the taps are made.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Sizes;
use super::panel::{Steps, transpose};
use super::real::Real;
use super::tile::{Finish, Offsets, Place, Put, SLACK, Terms, block, padded, spans};
use super::winograd::{self, PRODUCTS};
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

/// Whether the gradient is made by pairs of outputs. Of fewer sums than a piece has, rounding in what is added before and after
/// would be more than that in the sums.
fn by_pairs(s: &Sizes) -> bool {
    s.by_pairs() && s.n * s.l_out >= POSITIONS
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
    /// Outputs of a piece; an even number, if by pairs.
    length: usize,
    /// Pieces of a sample.
    per_sample: usize,
    /// Pieces at a time.
    batch: usize,
    /// Positions of the input that a piece reads.
    reads: usize,
    /// What the gradients are multiplied with: the input, or what makes up each of the products for pairs of outputs.
    panels: usize,
    /// Rows of a panel for a piece.
    rows: usize,
}

impl Pieces {
    fn new(s: &Sizes) -> Self {
        let length = s.l_out.div_ceil(s.l_out.div_ceil(POSITIONS));
        let length = if by_pairs(s) {
            length.next_multiple_of(2)
        } else {
            length
        };
        let reads = (length - 1) * s.stride + s.dilation * (s.kernel - 1) + 1;
        let (panels, rows) = if by_pairs(s) {
            (PRODUCTS, length / 2)
        } else {
            (1, reads)
        };
        Self {
            length,
            per_sample: s.l_out.div_ceil(length),
            batch: (POSITIONS / s.l_out).max(1),
            reads,
            panels,
            rows,
        }
    }

    /// Terms of so many outputs.
    fn terms(&self, outputs: usize) -> usize {
        if self.panels == 1 { outputs } else { outputs.div_ceil(2) }
    }

    /// Values of a panel of `width` channels.
    fn panel(&self, width: usize) -> usize {
        self.batch * self.rows * width
    }

    /// Values of all panels of `width` channels.
    fn all_panels(&self, width: usize) -> usize {
        self.panels * self.panel(width) + SLACK
    }

    /// Factors of a block of `height` outputs for one panel.
    fn factors(&self, height: usize) -> usize {
        self.batch * self.terms(self.length) * height
    }

    /// Where each term of all pieces starts in a panel of `width` channels.
    fn offsets(&self, s: &Sizes, width: usize) -> Offsets {
        let terms = self.terms(self.length);
        let piece = |piece: usize| (0..terms).map(move |j| (piece * self.rows + j * s.stride) * width);
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

/// The gradients of the weight and, if `with_bias`, of the bias.
pub(super) fn weight_gradient<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    dy: &[T],
    with_bias: bool,
) -> (Vec<T>, Option<Vec<T>>) {
    let (c, o) = s.group();
    let row = c * s.kernel;
    let mut dw = vec![T::zero(); s.c_out * row];
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
            || [(); 4].map(|()| Scratch::new()),
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

/// Sums for an output and an input channel: one for each tap, or for each product for pairs of outputs.
fn sums_of(s: &Sizes) -> usize {
    if by_pairs(s) { PRODUCTS } else { s.kernel }
}

/// The sum of one output's rows of what [`Work::sums`] returned, as `(channel, tap)`, to `dw`, which is 0.
fn add_rows<'a, T: Real>(s: &Sizes, sums: impl Iterator<Item = &'a [T]> + Clone, output: usize, dw: &mut [T]) {
    let taps = sums_of(s);
    let mut scratch = Scratch::new();
    let total = scratch.take(CHANNELS * taps);
    let channels = dw.len() / s.kernel;
    for (channel, width) in channel_tiles(channels) {
        let row = taps * width;
        let total = &mut total[..row];
        total.fill(T::zero());
        for sums in sums.clone() {
            // the tiles before it are whole, and have the rows of all outputs
            let outputs = sums.len() / (channels * taps);
            add(&sums[outputs * taps * channel + output * row..][..row], total);
        }
        if taps == 1 {
            dw[channel..][..width].copy_from_slice(total);
            continue;
        }
        let dw = dw[channel * s.kernel..].chunks_exact_mut(s.kernel).take(width);
        for (i, dw) in dw.enumerate() {
            if by_pairs(s) {
                let of_products = std::array::from_fn(|product| total[product * width + i]);
                dw.copy_from_slice(&winograd::tap_gradients(of_products));
            } else {
                dw.iter_mut()
                    .enumerate()
                    .for_each(|(tap, dw)| *dw = total[tap * width + i]);
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
        [panels, factors, normalised, transposed]: &mut [Scratch<T>; 4],
    ) -> (Vec<T>, Vec<f64>) {
        let (s, pieces) = (self.s, &self.pieces);
        let (c, o) = s.group();
        let mut of_bias = vec![0.0; if self.with_bias { outputs.len() } else { 0 }];
        let count = outputs.len() * c * sums_of(s);
        let mut sums = Vec::with_capacity(count);
        let place = &mut sums.spare_capacity_mut()[..count];
        let mut put = Put::Near;
        let panels = panels.take(channel_tiles(c).map(|(_, width)| pieces.all_panels(width)).sum());
        let factors = factors.take(pieces.panels * pieces.factors(padded(outputs.len())));
        let mut numbers = samples.start * pieces.per_sample..samples.end * pieces.per_sample;
        while !numbers.is_empty() {
            let mut terms = 0;
            for (slot, piece) in numbers.by_ref().take(pieces.batch).enumerate() {
                let (sample, first) = (piece / pieces.per_sample, piece % pieces.per_sample * pieces.length);
                let length = pieces.length.min(s.l_out - first);
                self.pack_input(
                    sample * s.c_in + group * c,
                    first,
                    slot,
                    panels,
                    (normalised, transposed),
                );
                let dy = &self.dy[(sample * s.c_out + group * o + outputs.start) * s.l_out..];
                let dy = &dy[..outputs.len() * s.l_out];
                self.pack_gradient(dy, first..first + length, terms, factors);
                for (sum, row) in of_bias.iter_mut().zip(dy.chunks_exact(s.l_out)) {
                    *sum += lanes::sum(&row[first..first + length]);
                }
                terms += pieces.terms(length);
            }
            self.put_products(terms, panels, factors, place, put);
            put = Put::Add;
        }
        // SAFETY: there is at least one piece, and the products of the first were written to all of it
        unsafe { sums.set_len(count) };
        (sums, of_bias)
    }

    /// Transposes what the piece from output `first` on reads, tile by tile, of the channels from row `row` on.
    fn pack_input(
        &self,
        row: usize,
        first: usize,
        slot: usize,
        mut panels: &mut [T],
        (normalised, transposed): (&mut Scratch<T>, &mut Scratch<T>),
    ) {
        let (s, pieces) = (self.s, &self.pieces);
        // of the padded input
        let first = first * s.stride;
        let low = s.padding.saturating_sub(first).min(pieces.reads);
        let high = (s.padding + s.l_in).saturating_sub(first).clamp(low, pieces.reads);
        for (channel, width) in channel_tiles(s.group().0) {
            let (panel, others) = panels.split_at_mut(pieces.all_panels(width));
            panels = others;
            let place = slot * pieces.rows * width..(slot + 1) * pieces.rows * width;
            let mut pack = |rows: &mut [T]| {
                rows[..low * width].fill(T::zero());
                rows[high * width..].fill(T::zero());
                if low < high {
                    let from = (row + channel, first + low - s.padding);
                    self.pack_tile(from, (width, high - low), &mut rows[low * width..], normalised);
                }
            };
            if by_pairs(s) {
                let rows = transposed.take(pieces.reads * width);
                pack(rows);
                let of_products = winograd::quarters(&mut panel[..PRODUCTS * pieces.panel(width)]);
                let [p0, p1, p2, p3] = of_products.map(|panel| &mut panel[place.clone()]);
                winograd::row_sums(rows, width, p0, p1, p2, p3);
            } else {
                pack(&mut panel[place]);
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
                Steps::even(width),
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
            transpose(
                self.isa,
                rows,
                stride,
                (height, count),
                &mut panel[first..],
                Steps::even(width),
            );
        }
    }

    /// Transposes the gradients of some outputs, block by block, to behind `terms` others.
    fn pack_gradient(&self, dy: &[T], range: Range<usize>, terms: usize, mut factors: &mut [T]) {
        let pieces = &self.pieces;
        for span in spans(dy.len() / self.s.l_out) {
            let height = span.height;
            let (these, others) = factors.split_at_mut(pieces.panels * pieces.factors(height));
            factors = others;
            let place = terms * height..(terms + pieces.terms(range.len())) * height;
            let dy = &dy[span.first * self.s.l_out + range.start..];
            let from = (dy, self.s.l_out, (span.rows, range.len()));
            if by_pairs(self.s) {
                winograd::transpose_pairs(self.isa, from, these, place, height);
                continue;
            }
            let these = &mut these[place];
            if span.rows < height {
                these.fill(T::zero());
            }
            let (dy, stride, size) = from;
            transpose(self.isa, dy, stride, size, these, Steps::even(height));
        }
    }

    /// Writes or adds the products of all blocks of outputs with all tiles of channels.
    fn put_products(&self, count: usize, mut panels: &[T], factors: &[T], mut sums: &mut [MaybeUninit<T>], put: Put) {
        let (s, pieces) = (self.s, &self.pieces);
        let (c, taps) = (s.group().0, sums_of(s));
        let outputs = sums.len() / (c * taps);
        for (channel, width) in channel_tiles(c) {
            let (panel, other_panels) = panels.split_at(pieces.all_panels(width));
            let (tile, other_sums) = sums.split_at_mut(outputs * taps * width);
            (panels, sums) = (other_panels, other_sums);
            let offsets = &self.offsets[usize::from(channel > 0 && c - channel < CHANNELS)];
            for run in self.runs(width) {
                let mut factors = factors;
                for span in spans(outputs) {
                    let (weights, others) = factors.split_at(pieces.panels * pieces.factors(span.height));
                    factors = others;
                    let terms = Terms {
                        weights: &weights[run.panel * pieces.factors(span.height)..],
                        offsets,
                        count,
                        panel: &panel[run.panel * pieces.panel(width) + run.from..],
                        finish: Finish::NONE,
                    };
                    let sums = &mut tile[span.first * taps * width..][..span.rows * taps * width];
                    let place = Place {
                        first: sums[run.sums..].as_mut_ptr().cast(),
                        stride: taps * width,
                        width: run.lanes,
                        put,
                    };
                    assert!(run.sums + run.lanes <= taps * width);
                    // SAFETY: `sums` is borrowed exclusively and holds all rows; the machine has `isa`
                    unsafe { block(self.isa, span, &terms, &place) };
                }
            }
        }
    }

    /// What the sums of a tile of `width` channels are made up of.
    fn runs(&self, width: usize) -> impl Iterator<Item = Run> + use<T> {
        let s = self.s;
        let (by_pairs, dilation) = (by_pairs(s), s.dilation);
        // adjacent taps are adjacent lanes if they are adjacent positions
        let (runs, lanes) = if by_pairs {
            (PRODUCTS, width)
        } else if dilation == 1 {
            (1, s.kernel * width)
        } else {
            (s.kernel, width)
        };
        (0..runs).map(move |run| Run {
            panel: if by_pairs { run } else { 0 },
            from: if by_pairs { 0 } else { run * dilation * width },
            sums: run * width,
            lanes,
        })
    }
}

/// Sums that the inner loop makes at a time.
struct Run {
    /// Of which panel, and from where in it.
    panel: usize,
    from: usize,
    /// Where in a row of sums they start.
    sums: usize,
    lanes: usize,
}
