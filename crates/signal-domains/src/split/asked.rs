//! Splits by queries: whole recordings, each in the part whose query is true of it.

use super::assign::starts;
use super::{Item, Part, RecordingWindows, Split, SplitPlan, check_files};
use crate::dataset::{Dataset, RecordingEntry};
use crate::error::{Error, Result};
use crate::query::Query;

/// A query for each part. A recording of which none is true is used for nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct PartQueries {
    /// What weights and statistics are made from.
    pub train: Query,
    /// What choices are made by; `None`: no validation.
    pub validation: Option<Query>,
    /// What is scored.
    pub test: Query,
}

impl PartQueries {
    /// The part of each of a data set's recordings.
    ///
    /// Errors: a recording in two parts; a part without a recording; a query that asks for the class (a split must not
    /// see a target's labels) or for what no recording has.
    pub fn parts(&self, dataset: &Dataset) -> Result<Vec<Option<Part>>> {
        let queries = [
            (Part::Train, Some(&self.train)),
            (Part::Validation, self.validation.as_ref()),
            (Part::Test, Some(&self.test)),
        ];
        let mut parts: Vec<Option<Part>> = vec![None; dataset.recordings.len()];
        for (part, query) in queries {
            let Some(query) = query else { continue };
            query.refuse("class", "a split must not depend on labels")?;
            let chosen = dataset.select(query)?;
            if chosen.is_empty() {
                return Err(Error::Argument(format!(
                    "no recording is in the {part} part: of none is {query} true"
                )));
            }
            for i in chosen {
                if let Some(other) = parts[i].replace(part) {
                    let RecordingEntry { file, domain, .. } = &dataset.recordings[i];
                    return Err(Error::Argument(format!(
                        "{file} of domain {domain} is in two parts, {other} and {part}: their queries are both true of it"
                    )));
                }
            }
        }
        Ok(parts)
    }
}

/// Splits a domain by parts that were chosen for whole recordings; [`SplitPlan::kind`], fractions and seed decide
/// nothing. The items have no class, so this is for sources and targets alike.
///
/// Errors: another number of parts than of items; a file named twice; windows that cannot be; a unit in two parts,
/// where `plan.kind` is [`SplitKind::Units`](super::SplitKind::Units).
pub fn split_by_parts(domain: &str, items: &[Item<'_>], parts: &[Option<Part>], plan: &SplitPlan) -> Result<Split> {
    if items.len() != parts.len() {
        return Err(Error::Argument(format!(
            "{} parts for {} recordings",
            parts.len(),
            items.len()
        )));
    }
    check_files(domain, items)?;
    if plan.kind == super::SplitKind::Units {
        let mut of_unit = std::collections::BTreeMap::new();
        for (item, part) in items.iter().zip(parts).filter_map(|(i, p)| Some((i, (*p)?))) {
            let first = *of_unit.entry(item.unit).or_insert(part);
            if item.unit.is_none() || first != part {
                let message = match item.unit {
                    None => format!("recording {} states no unit", item.file),
                    Some(unit) => format!("unit {unit} is in two parts, {first} and {part} ({})", item.file),
                };
                return Err(Error::Split {
                    domain: domain.into(),
                    message,
                });
            }
        }
    }
    let windows = |(item, part): (&Item<'_>, &Option<Part>)| {
        let mut out = RecordingWindows::default();
        if let Some(part) = *part {
            *out.part_mut(part) = starts(0, item.samples, item.windows(plan))?;
        }
        Ok(out)
    };
    Ok(Split {
        recordings: items.iter().zip(parts).map(windows).collect::<Result<_>>()?,
    })
}
