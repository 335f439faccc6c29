use std::io;
use std::path::PathBuf;

/// What can go wrong here, by who is at fault.
///
/// Functions on tensors return it inside a [`candle_core::Error`], functions on files as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that has no meaning.
    #[error("{0}")]
    Argument(String),

    /// Tensors do not belong to this network or this optimiser: a name, a shape or a dtype differs.
    #[error("{0}")]
    Mismatch(String),

    /// A parameter that should have been trained got no gradient.
    #[error(
        "no gradient reached {missing} of {total} parameters, first {first}: is it used in the loss, or cut off \
         by `detach`? (`Missing::Skip` leaves such parameters as they are)"
    )]
    NoGradient {
        /// The first such parameter, in name order.
        first: String,
        /// How many there are.
        missing: usize,
        /// Of how many parameters.
        total: usize,
    },

    /// Training diverged: a gradient holds NaN or infinity.
    #[error(
        "the gradient of {parameter} holds {value}: training has diverged (a smaller learning rate or lambda may help)"
    )]
    NotFinite {
        /// The first such parameter, in name order.
        parameter: String,
        /// The first such value in it.
        value: f64,
    },

    /// There is no such file.
    #[error("{path}: no such file", path = .path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The file is not what was written: truncated, altered, or never a sealed file.
    #[error("{path}: {problem}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// The machine failed: disk full, permission denied, a device that does not answer.
    #[error("{path}: {action} failed: {source}", path = .path.display())]
    Machine {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },

    /// Candle failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Result of the functions on files.
pub type Result<T> = std::result::Result<T, Error>;

/// The crate's error in candle's clothes, for functions that return candle's `Result`.
pub(crate) fn wrap(error: Error) -> candle_core::Error {
    match error {
        Error::Tensor(e) => e,
        e => candle_core::Error::wrap(e),
    }
}
