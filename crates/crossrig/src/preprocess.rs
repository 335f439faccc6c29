//! From a window to what the network sees: scale, representation, standardisation, f32. One path for training,
//! evaluation and prediction.

use std::borrow::Cow;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use signal_conditioning::{Grouping, Standardiser, StandardiserBuilder, represent};
use signal_domains::Family;

use crate::class_mix::{ClassMix, Guard, Variance};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::options::{Input, Scale, Standardise};
use crate::rows::{InputRows, Rows};
use crate::settings::SignalSettings;
use crate::task::{Task, WindowRef, windows_of};

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
pub fn represent_windows(signals: &[Signal], windows: &[WindowRef], settings: &SignalSettings) -> Result<Represented> {
    let (recipe, (channels, length)) = (settings.recipe(), shape_of(signals, settings));
    let whole = (settings.scale == Scale::Recording).then(|| settings.scale_by.into());
    let mut values = vec![0.0; windows.len() * channels * length];
    values
        .par_chunks_mut((channels * length).max(1))
        .zip(windows)
        .try_for_each(|(row, w)| {
            let signal = &signals[w.recording];
            let samples = signal.samples.read_scaled(w.start, w.length, whole)?;
            for (out, piece) in row.chunks_mut(recipe.rows() * length).zip(&samples) {
                let r = represent(&recipe, piece, &signal.meta)
                    .map_err(|e| Error::input(format!("{}: {e}", signal.file)))?;
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

/// Channels and values of a channel that a network sees of windows of some recordings, which have equally many channels.
pub fn shape_of(signals: &[Signal], settings: &SignalSettings) -> (usize, usize) {
    let recipe = settings.recipe();
    let channels = signals.first().map_or(1, |s| s.samples.channels());
    (channels * recipe.rows(), settings.row_len())
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
        let mut gathered = Gathered::new(input);
        parts.iter().try_for_each(|part| gathered.take(part))?;
        gathered.finish()
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

/// Statistics of rows that come piece by piece.
pub struct Gathered {
    input: Input,
    builder: Option<StandardiserBuilder>,
}

impl Gathered {
    /// Of none so far.
    pub fn new(input: Input) -> Self {
        Self { input, builder: None }
    }

    /// The rows that follow.
    ///
    /// # Errors
    /// Rows of another length than before.
    pub fn take(&mut self, rows: &Represented) -> Result<()> {
        let (grouping, groups) = rows.grouping(self.input);
        let builder = self
            .builder
            .get_or_insert_with(|| StandardiserBuilder::new(groups, grouping));
        rows.rows()
            .try_for_each(|row| builder.push(row))
            .map_err(|e| Error::Machine(e.to_string()))
    }

    /// The statistics.
    ///
    /// # Errors
    /// There were no rows.
    pub fn finish(self) -> Result<Standardiser> {
        let builder = self.builder;
        let builder = builder.ok_or_else(|| Error::Machine("no rows to take statistics of".into()))?;
        builder.finish().map_err(|e| Error::Machine(e.to_string()))
    }
}

/// What the network sees of one domain.
pub struct DomainInput<'a> {
    /// Training windows, and the statistics that standardise all windows of this domain.
    pub train: InputRows<'a>,
    /// Variances that a target is held against; of a source with statistics of its own.
    pub variance: Option<Variance>,
    /// What is estimated of the class mix; of a target with matched statistics.
    pub mix: Option<ClassMix>,
}

/// Training windows of a domain on which variances and class mix are estimated, at most; evenly spread over it.
const SEEN: usize = 10_000;

/// Training inputs of every domain of a task, with the statistics that go with them. No class of a target is read; those of the
/// sources serve to estimate whether a target's mix of classes differs.
pub fn training_inputs<'a>(task: &'a Task, settings: &'a SignalSettings) -> Result<Vec<DomainInput<'a>>> {
    let rows: Vec<Rows> = task
        .domains()
        .map(|d| Rows::new(&d.signals, &d.train, settings).hold())
        .collect::<Result<_>>()?;
    let (sources, targets) = rows.split_at(task.sources.len());
    let own = |r: &Rows| r.statistics().map(Some);
    let mut prepared: Vec<(Option<Standardiser>, Option<ClassMix>)> = match settings.standardise {
        Standardise::None => vec![(None, None); rows.len()],
        Standardise::Source => {
            let mut joint = Gathered::new(settings.input);
            sources.iter().try_for_each(|r| r.gather(&mut joint))?;
            vec![(Some(joint.finish()?), None); rows.len()]
        }
        Standardise::Domain => rows.iter().map(|r| Ok((own(r)?, None))).collect::<Result<_>>()?,
        Standardise::Matched => sources.iter().map(|r| Ok((own(r)?, None))).collect::<Result<_>>()?,
    };
    let mut variances = Vec::new();
    if settings.standardise.per_domain() && settings.input != Input::Raw {
        let seen: Vec<(Vec<usize>, Cow<Represented>)> =
            sources.iter().map(|r| r.evenly(SEEN)).collect::<Result<_>>()?;
        let labels: Vec<Vec<usize>> = (task.sources.iter().zip(&seen))
            .map(|(s, (numbers, _))| {
                numbers
                    .iter()
                    .map(|&i| s.classes[s.domain.train[i].recording])
                    .collect()
            })
            .collect();
        let seen: Vec<&Represented> = seen.iter().map(|s| &*s.1).collect();
        let each = seen.iter().zip(&labels);
        variances = each
            .map(|(r, l)| Variance::of_source(r, l, settings.input))
            .collect::<Result<_>>()?;
        if settings.standardise == Standardise::Matched {
            let guard = Guard::new(&seen, &labels, task.classes.len(), settings.input)?;
            for (domain, r) in task.targets.iter().zip(targets) {
                let (mut mix, mut standardiser) = guard.look_at(&domain.name, &r.evenly(SEEN)?.1)?;
                if let Some(reference) = task.reference.as_ref().filter(|_| mix.differs) {
                    "reference".clone_into(&mut mix.statistics);
                    standardiser = by_reference(task, settings, reference, &seen, &labels, &guard.joint)?;
                }
                prepared.push((Some(standardiser), Some(mix)));
            }
        }
    }
    let variances = variances.into_iter().map(Some).chain(std::iter::repeat(None));
    rows.into_iter()
        .zip(prepared)
        .zip(variances)
        .map(|((rows, (standardiser, mix)), variance)| {
            Ok(DomainInput {
                train: rows.standardised(standardiser)?,
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
    let windows = windows_of(signals, settings)?;
    if windows.is_empty() {
        return Err(Error::input(format!(
            "--reference {}: shorter than a window of {}",
            reference.file, settings.window
        )));
    }
    let there = Rows::new(signals, &windows, settings).statistics()?;
    let here: Vec<Represented> = sources
        .iter()
        .zip(labels)
        .map(|(r, l)| r.select(&(0..l.len()).filter(|&i| l[i] == healthy).collect::<Vec<_>>()))
        .collect();
    let here = Represented::statistics(&here.iter().collect::<Vec<_>>(), settings.input)?;
    let mean = (joint.mean().iter().zip(there.mean()).zip(here.mean()))
        .map(|((joint, there), here)| joint + there - here)
        .collect();
    Standardiser::new(joint.grouping(), mean, joint.std().to_vec()).map_err(|e| Error::Machine(e.to_string()))
}
