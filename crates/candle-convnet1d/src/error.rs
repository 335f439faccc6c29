/// What can go wrong in a layer. Layers return it wrapped in [`candle_core::Error::Wrapped`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer was given a tensor whose shape it does not take.
    #[error("{layer}: expected {expected}, found a tensor of shape {found:?}")]
    Shape {
        /// The layer or function.
        layer: &'static str,
        /// The shapes it takes.
        expected: String,
        /// The shape of the tensor.
        found: Vec<usize>,
    },
    /// A layer was given or made with a value outside its range.
    #[error("{layer}: {argument} must be {expected}, found {found}")]
    Argument {
        /// The layer or function.
        layer: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The range it takes.
        expected: String,
        /// The value.
        found: String,
    },
    /// Batch norm in training has no variance to normalise by.
    #[error(
        "batch_norm: training needs at least two values per channel, found {rows} row(s) of \
         length {length} in domain {domain}; use larger batches (drop the last short one) or \
         inference"
    )]
    TooFewValues {
        /// Rows that share statistics.
        rows: usize,
        /// Length of a row.
        length: usize,
        /// The domain; 0 for joint statistics.
        domain: usize,
    },
    /// A class number that the logits have no column for.
    #[error("cross_entropy: target {target} of row {row} must be below the number of classes, {classes}")]
    Target {
        /// The row of the batch.
        row: usize,
        /// The class number found there.
        target: u32,
        /// Columns of the logits.
        classes: usize,
    },
    /// The environment variable `CROSSRIG_ISA` does not name an instruction set of this machine.
    #[error(
        "the environment variable CROSSRIG_ISA is {found:?}; this machine has: {available}. Take one of these, or unset \
         it for the best"
    )]
    InstructionSet {
        /// The value.
        found: String,
        /// The names that would do, best first.
        available: String,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
