//! The training loop: warm-up on source rows, then adversarial steps, joint or alternating; the source-only twin is the same
//! loop that never asks for a target row.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use candle_dann::{Batch, GradientReversal, Losses};
use candle_gradient_reversal::progress;
use candle_trainer::{Checkpoints, Latest, Missing, Optimiser, OptimiserKind, clip_grad_norm};
use serde::{Deserialize, Serialize};
use signal_conditioning::Verdict;
use signal_domains::{Sampler, SamplerState};

use crate::ahead::ahead;
use crate::batches::{Batches, StepRows, steps_per_epoch};
use crate::error::{Error, Result};
use crate::model_file;
use crate::network::{Network, Outputs, Shape};
use crate::options::OptimiserName;
use crate::physics::{Roles, fit};
use crate::preprocess::DomainInput;
use crate::rows::InputRows;
use crate::settings::Settings;
use crate::task::{Task, WindowRef};

/// What to do about weights or losses that are no longer numbers.
const DIVERGED: &str = "give a lower --lr, --clip-norm 1, or a smaller --lambda";

/// Which of the two models is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With target rows after the warm-up.
    Adapted,
    /// Without target rows, ever.
    SourceOnly,
}

/// What an epoch came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean label loss.
    pub label_loss: f64,
    /// Mean domain loss, in alternating training after the domain head's own steps; `None` in the warm-up.
    pub domain_loss: Option<f64>,
    /// Lambda at the last step; `None` in the warm-up.
    pub lambda: Option<f64>,
    /// Learning rate at the last step.
    pub lr: f64,
    /// Mean accuracy of the domain head on the rows of the steps.
    pub domain_accuracy: Option<f64>,
    /// Mean accuracy of the label head on the source rows of the steps.
    pub source_accuracy: f64,
    /// Accuracy on the source's validation windows.
    pub source_validation: Option<f64>,
}

/// Told of every step; says whether to stop.
pub trait Watcher {
    /// After a step: number of the step from 1, of how many, and the running epoch's means.
    fn step(&self, step: u64, total: u64, running: &EpochRecord);
}

/// What the loop needs beside task and settings.
pub struct Run<'a> {
    /// Which model.
    pub kind: Kind,
    /// Set when the user asks to stop.
    pub stop: &'a AtomicBool,
    /// Told of every step.
    pub watcher: &'a dyn Watcher,
    /// Where checkpoints go and how often; `None`: none are kept.
    pub checkpoints: Option<Keeping>,
    /// Whether the newest checkpoint is taken up.
    pub resume: bool,
}

/// Where a run keeps its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The folder.
    pub folder: PathBuf,
    /// Longest time between two of them; one is saved at the end of each epoch in any case. The clock decides when,
    /// never what.
    pub every: Duration,
}

/// A trained network and how it came about.
pub struct Trained {
    /// The network.
    pub network: Network,
    /// One record an epoch.
    pub history: Vec<EpochRecord>,
}

/// Source windows to watch training by.
pub struct Validation<'a> {
    /// Windows of each source and their classes; the position is the domain's number.
    pub domains: Vec<(InputRows<'a>, Vec<usize>)>,
}

/// Where a loop stands; everything but tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    step: u64,
    sampler: SamplerState,
    sums: Sums,
    history: Vec<EpochRecord>,
    settings: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sums {
    steps: usize,
    label: f64,
    domain: f64,
    domain_accuracy: f64,
    source_accuracy: f64,
    adversarial: bool,
    lambda: f64,
    lr: f64,
}

impl Sums {
    fn add(&mut self, losses: &Losses, lambda: f64, lr: f64) -> Result<()> {
        self.steps += 1;
        self.label += f64::from(losses.label.to_scalar::<f32>()?);
        self.source_accuracy += losses.label_accuracy.unwrap_or(0.0);
        self.adversarial = losses.domain.is_some();
        if let Some(domain) = &losses.domain {
            self.domain += f64::from(domain.loss.to_scalar::<f32>()?);
            self.domain_accuracy += domain.accuracy;
        }
        (self.lambda, self.lr) = (lambda, lr);
        Ok(())
    }

    fn record(&self, epoch: usize) -> EpochRecord {
        let n = self.steps.max(1) as f64;
        let adversarial = |x: f64| self.adversarial.then_some(x);
        EpochRecord {
            epoch,
            label_loss: self.label / n,
            domain_loss: adversarial(self.domain / n),
            lambda: adversarial(self.lambda),
            lr: self.lr,
            domain_accuracy: adversarial(self.domain_accuracy / n),
            source_accuracy: self.source_accuracy / n,
            source_validation: None,
        }
    }
}

/// Number of steps of a run: the same for both kinds. Further steps of the domain head alone are not counted.
pub fn total_steps(task: &Task, settings: &Settings) -> Result<u64> {
    Ok(steps_per_epoch(task, settings)? * settings.epochs as u64)
}

/// Trains one model.
///
/// # Errors
/// A loss that is no longer a number, a checkpoint that does not belong to this run, a disk that is full, an interruption.
pub fn train(
    task: &Task,
    inputs: &[DomainInput],
    validation: &Validation,
    settings: &Settings,
    run: &Run,
) -> Result<Trained> {
    let network = Network::new(settings, shape(task, settings))?;
    if settings.starts_at_rule() {
        start_at_rule(&network, task)?;
    }
    let (lambda_schedule, lr_schedule) = settings.schedules()?;
    let trainable = network.store.trainable();
    let mut optimiser = Optimiser::new(
        optimiser_kind(settings.optimiser),
        settings.weight_decay,
        trainable.clone(),
    )?;
    let per_epoch = steps_per_epoch(task, settings)?;
    let total = per_epoch * settings.epochs as u64;
    let first_adversarial = per_epoch * settings.warmup_epochs as u64;
    let with_targets = (run.kind == Kind::Adapted).then_some(first_adversarial);
    let mut batches = Batches::new(task, inputs, settings, with_targets)?;

    // what must be the same for a checkpoint to belong to this run
    let identity = serde_json::to_string(&(settings, &task.digest)).map_err(|e| Error::Machine(e.to_string()))?;
    let mut state = State {
        step: 0,
        sampler: batches.sampler.state(),
        sums: Sums::default(),
        history: Vec::new(),
        settings: identity,
    };
    let checkpoints = run
        .checkpoints
        .as_ref()
        .map(|k| Checkpoints::new(&k.folder, "crossrig"))
        .transpose()
        .map_err(file_error)?;
    if let Some(c) = checkpoints.as_ref().filter(|_| run.resume)
        && let Some(found) = restore(
            c,
            &state.settings,
            total,
            &network,
            &mut optimiser,
            &mut batches.sampler,
        )?
    {
        state = found;
    }

    let every = run.checkpoints.as_ref().map_or(Duration::MAX, |k| k.every);
    let mut saved = Instant::now();
    let steps = (state.step..total).map(|step| batches.next(step));
    ahead(steps, |steps| {
        for rows in steps {
            let StepRows {
                sources,
                targets,
                sampler,
            } = rows?;
            let step = state.step;
            let adversarial = with_targets.is_some_and(|first| step >= first);
            let lambda = lambda_schedule.at(progress(step, first_adversarial, total - 1));
            let lr = lr_schedule.at(settings.lr, progress(step, 0, total - 1));
            let mut descend = |loss: &Tensor, missing: Missing| -> Result<()> {
                if !loss.to_scalar::<f32>()?.is_finite() {
                    return Err(Error::input_with_hint(
                        format!("the loss is no longer a number at step {} of {total}", step + 1),
                        DIVERGED,
                    ));
                }
                let mut gradients = loss.backward()?;
                if let Some(limit) = settings.clip_norm {
                    clip_grad_norm(&trainable, &mut gradients, limit).map_err(|e| Error::input(e.to_string()))?;
                }
                Ok(optimiser.step(&gradients, lr, missing)?)
            };
            // in the pool of threads, where a layer that is shared out costs no change of threads
            let losses = rayon::scope(|_| -> Result<Losses> {
                let losses = if adversarial {
                    let batch = Batch { sources, targets };
                    let reversal = GradientReversal::new(lambda)?;
                    match settings.domain_steps {
                        None => network.dann.adversarial_step(&batch, reversal, settings.seed, step)?,
                        Some(n) => {
                            let features = network.dann.batch_features(&batch, settings.seed, step)?;
                            for k in 0..n {
                                let number = u64::from(n) * step + u64::from(k);
                                let domain = network.dann.domain_head_step(&features, number)?;
                                descend(&domain.loss, Missing::Skip)?;
                            }
                            network.dann.extractor_step(&features, reversal)?
                        }
                    }
                } else {
                    network.dann.source_step(&sources, settings.seed, step)?
                };
                // where the domain head takes no part, or has moved already, it has no gradient and is left as it is
                let all_move = adversarial && settings.domain_steps.is_none();
                descend(&losses.total, if all_move { Missing::Error } else { Missing::Skip })?;
                Ok(losses)
            })?;

            state.sums.add(&losses, lambda, lr)?;
            state.step += 1;
            let epoch = (step / per_epoch) as usize + 1;
            let mut record = state.sums.record(epoch);
            if state.step.is_multiple_of(per_epoch) {
                record.source_validation = validation.accuracy(|x, domain| network.run(x, Some(domain)))?;
                state.history.push(record.clone());
                state.sums = Sums::default();
            }
            run.watcher.step(state.step, total, &record);
            let stop = run.stop.load(Ordering::Relaxed);
            if let Some(c) = checkpoints
                .as_ref()
                .filter(|_| stop || state.step.is_multiple_of(per_epoch) || saved.elapsed() >= every)
            {
                state.sampler = sampler;
                save(c, &state, &network, &optimiser)?;
                saved = Instant::now();
            }
            if stop && state.step < total {
                return Err(run.interrupted());
            }
        }
        Ok(())
    })?;
    // the last step's loss was a number, its weights need not be
    if let Some(name) = model_file::not_finite(&network.store.tensors()?)? {
        return Err(Error::input_with_hint(
            format!("{name} is no longer a number after the last step"),
            DIVERGED,
        ));
    }
    Ok(Trained {
        network,
        history: state.history,
    })
}

impl Run<'_> {
    /// The error of a run that the user stopped.
    pub fn interrupted(&self) -> Error {
        Error::Interrupted {
            checkpoint: self.checkpoints.as_ref().map(|k| k.folder.clone()),
        }
    }
}

/// Sets the label head so that the untrained network is the rule on defect orders: a class's logit is the score of its race over
/// the threshold that the source's labels choose, and 1 where it is no race's.
fn start_at_rule(network: &Network, task: &Task) -> Result<()> {
    let roles = Roles::new(&task.classes, &task.families)?;
    let windows: Vec<Vec<WindowRef>> = task.sources.iter().map(|s| s.domain.train.clone()).collect();
    let tau = fit(task, &roles, &windows)?.middle().tau();
    if tau <= 0.0 {
        return Err(Error::input(format!(
            "--label-head rule: the source's labels choose a threshold of {tau}"
        )));
    }
    let over = (1.0 / tau) as f32;
    let logits = |class| match roles.verdict(class) {
        Verdict::InnerRace => ([over, 0.0, 0.0], 0.0),
        Verdict::OuterRace => ([0.0, over, 0.0], 0.0),
        Verdict::NoRaceFault => ([0.0; 3], 1.0),
    };
    let (weights, biases): (Vec<[f32; 3]>, Vec<f32>) = (0..task.classes.len()).map(logits).unzip();
    for (name, values) in [
        (
            "label_head.output.weight",
            Tensor::from_vec(weights.concat(), (task.classes.len(), 3), &Device::Cpu)?,
        ),
        ("label_head.output.bias", Tensor::new(biases, &Device::Cpu)?),
    ] {
        let variable = network.store.get(name);
        let variable = variable.ok_or_else(|| Error::Machine(format!("no variable {name}")))?;
        variable.set(&values)?;
    }
    Ok(())
}

/// Sizes of the network for a task.
pub fn shape(task: &Task, settings: &Settings) -> Shape {
    let recipe = settings.signal.recipe();
    Shape {
        channels: task.channels * recipe.rows(),
        length: settings.signal.row_len(),
        classes: task.classes.len(),
        domains: task.sources.len() + task.targets.len(),
    }
}

/// Class of each training window of a source.
pub fn training_classes(source: &crate::task::Source) -> Vec<usize> {
    source
        .domain
        .train
        .iter()
        .map(|w| source.classes[w.recording])
        .collect()
}

fn optimiser_kind(name: OptimiserName) -> OptimiserKind {
    match name {
        OptimiserName::Adam => OptimiserKind::ADAM,
        OptimiserName::Adamw => OptimiserKind::ADAMW,
        OptimiserName::Sgd => OptimiserKind::SGD,
    }
}

impl Validation<'_> {
    /// Share of windows whose class a model names, given windows and their domain's number; `None` without windows.
    pub fn accuracy(&self, run: impl Fn(&Tensor, usize) -> Result<Outputs>) -> Result<Option<f64>> {
        let (mut right, mut all) = (0, 0);
        for (domain, (rows, classes)) in self.domains.iter().enumerate() {
            let mut of_rows = classes.iter();
            rows.inputs(|x| {
                let labels = run(x, domain)?.labels();
                right += labels.iter().zip(of_rows.by_ref()).filter(|(a, b)| a == b).count();
                Ok(())
            })?;
            all += classes.len();
        }
        Ok((all > 0).then(|| right as f64 / all as f64))
    }
}

fn save(checkpoints: &Checkpoints, state: &State, network: &Network, optimiser: &Optimiser) -> Result<()> {
    let mut tensors = std::collections::BTreeMap::new();
    tensors.extend(
        network
            .store
            .tensors()?
            .into_iter()
            .map(|(k, v)| (format!("network.{k}"), v)),
    );
    tensors.extend(
        optimiser
            .state()?
            .into_iter()
            .map(|(k, v)| (format!("optimiser.{k}"), v)),
    );
    let text = serde_json::to_string(state).map_err(|e| Error::Machine(e.to_string()))?;
    let metadata = std::collections::BTreeMap::from([("crossrig.state".to_owned(), text)]);
    checkpoints.save(state.step, &tensors, &metadata).map_err(file_error)?;
    Ok(())
}

/// The state of the newest checkpoint that is whole, put into network, optimiser and sampler; `None` where there is no
/// checkpoint yet.
///
/// # Errors
/// Checkpoints that are all damaged: starting anew would remove them, and they may be worth a look. One that belongs
/// to another run, or is not what this program saves.
fn restore(
    checkpoints: &Checkpoints,
    identity: &str,
    total: u64,
    network: &Network,
    optimiser: &mut Optimiser,
    sampler: &mut Sampler,
) -> Result<Option<State>> {
    let Latest { checkpoint, damaged } = checkpoints.latest(&Device::Cpu).map_err(file_error)?;
    let Some(found) = checkpoint else {
        return match damaged.first() {
            None => Ok(None),
            Some(newest) => Err(Error::input_with_hint(
                format!("no checkpoint is whole; the newest: {newest}"),
                format!(
                    "to start from the beginning, remove the files in {}",
                    checkpoints.folder().display()
                ),
            )),
        };
    };
    for fault in damaged {
        eprintln!("warning: passed over a damaged checkpoint: {fault}");
    }
    let bad = |what: &str| Error::input(format!("{}: {what}", found.path.display()));
    let text = found
        .metadata
        .get("crossrig.state")
        .ok_or_else(|| bad("this is no checkpoint of crossrig"))?;
    let state: State = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
    if state.settings != identity {
        return Err(Error::input_with_hint(
            format!(
                "{} belongs to a run with other settings or other data",
                found.path.display()
            ),
            "resume with the settings in config.toml of that folder, or start in a new --out",
        ));
    }
    let part = |prefix: &str| {
        found
            .tensors
            .iter()
            .filter_map(|(k, v)| k.strip_prefix(prefix).map(|k| (k.to_owned(), v.clone())))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let mut drawn = state.sampler.sources.iter().chain(&state.sampler.targets);
    if state.step != found.step
        || state.step > total
        || state.history.len() as u64 != state.step / sampler.steps_per_epoch() as u64
        // counts of rows go on from here
        || drawn.any(|rows| *rows > u64::MAX / 2)
    {
        return Err(bad("its parts do not belong together"));
    }
    network.store.load(&part("network.")).map_err(|e| bad(&e.to_string()))?;
    optimiser
        .load_state(&part("optimiser."))
        .map_err(|e| bad(&e.to_string()))?;
    sampler.restore(&state.sampler).map_err(|e| bad(&e.to_string()))?;
    Ok(Some(state))
}

/// An error of the files of candle-trainer: a damaged file is the user's to replace, the rest is the machine.
pub fn file_error(e: candle_trainer::Error) -> Error {
    match e {
        candle_trainer::Error::Damaged { .. } | candle_trainer::Error::NotFound { .. } => Error::input(e.to_string()),
        _ => Error::Machine(e.to_string()),
    }
}
