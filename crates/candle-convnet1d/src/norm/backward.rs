//! The backward pass of batch norm on contiguous `(N, C, L)` buffers, by the tasks of the forward pass: sums over a task's
//! channels first, then their input gradients, which find what they read in the cache.

use std::ops::Range;

use super::kernels::{Plan, affine};
use crate::buffer::{Float, Places, write_channels};
use crate::lanes::RowSums;
use crate::moments::{Moment, RowMoment};
use crate::pool::MaxPool;
use crate::prefetch;
use crate::values::{Affine, Floor, Input};
use crate::vectorised::vectorised;

/// The gradient of a result, not always written: what is behind a batch norm leaves it in the form that costs least.
#[derive(Clone, Copy)]
pub(super) enum Gradient<'a, T> {
    Scaled(Scaled<'a, T>),
    Pooled(Pooled<'a, T>),
    Peaks(Peaks<'a, T>),
}

/// `values factor + shift`, with a factor and a shift for each row and channel, where a gate was.
#[derive(Clone, Copy)]
pub(super) struct Scaled<'a, T> {
    pub values: &'a [T],
    pub factor: Option<&'a [T]>,
    pub shift: Option<&'a [T]>,
    /// For each row of `values` its sum, and that of its products with the centred input, if they are known.
    pub sums: Option<&'a [[f64; 2]]>,
}

/// What a pool of `x` hands back.
#[derive(Clone, Copy)]
pub(super) struct Pooled<'a, T> {
    pub pool: &'a MaxPool,
    pub x: Input<'a, T>,
    pub y: &'a [T],
    pub dy: &'a [T],
}

/// What a pool of few maxima hands back: by row, then maximum, where it lies, what the batch norm made it of, and its gradient.
#[derive(Clone, Copy)]
pub(super) struct Peaks<'a, T> {
    pub positions: &'a [u32],
    pub x: &'a [T],
    pub dy: &'a [T],
}

impl<T: Float> Peaks<'_, T> {
    /// Position, input and gradient of a row's maxima, windows that have the same one together.
    fn of_row(&self, row: usize, rows: usize) -> impl Iterator<Item = (usize, T, T)> {
        let count = self.dy.len() / rows.max(1);
        let of_row = row * count..(row + 1) * count;
        let (x, dy) = (&self.x[of_row.clone()], &self.dy[of_row.clone()]);
        // windows move in one direction, and so do their maxima
        let same = self.positions[of_row].chunk_by(|a, b| a == b);
        same.scan(0, move |first, positions| {
            let these = *first..*first + positions.len();
            *first = these.end;
            let dy = dy[these.clone()].iter().fold(T::zero(), |sum, &dy| sum + dy);
            Some((positions[0] as usize, x[these.start], dy))
        })
    }

    /// See [`add_gradients`].
    fn sums(
        &self,
        plan: &Plan,
        samples: &Range<usize>,
        (channel, affine): (usize, Affine<T>),
        floor: Floor<T>,
    ) -> (f64, f64) {
        let rows = samples.clone().map(|sample| sample * plan.channels + channel);
        let peaks = rows.flat_map(|row| self.of_row(row, plan.rows * plan.channels));
        peaks.fold((0.0, 0.0), |(sum, with_x), (_, x, dy)| {
            let g = floor.gradient(affine.of(x), dy);
            (sum + g.to_f64(), with_x + (g * (x - affine.mean)).to_f64())
        })
    }
}

impl<T: Float> Pooled<'_, T> {
    /// That of some channels.
    fn of_channels(&self, plan: &Plan, channels: &Range<usize>) -> Vec<T> {
        let mut all = vec![T::zero(); plan.rows * channels.len() * plan.length];
        for (number, dx) in all.chunks_exact_mut(plan.length).enumerate() {
            let (sample, channel) = (number / channels.len(), channels.start + number % channels.len());
            let row = sample * plan.channels + channel;
            // the next sample's, which lies elsewhere
            if sample + 1 < plan.rows {
                let next = (row + plan.channels) * plan.length;
                self.x.ask(next..next + plan.length);
            }
            self.pool.row_gradient(row, self.x, (self.y, self.dy), dx);
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
        let Scaled {
            values, factor, shift, ..
        } = self.scaled;
        let row = row * self.channels + channel - self.first;
        let factor = factor.map_or(T::one(), |factor| factor[row]);
        let shift = shift.map_or(T::zero(), |shift| shift[row]);
        (&values[row * self.length..][..self.length], factor, shift)
    }
}

impl<T: Float> Rows<'_, T> {
    /// What [`add_gradients`] would find in these samples, channel by channel from `first` on, where it follows from what is known
    /// of the rows. `affines`: those of the channels.
    fn known_sums(
        &self,
        passed: Passed<'_>,
        samples: &Range<usize>,
        first: usize,
        affines: &[Affine<T>],
    ) -> Option<Vec<(f64, f64)>> {
        let Scaled {
            factor, shift, sums, ..
        } = self.scaled;
        let (sums, of_rows) = (sums.filter(|_| !passed.relu)?, passed.of_rows?);
        let of_channel = |(channel, affine): (usize, &Affine<T>)| {
            let rows = samples.clone().map(|sample| sample * self.channels + channel);
            rows.fold((0.0, 0.0), |(sum, with_x), row| {
                let factor = factor.map_or(1.0, |factor| factor[row].to_f64());
                let shift = shift.map_or(0.0, |shift| shift[row].to_f64()) * self.length as f64;
                let off = of_rows[row].mean - affine.mean.to_f64();
                let [values, values_with_x] = sums[row];
                (
                    sum + (factor * values + shift),
                    with_x + (factor * values_with_x + shift * off),
                )
            })
        };
        Some((first..).zip(affines).map(of_channel).collect())
    }
}

impl<T: Float> Gradient<'_, T> {
    /// What is pooled, in full for some channels.
    fn unpooled(&self, plan: &Plan, channels: &Range<usize>) -> Option<Vec<T>> {
        match self {
            Self::Scaled(_) | Self::Peaks(_) => None,
            Self::Pooled(pooled) => Some(pooled.of_channels(plan, channels)),
        }
    }

    /// The rows of these channels; `unpooled`: what [`unpooled`](Self::unpooled) made of them.
    fn rows<'b>(&'b self, plan: &Plan, unpooled: Option<&'b [T]>, channels: &Range<usize>) -> Behind<'b, T> {
        let (scaled, channels) = match (self, unpooled) {
            (&Self::Peaks(peaks), _) => return Behind::Peaks(peaks),
            (&Self::Scaled(scaled), _) => (scaled, &(0..plan.channels)),
            (Self::Pooled(_), values) => {
                let values = values.unwrap_or(&[]);
                (
                    Scaled {
                        values,
                        factor: None,
                        shift: None,
                        sums: None,
                    },
                    channels,
                )
            }
        };
        Behind::Rows(Rows {
            scaled,
            first: channels.start,
            channels: channels.len(),
            length: plan.length,
        })
    }
}

/// The gradient of the channels of a task.
#[derive(Clone, Copy)]
enum Behind<'a, T> {
    Rows(Rows<'a, T>),
    Peaks(Peaks<'a, T>),
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

impl<T: Float> Line<T> {
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn dx(self, x: T, g: T) -> T {
        self.affine.scale * (g - self.offset - (x - self.affine.mean) * self.slope)
    }
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

impl<T: Float> Lines<T> {
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn of(&self, channel: usize, range: usize) -> Line<T> {
        self.all[(channel - self.first) * self.ranges + range]
    }
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
            let line = lines.of(channel, range_of_row[row]);
            place.fill(dy, plan.row(x, row, channel), |dy, x| {
                line.dx(x, floor.gradient(line.affine.of(x), dy * factor + shift))
            });
        }
    }
}

vectorised! {
    /// The same of peaks.
    fn input_gradient_of_peaks<T>(
        peaks: Peaks<'_, T>,
        x: &[T],
        plan: &Plan,
        lines: &Lines<T>,
        range_of_row: &[usize],
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        for (row, channel, place) in places {
            let line = lines.of(channel, range_of_row[row]);
            let x = plan.row(x, row, channel);
            let dx = place.fill(x, x, |x, _| line.dx(x, T::zero()));
            for (position, x, dy) in peaks.of_row(row * plan.channels + channel, plan.rows * plan.channels) {
                dx[position] = line.dx(x, floor.gradient(line.affine.of(x), dy));
            }
        }
    }
}

/// What the forward pass was.
#[derive(Clone, Copy)]
pub(super) struct Passed<'a> {
    pub plan: &'a Plan,
    /// By range, then channel.
    pub moments: &'a [Moment],
    /// Of the rows of the input, if they are known.
    pub of_rows: Option<&'a [RowMoment]>,
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
            match dy {
                Behind::Rows(dy) => input_gradient(dy, x, plan, &lines, &range_of_row, floor, places),
                Behind::Peaks(peaks) => {
                    input_gradient_of_peaks(peaks, x, plan, &lines, &range_of_row, floor, places);
                }
            }
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
    dy: Behind<'_, T>,
    passed: Passed<'_>,
    range: usize,
    channels: &Range<usize>,
) -> Vec<(Line<T>, f64, f64)> {
    let Passed { plan, eps, .. } = passed;
    let rows = &plan.ranges[range];
    let moments = &passed.moments[range * plan.channels..][channels.clone()];
    let affines = moments.iter().zip(channels.clone());
    let affines: Vec<_> = affines
        .map(|(&moment, channel)| affine(moment, eps, weight[channel], bias[channel]))
        .collect();
    let floor = Floor::new(passed.relu);
    let sums = match dy {
        Behind::Peaks(peaks) => {
            let channels = channels.clone().zip(&affines);
            channels
                .map(|(channel, &affine)| peaks.sums(plan, rows, (channel, affine), floor))
                .collect()
        }
        Behind::Rows(dy) => dy
            .known_sums(passed, rows, channels.start, &affines)
            .unwrap_or_else(|| {
                let mut sums: Vec<_> = affines.iter().map(|&affine| (affine, RowSums::new())).collect();
                add_gradients(dy, x, plan, rows.clone(), channels.start, floor, &mut sums);
                sums.into_iter().map(|(_, sums)| sums.totals()).collect()
            }),
    };
    let values = (rows.len() * plan.length) as f64;
    let mean_over = |sum: f64| if passed.through_statistics { sum / values } else { 0.0 };
    let of_channel = |((affine, (sum, with_x)), moment): ((Affine<T>, (f64, f64)), &Moment)| {
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
    affines.into_iter().zip(sums).zip(moments).map(of_channel).collect()
}
