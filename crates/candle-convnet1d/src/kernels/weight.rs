//! The gradient of the weight: for each tap the product of the output gradient with the shifted
//! input, summed over samples and positions.
//!
//! Lanes are input channels and taps: a sample's input lies transposed, `(position, channel)`, so
//! that adjacent taps follow each other as well, and one output gradient at a time multiplies a
//! whole vector of them.
#![allow(unsafe_code)]

use rayon::prelude::*;

use super::Sizes;
use super::panel::{Scratch, transpose};
use super::tile::{Isa, Place, Real, SLACK, Span, Terms, block, padded, spans};

/// Input channels that lie side by side. With [`POSITIONS`] they make a first-level cache full.
const CHANNELS: usize = 32;
/// Positions that are summed before the sums leave their registers.
const POSITIONS: usize = 256;
/// Tasks, at least, of a gradient. Fixed, so that the order of summation does not depend on the
/// number of threads.
const TASKS: usize = 8;
/// Output channels, at least, of a task, where there are more: each task transposes its input.
const OUTPUTS: usize = 128;

/// How the work is cut: each task owns some outputs of a group and some of the samples.
struct Cut {
    /// Output channels of a task.
    outputs: usize,
    /// Tasks beside each other in a group.
    parts: usize,
    /// Samples of a task.
    samples: usize,
    /// Tasks whose sums are added up, in order.
    chunks: usize,
}

impl Cut {
    fn new(s: &Sizes) -> Self {
        let (_, o) = s.group();
        let wanted = TASKS.div_ceil(s.groups);
        let outputs = o.div_ceil((o / OUTPUTS).clamp(1, wanted)).next_multiple_of(8);
        let parts = o.div_ceil(outputs);
        let samples = s.n.div_ceil(wanted.div_ceil(parts)).max(1);
        Self { outputs, parts, samples, chunks: s.n.div_ceil(samples) }
    }
}

/// Input channels of a group that lie side by side: the first and how many.
fn channel_tiles(channels: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..channels).step_by(CHANNELS).map(move |first| (first, (channels - first).min(CHANNELS)))
}

/// The positions that one run of the inner loop sums over: pieces of samples, all of `length`
/// outputs but for the last one.
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

    /// Where each position of all pieces starts in a panel of `width` channels.
    fn offsets(&self, s: &Sizes, width: usize) -> Vec<usize> {
        let piece = |piece: usize| (0..self.length).map(move |j| (piece * self.reads + j * s.stride) * width);
        (0..self.batch).flat_map(piece).collect()
    }
}

/// The gradient of the weight.
pub(super) fn weight_gradient<T: Real>(s: &Sizes, x: &[T], dy: &[T]) -> Vec<T> {
    let (c, o) = s.group();
    let terms = c * s.kernel;
    if s.n * s.l_in == 0 || o * terms == 0 {
        return vec![T::zero(); s.c_out * terms];
    }
    let cut = Cut::new(s);
    let isa = Isa::best();
    let pieces = Pieces::new(s);
    let offsets = [CHANNELS.min(c), c % CHANNELS].map(|width| pieces.offsets(s, width));
    let sums: Vec<Vec<T>> = (0..s.groups * cut.parts * cut.chunks)
        .into_par_iter()
        .map_init(
            || (Scratch::new(), Scratch::new()),
            |(panel, factors), task| {
                let (part, chunk) = (task / cut.chunks, task % cut.chunks);
                let (group, part) = (part / cut.parts, part % cut.parts);
                let task = Task {
                    group,
                    outputs: part * cut.outputs..((part + 1) * cut.outputs).min(o),
                    samples: chunk * cut.samples..((chunk + 1) * cut.samples).min(s.n),
                };
                task.sums(isa, s, &pieces, &offsets, x, dy, panel, factors)
            },
        )
        .collect();
    let mut dw = vec![T::zero(); s.c_out * terms];
    dw.par_chunks_exact_mut(terms).with_min_len(16).enumerate().for_each(|(row, dw)| {
        let (group, output) = (row / o, row % o);
        let first = (group * cut.parts + output / cut.outputs) * cut.chunks;
        let outputs = cut.outputs.min(o - output / cut.outputs * cut.outputs);
        for sums in &sums[first..first + cut.chunks] {
            // as `Task::sums` has laid them out
            let mut tile = 0;
            for (channel, width) in channel_tiles(c) {
                let sums = &sums[tile + output % cut.outputs * s.kernel * width..][..s.kernel * width];
                for (tap, sums) in sums.chunks_exact(width).enumerate() {
                    for (i, &sum) in sums.iter().enumerate() {
                        dw[(channel + i) * s.kernel + tap] += sum;
                    }
                }
                tile += outputs * s.kernel * width;
            }
        }
    });
    dw
}

struct Task {
    group: usize,
    /// Output channels of the group.
    outputs: std::ops::Range<usize>,
    samples: std::ops::Range<usize>,
}

impl Task {
    /// `(output, tap, channel)` for each tile of channels.
    #[allow(clippy::too_many_arguments)]
    fn sums<T: Real>(
        &self,
        isa: Isa,
        s: &Sizes,
        pieces: &Pieces,
        offsets: &[Vec<usize>; 2],
        x: &[T],
        dy: &[T],
        panels: &mut Scratch<T>,
        factors: &mut Scratch<T>,
    ) -> Vec<T> {
        let (c, o) = s.group();
        let outputs = self.outputs.len();
        let mut sums = vec![T::zero(); outputs * c * s.kernel];
        let mut panel_size = pieces.batch * pieces.reads * c;
        panel_size += channel_tiles(c).count() * SLACK;
        let panels = panels.take(panel_size);
        let factors = factors.take(padded(outputs) * pieces.batch * pieces.length);
        let mut work = (self.samples.start * pieces.per_sample..self.samples.end * pieces.per_sample).peekable();
        while work.peek().is_some() {
            // the panels of some pieces
            let mut positions = 0;
            for (slot, piece) in work.by_ref().take(pieces.batch).enumerate() {
                let (sample, first) = (piece / pieces.per_sample, piece % pieces.per_sample * pieces.length);
                let length = pieces.length.min(s.l_out - first);
                let x = &x[(sample * s.c_in + self.group * c) * s.l_in..][..c * s.l_in];
                let mut rest = &mut *panels;
                for (channel, width) in channel_tiles(c) {
                    let (panel, others) = rest.split_at_mut(pieces.batch * pieces.reads * width + SLACK);
                    rest = others;
                    let panel = &mut panel[slot * pieces.reads * width..][..pieces.reads * width];
                    pack(s, &x[channel * s.l_in..], first * s.stride, width, panel);
                }
                let dy = &dy[(sample * s.c_out + self.group * o + self.outputs.start) * s.l_out..][..outputs * s.l_out];
                let mut at = 0;
                for span in spans(outputs) {
                    let size = pieces.batch * pieces.length * span.height;
                    let factors = &mut factors[at + positions * span.height..][..length * span.height];
                    if span.rows < span.height {
                        factors.fill(T::zero());
                    }
                    transpose(&dy[span.first * s.l_out + first..], s.l_out, (span.rows, length), factors, span.height);
                    at += size;
                }
                positions += length;
            }
            // their products
            let (mut rest, mut first) = (&*panels, 0);
            for (channel, width) in channel_tiles(c) {
                let (panel, others) = rest.split_at(pieces.batch * pieces.reads * width + SLACK);
                rest = others;
                let offsets = &offsets[usize::from(c - channel < CHANNELS && c > CHANNELS)][..positions];
                let sums = &mut sums[first..first + outputs * s.kernel * width];
                first += sums.len();
                let mut factors = &*factors;
                for span in spans(outputs) {
                    let (these, others) = factors.split_at(pieces.batch * pieces.length * span.height);
                    factors = others;
                    let sums = &mut sums[span.first * s.kernel * width..][..span.rows * s.kernel * width];
                    products(isa, s, span, (these, offsets), panel, width, sums);
                }
            }
        }
        sums
    }
}

/// Transposes `width` channels from padded position `first` on, as many as the panel holds.
fn pack<T: Real>(s: &Sizes, x: &[T], first: usize, width: usize, panel: &mut [T]) {
    let reads = panel.len() / width;
    let low = s.padding.saturating_sub(first).min(reads);
    let high = (s.padding + s.l_in).saturating_sub(first).clamp(low, reads);
    panel[..low * width].fill(T::zero());
    panel[high * width..].fill(T::zero());
    if low < high {
        let x = &x[first + low - s.padding..];
        transpose(x, s.l_in, (width, high - low), &mut panel[low * width..high * width], width);
    }
}

/// Adds the products of a block of outputs with a tile of channels to `(output, tap, channel)`.
fn products<T: Real>(
    isa: Isa,
    s: &Sizes,
    span: Span,
    (weights, offsets): (&[T], &[usize]),
    panel: &[T],
    width: usize,
    sums: &mut [T],
) {
    let stride = s.kernel * width;
    assert!(sums.len() == span.rows * stride);
    // taps that are adjacent positions are adjacent lanes
    let (runs, width) = if s.dilation == 1 { (1, stride) } else { (s.kernel, width) };
    for run in 0..runs {
        let terms = Terms { weights, offsets, panel: &panel[run * s.dilation * width..], bias: &[] };
        let place = Place { first: sums[run * width..].as_mut_ptr(), stride, width, add: true };
        // SAFETY: `sums` is borrowed exclusively and holds all rows
        unsafe { block(isa, span, &terms, offsets.last().copied().unwrap_or(0), &place) };
    }
}
