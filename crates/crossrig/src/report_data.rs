//! What the report shows of an experiment.

use adaptation_metrics::accuracy_against_coverage;
use signal_conditioning::RaceRule;

use crate::evaluation::{ModelResult, scored_windows};
use crate::experiment::Outcome;
use crate::metrics::{Metrics, Scores};
use crate::physics::{FileVerdict, Roles, verdict_of};
use crate::report::{DomainScores, Epoch, EvidencePanel, Method, Model, Recording, Report};
use crate::settings::Settings;
use crate::summary::{rows, split_line, verdicts};
use crate::task::{Task, Truth, WindowRef};

/// The report of an experiment.
pub fn report(task: &Task, truth: &Truth, settings: &Settings, outcome: &Outcome, m: &Metrics) -> Report {
    let rows = rows(m);
    let name = |deep: usize| {
        rows.iter()
            .filter(|r| !r.simple)
            .nth(deep)
            .map(|r| r.name.clone())
            .unwrap_or_default()
    };
    Report {
        sources: task.sources.iter().map(|s| s.domain.name.clone()).collect(),
        targets: task.targets.iter().map(|t| t.name.clone()).collect(),
        split: split_line(m),
        leaky: m.leaky,
        verdicts: verdicts(m),
        warnings: m.warnings.clone(),
        classes: m.classes.clone(),
        known_classes: m.known_classes,
        adapted: outcome
            .adapted
            .as_ref()
            .map(|r| model(name(0), r, coverage(task, truth, settings, r))),
        source_only: outcome.source_only.as_ref().map(|r| {
            let name = name(usize::from(outcome.adapted.is_some()));
            model(name, r, coverage(task, truth, settings, r))
        }),
        simple: rows
            .iter()
            .filter(|r| r.simple)
            .map(|r| method(r.name.clone(), r.scores))
            .collect(),
        evidence: evidence(task, settings, outcome),
        recordings: recordings(task, truth, settings, outcome),
        settings: flatten(settings),
        provenance: provenance(m),
        command: m.command.clone(),
    }
}

fn model(name: String, r: &ModelResult, coverage: Vec<[f64; 2]>) -> Model {
    Model {
        method: method(name, &r.scores),
        history: r
            .history
            .iter()
            .map(|h| Epoch {
                epoch: h.epoch,
                label_loss: h.label_loss,
                domain_loss: h.domain_loss,
                lambda: h.lambda,
                domain_accuracy: h.domain_accuracy,
                source_validation: h.source_validation,
            })
            .collect(),
        source_validation: r.source_validation,
        domain_accuracy: r.domain_accuracy.map(|d| d.value),
        a_distance: r.a_distance,
        predicted_mix: r.predicted_mix.clone(),
        maps: r.maps.clone(),
        coverage,
    }
}

/// Points of the curve, at most.
const MOST_POINTS: usize = 200;

/// Share of the labelled scored windows of at least some confidence, and the accuracy among them.
fn coverage(task: &Task, truth: &Truth, settings: &Settings, r: &ModelResult) -> Vec<[f64; 2]> {
    let classes = task.classes.len();
    let (mut confidence, mut right) = (Vec::new(), Vec::new());
    for (t, windows) in scored_windows(task, settings).iter().enumerate() {
        let rows = r.probabilities[t].chunks_exact(classes).zip(&r.predicted[t]);
        for (window, (p, &predicted)) in windows.iter().zip(rows) {
            if let Some(class) = truth.targets[t][window.recording] {
                confidence.push(f64::from(p[predicted]));
                right.push(class == predicted);
            }
        }
    }
    // nothing labelled: no curve
    let curve = accuracy_against_coverage(&confidence, &right).unwrap_or_default();
    let last = curve.len().saturating_sub(1);
    let every = curve.len().div_ceil(MOST_POINTS).max(1);
    let kept = curve.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
    kept.map(|(_, p)| [p.coverage, p.accuracy]).collect()
}

fn method(name: String, s: &Scores) -> Method {
    Method {
        name,
        accuracy: s.accuracy,
        macro_f1: s.macro_f1,
        domains: s
            .domains
            .iter()
            .map(|(domain, d)| DomainScores {
                domain: domain.clone(),
                accuracy: d.accuracy,
                macro_f1: d.macro_f1,
                windows: d.windows,
                recordings: d.recordings,
                accuracy_by_recording: d.accuracy_by_recording.clone(),
                confusion: d.confusion.clone(),
            })
            .collect(),
    }
}

/// The scored recordings, and what the adapted (else the source-only) network, or the logistic regression, says of each.
fn recordings(task: &Task, truth: &Truth, settings: &Settings, outcome: &Outcome) -> Vec<Recording> {
    let predicted = predicted(outcome);
    let mut list = Vec::new();
    for (t, windows) in scored_windows(task, settings).iter().enumerate() {
        for (i, s) in task.targets[t].signals.iter().enumerate() {
            let most = predicted.and_then(|p| most_frequent(windows, &p[t], i, task.classes.len()));
            let agreeing = predicted.zip(most).map_or(0, |(p, class)| {
                let own = windows.iter().zip(&p[t]).filter(|(w, _)| w.recording == i);
                own.filter(|(_, p)| **p == class).count()
            });
            let n = windows.iter().filter(|w| w.recording == i).count();
            if n > 0 {
                list.push(Recording {
                    domain: task.targets[t].name.clone(),
                    file: s.file.clone(),
                    class: truth.targets[t][i].map(|c| truth.classes[c].clone()),
                    windows: n,
                    predicted: most.map(|c| task.classes[c].clone()),
                    agreement: most.map(|_| agreeing as f64 / n as f64),
                });
            }
        }
    }
    list
}

/// Recordings of a target whose evidence is looked at, at most: each takes some milliseconds a second.
const MOST_RECORDINGS: usize = 60;

/// For each target and each thing that the rule says of its recordings, the one of which most pieces say so; and the first on which the
/// network says something else. None where bearing or speed are not known, or recordings are shorter than a piece.
fn evidence(task: &Task, settings: &Settings, outcome: &Outcome) -> Vec<EvidencePanel> {
    let Ok(roles) = Roles::new(&task.classes, &task.families) else {
        return Vec::new();
    };
    let predicted = predicted(outcome);
    let mut panels = Vec::new();
    for (t, windows) in scored_windows(task, settings).iter().enumerate() {
        let target = &task.targets[t];
        let said = |recording: usize| match &outcome.physics {
            Some((rule, analysed)) => FileVerdict::new(*rule, &analysed.of_recording(t, recording)),
            // windows that the rule has no place on; the recordings themselves may be long enough
            None => verdict_of(&target.signals[recording], RaceRule::default()).ok(),
        };
        let scored = |recording: &usize| windows.iter().any(|w| w.recording == *recording);
        let mut shown: Vec<(usize, FileVerdict)> = Vec::new();
        let mut disagreeing = None;
        for i in (0..target.signals.len().min(MOST_RECORDINGS)).filter(scored) {
            let Some(found) = said(i) else { continue };
            let differs = |c: usize| roles.verdict(c) != found.verdict;
            if disagreeing.is_none() && named(windows, predicted, t, i, task).is_some_and(differs) {
                disagreeing = Some((i, found));
            }
            match shown.iter_mut().find(|(_, other)| other.verdict == found.verdict) {
                Some(best) if best.1.agreement < found.agreement => *best = (i, found),
                Some(_) => {}
                None => shown.push((i, found)),
            }
        }
        let also = disagreeing.filter(|(i, _)| !shown.iter().any(|(j, _)| i == j));
        panels.extend(shown.into_iter().chain(also).filter_map(|(i, found)| {
            let evidence = found.evidence(&target.signals[i]).ok()?;
            let other = named(windows, predicted, t, i, task).filter(|&c| roles.verdict(c) != found.verdict);
            Some(EvidencePanel {
                domain: target.name.clone(),
                file: target.signals[i].file.clone(),
                verdict: found.named().to_owned(),
                network: other.map(|c| task.classes[c].clone()),
                shown_s: evidence.shown_s,
                words: evidence.words(),
                evidence: evidence.evidence,
            })
        }));
    }
    panels
}

/// The class that most windows of a recording of target `t` are given.
fn named(
    windows: &[WindowRef],
    predicted: Option<&Vec<Vec<usize>>>,
    t: usize,
    recording: usize,
    task: &Task,
) -> Option<usize> {
    most_frequent(windows, &predicted?[t], recording, task.classes.len())
}

/// What the adapted (else the source-only) network, or the logistic regression, says of the scored windows of each target.
fn predicted<'a>(outcome: &'a Outcome) -> Option<&'a Vec<Vec<usize>>> {
    let network = outcome.adapted.as_ref().or(outcome.source_only.as_ref());
    let logistic = || outcome.logistic.as_ref().map(|l| &l.predicted);
    network.map(|r| &r.predicted).or_else(logistic)
}

/// The class that most windows of a recording are given, of equals the first.
fn most_frequent(windows: &[WindowRef], predicted: &[usize], recording: usize, classes: usize) -> Option<usize> {
    let mut votes = vec![0_usize; classes];
    for (_, &p) in windows.iter().zip(predicted).filter(|(w, _)| w.recording == recording) {
        votes[p] += 1;
    }
    (0..classes).rev().max_by_key(|&c| votes[c]).filter(|&c| votes[c] > 0)
}

/// Settings as flags and values.
fn flatten(settings: &Settings) -> Vec<(String, String)> {
    let Ok(text) = settings.to_config(std::path::Path::new("")) else {
        return Vec::new();
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let show = |v: &toml::Value| match v {
        toml::Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    table
        .iter()
        .filter(|(k, _)| *k != "out")
        .flat_map(|(k, v)| match v {
            toml::Value::Table(t) => t.iter().map(|(n, v)| (format!("{k}.{n}"), show(v))).collect(),
            v => vec![(k.clone(), show(v))],
        })
        .collect()
}

fn provenance(m: &Metrics) -> Vec<(String, String)> {
    let mut list = vec![
        ("data digest (SHA-256)".to_owned(), m.data_digest.clone()),
        ("threads".to_owned(), m.threads.to_string()),
        ("instruction set".to_owned(), m.isa.clone()),
    ];
    list.extend(m.versions.iter().map(|(k, v)| (format!("version of {k}"), v.clone())));
    list.extend(
        m.seconds
            .iter()
            .map(|(k, v)| (format!("seconds, {k}"), format!("{v:.1}"))),
    );
    list
}
