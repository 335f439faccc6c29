use std::ops::Range;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, DType, Error, Layout, Result, Shape, Tensor};

use super::programs::BatchNorm;
use super::run::{Input, run, run_on_tensors};
use crate::norm::Moments;

/// Batch norm by the statistics of each range of rows, which are returned as constants; `ReLU` after it if `relu`.
pub(crate) fn batch_norm_train(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    ranges: &[Range<usize>],
    eps: f64,
    relu: bool,
) -> Result<(Tensor, Vec<Moments>)> {
    let x = x.contiguous()?;
    let program = program(&x, ranges.to_vec(), eps, relu)?;
    let shape = (ranges.len(), 2, program.channels).into();
    let [moments] = run_on_tensors(&program.moments(), &[&x], [&shape])?;
    let by_range = (0..ranges.len())
        .map(|range| {
            let own = moments.get(range)?.to_dtype(x.dtype())?;
            Ok(Moments {
                mean: own.get(0)?,
                var: own.get(1)?,
            })
        })
        .collect::<Result<_>>()?;
    let op = Normalise {
        program,
        moments,
        through_statistics: true,
    };
    Ok((op.apply(&x, weight, bias)?, by_range))
}

/// Batch norm by given statistics; `ReLU` after it if `relu`.
pub(crate) fn batch_norm_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    moments: &Moments,
    eps: f64,
    relu: bool,
) -> Result<Tensor> {
    let x = x.contiguous()?;
    let rows = 0..x.dim(0)?;
    let op = Normalise {
        program: program(&x, vec![rows], eps, relu)?,
        moments: Tensor::stack(&[&moments.mean, &moments.var], 0)?.to_dtype(DType::F64)?,
        through_statistics: false,
    };
    op.apply(&x, weight, bias)
}

fn program(x: &Tensor, ranges: Vec<Range<usize>>, eps: f64, relu: bool) -> Result<BatchNorm> {
    let (rows, channels, length) = x.dims3()?;
    Ok(BatchNorm {
        rows,
        channels,
        length,
        ranges,
        eps,
        relu,
    })
}

/// Batch norm as an operation of candle's graph, of contiguous tensors.
struct Normalise {
    program: BatchNorm,
    /// As [`BatchNorm`] describes them.
    moments: Tensor,
    through_statistics: bool,
}

impl Normalise {
    fn apply(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, self)
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch_norm1d"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Err(Error::Msg("batch_norm1d: this operation is for CUDA devices".into()).bt())
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let inputs = [
            Input::Storage(x, x_layout),
            Input::Storage(weight, weight_layout),
            Input::Storage(bias, bias_layout),
            Input::new(&self.moments),
        ];
        let [y] = run(&self.program.apply(), x.device(), &inputs)?;
        Ok((y, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let program = self.program.gradients(self.through_statistics);
        let parameters = (2, self.program.channels).into();
        let inputs = [x, &dy.contiguous()?, weight, bias, &self.moments];
        let [dx, parameters] = run_on_tensors(&program, &inputs, [x.shape(), &parameters])?;
        Ok((Some(dx), Some(parameters.get(0)?), Some(parameters.get(1)?)))
    }
}
