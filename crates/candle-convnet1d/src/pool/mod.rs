//! Pools over the length: each output is the maximum or the mean of one window of positions.

use candle_core::{Result, Tensor};

use crate::{Error, composed};

mod windows;

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
    composed::max_over(x, &windows)
}

/// Mean over windows of `kernel` positions, `stride` apart: `(N, C, L) -> (N, C, L_out)` with
/// `L_out = (L + 2 padding - kernel) / stride + 1`, rounded down.
///
/// Padded positions count as zeros and in the divisor, as `PyTorch`'s `avg_pool1d` with
/// `count_include_pad` does by default. Errors as for [`max_pool1d`].
pub fn avg_pool1d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("avg_pool1d", x)?;
    let windows = Windows::sliding("avg_pool1d", length, kernel, stride, padding)?;
    composed::sum_over(x, &windows, &vec![kernel as f64; windows.len()])
}

/// Maximum over `outputs` bins that cover the length: `(N, C, L) -> (N, C, outputs)`.
///
/// Bin `i` is the positions from `floor(i L / outputs)` up to, without,
/// `ceil((i + 1) L / outputs)`; bins overlap where `outputs` does not divide `L`. Ties and NaN as
/// in [`max_pool1d`]. Errors: `L` or `outputs` 0. As `PyTorch`'s `adaptive_max_pool1d`.
pub fn adaptive_max_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_max_pool1d", x)?;
    let windows = Windows::adaptive("adaptive_max_pool1d", length, outputs)?;
    composed::max_over(x, &windows)
}

/// Mean over `outputs` bins that cover the length: `(N, C, L) -> (N, C, outputs)`.
///
/// Bins and errors as for [`adaptive_max_pool1d`]. As `PyTorch`'s `adaptive_avg_pool1d`.
pub fn adaptive_avg_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_avg_pool1d", x)?;
    let windows = Windows::adaptive("adaptive_avg_pool1d", length, outputs)?;
    let sizes: Vec<f64> = windows.iter().map(|window| window.len() as f64).collect();
    composed::sum_over(x, &windows, &sizes)
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

fn dims3(layer: &'static str, x: &Tensor) -> Result<(usize, usize, usize)> {
    x.dims3().map_err(|_| {
        Error::Shape {
            layer,
            expected: "(batch, channels, length)".into(),
            found: x.dims().to_vec(),
        }
        .into()
    })
}
