//! The manifest's text, to turn byte ranges into lines and names into numbers.

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::query::Query;

/// The manifest's text, to turn byte ranges into lines.
pub(super) struct Source<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    pub fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> Error {
        let line = span.map(|s| self.text.get(..s.start).unwrap_or_default().matches('\n').count() + 1);
        Error::Manifest {
            path: self.path.to_owned(),
            line,
            message: message.into(),
        }
    }

    pub fn parse_error(&self, error: &toml::de::Error) -> Error {
        let mut message = error.message().replace('\n', ", ");
        // serde's words for a key that is not there, then the names between backticks
        if let Some(rest) = message
            .strip_prefix("unknown field `")
            .or_else(|| message.strip_prefix("unknown variant `"))
        {
            let mut names = rest.split('`').step_by(2);
            let unknown = names.next().unwrap_or_default().to_owned();
            if let Some(near) = nearest(&unknown, rest.split('`').skip(2).step_by(2)) {
                message = format!("{message}; did you mean `{near}`?");
            }
        }
        self.error(error.span(), message)
    }

    pub fn known(&self, what: &str, name: &str, span: Range<usize>, names: &[String]) -> Result<usize> {
        names.iter().position(|n| n == name).ok_or_else(|| {
            let hint = match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None if names.is_empty() => format!("the manifest defines no {what}"),
                None => format!("expected one of {}", names.join(", ")),
            };
            self.error(Some(span), format!("unknown {what} {name:?}; {hint}"))
        })
    }

    pub fn positive(&self, value: Option<&toml::Spanned<f64>>, key: &str) -> Result<Option<f64>> {
        let Some(spanned) = value else { return Ok(None) };
        let number = *spanned.as_ref();
        if number.is_finite() && number > 0.0 {
            return Ok(Some(number));
        }
        Err(self.error(
            Some(spanned.span()),
            format!("{key} is {number}: expected a number above 0, or no {key} at all"),
        ))
    }

    /// A query of the manifest.
    pub fn query(&self, text: &toml::Spanned<String>) -> Result<Query> {
        text.as_ref()
            .parse()
            .map_err(|e| self.error(Some(text.span()), format!("where: {e}")))
    }
}
