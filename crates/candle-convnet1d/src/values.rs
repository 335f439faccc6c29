//! What a layer reads of the layer before it: values that lie in memory, or what a batch norm makes of them as they are read.
//!
//! In training a batch norm stands between two convolutions. What it gives is a few operations away from what it got, which
//! its backward pass keeps anyhow: so that is all that is ever written, and whoever reads a row normalises it on the way to
//! the first-level cache. There is one place for that, [`Input::copy`]. Where the batch norm stands behind a convolution of one
//! tap that makes many channels of few ([`Widening`]), what the convolution gives is not written either.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Result, Tensor};

use crate::buffer::{Float, Reader, for_float, write_rows};
use crate::kernels::Sizes;
use crate::moments::RowMoment;
use crate::prefetch;
use crate::scratch::Scratch;
use crate::vectorised::vectorised;
use crate::widening::{Opened as OpenedWidening, Rows, Widening};

/// What a channel is multiplied with and moved by, in the type of the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<T> {
    pub mean: T,
    pub scale: T,
    pub bias: T,
}

impl<T: Float> Affine<T> {
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn of(self, x: T) -> T {
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

    fn is_none(self) -> bool {
        self.0.is_nan()
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

/// A batch norm, and perhaps a `ReLU`, that whoever reads applies.
#[derive(Debug)]
struct Pending {
    /// The convolution before it, where that is left to the reader as well.
    widening: Option<Widening>,
    /// `(ranges, C, 3)`: mean, scale and bias.
    affines: Tensor,
    /// For each sample the number of its range.
    ranges: Vec<usize>,
    relu: bool,
    /// What it gives, in full, from when somebody asked for that.
    applied: OnceLock<Tensor>,
}

/// The values of a signal `(N, C, L)`.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// What is written.
    tensor: Tensor,
    /// As large as the signal.
    like: Tensor,
    pending: Option<Arc<Pending>>,
    /// Of the rows of `tensor`, where they are known.
    moments: Option<Arc<Vec<RowMoment>>>,
}

impl From<Tensor> for Values {
    fn from(tensor: Tensor) -> Self {
        Self {
            like: tensor.clone(),
            tensor,
            pending: None,
            moments: None,
        }
    }
}

impl Values {
    /// What a batch norm makes of `x`, and a `ReLU` behind it: `affines` by range, then channel, `ranges` for each sample the
    /// number of its range, `moments` those of the rows of `x` where they are known. With `widening`, the batch norm is behind
    /// that, and the means are those of what it gives without its bias.
    pub fn pending<T: Float>(
        x: Tensor,
        widening: Option<Widening>,
        affines: &[Affine<T>],
        ranges: Vec<usize>,
        relu: bool,
        moments: Option<Arc<Vec<RowMoment>>>,
    ) -> Result<Self> {
        let like = match &widening {
            None => x.clone(),
            Some(widening) => widening.like(&x)?,
        };
        let channels = like.dim(1)?;
        let numbers: Vec<T> = affines.iter().flat_map(|a| [a.mean, a.scale, a.bias]).collect();
        let affines = Tensor::from_vec(numbers, (affines.len() / channels.max(1), channels, 3), &Device::Cpu)?;
        Ok(Self {
            tensor: x,
            like,
            pending: Some(Arc::new(Pending {
                widening,
                affines,
                ranges,
                relu,
                applied: OnceLock::new(),
            })),
            moments,
        })
    }

    /// A tensor of the same shape, type and place; its values mean nothing.
    pub fn like(&self) -> &Tensor {
        &self.like
    }

    pub fn dtype(&self) -> DType {
        self.tensor.dtype()
    }

    pub fn dims3(&self) -> Result<(usize, usize, usize)> {
        self.like.dims3()
    }

    /// In full. Kept, so that they are written once.
    pub fn written(&self) -> Result<Tensor> {
        let Some(pending) = &self.pending else {
            return Ok(self.tensor.clone());
        };
        if let Some(applied) = pending.applied.get() {
            return Ok(applied.clone());
        }
        let (n, c, length) = self.dims3()?;
        let opened = self.open();
        let applied = for_float!(self.dtype(), T => {
            let x = opened.input::<T>()?;
            let y = write_rows(n * c, length, |row, y| x.copy(row, 0, y));
            Tensor::from_vec(y, (n, c, length), &Device::Cpu)?
        });
        Ok(pending.applied.get_or_init(|| applied).clone())
    }

    /// Whether the gradient that a convolution of these hands back may be left to where they come from.
    pub fn takes_convolved(&self, sizes: &Sizes) -> bool {
        let widening = self.pending.as_ref().and_then(|pending| pending.widening.as_ref());
        widening.is_some_and(|widening| widening.takes_convolved(sizes))
    }

    /// The same, constants to candle.
    pub fn detach(&self) -> Self {
        Self {
            tensor: self.tensor.detach(),
            like: self.like.detach(),
            ..self.clone()
        }
    }

    /// A tensor with the moments of its rows.
    pub fn with_moments(tensor: Tensor, moments: Vec<RowMoment>) -> Self {
        Self {
            moments: Some(Arc::new(moments)),
            ..Self::from(tensor)
        }
    }

    /// The moments of the rows of a tensor that came with them.
    pub fn moments(&self) -> Option<Arc<Vec<RowMoment>>> {
        self.moments.clone().filter(|_| self.pending.is_none())
    }

    /// Of the rows that a batch norm makes these of.
    pub fn moments_before(&self) -> Option<Arc<Vec<RowMoment>>> {
        self.moments.clone().filter(|_| self.pending.is_some())
    }

    /// The means of the rows, where they follow from those of what the rows are made of.
    pub fn means<T: Float>(&self) -> Result<Option<Vec<T>>> {
        let opened = self.open();
        let (input, Some(moments)) = (opened.input::<T>()?, &self.moments) else {
            return Ok(None);
        };
        let mean = |(row, moment): (usize, &RowMoment)| {
            let (_, Affine { mean, scale, bias }) = input.linear_row(row)?;
            Some(T::from_f64(
                (moment.mean - mean.to_f64()) * scale.to_f64() + bias.to_f64(),
            ))
        };
        Ok(moments.iter().enumerate().map(mean).collect())
    }

    /// Opened for reading.
    pub fn open(&self) -> Opened<'_> {
        // what is written by now is read as it is
        let written = self.pending.as_ref().and_then(|pending| pending.applied.get());
        Opened {
            values: Reader::new(written.unwrap_or(&self.tensor)),
            pending: match written {
                Some(_) => None,
                None => self.pending.as_deref().map(|pending| OpenedPending {
                    pending,
                    affines: Reader::new(&pending.affines),
                    widening: pending.widening.as_ref().map(Widening::open),
                }),
            },
            channels: self.like.dims().get(1).copied().unwrap_or(0),
            length: self.like.dims().get(2).copied().unwrap_or(0),
        }
    }
}

/// [`Values`] opened for reading.
pub(crate) struct Opened<'a> {
    values: Reader<'a>,
    pending: Option<OpenedPending<'a>>,
    channels: usize,
    length: usize,
}

struct OpenedPending<'a> {
    pending: &'a Pending,
    affines: Reader<'a>,
    widening: Option<OpenedWidening<'a>>,
}

impl Opened<'_> {
    pub fn input<T: Float>(&self) -> Result<Input<'_, T>> {
        let mut input = Input::written(self.values.values()?, self.length);
        if let Some(OpenedPending {
            pending,
            affines,
            widening,
        }) = &self.pending
        {
            input.norm = Some(Norm {
                widening: widening.as_ref().map(OpenedWidening::rows).transpose()?,
                affines: affines.values::<T>()?.as_chunks().0,
                channels: self.channels,
                ranges: &pending.ranges,
                floor: Floor::new(pending.relu),
            });
        }
        Ok(input)
    }
}

/// [`Pending`] in the type of the data.
#[derive(Clone, Copy)]
struct Norm<'a, T> {
    widening: Option<Rows<'a, T>>,
    affines: &'a [[T; 3]],
    channels: usize,
    ranges: &'a [usize],
    floor: Floor<T>,
}

/// The rows of [`Values`], numbered over all channels of all samples.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a, T> {
    values: &'a [T],
    length: usize,
    norm: Option<Norm<'a, T>>,
}

impl<'a, T: Float> Input<'a, T> {
    /// Rows of `length` values that lie in memory.
    pub fn written(values: &'a [T], length: usize) -> Self {
        Self {
            values,
            length,
            norm: None,
        }
    }

    /// Values of all rows.
    pub fn count(&self) -> usize {
        self.widening()
            .map_or(self.values.len(), |rows| rows.widened(self.values.len()))
    }

    /// The convolution that is left to the reader.
    fn widening(&self) -> Option<Rows<'a, T>> {
        self.norm.and_then(|norm| norm.widening)
    }

    /// All rows one behind the other, if they lie in memory.
    pub fn in_memory(&self) -> Option<&'a [T]> {
        self.norm.is_none().then_some(self.values)
    }

    /// What the row is made by.
    fn norm_of(&self, row: usize) -> Option<(Affine<T>, Floor<T>)> {
        self.norm.map(|norm| {
            let (sample, channel) = (row / norm.channels, row % norm.channels);
            let [mean, scale, bias] = norm.affines[norm.ranges[sample] * norm.channels + channel];
            (Affine { mean, scale, bias }, norm.floor)
        })
    }

    /// The row that a batch norm makes this one of, value by value.
    pub fn made_of(&self, row: usize) -> Option<&'a [T]> {
        let norm = self.norm.filter(|norm| norm.widening.is_none());
        norm.map(|_| &self.values[row * self.length..][..self.length])
    }

    /// What the row is made of, and by what, where it is a line.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn linear_row(&self, row: usize) -> Option<(&'a [T], Affine<T>)> {
        let (affine, floor) = self.norm_of(row)?;
        let values = &self.values[row * self.length..];
        (self.widening().is_none() && floor.is_none()).then(|| (&values[..self.length], affine))
    }

    /// Asks for some of all values, which [`copy`](Self::copy) wants later.
    pub fn ask(&self, values: Range<usize>) {
        let values = match self.widening() {
            None => values,
            Some(rows) => rows.narrowed(values.start)..rows.narrowed(values.end),
        };
        let end = values.end.min(self.values.len());
        prefetch::to_read_later(&self.values[values.start.min(end)..end]);
    }

    /// Copies the row from position `from` on.
    pub fn copy(&self, row: usize, from: usize, to: &mut [T]) {
        if let (Some(rows), Some((affine, floor))) = (self.widening(), self.norm_of(row)) {
            return rows.copy(self.values, self.length, (row, from), affine, floor, to);
        }
        let x = &self.values[row * self.length..][..self.length][from..][..to.len()];
        match self.norm_of(row) {
            None => to.copy_from_slice(x),
            Some((affine, floor)) => normalise(x, affine, floor, to),
        }
    }

    /// Copies every `step`th value of the row from position `from` on.
    pub fn copy_spaced(&self, row: usize, from: usize, step: usize, to: &mut [T]) {
        if self.widening().is_some() {
            let mut all = Scratch::new();
            let all = all.take(self.length);
            self.copy(row, 0, all);
            return to
                .iter_mut()
                .zip(all[from..].iter().step_by(step))
                .for_each(|(to, &x)| *to = x);
        }
        let x = &self.values[row * self.length..][..self.length][from..];
        match step {
            2 => every_second(x, to),
            _ => to.iter_mut().zip(x.iter().step_by(step)).for_each(|(to, &x)| *to = x),
        }
        if let Some((affine, floor)) = self.norm_of(row) {
            normalise_in_place(to, affine, floor);
        }
    }

    /// Values of scratch that [`row`](Self::row) wants.
    pub fn room(&self) -> usize {
        if self.norm.is_some() { self.length } else { 0 }
    }

    /// The row, in `scratch` if it does not lie in memory.
    pub fn row<'s>(&self, row: usize, scratch: &'s mut [T]) -> &'s [T]
    where
        'a: 's,
    {
        if self.norm.is_none() {
            return &self.values[row * self.length..][..self.length];
        }
        let scratch = &mut scratch[..self.length];
        self.copy(row, 0, scratch);
        scratch
    }
}

vectorised! {
    fn normalise<T>(x: &[T], affine: Affine<T>, floor: Floor<T>, y: &mut [T]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = floor.of(affine.of(x));
        }
    }
}

vectorised! {
    fn normalise_in_place<T>(y: &mut [T], affine: Affine<T>, floor: Floor<T>) {
        for y in y {
            *y = floor.of(affine.of(*y));
        }
    }
}

vectorised! {
    /// Values 0, 2, 4 and so on.
    fn every_second<T>(x: &[T], to: &mut [T]) {
        let (pairs, last) = x.as_chunks::<2>();
        let count = to.len();
        for (to, pair) in to.iter_mut().zip(pairs) {
            *to = pair[0];
        }
        if let ([last], true) = (last, count > pairs.len()) {
            to[pairs.len()] = *last;
        }
    }
}
