//! From a window to what the network sees: scale, representation, standardisation, f32. One path for training,
//! evaluation and prediction.

use std::borrow::Cow;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use signal_conditioning::{Grouping, Standardiser, StandardiserBuilder, represent, scale};

use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::options::{Input, Scale, Standardise};
use crate::settings::SignalSettings;
use crate::task::{Domain, Task, WindowRef};

/// The representations of some windows, before standardisation: one row a window, channels side by side in it.
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
    let channels = signals.first().map_or(1, |s| s.channels.len());
    let length = recipe.output_len(window);
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
            for (out, samples) in row.chunks_mut(length).zip(scaled[w.recording].iter()) {
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
    /// Statistics of these rows: per bin for spectra, per channel for samples.
    pub fn statistics(parts: &[&Self], input: Input) -> Result<Standardiser> {
        let first = parts
            .first()
            .ok_or_else(|| Error::Machine("no rows to take statistics of".into()))?;
        let (grouping, groups) = match input {
            Input::Raw => (Grouping::PerChannel, first.channels),
            Input::Spectrum | Input::LogSpectrum => (Grouping::PerBin, first.channels * first.length),
        };
        let width = first.channels * first.length;
        let mut builder = StandardiserBuilder::new(groups, grouping);
        for part in parts {
            for row in part.values.chunks_exact(width) {
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
}

/// Training inputs of every domain of a task, with the statistics that go with them. No class is read.
pub fn training_inputs(task: &Task, settings: &SignalSettings) -> Result<Vec<DomainInput>> {
    let mut rows: Vec<Represented> = task
        .domains()
        .map(|d| represent_windows(&d.signals, &d.train, task.window, settings))
        .collect::<Result<_>>()?;
    let standardisers: Vec<Option<Standardiser>> = match settings.standardise {
        Standardise::None => vec![None; rows.len()],
        Standardise::Source => {
            let sources: Vec<&Represented> = rows.iter().take(task.sources.len()).collect();
            vec![Some(Represented::statistics(&sources, settings.input)?); rows.len()]
        }
        Standardise::Domain => rows
            .iter()
            .map(|r| Represented::statistics(&[r], settings.input).map(Some))
            .collect::<Result<_>>()?,
    };
    rows.iter_mut()
        .zip(standardisers)
        .map(|(r, standardiser)| {
            if let Some(s) = &standardiser {
                r.standardise(s)?;
            }
            Ok(DomainInput {
                train: r.tensor()?,
                standardiser,
            })
        })
        .collect()
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
