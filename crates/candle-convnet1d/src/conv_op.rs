//! The convolution's place in candle's graph.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};

use crate::InstructionSet;
use crate::buffer::{Reader, for_float, output, values};
use crate::kernels::{self, Finish, Sizes, Weights};
use crate::values::{Input, Values};

/// A convolution of certain tensors, contiguous on the CPU.
pub(crate) struct Applied {
    pub op: Conv1dOp,
    pub x: Values,
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    /// The weights as the kernels read them, where they are at hand.
    pub packed: Option<Tensor>,
}

/// The convolution as an operation of candle's graph, of contiguous tensors.
#[derive(Clone, Copy)]
pub(crate) struct Conv1dOp {
    pub sizes: Sizes,
    /// Of the forward and of the backward pass.
    pub isa: InstructionSet,
}

impl Conv1dOp {
    fn forward(
        &self,
        (x, lx): (&CpuStorage, &Layout),
        (w, lw): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.sizes;
        for_float!(x.dtype(), T => {
            let bias = bias.map(|(b, lb)| values::<T>(b, lb)).transpose()?;
            let weights = Weights::Plain(values::<T>(w, lw)?);
            let x = Input::written(values::<T>(x, lx)?, s.l_in);
            let (y, _) = kernels::forward(s, self.isa, x, weights, Finish::bias(bias), false);
            Ok(output::<T>(y, (s.n, s.c_out, s.l_out)))
        })
    }

    /// The gradient of the input, by the kernels of the CPU.
    pub fn input_gradient(&self, w: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let s = &self.sizes;
        let (ws, dys) = (Reader::new(w), Reader::new(dy));
        for_float!(dy.dtype(), T => {
            let dx = kernels::input_gradient::<T>(s, self.isa, ws.values()?, dys.values()?);
            Tensor::from_vec(dx, (s.n, s.c_in, s.l_in), &Device::Cpu)
        })
    }

    /// Gradients of input, weight and bias, each where it is wanted.
    pub fn backward(
        &self,
        x: &Values,
        w: &Tensor,
        #[cfg_attr(
            not(feature = "cuda"),
            expect(unused_variables, reason = "its gradient needs no values")
        )]
        b: Option<&Tensor>,
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> Result<[Option<Tensor>; 3]> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if dy.device().is_cuda() {
            return crate::cuda::conv1d_gradients(&self.sizes, x.like(), w, b, &dy);
        }
        let (s, device) = (&self.sizes, dy.device());
        let dx = wanted[0].then(|| self.input_gradient(w, &dy)).transpose()?;
        let (xs, dys) = (x.open(), Reader::new(&dy));
        for_float!(x.dtype(), T => {
            let (xs, dys) = (xs.input::<T>()?, dys.values::<T>()?);
            let (dw, db) = if wanted[1] {
                let (dw, db) = kernels::weight_gradient(s, self.isa, xs, dys, wanted[2]);
                (Some(dw), db)
            } else {
                (None, wanted[2].then(|| kernels::bias_gradient(s, dys)))
            };
            Ok([
                dx,
                dw.map(|dw| Tensor::from_vec(dw, w.shape(), device)).transpose()?,
                db.map(|db| Tensor::from_vec(db, s.c_out, device)).transpose()?,
            ])
        })
    }
}

impl CustomOp2 for Conv1dOp {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (w, lw), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, lx: &Layout, w: &CudaStorage, lw: &Layout) -> Result<(CudaStorage, Shape)> {
        crate::cuda::conv1d(&self.sizes, (x, lx), (w, lw), None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.backward(&x.clone().into(), w, None, dy, [x.track_op(), w.track_op(), false])?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Conv1dOp {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (w, lw), Some((b, lb)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        w: &CudaStorage,
        lw: &Layout,
        b: &CudaStorage,
        lb: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        crate::cuda::conv1d(&self.sizes, (x, lx), (w, lw), Some((b, lb)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.backward(&x.clone().into(), w, Some(b), dy, [x, w, b].map(Tensor::track_op))?;
        Ok((dx, dw, db))
    }
}
