/// What can be wrong with a request or with the samples.
///
/// The first group is the caller's (a setting that cannot be), the second the data's (these samples cannot be
/// used), the third that of a stored description (it was not written by a version that this one understands).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A window or a hop of no samples.
    #[error("windows of {length} samples every {hop} samples cannot be cut: both must be at least 1")]
    Windowing {
        /// samples in a window
        length: usize,
        /// samples from one window's start to the next
        hop: usize,
    },
    /// A sampling rate that is not a positive number.
    #[error("the sampling rate to resample {side} is {found} Hz: it must be a positive, finite number")]
    Rate {
        /// `"from"` or `"to"`
        side: &'static str,
        /// the rate given, Hz
        found: f64,
    },
    /// Two rates too far apart for one resampling step.
    #[error(
        "resampling from {from_hz} Hz to {to_hz} Hz changes the rate by more than a factor of {limit}: \
         check the unit of both rates (they are in Hz, not kHz)"
    )]
    RateFactor {
        /// the rate of the samples, Hz
        from_hz: f64,
        /// the rate wanted, Hz
        to_hz: f64,
        /// the largest factor taken
        limit: f64,
    },
    /// A resampling ratio with a zero in it.
    #[error("cannot resample by {up}/{down}: both numbers must be at least 1")]
    Ratio {
        /// up-sampling factor
        up: usize,
        /// down-sampling factor
        down: usize,
    },
    /// A filter without taps.
    #[error("cannot filter with an empty list of taps")]
    NoTaps,
    /// The result would not fit into memory.
    #[error("resampling {samples} samples by {up}/{down} gives more samples than can be counted")]
    TooLong {
        /// samples given
        samples: usize,
        /// up-sampling factor
        up: usize,
        /// down-sampling factor
        down: usize,
    },
    /// A bearing that cannot be built, or factors that are not positive.
    #[error("bearing geometry: {reason}")]
    Geometry {
        /// what was found and what was expected
        reason: String,
    },
    /// A number that a function or a checked set of parameters cannot take.
    #[error("{name} is {found}: expected {expected}")]
    Argument {
        /// the argument's name, with its unit
        name: &'static str,
        /// what was given
        found: String,
        /// what would be taken
        expected: String,
    },
    /// A name that is not one of a list.
    #[error("unknown {what} \"{found}\": expected one of {expected}")]
    UnknownName {
        /// what the name stands for
        what: &'static str,
        /// the name given
        found: String,
        /// the names known
        expected: &'static str,
    },
    /// A slice of another length than the statistics.
    #[error("{found} values do not fit statistics of {groups} {grouping}: expected {expected}")]
    Length {
        /// values given
        found: usize,
        /// groups that have statistics
        groups: usize,
        /// `"bins"` or `"channels"`
        grouping: &'static str,
        /// what would fit
        expected: String,
    },

    /// A window too short for the representation.
    #[error("a window of {found} samples is too short for \"{kind}\": at least {needed} are needed")]
    WindowTooShort {
        /// samples given
        found: usize,
        /// samples needed
        needed: usize,
        /// the representation's name
        kind: &'static str,
    },
    /// A sample that is NaN or infinite.
    #[error("sample {index} is {value}: remove or repair samples that are not finite first")]
    NotFinite {
        /// position of the first such sample in the slice
        index: usize,
        /// its value
        value: f64,
    },
    /// A window without variation where a representation looks.
    #[error("nothing varies between {low_hz} and {high_hz} Hz in this window: is the sensor connected?")]
    Still {
        /// lower edge of the band, Hz
        low_hz: f64,
        /// upper edge of the band, Hz
        high_hz: f64,
    },
    /// Something about the recording that a representation needs and nobody stated.
    #[error("{what} is not known, and \"{kind}\" needs it")]
    Unknown {
        /// `"the sampling rate"`, `"the shaft speed"` or `"the bearing"`
        what: &'static str,
        /// the representation's name
        kind: &'static str,
    },
    /// Statistics of nothing.
    #[error("no window was given to take statistics from")]
    NoWindows,

    /// A stored recipe of another version of its format.
    #[error(
        "recipe version {found} is not known here (this program reads version {known}): update the program that reads it"
    )]
    RecipeVersion {
        /// the version found
        found: u64,
        /// the version this crate reads
        known: u64,
    },
    /// A stored recipe or stored statistics with missing, extra or contradicting parts.
    #[error("stored {what}: {reason}")]
    Stored {
        /// `"recipe"` or `"statistics"`
        what: &'static str,
        /// what was found and what was expected
        reason: String,
    },
}

/// An [`Error::Argument`] unless `value` is positive and finite.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::Argument {
        name,
        found: value.to_string(),
        expected: "a positive, finite number".to_owned(),
    })
}

/// The first value that is not finite, as an error.
pub(crate) fn all_finite(x: &[f64]) -> Result<(), Error> {
    match x.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(Error::NotFinite { index, value: x[index] }),
        None => Ok(()),
    }
}
