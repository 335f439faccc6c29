//! One experiment: adapted model, source-only twin, baselines, and their scores on the targets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use adaptation_metrics::proxy_a_distance;

use crate::auto::other_known_bearings;
use crate::baselines::{LOG_SPECTRUM, MOST_WINDOWS, at_most, baselines, score_targets};
use crate::class_mix::ClassMix;
use crate::error::{Error, Result};
use crate::feature_map::{DomainFeatures, feature_maps};
use crate::logistic::{LOGISTIC, LogisticResult, logistic};
use crate::metrics::{DomainAccuracy, LastEpoch, Metrics, Scores, isa, versions};
use crate::model_file::{DomainMemory, ModelRecipe, Role};
use crate::network::{Network, Outputs};
use crate::options::{BatchNorm, DomainLoss, Method, Score};
use crate::physics::{self, Roles, RuleDetail, RuleResult};
use crate::pieces::{PieceScores, Probabilities, certain, on_pieces};
use crate::preprocess::{DomainInput, input_tensor, training_inputs};
use crate::progress::TrainingBar;
use crate::recommend::{NetworkSigns, Recommended, Signs, negative_transfer, recommend};
use crate::report::FeatureMap;
use crate::settings::Settings;
use crate::task::{Domain, Task, Truth, WindowRef};
use crate::training::{EpochRecord, Keeping, Kind, Run, Trained, Validation, shape, train};

/// One trained model and what it says about the windows that are scored.
pub struct ModelResult {
    /// The network.
    pub network: Network,
    /// One record an epoch.
    pub history: Vec<EpochRecord>,
    /// Scores on the targets.
    pub scores: Scores,
    /// Accuracy on the source's validation windows.
    pub source_validation: Option<f64>,
    /// Accuracy of the domain head; `None` for source-only, whose domain head is not trained.
    pub domain_accuracy: Option<DomainAccuracy>,
    /// Proxy A-distance of its features.
    pub a_distance: Option<f64>,
    /// Share of each class among the predictions for the targets.
    pub predicted_mix: Vec<f64>,
    /// Predicted class of each scored window of each target.
    pub predicted: Vec<Vec<usize>>,
    /// Class probabilities of each scored window of each target.
    pub probabilities: Probabilities,
    /// Maps of its features.
    pub maps: Vec<FeatureMap>,
}

/// Everything an experiment came to.
pub struct Outcome {
    /// Inputs and statistics of each domain.
    pub inputs: Vec<DomainInput>,
    /// The adapted model, where one was asked for.
    pub adapted: Option<ModelResult>,
    /// The source-only model, where one was asked for.
    pub source_only: Option<ModelResult>,
    /// The logistic regression on the input, where it was asked for.
    pub logistic: Option<LogisticResult>,
    /// Scores of the simple methods.
    pub baselines: BTreeMap<String, Scores>,
    /// The rules on defect orders among them, the one asked for first.
    pub rules: Vec<(RuleResult, RuleDetail)>,
    /// All methods beside the rule on the same pieces of 1 s, where bearings and speeds are known.
    pub pieces: Option<PieceScores>,
    /// What can be known without target labels.
    pub signs: Signs,
    /// Seconds of each part.
    pub seconds: BTreeMap<String, f64>,
}

/// How an experiment is carried out.
pub struct Conduct<'a> {
    /// Where checkpoints go, a folder below for each model, and how often; `None`: none are kept.
    pub checkpoints: Option<Keeping>,
    /// Whether the newest checkpoints are taken up.
    pub resume: bool,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
    /// Said before each progress bar's name.
    pub label: &'a str,
}

/// Trains and scores what the settings ask for.
///
/// `twin` is a source-only model that another transfer from the same source with the same settings has trained: it never
/// saw a target, so it is scored here instead of being trained again.
pub fn conduct(
    task: &Task,
    truth: &Truth,
    settings: &Settings,
    how: &Conduct,
    mut twin: Option<Trained>,
) -> Result<Outcome> {
    let mut seconds = BTreeMap::new();
    let scored = scored_windows(task, settings);
    let clock = Instant::now();
    let (mut simple, mut methods) = (BTreeMap::new(), Vec::new());
    let mut signs = Signs {
        other_bearings: other_known_bearings(task),
        ..Signs::default()
    };
    let mut baseline_says = Vec::new();
    for (name, found) in baselines(task, truth, &scored, settings.seed)? {
        if name == LOG_SPECTRUM {
            signs.baseline_validation = found.source_validation;
            baseline_says.clone_from(&found.predicted);
        }
        methods.push((name.clone(), certain(&found.predicted, task.classes.len())));
        simple.insert(name, found.scores);
    }
    seconds.insert("baselines".to_owned(), clock.elapsed().as_secs_f64());
    if settings.method == Method::Rule {
        let clock = Instant::now();
        let roles = Roles::new(&task.classes, &task.families)?;
        let sources: Vec<Vec<WindowRef>> = task.sources.iter().map(|s| s.domain.train.clone()).collect();
        let asked = physics::rules(task, &roles, &sources, task.window, settings.threshold()?)?;
        let results = physics::apply(task, truth, &roles, &scored, task.window, &asked)?;
        let mut rules = Vec::new();
        for (rule, found) in asked.into_iter().zip(results) {
            simple.insert(rule.name.to_owned(), found.scores);
            rules.push((rule, found.detail));
        }
        seconds.insert("rules".to_owned(), clock.elapsed().as_secs_f64());
        signs.rule = rules.first().map(|(rule, _)| rule.name.to_owned());
        return Ok(Outcome {
            inputs: Vec::new(),
            adapted: None,
            source_only: None,
            logistic: None,
            baselines: simple,
            rules,
            pieces: None,
            signs,
            seconds,
        });
    }

    let inputs = training_inputs(task, &settings.signal)?;
    let evaluation = Evaluation::new(task, truth, &inputs, scored.clone(), settings)?;
    let mut regression = None;
    if settings.method == Method::Logistic || settings.signal.input.of_envelope() {
        let clock = Instant::now();
        let found = logistic(task, truth, &scored, settings, &inputs, &evaluation.validation)?;
        let name = if settings.method == Method::Logistic {
            LOGISTIC.to_owned()
        } else {
            format!("{}-{LOGISTIC}", settings.signal.recipe().kind())
        };
        methods.push((name.clone(), found.probabilities.clone()));
        simple.insert(name, found.scores.clone());
        regression = Some(found).filter(|_| settings.method == Method::Logistic);
        seconds.insert(LOGISTIC.to_owned(), clock.elapsed().as_secs_f64());
    }
    let mut model = |kind: Kind, name: &str, label: &str| -> Result<ModelResult> {
        if let Some(trained) = twin.take_if(|_| kind == Kind::SourceOnly) {
            return evaluation.result(trained, kind);
        }
        let clock = Instant::now();
        let watcher = TrainingBar::new(&format!("{}{label}", how.label), 1.0 / task.domains().count() as f64);
        let run = Run {
            kind,
            stop: how.stop,
            watcher: &watcher,
            checkpoints: how.checkpoints.clone().map(|k| Keeping {
                folder: k.folder.join(name),
                ..k
            }),
            resume: how.resume,
        };
        let trained = train(task, &inputs, &evaluation.validation, settings, &run)?;
        seconds.insert(format!("train-{name}"), clock.elapsed().as_secs_f64());
        // asked to stop during the last step
        if how.stop.load(Ordering::Relaxed) {
            return Err(run.interrupted());
        }
        evaluation.result(trained, kind)
    };
    let adapted = match settings.method {
        Method::Dann | Method::DannAlternating => Some(model(Kind::Adapted, "adapted", "adapting")?),
        Method::SourceOnly | Method::Logistic | Method::Rule => None,
    };
    let source_only = if settings.method == Method::SourceOnly || settings.twin {
        Some(model(Kind::SourceOnly, "source-only", "source-only")?)
    } else {
        None
    };
    let clock = Instant::now();
    for (name, result) in [("adapted", &adapted), ("source-only", &source_only)] {
        methods.extend(result.as_ref().map(|r| (name.to_owned(), r.probabilities.clone())));
    }
    let pieces = on_pieces(task, truth, &scored, &methods)?;
    seconds.insert("pieces".to_owned(), clock.elapsed().as_secs_f64());
    signs.logistic = regression.is_some();
    signs.mix_differs = inputs.iter().any(|i| i.mix.as_ref().is_some_and(|m| m.differs));
    signs.rule = pieces.as_ref().and_then(|p| {
        p.rules
            .keys()
            .find(|n| *n != "rule-fixed")
            .or(p.rules.keys().next())
            .cloned()
    });
    let networks = [("adapted", &adapted), ("source-only", &source_only)].map(|(name, result)| {
        result.as_ref().map(|r| NetworkSigns {
            source_validation: r.source_validation,
            a_distance: r.a_distance,
            agrees_with_baseline: agreement(&r.predicted, &baseline_says),
            agrees_with_rule: pieces.as_ref().and_then(|p| p.agreement_with_rule.get(name).copied()),
        })
    });
    [signs.adapted, signs.source_only] = networks;
    if let Some(a) = &adapted {
        signs.domain_accuracy = a.domain_accuracy;
        signs.domain_loss_over_guessing = domain_loss_over_guessing(a, task.domains().count(), settings.domain_loss);
        signs.adapted_agrees_with_source_only =
            source_only.as_ref().and_then(|s| agreement(&a.predicted, &s.predicted));
    }
    Ok(Outcome {
        inputs,
        adapted,
        source_only,
        logistic: regression,
        baselines: simple,
        rules: Vec::new(),
        pieces,
        signs,
        seconds,
    })
}

/// Share of windows on which two methods agree; `None` of no windows.
fn agreement(a: &[Vec<usize>], b: &[Vec<usize>]) -> Option<f64> {
    let pairs = || a.iter().flatten().zip(b.iter().flatten());
    let same = pairs().filter(|(a, b)| a == b).count();
    Some(same as f64 / pairs().count() as f64).filter(|share| share.is_finite())
}

/// The domain loss of the last epoch over that of a domain head that guesses, ln D for D domains.
fn domain_loss_over_guessing(adapted: &ModelResult, domains: usize, how: DomainLoss) -> Option<f64> {
    let loss = adapted.history.last()?.domain_loss?;
    let count = match how {
        DomainLoss::PerDomainMeans => domains as f64,
        DomainLoss::MeanOverRows => 1.0,
    };
    Some(loss / count / (domains as f64).ln())
}

/// Share of each class among predictions.
fn mix(predicted: &[Vec<usize>], classes: usize) -> Vec<f64> {
    let count = predicted.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let mut shares = vec![0.0; classes];
    for &p in predicted.iter().flatten() {
        shares[p] += 1.0 / count;
    }
    shares
}

/// The windows of each target that are scored.
pub fn scored_windows(task: &Task, settings: &Settings) -> Vec<Vec<WindowRef>> {
    task.targets
        .iter()
        .map(|d| match settings.score {
            Score::Test => d.test.clone(),
            Score::All => d.all(),
        })
        .collect()
}

/// What every model of an experiment is scored on.
struct Evaluation<'a> {
    task: &'a Task,
    truth: &'a Truth,
    settings: &'a Settings,
    inputs: &'a [DomainInput],
    scored: Vec<Vec<WindowRef>>,
    validation: Validation,
}

impl<'a> Evaluation<'a> {
    fn new(
        task: &'a Task,
        truth: &'a Truth,
        inputs: &'a [DomainInput],
        scored: Vec<Vec<WindowRef>>,
        settings: &'a Settings,
    ) -> Result<Self> {
        let domains = task
            .sources
            .iter()
            .zip(inputs)
            .filter(|(s, _)| !s.domain.validation.is_empty())
            .map(|(s, i)| {
                let windows = &s.domain.validation;
                let x = input_tensor(
                    &s.domain,
                    windows,
                    task.window,
                    &settings.signal,
                    i.standardiser.as_ref(),
                )?;
                Ok((x, windows.iter().map(|w| s.classes[w.recording]).collect()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            task,
            truth,
            settings,
            inputs,
            scored,
            validation: Validation { domains },
        })
    }

    fn outputs(&self, network: &Network, number: usize, domain: &Domain, windows: &[WindowRef]) -> Result<Outputs> {
        let by = self.inputs[number].standardiser.as_ref();
        let x = input_tensor(domain, windows, self.task.window, &self.settings.signal, by)?;
        network.run(&x, Some(number))
    }

    /// Scores a trained network; nothing here goes back into it.
    fn result(&self, trained: Trained, kind: Kind) -> Result<ModelResult> {
        let Trained { network, history } = trained;
        let sources = self.task.sources.len();
        // features of the sources on windows that were not trained on where there are any
        let source_windows: Vec<Vec<WindowRef>> = self
            .task
            .sources
            .iter()
            .map(|s| {
                let d = &s.domain;
                let held_out = if d.test.is_empty() {
                    if d.validation.is_empty() {
                        &d.train
                    } else {
                        &d.validation
                    }
                } else {
                    &d.test
                };
                at_most(held_out, MOST_WINDOWS, self.settings.seed)
            })
            .collect();
        let mut outputs = Vec::new();
        for (i, d) in self.task.domains().enumerate() {
            let windows = if i < sources {
                &source_windows[i]
            } else {
                &self.scored[i - sources]
            };
            outputs.push(self.outputs(&network, i, d, windows)?);
        }
        let predicted: Vec<Vec<usize>> = outputs[sources..].iter().map(Outputs::labels).collect();
        let scores = score_targets(
            self.task,
            self.truth,
            &self.scored,
            &predicted,
            Some(self.settings.epochs),
        )?;
        let predicted_mix = mix(&predicted, self.task.classes.len());
        let right =
            |i: usize, o: &Outputs| o.domain.iter().filter(|d| **d == i).count() as f64 / o.domain.len().max(1) as f64;
        let domain_accuracy = (kind == Kind::Adapted).then(|| DomainAccuracy {
            value: outputs.iter().enumerate().map(|(i, o)| right(i, o)).sum::<f64>() / outputs.len() as f64,
            chance: 1.0 / outputs.len() as f64,
        });
        let source_validation = history.last().and_then(|h| h.source_validation);
        Ok(ModelResult {
            a_distance: self.a_distance(&outputs)?,
            maps: self.maps(&outputs, &source_windows)?,
            network,
            history,
            scores,
            source_validation,
            domain_accuracy,
            predicted_mix,
            predicted,
            probabilities: outputs[sources..].iter().map(|o| o.probabilities.clone()).collect(),
        })
    }

    fn a_distance(&self, outputs: &[Outputs]) -> Result<Option<f64>> {
        let rows = |part: &[Outputs]| -> Vec<f64> {
            part.iter()
                .flat_map(|o| o.features.iter().take(MOST_WINDOWS * o.width).map(|&v| f64::from(v)))
                .collect()
        };
        let sources = self.task.sources.len();
        let (a, b) = (rows(&outputs[..sources]), rows(&outputs[sources..]));
        let width = outputs[0].width;
        if a.len() < 4 * width || b.len() < 4 * width {
            return Ok(None);
        }
        let distance =
            proxy_a_distance(&a, &b, width, self.settings.seed).map_err(|e| Error::Machine(e.to_string()))?;
        Ok(Some(distance.value))
    }

    /// Maps of source and target features together.
    fn maps(&self, outputs: &[Outputs], source_windows: &[Vec<WindowRef>]) -> Result<Vec<FeatureMap>> {
        let sources = self.task.sources.len();
        let class = |i: usize, window: usize| {
            if i < sources {
                Some(self.task.sources[i].classes[source_windows[i][window].recording])
            } else {
                self.truth.targets[i - sources][self.scored[i - sources][window].recording]
            }
        };
        let width = outputs[0].width;
        let domains: Vec<DomainFeatures> = outputs
            .iter()
            .enumerate()
            .map(|(i, o)| DomainFeatures {
                features: &o.features,
                class: (0..o.features.len() / width.max(1))
                    .map(|window| class(i, window))
                    .collect(),
            })
            .collect();
        feature_maps(&domains, width)
    }
}

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
        predicted_mix.insert(LOGISTIC.to_owned(), mix(&l.predicted, task.classes.len()));
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
    Some(Recommended { which, rule, result })
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
        shape: shape(task, inputs)?,
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
                standardiser: input.standardiser.clone(),
                variance: input.variance,
                recordings: d.signals.iter().map(|s| (s.file.clone(), s.sha256.clone())).collect(),
            })
            .collect(),
        split: task.split.to_string(),
        data_digest: task.digest.clone(),
        versions: versions(),
    })
}
