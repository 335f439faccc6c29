//! Labels that are in the recordings' files: one beside each sample, or one for the whole.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::Attribute;
use super::lookup::Finder;
use super::schema::{DatasetTable, LabelsTable, RecordingTable};
use super::source::Source;
use crate::error::{Error, Result};
use crate::formats::{ReadOptions, SignalFile, Variable};
use crate::select::pick;

/// More different labels than these are no labels but a signal.
const MOST_LABELS: usize = 256;

/// A stretch of a file's samples under one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub samples: Range<usize>,
    /// How many labels the file holds: as many as it must hold samples.
    pub of: usize,
}

/// Each recording that states no class gets that of its file's labels, and becomes several where the labels change. What
/// cannot be read stays a recording with the fault.
pub(super) fn with_labels(
    source: &Source<'_>,
    table: &DatasetTable,
    base: &Path,
    rows: Vec<RecordingTable>,
) -> Result<Vec<RecordingTable>> {
    let finder = Finder::new(base);
    let mut labelled = Vec::with_capacity(rows.len());
    for mut row in rows {
        row.labels = row.labels.or_else(|| table.labels.clone());
        let (Some(labels), None) = (row.labels.clone(), &row.class) else {
            // a class that is stated holds for all of the file
            labelled.push(row);
            continue;
        };
        let Ok(path) = finder.find(row.file.as_ref()) else {
            labelled.push(row);
            continue;
        };
        let read = ReadOptions {
            text: table.text,
            raw: table.raw,
            words: Some(labels.as_ref().key.clone()),
            ..ReadOptions::default()
        };
        match Found::read(&path, &labels.as_ref().key, &read) {
            Ok(found) => found.apply(source, &labels, row, &mut labelled)?,
            Err(e) => {
                row.fault = Some(format!("its labels: {e}"));
                labelled.push(row);
            }
        }
    }
    Ok(labelled)
}

/// The labels of a file.
enum Found {
    Whole(String),
    Stretches(Vec<(String, Stretch)>),
}

impl Found {
    fn read(path: &Path, key: &str, options: &ReadOptions) -> Result<Self> {
        let file = SignalFile::open(path, options)?;
        let bare = key.trim_start_matches('/');
        let text = |v: &Variable| match v.attributes.get("text") {
            Some(Attribute::Text(text)) if v.name == bare && !v.numeric => Some(text.clone()),
            _ => None,
        };
        if let Some(text) = file.variables().iter().find_map(text) {
            return Ok(Self::Whole(text));
        }
        let chosen = pick(path, file.variables(), key)?;
        let variable = &file.variables()[chosen.variable];
        let len = variable.samples();
        let values: Vec<f64> = file.read_range(chosen.variable, chosen.channel, 0, len)?;
        let label = |value: f64| match variable.words.get(value as usize) {
            Some(word) => word.clone(),
            None => value.to_string(),
        };
        if let [only] = values[..] {
            return Ok(Self::Whole(label(only)));
        }
        let mut stretches = Vec::new();
        let mut different = BTreeSet::new();
        let mut start = 0;
        while start < len {
            let value = values[start].to_bits();
            let more = values[start..].iter().take_while(|v| v.to_bits() == value).count();
            different.insert(value);
            if different.len() > MOST_LABELS {
                let message = format!(
                    "{} holds more than {MOST_LABELS} different values: that is no label; name the column or data set of labels",
                    variable.describe()
                );
                return Err(Error::variable(path, message));
            }
            let samples = start..start + more;
            stretches.push((label(values[start]), Stretch { samples, of: len }));
            start += more;
        }
        Ok(Self::Stretches(stretches))
    }

    fn apply(
        self,
        source: &Source<'_>,
        labels: &Spanned<LabelsTable>,
        row: RecordingTable,
        out: &mut Vec<RecordingTable>,
    ) -> Result<()> {
        let stretches = match self {
            Self::Whole(label) => vec![(label, None)],
            Self::Stretches(found) => found.into_iter().map(|(label, at)| (label, Some(at))).collect(),
        };
        for (label, stretch) in stretches {
            let names = &labels.as_ref().names;
            let class = match names.get(&label) {
                Some(class) => class.clone(),
                None if names.is_empty() => label,
                None => {
                    let known: Vec<&str> = names.keys().map(String::as_str).collect();
                    let message = format!(
                        "labels: {} holds label {label:?}, named are {}; name it too, as \"\" where its samples are to be left out",
                        row.file.as_ref(),
                        known.join(", ")
                    );
                    return Err(source.error(Some(labels.span()), message));
                }
            };
            if !class.is_empty() {
                out.push(RecordingTable {
                    class: Some(Spanned::new(labels.span(), class)),
                    stretch,
                    ..row.clone()
                });
            }
        }
        Ok(())
    }
}
