//! Batch norm on contiguous `(N, C, L)` buffers.
//!
//! A task owns a few adjacent channels of the whole batch, small enough to stay in its core's
//! cache: it takes the statistics, then writes, and memory is read once.

use std::ops::Range;

use candle_core::{Result, Tensor};

use crate::buffer::{Float, Places, write_channels};
use crate::moments::{self, Moment, RowMoment};
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

    pub fn shape(&self) -> (usize, usize, usize) {
        (self.rows, self.channels, self.length)
    }

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn row<'a, T>(&self, x: &'a [T], row: usize, channel: usize) -> &'a [T] {
        &x[(row * self.channels + channel) * self.length..][..self.length]
    }

    /// Adjacent channels for a task.
    pub fn block<T>(&self) -> usize {
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
