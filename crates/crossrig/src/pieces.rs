//! Every method on the same pieces of 1 s, with the rule on defect orders beside them: a network's short windows vote by
//! their mean probability within a piece.

use std::collections::BTreeMap;

use serde::Serialize;
use signal_conditioning::RaceRule;

use crate::baselines::score_targets;
use crate::error::Result;
use crate::metrics::Scores;
use crate::physics::{self, Analysed, PIECE_SECONDS, Roles, RuleDetail, Tau};
use crate::task::{Domain, Task, Truth, WindowRef};

/// Scores on pieces (`pieces` of `metrics.json`).
#[derive(Clone, Debug, Serialize)]
pub struct PieceScores {
    /// Length of a piece, s.
    pub seconds: f64,
    /// Scores of each method; `windows` counts pieces.
    pub methods: BTreeMap<String, Scores>,
    /// Thresholds, coverage and precision of the rules among them.
    pub rules: BTreeMap<String, RuleDetail>,
    /// Share of the target's pieces on which a method says what the rule says (an abstention agrees with every class that is
    /// no fault of a race).
    pub agreement_with_rule: BTreeMap<String, f64>,
}

/// Windows of a domain sorted into pieces: each piece's first sample, and the windows (by number) that lie in it whole.
struct Pieces {
    pieces: Vec<WindowRef>,
    members: Vec<Vec<usize>>,
}

impl Pieces {
    /// The pieces of `length` samples that lie in a recording whole and hold at least one of `windows`.
    fn of(domain: &Domain, windows: &[WindowRef], length: usize) -> Self {
        let mut by_piece: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (i, w) in windows.iter().enumerate() {
            let piece = w.start / length;
            let (end, samples) = ((piece + 1) * length, domain.signals[w.recording].samples.len());
            if w.start + w.length <= end && end <= samples {
                by_piece.entry((w.recording, piece)).or_default().push(i);
            }
        }
        let at = |&(recording, piece): &(usize, usize)| WindowRef {
            recording,
            start: piece * length,
            length,
        };
        Self {
            pieces: by_piece.keys().map(at).collect(),
            members: by_piece.into_values().collect(),
        }
    }

    /// The class with the largest mean probability over the windows of each piece; the first of equals.
    fn vote(&self, probabilities: &[f32], classes: usize) -> Vec<usize> {
        let vote = |windows: &Vec<usize>| {
            let sum = |c: usize| {
                windows
                    .iter()
                    .map(|w| f64::from(probabilities[w * classes + c]))
                    .sum::<f64>()
            };
            (0..classes)
                .fold(
                    (0, f64::NEG_INFINITY),
                    |best, c| if sum(c) > best.1 { (c, sum(c)) } else { best },
                )
                .0
        };
        self.members.iter().map(vote).collect()
    }
}

/// What a method says about the scored windows of each target: class probabilities, a row a window. A method without
/// probabilities gives 1 to the class it names.
pub type Probabilities = Vec<Vec<f32>>;

/// Labels as probabilities.
pub fn certain(predicted: &[Vec<usize>], classes: usize) -> Probabilities {
    let row = |&c: &usize| (0..classes).map(move |k| f32::from(u8::from(k == c)));
    predicted.iter().map(|p| p.iter().flat_map(row).collect()).collect()
}

/// Scores every method and the rules on pieces; `None` where the rule has no place: families, bearing or speed are not
/// known, windows are longer than a piece, or no piece holds a window. With them comes what was found in the pieces, and the rule
/// that the sources' labels fit.
pub fn on_pieces(
    task: &Task,
    truth: &Truth,
    scored: &[Vec<WindowRef>],
    methods: &[(String, Probabilities)],
) -> Result<Option<(PieceScores, RaceRule, Analysed)>> {
    let Ok(roles) = Roles::new(&task.classes, &task.families) else {
        return Ok(None);
    };
    let Some(length) = task.rate_hz.map(|rate| (PIECE_SECONDS * rate).round() as usize) else {
        return Ok(None);
    };
    let known = |d: &Domain| {
        d.signals
            .iter()
            .all(|s| s.meta.geometry.is_some() && s.meta.shaft_hz.is_some())
    };
    let windows = task.domains().flat_map(|d| &d.train).chain(scored.iter().flatten());
    if windows.into_iter().any(|w| w.length > length) || !task.domains().all(known) {
        return Ok(None);
    }
    let cut = |d: &Domain, windows: &[WindowRef]| Pieces::of(d, windows, length);
    let sources: Vec<Vec<WindowRef>> = task
        .sources
        .iter()
        .map(|s| cut(&s.domain, &s.domain.train).pieces)
        .collect();
    let targets: Vec<Pieces> = task.targets.iter().zip(scored).map(|(d, w)| cut(d, w)).collect();
    let pieces: Vec<Vec<WindowRef>> = targets.iter().map(|t| t.pieces.clone()).collect();
    if sources.iter().any(Vec::is_empty) || pieces.iter().any(Vec::is_empty) {
        return Ok(None);
    }
    // a rate too low for the rule's bands, a shaft too slow for its window: no rule, and no fault of the user
    let Ok(rules) = physics::rules(task, &roles, &sources, Tau::Source)
        .or_else(|_| physics::rules(task, &roles, &sources, Tau::Given(0.3)))
    else {
        return Ok(None);
    };
    let Ok(analysed) = Analysed::new(task, pieces) else {
        return Ok(None);
    };
    let pieces = &analysed.windows;
    let results = physics::apply(task, truth, &roles, &analysed, &rules)?;
    let mut all = PieceScores {
        seconds: PIECE_SECONDS,
        methods: BTreeMap::new(),
        rules: BTreeMap::new(),
        agreement_with_rule: BTreeMap::new(),
    };
    let verdicts = &results[0].verdicts;
    for (name, probabilities) in methods {
        let votes: Vec<Vec<usize>> = targets
            .iter()
            .zip(probabilities)
            .map(|(t, p)| t.vote(p, task.classes.len()))
            .collect();
        let pairs = || votes.iter().flatten().zip(verdicts.iter().flatten());
        let agree = pairs()
            .filter(|(class, verdict)| roles.verdict(**class) == **verdict)
            .count();
        all.agreement_with_rule
            .insert(name.clone(), agree as f64 / pairs().count().max(1) as f64);
        all.methods
            .insert(name.clone(), score_targets(task, truth, pieces, &votes, None)?);
    }
    for (rule, result) in rules.iter().zip(results) {
        all.methods.insert(rule.name.to_owned(), result.scores);
        all.rules.insert(rule.name.to_owned(), result.detail);
    }
    Ok(Some((all, rules[0].rule, analysed)))
}

#[cfg(test)]
mod tests {
    use signal_conditioning::Meta;

    use super::*;
    use crate::corpus::Signal;

    fn domain(samples: &[usize]) -> Domain {
        let signal = |&n: &usize| Signal {
            file: n.to_string(),
            unit: None,
            samples: vec![vec![0.0; n]].into(),
            meta: Meta::default(),
            sha256: String::new(),
        };
        Domain {
            name: "d".into(),
            signals: samples.iter().map(signal).collect(),
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
        }
    }

    #[test]
    fn a_piece_is_whole_and_holds_the_windows_that_lie_in_it_whole() {
        let window = |recording, start| WindowRef {
            recording,
            start,
            length: 4,
        };
        let windows = [
            window(0, 0),
            window(0, 8), // across the edge of the first piece
            window(0, 12),
            window(0, 20), // in a piece that the recording does not fill
            window(1, 4),
        ];
        let found = Pieces::of(&domain(&[25, 10]), &windows, 10);
        let starts: Vec<_> = found.pieces.iter().map(|p| (p.recording, p.start, p.length)).collect();
        assert_eq!(starts, [(0, 0, 10), (0, 10, 10), (1, 0, 10)]);
        assert_eq!(found.members, [vec![0], vec![2], vec![4]]);
    }

    #[test]
    fn windows_vote_by_mean_probability_and_not_by_number() {
        let pieces = Pieces {
            pieces: Vec::new(),
            members: vec![vec![0, 1, 2], vec![3]],
        };
        // two windows lean to class 1, one is sure of class 0
        let probabilities = [0.45, 0.55, 0.45, 0.55, 1.0, 0.0, 0.5, 0.5];
        assert_eq!(pieces.vote(&probabilities, 2), [0, 0]);
        assert_eq!(certain(&[vec![1, 0]], 2), [vec![0.0, 1.0, 1.0, 0.0]]);
    }
}
