//! Batch norm on contiguous `(N, C, L)` buffers.
//!
//! A task owns a few adjacent channels of the whole batch, small enough to stay in its core's
//! cache: it takes the statistics, then writes, and memory is read once.

use std::ops::Range;

use candle_core::{Result, Tensor};

use crate::buffer::{Float, Places, write_channels};
use crate::lanes::RowSums;
use crate::moments::{self, Moment, RowMoment};
use crate::pool::MaxPool;
use crate::prefetch;
use crate::values::{Affine, Floor, Input};
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

    /// The batch's own statistics by the moments of all rows: by range, then channel.
    pub fn moments_of_rows(&self, rows: &[RowMoment]) -> Vec<Moment> {
        let of_range = |samples: &Range<usize>| moments::of_channels(rows, self.channels, samples.clone(), self.length);
        self.ranges.iter().flat_map(of_range).collect()
    }

    /// Moments of some channels over some samples.
    fn moments<T: Float>(&self, x: &[T], samples: Range<usize>, channels: &Range<usize>) -> Vec<Moment> {
        let of_sample = |sample: usize| {
            let first = (sample * self.channels + channels.start) * self.length;
            moments::of_near(&x[first..][..channels.len() * self.length], self.length)
        };
        let rows: Vec<_> = samples.clone().flat_map(of_sample).collect();
        moments::of_channels(&rows, channels.len(), 0..samples.len(), self.length).collect()
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

/// The gradient of a result, not always written: what is behind a batch norm leaves it in the form that costs least.
#[derive(Clone, Copy)]
pub(super) enum Gradient<'a, T> {
    Scaled(Scaled<'a, T>),
    Pooled(Pooled<'a, T>),
}

/// `values factor + shift`, with a factor and a shift for each row and channel, where a gate was.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a, T> {
    pub values: &'a [T],
    pub factor: Option<&'a [T]>,
    pub shift: Option<&'a [T]>,
}

/// What a pool of `x` hands back.
#[derive(Clone, Copy)]
pub(super) struct Pooled<'a, T> {
    pub pool: &'a MaxPool,
    pub x: Input<'a, T>,
    pub y: &'a [T],
    pub dy: &'a [T],
}

impl<T: Float> Pooled<'_, T> {
    /// That of some channels.
    fn of_channels(&self, plan: &Plan, channels: &Range<usize>) -> Vec<T> {
        let mut all = vec![T::zero(); plan.rows * channels.len() * plan.length];
        for (number, dx) in all.chunks_exact_mut(plan.length).enumerate() {
            let (sample, channel) = (number / channels.len(), channels.start + number % channels.len());
            self.pool
                .row_gradient(sample * plan.channels + channel, self.x, (self.y, self.dy), dx);
        }
        all
    }
}

/// The gradient of the channels of a task, as its loops read it.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    scaled: Scaled<'a, T>,
    /// The channels that `scaled` holds.
    first: usize,
    channels: usize,
    length: usize,
}

impl<'a, T: Float> Rows<'a, T> {
    /// Values, factor and shift of a row.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn of(&self, row: usize, channel: usize) -> (&'a [T], T, T) {
        let Scaled { values, factor, shift } = self.scaled;
        let row = row * self.channels + channel - self.first;
        let factor = factor.map_or(T::one(), |factor| factor[row]);
        let shift = shift.map_or(T::zero(), |shift| shift[row]);
        (&values[row * self.length..][..self.length], factor, shift)
    }
}

impl<T: Float> Gradient<'_, T> {
    /// What is pooled, in full for some channels.
    fn unpooled(&self, plan: &Plan, channels: &Range<usize>) -> Option<Vec<T>> {
        match self {
            Self::Scaled(_) => None,
            Self::Pooled(pooled) => Some(pooled.of_channels(plan, channels)),
        }
    }

    /// The rows of these channels; `unpooled`: what [`unpooled`](Self::unpooled) made of them.
    fn rows<'b>(&'b self, plan: &Plan, unpooled: Option<&'b [T]>, channels: &Range<usize>) -> Rows<'b, T> {
        let (scaled, channels) = match (self, unpooled) {
            (&Self::Scaled(scaled), _) => (scaled, &(0..plan.channels)),
            (Self::Pooled(_), values) => {
                let values = values.unwrap_or(&[]);
                (
                    Scaled {
                        values,
                        factor: None,
                        shift: None,
                    },
                    channels,
                )
            }
        };
        Rows {
            scaled,
            first: channels.start,
            channels: channels.len(),
            length: plan.length,
        }
    }
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
                .map(|samples| plan.moments(x, samples.clone(), &channels))
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
        |(affines, by_range), places| {
            normalise(x, plan, &affines, &range_of_row, floor, places);
            by_range
        },
    );
    let by_range = (0..ranges).flat_map(|range| blocks.iter().flat_map(move |by_range| by_range[range].iter()));
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

vectorised! {
    /// Adds to the sums of some channels, over some rows, the gradient behind the batch norm and its products with the
    /// centred input.
    fn add_gradients<T>(
        dy: Rows<'_, T>,
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
                let (dy, factor, shift) = dy.of(row, first + i);
                let x = plan.row(x, row, first + i);
                // of the next sample, which lies elsewhere
                prefetch::row_to_read(x.as_ptr().wrapping_add(plan.channels * plan.length), plan.length);
                prefetch::row_to_read(dy.as_ptr().wrapping_add(plan.channels * plan.length), plan.length);
                sums.add(dy, x, |dy, x| {
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
        dy: Rows<'_, T>,
        x: &[T],
        plan: &Plan,
        lines: &Lines<T>,
        range_of_row: &[usize],
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        for (row, channel, place) in places {
            let (dy, factor, shift) = dy.of(row, channel);
            let line = lines.all[(channel - lines.first) * lines.ranges + range_of_row[row]];
            let Line { affine, offset, slope } = line;
            place.fill(dy, plan.row(x, row, channel), |dy, x| {
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
        |channels| channels,
        |channels, places| {
            // few enough channels to stay in the cache
            let unpooled = dy.unpooled(plan, &channels);
            let dy = dy.rows(plan, unpooled.as_deref(), &channels);
            let by_range: Vec<Vec<(Line<T>, f64, f64)>> = (0..ranges)
                .map(|range| of_range(x, (weight, bias), dy, passed, range, &channels))
                .collect();
            let each = |i: usize| by_range.iter().map(move |of_range| of_range[i]);
            let count = channels.len();
            let lines = Lines {
                first: channels.start,
                all: (0..count).flat_map(|i| each(i).map(|(line, ..)| line)).collect(),
                ranges,
            };
            input_gradient(dy, x, plan, &lines, &range_of_row, floor, places);
            let total =
                |sum: fn((Line<T>, f64, f64)) -> f64| (0..count).map(|i| T::from_f64(each(i).map(sum).sum())).collect();
            Block {
                weight: total(|(_, weight, _)| weight),
                bias: total(|(.., bias)| bias),
            }
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

/// For each of some channels its line on the rows of a range, and their part of the gradients of weight and bias.
fn of_range<T: Float>(
    x: &[T],
    (weight, bias): (&[T], &[T]),
    dy: Rows<'_, T>,
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
