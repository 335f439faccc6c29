//! Leave one out: the folds of a data set, each with what it can and cannot show.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// What a fold leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveOut {
    /// Every recording of a domain.
    Domain,
    /// Every recording of a unit (a physical bearing or machine), in whatever domain.
    Unit,
}

impl fmt::Display for LeaveOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "domain",
            Self::Unit => "unit",
        })
    }
}

/// One fold: what is tested on, what may be trained on, and how far the two are apart.
///
/// No file is on both sides: a recording that is in several domains leaves training with the one left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// What kind of thing is left out.
    pub leave_out: LeaveOut,
    /// The domain or unit that is left out.
    pub name: String,
    /// Recordings to train on, as numbers into [`Dataset::recordings`].
    pub train: Vec<usize>,
    /// Recordings to test on.
    pub test: Vec<usize>,
    /// Units that are on both sides. Where there are any, the test hears bearings that training has heard.
    pub units_on_both_sides: Vec<String>,
    /// Whether a recording states no unit, so that nothing can be said about units.
    pub units_unknown: bool,
    /// Classes of the test that training lacks: every such recording will be scored as wrong.
    pub classes_not_trained: Vec<String>,
}

impl fmt::Display for Fold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "without {} {}: train on {} recordings, test on {}",
            self.leave_out,
            self.name,
            self.train.len(),
            self.test.len()
        )?;
        match self.units_on_both_sides.len() {
            _ if self.units_unknown => {
                f.write_str("; units are not stated for all, so bearings may be on both sides")?;
            }
            0 => f.write_str("; no unit on both sides")?,
            n => write!(
                f,
                "; units ON BOTH SIDES ({n}): {}",
                self.units_on_both_sides.join(", ")
            )?,
        }
        if !self.classes_not_trained.is_empty() {
            write!(f, "; not trained: {}", self.classes_not_trained.join(", "))?;
        }
        Ok(())
    }
}

impl Dataset {
    /// The folds that leave out each domain or each unit once, in alphabetical order. A pure function of the data set's
    /// contents: the order of files does not matter, as [`recordings`](Self::recordings) are sorted.
    ///
    /// Errors: fewer than two things to leave out; for units, a recording that states none.
    pub fn folds(&self, leave_out: LeaveOut) -> Result<Vec<Fold>> {
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, entry) in self.recordings.iter().enumerate() {
            let name = match leave_out {
                LeaveOut::Domain => entry.domain.as_str(),
                LeaveOut::Unit => entry.unit.as_deref().ok_or_else(|| {
                    Error::Argument(format!(
                        "{} of domain {} states no unit; leaving one unit out needs the `unit` of every recording",
                        entry.file, entry.domain
                    ))
                })?,
            };
            members.entry(name).or_default().push(i);
        }
        if members.len() < 2 {
            return Err(Error::Argument(format!(
                "{} has {} {leave_out}; leaving one out needs at least two",
                self.name,
                members.len()
            )));
        }
        let folds = members.into_iter().map(|(name, test)| self.fold(leave_out, name, test));
        folds.collect()
    }

    fn fold(&self, leave_out: LeaveOut, name: &str, test: Vec<usize>) -> Result<Fold> {
        let of = |i: &usize| &self.recordings[*i];
        let held: BTreeSet<&str> = test.iter().map(|i| of(i).file.as_str()).collect();
        let train: Vec<usize> = (0..self.recordings.len())
            .filter(|i| !held.contains(of(i).file.as_str()))
            .collect();
        if train.is_empty() {
            return Err(Error::Argument(format!(
                "without {leave_out} {name} nothing is left to train on: every other recording is of it too"
            )));
        }
        let units = |side: &[usize]| -> BTreeSet<String> { side.iter().filter_map(|i| of(i).unit.clone()).collect() };
        let classes = |side: &[usize]| -> BTreeSet<usize> { side.iter().filter_map(|i| of(i).class).collect() };
        Ok(Fold {
            leave_out,
            name: name.into(),
            units_on_both_sides: units(&train).intersection(&units(&test)).cloned().collect(),
            units_unknown: self.recordings.iter().any(|r| r.unit.is_none()),
            classes_not_trained: classes(&test)
                .difference(&classes(&train))
                .map(|&c| self.classes[c].clone())
                .collect(),
            train,
            test,
        })
    }
}
