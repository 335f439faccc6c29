use serde::{Deserialize, Serialize};

use super::DefectOrderScores;
use crate::{DefectFamily, Error, Result};

/// What the scores of a window, or the windows of a recording, say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The inner race is struck at its order.
    InnerRace,
    /// The outer race is struck at its order.
    OuterRace,
    /// Neither race shows a fault: the bearing is healthy, a ball is damaged, or the fault leaves no trace. These cannot be
    /// told apart here.
    NoRaceFault,
}

/// The decision on a race: the larger of `z_BPFI` and `z_BPFO` if it reaches `tau`, else "no race fault found".
///
/// Nothing is estimated from the data that it is applied to. The default is `tau` 0.30 nepers of power.
///
/// Source: the project's page on physics, with what the rule reached on CWRU and MFPT recordings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct RaceRule {
    tau: f64,
}

impl Default for RaceRule {
    fn default() -> Self {
        Self { tau: 0.30 }
    }
}

impl RaceRule {
    /// The rule with a threshold in nepers of power; one that is not finite is an error.
    pub fn new(tau: f64) -> Result<Self> {
        if tau.is_finite() {
            return Ok(Self { tau });
        }
        Err(Error::Argument {
            name: "tau",
            found: tau.to_string(),
            expected: "a finite number".to_owned(),
        })
    }

    /// The threshold, nepers of power.
    pub fn tau(&self) -> f64 {
        self.tau
    }

    /// The verdict on one window.
    pub fn decide(&self, scores: &DefectOrderScores) -> Verdict {
        self.decide_race(race_scores(scores))
    }

    fn decide_race(self, [inner, outer]: [f64; 2]) -> Verdict {
        if inner.max(outer) < self.tau {
            Verdict::NoRaceFault
        } else if inner >= outer {
            Verdict::InnerRace
        } else {
            Verdict::OuterRace
        }
    }

    /// The verdict that most windows of a recording give; `None` without windows. A tie goes to "no race fault
    /// found", else to the inner race.
    pub fn vote(&self, windows: &[DefectOrderScores]) -> Option<Verdict> {
        let count = |verdict| windows.iter().filter(|w| self.decide(w) == verdict).count();
        let preferred = [Verdict::OuterRace, Verdict::InnerRace, Verdict::NoRaceFault];
        // of equals, the last is the largest
        (!windows.is_empty()).then(|| preferred.into_iter().max_by_key(|v| count(*v)))?
    }

    /// The thresholds that separate labelled windows best, by balanced accuracy (the mean over the verdicts
    /// present in the labels of the share of windows found). Only labels of the source belong here.
    ///
    /// Balanced accuracy is a step function of `tau`; the plateau is where it is largest, the widest one of several
    /// (the lowest of equally wide ones). Plateaus that reach to infinity on either side, where every window gets
    /// a race or none does, are left out.
    ///
    /// Errors: a score that is not finite; labels that are all races or all none; fewer than two different
    /// scores.
    pub fn fit(labelled: &[(DefectOrderScores, Verdict)]) -> Result<Plateau> {
        let windows: Vec<([f64; 2], Verdict)> = labelled.iter().map(|(s, v)| (race_scores(s), *v)).collect();
        fit(&windows)
    }
}

impl TryFrom<f64> for RaceRule {
    type Error = Error;

    fn try_from(tau: f64) -> Result<Self> {
        Self::new(tau)
    }
}

impl From<RaceRule> for f64 {
    fn from(rule: RaceRule) -> Self {
        rule.tau
    }
}

/// The thresholds that separate labelled windows equally well, all of `lower ..= upper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// the lowest of them, nepers of power
    pub lower: f64,
    /// the highest
    pub upper: f64,
    /// their balanced accuracy, 0 to 1
    pub balanced_accuracy: f64,
}

impl Plateau {
    /// The rule with the threshold in the middle: as far from the faults as from the rest.
    pub fn middle(&self) -> RaceRule {
        RaceRule {
            tau: f64::midpoint(self.lower, self.upper),
        }
    }

    /// The rule with the lowest threshold: finds weaker faults, at more false alarms.
    pub fn lower_edge(&self) -> RaceRule {
        RaceRule { tau: self.lower }
    }
}

fn race_scores(scores: &DefectOrderScores) -> [f64; 2] {
    [DefectFamily::InnerRace, DefectFamily::OuterRace].map(|family| scores.get(family).z)
}

/// As [`RaceRule::fit`], from the scores of inner and outer race.
fn fit(windows: &[([f64; 2], Verdict)]) -> Result<Plateau> {
    let wrong = |found: String, expected: &str| {
        Err(Error::Argument {
            name: "the labelled scores",
            found,
            expected: expected.to_owned(),
        })
    };
    if let Some((scores, _)) = windows.iter().find(|(s, _)| !s.iter().all(|z| z.is_finite())) {
        return wrong(format!("{scores:?}"), "finite numbers");
    }
    let total = |verdict| windows.iter().filter(|(_, v)| *v == verdict).count() as f64;
    let totals = [Verdict::InnerRace, Verdict::OuterRace, Verdict::NoRaceFault].map(total);
    let [inner, outer, none] = totals;
    if inner + outer == 0.0 || none == 0.0 {
        return wrong(
            format!("{} of race faults, {none} without", inner + outer),
            "at least one of each",
        );
    }
    // a threshold between two neighbouring maxima gives the same verdicts as one at the upper of them
    let mut order: Vec<(f64, Verdict, bool)> = windows
        .iter()
        .map(|&([inner, outer], truth)| {
            let race = if inner >= outer {
                Verdict::InnerRace
            } else {
                Verdict::OuterRace
            };
            (inner.max(outer), truth, race == truth)
        })
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    // windows found of each kind while every window gets a race; each step up silences the windows below
    let found_race = |verdict| {
        order
            .iter()
            .filter(|(_, truth, right)| *right && *truth == verdict)
            .count() as f64
    };
    let mut found = [found_race(Verdict::InnerRace), found_race(Verdict::OuterRace), 0.0];
    let kinds = totals.iter().filter(|total| **total > 0.0).count() as f64;
    let mut plateaus: Vec<Plateau> = Vec::new();
    for pair in order.windows(2) {
        let (score, truth, right) = pair[0];
        match truth {
            Verdict::NoRaceFault => found[2] += 1.0,
            Verdict::InnerRace if right => found[0] -= 1.0,
            Verdict::OuterRace if right => found[1] -= 1.0,
            _ => {}
        }
        let upper = pair[1].0;
        if upper == score {
            continue;
        }
        let recalls = found.iter().zip(&totals).filter(|(_, total)| **total > 0.0);
        let balanced_accuracy = recalls.map(|(found, total)| found / total).sum::<f64>() / kinds;
        match plateaus.last_mut() {
            Some(last) if same(last.balanced_accuracy, balanced_accuracy) => last.upper = upper,
            _ => plateaus.push(Plateau {
                lower: score.next_up(),
                upper,
                balanced_accuracy,
            }),
        }
    }
    let best = plateaus
        .iter()
        .map(|p| p.balanced_accuracy)
        .fold(f64::NEG_INFINITY, f64::max);
    let width = |p: &Plateau| p.upper - p.lower;
    let widest = plateaus
        .into_iter()
        .filter(|p| same(p.balanced_accuracy, best))
        .reduce(|a, b| if width(&b) > width(&a) { b } else { a });
    match widest {
        Some(plateau) => Ok(plateau),
        None => wrong("one score, many times".to_owned(), "at least two different scores"),
    }
}

/// Equal but for rounding: a window more of one kind and a window less of another may round differently.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}
