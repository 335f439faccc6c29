/// What can be wrong with a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number outside the range that a quantity has.
    #[error("{what} is {found}: expected {low} to {high}")]
    Range {
        /// the quantity
        what: &'static str,
        /// the value given
        found: f64,
        /// smallest value
        low: f64,
        /// largest value
        high: f64,
    },
    /// A name that is not one of the defects.
    #[error("unknown defect \"{found}\": expected one of none, inner, ball, outer")]
    UnknownDefect {
        /// the name given
        found: String,
    },
}

/// `Ok` if the value lies in the range, ends included; NaN never does.
pub(crate) fn in_range(what: &'static str, found: f64, low: f64, high: f64) -> Result<(), Error> {
    if (low..=high).contains(&found) {
        Ok(())
    } else {
        Err(Error::Range { what, found, low, high })
    }
}
