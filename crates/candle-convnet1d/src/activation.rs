use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use crate::buffer::{Place, Reader, for_float, has_kernels, output, values, write_stretches};
use crate::composed;
use crate::vectorised::vectorised;

/// Rectified linear unit `max(x, 0)` of a tensor of any shape.
///
/// The derivative at 0 is 0, as in `PyTorch` and `TensorFlow` (candle's own is 1). NaN stays NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if has_kernels(x) {
        x.contiguous()?.apply_op1(Relu)
    } else {
        composed::relu(x)
    }
}

struct Relu;

vectorised! {
    /// `max(x, 0)`. NaN is not at most 0, and therefore stays.
    fn rectify<T>(x: &[T], place: Place<'_, T>) {
        place.fill(x, x, |x, _| if x <= T::zero() { T::zero() } else { x });
    }
}

vectorised! {
    /// The gradient in front of results `y`.
    fn gate<T>(y: &[T], dy: &[T], place: Place<'_, T>) {
        place.fill(y, dy, |y, dy| if y <= T::zero() { T::zero() } else { dy });
    }
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
            let y = write_stretches(x.len(), 1, |range, place| rectify(&x[range], place));
            Ok(output::<T>(y, layout.shape()))
        })
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (y_reader, dy_reader) = (Reader::new(y), Reader::new(&dy));
        for_float!(y.dtype(), T => {
            let (values, dy) = (y_reader.values::<T>()?, dy_reader.values::<T>()?);
            let dx = write_stretches(values.len(), 1, |range, place| gate(&values[range.clone()], &dy[range], place));
            Tensor::from_vec(dx, y.shape(), &Device::Cpu).map(Some)
        })
    }
}
