//! What a run leaves behind: `metrics.json`, and what a saved model remembers.

use std::collections::BTreeMap;

use crate::class_mix::{ClassMix, histogram};
use crate::error::Result;
use crate::evaluation::ModelResult;
use crate::experiment::Outcome;
use crate::logistic::LOGISTIC;
use crate::metrics::{LastEpoch, Metrics, Scores, isa, versions};
use crate::model_file::{DomainMemory, ModelRecipe, Role};
use crate::options::{BatchNorm, DomainLoss, Method, Score};
use crate::preprocess::DomainInput;
use crate::recommend::{Recommended, negative_transfer, recommend};
use crate::settings::Settings;
use crate::task::{Task, Truth};
use crate::track_record::{ByLabels, TRACK_RECORD};
use crate::training::{Kind, shape};

/// What `metrics.json` says of an experiment.
pub fn metrics(
    task: &Task,
    truth: &Truth,
    settings: &Settings,
    outcome: &Outcome,
    command: &str,
    warnings: Vec<String>,
) -> Metrics {
    let main = outcome.adapted.as_ref().or(outcome.source_only.as_ref());
    let last = |m: &Option<ModelResult>| m.as_ref().map(|m| LastEpoch { last: m.scores.clone() });
    let mut predicted_mix = BTreeMap::new();
    let mut history = BTreeMap::new();
    for (name, m) in [("adapted", &outcome.adapted), ("source_only", &outcome.source_only)] {
        if let Some(m) = m {
            predicted_mix.insert(name.to_owned(), m.predicted_mix.clone());
            history.insert(name.to_owned(), m.history.clone());
        }
    }
    let mixes: Vec<ClassMix> = outcome.inputs.iter().filter_map(|i| i.mix.clone()).collect();
    let mut warnings = warnings;
    warnings.extend(mixes.iter().filter_map(ClassMix::words));
    warnings.extend(negative_transfer(&outcome.signs));
    if let Some(l) = &outcome.logistic {
        predicted_mix.insert(
            LOGISTIC.to_owned(),
            histogram(&l.predicted.concat(), task.classes.len()),
        );
    }
    Metrics {
        schema: 1,
        versions: versions(),
        command: command.to_owned(),
        config: settings.clone(),
        auto_input: None,
        data_digest: task.digest.clone(),
        seed: settings.seed,
        threads: rayon::current_num_threads(),
        isa: isa(),
        split: task.split.to_string(),
        leaky: task.split.leaky(),
        fractions: settings.fractions,
        score: if settings.score == Score::All { "all" } else { "test" }.to_owned(),
        domain_loss: match settings.domain_loss {
            DomainLoss::PerDomainMeans => "per-domain-means",
            DomainLoss::MeanOverRows => "mean-over-rows",
        }
        .to_owned(),
        batch_norm: if settings.batch_norm == BatchNorm::Joint {
            "joint"
        } else {
            "per-domain"
        }
        .to_owned(),
        seconds: outcome.seconds.clone(),
        classes: truth.classes.clone(),
        known_classes: task.classes.len(),
        adapted: last(&outcome.adapted),
        source_only: last(&outcome.source_only),
        baselines: outcome.baselines.clone(),
        pieces: outcome.pieces.clone(),
        class_mix: mixes,
        recommended: recommended(outcome),
        signs: outcome.signs.clone(),
        rules: outcome
            .rules
            .iter()
            .map(|(rule, detail)| (rule.name.to_owned(), detail.clone()))
            .collect(),
        source_validation: main
            .and_then(|m| m.source_validation)
            .or_else(|| outcome.logistic.as_ref()?.source_validation),
        domain_accuracy: outcome.adapted.as_ref().and_then(|m| m.domain_accuracy),
        a_distance: main.and_then(|m| m.a_distance),
        a_distance_source_only: outcome.source_only.as_ref().and_then(|m| m.a_distance),
        predicted_mix,
        history,
        warnings,
    }
}

/// The model to use, with its scores.
fn recommended(outcome: &Outcome) -> Option<Recommended> {
    let (which, rule) = recommend(&outcome.signs)?;
    let network = |r: &Option<ModelResult>| r.as_ref().map(|r| r.scores.clone());
    let result = match which.as_str() {
        "adapted" => network(&outcome.adapted),
        "source-only" => network(&outcome.source_only),
        name => outcome.baselines.get(name).cloned(),
    }
    .or_else(|| outcome.pieces.as_ref()?.methods.get(&which).cloned())?;
    let on_pieces = outcome.pieces.as_ref().map(|p| &p.methods);
    let on_windows = || {
        let networks = outcome.networks().into_iter();
        let networks = networks.filter_map(|(name, r)| Some((name, &r?.scores)));
        networks
            .chain(outcome.baselines.iter().map(|(name, s)| (name.as_str(), s)))
            .collect()
    };
    let all: Vec<(&str, &Scores)> = match on_pieces {
        Some(methods) => methods.iter().map(|(name, s)| (name.as_str(), s)).collect(),
        None => on_windows(),
    };
    let by_labels = ByLabels::new(
        &which,
        all.into_iter().filter_map(|(name, s)| Some((name, s.macro_f1?))),
    );
    Some(Recommended {
        which,
        rule,
        result,
        by_labels,
        record: TRACK_RECORD,
    })
}

/// What a model of this experiment remembers.
pub fn recipe(
    task: &Task,
    settings: &Settings,
    inputs: &[DomainInput],
    kind: Kind,
    channel_keys: &[String],
) -> Result<ModelRecipe> {
    let sources = task.sources.len();
    Ok(ModelRecipe {
        method: match (kind, settings.method) {
            (Kind::SourceOnly, _) => Method::SourceOnly,
            (Kind::Adapted, method) => method,
        }
        .name()
        .to_owned(),
        settings: settings.clone(),
        representation: settings.signal.recipe(),
        shape: shape(task, settings),
        classes: task.classes.clone(),
        families: task.families.clone(),
        rate_hz: task.rate_hz,
        channel_keys: channel_keys.to_vec(),
        domains: task
            .domains()
            .zip(inputs)
            .enumerate()
            .map(|(i, (d, input))| DomainMemory {
                name: d.name.clone(),
                role: if i < sources { Role::Source } else { Role::Target },
                standardiser: input.train.standardiser().cloned(),
                variance: input.variance,
                recordings: d.signals.iter().map(|s| (s.file.clone(), s.sha256.clone())).collect(),
            })
            .collect(),
        split: task.split.to_string(),
        data_digest: task.digest.clone(),
        versions: versions(),
    })
}
