//! From a window to what the network sees: scale, representation, standardisation, f32. One path for training,
//! evaluation and prediction.

use std::borrow::Cow;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use signal_conditioning::{Grouping, Standardiser, StandardiserBuilder, represent, scale, window_starts};
use signal_domains::Family;

use crate::class_mix::{ClassMix, Guard, Variance};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::options::{Input, Scale, Standardise};
use crate::settings::SignalSettings;
use crate::task::{Domain, Task, WindowRef};
use crate::training::training_classes;

/// The representations of some windows, before standardisation: one row a window, channels side by side in it. A channel of
/// the recording may give several: the rows of its representation.
#[derive(Clone, Debug)]
pub struct Represented {
    /// All rows, one after the other.
    pub values: Vec<f64>,
    /// Number of windows.
    pub windows: usize,
    /// Channels of a window.
    pub channels: usize,
    /// Values of a channel.
    pub length: usize,
}

/// Represents windows of recordings as the settings say, each channel by itself.
///
/// # Errors
/// A representation that needs what the recording does not state.
pub fn represent_windows(
    signals: &[Signal],
    windows: &[WindowRef],
    window: usize,
    settings: &SignalSettings,
) -> Result<Represented> {
    let recipe = settings.recipe();
    let channels = signals.first().map_or(1, |s| s.channels.len()) * recipe.rows();
    let length = recipe.row_len(window);
    // scaled copies of the recordings in use, where a recording is scaled as a whole
    let scaled: Vec<Cow<'_, [Vec<f64>]>> = signals
        .par_iter()
        .map(|s| {
            if settings.scale != Scale::Recording {
                return Cow::Borrowed(s.channels.as_slice());
            }
            let mut copy = s.channels.clone();
            for c in &mut copy {
                scale(c, settings.scale_by.into());
            }
            Cow::Owned(copy)
        })
        .collect();
    let mut values = vec![0.0; windows.len() * channels * length];
    values
        .par_chunks_mut((channels * length).max(1))
        .zip(windows)
        .try_for_each(|(row, w)| {
            for (out, samples) in row
                .chunks_mut(recipe.output_len(window))
                .zip(scaled[w.recording].iter())
            {
                let piece = &samples[w.start..w.start + window];
                let r = represent(&recipe, piece, &signals[w.recording].meta)
                    .map_err(|e| Error::input(format!("{}: {e}", signals[w.recording].file)))?;
                out.copy_from_slice(&r);
            }
            Ok(())
        })
        .map(|()| Represented {
            values,
            windows: windows.len(),
            channels,
            length,
        })
}

impl Represented {
    /// The rows, one after the other.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact((self.channels * self.length).max(1))
    }

    /// Some of the rows, by number.
    pub fn select(&self, rows: &[usize]) -> Self {
        let width = self.channels * self.length;
        Self {
            values: rows
                .iter()
                .flat_map(|r| &self.values[r * width..][..width])
                .copied()
                .collect(),
            windows: rows.len(),
            ..*self
        }
    }

    /// Which values share statistics, and how many groups there are.
    pub fn grouping(&self, input: Input) -> (Grouping, usize) {
        match input {
            Input::Raw => (Grouping::PerChannel, self.channels),
            _ => (Grouping::PerBin, self.channels * self.length),
        }
    }

    /// Statistics of these rows: per bin for spectra, per channel for samples.
    pub fn statistics(parts: &[&Self], input: Input) -> Result<Standardiser> {
        let first = parts
            .first()
            .ok_or_else(|| Error::Machine("no rows to take statistics of".into()))?;
        let (grouping, groups) = first.grouping(input);
        let mut builder = StandardiserBuilder::new(groups, grouping);
        for part in parts {
            for row in part.rows() {
                builder.push(row).map_err(|e| Error::Machine(e.to_string()))?;
            }
        }
        builder.finish().map_err(|e| Error::Machine(e.to_string()))
    }

    /// Standardises every row in place.
    pub fn standardise(&mut self, by: &Standardiser) -> Result<()> {
        let width = (self.channels * self.length).max(1);
        self.values
            .par_chunks_mut(width)
            .try_for_each(|row| by.apply(row).map_err(|e| Error::Machine(e.to_string())))
    }

    /// The rows as an f32 tensor `(windows, channels, length)`.
    pub fn tensor(&self) -> Result<Tensor> {
        let values: Vec<f32> = self.values.iter().map(|&v| v as f32).collect();
        Ok(Tensor::from_vec(
            values,
            (self.windows, self.channels, self.length),
            &Device::Cpu,
        )?)
    }
}

/// What the network sees of one domain.
#[derive(Clone, Debug)]
pub struct DomainInput {
    /// Training windows `(n, channels, length)`.
    pub train: Tensor,
    /// Statistics that standardise this domain's windows.
    pub standardiser: Option<Standardiser>,
    /// Variances that a target is held against; of a source with statistics of its own.
    pub variance: Option<Variance>,
    /// What is estimated of the class mix; of a target with matched statistics.
    pub mix: Option<ClassMix>,
}

/// Training inputs of every domain of a task, with the statistics that go with them. No class of a target is read; those of the
/// sources serve to estimate whether a target's mix of classes differs.
pub fn training_inputs(task: &Task, settings: &SignalSettings) -> Result<Vec<DomainInput>> {
    let mut rows: Vec<Represented> = task
        .domains()
        .map(|d| represent_windows(&d.signals, &d.train, task.window, settings))
        .collect::<Result<_>>()?;
    let (sources, targets) = rows.split_at(task.sources.len());
    let sources: Vec<&Represented> = sources.iter().collect();
    let own = |r: &Represented| Represented::statistics(&[r], settings.input).map(Some);
    let mut prepared: Vec<(Option<Standardiser>, Option<ClassMix>)> = match settings.standardise {
        Standardise::None => vec![(None, None); rows.len()],
        Standardise::Source => {
            vec![(Some(Represented::statistics(&sources, settings.input)?), None); rows.len()]
        }
        Standardise::Domain => rows.iter().map(|r| Ok((own(r)?, None))).collect::<Result<_>>()?,
        Standardise::Matched => sources.iter().map(|r| Ok((own(r)?, None))).collect::<Result<_>>()?,
    };
    let labels: Vec<Vec<usize>> = task.sources.iter().map(training_classes).collect();
    let variances: Vec<Variance> = if settings.standardise.per_domain() && settings.input != Input::Raw {
        let each = sources.iter().zip(&labels);
        each.map(|(r, l)| Variance::of_source(r, l, settings.input))
            .collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    if settings.standardise == Standardise::Matched {
        let guard = Guard::new(&sources, &labels, task.classes.len(), settings.input)?;
        for (domain, r) in task.targets.iter().zip(targets) {
            let (mut mix, mut standardiser) = guard.look_at(&domain.name, r)?;
            if let Some(reference) = task.reference.as_ref().filter(|_| mix.differs) {
                "reference".clone_into(&mut mix.statistics);
                standardiser = by_reference(task, settings, reference, &sources, &labels, &guard.joint)?;
            }
            prepared.push((Some(standardiser), Some(mix)));
        }
    }
    let variances = variances.into_iter().map(Some).chain(std::iter::repeat(None));
    rows.iter_mut()
        .zip(prepared)
        .zip(variances)
        .map(|((r, (standardiser, mix)), variance)| {
            if let Some(s) = &standardiser {
                r.standardise(s)?;
            }
            Ok(DomainInput {
                train: r.tensor()?,
                standardiser,
                variance,
                mix,
            })
        })
        .collect()
}

/// Statistics for a target by a recording of its machine in known good state: the source's, moved by the difference between
/// that recording and the source's healthy windows. The spread stays the source's, since one condition shows none.
fn by_reference(
    task: &Task,
    settings: &SignalSettings,
    reference: &Signal,
    sources: &[&Represented],
    labels: &[Vec<usize>],
    joint: &Standardiser,
) -> Result<Standardiser> {
    let healthy = task
        .families
        .iter()
        .position(|f| *f == Some(Family::Healthy))
        .ok_or_else(|| {
            Error::input_with_hint(
                "--reference is a recording in good state, and no class of the source is one",
                "state `family = \"none\"` for the healthy class in the manifest, or leave --reference out",
            )
        })?;
    let signals = std::slice::from_ref(reference);
    let starts =
        window_starts(reference.channels[0].len(), &settings.windowing()).map_err(|e| Error::Machine(e.to_string()))?;
    let windows: Vec<WindowRef> = starts.iter().map(|&start| WindowRef { recording: 0, start }).collect();
    if windows.is_empty() {
        return Err(Error::input(format!(
            "--reference {}: shorter than a window of {} samples",
            reference.file, task.window
        )));
    }
    let there = represent_windows(signals, &windows, task.window, settings)?;
    let here: Vec<Represented> = sources
        .iter()
        .zip(labels)
        .map(|(r, l)| r.select(&(0..l.len()).filter(|&i| l[i] == healthy).collect::<Vec<_>>()))
        .collect();
    let here = Represented::statistics(&here.iter().collect::<Vec<_>>(), settings.input)?;
    let there = Represented::statistics(&[&there], settings.input)?;
    let mean = (joint.mean().iter().zip(there.mean()).zip(here.mean()))
        .map(|((joint, there), here)| joint + there - here)
        .collect();
    Standardiser::new(joint.grouping(), mean, joint.std().to_vec()).map_err(|e| Error::Machine(e.to_string()))
}

/// The network's input for some windows of a domain.
pub fn input_tensor(
    domain: &Domain,
    windows: &[WindowRef],
    window: usize,
    settings: &SignalSettings,
    standardiser: Option<&Standardiser>,
) -> Result<Tensor> {
    let mut rows = represent_windows(&domain.signals, windows, window, settings)?;
    if let Some(s) = standardiser {
        rows.standardise(s)?;
    }
    rows.tensor()
}
