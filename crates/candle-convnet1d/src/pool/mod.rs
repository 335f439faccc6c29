//! Pools over the length: each output is the maximum or the mean of one window of positions.

use candle_core::{Result, Tensor};

use crate::buffer::has_kernels;
use crate::{Error, composed};

mod average;
mod max;
mod windows;

use average::AvgPool;
pub(crate) use average::row_means;
pub(crate) use max::{MaxPool, Peaks};

pub(crate) use windows::Windows;

/// Maximum over windows of `kernel` positions, `stride` apart: `(N, C, L) -> (N, C, L_out)` with
/// `L_out = (L + 2 padding - kernel) / stride + 1`, rounded down.
///
/// Padded positions count as minus infinity. The gradient goes to the first maximum of a window;
/// a window with NaN gives NaN. Errors: `kernel` or `stride` 0, `padding` above half of
/// `kernel`, windows longer than the padded input. As `PyTorch`'s `max_pool1d`.
pub fn max_pool1d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("max_pool1d", x)?;
    let windows = Windows::sliding("max_pool1d", length, kernel, stride, padding)?;
    max_over(x, windows)
}

/// Mean over windows of `kernel` positions, `stride` apart: `(N, C, L) -> (N, C, L_out)` with
/// `L_out = (L + 2 padding - kernel) / stride + 1`, rounded down.
///
/// Padded positions count as zeros and in the divisor, as `PyTorch`'s `avg_pool1d` with
/// `count_include_pad` does by default. Errors as for [`max_pool1d`].
pub fn avg_pool1d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("avg_pool1d", x)?;
    let windows = Windows::sliding("avg_pool1d", length, kernel, stride, padding)?;
    let divisors = vec![kernel as f64; windows.len()];
    mean_over(x, windows, divisors)
}

/// Maximum over `outputs` bins that cover the length: `(N, C, L) -> (N, C, outputs)`.
///
/// Bin `i` is the positions from `floor(i L / outputs)` up to, without,
/// `ceil((i + 1) L / outputs)`; bins overlap where `outputs` does not divide `L`. Ties and NaN as
/// in [`max_pool1d`]. Errors: `L` or `outputs` 0. As `PyTorch`'s `adaptive_max_pool1d`.
pub fn adaptive_max_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_max_pool1d", x)?;
    let windows = Windows::adaptive("adaptive_max_pool1d", length, outputs)?;
    max_over(x, windows)
}

/// Mean over `outputs` bins that cover the length: `(N, C, L) -> (N, C, outputs)`.
///
/// Bins and errors as for [`adaptive_max_pool1d`]. As `PyTorch`'s `adaptive_avg_pool1d`.
pub fn adaptive_avg_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_avg_pool1d", x)?;
    let windows = Windows::adaptive("adaptive_avg_pool1d", length, outputs)?;
    let divisors = windows.sizes();
    mean_over(x, windows, divisors)
}

/// Mean over the length: `(N, C, L) -> (N, C)`. Errors: `L` 0.
pub fn global_avg_pool1d(x: &Tensor) -> Result<Tensor> {
    adaptive_avg_pool1d(x, 1)?.squeeze(2)
}

/// Maximum over the length: `(N, C, L) -> (N, C)`. Ties and NaN as in [`max_pool1d`].
/// Errors: `L` 0.
pub fn global_max_pool1d(x: &Tensor) -> Result<Tensor> {
    adaptive_max_pool1d(x, 1)?.squeeze(2)
}

/// [`max_pool1d`] as an operation on `x`.
pub(crate) fn max_pool_op(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<MaxPool> {
    let windows = Windows::sliding("max_pool1d", x.dim(2)?, kernel, stride, padding)?;
    Ok(MaxPool { windows })
}

/// [`adaptive_max_pool1d`] as an operation on `x`.
pub(crate) fn adaptive_max_pool_op(x: &Tensor, outputs: usize) -> Result<MaxPool> {
    let windows = Windows::adaptive("adaptive_max_pool1d", x.dim(2)?, outputs)?;
    Ok(MaxPool { windows })
}

fn max_over(x: &Tensor, windows: Windows) -> Result<Tensor> {
    if has_kernels(x) {
        x.contiguous()?.apply_op1(MaxPool { windows })
    } else {
        composed::max_over(x, &windows)
    }
}

fn mean_over(x: &Tensor, windows: Windows, divisors: Vec<f64>) -> Result<Tensor> {
    if has_kernels(x) {
        x.contiguous()?.apply_op1(AvgPool { windows, divisors })
    } else {
        composed::mean_over(x, &windows, &divisors)
    }
}

pub(crate) fn dims3(layer: &'static str, x: &Tensor) -> Result<(usize, usize, usize)> {
    x.dims3().map_err(|_| {
        Error::Shape {
            layer,
            expected: "(batch, channels, length)".into(),
            found: x.dims().to_vec(),
        }
        .into()
    })
}
