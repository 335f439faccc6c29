use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

use crate::error::{Error, wrap};

/// Scales all gradients together so that their joint Euclidean norm is at most `max_norm`; returns the norm before.
///
/// As `torch.nn.utils.clip_grad_norm_`: the factor is `max_norm / (norm + 1e-6)` where that is below 1. The norm is
/// summed in f64, in name order, so it does not depend on the number of threads. Parameters without gradient are
/// left out. A gradient with NaN or infinity is an error that names the parameter; no gradient is changed then.
pub fn clip_grad_norm(params: &BTreeMap<String, Var>, grads: &mut GradStore, max_norm: f64) -> Result<f64> {
    if max_norm.is_nan() || max_norm <= 0.0 {
        return Err(wrap(Error::Argument(format!(
            "the largest gradient norm must be above 0, not {max_norm}"
        ))));
    }
    let present: Vec<_> = params
        .iter()
        .filter_map(|(name, var)| Some((name, var, grads.get(var)?.clone())))
        .collect();
    let squares: Vec<f64> = present
        .par_iter()
        .map(|(_, _, grad)| sum_of_squares(grad))
        .collect::<Result<_>>()?;
    for ((name, _, grad), square) in present.iter().zip(&squares) {
        if !square.is_finite() {
            return Err(not_finite(name, grad)?);
        }
    }
    let norm = squares.iter().sum::<f64>().sqrt();
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 {
        for (_, var, grad) in present {
            grads.insert(var, grad.affine(factor, 0.0)?);
        }
    }
    Ok(norm)
}

fn sum_of_squares(grad: &Tensor) -> Result<f64> {
    if !grad.device().is_cpu() {
        return grad.flatten_all()?.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar();
    }
    let grad = grad.contiguous()?;
    let grad = match grad.dtype() {
        DType::F32 | DType::F64 => grad,
        _ => grad.to_dtype(DType::F64)?,
    };
    let (storage, layout) = grad.storage_and_layout();
    let range = layout.start_offset()..layout.start_offset() + layout.shape().elem_count();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Ok(squares(&values[range])),
        Storage::Cpu(CpuStorage::F64(values)) => Ok(squares(&values[range])),
        _ => bail!("a gradient of {:?} whose storage is not", grad.dtype()),
    }
}

/// The order of summation depends on the length alone: chunks of a fixed size, eight running sums in each.
fn squares<T: Copy + Sync + Into<f64>>(values: &[T]) -> f64 {
    let chunk_sums: Vec<f64> = values
        .par_chunks(1 << 14)
        .map(|chunk| {
            let mut lanes = [0.0; 8];
            let mut blocks = chunk.chunks_exact(8);
            for block in &mut blocks {
                for (lane, &x) in lanes.iter_mut().zip(block) {
                    let x: f64 = x.into();
                    *lane += x * x;
                }
            }
            let rest = blocks.remainder().iter().map(|&x| x.into()).map(|x: f64| x * x);
            lanes.into_iter().chain(rest).sum()
        })
        .collect();
    chunk_sums.into_iter().sum()
}

fn as_f64(grad: &Tensor) -> Result<Vec<f64>> {
    grad.to_device(&Device::Cpu)?
        .flatten_all()?
        .to_dtype(DType::F64)?
        .to_vec1()
}

fn not_finite(name: &str, grad: &Tensor) -> Result<candle_core::Error> {
    // an f64 gradient may also be finite with a square that is not
    let value = as_f64(grad)?
        .into_iter()
        .find(|x| !(x * x).is_finite())
        .unwrap_or(f64::NAN);
    Ok(wrap(Error::NotFinite {
        parameter: name.to_string(),
        value,
    }))
}
