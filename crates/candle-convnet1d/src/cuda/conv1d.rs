use candle_core::backend::BackendStorage;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

use super::programs::{Conv1d, Program};
use super::run::{Input, run, run_on_tensors};
use crate::kernels::Sizes;

fn program(s: &Sizes) -> Conv1d {
    let (c, o) = s.group();
    Conv1d {
        n: s.n,
        groups: s.groups,
        c,
        o,
        l_in: s.l_in,
        l_out: s.l_out,
        kernel: s.kernel,
        stride: s.stride,
        padding: s.padding,
        dilation: s.dilation,
    }
}

/// The convolution of contiguous tensors.
pub(crate) fn conv1d(
    s: &Sizes,
    (x, lx): (&CudaStorage, &Layout),
    (w, lw): (&CudaStorage, &Layout),
    bias: Option<(&CudaStorage, &Layout)>,
) -> Result<(CudaStorage, Shape)> {
    let mut inputs = vec![Input::Storage(x, lx), Input::Storage(w, lw)];
    inputs.extend(bias.map(|(b, lb)| Input::Storage(b, lb)));
    let [y] = run(&program(s).forward(bias.is_some()), x.device(), &inputs)?;
    Ok((y, (s.n, s.c_out, s.l_out).into()))
}

/// Gradients of input, weight and bias, each where something is derived from it; all tensors are contiguous.
pub(crate) fn conv1d_gradients(
    s: &Sizes,
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    dy: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let sizes = program(s);
    let gradient = |of: &Tensor, program: Program, inputs: &[&Tensor]| -> Result<Tensor> {
        let [gradient] = run_on_tensors(&program, inputs, [of.shape()])?;
        Ok(gradient)
    };
    let wanted = |x: &&Tensor| x.track_op();
    Ok([
        Some(x)
            .filter(wanted)
            .map(|x| gradient(x, sizes.input_gradient(), &[w, dy]))
            .transpose()?,
        Some(w)
            .filter(wanted)
            .map(|w| gradient(w, sizes.weight_gradient(), &[x, dy]))
            .transpose()?,
        bias.filter(wanted)
            .map(|bias| gradient(bias, sizes.bias_gradient(), &[dy]))
            .transpose()?,
    ])
}
