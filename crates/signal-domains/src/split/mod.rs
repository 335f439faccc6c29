//! Splits of a domain into training, validation and test windows.
//!
//! A split is a pure function of the seed, the domain's name, the recordings' file names (and units, and for sources
//! classes) and their lengths: neither the order of the recordings nor a target's labels can change it. Sources are
//! split class by class ([`split_source`]); a target's items carry no class, so a label has no way in
//! ([`split_target`]). [`PartQueries`] choose parts by what recordings state, [`Dataset::folds`](crate::Dataset::folds)
//! leave a domain or a unit out at a time.

mod apportion;
mod asked;
mod assign;
mod folds;
mod kind;

pub use asked::{PartQueries, split_by_parts};
pub use folds::{Fold, LeaveOut};
pub use kind::{Fractions, Part, SplitKind};

use self::assign::{Stratum, assign, strata_of_source};
use crate::error::{Error, Result};

/// A recording, as far as a split may know it when it has no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The recording's file, unique in its domain.
    pub file: &'a str,
    /// Which physical bearing or machine it is of.
    pub unit: Option<&'a str>,
    /// Samples, at the rate at which windows are cut.
    pub samples: usize,
    /// Length and hop of its windows in samples, where they are its own: windows of so many turns of a shaft are longer where it
    /// turns slowly. `None`: those of the plan.
    pub windows: Option<(usize, usize)>,
}

impl Item<'_> {
    /// Length and hop of its windows.
    fn windows(&self, plan: &SplitPlan) -> (usize, usize) {
        self.windows.unwrap_or((plan.window, plan.hop))
    }
}

/// A recording of a source, with its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelledItem<'a> {
    /// The recording.
    pub item: Item<'a>,
    /// Its class.
    pub class: usize,
}

/// How to split: the same for all domains of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitPlan {
    /// What is kept together.
    pub kind: SplitKind,
    /// Shares of the parts.
    pub fractions: Fractions,
    /// Window length in samples.
    pub window: usize,
    /// Samples from one window's start to the next.
    pub hop: usize,
    /// Seed of the random choices.
    pub seed: u64,
}

/// The windows of a domain, by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// In the order of the items given.
    pub recordings: Vec<RecordingWindows>,
}

/// Starts of one recording's windows, by part, each in time order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingWindows {
    /// Training windows.
    pub train: Vec<usize>,
    /// Validation windows.
    pub validation: Vec<usize>,
    /// Test windows.
    pub test: Vec<usize>,
}

impl RecordingWindows {
    /// The starts of one part.
    pub fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }

    fn part_mut(&mut self, part: Part) -> &mut Vec<usize> {
        match part {
            Part::Train => &mut self.train,
            Part::Validation => &mut self.validation,
            Part::Test => &mut self.test,
        }
    }
}

impl Split {
    /// Windows of a part as (index of the item, first sample), recording by recording.
    pub fn windows(&self, part: Part) -> Vec<(usize, usize)> {
        let of = |(i, r): (usize, &RecordingWindows)| r.part(part).iter().map(move |&s| (i, s)).collect::<Vec<_>>();
        self.recordings.iter().enumerate().flat_map(of).collect()
    }

    /// Number of windows of a part.
    pub fn count(&self, part: Part) -> usize {
        self.recordings.iter().map(|r| r.part(part).len()).sum()
    }

    /// Windows of all parts in time order: what is adapted on and scored with `--score all`.
    pub fn all(&self) -> Vec<(usize, usize)> {
        let mut all: Vec<_> = Part::ALL.into_iter().flat_map(|p| self.windows(p)).collect();
        all.sort_unstable();
        all
    }
}

/// Splits a source domain, class by class.
///
/// Errors: a plan that cannot be; a file named twice; for [`SplitKind::Units`] a recording without unit; fewer
/// recordings or units of a class than non-zero fractions; a class without a window in a part whose fraction is not
/// zero.
pub fn split_source(domain: &str, items: &[LabelledItem<'_>], plan: &SplitPlan) -> Result<Split> {
    let bare: Vec<Item<'_>> = items.iter().map(|l| l.item).collect();
    let split = split_items(domain, &bare, &strata_of_source(items, plan.kind), plan)?;
    for class in strata_of_source(items, SplitKind::Recordings) {
        require_windows(domain, &class, &bare, &split, plan)?;
    }
    Ok(split)
}

/// Splits a target domain as a whole. The items have no class: a target's labels cannot change its split.
///
/// ```compile_fail,E0308
/// # use signal_domains::{Fractions, Item, LabelledItem, SplitKind, SplitPlan, split_target};
/// # let plan = SplitPlan { kind: SplitKind::Blocks, fractions: Fractions::default(), window: 8, hop: 8, seed: 0 };
/// let item = Item { file: "a.mat", unit: None, samples: 100, windows: None };
/// split_target("rig", &[LabelledItem { item, class: 0 }], &plan)?;
/// # Ok::<(), signal_domains::Error>(())
/// ```
///
/// Errors as [`split_source`], for the domain as a whole.
pub fn split_target(domain: &str, items: &[Item<'_>], plan: &SplitPlan) -> Result<Split> {
    let strata = [Stratum {
        name: "the domain".into(),
        members: (0..items.len()).collect(),
    }];
    let split = split_items(domain, items, &strata, plan)?;
    require_windows(domain, &strata[0], items, &split, plan)?;
    Ok(split)
}

/// The default kind of a run: recordings where every class of every source and every target as a whole has enough of
/// them, else blocks.
pub fn default_kind(sources: &[&[LabelledItem<'_>]], targets: &[&[Item<'_>]], fractions: &Fractions) -> SplitKind {
    let needed = fractions.parts();
    let sources_do = sources.iter().all(|items| {
        strata_of_source(items, SplitKind::Recordings)
            .iter()
            .all(|stratum| stratum.members.len() >= needed)
    });
    if sources_do && targets.iter().all(|items| items.len() >= needed) {
        SplitKind::Recordings
    } else {
        SplitKind::Blocks
    }
}

fn split_items(domain: &str, items: &[Item<'_>], strata: &[Stratum], plan: &SplitPlan) -> Result<Split> {
    check_files(domain, items)?;
    assign(domain, items, strata, plan)
}

/// A recording that is there twice could be on both sides.
fn check_files(domain: &str, items: &[Item<'_>]) -> Result<()> {
    let mut files: Vec<&str> = items.iter().map(|i| i.file).collect();
    files.sort_unstable();
    if let Some((twice, _)) = files.iter().zip(files.iter().skip(1)).find(|(a, b)| a == b) {
        return Err(Error::Split {
            domain: domain.into(),
            message: format!("recording {twice} is there twice"),
        });
    }
    Ok(())
}

/// Every part with a share must have a window, or a score would silently be of nothing.
fn require_windows(domain: &str, stratum: &Stratum, items: &[Item<'_>], split: &Split, plan: &SplitPlan) -> Result<()> {
    let Stratum { name, members } = stratum;
    for part in Part::ALL.into_iter().filter(|&p| plan.fractions.of(p) > 0.0) {
        if members.iter().any(|&i| !split.recordings[i].part(part).is_empty()) {
            continue;
        }
        let longest = members.iter().map(|&i| items[i].samples).max().unwrap_or(0);
        let shortest = members.iter().map(|&i| items[i].windows(plan).0).min().unwrap_or(0);
        return Err(Error::Split {
            domain: domain.into(),
            message: format!(
                "{name} gets no {part} window: {} recordings, the longest of {longest} samples, windows of {} samples, \
                 fractions {}, split by {}; take shorter windows, other fractions or another kind of split",
                members.len(),
                shortest,
                plan.fractions,
                plan.kind
            ),
        });
    }
    Ok(())
}
