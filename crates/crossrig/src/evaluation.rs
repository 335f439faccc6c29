//! A trained network on the windows that are scored: predictions, scores, and what can be seen of its features.

use adaptation_metrics::proxy_a_distance;

use crate::baselines::{MOST_WINDOWS, at_most, score_targets};
use crate::class_mix::histogram;
use crate::error::{Error, Result};
use crate::feature_map::{DomainFeatures, feature_maps};
use crate::metrics::{DomainAccuracy, Scores};
use crate::network::{Network, Outputs};
use crate::options::Score;
use crate::pieces::Probabilities;
use crate::preprocess::{DomainInput, input_tensor};
use crate::report::FeatureMap;
use crate::settings::Settings;
use crate::task::{Domain, Task, Truth, WindowRef};
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
    inputs: &'a [DomainInput],
    scored: Vec<Vec<WindowRef>>,
    /// The source's validation windows, prepared.
    pub validation: Validation,
}

impl<'a> Evaluation<'a> {
    /// Prepares the source's validation windows.
    pub fn new(
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
