use std::str::FromStr;

use rayon::prelude::*;
use serde::Serialize;
use signal_conditioning::{DefectOrderParameters, DefectOrderScores, Needs, Plateau, RaceRule, Verdict, defect_orders};

use super::{Roles, check_known};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::metrics::{Scored, Scores, score};
use crate::task::{Task, Truth, WindowRef};

/// Where the rule's threshold comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tau {
    /// The middle of the plateau of best balanced accuracy on the source's labels.
    Source,
    /// Given, nepers of power.
    Given(f64),
}

impl FromStr for Tau {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "source" {
            return Ok(Self::Source);
        }
        match text.parse::<f64>() {
            Ok(tau) if tau.is_finite() => Ok(Self::Given(tau)),
            _ => Err(format!("expected `source` or a finite number, found `{text}`")),
        }
    }
}

/// A rule and where its threshold comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleResult {
    /// `rule-source`, `rule-fixed` or `rule-given`.
    pub name: &'static str,
    /// The rule.
    pub rule: RaceRule,
    /// The thresholds that are as good on the source's labels.
    pub plateau: Option<Plateau>,
}

/// A rule on the scored windows of the targets.
pub struct Applied {
    /// Its scores.
    pub scores: Scores,
    /// What else there is to say.
    pub detail: RuleDetail,
    /// Its verdicts, for each target.
    pub verdicts: Vec<Vec<Verdict>>,
}

/// What `metrics.json` says of a rule beside its scores.
#[derive(Clone, Debug, Serialize)]
pub struct RuleDetail {
    /// Threshold, nepers of power.
    pub tau: f64,
    /// `source labels: middle of the plateau of best balanced accuracy`, or `given`.
    pub chosen_by: String,
    /// Lowest and highest threshold that are as good on the source's labels.
    pub plateau: Option<[f64; 2]>,
    /// Balanced accuracy on the source's labels there.
    pub source_balanced_accuracy: Option<f64>,
    /// What the rule says where it finds no fault of a race.
    pub abstention: String,
    /// The class that an abstention counts as in the scores; null: none, so it is scored as wrong.
    pub abstention_counts_as: Option<String>,
    /// Share of the target's windows whose verdict names a race.
    pub coverage: f64,
    /// Share of those that are right; null without labels or without such verdicts.
    pub race_verdicts_right: Option<f64>,
}

/// Scores of some windows, by their first channel.
///
/// # Errors
/// A recording without rate, geometry or shaft speed; a window that nothing can be computed of. The recording is named.
pub fn race_scores(signals: &[Signal], windows: &[WindowRef]) -> Result<Vec<DefectOrderScores>> {
    let parameters = DefectOrderParameters::default();
    let everything = Needs {
        rate: true,
        shaft_speed: true,
        geometry: true,
    };
    windows
        .par_iter()
        .map(|w| {
            let signal = &signals[w.recording];
            check_known(signal, everything, "the rule")?;
            let (Some(rate_hz), Some(shaft_hz), Some(geometry)) =
                (signal.meta.rate_hz, signal.meta.shaft_hz, signal.meta.geometry)
            else {
                return Err(Error::Machine("known, and yet not".into()));
            };
            let samples = signal.samples.read_first(w.start, w.length)?;
            defect_orders(&samples, rate_hz, shaft_hz, &geometry, &parameters)
                .map(|found| *found.scores())
                .map_err(|e| Error::input(format!("{}: {e}", signal.file)))
        })
        .collect()
}

/// Fits the threshold on some windows of each source, by their labels.
pub fn fit(task: &Task, roles: &Roles, windows: &[Vec<WindowRef>]) -> Result<Plateau> {
    let mut labelled = Vec::new();
    for (source, windows) in task.sources.iter().zip(windows) {
        let scores = race_scores(&source.domain.signals, windows)?;
        let truths = windows.iter().map(|w| roles.verdict(source.classes[w.recording]));
        labelled.extend(scores.into_iter().zip(truths));
    }
    RaceRule::fit(&labelled).map_err(|e| {
        Error::input_with_hint(
            format!("the threshold cannot be fitted: {e}"),
            "give one, e.g. --tau 0.30",
        )
    })
}

/// The rule asked for, then the other one that is shown beside it: fitted on windows of the sources where that is possible,
/// or fixed.
pub fn rules(task: &Task, roles: &Roles, windows: &[Vec<WindowRef>], asked: Tau) -> Result<Vec<RuleResult>> {
    let fixed = RuleResult {
        name: "rule-fixed",
        rule: RaceRule::default(),
        plateau: None,
    };
    let fitted = |plateau: Plateau| RuleResult {
        name: "rule-source",
        rule: plateau.middle(),
        plateau: Some(plateau),
    };
    match asked {
        Tau::Source => Ok(vec![fitted(fit(task, roles, windows)?), fixed]),
        Tau::Given(tau) => {
            let rule = RaceRule::new(tau).map_err(|e| Error::input(format!("--tau: {e}")))?;
            let name = if rule == RaceRule::default() {
                "rule-fixed"
            } else {
                "rule-given"
            };
            let first = RuleResult {
                name,
                rule,
                plateau: None,
            };
            Ok(std::iter::once(first)
                .chain(fit(task, roles, windows).ok().map(fitted))
                .collect())
        }
    }
}

/// Windows of each target and what was found in them, once for all that asks: rules, scores, evidence.
pub struct Analysed {
    /// The windows, for each target.
    pub windows: Vec<Vec<WindowRef>>,
    /// Their scores.
    pub scores: Vec<Vec<DefectOrderScores>>,
}

impl Analysed {
    /// Analyses windows of the targets.
    ///
    /// # Errors
    /// As [`race_scores`].
    pub fn new(task: &Task, windows: Vec<Vec<WindowRef>>) -> Result<Self> {
        let each = task.targets.iter().zip(&windows);
        let scores = each.map(|(d, w)| race_scores(&d.signals, w)).collect::<Result<_>>()?;
        Ok(Self { windows, scores })
    }

    /// Those of one recording of a target.
    pub fn of_recording(&self, target: usize, recording: usize) -> Vec<(WindowRef, DefectOrderScores)> {
        let all = self.windows[target].iter().zip(&self.scores[target]);
        all.filter(|(w, _)| w.recording == recording)
            .map(|(w, s)| (*w, *s))
            .collect()
    }
}

/// Scores rules on windows of the targets.
pub fn apply(
    task: &Task,
    truth: &Truth,
    roles: &Roles,
    analysed: &Analysed,
    rules: &[RuleResult],
) -> Result<Vec<Applied>> {
    let scored = &analysed.windows;
    rules
        .iter()
        .map(|result| {
            let verdicts: Vec<Vec<Verdict>> = analysed
                .scores
                .iter()
                .map(|scores| scores.iter().map(|s| result.rule.decide(s)).collect())
                .collect();
            Ok(Applied {
                scores: target_scores(task, truth, roles, scored, &verdicts)?,
                detail: detail(task, truth, roles, scored, &verdicts, result),
                verdicts,
            })
        })
        .collect()
}

fn target_scores(
    task: &Task,
    truth: &Truth,
    roles: &Roles,
    scored: &[Vec<WindowRef>],
    verdicts: &[Vec<Verdict>],
) -> Result<Scores> {
    // one past the classes: an abstention that no class stands for
    let nobody = truth.classes.len();
    let named = |v: &Verdict| roles.class(*v).unwrap_or(nobody);
    let columns = nobody + usize::from(verdicts.iter().flatten().any(|v| named(v) == nobody));
    let parts: Vec<(Vec<String>, Vec<usize>, Vec<usize>)> = task
        .targets
        .iter()
        .zip(scored)
        .zip(verdicts)
        .map(|((d, windows), verdicts)| {
            (
                d.signals.iter().map(|s| s.file.clone()).collect(),
                windows.iter().map(|w| w.recording).collect(),
                verdicts.iter().map(named).collect(),
            )
        })
        .collect();
    let domains: Vec<Scored> = parts
        .iter()
        .enumerate()
        .map(|(i, (files, recording, predicted))| Scored {
            domain: &task.targets[i].name,
            files,
            recording,
            truth: &truth.targets[i],
            predicted,
        })
        .collect();
    score(&domains, columns, None)
}

fn detail(
    task: &Task,
    truth: &Truth,
    roles: &Roles,
    scored: &[Vec<WindowRef>],
    verdicts: &[Vec<Verdict>],
    result: &RuleResult,
) -> RuleDetail {
    let (mut all, mut named, mut labelled, mut right) = (0_usize, 0_usize, 0_usize, 0_usize);
    for ((windows, verdicts), truths) in scored.iter().zip(verdicts).zip(&truth.targets) {
        for (w, verdict) in windows.iter().zip(verdicts) {
            all += 1;
            if *verdict == Verdict::NoRaceFault {
                continue;
            }
            named += 1;
            if let Some(class) = truths[w.recording] {
                labelled += 1;
                right += usize::from(roles.class(*verdict) == Some(class));
            }
        }
    }
    let plateau = result.plateau;
    RuleDetail {
        tau: result.rule.tau(),
        chosen_by: match plateau {
            Some(_) => "source labels: middle of the plateau of best balanced accuracy",
            None => "given",
        }
        .to_owned(),
        plateau: plateau.map(|p| [p.lower, p.upper]),
        source_balanced_accuracy: plateau.map(|p| p.balanced_accuracy),
        abstention: super::ABSTENTION.to_owned(),
        abstention_counts_as: roles.neither.map(|c| task.classes[c].clone()),
        coverage: named as f64 / all.max(1) as f64,
        race_verdicts_right: (labelled > 0).then(|| right as f64 / labelled as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_is_source_or_a_finite_number() {
        assert_eq!("source".parse(), Ok(Tau::Source));
        assert_eq!("0.3".parse(), Ok(Tau::Given(0.3)));
        for wrong in ["target", "nan", "inf", ""] {
            assert!(wrong.parse::<Tau>().is_err(), "{wrong}");
        }
    }
}
