//! A convolution of one tap that makes many channels of few, left to whoever reads them: a row of its output costs less to make
//! of the few rows it comes from, which stay in the first-level cache, than to read.

use candle_core::{Device, Result, Tensor};

use crate::Conv1d;
use crate::buffer::{Float, Reader};
use crate::conv::Conv1dConfig;
use crate::kernels::Sizes;
use crate::lanes::LANES;
use crate::padding::Padding;
use crate::values::{Affine, Floor};
use crate::vectorised::vectorised;

/// Input channels of a group, at most: so many products cost less than memory.
const CHANNELS: usize = 16;
/// Outputs for each input, at least.
const TIMES: usize = 4;

/// Whether a layer is such a convolution.
pub(crate) fn serves(layer: &Conv1d) -> bool {
    let Conv1dConfig {
        stride,
        padding,
        groups,
        ..
    } = *layer.config();
    let Ok((c_out, inputs, kernel)) = layer.weight().dims3() else {
        return false;
    };
    let plain = (kernel, stride) == (1, 1) && (padding == Padding::Same || padding == Padding::from(0));
    plain && (1..=CHANNELS).contains(&inputs) && c_out / groups >= TIMES * inputs
}

/// The convolution, without its bias.
#[derive(Debug)]
pub(crate) struct Widening {
    /// `(c_out, c_in / groups, 1)`
    weight: Tensor,
    groups: usize,
}

impl Widening {
    pub fn new(weight: Tensor, groups: usize) -> Self {
        Self { weight, groups }
    }

    /// Whether the groups of a convolution behind it are its own, so that each is gone back through from end to end.
    pub fn takes_convolved(&self, behind: &Sizes) -> bool {
        behind.groups == self.groups && !behind.by_pairs()
    }

    /// A tensor as large as what it makes of `x`, which takes no memory.
    pub fn like(&self, x: &Tensor) -> Result<Tensor> {
        let (n, _, length) = x.dims3()?;
        let one = Tensor::zeros((1, 1, 1), x.dtype(), &Device::Cpu)?;
        one.broadcast_as((n, self.weight.dim(0)?, length))
    }

    pub fn open(&self) -> Opened<'_> {
        Opened {
            weight: Reader::new(&self.weight),
            inputs: self.weight.dims().get(1).copied().unwrap_or(0),
            groups: self.groups,
        }
    }
}

/// [`Widening`] opened for reading.
pub(crate) struct Opened<'a> {
    weight: Reader<'a>,
    inputs: usize,
    groups: usize,
}

impl Opened<'_> {
    pub fn rows<T: Float>(&self) -> Result<Rows<'_, T>> {
        let weight = self.weight.values::<T>()?;
        Ok(Rows {
            weight,
            inputs: self.inputs,
            outputs: weight.len() / (self.inputs * self.groups).max(1),
            groups: self.groups,
        })
    }
}

/// [`Widening`] in the type of the data: rows of its output.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    weight: &'a [T],
    /// Input and output channels of a group.
    inputs: usize,
    outputs: usize,
    groups: usize,
}

impl<T: Float> Rows<'_, T> {
    /// Values of the output for so many of the input.
    pub fn widened(&self, values: usize) -> usize {
        values / self.inputs * self.outputs
    }

    /// About where the input lies of which the output from this value on is made.
    pub fn narrowed(&self, value: usize) -> usize {
        value / self.outputs * self.inputs
    }

    /// Row `row` of the output from position `from` on, normalised, of input rows of `length` values.
    pub fn copy(
        &self,
        x: &[T],
        length: usize,
        (row, from): (usize, usize),
        affine: Affine<T>,
        floor: Floor<T>,
        to: &mut [T],
    ) {
        let channel = row % (self.groups * self.outputs);
        let x = &x[row / self.outputs * self.inputs * length..][..self.inputs * length];
        let weight = &self.weight[channel * self.inputs..][..self.inputs];
        copy(x, length, from, Channel { weight, affine, floor }, to);
    }
}

/// One channel of the output.
#[derive(Clone, Copy)]
pub(crate) struct Channel<'a, T> {
    pub weight: &'a [T],
    pub affine: Affine<T>,
    pub floor: Floor<T>,
}

impl<T: Float> Channel<'_, T> {
    /// N values of it, normalised, of rows of `length` values.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn block<const N: usize>(self, x: &[T], length: usize, at: usize) -> [T; N] {
        let Affine { mean, scale, bias } = self.affine;
        let mut sums = [T::zero() - mean; N];
        for (k, &weight) in self.weight.iter().enumerate() {
            if let Some(x) = x[k * length + at..].first_chunk::<N>() {
                for i in 0..N {
                    sums[i] = weight.times_plus(x[i], sums[i]);
                }
            }
        }
        for sum in &mut sums {
            *sum = sum.times_plus(scale, bias);
        }
        sums
    }

    /// N values from position `at` on to `to`.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn copy_block<const N: usize>(self, x: &[T], length: usize, from: usize, to: &mut [T], at: usize) {
        let y = self.block::<N>(x, length, from + at);
        if let Some(to) = to[at..].first_chunk_mut::<N>() {
            for i in 0..N {
                to[i] = self.floor.of(y[i]);
            }
        }
    }

    /// N gradients from position `at` on.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn gradient_block<const N: usize>(self, x: &[T], dy: &[T], g: &mut [T], at: usize) {
        let y = self.block::<N>(x, dy.len(), at);
        if let (Some(g), Some(dy)) = (g[at..].first_chunk_mut::<N>(), dy[at..].first_chunk::<N>()) {
            for i in 0..N {
                g[i] = self.floor.gradient(y[i], dy[i]);
            }
        }
    }
}

/// Positions of a block: their sums stay in registers, and are many enough that none waits for the one before.
const LONG: usize = 64;
const MEDIUM: usize = 32;

/// Blocks that make up `count` values, size and start: long ones, then ones of the largest size that fits, of which the last ends with the values.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn blocks(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let rest = [MEDIUM, LANES].into_iter().find(|&size| size <= count).unwrap_or(1);
    let whole = count / LONG * LONG;
    let long = (0..whole).step_by(LONG).map(|at| (LONG, at));
    long.chain((whole..count).step_by(rest).map(move |at| (rest, at.min(count - rest))))
}

vectorised! {
    /// The channel from position `from` on, normalised.
    fn copy<T>(x: &[T], length: usize, from: usize, channel: Channel<'_, T>, to: &mut [T]) {
        let count = to.len();
        assert!(from + count <= length);
        for (size, at) in blocks(count) {
            match size {
                LONG => channel.copy_block::<LONG>(x, length, from, to, at),
                MEDIUM => channel.copy_block::<MEDIUM>(x, length, from, to, at),
                LANES => channel.copy_block::<LANES>(x, length, from, to, at),
                _ => channel.copy_block::<1>(x, length, from, to, at),
            }
        }
    }
}

vectorised! {
    /// The gradient behind the batch norm, given that of its row, `dy`; adds it to `sums`. Zeros behind it, to the end of `g`, whose
    /// length is a multiple of a vector's.
    pub(crate) fn gradient<T>(x: &[T], channel: Channel<'_, T>, dy: &[T], g: &mut [T], sums: &mut [T; LANES]) {
        for (size, at) in blocks(dy.len()) {
            match size {
                LONG => channel.gradient_block::<LONG>(x, dy, g, at),
                MEDIUM => channel.gradient_block::<MEDIUM>(x, dy, g, at),
                LANES => channel.gradient_block::<LANES>(x, dy, g, at),
                _ => channel.gradient_block::<1>(x, dy, g, at),
            }
        }
        for g in &mut g[dy.len()..] {
            *g = T::zero();
        }
        let mut total = *sums;
        for g in g.as_chunks::<LANES>().0 {
            for i in 0..LANES {
                total[i] += g[i];
            }
        }
        *sums = total;
    }
}
