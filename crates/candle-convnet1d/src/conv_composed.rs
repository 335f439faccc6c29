//! The convolution for devices and dtypes without kernels.

use candle_core::{Result, Tensor};

use crate::conv::{Conv1dParams, sizes};

/// [`conv1d`](crate::conv1d) out of candle's operations: the samples under each tap by
/// `index_select`, then one matrix product a group over all samples at once.
pub fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, params: Conv1dParams) -> Result<Tensor> {
    let s = sizes(x, weight, bias, params)?;
    let (c, o) = (s.c_in / s.groups, s.c_out / s.groups);
    let read = (s.l_out - 1) * s.stride + s.dilation * (s.kernel - 1) + 1;
    let padded = match (s.padding, read.saturating_sub(s.padding + s.l_in)) {
        (0, 0) => x.clone(),
        (left, right) => x.pad_with_zeros(2, left, right)?,
    };
    // channels first, so that no weight has to be repeated for each sample: candle copies what it
    // broadcasts in a product, and some of its gradients are wrong there
    let channels = padded.transpose(0, 1)?.contiguous()?;
    let panel = if s.kernel == 1 && s.stride == 1 {
        channels
    } else {
        let starts = |tap: usize| (0..s.l_out).map(move |j| (tap * s.dilation + j * s.stride) as u32);
        let positions: Vec<u32> = (0..s.kernel).flat_map(starts).collect();
        let positions = Tensor::from_vec(positions, s.kernel * s.l_out, x.device())?;
        channels
            .index_select(&positions, 2)?
            .reshape((s.c_in, s.n, s.kernel, s.l_out))?
            .transpose(1, 2)?
            .contiguous()?
    };
    let panel = panel.reshape((s.groups, c * s.kernel, s.n * s.l_out))?;
    let weight = weight.contiguous()?.reshape((s.groups, o, c * s.kernel))?;
    let y = weight
        .matmul(&panel)?
        .reshape((s.c_out, s.n, s.l_out))?
        .transpose(0, 1)?
        .contiguous()?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, s.c_out, 1))?),
        None => Ok(y),
    }
}
