//! What samples are read as, and where they are put.

use std::fmt::Debug;
use std::ops::Range;

use bytemuck::Pod;

use super::numbers::Number;
use crate::error::Result;
use crate::select::Chosen;

/// What samples are read as: `f64`, which holds what any format stores (integers beyond 2^53 alone are rounded), or `f32`, the
/// nearest to that, in half the memory. Where a file stores what is asked for, one after the other, samples are read from it
/// straight to where they are wanted.
pub trait Sample: Place {}

impl Sample for f32 {}
impl Sample for f64 {}

/// What readers know of a [`Sample`]; nobody else can name it, so there are no others.
pub trait Place: Pod + Default + PartialEq + PartialOrd + Debug + Send + Sync + Into<f64> {
    /// How a file stores it where nothing is converted, but for the byte order.
    const STORED: Number;
    /// The nearest to `value`.
    fn nearest(value: f64) -> Self;
    /// Vectors of it, one for each channel.
    fn out(vectors: &mut [Vec<Self>]) -> Out<'_>;
}

impl Place for f32 {
    const STORED: Number = Number::F32;

    fn nearest(value: f64) -> Self {
        value as Self
    }

    fn out(vectors: &mut [Vec<Self>]) -> Out<'_> {
        Out::Single(vectors)
    }
}

impl Place for f64 {
    const STORED: Number = Number::F64;

    fn nearest(value: f64) -> Self {
        value
    }

    fn out(vectors: &mut [Vec<Self>]) -> Out<'_> {
        Out::Double(vectors)
    }
}

/// Where samples are put: a vector for each channel, which is overwritten and may have been used before.
#[derive(Debug)]
pub enum Out<'a> {
    Single(&'a mut [Vec<f32>]),
    Double(&'a mut [Vec<f64>]),
}

impl Out<'_> {
    /// Takes what was read as f64.
    pub(crate) fn take(self, read: Vec<Vec<f64>>) {
        match self {
            Self::Double(out) => out.iter_mut().zip(read).for_each(|(out, read)| *out = read),
            Self::Single(out) => {
                for (out, read) in out.iter_mut().zip(read) {
                    out.clear();
                    out.extend(read.into_iter().map(f32::nearest));
                }
            }
        }
    }
}

/// A reader that reads each channel by itself, whatever its samples are read as.
pub(crate) trait ByChannel {
    /// Samples `samples` of a channel in place of what `out` holds; after an error it holds anything.
    fn channel_into<S: Sample>(&self, chosen: &Chosen, samples: &Range<usize>, out: &mut Vec<S>) -> Result<()>;

    fn channels_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        fn each<S: Sample>(
            reader: &(impl ByChannel + ?Sized),
            channels: &[Chosen],
            samples: &Range<usize>,
            out: &mut [Vec<S>],
        ) -> Result<()> {
            let each = |(chosen, out)| reader.channel_into(chosen, samples, out);
            channels.iter().zip(out).try_for_each(each)
        }
        match out {
            Out::Single(out) => each(self, channels, samples, out),
            Out::Double(out) => each(self, channels, samples, out),
        }
    }
}
