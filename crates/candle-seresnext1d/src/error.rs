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

    /// A depth for which a network has no block list.
    #[error(
        "{network} has no depth {depth}: known are {known}; \
         for other block lists fill in the configuration's fields"
    )]
    UnknownDepth {
        /// Which network.
        network: &'static str,
        /// The depth that was given.
        depth: usize,
        /// The depths that exist.
        known: &'static str,
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

    /// Keras weights from which no network can be made out.
    #[error("these are not the weights of the article's SE-ResNeXt under Keras' own layer names: {found}")]
    KerasNetwork {
        /// What is not as it should be.
        found: String,
    },

    /// Keras weights that are not those of the network asked for.
    #[error(
        "the Keras weights do not fit the network{}{}{}",
        list("missing", missing),
        list("left over", left_over),
        list("other shapes", shapes)
    )]
    KerasWeights {
        /// Weights that the network has.
        missing: Vec<String>,
        /// Weights that it does not have.
        left_over: Vec<String>,
        /// Weights of another shape, with both shapes.
        shapes: Vec<String>,
    },
}

/// What is wrong in one way: a few examples and how many more there are.
fn list(what: &str, names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = &names[..names.len().min(SHOWN)];
    format!("; {what}: {}{more}", shown.join(", "))
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        candle_core::Error::wrap(error)
    }
}
