//! Batch norm on contiguous `(N, C, L)` buffers.
//!
//! A task owns a few adjacent channels of the whole batch, small enough to stay in its core's
//! cache: it takes the statistics, then writes, and memory is read once. Statistics of a row
//! (mean, then squares about that mean) are merged in f64 (Chan, Golub and `LeVeque` 1983): as
//! exact as two passes over everything, and independent of how channels are shared out.

use std::ops::Range;

use candle_core::{Result, Tensor};

use crate::buffer::{Float, Place, write_channels};
use crate::lanes;
use crate::vectorised::vectorised;

/// Bytes of input that a task's channels may hold: half of a second-level cache of 1 MiB.
const CACHE: usize = 512 * 1024;
/// Neighbouring channels are taken together until this many bytes lie side by side.
const SIDE_BY_SIDE: usize = 1024;

/// Mean and biased variance of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub mean: f64,
    pub var: f64,
}

impl Moment {
    fn of_rows<'a, T: Float>(rows: impl Iterator<Item = &'a [T]>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for row in rows {
            let added = row.len() as f64;
            let row_mean = lanes::sum(row) / added;
            let centre = T::from_f64(row_mean);
            let off = row_mean - centre.to_f64();
            let row_squares = lanes::squares_about(row, centre) - added * off * off;
            let total = count + added;
            let delta = row_mean - mean;
            mean += delta * (added / total);
            squares += row_squares + delta * delta * (count * added / total);
            count = total;
        }
        Self {
            mean,
            var: squares / count,
        }
    }
}

/// Shape and statistics' ranges of a batch.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub rows: usize,
    pub channels: usize,
    pub length: usize,
    /// Rows that share statistics; together all rows, in order.
    pub ranges: Vec<Range<usize>>,
}

impl Plan {
    pub fn new(x: &Tensor, ranges: Vec<Range<usize>>) -> Result<Self> {
        let (rows, channels, length) = x.dims3()?;
        Ok(Self {
            rows,
            channels,
            length,
            ranges,
        })
    }

    fn shape(&self) -> (usize, usize, usize) {
        (self.rows, self.channels, self.length)
    }

    fn row<'a, T>(&self, x: &'a [T], row: usize, channel: usize) -> &'a [T] {
        &x[(row * self.channels + channel) * self.length..][..self.length]
    }

    /// Adjacent channels for a task.
    fn block<T>(&self) -> usize {
        let row = self.length * size_of::<T>();
        let fit = CACHE / (self.rows * row).max(1);
        SIDE_BY_SIDE
            .div_ceil(row.max(1))
            .min(fit)
            .clamp(1, self.channels.max(1))
    }

    /// For each row, the number of its range.
    fn range_of_row(&self) -> Vec<usize> {
        let numbered = self.ranges.iter().enumerate();
        numbered
            .flat_map(|(number, range)| range.clone().map(move |_| number))
            .collect()
    }
}

/// What a channel is multiplied with and moved by, in the type of the data.
#[derive(Clone, Copy)]
struct Affine<T> {
    mean: T,
    scale: T,
    bias: T,
}

impl<T: Float> Affine<T> {
    fn new(moment: Moment, eps: f64, weight: T, bias: T) -> Self {
        Self {
            mean: T::from_f64(moment.mean),
            scale: T::from_f64(weight.to_f64() / (moment.var + eps).sqrt()),
            bias,
        }
    }

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn of(self, x: T) -> T {
        (x - self.mean) * self.scale + self.bias
    }
}

/// The `ReLU` behind a layer, or none: what is not above the floor is put there. A floor of NaN lies below everything.
#[derive(Clone, Copy)]
pub(crate) struct Floor<T>(T);

impl<T: Float> Floor<T> {
    pub fn new(relu: bool) -> Self {
        Self(T::from_f64(if relu { 0.0 } else { f64::NAN }))
    }

    /// NaN stays.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn of(self, y: T) -> T {
        if y <= self.0 { self.0 } else { y }
    }

    /// The gradient before, given that behind.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn gradient(self, y: T, dy: T) -> T {
        if y <= self.0 { T::zero() } else { dy }
    }
}

/// The gradient of a result, `values factor + shift`, with a factor and a shift for each row and channel: what a gate
/// behind a batch norm leaves to it, so that the product is never written.
#[derive(Clone, Copy)]
pub(super) struct Gradient<'a, T> {
    pub values: &'a [T],
    pub factor: Option<&'a [T]>,
    pub shift: Option<&'a [T]>,
}

vectorised! {
    fn normalise<T>(x: &[T], affine: Affine<T>, floor: Floor<T>, place: Place<'_, T>) {
        place.fill(x, x, |x, _| floor.of(affine.of(x)));
    }
}

/// Normalises by the batch's own statistics and returns them, by range, then channel.
pub(super) fn forward_train<T: Float>(
    x: &[T],
    weight: &[T],
    bias: &[T],
    plan: &Plan,
    eps: f64,
    relu: bool,
) -> (Vec<T>, Vec<Moment>) {
    struct Block<T> {
        first: usize,
        /// By channel of the block, then range.
        moments: Vec<Moment>,
        affines: Vec<Affine<T>>,
    }
    let floor = Floor::new(relu);
    let count = plan.ranges.len();
    let range_of_row = plan.range_of_row();
    let (y, blocks) = write_channels(
        plan.shape(),
        plan.block::<T>(),
        |channels| {
            let first = channels.start;
            let each = |channel| {
                plan.ranges.iter().map(move |range| {
                    let rows = range.clone().map(|row| plan.row(x, row, channel));
                    let moment = Moment::of_rows(rows);
                    (moment, Affine::new(moment, eps, weight[channel], bias[channel]))
                })
            };
            let (moments, affines) = channels.flat_map(each).unzip();
            Block {
                first,
                moments,
                affines,
            }
        },
        |block, row, channel, place| {
            let affine = block.affines[(channel - block.first) * count + range_of_row[row]];
            normalise(plan.row(x, row, channel), affine, floor, place);
        },
    );
    let by_channel: Vec<Moment> = blocks.into_iter().flat_map(|block| block.moments).collect();
    let by_range = (0..count)
        .flat_map(|range| by_channel.iter().skip(range).step_by(count).copied())
        .collect();
    (y, by_range)
}

/// Normalises by given statistics, one for each channel.
pub(super) fn forward_eval<T: Float>(
    x: &[T],
    weight: &[T],
    bias: &[T],
    plan: &Plan,
    moments: &[Moment],
    eps: f64,
    relu: bool,
) -> Vec<T> {
    let floor = Floor::new(relu);
    let affines: Vec<_> = (0..plan.channels)
        .map(|c| Affine::new(moments[c], eps, weight[c], bias[c]))
        .collect();
    // by sample, so that rows are written in the order in which they lie
    write_channels(
        (1, plan.rows * plan.channels, plan.length),
        (SIDE_BY_SIDE * 16).div_ceil((plan.length * size_of::<T>()).max(1)),
        |_| (),
        |(), _, row, place| {
            normalise(
                &x[row * plan.length..][..plan.length],
                affines[row % plan.channels],
                floor,
                place,
            );
        },
    )
    .0
}

/// Gradients of input, weight and bias.
pub(super) struct Gradients<T> {
    pub x: Vec<T>,
    pub weight: Vec<T>,
    pub bias: Vec<T>,
}

/// `dx = scale (g - offset - (x - mean) slope)`, `g` being the gradient behind the batch norm.
#[derive(Clone, Copy)]
struct Line<T> {
    affine: Affine<T>,
    offset: T,
    slope: T,
}

vectorised! {
    /// Sums of the gradient behind the batch norm and of its products with the centred input. `line`: factor and shift.
    fn sums<T>(dy: &[T], x: &[T], affine: Affine<T>, floor: Floor<T>, line: (T, T)) -> (f64, f64) {
        lanes::sum_and_centred_dot(dy, x, affine.mean, |dy, x| {
            floor.gradient(affine.of(x), dy * line.0 + line.1)
        })
    }
}

vectorised! {
    fn input_gradient<T>(
        dy: &[T],
        x: &[T],
        of_channel: Line<T>,
        floor: Floor<T>,
        line: (T, T),
        place: Place<'_, T>,
    ) {
        let Line { affine, offset, slope } = of_channel;
        place.fill(dy, x, |dy, x| {
            let g = floor.gradient(affine.of(x), dy * line.0 + line.1);
            affine.scale * (g - offset - (x - affine.mean) * slope)
        });
    }
}

/// What the forward pass was.
#[derive(Clone, Copy)]
pub(super) struct Passed<'a> {
    pub plan: &'a Plan,
    /// By range, then channel.
    pub moments: &'a [Moment],
    pub eps: f64,
    /// Whether the moments were taken from the input and depend on it.
    pub through_statistics: bool,
    pub relu: bool,
}

/// The gradients, given that of the result.
pub(super) fn backward<T: Float>(
    x: &[T],
    (weight, bias): (&[T], &[T]),
    dy: Gradient<'_, T>,
    passed: Passed<'_>,
) -> Gradients<T> {
    struct Block<T> {
        first: usize,
        /// By channel of the block, then range.
        lines: Vec<Line<T>>,
        weight: Vec<T>,
        bias: Vec<T>,
    }
    let Passed { plan, moments, .. } = passed;
    let floor = Floor::new(passed.relu);
    let count = plan.ranges.len();
    let range_of_row = plan.range_of_row();
    let line = |row: usize, channel: usize| {
        let at = row * plan.channels + channel;
        let factor = dy.factor.map_or(T::one(), |factor| factor[at]);
        (factor, dy.shift.map_or(T::zero(), |shift| shift[at]))
    };
    let (dx, blocks) = write_channels(
        plan.shape(),
        plan.block::<T>(),
        |channels| {
            let mut block = Block {
                first: channels.start,
                lines: Vec::with_capacity(channels.len() * count),
                weight: Vec::with_capacity(channels.len()),
                bias: Vec::with_capacity(channels.len()),
            };
            for channel in channels {
                let (mut dweight, mut dbias) = (0.0, 0.0);
                for (number, range) in plan.ranges.iter().enumerate() {
                    let moment = moments[number * plan.channels + channel];
                    let affine = Affine::new(moment, passed.eps, weight[channel], bias[channel]);
                    let off = moment.mean - affine.mean.to_f64();
                    let inv_std = 1.0 / (moment.var + passed.eps).sqrt();
                    let (mut sum, mut with_x) = (0.0, 0.0);
                    for row in range.clone() {
                        let (x, dy) = (plan.row(x, row, channel), plan.row(dy.values, row, channel));
                        let (factor, shift) = line(row, channel);
                        let of_row = sums(dy, x, affine, floor, (factor, shift));
                        sum += of_row.0;
                        with_x += of_row.1;
                    }
                    // sum of the gradient times the normalised x
                    let with_unit = (with_x - off * sum) * inv_std;
                    dweight += with_unit;
                    dbias += sum;
                    let mean_over = |sum: f64| {
                        let values = (range.len() * plan.length) as f64;
                        if passed.through_statistics { sum / values } else { 0.0 }
                    };
                    block.lines.push(Line {
                        affine,
                        offset: T::from_f64(mean_over(sum)),
                        slope: T::from_f64(mean_over(with_unit) * inv_std),
                    });
                }
                block.weight.push(T::from_f64(dweight));
                block.bias.push(T::from_f64(dbias));
            }
            block
        },
        |block, row, channel, place| {
            let of_channel = block.lines[(channel - block.first) * count + range_of_row[row]];
            let (x, dy) = (plan.row(x, row, channel), plan.row(dy.values, row, channel));
            input_gradient(dy, x, of_channel, floor, line(row, channel), place);
        },
    );
    let mut gradients = Gradients {
        x: dx,
        weight: Vec::with_capacity(plan.channels),
        bias: Vec::with_capacity(plan.channels),
    };
    for block in blocks {
        gradients.weight.extend(block.weight);
        gradients.bias.extend(block.bias);
    }
    gradients
}
