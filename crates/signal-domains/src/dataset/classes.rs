//! Classes: what is damaged, and which domains have which.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Dataset;

/// What is damaged, by the defect frequency it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    /// Inner race: ball pass frequency, inner.
    #[serde(rename = "BPFI")]
    InnerRace,
    /// Outer race: ball pass frequency, outer.
    #[serde(rename = "BPFO")]
    OuterRace,
    /// Rolling element: ball spin frequency.
    #[serde(rename = "BSF")]
    RollingElement,
    /// Cage: fundamental train frequency.
    #[serde(rename = "FTF")]
    Cage,
    /// Nothing.
    #[serde(rename = "none")]
    Healthy,
}

/// Class sets of some domains beside those of others, by class number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassComparison {
    /// In both.
    pub common: Vec<usize>,
    /// In the first only: what the model can say but the second never is.
    pub first_only: Vec<usize>,
    /// In the second only: what the model cannot say.
    pub second_only: Vec<usize>,
    /// Recordings of the second without a class.
    pub unlabelled: usize,
}

impl Dataset {
    /// Compares the classes of some domains (the sources) with those of others (the targets), for warnings.
    pub fn compare_classes(&self, first: &[&str], second: &[&str]) -> ClassComparison {
        let of = |domains: &[&str]| -> BTreeSet<Option<usize>> {
            self.recordings
                .iter()
                .filter(|r| domains.contains(&r.domain.as_str()))
                .map(|r| r.class)
                .collect()
        };
        let (a, b) = (of(first), of(second));
        let second_entries = self.recordings.iter().filter(|r| second.contains(&r.domain.as_str()));
        ClassComparison {
            common: a.intersection(&b).copied().flatten().collect(),
            first_only: a.difference(&b).copied().flatten().collect(),
            second_only: b.difference(&a).copied().flatten().collect(),
            unlabelled: second_entries.filter(|r| r.class.is_none()).count(),
        }
    }
}
