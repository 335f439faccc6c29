//! What can be wrong: the call, the function under test, its gradient.

use crate::Report;
use candle_core::{DType, Shape};

/// Why a check did not pass.
///
/// Converts into [`candle_core::Error`] by `?`, for tests that return candle's `Result`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller: a setting of [`GradCheck`](crate::GradCheck) makes no sense.
    #[error("{name} is {value}, expected {expected}")]
    Setting {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The caller: an input is not `f64`, where differences of 1e-6 mean something.
    #[error("input {input} has dtype {dtype:?}, expected F64: convert it with `to_dtype(DType::F64)`")]
    InputDType {
        /// Number of the input, from 0.
        input: usize,
        /// Its dtype.
        dtype: DType,
    },
    /// The caller: elements of an input share memory, so that none can move alone.
    #[error(
        "input {input} of shape {shape:?} and strides {strides:?} has elements that share memory, as broadcasting makes \
         them: give the tensor before it is broadcast, and broadcast it inside the function"
    )]
    Overlapping {
        /// Number of the input, from 0.
        input: usize,
        /// Its shape.
        shape: Shape,
        /// Its strides, in elements.
        strides: Vec<usize>,
    },
    /// The caller: there is no input element or no output element, so that a pass would mean nothing.
    #[error("nothing to check: {inputs} input elements, {outputs} output elements")]
    Nothing {
        /// Elements of all inputs together.
        inputs: usize,
        /// Elements of the output.
        outputs: usize,
    },
    /// The function: its output is not `f64`.
    #[error("the output has dtype {dtype:?}, expected F64 as the inputs have")]
    OutputDType {
        /// Dtype of the output.
        dtype: DType,
    },
    /// The function: the output's shape depends on the values of the inputs.
    #[error("the output has shape {got:?} at a moved input, expected {expected:?} as at the given one")]
    OutputShape {
        /// Shape at the inputs as given.
        expected: Shape,
        /// Shape at a moved input.
        got: Shape,
    },
    /// The function: two calls on equal inputs differ, so that differences mean nothing.
    #[error(
        "{what} differs between two calls on equal inputs ({first:e}, then {second:e}, at {index:?}): fix the seed of whatever \
         the function draws"
    )]
    NotDeterministic {
        /// What differs: the output, or the gradient of an input.
        what: String,
        /// Where.
        index: Vec<usize>,
        /// Value of the first call.
        first: f64,
        /// Value of the second call.
        second: f64,
    },
    /// The gradient: candle returned none for an input.
    #[error(
        "input {input} has no gradient: an op on its way to the output has no backward, or the output does not depend on it \
         (then set `allow_missing`)"
    )]
    MissingGradient {
        /// Number of the input, from 0.
        input: usize,
    },
    /// The gradient: not of the shape of its input.
    #[error("the gradient of input {input} has shape {got:?}, expected {expected:?}")]
    GradientShape {
        /// Number of the input, from 0.
        input: usize,
        /// Shape of the input.
        expected: Shape,
        /// Shape of the gradient.
        got: Shape,
    },
    /// The gradient: it disagrees with the differences.
    #[error("{0}")]
    Mismatch(Box<Report>),
    /// Candle, while it ran the function or its backward pass.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(inner) => inner,
            other => Self::wrap(other),
        }
    }
}
