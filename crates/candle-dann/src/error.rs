/// What can go wrong here, by who is at fault. Functions return it inside a [`candle_core::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that makes no network.
    #[error("{option}: expected {expected}, found {found}")]
    Config {
        /// The option of [`DannConfig`](crate::DannConfig).
        option: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// Rows that do not fit: their shape, their labels, or the number of domains.
    #[error("{what}: expected {expected}, found {found}")]
    Rows {
        /// Which rows.
        what: String,
        /// What was expected of them.
        expected: String,
        /// What they are.
        found: String,
    },
    /// The extractor returned features of another shape than was configured.
    #[error(
        "the extractor returned {found:?} for {rows} windows, expected ({rows}, {feature_len}): \
         set `feature_len` to `extractor.feature_len(window length)`"
    )]
    Features {
        /// Windows that were given.
        rows: usize,
        /// The configured number of features.
        feature_len: usize,
        /// The shape that came back.
        found: Vec<usize>,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
