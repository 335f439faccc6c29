//! What can be wrong with the input. All of it is the caller's: this crate opens no file and allocates no device.

/// Why a score or a model could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to work on.
    #[error("{what} is empty: at least one is needed")]
    Empty {
        /// The argument.
        what: &'static str,
    },
    /// Two arguments do not fit together.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits the other arguments.
        expected: usize,
    },
    /// A table that is not a whole number of rows.
    #[error(
        "{what} has {values} values, which is not a whole number of rows (rows wanted: {rows:?}, columns wanted: {columns:?})"
    )]
    Table {
        /// The argument.
        what: &'static str,
        /// Number of values in the slice.
        values: usize,
        /// Number of rows it should have, where that is known.
        rows: Option<usize>,
        /// Number of columns it should have, where that is known.
        columns: Option<usize>,
    },
    /// A label that names no class.
    #[error("{what} {index} is {label}, but there are {classes} classes (0..{classes})")]
    Label {
        /// Which list of labels.
        what: &'static str,
        /// Position in it.
        index: usize,
        /// The label found.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// NaN or infinity among the samples.
    #[error("{what} holds {value} at row {row}, column {column}: remove or repair that sample")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// Row (sample) of the value.
        row: usize,
        /// Column (feature) of the value.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A classifier was given one class only.
    #[error("every label is {class}: a classifier needs at least two classes to tell apart")]
    OneClass {
        /// The only class.
        class: usize,
    },
    /// A row that is not a probability distribution.
    #[error(
        "row {row} of the probabilities {found}: expected values from 0 to 1 that add up to 1 (softmax, not logits)"
    )]
    Probabilities {
        /// The row.
        row: usize,
        /// What is wrong with it.
        found: String,
    },
    /// A setting without meaning.
    #[error("{name} is {found}, expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
}

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
