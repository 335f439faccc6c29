//! What an engineer trusts: the envelope spectra behind the verdicts.

use super::envelope;
use super::html::{Figure, note, section};
use super::{EvidencePanel, Report};

/// Envelope spectra of some recordings of the target.
pub fn section_of(report: &Report) -> String {
    if report.evidence.is_empty() {
        return String::new();
    }
    let figures: String = report.evidence.iter().map(figure).collect();
    let explanation = "The spectrum of the envelope of one piece of a recording, in dB above its background, with the lines that a damaged inner race, \
                       outer race or ball would have at this bearing's geometry and speed. No training is behind it, only the geometry and one \
                       threshold. For each thing that the rule says of a target, the recording of which \
                       most pieces say so, and one on which the network says something else.";
    section("Evidence", &(note(explanation) + &figures))
}

fn figure(panel: &EvidencePanel) -> String {
    let title = format!("{}, {}: {}", panel.domain, panel.file, panel.verdict);
    let mut caption = panel.words.join(". ");
    if !caption.is_empty() {
        caption.push('.');
    }
    if let Some(network) = &panel.network {
        caption += &format!(" The network says {network}.");
    }
    let drawing = envelope::draw(&panel.evidence, &format!("{title}, second {:.0}", panel.shown_s));
    Figure {
        title: &title,
        caption: &caption,
        legend: "",
        drawing: &drawing,
    }
    .html()
}
