use signal_conditioning::{
    DefectOrderParameters, Evidence, RaceRule, Tail, Verdict, Windowing, defect_orders, window_starts,
};

use super::{ABSTENTION, PIECE_SECONDS, race_scores};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::task::WindowRef;

/// What physics says of a recording, without any learning.
#[derive(Clone, Debug)]
pub struct FileEvidence {
    /// The verdict of most pieces of 1 s.
    pub verdict: Verdict,
    /// Share of the pieces that say so.
    pub agreement: f64,
    /// Number of pieces.
    pub pieces: usize,
    /// Where the piece that is shown begins, s: the one whose scores are the middle of those that agree with the verdict.
    pub shown_s: f64,
    /// What its envelope spectrum shows.
    pub evidence: Evidence,
}

impl FileEvidence {
    /// The verdict in words.
    pub fn named(&self) -> &'static str {
        match self.verdict {
            Verdict::InnerRace => "inner race",
            Verdict::OuterRace => "outer race",
            Verdict::NoRaceFault => ABSTENTION,
        }
    }

    /// The evidence, a line for each family.
    pub fn words(&self) -> Vec<String> {
        self.evidence.to_string().lines().map(str::to_owned).collect()
    }
}

/// The evidence of a recording whose bearing and speed are known, by a rule.
///
/// # Errors
/// A recording without rate, geometry or speed, or shorter than a piece of 1 s.
pub fn evidence_of(signal: &Signal, rule: RaceRule) -> Result<FileEvidence> {
    let rate_hz = signal.meta.rate_hz.unwrap_or(0.0);
    let window = (PIECE_SECONDS * rate_hz).round() as usize;
    let samples = signal.samples.len();
    if rate_hz > 0.0 && samples < window {
        let message = format!(
            "{}: {samples} samples, shorter than a piece of {PIECE_SECONDS} s",
            signal.file
        );
        return Err(Error::input(message));
    }
    let windowing = Windowing {
        length: window.max(1),
        hop: window.max(1),
        tail: Tail::Drop,
    };
    let starts = window_starts(samples, &windowing).map_err(|e| Error::Machine(e.to_string()))?;
    let piece = |start| WindowRef {
        recording: 0,
        start,
        length: window,
    };
    let windows: Vec<WindowRef> = starts.into_iter().map(piece).collect();
    let scores = race_scores(std::slice::from_ref(signal), &windows)?;
    let verdict = rule
        .vote(&scores)
        .ok_or_else(|| Error::input(format!("{}: no piece of {PIECE_SECONDS} s", signal.file)))?;
    let race = |i: usize| scores[i].families[0].z.max(scores[i].families[1].z);
    let mut agreeing: Vec<usize> = (0..scores.len())
        .filter(|&i| rule.decide(&scores[i]) == verdict)
        .collect();
    agreeing.sort_by(|&a, &b| race(a).total_cmp(&race(b)));
    let shown = agreeing[agreeing.len() / 2];
    let (Some(geometry), Some(shaft_hz)) = (signal.meta.geometry, signal.meta.shaft_hz) else {
        return Err(Error::Machine("scores without a bearing".into()));
    };
    let start = windows[shown].start;
    let orders = defect_orders(
        &signal.samples.read_first(start, window)?,
        rate_hz,
        shaft_hz,
        &geometry,
        &DefectOrderParameters::default(),
    )
    .map_err(|e| Error::input(format!("{}: {e}", signal.file)))?;
    Ok(FileEvidence {
        verdict,
        agreement: agreeing.len() as f64 / scores.len() as f64,
        pieces: scores.len(),
        shown_s: start as f64 / rate_hz,
        evidence: orders.evidence(),
    })
}

/// The envelope spectrum with the lines of each defect, as an SVG file.
pub fn picture(found: &FileEvidence, file: &str) -> String {
    let title = format!("{file}, second {:.0}: {}", found.shown_s, found.named());
    crate::report::evidence_svg(&found.evidence, &title)
}
