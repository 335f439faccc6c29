//! The layers as compositions of candle's own operations, with the same values and gradients as
//! the kernels of this crate.
//!
//! This is what runs on devices for which there are no kernels. Every function also runs on the
//! CPU, where it is slower than the layer of the same name at the crate's root; the tests hold
//! both to one definition. Only operations whose gradients are right in candle are used.

use std::ops::Range;

use candle_core::{D, DType, Result, Tensor};

pub use crate::conv_composed::conv1d;
use crate::norm::Moments;
use crate::pool::{Windows, dims3};

/// [`relu`](crate::relu) out of candle's operations.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    // `x <= 0` is false for NaN, which therefore stays
    x.le(0.0)?.where_cond(&x.zeros_like()?, x)
}

/// The values in each window, `(N, C, windows, widest)`, and which of them exist, as 0 or 1 in
/// u8 and of the same shape. Where none exists, the value is that of the next position.
fn gather_windows(x: &Tensor, windows: &Windows) -> Result<(Tensor, Tensor)> {
    let (n, c, length) = x.dims3()?;
    let (outputs, widest) = (windows.len(), windows.widest());
    let mut positions = Vec::with_capacity(outputs * widest);
    let mut exists = Vec::with_capacity(outputs * widest);
    for window in windows.iter() {
        for tap in 0..widest {
            let position = window.start + tap;
            positions.push(position.min(length - 1) as u32);
            exists.push(u8::from(position < window.end));
        }
    }
    let positions = Tensor::from_vec(positions, outputs * widest, x.device())?;
    let values = x
        .contiguous()?
        .index_select(&positions, 2)?
        .reshape((n, c, outputs, widest))?;
    let exists = Tensor::from_vec(exists, (1, 1, outputs, widest), x.device())?
        .broadcast_as(values.shape())?
        .contiguous()?;
    Ok((values, exists))
}

pub(crate) fn max_over(x: &Tensor, windows: &Windows) -> Result<Tensor> {
    let (values, exists) = gather_windows(x, windows)?;
    let widest = windows.widest();
    let plain = values.detach();
    let nan = plain.ne(&plain)?;
    let lowest = Tensor::full(f32::NEG_INFINITY, plain.shape(), x.device())?.to_dtype(x.dtype())?;
    let comparable = nan.where_cond(&lowest, &exists.where_cond(&plain, &lowest)?)?;
    let is_max = comparable.broadcast_eq(&comparable.max_keepdim(D::Minus1)?)?;
    // The first maximum has the highest score, the last NaN a still higher one, and no two
    // scores of positions that exist are equal: what the device does at ties does not matter.
    let falling: Vec<f32> = (0..widest).map(|tap| (widest - tap) as f32).collect();
    let rising: Vec<f32> = (0..widest).map(|tap| (widest + 1 + tap) as f32).collect();
    let falling = Tensor::from_vec(falling, (1, 1, 1, widest), x.device())?;
    let rising = Tensor::from_vec(rising, (1, 1, 1, widest), x.device())?;
    let score = is_max
        .to_dtype(DType::F32)?
        .broadcast_mul(&falling)?
        .maximum(&nan.to_dtype(DType::F32)?.broadcast_mul(&rising)?)?
        .mul(&exists.to_dtype(DType::F32)?)?;
    chosen(&values, &score.broadcast_eq(&score.max_keepdim(D::Minus1)?)?)
}

/// The value along the last dimension where `mask` is 1, which is one place. (Not `gather`: candle's gradient of its
/// gradient is wrong.)
fn chosen(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    mask.where_cond(values, &values.zeros_like()?)?.sum(D::Minus1)
}

/// Sum of each window over its divisor.
pub(crate) fn mean_over(x: &Tensor, windows: &Windows, divisors: &[f64]) -> Result<Tensor> {
    let (values, exists) = gather_windows(x, windows)?;
    let factors: Vec<f64> = divisors.iter().map(|d| d.recip()).collect();
    let factors = Tensor::from_vec(factors, (1, 1, divisors.len()), x.device())?;
    exists
        .where_cond(&values, &values.zeros_like()?)?
        .sum(D::Minus1)?
        .broadcast_mul(&factors.to_dtype(x.dtype())?)
}

/// [`max_pool1d`](crate::max_pool1d) out of candle's operations.
pub fn max_pool1d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("max_pool1d", x)?;
    max_over(x, &Windows::sliding("max_pool1d", length, kernel, stride, padding)?)
}

/// [`avg_pool1d`](crate::avg_pool1d) out of candle's operations.
pub fn avg_pool1d(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("avg_pool1d", x)?;
    let windows = Windows::sliding("avg_pool1d", length, kernel, stride, padding)?;
    mean_over(x, &windows, &vec![kernel as f64; windows.len()])
}

/// [`adaptive_max_pool1d`](crate::adaptive_max_pool1d) out of candle's operations.
pub fn adaptive_max_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_max_pool1d", x)?;
    max_over(x, &Windows::adaptive("adaptive_max_pool1d", length, outputs)?)
}

/// [`adaptive_avg_pool1d`](crate::adaptive_avg_pool1d) out of candle's operations.
pub fn adaptive_avg_pool1d(x: &Tensor, outputs: usize) -> Result<Tensor> {
    let (_, _, length) = dims3("adaptive_avg_pool1d", x)?;
    let windows = Windows::adaptive("adaptive_avg_pool1d", length, outputs)?;
    mean_over(x, &windows, &windows.sizes())
}

/// [`softmax`](crate::softmax) out of candle's operations.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(logits, D::Minus1)
}

/// [`cross_entropy_rows`](crate::cross_entropy_rows) out of candle's operations. The targets
/// must be in range.
pub fn cross_entropy_rows(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    cross_entropy_smoothed_rows(logits, targets, 0.)
}

/// The rows of [`cross_entropy_smoothed`](crate::cross_entropy_smoothed) out of candle's operations. The targets must be in range.
pub fn cross_entropy_smoothed_rows(logits: &Tensor, targets: &Tensor, smoothing: f64) -> Result<Tensor> {
    let classes = Tensor::arange(0, logits.dim(D::Minus1)? as u32, logits.device())?;
    let is_target = targets.unsqueeze(1)?.broadcast_eq(&classes.unsqueeze(0)?)?;
    let log_softmax = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let of_target = chosen(&log_softmax, &is_target)?;
    if smoothing == 0. {
        return of_target.neg();
    }
    (of_target * (smoothing - 1.))? - (log_softmax.mean(D::Minus1)? * smoothing)?
}

/// Each channel of each row of `x` `(N, C, L)` times its own `scale` `(N, C)`.
pub fn scale_channels(x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&scale.unsqueeze(2)?)
}

/// Batch norm by the statistics of each range of rows, which are returned as constants.
pub(crate) fn batch_norm_train(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    ranges: &[Range<usize>],
    eps: f64,
) -> Result<(Tensor, Vec<Moments>)> {
    let mut parts = Vec::with_capacity(ranges.len());
    let mut moments = Vec::with_capacity(ranges.len());
    for range in ranges {
        let part = x.narrow(0, range.start, range.len())?.contiguous()?;
        let mean = part.mean_keepdim((0, 2))?;
        let centred = part.broadcast_sub(&mean)?;
        let var = centred.sqr()?.mean_keepdim((0, 2))?;
        let unit = centred.broadcast_div(&(&var + eps)?.sqrt()?)?;
        parts.push(scale_and_shift(&unit, weight, bias)?);
        moments.push(Moments {
            mean: mean.flatten_all()?.detach(),
            var: var.flatten_all()?.detach(),
        });
    }
    Ok((Tensor::cat(&parts, 0)?, moments))
}

/// Batch norm by given statistics.
pub(crate) fn batch_norm_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    moments: &Moments,
    eps: f64,
) -> Result<Tensor> {
    let std = (&moments.var + eps)?.sqrt()?;
    let unit = x
        .broadcast_sub(&moments.mean.reshape((1, (), 1))?)?
        .broadcast_div(&std.reshape((1, (), 1))?)?;
    scale_and_shift(&unit, weight, bias)
}

fn scale_and_shift(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&weight.reshape((1, (), 1))?)?
        .broadcast_add(&bias.reshape((1, (), 1))?)
}
