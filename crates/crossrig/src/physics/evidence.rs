use signal_conditioning::{
    DefectOrderParameters, DefectOrderScores, Evidence, Meta, RaceRule, Tail, Verdict, Windowing, defect_orders,
    window_starts,
};

use super::{ABSTENTION, PIECE_SECONDS, race_scores};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::task::WindowRef;

/// What a rule says of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileVerdict {
    /// The verdict of most pieces.
    pub verdict: Verdict,
    /// Share of the pieces that say so.
    pub agreement: f64,
    /// Number of pieces.
    pub pieces: usize,
    /// The piece to show: the one whose scores are the middle of those that agree with the verdict.
    pub shown: WindowRef,
}

impl FileVerdict {
    /// Of pieces and their scores; `None` of no pieces.
    pub fn new(rule: RaceRule, pieces: &[(WindowRef, DefectOrderScores)]) -> Option<Self> {
        let scores: Vec<DefectOrderScores> = pieces.iter().map(|p| p.1).collect();
        let verdict = rule.vote(&scores)?;
        let race = |i: usize| scores[i].families[0].z.max(scores[i].families[1].z);
        let mut agreeing: Vec<usize> = (0..scores.len())
            .filter(|&i| rule.decide(&scores[i]) == verdict)
            .collect();
        agreeing.sort_by(|&a, &b| race(a).total_cmp(&race(b)));
        Some(Self {
            verdict,
            agreement: agreeing.len() as f64 / scores.len() as f64,
            pieces: scores.len(),
            shown: pieces[agreeing[agreeing.len() / 2]].0,
        })
    }

    /// The verdict in words.
    pub fn named(&self) -> &'static str {
        match self.verdict {
            Verdict::InnerRace => "inner race",
            Verdict::OuterRace => "outer race",
            Verdict::NoRaceFault => ABSTENTION,
        }
    }

    /// The evidence behind it: the envelope spectrum of the piece that is shown.
    ///
    /// # Errors
    /// A recording without rate, geometry or speed.
    pub fn evidence(self, signal: &Signal) -> Result<FileEvidence> {
        let Meta {
            rate_hz: Some(rate_hz),
            shaft_hz: Some(shaft_hz),
            geometry: Some(geometry),
        } = signal.meta
        else {
            return Err(Error::Machine("scores without a bearing".into()));
        };
        let WindowRef { start, length, .. } = self.shown;
        let samples = signal.samples.read_first(start, length)?;
        let orders = defect_orders(
            &samples,
            rate_hz,
            shaft_hz,
            &geometry,
            &DefectOrderParameters::default(),
        )
        .map_err(|e| Error::input(format!("{}: {e}", signal.file)))?;
        Ok(FileEvidence {
            verdict: self,
            shown_s: start as f64 / rate_hz,
            piece_s: (1000.0 * length as f64 / rate_hz).round() / 1000.0,
            evidence: orders.evidence(),
        })
    }
}

/// What physics says of a recording, without any learning.
#[derive(Clone, Debug)]
pub struct FileEvidence {
    /// What the rule says.
    pub verdict: FileVerdict,
    /// Where the piece that is shown begins, s.
    pub shown_s: f64,
    /// Length of a piece, s, to the millisecond.
    pub piece_s: f64,
    /// What its envelope spectrum shows.
    pub evidence: Evidence,
}

impl FileEvidence {
    /// The evidence, a line for each family.
    pub fn words(&self) -> Vec<String> {
        self.evidence.to_string().lines().map(str::to_owned).collect()
    }
}

/// The verdict of a rule on a recording whose bearing and speed are known, by its pieces of 1 s.
///
/// # Errors
/// A recording without rate, geometry or speed, or shorter than a piece.
pub fn verdict_of(signal: &Signal, rule: RaceRule) -> Result<FileVerdict> {
    let length = (PIECE_SECONDS * signal.meta.rate_hz.unwrap_or(0.0)).round() as usize;
    let windowing = Windowing {
        length: length.max(1),
        hop: length.max(1),
        tail: Tail::Drop,
    };
    let starts = window_starts(signal.samples.len(), &windowing).map_err(|e| Error::Machine(e.to_string()))?;
    let piece = |start| WindowRef {
        recording: 0,
        start,
        length,
    };
    let windows: Vec<WindowRef> = starts.into_iter().map(piece).collect();
    let scores = race_scores(std::slice::from_ref(signal), &windows)?;
    let pieces: Vec<(WindowRef, DefectOrderScores)> = windows.into_iter().zip(scores).collect();
    FileVerdict::new(rule, &pieces).ok_or_else(|| {
        Error::input(format!(
            "{}: {} samples, shorter than a piece of {PIECE_SECONDS} s",
            signal.file,
            signal.samples.len()
        ))
    })
}

/// The envelope spectrum with the lines of each defect, as an SVG file.
pub fn picture(found: &FileEvidence, file: &str) -> String {
    let title = format!("{file}, second {:.0}: {}", found.shown_s, found.verdict.named());
    crate::report::evidence_svg(&found.evidence, &title)
}

#[cfg(test)]
mod tests {
    use bearing_simulator::{Defect, Machine, simulate};

    use super::*;

    #[test]
    fn scores_that_are_known_give_the_verdict_and_the_evidence_of_the_recording_itself() {
        let machine = Machine::b();
        let samples = simulate(&machine, Defect::Inner, 0, 5.0, 5).unwrap();
        let signal = Signal {
            file: "inner".into(),
            unit: None,
            samples: vec![samples].into(),
            meta: Meta {
                rate_hz: Some(machine.rate_hz()),
                shaft_hz: Some(machine.shaft_hz()),
                geometry: Some(machine.geometry()),
            },
            sha256: String::new(),
        };
        let piece = |start| WindowRef {
            recording: 0,
            start,
            length: 12_000,
        };
        let windows: Vec<WindowRef> = (0..5).map(|k| piece(k * 12_000)).collect();
        let scores = race_scores(std::slice::from_ref(&signal), &windows).unwrap();
        let pieces: Vec<(WindowRef, DefectOrderScores)> = windows.into_iter().zip(scores).collect();
        let rule = RaceRule::default();
        let said = FileVerdict::new(rule, &pieces).unwrap();
        assert_eq!(said, verdict_of(&signal, rule).unwrap());
        assert_eq!((said.verdict, said.pieces), (Verdict::InnerRace, 5));
        // the middle of those that agree
        let z = |w: &WindowRef| {
            let of = pieces.iter().find(|p| p.0 == *w).unwrap();
            of.1.families[0].z.max(of.1.families[1].z)
        };
        let agreeing = pieces.iter().filter(|p| rule.decide(&p.1) == said.verdict);
        let below = agreeing.filter(|p| z(&p.0) < z(&said.shown)).count();
        assert_eq!(below, (said.agreement * 5.0).round() as usize / 2);
        let shown = said.evidence(&signal).unwrap();
        assert_eq!(
            (shown.shown_s, shown.piece_s),
            (said.shown.start as f64 / 12_000.0, 1.0)
        );
        assert!(shown.words()[0].starts_with("inner race"), "{:?}", shown.words());

        assert_eq!(FileVerdict::new(rule, &[]), None);
        let short = Signal {
            samples: vec![vec![0.0; 11_999]].into(),
            ..signal
        };
        let message = verdict_of(&short, rule).unwrap_err().to_string();
        assert!(
            message.contains("11999 samples, shorter than a piece of 1 s"),
            "{message}"
        );
    }
}
