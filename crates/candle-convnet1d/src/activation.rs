use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};

use crate::buffer::{Reader, for_float, has_kernels, output, values, write_elements};
use crate::composed;

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

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
            // false for NaN, which therefore stays
            let relu = |&x: &T| if x <= 0.0 { 0.0 } else { x };
            let y = write_elements(x.len(), |range| x[range].iter().map(relu));
            Ok(output::<T>(y, layout.shape()))
        })
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (y_reader, dy_reader) = (Reader::new(y), Reader::new(&dy));
        for_float!(y.dtype(), T => {
            let (values, dy) = (y_reader.values::<T>()?, dy_reader.values::<T>()?);
            let gate = |(&y, &dy): (&T, &T)| if y <= 0.0 { 0.0 } else { dy };
            let dx = write_elements(values.len(), |range| {
                values[range.clone()].iter().zip(&dy[range]).map(gate)
            });
            Tensor::from_vec(dx, y.shape(), &Device::Cpu).map(Some)
        })
    }
}
