//! What the report shows of an experiment.

use crate::experiment::{ModelResult, Outcome, scored_windows};
use crate::metrics::{Metrics, Scores};
use crate::report::{DomainScores, Epoch, FeatureMap, Method, Model, Recording, Report};
use crate::settings::Settings;
use crate::summary::{rows, split_line, verdicts};
use crate::task::{Task, Truth};

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
        adapted: outcome.adapted.as_ref().map(|r| model(name(0), r)),
        source_only: outcome
            .source_only
            .as_ref()
            .map(|r| model(name(usize::from(outcome.adapted.is_some())), r)),
        simple: rows
            .iter()
            .filter(|r| r.simple)
            .map(|r| method(r.name.clone(), r.scores))
            .collect(),
        recordings: recordings(task, truth, settings, outcome),
        settings: flatten(settings),
        provenance: provenance(m),
        command: m.command.clone(),
    }
}

fn model(name: String, r: &ModelResult) -> Model {
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
        map: (!r.map.points.is_empty()).then(|| FeatureMap {
            points: r.map.points.clone(),
            domain: r.map.domain.clone(),
            class: r.map.class.clone(),
            explained: r.map.explained,
        }),
    }
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
    let network = outcome.adapted.as_ref().or(outcome.source_only.as_ref());
    let predicted = network
        .map(|r| &r.predicted)
        .or_else(|| outcome.logistic.as_ref().map(|l| &l.predicted));
    let mut list = Vec::new();
    for (t, windows) in scored_windows(task, settings).iter().enumerate() {
        for (i, s) in task.targets[t].signals.iter().enumerate() {
            let mut votes = vec![0_usize; task.classes.len()];
            if let Some(predicted) = predicted {
                for (_, &p) in windows.iter().zip(&predicted[t]).filter(|(w, _)| w.recording == i) {
                    votes[p] += 1;
                }
            }
            let n = windows.iter().filter(|w| w.recording == i).count();
            if n > 0 {
                let most = (0..votes.len())
                    .rev()
                    .max_by_key(|&c| votes[c])
                    .filter(|&c| votes[c] > 0);
                list.push(Recording {
                    domain: task.targets[t].name.clone(),
                    file: s.file.clone(),
                    class: truth.targets[t][i].map(|c| truth.classes[c].clone()),
                    windows: n,
                    predicted: most.map(|c| task.classes[c].clone()),
                    agreement: most.map(|c| votes[c] as f64 / n as f64),
                });
            }
        }
    }
    list
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
