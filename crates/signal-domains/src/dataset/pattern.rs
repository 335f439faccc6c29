//! Labels from the names of files: a regular expression with named groups over a file's path.

use regex::{Captures, Regex};
use toml::Spanned;

use super::Attribute;
use super::schema::RecordingTable;
use super::source::Source;
use crate::error::Result;

/// Keys of a recording that a group may not give: they are no labels.
const NO_LABELS: [&str; 5] = ["file", "channels", "sha256", "bytes", "attributes"];

pub(super) struct Pattern<'a> {
    source: &'a Source<'a>,
    regex: Regex,
    text: &'a Spanned<String>,
}

impl<'a> Pattern<'a> {
    pub fn new(source: &'a Source<'a>, text: &'a Spanned<String>) -> Result<Self> {
        let error = |message: String| source.error(Some(text.span()), format!("pattern: {message}"));
        let regex = Regex::new(text.as_ref()).map_err(|e| {
            // the last line says what is wrong, those before it draw the place
            error(
                e.to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            )
        })?;
        let names: Vec<&str> = regex.capture_names().flatten().collect();
        if names.is_empty() {
            return Err(error(
                "no named group; write (?<class>..), (?<domain>..), (?<unit>..) or (?<ANY>..)".into(),
            ));
        }
        if let Some(wrong) = names.iter().find(|name| NO_LABELS.contains(name)) {
            return Err(error(format!(
                "{wrong:?} cannot come from a file's name; call the group otherwise"
            )));
        }
        Ok(Self { source, regex, text })
    }

    /// Fills in what the table does not state itself. `false`: the file's path does not fit.
    pub fn fill(&self, table: &mut RecordingTable) -> Result<bool> {
        let file = table.file.as_ref().clone();
        let Some(groups) = self.regex.captures(&file) else {
            return Ok(false);
        };
        let text = |name: &str| self.group(&groups, name);
        let number = |name: &str| {
            let Some(text) = text(name) else { return Ok(None) };
            match text.as_ref().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(Spanned::new(text.span(), number))),
                _ => Err(self.source.error(
                    Some(self.text.span()),
                    format!("pattern: group {name:?} of {file} is {:?}, no number", text.as_ref()),
                )),
            }
        };
        for (slot, name) in [
            (&mut table.domain, "domain"),
            (&mut table.class, "class"),
            (&mut table.geometry, "geometry"),
        ] {
            *slot = slot.take().or_else(|| text(name));
        }
        for (slot, name) in [(&mut table.rpm, "rpm"), (&mut table.rate_hz, "rate_hz")] {
            if slot.is_none() {
                *slot = number(name)?;
            }
        }
        table.unit = table.unit.take().or_else(|| text("unit").map(Spanned::into_inner));
        let keys = ["domain", "class", "geometry", "unit", "rpm", "rate_hz"];
        for name in self.regex.capture_names().flatten().filter(|name| !keys.contains(name)) {
            if let Some(text) = text(name).filter(|_| !table.attributes.contains_key(name)) {
                table.attributes.insert(name.into(), attribute(text.into_inner()));
            }
        }
        Ok(true)
    }

    fn group(&self, groups: &Captures<'_>, name: &str) -> Option<Spanned<String>> {
        let text = groups.name(name).filter(|text| !text.is_empty())?;
        Some(Spanned::new(self.text.span(), text.as_str().to_owned()))
    }
}

/// A number where it is written as one (`007` is 7, `0.5`, `-3`), else a text; `1e5`, `inf` and `nan` are texts.
fn attribute(text: String) -> Attribute {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.starts_with(|c: char| c.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if plain => Attribute::Number(number),
        _ => Attribute::Text(text),
    }
}
