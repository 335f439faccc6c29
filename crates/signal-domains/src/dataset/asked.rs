//! Recordings by queries: classes and domains of a manifest, and whatever a caller asks for.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::schema::{ClassTable, DomainTable};
use super::source::Source;
use super::{Attribute, Dataset, RecordingEntry};
use crate::error::Result;
use crate::query::Query;

/// Keys of a recording that a query can ask for, beside its attributes.
const KEYS: [&str; 6] = ["class", "domain", "file", "rate_hz", "rpm", "unit"];

const NO_LABEL: &str = "a domain must not depend on a label, or a target's labels would decide what is adapted to";

impl RecordingEntry {
    /// What it states under a name: a key of its own, else an attribute. `class` is the name of its class.
    fn stated(&self, name: &str, classes: &[String]) -> Option<Attribute> {
        let text = |text: &str| Some(Attribute::Text(text.to_owned()));
        match name {
            "file" => text(&self.file),
            "domain" => text(&self.domain).filter(|_| !self.domain.is_empty()),
            "class" => text(classes.get(self.class?)?),
            "unit" => text(self.unit.as_deref()?),
            "rpm" => self.rpm.map(Attribute::Number),
            "rate_hz" => self.rate_hz.map(Attribute::Number),
            _ => self.attributes.get(name).cloned(),
        }
    }
}

impl Dataset {
    /// The numbers (in [`recordings`](Self::recordings)) of the recordings of which the query is true.
    ///
    /// Errors: a name that no recording has; values of different kinds compared.
    pub fn select(&self, query: &Query) -> Result<Vec<usize>> {
        query.check_names(&names(&self.recordings))?;
        let mut chosen = Vec::new();
        for (i, entry) in self.recordings.iter().enumerate() {
            if query.truth(|name| entry.stated(name, &self.classes))? == Some(true) {
                chosen.push(i);
            }
        }
        Ok(chosen)
    }
}

/// Names that a query can ask for.
fn names(recordings: &[RecordingEntry]) -> Vec<&str> {
    let attributes: BTreeSet<&str> = recordings
        .iter()
        .flat_map(|r| r.attributes.keys().map(String::as_str))
        .collect();
    KEYS.into_iter().chain(attributes).collect()
}

/// Gives each recording that states no class the one whose query is true of it.
pub(super) fn classify(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, ClassTable>,
    classes: &[String],
    recordings: &mut [RecordingEntry],
) -> Result<()> {
    let asked = tables
        .iter()
        .filter_map(|(name, table)| Some((name, table.query.as_ref()?)));
    let mut found: Vec<Option<usize>> = vec![None; recordings.len()];
    for (name, text) in asked {
        let query = source.query(text)?;
        let error = |e: crate::Error| source.error(Some(text.span()), format!("where: {e}"));
        query
            .refuse("class", "this query says which class it is")
            .and_then(|()| query.check_names(&names(recordings)))
            .map_err(error)?;
        let class = source.known("class", name.as_ref(), name.span(), classes)?;
        for (entry, found) in recordings.iter().zip(&mut found) {
            if query.truth(|name| entry.stated(name, classes)).map_err(error)? != Some(true) {
                continue;
            }
            if let Some(other) = found.or(entry.class).filter(|other| *other != class) {
                let message = format!(
                    "where: {} is of class {:?} by this query and of class {:?} otherwise; a recording has one class",
                    entry.file, classes[class], classes[other]
                );
                return Err(source.error(Some(text.span()), message));
            }
            *found = Some(class);
        }
    }
    for (entry, found) in recordings.iter_mut().zip(found) {
        entry.class = entry.class.or(found);
    }
    Ok(())
}

/// The recordings of every domain: of the one that a recording states, and of those whose query is true of it. So one
/// set of recordings gives several sets of domains (by rig and by speed). The second value: files of no domain.
pub(super) fn assign_domains(
    source: &Source<'_>,
    tables: &BTreeMap<Spanned<String>, DomainTable>,
    classes: &[String],
    recordings: Vec<RecordingEntry>,
) -> Result<(Vec<RecordingEntry>, Vec<String>)> {
    let mut chosen: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); recordings.len()];
    for (name, table) in tables {
        let query = source.query(&table.query)?;
        let error = |e: crate::Error| source.error(Some(table.query.span()), format!("where: {e}"));
        query
            .refuse("class", NO_LABEL)
            .and_then(|()| query.check_names(&names(&recordings)))
            .map_err(error)?;
        let mut any = false;
        for (entry, chosen) in recordings.iter().zip(&mut chosen) {
            if query.truth(|name| entry.stated(name, classes)).map_err(error)? == Some(true) {
                chosen.insert(name.as_ref());
                any = true;
            }
        }
        if !any {
            let message = format!(
                "where: domain {:?} has no recording: of none is this true",
                name.as_ref()
            );
            return Err(source.error(Some(table.query.span()), message));
        }
    }
    let (mut of_domains, mut of_none) = (Vec::with_capacity(recordings.len()), Vec::new());
    for (entry, mut domains) in recordings.iter().zip(chosen) {
        if !entry.domain.is_empty() {
            domains.insert(&entry.domain);
        }
        if domains.is_empty() {
            of_none.push(entry.file.clone());
        }
        of_domains.extend(domains.into_iter().map(|domain| RecordingEntry {
            domain: domain.into(),
            ..entry.clone()
        }));
    }
    Ok((of_domains, of_none))
}
