use candle_core::{Result, Tensor};

use crate::conv::Conv1dParams;

/// [`conv1d`](crate::conv1d) out of candle's operations: samples under each tap by `index_select`, then one matrix
/// product a group.
pub(crate) fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, l_out: usize, p: Conv1dParams) -> Result<Tensor> {
    let (n, c_in, _) = x.dims3()?;
    let (c_out, per_group, kernel) = weight.dims3()?;
    let positions: Vec<u32> =
        (0..kernel).flat_map(|t| (0..l_out).map(move |j| (t * p.dilation + j * p.stride) as u32)).collect();
    let positions = Tensor::from_vec(positions, kernel * l_out, x.device())?;
    let padded = x.pad_with_zeros(2, p.padding, p.padding)?.contiguous()?;
    let (rows, columns) = (c_out / p.groups, per_group * kernel);
    let panel = padded.index_select(&positions, 2)?.reshape((n * p.groups, c_in / p.groups * kernel, l_out))?;
    // contiguous: candle's product of operands broadcast over the batch is not right in its backward pass
    let weight = weight
        .contiguous()?
        .reshape((1, p.groups, rows, columns))?
        .broadcast_as((n, p.groups, rows, columns))?
        .contiguous()?
        .reshape((n * p.groups, rows, columns))?;
    let y = weight.matmul(&panel)?.reshape((n, c_out, l_out))?;
    match bias {
        Some(b) => y.broadcast_add(&b.reshape((1, c_out, 1))?),
        None => Ok(y),
    }
}
