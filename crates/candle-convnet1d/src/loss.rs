use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, WithDType};

use crate::buffer::{Float, Reader, for_float, has_kernels, output, values, write_rows};
use crate::{Error, composed};

/// Softmax cross-entropy of logits `(N, K)` and class numbers `(N,)` in u32: the mean over rows
/// of `log(sum_k exp(z_k)) - z_target`, a scalar. Natural logarithm.
///
/// Errors: no rows, shapes that do not fit, a target that is not below `K`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    cross_entropy_smoothed(logits, targets, 0.)
}

/// As [`cross_entropy`], against targets of which a share `smoothing`, 0 to 1, is spread evenly over all classes (label
/// smoothing: Szegedy et al. 2016, section 7; `PyTorch`'s `label_smoothing`): the mean over rows of
/// `log(sum_k exp(z_k)) - (1 - smoothing) z_target - smoothing mean_k z_k`.
///
/// Errors: those of [`cross_entropy`], and a smoothing outside 0 to 1.
pub fn cross_entropy_smoothed(logits: &Tensor, targets: &Tensor, smoothing: f64) -> Result<Tensor> {
    if !(0. ..=1.).contains(&smoothing) {
        return Err(Error::Argument {
            layer: "cross_entropy",
            argument: "the label smoothing",
            expected: "0 to 1".into(),
            found: smoothing.to_string(),
        }
        .into());
    }
    let rows = rows(logits, targets, smoothing)?;
    if rows.elem_count() == 0 {
        return Err(Error::Shape {
            layer: "cross_entropy",
            expected: "at least one row of logits".into(),
            found: logits.dims().to_vec(),
        }
        .into());
    }
    rows.mean_all()
}

/// Softmax cross-entropy of each row: logits `(N, K)` and class numbers `(N,)` in u32 to `(N,)`.
///
/// For losses that weigh rows. Errors as for [`cross_entropy`], but no rows give no losses.
pub fn cross_entropy_rows(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    rows(logits, targets, 0.)
}

fn rows(logits: &Tensor, targets: &Tensor, smoothing: f64) -> Result<Tensor> {
    let checked = checked_targets(logits, targets)?;
    if has_kernels(logits) {
        let targets = checked;
        logits.contiguous()?.apply_op1(CrossEntropy { targets, smoothing })
    } else {
        composed::cross_entropy_smoothed_rows(logits, targets, smoothing)
    }
}

/// Softmax over the classes of logits `(N, K)`.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    dims2("softmax", logits)?;
    if has_kernels(logits) {
        logits.contiguous()?.apply_op1(Softmax)
    } else {
        composed::softmax(logits)
    }
}

fn dims2(layer: &'static str, logits: &Tensor) -> Result<(usize, usize)> {
    logits.dims2().map_err(|_| {
        Error::Shape {
            layer,
            expected: "logits (rows, classes)".into(),
            found: logits.dims().to_vec(),
        }
        .into()
    })
}

fn checked_targets(logits: &Tensor, targets: &Tensor) -> Result<Vec<u32>> {
    const LAYER: &str = "cross_entropy";
    let (rows, classes) = dims2(LAYER, logits)?;
    if targets.dims() != [rows] {
        return Err(Error::Shape {
            layer: LAYER,
            expected: format!("targets ({rows},), one for each row of logits"),
            found: targets.dims().to_vec(),
        }
        .into());
    }
    if targets.dtype() != DType::U32 {
        return Err(Error::Argument {
            layer: LAYER,
            argument: "the dtype of the targets",
            expected: "u32".into(),
            found: targets.dtype().as_str().into(),
        }
        .into());
    }
    let targets = targets.to_device(&Device::Cpu)?.to_vec1::<u32>()?;
    match targets.iter().position(|&t| t as usize >= classes) {
        None => Ok(targets),
        Some(row) => Err(Error::Target {
            row,
            target: targets[row],
            classes,
        }
        .into()),
    }
}

/// The largest logit and the sum of `exp(z - largest)`, so that neither overflows nor vanishes.
fn largest_and_sum<T: Float>(logits: &[T]) -> (f64, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |max, z| max.max(z.to_f64()));
    let sum = logits.iter().map(|z| (z.to_f64() - largest).exp()).sum();
    (largest, sum)
}

struct CrossEntropy {
    /// One for each row, each below the number of classes.
    targets: Vec<u32>,
    /// Share of each target that is spread over all classes.
    smoothing: f64,
}

impl CrossEntropy {
    /// Shares of the class of a row and of each class.
    fn shares(&self, classes: usize) -> (f64, f64) {
        (1. - self.smoothing, self.smoothing / classes as f64)
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, classes) = layout.shape().dims2()?;
        let (own, every) = self.shares(classes);
        for_float!(logits.dtype(), T => {
            let logits = values::<T>(logits, layout)?;
            let losses = write_rows(rows, 1, |row, loss| {
                let logits = &logits[row * classes..][..classes];
                let (largest, sum) = largest_and_sum(logits);
                let target = logits[self.targets[row] as usize].to_f64() - largest;
                // a share of 0 of an infinite logit is nothing, not NaN
                let spread = if every == 0. {
                    0.
                } else {
                    every * logits.iter().map(|z| z.to_f64() - largest).sum::<f64>()
                };
                loss[0] = T::from_f64(sum.ln() - own * target - spread);
            });
            Ok(output::<T>(losses, rows))
        })
    }

    fn bwd(&self, logits: &Tensor, _losses: &Tensor, dlosses: &Tensor) -> Result<Option<Tensor>> {
        let (rows, classes) = logits.dims2()?;
        let (own, every) = self.shares(classes);
        let dlosses = dlosses.contiguous()?;
        let (logits_reader, dlosses_reader) = (Reader::new(logits), Reader::new(&dlosses));
        for_float!(logits.dtype(), T => {
            let (values, dlosses) = (logits_reader.values::<T>()?, dlosses_reader.values::<T>()?);
            let dlogits = write_rows(rows, classes, |row, dlogits| {
                let logits = &values[row * classes..][..classes];
                let (largest, sum) = largest_and_sum(logits);
                for (class, (dz, &z)) in dlogits.iter_mut().zip(logits).enumerate() {
                    let softmax = (z.to_f64() - largest).exp() / sum;
                    let target = if class == self.targets[row] as usize { own } else { 0. };
                    *dz = T::from_f64(dlosses[row].to_f64() * (softmax - (target + every)));
                }
            });
            Tensor::from_vec(dlogits, logits.shape(), &Device::Cpu).map(Some)
        })
    }
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, classes) = layout.shape().dims2()?;
        for_float!(logits.dtype(), T => {
            let logits = values::<T>(logits, layout)?;
            let y = write_rows(rows, classes, |row, y| {
                let logits = &logits[row * classes..][..classes];
                let (largest, sum) = largest_and_sum(logits);
                for (y, &z) in y.iter_mut().zip(logits) {
                    *y = T::from_f64((z.to_f64() - largest).exp() / sum);
                }
            });
            Ok(output::<T>(y, layout.shape()))
        })
    }

    fn bwd(&self, _logits: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (rows, classes) = y.dims2()?;
        let dy = dy.contiguous()?;
        let (y_reader, dy_reader) = (Reader::new(y), Reader::new(&dy));
        for_float!(y.dtype(), T => {
            let (values, dy) = (y_reader.values::<T>()?, dy_reader.values::<T>()?);
            let dlogits = write_rows(rows, classes, |row, dz| {
                let y = &values[row * classes..][..classes];
                let dy = &dy[row * classes..][..classes];
                let mean: f64 = y.iter().zip(dy).map(|(&y, &dy)| y.to_f64() * dy.to_f64()).sum();
                for ((dz, &y), &dy) in dz.iter_mut().zip(y).zip(dy) {
                    *dz = T::from_f64(y.to_f64() * (dy.to_f64() - mean));
                }
            });
            Tensor::from_vec(dlogits, y.shape(), &Device::Cpu).map(Some)
        })
    }
}
