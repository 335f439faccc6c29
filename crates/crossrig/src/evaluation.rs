//! A trained network on the windows that are scored: predictions, scores, and what can be seen of its features.

use adaptation_metrics::proxy_a_distance;

use crate::baselines::{MOST_WINDOWS, at_most, sample, score_targets};
use crate::class_mix::histogram;
use crate::error::{Error, Result};
use crate::feature_map::{DomainFeatures, feature_maps};
use crate::metrics::{DomainAccuracy, Scores};
use crate::network::{Network, Outputs};
use crate::options::Score;
use crate::pieces::Probabilities;
use crate::preprocess::DomainInput;
use crate::report::FeatureMap;
use crate::rows::Rows;
use crate::settings::Settings;
use crate::task::{Task, Truth, WindowRef};
use crate::training::{EpochRecord, Kind, Trained, Validation};

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
pub struct Evaluation<'a> {
    task: &'a Task,
    truth: &'a Truth,
    settings: &'a Settings,
    inputs: &'a [DomainInput<'a>],
    scored: &'a [Vec<WindowRef>],
    /// The source's validation windows, prepared.
    pub validation: Validation<'a>,
}

impl<'a> Evaluation<'a> {
    /// Prepares the source's validation windows.
    pub fn new(
        task: &'a Task,
        truth: &'a Truth,
        inputs: &'a [DomainInput<'a>],
        scored: &'a [Vec<WindowRef>],
        settings: &'a Settings,
    ) -> Result<Self> {
        let domains = (task.sources.iter().zip(inputs))
            .map(|(s, input)| {
                let windows = &s.domain.validation;
                let rows = Rows::new(&s.domain.signals, windows, &settings.signal).hold()?;
                let rows = rows.standardised(input.train.standardiser().cloned())?;
                Ok((rows, windows.iter().map(|w| s.classes[w.recording]).collect()))
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

    /// What a network says of windows of domain `number`, with the features of those that are `seen`, in order.
    fn outputs(&self, network: &Network, number: usize, windows: &[WindowRef], seen: &[usize]) -> Result<Outputs> {
        let Some(domain) = self.task.domains().nth(number) else {
            return Err(Error::Machine(format!("no domain {number}")));
        };
        let by = self.inputs[number].train.standardiser();
        let mut all = Outputs::default();
        Rows::new(&domain.signals, windows, &self.settings.signal).inputs(by, |x| {
            let more = network.run(x, Some(number))?;
            all.extend(more, |window| seen.binary_search(&window).is_ok());
            Ok(())
        })?;
        Ok(all)
    }

    /// Scores a trained network; nothing here goes back into it.
    pub fn result(&self, trained: Trained, kind: Kind) -> Result<ModelResult> {
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
        let windows: Vec<&[WindowRef]> = (source_windows.iter().chain(self.scored)).map(Vec::as_slice).collect();
        // of more windows the features would fill the memory
        let seen: Vec<Vec<usize>> = windows
            .iter()
            .map(|w| sample(w.len(), MOST_WINDOWS, self.settings.seed))
            .collect();
        let outputs: Vec<Outputs> = (windows.iter().zip(&seen).enumerate())
            .map(|(i, (windows, seen))| self.outputs(&network, i, windows, seen))
            .collect::<Result<_>>()?;
        let predicted: Vec<Vec<usize>> = outputs[sources..].iter().map(Outputs::labels).collect();
        let scores = score_targets(
            self.task,
            self.truth,
            self.scored,
            &predicted,
            Some(self.settings.epochs),
        )?;
        let predicted_mix = histogram(&predicted.concat(), self.task.classes.len());
        let right =
            |i: usize, o: &Outputs| o.domain.iter().filter(|d| **d == i).count() as f64 / o.domain.len().max(1) as f64;
        let domain_accuracy = (kind == Kind::Adapted).then(|| DomainAccuracy {
            value: outputs.iter().enumerate().map(|(i, o)| right(i, o)).sum::<f64>() / outputs.len() as f64,
            chance: 1.0 / outputs.len() as f64,
        });
        let source_validation = history.last().and_then(|h| h.source_validation);
        Ok(ModelResult {
            a_distance: self.a_distance(&outputs)?,
            maps: self.maps(&outputs, &windows, &seen)?,
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
                .flat_map(|o| o.features.iter().map(|&v| f64::from(v)))
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
    fn maps(&self, outputs: &[Outputs], windows: &[&[WindowRef]], seen: &[Vec<usize>]) -> Result<Vec<FeatureMap>> {
        let sources = self.task.sources.len();
        let class = |i: usize, window: usize| {
            let recording = windows[i][window].recording;
            match i.checked_sub(sources) {
                None => Some(self.task.sources[i].classes[recording]),
                Some(target) => self.truth.targets[target][recording],
            }
        };
        let width = outputs[0].width;
        let domains: Vec<DomainFeatures> = (outputs.iter().zip(seen).enumerate())
            .map(|(i, (o, seen))| DomainFeatures {
                features: &o.features,
                class: seen.iter().map(|&window| class(i, window)).collect(),
            })
            .collect();
        feature_maps(&domains, width)
    }
}
