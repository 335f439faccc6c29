//! The linear layer.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::error::Error;

/// A linear layer: `(N, inputs)` to `(N, outputs)`, see [`linear`].
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with the parameters `weight` `(outputs, inputs)`, at first uniform after Glorot and
    /// Bengio 2010 (equation 16), and `bias` `(outputs,)`, at first 0, of `vb`.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        let bound = (6.0 / (inputs + outputs).max(1) as f64).sqrt();
        let glorot = Init::Uniform { lo: -bound, up: bound };
        Self::with_init(inputs, outputs, glorot, vb)
    }

    /// As [`new`](Self::new), with weights that start otherwise.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn with_init(inputs: usize, outputs: usize, init: Init, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", init)?;
        let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.0))?;
        Ok(Self { weight, bias })
    }

    /// The weight `(outputs, inputs)`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `(outputs,)`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, Some(&self.bias))
    }
}

/// `x weight^T + bias` of `x` `(N, inputs)`, `weight` `(outputs, inputs)` and `bias` `(outputs,)`.
///
/// Errors: shapes that do not go together.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let shape = |expected: String, found: &Tensor| -> candle_core::Error {
        Error::Shape {
            layer: "linear",
            expected,
            found: found.dims().to_vec(),
        }
        .into()
    };
    let (outputs, inputs) = weight
        .dims2()
        .map_err(|_| shape("a weight (outputs, inputs)".into(), weight))?;
    if !matches!(x.dims(), [_, width] if *width == inputs) {
        return Err(shape(format!("(batch, {inputs})"), x));
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [outputs]) {
        return Err(shape(format!("a bias ({outputs},)"), bias));
    }
    // candle's product is right for matrices of two dimensions, and its gradients are
    let y = x.matmul(&weight.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
