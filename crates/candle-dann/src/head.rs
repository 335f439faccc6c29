use std::fmt;
use std::str::FromStr;

use candle_convnet1d::{Dropout, Linear, Pass, relu};
use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::Error;

/// The layers of a head. As text: `linear` or `hidden:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// One linear layer.
    Linear,
    /// Linear to this width, `ReLU`, dropout 0.5, linear.
    Hidden(usize),
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Hidden(width) => write!(f, "hidden:{width}"),
        }
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(s: &str) -> std::result::Result<Self, Error> {
        let width = s
            .strip_prefix("hidden:")
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0);
        match (s, width) {
            ("linear", _) => Ok(Self::Linear),
            (_, Some(width)) => Ok(Self::Hidden(width)),
            _ => Err(Error::Config {
                option: "head",
                expected: "linear, or hidden:N with N of 1 or more".into(),
                found: format!("{s:?}"),
            }),
        }
    }
}

/// A linear layer whose weights start uniform in `+-1 / sqrt(inputs)` (`PyTorch`'s default; the bias starts at 0).
///
/// Features of a pooled, normalised network are of the order of 1 or larger. Under Glorot's wider bounds the first logits of a head
/// with few outputs are then several units apart: the loss starts far above ln(outputs), and the head begins by unlearning.
fn linear(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    Linear::with_init(inputs, outputs, Init::Uniform { lo: -bound, up: bound }, vb)
}

/// A head that was built: features `(rows, feature_len)` to logits `(rows, outputs)`.
#[derive(Debug)]
pub(crate) struct HeadLayers {
    hidden: Option<(Linear, Dropout)>,
    output: Linear,
}

impl HeadLayers {
    /// Parameters `NAME.output.*`, and `NAME.hidden.*` where there is a hidden layer.
    pub(crate) fn new(head: Head, name: &str, inputs: usize, outputs: usize, vb: &VarBuilder) -> Result<Self> {
        let vb = vb.pp(name);
        let (hidden, width) = match head {
            Head::Linear => (None, inputs),
            Head::Hidden(width) => {
                let dropout = Dropout::new(0.5, format!("{name}.hidden"))?;
                (Some((linear(inputs, width, vb.pp("hidden"))?, dropout)), width)
            }
        };
        let output = linear(width, outputs, vb.pp("output"))?;
        Ok(Self { hidden, output })
    }

    pub(crate) fn forward(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        match &self.hidden {
            None => self.output.forward(features),
            Some((linear, dropout)) => {
                let hidden = dropout.forward(&relu(&linear.forward(features)?)?, pass)?;
                self.output.forward(&hidden)
            }
        }
    }
}
