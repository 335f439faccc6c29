//! What a caller can ask for in vain.

use candle_core::DType;

/// Why a reversal or a schedule cannot be had. All are the caller's to mend.
///
/// Functions that return candle's `Result` carry it in [`candle_core::Error::Wrapped`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The constant is NaN or infinite.
    #[error("gradient reversal with {name} {value}: expected a finite number")]
    NotFinite {
        /// `lambda`, or `factor` for the signed constructor.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The constant is finite in f64 and infinite in the tensor's dtype.
    #[error("lambda {lambda:e} is infinite in {dtype:?}: expected at most {largest:e} in size")]
    Overflow {
        /// What was given.
        lambda: f64,
        /// Dtype of the tensor.
        dtype: DType,
        /// The largest finite value of that dtype.
        largest: f64,
    },
    /// The tensor's elements have no gradient, or one too coarse to scale.
    #[error("gradient reversal of a {0:?} tensor: expected F16, BF16, F32 or F64")]
    UnsupportedDType(DType),
    /// The text is not a schedule.
    #[error("lambda schedule {text:?}: {reason}; expected constant:X or dann:LOW:HIGH:GAMMA, as in dann:0:1:10")]
    Schedule {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        Self::wrap(error)
    }
}
