//! Maximum over windows. The gradient goes to the first maximum of a window; NaN counts as larger
//! than any number, and of several NaN the last one takes the gradient, as in `PyTorch`.

use std::ops::Range;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::windows::Windows;
use crate::buffer::{Float, Reader, for_float, output, values, write_rows_and};
use crate::lanes;
use crate::scratch::Scratch;
use crate::values::{Input, Values};
use crate::vectorised::vectorised;

#[derive(Debug)]
pub(crate) struct MaxPool {
    pub windows: Windows,
}

/// Where the maxima of a pool lie in their rows.
#[derive(Clone, Debug)]
pub(crate) struct Peaks {
    /// By row, then output.
    pub positions: Arc<Vec<u32>>,
    /// What a batch norm makes the maxima of.
    pub x: Tensor,
}

/// Values for each maximum, at least, that make these few.
const FEW: usize = 8;
/// Windows of at least this many positions are reduced in lanes.
const WIDE: usize = 32;

impl MaxPool {
    fn forward<T: Float>(&self, x: &[T], y: &mut [T]) {
        match self.windows.kernel_and_stride() {
            Some((2, 2)) if self.windows.whole() == (0..y.len()) => forward_pairs(x, y),
            Some((2, 2)) => self.forward_regular::<T, 2, 2>(x, y),
            Some((3, 2)) => self.forward_regular::<T, 3, 2>(x, y),
            _ => self.forward_each(0..y.len(), x, y),
        }
    }

    fn forward_each<T: Float>(&self, outputs: Range<usize>, x: &[T], y: &mut [T]) {
        for output in outputs {
            let window = &x[self.windows.range(output)];
            y[output] = if window.len() < WIDE {
                window[small_position(window)]
            } else {
                lanes::max(window)
            };
        }
    }

    /// With numbers that the compiler knows, for the pools that networks begin with.
    fn forward_regular<T: Float, const KERNEL: usize, const STRIDE: usize>(&self, x: &[T], y: &mut [T]) {
        let whole = self.windows.whole();
        self.forward_each(0..whole.start, x, y);
        for (y, window) in y[whole.clone()]
            .iter_mut()
            .zip(self.windows.whole_of::<T, KERNEL, STRIDE>(x))
        {
            *y = window[1..]
                .iter()
                .fold(window[0], |max, &x| if x > max || x.is_nan() { x } else { max });
        }
        self.forward_each(whole.end..y.len(), x, y);
    }

    fn backward<T: Float>(&self, x: &[T], y: &[T], dy: &[T], dx: &mut [T]) {
        match self.windows.kernel_and_stride() {
            Some((2, 2)) if self.windows.whole() == (0..dy.len()) => backward_pairs(x, dy, dx),
            Some((3, 2)) => self.backward_triples(x, y, dy, dx),
            _ => self.backward_each(0..dy.len(), x, y, dy, dx),
        }
    }

    fn backward_each<T: Float>(&self, outputs: Range<usize>, x: &[T], y: &[T], dy: &[T], dx: &mut [T]) {
        for output in outputs {
            let window = self.windows.range(output);
            dx[window.start + position(&x[window], y[output])] += dy[output];
        }
    }

    fn backward_triples<T: Float>(&self, x: &[T], y: &[T], dy: &[T], dx: &mut [T]) {
        let whole = self.windows.whole();
        self.backward_each(0..whole.start, x, y, dy, dx);
        if !whole.is_empty() {
            let first = self.windows.range(whole.start).start;
            triples(&x[first..], &dy[whole.clone()], &mut dx[first..]);
        }
        self.backward_each(whole.end..dy.len(), x, y, dy, dx);
    }
}

vectorised! {
    /// Adds the gradient of windows of three positions, two apart. Every position gets a sum, of which most add nothing: that
    /// needs no branch.
    fn triples<T>(x: &[T], dy: &[T], dx: &mut [T]) {
        let count = dy.len();
        let (x, dx) = (&x[..=2 * count], &mut dx[..=2 * count]);
        // for the next window's first position
        let mut carried = T::zero();
        for (i, &dy) in dy.iter().enumerate() {
            let (a, b, c) = (x[2 * i], x[2 * i + 1], x[2 * i + 2]);
            let second = b > a || b.is_nan();
            let larger = if second { b } else { a };
            let third = c > larger || c.is_nan();
            let of_pair = if third { T::zero() } else { dy };
            dx[2 * i] = (dx[2 * i] + carried) + if second { T::zero() } else { of_pair };
            dx[2 * i + 1] += if second { of_pair } else { T::zero() };
            carried = if third { dy } else { T::zero() };
        }
        dx[2 * count] += carried;
    }
}

vectorised! {
    /// The larger one of each two adjacent values, with NaN as everywhere here.
    fn forward_pairs<T>(x: &[T], y: &mut [T]) {
        for (y, pair) in y.iter_mut().zip(x.as_chunks::<2>().0) {
            *y = if pair[1] > pair[0] || pair[1].is_nan() { pair[1] } else { pair[0] };
        }
    }
}

vectorised! {
    /// The gradient of [`forward_pairs`].
    fn backward_pairs<T>(x: &[T], dy: &[T], dx: &mut [T]) {
        let pairs = x.as_chunks::<2>().0.iter().zip(dx.as_chunks_mut::<2>().0);
        for (&dy, (pair, dx)) in dy.iter().zip(pairs) {
            let second = pair[1] > pair[0] || pair[1].is_nan();
            *dx = if second { [T::zero(), dy] } else { [dy, T::zero()] };
        }
    }
}

/// The position of the first maximum of a window that is not empty, or of the last NaN. `largest`: its maximum.
fn position<T: Float>(window: &[T], largest: T) -> usize {
    if window.len() < WIDE {
        return small_position(window);
    }
    let found = if largest.is_nan() {
        window.iter().rposition(|x| x.is_nan())
    } else {
        lanes::position(window, largest)
    };
    found.unwrap_or(0)
}

#[allow(
    clippy::inline_always,
    reason = "the kernel's length is a constant where this is called"
)]
#[inline(always)]
fn small_position<T: Float>(window: &[T]) -> usize {
    let (mut best, mut largest) = (0, window[0]);
    for (i, &x) in window.iter().enumerate().skip(1) {
        let larger = x > largest || x.is_nan();
        best = if larger { i } else { best };
        largest = if larger { x } else { largest };
    }
    best
}

impl MaxPool {
    /// `(N, C, L_out)` of `(N, C, L)`.
    fn all<T: Float>(&self, x: Input<'_, T>, (rows, length): (usize, usize)) -> Vec<T> {
        let outputs = self.windows.len();
        let (y, _) = write_rows_and(rows, outputs, length, |row, y, (): &mut ()| {
            self.forward(x.row(row, Scratch::new().take(x.room())), y);
        });
        y
    }

    /// What it makes of values; and where the maxima lie, if few of the values are any.
    pub fn of_values(&self, x: &Values) -> Result<(Tensor, Option<Peaks>)> {
        let (n, c, length) = x.dims3()?;
        let opened = x.open();
        let outputs = self.windows.len();
        for_float!(x.dtype(), T => {
            let x = opened.input::<T>()?;
            let tensor = |values: Vec<T>| Tensor::from_vec(values, (n, c, outputs), &Device::Cpu);
            let few = outputs * FEW <= length && u32::try_from(length).is_ok();
            if !few || n * c == 0 || x.made_of(0).is_none() {
                return Ok((tensor(self.all::<T>(x, (n * c, length)))?, None));
            }
            let (y, peaks) = write_rows_and(n * c, outputs, length, |row, y, peaks: &mut Vec<(u32, T)>| {
                let mut scratch = Scratch::new();
                let values = x.row(row, scratch.take(x.room()));
                self.forward(values, y);
                let made_of = x.made_of(row).unwrap_or(values);
                let at = |(window, &y): (&Range<usize>, &T)| {
                    let at = window.start + position(&values[window.clone()], y);
                    (at as u32, made_of[at])
                };
                *peaks = self.windows.iter().zip(&*y).map(at).collect();
            });
            let (positions, before) = peaks.into_iter().flatten().unzip();
            let peaks = Peaks {
                positions: Arc::new(positions),
                x: tensor(before)?,
            };
            Ok((tensor(y)?, Some(peaks)))
        })
    }

    /// The gradient of `x`, given the result `y` and its gradient.
    pub fn gradient(&self, x: &Values, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (n, c, length) = x.dims3()?;
        let dy = dy.contiguous()?;
        let (opened, readers) = (x.open(), [y, &dy].map(Reader::new));
        for_float!(x.dtype(), T => {
            let (x, y, dy) = (opened.input::<T>()?, readers[0].values::<T>()?, readers[1].values::<T>()?);
            let (dx, _) = write_rows_and(n * c, length, length, |row, dx, (): &mut ()| {
                self.row_gradient(row, x, (y, dy), dx);
            });
            Tensor::from_vec(dx, (n, c, length), &Device::Cpu)
        })
    }

    /// Adds that of one row to `dx`.
    pub fn row_gradient<T: Float>(&self, row: usize, x: Input<'_, T>, (y, dy): (&[T], &[T]), dx: &mut [T]) {
        let outputs = self.windows.len();
        let of_row = row * outputs..(row + 1) * outputs;
        let mut scratch = Scratch::new();
        let x = x.row(row, scratch.take(x.room()));
        self.backward(x, &y[of_row.clone()], &dy[of_row], dx);
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, length) = layout.shape().dims3()?;
        for_float!(x.dtype(), T => {
            let y = self.all(Input::written(values::<T>(x, layout)?, length), (n * c, length));
            Ok(output::<T>(y, (n, c, self.windows.len())))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        self.gradient(&x.clone().into(), y, dy).map(Some)
    }
}
