use signal_conditioning::{Verdict, window_starts};

use super::{RuleModel, SpeedNote, race_scores, settle_speed};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::task::{WindowRef, at_rate};

/// Brings a recording to the rule's rate and settles its speed.
///
/// # Errors
/// A recording that cannot be resampled, or is shorter than a window.
pub fn prepare_for_rule(model: &RuleModel, signal: &mut Signal) -> Result<Option<SpeedNote>> {
    at_rate(signal, Some(model.rate_hz))?;
    let (have, need) = (signal.samples.len(), model.settings.signal.window);
    if have < need {
        return Err(Error::input(format!(
            "{}: {have} samples at {} Hz, shorter than the rule's window of {need}",
            signal.file, model.rate_hz
        )));
    }
    Ok(settle_speed(signal))
}

/// The verdicts of a saved rule on the windows of prepared recordings.
///
/// # Errors
/// As [`race_scores`].
pub fn classify_by_rule(model: &RuleModel, signals: &[Signal]) -> Result<(Vec<WindowRef>, Vec<Verdict>)> {
    let settings = &model.settings.signal;
    let mut windows = Vec::new();
    for (recording, s) in signals.iter().enumerate() {
        let starts =
            window_starts(s.samples.len(), &settings.windowing()).map_err(|e| Error::Machine(e.to_string()))?;
        windows.extend(starts.into_iter().map(|start| WindowRef { recording, start }));
    }
    let verdicts = race_scores(signals, &windows, settings.window)?
        .iter()
        .map(|scores| model.tau.decide(scores))
        .collect();
    Ok((windows, verdicts))
}
