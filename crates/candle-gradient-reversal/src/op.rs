//! The operation.

use crate::Error;
use crate::round::Format;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Gradient reversal with a fixed lambda (Ganin et al. 2016, equations 17 and 18): the identity forward, the gradient times
/// `-lambda` backward.
///
/// Make a new one for every step of a [`Schedule`](crate::Schedule): it is a number, and holds no tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientReversal {
    lambda: f64,
}

impl GradientReversal {
    /// Reversal with the paper's positive `lambda`; 0 cuts the gradient, a negative one does not reverse.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinity.
    pub fn new(lambda: f64) -> Result<Self> {
        finite("lambda", lambda)?;
        Ok(Self { lambda })
    }

    /// Reversal by the factor that multiplies the gradient, normally negative: for code ported from libraries whose constant
    /// is signed. `from_signed(-0.8)` is `new(0.8)`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for NaN and infinity.
    pub fn from_signed(factor: f64) -> Result<Self> {
        finite("factor", factor)?;
        // not -factor, which makes lambda -0 of 0
        Ok(Self { lambda: 0.0 - factor })
    }

    /// The paper's lambda: what was given to [`new`](Self::new), or minus what was given to [`from_signed`](Self::from_signed).
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// `x`, bit for bit, as a new contiguous tensor through which the gradient is reversed.
    ///
    /// `x` has any shape and layout, dtype f16, bf16, f32 or f64. Its gradient has its shape and dtype.
    ///
    /// # Errors
    /// [`Error::UnsupportedDType`]; [`Error::Overflow`] where lambda is infinite in the dtype of `x` (f16 ends at 65504).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let format = Format::of(dtype).ok_or(Error::UnsupportedDType(dtype))?;
        let factor = format.round(-self.lambda);
        if !factor.is_finite() {
            return Err(Error::Overflow {
                lambda: self.lambda,
                dtype,
                largest: format.largest(),
            }
            .into());
        }
        x.apply_op1(Reverse { factor })
    }
}

impl candle_core::Module for GradientReversal {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}

/// `x`, bit for bit, with its gradient multiplied by `-lambda`: [`GradientReversal::new`] and
/// [`forward`](GradientReversal::forward) in one, with the errors of both.
pub fn gradient_reversal(x: &Tensor, lambda: f64) -> Result<Tensor> {
    GradientReversal::new(lambda)?.forward(x)
}

fn finite(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::NotFinite { name, value }.into())
    }
}

struct Reverse {
    /// `-lambda`, rounded to the dtype of the tensor.
    factor: f64,
}

impl CustomOp1 for Reverse {
    fn name(&self) -> &'static str {
        "gradient-reversal"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        copy(storage, layout)
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        copy(storage, layout)
    }

    /// Candle's `affine` is the definition: it multiplies in f32 and f64 as they are, and in f16 and bf16 through f32 (the
    /// product of two f16 is exact there, so that a device that rounds only once gets the same). It converts the factor from
    /// f64, which is exact because the factor is rounded already; left to candle that step would round f16 twice on some
    /// processors. Adding 0 changes only the sign of a zero. Being built from an op with a gradient, this also serves second
    /// derivatives.
    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.affine(self.factor, 0.0).map(Some)
    }
}

/// The elements of any layout side by side. A copy of memory on every device, so that no bit can change.
fn copy<S: BackendStorage>(storage: &S, layout: &Layout) -> Result<(S, Shape)>
where
    S::Device: BackendDevice<Storage = S>,
{
    let mut result = storage.device().zeros_impl(layout.shape(), storage.dtype())?;
    storage.copy_strided_src(&mut result, 0, layout)?;
    Ok((result, layout.shape().clone()))
}

#[cfg(test)]
mod tests {
    use super::Reverse;
    use candle_core::{CustomOp1, Device, Result, Tensor};
    use half::{bf16, f16};

    fn backward(factor: f64, dy: &Tensor) -> Result<Tensor> {
        Reverse { factor }
            .bwd(dy, dy, dy)
            .map(|dx| dx.expect("a gradient, whatever the factor"))
    }

    /// Every gradient there is in 16 bits, subnormal ones included. Here and not through candle's store, which loses bf16
    /// subnormals on some processors.
    #[test]
    fn every_16_bit_gradient_is_multiplied_in_f32_and_rounded_once() -> Result<()> {
        macro_rules! check {
            ($t:ty, $($factor:expr),*) => {
                let all: Vec<$t> = (0..=u16::MAX).map(<$t>::from_bits).collect();
                let dy = Tensor::from_slice(&all, all.len(), &Device::Cpu)?;
                for factor in [0.0, -0.0, -1.0, -0.8, 0.5, -3.0, $($factor),*].map(<$t>::from_f64) {
                    let dx = backward(factor.to_f64(), &dy)?.to_vec1::<$t>()?;
                    for (dy, dx) in all.iter().zip(dx) {
                        let expected = <$t>::from_f32(factor.to_f32() * dy.to_f32());
                        assert!(
                            dx == expected || (dx.is_nan() && expected.is_nan()),
                            "{factor} times {dy}: {dx}, expected {expected}"
                        );
                    }
                }
            };
        }
        check!(f16, 65504.0, -6e-8, -1e-4);
        check!(bf16, 3.3895313892515355e38, -9.2e-41, -1e-38);
        Ok(())
    }
}
