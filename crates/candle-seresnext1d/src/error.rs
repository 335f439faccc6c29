use crate::Architecture;

/// What can be wrong with a request to this crate. Every variant is the caller's to mend.
///
/// Functions that return `candle_core::Result` carry it inside `candle_core::Error::Wrapped`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A name that is no [`Architecture`].
    #[error("unknown extractor {name:?}; known are: {}", Architecture::names())]
    UnknownArchitecture {
        /// The name that was given.
        name: String,
    },

    /// A depth for which the papers' form has no block list.
    #[error(
        "SE-ResNeXt has no depth {depth}: known are 26, 50, 101 and 152; \
         for other block lists fill in SeResNeXtConfig's fields"
    )]
    UnknownDepth {
        /// The depth that was given.
        depth: usize,
    },

    /// A field of a configuration with an impossible value.
    #[error("{network}: {field} is {found}, expected {expected}")]
    Config {
        /// Which network's configuration.
        network: &'static str,
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// What would be possible.
        expected: String,
    },

    /// Input that is not `(batch, channels, length)` with the network's channels.
    #[error(
        "{network}: input has shape {found:?}, expected (batch, {channels}, length) \
         because the network was built for {channels} channel(s)"
    )]
    InputShape {
        /// Which network.
        network: &'static str,
        /// Shape of the input.
        found: Vec<usize>,
        /// Channels the network was built for.
        channels: usize,
    },

    /// A window shorter than the network's layers can take.
    #[error(
        "{network}: windows of {found} sample(s) are too short, the shortest that works is {minimum}; \
         take longer windows or another extractor"
    )]
    ShortWindow {
        /// Which network.
        network: &'static str,
        /// Length of the windows in samples.
        found: usize,
        /// Shortest possible length.
        minimum: usize,
    },
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
