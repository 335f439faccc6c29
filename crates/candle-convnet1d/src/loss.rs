use candle_core::{DType, Device, Result, Tensor};

use crate::{Error, composed};

/// Softmax cross-entropy of logits `(N, K)` and class numbers `(N,)` in u32: the mean over rows
/// of `log(sum_k exp(z_k)) - z_target`, a scalar. Natural logarithm.
///
/// Errors: no rows, shapes that do not fit, a target that is not below `K`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let rows = cross_entropy_rows(logits, targets)?;
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
    checked_targets(logits, targets)?;
    composed::cross_entropy_rows(logits, targets)
}

/// Softmax over the last dimension of logits `(N, K)`.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    dims2("softmax", logits)?;
    composed::softmax(logits)
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
