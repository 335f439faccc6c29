//! `metrics.json`: schema 1. Keys are only ever added. An unknown is null, not a guess.

use std::collections::BTreeMap;

use adaptation_metrics::Confusion;
use candle_convnet1d::InstructionSet;
use serde::Serialize;

use crate::auto::AutoInput;
use crate::class_mix::ClassMix;
use crate::error::{Error, Result};
use crate::physics::RuleDetail;
use crate::pieces::PieceScores;
use crate::recommend::{Recommended, Signs};
use crate::settings::Settings;
use crate::training::EpochRecord;

/// The whole file.
#[derive(Clone, Debug, Serialize)]
pub struct Metrics {
    /// Always 1.
    pub schema: u32,
    /// Versions of the program and of what it stands on.
    pub versions: BTreeMap<String, String>,
    /// The command line.
    pub command: String,
    /// The settings with every default filled in.
    pub config: Settings,
    /// What `--input auto` chose and why; null where it was not asked for.
    pub auto_input: Option<AutoInput>,
    /// SHA-256 over names and contents of the recordings in use.
    pub data_digest: String,
    /// Seed of the run.
    pub seed: u64,
    /// Threads used.
    pub threads: usize,
    /// Instruction set that the convolutions ran on.
    pub isa: String,
    /// Kind of split.
    pub split: String,
    /// Whether windows of one recording stand on both sides of the split at random.
    pub leaky: bool,
    /// Shares of training, validation and test.
    pub fractions: [f64; 3],
    /// Which target windows are scored: `test` or `all` (transductive).
    pub score: String,
    /// How the domain losses are put together.
    pub domain_loss: String,
    /// Over what batch norm takes its statistics.
    pub batch_norm: String,
    /// Wall time of the whole command and of its parts.
    pub seconds: BTreeMap<String, f64>,
    /// The model's classes; their order is that of every `recall`. Target classes unknown to the source follow.
    pub classes: Vec<String>,
    /// Number of leading entries of `classes` that the model knows.
    pub known_classes: usize,
    /// Scores of the adapted model.
    pub adapted: Option<LastEpoch>,
    /// Scores of the source-only model.
    pub source_only: Option<LastEpoch>,
    /// Scores of the simple methods.
    pub baselines: BTreeMap<String, Scores>,
    /// Thresholds, coverage and precision of the rules on defect orders among them.
    pub rules: BTreeMap<String, RuleDetail>,
    /// All methods beside the rule on the same pieces of 1 s; null where bearings or speeds are not known.
    pub pieces: Option<PieceScores>,
    /// What is estimated of the class mix of each target whose statistics are matched.
    pub class_mix: Vec<ClassMix>,
    /// The model to use, and by which rule, without a label of the target; null where nothing was trained.
    pub recommended: Option<Recommended>,
    /// What that rule looks at.
    pub signs: Signs,
    /// Accuracy of the adapted (else the source-only) model on the source's validation windows.
    pub source_validation: Option<f64>,
    /// How well the domain head tells the domains apart on the scored windows: mean over domains.
    pub domain_accuracy: Option<DomainAccuracy>,
    /// Proxy A-distance between source and target features of the adapted (else the source-only) model.
    pub a_distance: Option<f64>,
    /// The same for the source-only twin.
    pub a_distance_source_only: Option<f64>,
    /// Shares of the classes that each model (`adapted`, `source_only`, `logistic`) predicts in the target.
    pub predicted_mix: BTreeMap<String, Vec<f64>>,
    /// How each model (`adapted`, `source_only`) trained: one record an epoch.
    pub history: BTreeMap<String, Vec<EpochRecord>>,
    /// Remarks that a reader of the scores should see.
    pub warnings: Vec<String>,
}

/// Scores by the epoch at which they were taken.
#[derive(Clone, Debug, Serialize)]
pub struct LastEpoch {
    /// After the last epoch.
    pub last: Scores,
}

/// Accuracy of the domain head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DomainAccuracy {
    /// Mean over domains of the share of windows whose domain is named right.
    pub value: f64,
    /// What guessing gives: 1 / domains.
    pub chance: f64,
}

/// Scores of one method on the target (`R` of the schema).
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// Epoch of the weights; null for methods without epochs.
    pub epoch: Option<usize>,
    /// What chose the epoch; never a target label.
    pub chosen_by: Option<String>,
    /// Accuracy pooled over all windows.
    pub accuracy: Option<f64>,
    /// Macro-F1 pooled over all windows.
    pub macro_f1: Option<f64>,
    /// Macro-F1 pooled over recordings, each with the class that most of its windows are given.
    pub macro_f1_by_recording: Option<f64>,
    /// Each target domain by itself.
    pub domains: BTreeMap<String, DomainScores>,
}

/// Scores on one domain. Without labels all but the counts is null.
#[derive(Clone, Debug, Serialize)]
pub struct DomainScores {
    /// Accuracy over windows.
    pub accuracy: Option<f64>,
    /// Mean F1 over the classes present in the truth.
    pub macro_f1: Option<f64>,
    /// Number of windows scored (of windows predicted, without labels).
    pub windows: usize,
    /// Number of recordings they come from.
    pub recordings: usize,
    /// Accuracy over the windows of each labelled recording.
    pub accuracy_by_recording: BTreeMap<String, f64>,
    /// Recall by class; null for a class that is absent.
    pub recall: Option<Vec<Option<f64>>>,
    /// Counts, row: truth, column: prediction.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// The windows of one domain that are scored.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// Name of the domain.
    pub domain: &'a str,
    /// File of each recording.
    pub files: &'a [String],
    /// Recording of each window.
    pub recording: &'a [usize],
    /// True class of each recording; `None` where it has no label or its class was not asked for.
    pub truth: &'a [Option<usize>],
    /// Predicted class of each window.
    pub predicted: &'a [usize],
}

/// Scores over several domains, of `classes` classes in all.
pub fn score(domains: &[Scored], classes: usize, epoch: Option<usize>) -> Result<Scores> {
    let mut pooled: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut by_domain = BTreeMap::new();
    let mut votes: (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for d in domains {
        let labelled: Vec<(usize, usize, usize)> = d
            .recording
            .iter()
            .zip(d.predicted)
            .filter_map(|(&r, &p)| d.truth[r].map(|t| (r, t, p)))
            .collect();
        let truth: Vec<usize> = labelled.iter().map(|x| x.1).collect();
        let predicted: Vec<usize> = labelled.iter().map(|x| x.2).collect();
        let confusion = confusion(&truth, &predicted, classes)?;
        let mut hits: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for &(r, t, p) in &labelled {
            let h = hits.entry(r).or_default();
            h.0 += usize::from(t == p);
            h.1 += 1;
        }
        let mut counts: BTreeMap<usize, (usize, Vec<usize>)> = BTreeMap::new();
        for &(r, t, p) in &labelled {
            counts.entry(r).or_insert_with(|| (t, vec![0; classes])).1[p] += 1;
        }
        for (t, counts) in counts.into_values() {
            votes.0.push(t);
            votes.1.push((0..classes).rev().max_by_key(|&c| counts[c]).unwrap_or(0));
        }
        let recordings = if truth.is_empty() {
            let mut seen = d.recording.to_vec();
            seen.dedup();
            seen.len()
        } else {
            hits.len()
        };
        let scores = DomainScores {
            accuracy: confusion.as_ref().map(Confusion::accuracy),
            macro_f1: confusion.as_ref().map(Confusion::macro_f1),
            windows: if truth.is_empty() {
                d.recording.len()
            } else {
                truth.len()
            },
            recordings,
            accuracy_by_recording: hits
                .into_iter()
                .map(|(r, (h, n))| (d.files[r].clone(), h as f64 / n as f64))
                .collect(),
            recall: confusion.as_ref().map(Confusion::recall),
            confusion: confusion.as_ref().map(|c| c.counts().to_vec()),
        };
        by_domain.insert(d.domain.to_owned(), scores);
        pooled.0.extend(truth);
        pooled.1.extend(predicted);
    }
    let all = confusion(&pooled.0, &pooled.1, classes)?;
    Ok(Scores {
        epoch,
        chosen_by: epoch.map(|_| "last epoch".to_owned()),
        accuracy: all.as_ref().map(Confusion::accuracy),
        macro_f1: all.as_ref().map(Confusion::macro_f1),
        macro_f1_by_recording: confusion(&votes.0, &votes.1, classes)?.map(|c| c.macro_f1()),
        domains: by_domain,
    })
}

/// The confusion matrix, or `None` of nothing.
fn confusion(truth: &[usize], predicted: &[usize], classes: usize) -> Result<Option<Confusion>> {
    if truth.is_empty() {
        return Ok(None);
    }
    Confusion::new(truth, predicted, classes)
        .map(Some)
        .map_err(|e| Error::Machine(e.to_string()))
}

/// Versions for the record.
pub fn versions() -> BTreeMap<String, String> {
    BTreeMap::from([("crossrig".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}

/// The instruction set that the convolutions run on: the best of this machine, or what `CROSSRIG_ISA` pins. Empty where that
/// names none of this machine, with which no convolution runs.
pub fn isa() -> String {
    InstructionSet::in_use().map_or_else(|_| String::new(), |set| set.to_string())
}
