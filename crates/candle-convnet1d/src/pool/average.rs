//! Mean over windows.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::windows::Windows;
use crate::buffer::{Float, Reader, for_float, output, values, write_elements_of, write_rows_and};
use crate::lanes;

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

impl AvgPool {
    /// Means where the only window is the whole row.
    fn row_means<T: Float>(&self, x: &[T], length: usize) -> Vec<T> {
        let divisor = self.divisors[0];
        write_elements_of(x.len() / length, length, |rows| {
            x[rows.start * length..rows.end * length]
                .chunks_exact(length)
                .map(move |row| T::from_f64(sum(row) / divisor))
        })
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

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        "avg_pool1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, length) = layout.shape().dims3()?;
        let outputs = self.windows.len();
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
            if length <= LONG && self.windows.iter().eq([&(0..length)]) {
                return Ok(output::<T>(self.row_means(x, length), (n, c, 1)));
            }
            let (y, _) = write_rows_and(n * c, outputs, length, |row, y, (): &mut ()| {
                self.forward(&x[row * length..][..length], y);
            });
            Ok(output::<T>(y, (n, c, outputs)))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (n, c, length) = x.dims3()?;
        let outputs = self.windows.len();
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
