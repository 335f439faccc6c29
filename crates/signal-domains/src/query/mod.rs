//! Queries over a recording's keys and attributes: which recordings make up a domain, a class or a part of a split.
//!
//! `parse` makes the tree, `token` its words, `eval` asks it about one recording.

mod eval;
mod parse;
mod token;

use std::fmt;
use std::str::FromStr;

use self::eval::truth;
use self::parse::{Expr, parse};
use self::token::{Fault, Spot};
use crate::dataset::Attribute;
use crate::error::{Error, Result};
use crate::nearest::nearest;

/// A question about a recording, such as `rig == "mfs" and rpm > 800` or `size in [0.007, 0.014]`.
///
/// Names are keys of a recording (`file`, `domain`, `class`, `unit`, `rpm`, `rate_hz`) or its attributes; a name that is
/// no plain word stands between backticks. Texts stand between `"` or `'`. There are `==`, `!=`, `<`, `<=`, `>`, `>=`,
/// `in [..]` (one of these values, no interval), `like "*.mat"` (a glob), `not in`, `not like`, `not`, `and`, `or` (in this order of
/// strength), parentheses, `true`, `false`; an attribute that is true or false is a question by itself.
///
/// What is not stated is unknown, not false: with `size` absent, `size == 0.007` and `not size == 0.007` are both
/// unknown, and a recording is chosen only where the whole is true. Values of different kinds are never compared
/// quietly: `load == 300` is an error for a recording whose load is the text "300".
///
/// ```
/// use signal_domains::Query;
/// let query: Query = r#"rig == "mfs" and not (rpm < 800 or size in [0.007, 0.014])"#.parse()?;
/// assert_eq!(query.names(), ["rig", "rpm", "size"]);
/// let error = "size = 0.007".parse::<Query>().unwrap_err();
/// assert!(error.to_string().contains("line 1, column 6"));
/// # Ok::<(), signal_domains::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    expr: Expr,
    /// Every name and where it stands first.
    names: Vec<(String, Spot)>,
}

impl Query {
    /// The names that it asks for, each once, in the order of the text.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Refuses a name that is not among `known`, with the nearest that is.
    pub fn check_names(&self, known: &[&str]) -> Result<()> {
        let Some((name, spot)) = self.names.iter().find(|(name, _)| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let hint = nearest(name, known.iter().copied()).map_or_else(
            || format!("names are {}", known.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        Err(self.error(spot.fault(format!("no recording has {name:?}; {hint}"))))
    }

    /// Refuses to ask for `name`, saying why.
    pub(crate) fn refuse(&self, name: &str, why: &str) -> Result<()> {
        match self.names.iter().find(|(asked, _)| asked == name) {
            Some((_, spot)) => Err(self.error(spot.fault(format!("{name:?} may not be asked for: {why}")))),
            None => Ok(()),
        }
    }

    /// Whether it is true of what `value` says; `None`: unknown, as something is not stated.
    ///
    /// Errors: values of different kinds compared, texts or flags put in order.
    pub fn truth(&self, value: impl Fn(&str) -> Option<Attribute>) -> Result<Option<bool>> {
        truth(&self.expr, &value).map_err(|fault| self.error(fault))
    }

    fn error(&self, fault: Fault) -> Error {
        Error::Query {
            query: self.text.clone(),
            line: fault.spot.line,
            column: fault.spot.column,
            message: fault.message,
        }
    }
}

impl FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = parse(text).map_err(|fault| Error::Query {
            query: text.into(),
            line: fault.spot.line,
            column: fault.spot.column,
            message: fault.message,
        })?;
        Ok(Self {
            text: text.into(),
            expr: parsed.expr,
            names: parsed.names,
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
