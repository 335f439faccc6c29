use signal_conditioning::DefectOrderScores;

use super::{RuleModel, SpeedNote, check_known, race_scores, settle_speed};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::task::{WindowRef, at_rate, windows_of};

/// Brings a recording to the rule's rate and settles its speed.
///
/// # Errors
/// A recording of which bearing, speed or rate are not known, that cannot be resampled, or is shorter than a window.
pub fn prepare_for_rule(model: &RuleModel, signal: &mut Signal) -> Result<Option<SpeedNote>> {
    at_rate(signal, Some(model.rate_hz))?;
    check_known(signal, model.settings.needs(), "the rule")?;
    let note = settle_speed(signal);
    let window = model.settings.signal.window;
    let (have, need) = (signal.samples.len(), window.samples(&signal.meta)?);
    if have < need {
        return Err(Error::input(format!(
            "{}: {have} samples at {} Hz, shorter than the rule's window of {need}",
            signal.file, model.rate_hz
        )));
    }
    Ok(note)
}

/// The windows of prepared recordings, and what is found in them for a saved rule.
///
/// # Errors
/// As [`race_scores`].
pub fn analyse_for_rule(model: &RuleModel, signals: &[Signal]) -> Result<Vec<(WindowRef, DefectOrderScores)>> {
    let windows = windows_of(signals, &model.settings.signal)?;
    let scores = race_scores(signals, &windows)?;
    Ok(windows.into_iter().zip(scores).collect())
}
