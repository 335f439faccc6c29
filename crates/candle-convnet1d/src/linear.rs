//! The linear layer.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::error::Error;

/// `y = x weight^T + bias`: weight `(out, in)`, bias `(out,)`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with parameters `weight` (Glorot uniform) and `bias` (0) of `vb`.
    pub fn new(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        let bound = (6.0 / (inputs + outputs) as f64).sqrt();
        Self::with_init(inputs, outputs, Init::Uniform { lo: -bound, up: bound }, vb)
    }

    /// As [`new`](Self::new), with weights that start otherwise.
    pub fn with_init(inputs: usize, outputs: usize, init: Init, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", init)?;
        let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias })
    }

    /// The weight `(out, in)`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `(out,)`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, Some(&self.bias))
    }
}

/// `x weight^T + bias` of `x` `(n, in)` with `weight` `(out, in)` and `bias` `(out,)`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    if x.rank() != 2 || weight.rank() != 2 || x.dim(1)? != weight.dim(1)? {
        return Err(Error::Shape {
            layer: "linear",
            expected: format!("(n, in) for a weight (out, in) of shape {:?}", weight.dims()),
            found: x.dims().to_vec(),
        }
        .into());
    }
    // matrices of two dimensions: candle's product is right there, transposed operands included
    let y = x.matmul(&weight.t()?)?;
    match bias {
        Some(b) => y.broadcast_add(b),
        None => Ok(y),
    }
}
