//! Mean over windows.

use std::ops::Range;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::windows::Windows;
use crate::buffer::{Float, Place, Reader, for_float, output, values, write_rows_and, write_stretches};
use crate::lanes;
use crate::scratch::Scratch;
use crate::values::{Input, Values};
use crate::vectorised::vectorised;

pub(super) struct AvgPool {
    pub windows: Windows,
    /// What the sum of each window is divided by.
    pub divisors: Vec<f64>,
}

/// Windows below this many positions are summed one by one.
const SHORT: usize = 16;
/// Rows up to this many positions have a path of their own where one window is the whole row: the mean over the length
/// of a deep layer is many short rows, for which the general path costs more than the row itself.
const LONG: usize = 256;

/// Sum of a row in 16 interleaved partial sums of its own type, the last four added in f64.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn sum<T: Float>(row: &[T]) -> f64 {
    let (whole, rest) = row.as_chunks::<16>();
    let mut lanes = [T::zero(); 16];
    for values in whole {
        for (lane, &value) in lanes.iter_mut().zip(values) {
            *lane += value;
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    for half in [8, 4] {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
    }
    lanes[..4].iter().map(|lane| lane.to_f64()).sum()
}

vectorised! {
    /// Means of rows.
    fn means<T>(x: Input<'_, T>, rows: Range<usize>, divisor: f64, place: Place<'_, T>) {
        let mut scratch = Scratch::new();
        let scratch = scratch.take(x.room());
        place.fill_with(rows.map(|row| T::from_f64(sum(x.row(row, scratch)) / divisor)));
    }
}

impl AvgPool {
    /// `(N, C, L_out)` of `(N, C, L)`.
    fn all<T: Float>(&self, x: Input<'_, T>, (rows, length): (usize, usize)) -> Vec<T> {
        if length <= LONG && self.windows.iter().eq([&(0..length)]) {
            return write_stretches(rows, length, |rows, place| means(x, rows, self.divisors[0], place));
        }
        let (y, _) = write_rows_and(rows, self.windows.len(), length, |row, y, (): &mut ()| {
            self.forward(x.row(row, Scratch::new().take(x.room())), y);
        });
        y
    }

    fn forward<T: Float>(&self, x: &[T], y: &mut [T]) {
        let windows = self.windows.iter().zip(&self.divisors);
        for (y, (window, divisor)) in y.iter_mut().zip(windows) {
            let x = &x[window.clone()];
            // the set-up of lanes costs more than a short sum
            let sum = if x.len() < SHORT {
                x.iter().map(|x| x.to_f64()).sum()
            } else {
                lanes::sum(x)
            };
            *y = T::from_f64(sum / divisor);
        }
    }

    fn backward<T: Float>(&self, dy: &[T], dx: &mut [T]) {
        let windows = self.windows.iter().zip(&self.divisors);
        for (&dy, (window, &divisor)) in dy.iter().zip(windows) {
            let share = dy / T::from_f64(divisor);
            for dx in &mut dx[window.clone()] {
                *dx += share;
            }
        }
    }
}

/// Means over the length `(N, C)` of values.
pub(crate) fn row_means(x: &Values) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    let windows = Windows::adaptive("adaptive_avg_pool1d", length, 1)?;
    let pool = AvgPool {
        divisors: windows.sizes(),
        windows,
    };
    let opened = x.open();
    for_float!(x.dtype(), T => {
        let means = match x.means::<T>()? {
            Some(means) => means,
            None => pool.all::<T>(opened.input()?, (n * c, length)),
        };
        Tensor::from_vec(means, (n, c), &Device::Cpu)
    })
}

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, length) = layout.shape().dims3()?;
        let outputs = self.windows.len();
        for_float!(x.dtype(), T => {
            let y = self.all(Input::written(values::<T>(x, layout)?, length), (n * c, length));
            Ok(output::<T>(y, (n, c, outputs)))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (n, c, length) = x.dims3()?;
        let outputs = self.windows.len();
        if self.windows.iter().eq([&(0..length)]) {
            // a view: each row is one value
            return (dy / self.divisors[0])?.broadcast_as(x.shape()).map(Some);
        }
        let dy = dy.contiguous()?;
        let dy_reader = Reader::new(&dy);
        for_float!(x.dtype(), T => {
            let dy = dy_reader.values::<T>()?;
            let (dx, _) = write_rows_and(n * c, length, length, |row, dx, (): &mut ()| {
                self.backward(&dy[row * outputs..][..outputs], dx);
            });
            Tensor::from_vec(dx, x.shape(), &Device::Cpu).map(Some)
        })
    }
}
