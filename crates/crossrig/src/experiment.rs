//! One experiment: adapted model, source-only twin, baselines, and their scores on the targets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use signal_conditioning::RaceRule;

use crate::auto::other_known_bearings;
use crate::baselines::{Baseline, LOG_SPECTRUM, baselines};
use crate::error::Result;
use crate::evaluation::{Evaluation, ModelResult, scored_windows};
use crate::logistic::{LOGISTIC, LogisticResult, logistic};
use crate::metrics::Scores;
use crate::options::{DomainLoss, Method};
use crate::physics::{self, Analysed, Roles, RuleDetail, RuleResult};
use crate::pieces::{PieceScores, certain, on_pieces};
use crate::preprocess::{DomainInput, training_inputs};
use crate::progress::TrainingBar;
use crate::recommend::{NetworkSigns, Signs};
use crate::settings::Settings;
use crate::task::{Task, Truth, WindowRef};
use crate::training::{Keeping, Kind, Run, Trained, train};

/// Everything an experiment came to.
#[derive(Default)]
pub struct Outcome<'a> {
    /// Inputs and statistics of each domain.
    pub inputs: Vec<DomainInput<'a>>,
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
    /// What physics found in the targets, and the rule that says what it means: that asked for, else that of the pieces.
    pub physics: Option<(RaceRule, Analysed)>,
    /// What can be known without target labels.
    pub signs: Signs,
    /// Seconds of each part.
    pub seconds: BTreeMap<String, f64>,
}

impl Outcome<'_> {
    /// The networks and their names, the adapted one first.
    pub fn networks(&self) -> [(&'static str, Option<&ModelResult>); 2] {
        [
            ("adapted", self.adapted.as_ref()),
            ("source-only", self.source_only.as_ref()),
        ]
    }

    fn took(&mut self, part: &str, since: Instant) {
        self.seconds.insert(part.to_owned(), since.elapsed().as_secs_f64());
    }
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
pub fn conduct<'a>(
    task: &'a Task,
    truth: &Truth,
    settings: &'a Settings,
    how: &Conduct,
    mut twin: Option<Trained>,
) -> Result<Outcome<'a>> {
    let scored = scored_windows(task, settings);
    let mut outcome = Outcome::default();
    let clock = Instant::now();
    let baselines = baselines(task, truth, &scored, settings.seed)?;
    let mut methods = Vec::new();
    for (name, found) in &baselines {
        methods.push((name.clone(), certain(&found.predicted, task.classes.len())));
        outcome.baselines.insert(name.clone(), found.scores.clone());
    }
    outcome.took("baselines", clock);
    let baseline = baselines.get(LOG_SPECTRUM);
    if settings.method == Method::Rule {
        by_rule(task, truth, settings, &scored, &mut outcome)?;
        outcome.signs = signs(task, settings, &outcome, baseline);
        return Ok(outcome);
    }

    outcome.inputs = training_inputs(task, &settings.signal)?;
    let inputs = &outcome.inputs;
    let evaluation = Evaluation::new(task, truth, inputs, &scored, settings)?;
    let asked = settings.method == Method::Logistic;
    if asked || settings.signal.input.of_envelope() {
        let clock = Instant::now();
        let found = logistic(task, truth, &scored, settings, inputs, &evaluation.validation)?;
        let name = if asked {
            LOGISTIC.to_owned()
        } else {
            format!("{}-{LOGISTIC}", settings.signal.recipe().kind())
        };
        methods.push((name.clone(), found.probabilities.clone()));
        outcome.baselines.insert(name, found.scores.clone());
        outcome.logistic = asked.then_some(found);
        outcome
            .seconds
            .insert(LOGISTIC.to_owned(), clock.elapsed().as_secs_f64());
    }
    let seconds = &mut outcome.seconds;
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
        let trained = train(task, inputs, &evaluation.validation, settings, &run)?;
        seconds.insert(format!("train-{name}"), clock.elapsed().as_secs_f64());
        // asked to stop during the last step
        if how.stop.load(Ordering::Relaxed) {
            return Err(run.interrupted());
        }
        evaluation.result(trained, kind)
    };
    outcome.adapted = match settings.method {
        Method::Dann | Method::DannAlternating => Some(model(Kind::Adapted, "adapted", "adapting")?),
        Method::SourceOnly | Method::Logistic | Method::Rule => None,
    };
    outcome.source_only = if settings.method == Method::SourceOnly || settings.twin {
        Some(model(Kind::SourceOnly, "source-only", "source-only")?)
    } else {
        None
    };
    let clock = Instant::now();
    for (name, result) in outcome.networks() {
        methods.extend(result.map(|r| (name.to_owned(), r.probabilities.clone())));
    }
    if let Some((pieces, rule, analysed)) = on_pieces(task, truth, &scored, &methods)? {
        outcome.pieces = Some(pieces);
        outcome.physics = Some((rule, analysed));
    }
    outcome.took("pieces", clock);
    outcome.signs = signs(task, settings, &outcome, baseline);
    Ok(outcome)
}

/// The rule that the settings ask for, and the one beside it.
fn by_rule(
    task: &Task,
    truth: &Truth,
    settings: &Settings,
    scored: &[Vec<WindowRef>],
    outcome: &mut Outcome,
) -> Result<()> {
    let clock = Instant::now();
    let roles = Roles::new(&task.classes, &task.families)?;
    let sources: Vec<Vec<WindowRef>> = task.sources.iter().map(|s| s.domain.train.clone()).collect();
    let asked = physics::rules(task, &roles, &sources, settings.threshold()?)?;
    let analysed = Analysed::new(task, scored.to_vec())?;
    let results = physics::apply(task, truth, &roles, &analysed, &asked)?;
    outcome.physics = asked.first().map(|first| (first.rule, analysed));
    for (rule, found) in asked.into_iter().zip(results) {
        outcome.baselines.insert(rule.name.to_owned(), found.scores);
        outcome.rules.push((rule, found.detail));
    }
    outcome.took("rules", clock);
    Ok(())
}

/// What can be known of what an experiment came to without a label of a target; `baseline` is the logistic regression on
/// log-spectra.
fn signs(task: &Task, settings: &Settings, outcome: &Outcome, baseline: Option<&Baseline>) -> Signs {
    let pieces = outcome.pieces.as_ref();
    let fitted_first = || {
        let names = || pieces.into_iter().flat_map(|p| p.rules.keys());
        names().find(|n| *n != "rule-fixed").or_else(|| names().next()).cloned()
    };
    let [adapted, source_only] = outcome.networks().map(|(name, result)| {
        result.map(|r| NetworkSigns {
            source_validation: r.source_validation,
            a_distance: r.a_distance,
            agrees_with_baseline: baseline.and_then(|b| agreement(&r.predicted, &b.predicted)),
            agrees_with_rule: pieces.and_then(|p| p.agreement_with_rule.get(name).copied()),
        })
    });
    let network = outcome.adapted.as_ref();
    Signs {
        rule: outcome
            .rules
            .first()
            .map(|(rule, _)| rule.name.to_owned())
            .or_else(fitted_first),
        other_bearings: other_known_bearings(task),
        mix_differs: outcome.inputs.iter().any(|i| i.mix.as_ref().is_some_and(|m| m.differs)),
        adapted,
        source_only,
        logistic: outcome.logistic.is_some(),
        baseline_validation: baseline.and_then(|b| b.source_validation),
        domain_loss_over_guessing: network
            .and_then(|a| domain_loss_over_guessing(a, task.domains().count(), settings.domain_loss)),
        domain_accuracy: network.and_then(|a| a.domain_accuracy),
        adapted_agrees_with_source_only: network
            .zip(outcome.source_only.as_ref())
            .and_then(|(a, s)| agreement(&a.predicted, &s.predicted)),
    }
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
