//! The rows of each step of a run.

use candle_core::{Device, Tensor};
use candle_dann::{LabelledRows, UnlabelledRows};
use signal_domains::{Sampler, SamplerState, SourceRows, TargetRows};

use crate::augment::Augmenter;
use crate::corpus::data_error;
use crate::error::Result;
use crate::options::Balance;
use crate::preprocess::DomainInput;
use crate::settings::Settings;
use crate::task::Task;
use crate::training::training_classes;

/// Draws the rows of one step after the other, and makes them.
pub struct Batches<'a> {
    task: &'a Task,
    inputs: &'a [DomainInput<'a>],
    augmenter: Option<Augmenter<'a>>,
    /// Which rows come next.
    pub sampler: Sampler,
    /// The first step with rows of the targets; `None`: they never take part.
    first_adversarial: Option<u64>,
}

/// The rows of a step.
pub struct StepRows {
    /// A batch of each source.
    pub sources: Vec<LabelledRows>,
    /// A batch of each target; none in a step without them.
    pub targets: Vec<UnlabelledRows>,
    /// Where the sampler stands after it.
    pub sampler: SamplerState,
}

impl<'a> Batches<'a> {
    /// From the beginning.
    ///
    /// # Errors
    /// A domain without training windows, a change of windows that is not known.
    pub fn new(
        task: &'a Task,
        inputs: &'a [DomainInput<'a>],
        settings: &Settings,
        first_adversarial: Option<u64>,
    ) -> Result<Self> {
        Ok(Self {
            task,
            inputs,
            augmenter: Augmenter::new(task, settings)?,
            sampler: sampler(task, settings)?,
            first_adversarial,
        })
    }

    /// The rows of step number `step`, which follows the one before.
    ///
    /// # Errors
    /// A file that can no longer be read, a representation that cannot be computed.
    pub fn next(&mut self, step: u64) -> Result<StepRows> {
        let rows = match self.first_adversarial {
            Some(first) if step >= first => self.sampler.next_batch(),
            _ => self.sampler.next_source_batch(),
        };
        let windows = |number: usize, rows: &[usize]| -> Result<Tensor> {
            let input = &self.inputs[number].train;
            match &self.augmenter {
                Some(a) => a.batch(number, rows, step, input.standardiser()),
                None => input.select(rows),
            }
        };
        let mut sources = Vec::new();
        for (number, (rows, source)) in rows.sources.iter().zip(&self.task.sources).enumerate() {
            let class = |&row: &usize| source.classes[source.domain.train[row].recording] as u32;
            let labels: Vec<u32> = rows.iter().map(class).collect();
            let labels = Tensor::new(labels, &Device::Cpu)?;
            sources.push(LabelledRows::new(windows(number, rows)?, labels)?);
        }
        let mut targets = Vec::new();
        for (t, rows) in rows.targets.iter().enumerate() {
            targets.push(UnlabelledRows::new(windows(self.task.sources.len() + t, rows)?)?);
        }
        Ok(StepRows {
            sources,
            targets,
            sampler: self.sampler.state(),
        })
    }
}

/// Steps of an epoch: one pass over the largest source.
pub fn steps_per_epoch(task: &Task, settings: &Settings) -> Result<u64> {
    Ok(sampler(task, settings)?.steps_per_epoch() as u64)
}

fn sampler(task: &Task, settings: &Settings) -> Result<Sampler> {
    let sources: Vec<SourceRows> = task
        .sources
        .iter()
        .map(|s| SourceRows {
            domain: s.domain.name.clone(),
            classes: training_classes(s),
        })
        .collect();
    let targets: Vec<TargetRows> = task
        .targets
        .iter()
        .map(|t| TargetRows {
            domain: t.name.clone(),
            rows: t.train.len(),
        })
        .collect();
    let balance = match settings.balance {
        Balance::None => signal_domains::Balance::None,
        Balance::Class => signal_domains::Balance::Class,
    };
    Sampler::new(settings.seed, settings.batch, balance, &sources, &targets).map_err(data_error)
}
