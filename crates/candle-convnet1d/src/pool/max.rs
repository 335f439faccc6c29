//! Maximum over windows. The gradient goes to the first maximum of a window; NaN counts as larger
//! than any number, and of several NaN the last one takes the gradient, as in `PyTorch`.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use super::windows::Windows;
use crate::buffer::{Float, Reader, for_float, output, values, write_rows_and};
use crate::lanes;

pub(super) struct MaxPool {
    pub windows: Windows,
}

/// Windows of at least this many positions are reduced in lanes.
const WIDE: usize = 32;

impl MaxPool {
    fn forward<T: Float>(&self, x: &[T], y: &mut [T]) {
        for (y, window) in y.iter_mut().zip(self.windows.iter()) {
            let x = &x[window.clone()];
            *y = if x.len() < WIDE { x[position(x)] } else { lanes::max(x) };
        }
    }

    fn backward<T: Float>(&self, x: &[T], dy: &[T], dx: &mut [T]) {
        for (&dy, window) in dy.iter().zip(self.windows.iter()) {
            let found = window.start + position(&x[window.clone()]);
            dx[found] += dy;
        }
    }
}

/// The position of the first maximum of a window that is not empty, or of the last NaN.
fn position<T: Float>(window: &[T]) -> usize {
    if window.len() < WIDE {
        let (mut best, mut largest) = (0, window[0]);
        for (i, &x) in window.iter().enumerate().skip(1) {
            if x > largest || x.is_nan() {
                (best, largest) = (i, x);
            }
        }
        return best;
    }
    let largest = lanes::max(window);
    let found = if largest.is_nan() {
        window.iter().rposition(|x| x.is_nan())
    } else {
        window.iter().position(|&x| x == largest)
    };
    found.unwrap_or(0)
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, length) = layout.shape().dims3()?;
        let outputs = self.windows.len();
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
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
        let (x_reader, dy_reader) = (Reader::new(x), Reader::new(&dy));
        for_float!(x.dtype(), T => {
            let (values, dy) = (x_reader.values::<T>()?, dy_reader.values::<T>()?);
            let (dx, _) = write_rows_and(n * c, length, length, |row, dx, (): &mut ()| {
                let x = &values[row * length..][..length];
                self.backward(x, &dy[row * outputs..][..outputs], dx);
            });
            Tensor::from_vec(dx, x.shape(), &Device::Cpu).map(Some)
        })
    }
}
