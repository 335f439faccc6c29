//! A convolution of one tap that makes many channels of few, and the batch norm behind it, in training. Neither is written.
//!
//! With `z = W x` and `y = (z - mean) scale + bias`, what is between the two follows from `x` alone, which is narrow:
//!
//! - mean and variance of `z` from the means `m` of the channels of `x` and the sums `S` of products of their distances from them: `W m`
//!   and `diag(W S W^T) / values`;
//! - given the gradient `g` behind the batch norm, its sums and those of its products with `z - mean` from `G = sum g (x - m)^T`: `W G^T`;
//! - the gradient of `z`, `scale (g - offset - (z - mean) slope)`, reaches `W` as
//!   `scale (G - slope W S)` and `x` as `W^T scale g - W^T scale offset - A (x - m)` with `A = W^T diag(scale slope) W`.
//!
//! So each sample's `g` is made in the cache, multiplied with `W` and `x` there, and forgotten; what depends on the sums over the whole batch is
//! taken from the narrow gradient afterwards. A bias of the convolution moves `z` and its mean alike: its gradient is 0.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::BatchNorm1d;
use super::kernels::affine;
use super::op::BatchNorm;
use super::spread::{Spread, distances, distances_of, moments, spreads};
use crate::buffer::{Float, Reader, for_float, write_rows};
use crate::conv_op::{Applied, Conv1dOp};
use crate::kernels::{InputGradient, Products, Real, Sizes};
use crate::lanes::{self, LANES};
use crate::moments::Moment;
use crate::scratch::Scratch;
use crate::shares::alone;
use crate::signal::{Convolved, Gradient, Signal};
use crate::values::{Floor, Values};
use crate::vectorised::vectorised;
use crate::widening::{self, Channel, Widening};
use crate::{Conv1d, Pass};

/// The layer pair on one batch.
struct Widened {
    applied: Applied,
    /// What it was applied to.
    x: Tensor,
    norm: BatchNorm,
    spreads: Vec<Spread>,
    /// By range, then channel: without the convolution's bias.
    moments: Vec<Moment>,
    y: Values,
}

impl BatchNorm1d {
    /// Whether the layer behind this convolution is one with it.
    pub(crate) fn widens(&self, conv: &Conv1d) -> bool {
        widening::serves(conv) && conv.weight().dims().first() == Some(&self.channels)
    }

    /// The convolution and the layer in training, of a signal that has kernels.
    pub(crate) fn forward_widening(&self, conv: &Conv1d, x: &Signal, pass: Pass, relu: bool) -> Result<Signal> {
        let written = x.values().written()?;
        let applied = conv.applied(&written.clone().into())?;
        let widening = Widening::new(applied.weight.detach(), applied.op.sizes.groups);
        let like = widening.like(&written)?;
        self.by_kernels(&like, pass, relu, |norm| {
            let widened = Widened::new(applied, written, norm, widening, (&self.weight, &self.bias))?;
            widened.signal(x, (&self.weight.contiguous()?, &self.bias.contiguous()?))
        })
    }
}

impl Widened {
    fn new(
        applied: Applied,
        x: Tensor,
        norm: BatchNorm,
        widening: Widening,
        (weight, bias): (&Tensor, &Tensor),
    ) -> Result<Self> {
        let sizes = applied.op.sizes;
        let plan = &norm.plan;
        let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
        let readers = [&x, &applied.weight, &weight, &bias].map(Reader::new);
        let (spreads, moments, y) = for_float!(x.dtype(), T => {
            let [x_values, w, weight, bias] = [
                readers[0].values::<T>()?,
                readers[1].values::<T>()?,
                readers[2].values::<T>()?,
                readers[3].values::<T>()?,
            ];
            let spreads = spreads(&sizes, x_values, &plan.ranges);
            let moments: Vec<_> = spreads.iter().zip(&plan.ranges).flat_map(|(spread, range)| moments(&sizes, w, spread, range)).collect();
            let affines: Vec<_> = moments
                .iter()
                .zip((0..plan.channels).cycle())
                .map(|(&moment, c)| affine(moment, norm.eps, weight[c], bias[c]))
                .collect();
            let y = Values::pending(x.clone(), Some(widening), &affines, plan.range_of_row(), norm.relu, None)?;
            (spreads, moments, y)
        });
        drop(readers);
        let this = Self {
            applied,
            x,
            norm,
            spreads,
            moments,
            y,
        };
        this.norm.set_moments(this.moments_with_bias()?);
        Ok(this)
    }

    /// Those of what the convolution gives.
    fn moments_with_bias(&self) -> Result<Vec<Moment>> {
        let Some(bias) = &self.applied.bias else {
            return Ok(self.moments.clone());
        };
        let bias = bias.detach().to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
        let moments = self.moments.iter().zip(bias.iter().cycle());
        Ok(moments
            .map(|(moment, bias)| Moment {
                mean: moment.mean + bias,
                ..*moment
            })
            .collect())
    }

    fn signal(self, x: &Signal, (weight, bias): (&Tensor, &Tensor)) -> Result<Signal> {
        let y = self.y.clone();
        let conv = (self.applied.weight.clone(), self.applied.bias.clone());
        let mut parameters: Vec<&Tensor> = std::iter::once(&conv.0).chain(&conv.1).collect();
        parameters.extend([weight, bias]);
        let this = Arc::new(self);
        x.then("conv_norm", y, &parameters, move |dy, parameters| {
            let [.., weight, bias] = parameters else {
                return Err(candle_core::Error::Msg("a batch norm without parameters".into()).bt());
            };
            let Gradients { x, conv, weight, bias } = this.backward(dy, (weight, bias))?;
            let conv_bias = this.applied.bias.as_ref().map(Tensor::zeros_like).transpose()?;
            let gradients = std::iter::once(conv).chain(conv_bias).chain([weight, bias]);
            Ok((Some(Gradient::from(x)), gradients.map(Some).collect()))
        })
    }

    fn backward(&self, dy: Gradient, (weight, bias): (&Tensor, &Tensor)) -> Result<Gradients> {
        let sizes = &self.applied.op.sizes;
        let (behind, dy) = match dy {
            Gradient::Convolved(Convolved { op, weight, dy }) if self.y.takes_convolved(&op.sizes) => {
                (Some((op, weight)), dy)
            }
            other => (None, other.materialised()?),
        };
        let readers = [&self.x, &self.applied.weight, weight, bias, &dy].map(Reader::new);
        let w_behind = behind.as_ref().map(|(_, weight)| Reader::new(weight));
        for_float!(dy.dtype(), T => {
            let [x, w, weight, bias, dy] = [
                readers[0].values::<T>()?,
                readers[1].values::<T>()?,
                readers[2].values::<T>()?,
                readers[3].values::<T>()?,
                readers[4].values::<T>()?,
            ];
            let behind = behind.as_ref().map(|(op, _)| op).zip(w_behind.as_ref().map(Reader::values).transpose()?);
            let dy = Behind::new(behind, sizes, dy);
            let parts = self.parts(x, (w, weight, bias), &dy);
            let [dx, conv, weight, bias] = self.finish(x, (w, weight), &parts);
            Ok(Gradients {
                x: Tensor::from_vec(dx, (sizes.n, sizes.c_in, sizes.l_in), &Device::Cpu)?,
                conv: Tensor::from_vec(conv, self.applied.weight.shape(), &Device::Cpu)?,
                weight: Tensor::from_vec(weight, sizes.c_out, &Device::Cpu)?,
                bias: Tensor::from_vec(bias, sizes.c_out, &Device::Cpu)?,
            })
        })
    }

    /// Samples of a task: of one range, and so many that the sums over them do not depend on the number of threads.
    fn chunks(&self) -> Vec<(usize, Range<usize>)> {
        let size = self
            .norm
            .plan
            .rows
            .div_ceil(TASKS.div_ceil(self.applied.op.sizes.groups));
        let of_range = |(number, range): (usize, &Range<usize>)| {
            let end = range.end;
            range
                .clone()
                .step_by(size.max(1))
                .map(move |start| (number, start..(start + size).min(end)))
        };
        self.norm.plan.ranges.iter().enumerate().flat_map(of_range).collect()
    }

    /// What the channels of a range are multiplied with, all in all, and by the batch norm before its weight.
    fn scales<'a, T: Float>(&'a self, range: usize, weight: &'a [T]) -> impl Iterator<Item = [f64; 2]> + 'a {
        let moments = &self.moments[range * weight.len()..][..weight.len()];
        let inverse = moments.iter().map(|moment| 1.0 / (moment.var + self.norm.eps).sqrt());
        weight
            .iter()
            .zip(inverse)
            .map(|(weight, inverse)| [weight.to_f64() * inverse, inverse])
    }

    /// For each group of each of the [`chunks`](Self::chunks) what one visit of its samples gives.
    fn parts<T: Real>(&self, x: &[T], (w, weight, bias): (&[T], &[T], &[T]), dy: &Behind<'_, T>) -> Vec<Part<T>> {
        let (sizes, isa) = (&self.applied.op.sizes, self.applied.op.isa);
        let (inputs, outputs) = sizes.group();
        let (length, ranges) = (sizes.l_in, self.norm.plan.ranges.len());
        // whole vectors, and an odd number of them: rows a power of two apart would fall on the same sets of the cache
        let row = (length.div_ceil(LANES) | 1) * LANES;
        let one = Sizes {
            l_in: row,
            l_out: row,
            ..sizes.group_of_sample()
        };
        let scaled: Vec<Vec<T>> = (0..ranges)
            .map(|range| {
                let rows = self.scales(range, weight).zip(w.chunks_exact(inputs));
                rows.flat_map(|([scale, _], w)| w.iter().map(move |w| T::from_f64(w.to_f64() * scale)))
                    .collect()
            })
            .collect();
        let chunks = self.chunks();
        let task = |g: &mut Scratch<T>, number: usize| {
            let ((range, samples), group) = (chunks[number / sizes.groups].clone(), number % sizes.groups);
            let of_group = group * outputs..(group + 1) * outputs;
            let to_input = InputGradient::new(&one, isa, &scaled[range][of_group.start * inputs..][..outputs * inputs]);
            let channels: Vec<_> = of_group
                .map(|channel| Channel {
                    weight: &w[channel * inputs..][..inputs],
                    affine: affine(
                        self.moments[range * sizes.c_out + channel],
                        self.norm.eps,
                        weight[channel],
                        bias[channel],
                    ),
                    floor: Floor::new(self.norm.relu),
                })
                .collect();
            let mut sums = vec![[T::zero(); LANES]; outputs];
            let mut products = Products::new(isa, outputs, inputs);
            let mut dx = Vec::with_capacity(samples.len() * inputs * length);
            let g = g.take(outputs * row);
            for sample in samples {
                let number = sample * sizes.groups + group;
                let x = &x[number * inputs * length..][..inputs * length];
                let dy = dy.of(number);
                let rows = g.chunks_exact_mut(row).zip(dy.chunks_exact(length));
                for ((channel, sums), (g, dy)) in channels.iter().zip(&mut sums).zip(rows) {
                    widening::gradient(x, *channel, dy, g, sums);
                }
                products.add((g, row), (x, length), length);
                let to_x = to_input.of(1, g);
                to_x.chunks_exact(row)
                    .for_each(|to_x| dx.extend_from_slice(&to_x[..length]));
            }
            Part {
                range,
                with_x: products.totals(),
                alone: sums.iter().map(lanes::total).collect(),
                dx,
            }
        };
        (0..chunks.len() * sizes.groups)
            .into_par_iter()
            .map_init(Scratch::new, |scratch, number| alone(|| task(scratch, number)))
            .collect()
    }

    /// The gradients of the input, the convolution's weight, weight and bias by what the visits gave.
    fn finish<T: Float>(&self, x: &[T], (w, weight): (&[T], &[T]), parts: &[Part<T>]) -> [Vec<T>; 4] {
        let groups: Vec<_> = (0..self.applied.op.sizes.groups)
            .into_par_iter()
            .map(|group| self.of_group(group, (w, weight), parts))
            .collect();
        let all = |of: fn(&OfGroup<T>) -> &[f64]| groups.iter().flat_map(of).map(|&value| T::from_f64(value)).collect();
        [
            self.corrected(x, parts, &groups),
            all(|group| &group.conv),
            all(|group| &group.weight),
            all(|group| &group.bias),
        ]
    }

    fn of_group<T: Float>(&self, group: usize, (w, weight): (&[T], &[T]), parts: &[Part<T>]) -> OfGroup<T> {
        let sizes = &self.applied.op.sizes;
        let (inputs, outputs) = sizes.group();
        let mut all = OfGroup {
            conv: vec![0.0; outputs * inputs],
            weight: vec![0.0; outputs],
            bias: vec![0.0; outputs],
            corrections: Vec::with_capacity(self.spreads.len()),
        };
        for (range, (spread, samples)) in self.spreads.iter().zip(&self.norm.plan.ranges).enumerate() {
            let values = (samples.len() * sizes.l_in) as f64;
            let means = &spread.means[group * inputs..][..inputs];
            let products = &spread.products[group * inputs * inputs..][..inputs * inputs];
            let mut with_x = vec![0.0; outputs * inputs];
            let mut alone = vec![0.0; outputs];
            for part in parts[group..]
                .iter()
                .step_by(sizes.groups)
                .filter(|part| part.range == range)
            {
                with_x.iter_mut().zip(&part.with_x).for_each(|(sum, part)| *sum += part);
                alone.iter_mut().zip(&part.alone).for_each(|(sum, part)| *sum += part);
            }
            let (mut offsets, mut slopes) = (vec![0.0; inputs], vec![0.0; inputs * inputs]);
            let channels = group * outputs..(group + 1) * outputs;
            let scales = self.scales(range, weight).skip(channels.start);
            for (o, (channel, [scale, inverse])) in channels.zip(scales).enumerate() {
                let w: Vec<f64> = w[channel * inputs..][..inputs].iter().map(|w| w.to_f64()).collect();
                let centred = |i: usize| with_x[o * inputs + i] - means[i] * alone[o];
                let with_unit = (0..inputs).map(|i| w[i] * centred(i)).sum::<f64>() * inverse;
                let (offset, slope) = (alone[o] / values, with_unit * inverse / values);
                all.weight[o] += with_unit;
                all.bias[o] += alone[o];
                for i in 0..inputs {
                    let along: f64 = w
                        .iter()
                        .zip(&products[i * inputs..])
                        .map(|(w, product)| w * product)
                        .sum();
                    all.conv[o * inputs + i] += scale * (centred(i) - slope * along);
                    offsets[i] += w[i] * scale * offset;
                    for (slopes, w_j) in slopes[i * inputs..].iter_mut().zip(&w) {
                        *slopes += w[i] * scale * slope * w_j;
                    }
                }
            }
            let rounded = |values: &[f64]| values.iter().map(|&value| T::from_f64(value)).collect();
            all.corrections.push(Correction {
                means: rounded(means),
                offsets: rounded(&offsets),
                slopes: rounded(&slopes),
            });
        }
        all
    }

    /// The gradient of the input: that of the visits, corrected.
    fn corrected<T: Float>(&self, x: &[T], parts: &[Part<T>], of_groups: &[OfGroup<T>]) -> Vec<T> {
        let sizes = &self.applied.op.sizes;
        let (groups, size) = (sizes.groups, sizes.group().0 * sizes.l_in);
        // for each sample its chunk, and its place there
        let chunks = self.chunks();
        let numbered = chunks.iter().enumerate();
        let places: Vec<_> = numbered
            .flat_map(|(chunk, (_, samples))| (0..samples.len()).map(move |place| (chunk, place)))
            .collect();
        write_rows(sizes.n * groups, size, |number, dx| {
            let ((chunk, place), group) = (places[number / groups], number % groups);
            let part = &parts[chunk * groups + group];
            let correction = &of_groups[group].corrections[part.range];
            correction.apply(
                &part.dx[place * size..][..size],
                &x[number * size..][..size],
                sizes.l_in,
                dx,
            );
        })
    }
}

/// The gradients of the weights of a group.
struct OfGroup<T> {
    conv: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    /// By range.
    corrections: Vec<Correction<T>>,
}

/// Tasks, at least, of a backward pass, of one group each. Fixed, so that the order of summation does not depend on the number of
/// threads.
const TASKS: usize = 32;

/// What a visit of some samples of a group gives: of the gradient `g` behind the batch norm.
struct Part<T> {
    range: usize,
    /// Sums of its products with `x`: output, then input channel.
    with_x: Vec<f64>,
    /// Its sums.
    alone: Vec<f64>,
    /// `W^T scale g`, sample by sample.
    dx: Vec<T>,
}

/// The gradient of the output, group by group of each sample.
struct Behind<'a, T: Real> {
    /// What leads to it, for each group, if it is not computed yet.
    convolutions: Vec<InputGradient<'static, T>>,
    values: &'a [T],
    /// Of a group of a sample.
    size: usize,
}

impl<'a, T: Real> Behind<'a, T> {
    fn new(behind: Option<(&Conv1dOp, &[T])>, sizes: &Sizes, values: &'a [T]) -> Self {
        let Some((op, weight)) = behind else {
            return Self {
                convolutions: Vec::new(),
                values,
                size: sizes.group().1 * sizes.l_in,
            };
        };
        let one = op.sizes.group_of_sample();
        let of_groups = weight.chunks_exact(one.c_in * one.c_out * one.kernel);
        Self {
            convolutions: alone(|| {
                of_groups
                    .map(|weight| InputGradient::new(&one, op.isa, weight))
                    .collect()
            }),
            values,
            size: one.c_out * one.l_out,
        }
    }

    /// Of group `number`, counted over all samples.
    fn of(&self, number: usize) -> Cow<'a, [T]> {
        let values = &self.values[number * self.size..][..self.size];
        match self.convolutions.len() {
            0 => Cow::Borrowed(values),
            groups => Cow::Owned(self.convolutions[number % groups].of(1, values)),
        }
    }
}

/// Of input, weight of the convolution, weight and bias of the batch norm.
struct Gradients {
    x: Tensor,
    conv: Tensor,
    weight: Tensor,
    bias: Tensor,
}

/// What is taken from the gradient of a group's input: `offsets + slopes (x - means)`.
struct Correction<T> {
    means: Vec<T>,
    offsets: Vec<T>,
    slopes: Vec<T>,
}

impl<T: Float> Correction<T> {
    /// From one sample's.
    fn apply(&self, gradient: &[T], x: &[T], length: usize, dx: &mut [T]) {
        let inputs = self.means.len();
        let mut centred = Scratch::new();
        let centred = centred.take(x.len());
        for ((x, place), &mean) in x
            .chunks_exact(length)
            .zip(centred.chunks_exact_mut(length))
            .zip(&self.means)
        {
            distances(x, mean, place);
        }
        let rows = gradient.chunks_exact(length).zip(dx.chunks_exact_mut(length));
        let constants = self.offsets.iter().zip(self.slopes.chunks_exact(inputs));
        for ((gradient, dx), (&offset, slopes)) in rows.zip(constants) {
            less(gradient, centred, slopes, offset, dx);
        }
    }
}

vectorised! {
    fn less<T>(gradient: &[T], centred: &[T], slopes: &[T], offset: T, dx: &mut [T]) {
        distances_of(gradient, offset, dx);
        for (x, &slope) in centred.chunks_exact(dx.len()).zip(slopes) {
            let slope = T::zero() - slope;
            for (dx, &x) in dx.iter_mut().zip(x) {
                *dx = slope.times_plus(x, *dx);
            }
        }
    }
}
