use std::fmt;
use std::str::FromStr;

use candle_convnet1d::{Dropout, Linear, Pass, linear, relu};
use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::Error;

/// Dropout of a hidden layer where none is named.
const DROPOUT: f64 = 0.5;

/// The layers of a head. As text: `linear`, `hidden:N` (dropout 0.5) or `hidden:N:P`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// One linear layer.
    Linear,
    /// Linear to `width`, `ReLU`, dropout, linear.
    Hidden {
        /// Units of the hidden layer.
        width: usize,
        /// Probability of dropout behind it; 0: none.
        dropout: f64,
    },
}

impl Head {
    /// A hidden layer of this width with dropout 0.5.
    pub fn hidden(width: usize) -> Self {
        let dropout = DROPOUT;
        Self::Hidden { width, dropout }
    }

    /// Whether there is such a head.
    pub(crate) fn is_possible(self) -> bool {
        match self {
            Self::Linear => true,
            Self::Hidden { width, dropout } => width > 0 && (0.0..1.0).contains(&dropout),
        }
    }

    /// What a head may be.
    pub(crate) const EXPECTED: &str =
        "linear, hidden:N or hidden:N:P with N of 1 or more and a dropout P of at least 0 and below 1";
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Hidden { width, dropout } if *dropout == DROPOUT => write!(f, "hidden:{width}"),
            Self::Hidden { width, dropout } => write!(f, "hidden:{width}:{dropout}"),
        }
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(s: &str) -> std::result::Result<Self, Error> {
        let head = match *s.split(':').collect::<Vec<_>>() {
            ["linear"] => Some(Self::Linear),
            ["hidden", width] => width.parse().ok().map(Self::hidden),
            ["hidden", width, dropout] => width
                .parse()
                .ok()
                .zip(dropout.parse().ok())
                .map(|(width, dropout)| Self::Hidden { width, dropout }),
            _ => None,
        };
        head.filter(|head| head.is_possible()).ok_or_else(|| Error::Config {
            option: "head",
            expected: Self::EXPECTED.into(),
            found: format!("{s:?}"),
        })
    }
}

/// A linear layer whose weights start uniform in `+-1 / sqrt(inputs)` (`PyTorch`'s default; the bias starts at 0).
///
/// Features of a pooled, normalised network are of the order of 1 or larger. Under Glorot's wider bounds the first logits of a head
/// with few outputs are then several units apart: the loss starts far above ln(outputs), and the head begins by unlearning.
fn layer(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Linear> {
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
            Head::Hidden { width, dropout } => {
                let dropout = Dropout::new(dropout, format!("{name}.hidden"))?;
                (Some((layer(inputs, width, vb.pp("hidden"))?, dropout)), width)
            }
        };
        let output = layer(width, outputs, vb.pp("output"))?;
        Ok(Self { hidden, output })
    }

    pub(crate) fn forward(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        self.run(features, pass, Module::forward)
    }

    /// As [`forward`](Self::forward), with parameters that get no gradient.
    pub(crate) fn forward_frozen(&self, features: &Tensor, pass: Pass) -> Result<Tensor> {
        self.run(features, pass, |layer, x| {
            linear(x, &layer.weight().detach(), Some(&layer.bias().detach()))
        })
    }

    fn run(&self, x: &Tensor, pass: Pass, apply: impl Fn(&Linear, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        match &self.hidden {
            None => apply(&self.output, x),
            Some((hidden, dropout)) => {
                let hidden = dropout.forward(&relu(&apply(hidden, x)?)?, pass)?;
                apply(&self.output, &hidden)
            }
        }
    }
}
