//! A saved model on recordings: windows and preparation as in training.

use signal_conditioning::window_starts;

use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::model_file::Model;
use crate::network::Outputs;
use crate::options::{BatchNorm, Standardise};
use crate::preprocess::{Represented, represent_windows};
use crate::task::{WindowRef, at_rate};

/// Whose statistics prepare the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Those the model holds of its domain of this number.
    Of(usize),
    /// Estimated from the very recordings; running statistics of batch norm are those of the numbered domain.
    Themselves(usize),
}

/// What the flags ask for: a domain by name, the only target, or the files themselves.
///
/// A model without statistics per domain has nothing to choose from, and takes any.
pub fn choose_statistics(model: &Model, name: Option<&str>, restandardise: bool) -> Result<Statistics> {
    let recipe = &model.recipe;
    let same_everywhere =
        recipe.settings.batch_norm == BatchNorm::Joint && recipe.settings.signal.standardise != Standardise::Domain;
    let number = match name {
        None if same_everywhere || restandardise => recipe.statistics(None).unwrap_or(0),
        _ => recipe.statistics(name)?,
    };
    Ok(if restandardise {
        Statistics::Themselves(number)
    } else {
        Statistics::Of(number)
    })
}

/// Brings a recording to the model's rate and checks its channels.
///
/// # Errors
/// Another number of channels, a recording shorter than a window.
pub fn prepare(model: &Model, signal: &mut Signal) -> Result<()> {
    let expected = model.recipe.shape.channels;
    if signal.channels.len() != expected {
        return Err(Error::input_with_hint(
            format!(
                "{}: {} channel{}, the model was trained on {expected}",
                signal.file,
                signal.channels.len(),
                if signal.channels.len() == 1 { "" } else { "s" }
            ),
            "name the variable of each channel: --key of predict, `channels` of a manifest",
        ));
    }
    at_rate(signal, model.recipe.rate_hz)?;
    let (have, need) = (signal.channels[0].len(), model.recipe.settings.signal.window);
    if have < need {
        return Err(Error::input(format!(
            "{}: {have} samples, shorter than the model's window of {need}",
            signal.file
        )));
    }
    Ok(())
}

/// Cuts prepared recordings into windows and runs the model on them.
pub fn classify(model: &Model, signals: &[Signal], statistics: Statistics) -> Result<(Vec<WindowRef>, Outputs)> {
    let settings = &model.recipe.settings.signal;
    let mut windows = Vec::new();
    for (recording, s) in signals.iter().enumerate() {
        let starts =
            window_starts(s.channels[0].len(), &settings.windowing()).map_err(|e| Error::Machine(e.to_string()))?;
        windows.extend(starts.into_iter().map(|start| WindowRef { recording, start }));
    }
    let mut rows = represent_windows(signals, &windows, settings.window, settings)?;
    let number = match statistics {
        Statistics::Of(i) => {
            if let Some(s) = &model.recipe.domains[i].standardiser {
                rows.standardise(s)?;
            }
            i
        }
        Statistics::Themselves(i) => {
            if settings.standardise != Standardise::None {
                let own = Represented::statistics(&[&rows], settings.input)?;
                rows.standardise(&own)?;
            }
            i
        }
    };
    let outputs = model.network.run(&rows.tensor()?, Some(number))?;
    if outputs.probabilities.iter().any(|p| !p.is_finite()) {
        return Err(Error::input(
            "what the model computes of these recordings is not a number",
        ));
    }
    Ok((windows, outputs))
}
