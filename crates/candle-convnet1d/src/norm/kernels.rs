//! Batch norm on contiguous `(N, C, L)` buffers.
//!
//! A task owns a few adjacent channels of the whole batch, small enough to stay in its core's
//! cache: it takes the statistics, then writes, and memory is read once.

use std::ops::Range;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::statistics::{Moment, moments};
use crate::buffer::{Float, Places, write_channels};
use crate::lanes::RowSums;
use crate::values::{Affine, Floor};
use crate::vectorised::vectorised;

/// Bytes of input that a task's channels may hold: half of a second-level cache of 1 MiB.
const CACHE: usize = 512 * 1024;
/// Neighbouring channels are taken together until this many bytes lie side by side.
const SIDE_BY_SIDE: usize = 4096;

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

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn row<'a, T>(&self, x: &'a [T], row: usize, channel: usize) -> &'a [T] {
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
    pub fn range_of_row(&self) -> Vec<usize> {
        let numbered = self.ranges.iter().enumerate();
        numbered
            .flat_map(|(number, range)| range.clone().map(move |_| number))
            .collect()
    }
}

/// What a channel with these statistics is multiplied with and moved by.
pub(super) fn affine<T: Float>(moment: Moment, eps: f64, weight: T, bias: T) -> Affine<T> {
    Affine {
        mean: T::from_f64(moment.mean),
        scale: T::from_f64(weight.to_f64() / (moment.var + eps).sqrt()),
        bias,
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

/// What the channels of a task are multiplied with and moved by.
struct Affines<T> {
    /// The first channel.
    first: usize,
    /// By channel, then range.
    all: Vec<Affine<T>>,
    ranges: usize,
}

vectorised! {
    fn normalise<T>(
        x: &[T],
        plan: &Plan,
        affines: &Affines<T>,
        range_of_row: &[usize],
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        for (row, channel, place) in places {
            let affine = affines.all[(channel - affines.first) * affines.ranges + range_of_row[row]];
            let x = plan.row(x, row, channel);
            place.fill(x, x, |x, _| floor.of(affine.of(x)));
        }
    }
}

/// The batch's own statistics, by range, then channel.
pub(super) fn batch_moments<T: Float>(x: &[T], plan: &Plan) -> Vec<Moment> {
    let block = plan.block::<T>();
    let of_block = |number: usize| -> Vec<Vec<Moment>> {
        let channels = number * block..((number + 1) * block).min(plan.channels);
        let of_range = |rows| moments(x, plan, rows, &channels);
        plan.ranges.iter().map(of_range).collect()
    };
    let blocks: Vec<_> = (0..plan.channels.div_ceil(block))
        .into_par_iter()
        .map(of_block)
        .collect();
    let by_range = (0..plan.ranges.len()).flat_map(|range| blocks.iter().flat_map(move |of_block| &of_block[range]));
    by_range.copied().collect()
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
    let floor = Floor::new(relu);
    let ranges = plan.ranges.len();
    let range_of_row = plan.range_of_row();
    let (y, blocks) = write_channels(
        plan.shape(),
        plan.block::<T>(),
        |channels| {
            let by_range: Vec<_> = plan
                .ranges
                .iter()
                .map(|rows| moments(x, plan, rows, &channels))
                .collect();
            let of_channel = |channel: usize| {
                let i = channel - channels.start;
                by_range.iter().map(move |of_range| of_range[i])
            };
            let affines = channels.clone().flat_map(|channel| {
                of_channel(channel).map(move |moment| affine(moment, eps, weight[channel], bias[channel]))
            });
            let affines = Affines {
                first: channels.start,
                all: affines.collect(),
                ranges,
            };
            (affines, by_range)
        },
        |(affines, _), places| normalise(x, plan, affines, &range_of_row, floor, places),
    );
    let by_range = (0..ranges).flat_map(|range| blocks.iter().flat_map(move |(_, by_range)| by_range[range].iter()));
    let moments = by_range.copied().collect();
    (y, moments)
}

vectorised! {
    fn normalise_samples<T>(
        x: &[T],
        channels: usize,
        length: usize,
        affines: &[Affine<T>],
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        for (_, row, place) in places {
            let affine = affines[row % channels];
            let x = &x[row * length..][..length];
            place.fill(x, x, |x, _| floor.of(affine.of(x)));
        }
    }
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
        .map(|c| affine(moments[c], eps, weight[c], bias[c]))
        .collect();
    // by sample, so that rows are written in the order in which they lie
    write_channels(
        (1, plan.rows * plan.channels, plan.length),
        (SIDE_BY_SIDE * 4).div_ceil((plan.length * size_of::<T>()).max(1)),
        |_| (),
        |(), places| normalise_samples(x, plan.channels, plan.length, &affines, floor, places),
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

impl<T: Float> Gradient<'_, T> {
    /// Factor and shift of a row of all channels of all samples.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn line(&self, row: usize) -> (T, T) {
        let factor = self.factor.map_or(T::one(), |factor| factor[row]);
        (factor, self.shift.map_or(T::zero(), |shift| shift[row]))
    }
}

vectorised! {
    /// Adds to the sums of some channels, over some rows, the gradient behind the batch norm and its products with the
    /// centred input.
    fn add_gradients<T>(
        dy: Gradient<'_, T>,
        x: &[T],
        plan: &Plan,
        rows: Range<usize>,
        first: usize,
        floor: Floor<T>,
        channels: &mut [(Affine<T>, RowSums<T>)],
    ) {
        for row in rows {
            for (i, (affine, sums)) in channels.iter_mut().enumerate() {
                let affine = *affine;
                let (factor, shift) = dy.line(row * plan.channels + first + i);
                sums.add(plan.row(dy.values, row, first + i), plan.row(x, row, first + i), |dy, x| {
                    let g = floor.gradient(affine.of(x), dy * factor + shift);
                    (g, g * (x - affine.mean))
                });
            }
        }
    }
}

/// What the input gradients of a task's channels are computed from.
struct Lines<T> {
    /// The first channel.
    first: usize,
    /// By channel, then range.
    all: Vec<Line<T>>,
    ranges: usize,
}

vectorised! {
    fn input_gradient<T>(
        dy: Gradient<'_, T>,
        x: &[T],
        plan: &Plan,
        lines: &Lines<T>,
        range_of_row: &[usize],
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        for (row, channel, place) in places {
            let (factor, shift) = dy.line(row * plan.channels + channel);
            let line = lines.all[(channel - lines.first) * lines.ranges + range_of_row[row]];
            let Line { affine, offset, slope } = line;
            place.fill(plan.row(dy.values, row, channel), plan.row(x, row, channel), |dy, x| {
                let g = floor.gradient(affine.of(x), dy * factor + shift);
                affine.scale * (g - offset - (x - affine.mean) * slope)
            });
        }
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
        lines: Lines<T>,
        weight: Vec<T>,
        bias: Vec<T>,
    }
    let plan = passed.plan;
    let floor = Floor::new(passed.relu);
    let ranges = plan.ranges.len();
    let range_of_row = plan.range_of_row();
    let (dx, blocks) = write_channels(
        plan.shape(),
        plan.block::<T>(),
        |channels| {
            let by_range: Vec<Vec<(Line<T>, f64, f64)>> = (0..ranges)
                .map(|range| of_range(x, (weight, bias), dy, passed, range, &channels))
                .collect();
            let each = |i: usize| by_range.iter().map(move |of_range| of_range[i]);
            let count = channels.len();
            Block {
                lines: Lines {
                    first: channels.start,
                    all: (0..count).flat_map(|i| each(i).map(|(line, ..)| line)).collect(),
                    ranges,
                },
                weight: (0..count)
                    .map(|i| T::from_f64(each(i).map(|(_, weight, _)| weight).sum()))
                    .collect(),
                bias: (0..count)
                    .map(|i| T::from_f64(each(i).map(|(.., bias)| bias).sum()))
                    .collect(),
            }
        },
        |block, places| input_gradient(dy, x, plan, &block.lines, &range_of_row, floor, places),
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

/// For each of some channels its line on the rows of a range, and their part of the gradients of weight and bias.
fn of_range<T: Float>(
    x: &[T],
    (weight, bias): (&[T], &[T]),
    dy: Gradient<'_, T>,
    passed: Passed<'_>,
    range: usize,
    channels: &Range<usize>,
) -> Vec<(Line<T>, f64, f64)> {
    let Passed { plan, eps, .. } = passed;
    let rows = &plan.ranges[range];
    let moments = &passed.moments[range * plan.channels..][channels.clone()];
    let mut sums: Vec<_> = moments
        .iter()
        .zip(channels.clone())
        .map(|(&moment, channel)| (affine(moment, eps, weight[channel], bias[channel]), RowSums::new()))
        .collect();
    let floor = Floor::new(passed.relu);
    add_gradients(dy, x, plan, rows.clone(), channels.start, floor, &mut sums);
    let values = (rows.len() * plan.length) as f64;
    let mean_over = |sum: f64| if passed.through_statistics { sum / values } else { 0.0 };
    let of_channel = |((affine, sums), moment): ((Affine<T>, RowSums<T>), &Moment)| {
        let (sum, with_x) = sums.totals();
        let off = moment.mean - affine.mean.to_f64();
        let inv_std = 1.0 / (moment.var + eps).sqrt();
        // sum of the gradient times the normalised x
        let with_unit = (with_x - off * sum) * inv_std;
        let line = Line {
            affine,
            offset: T::from_f64(mean_over(sum)),
            slope: T::from_f64(mean_over(with_unit) * inv_std),
        };
        (line, with_unit, sum)
    };
    sums.into_iter().zip(moments).map(of_channel).collect()
}
