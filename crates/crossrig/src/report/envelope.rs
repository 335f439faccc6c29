//! The picture that an engineer trusts: an envelope spectrum with the lines of each defect.

use std::fmt::Write as _;

use signal_conditioning::{DefectFamily, Evidence, STANDING_DB};

use super::axis::Axis;
use super::palette::{GRID, INK, MUTED, Marker};
use super::svg::{Anchor, Svg, Text, mark, n};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 360.0;
/// Plot area.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 846.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 314.0;

/// Colour, dash and marker of a family's lines.
fn style(family: DefectFamily) -> (&'static str, &'static str, Marker) {
    match family {
        DefectFamily::InnerRace => ("#0072b2", "", Marker::Down),
        DefectFamily::OuterRace => ("#d55e00", "7 3", Marker::Square),
        DefectFamily::RollingElement => ("#007a5a", "2 3", Marker::Circle),
    }
}

/// The envelope spectrum of a window, in dB against its background, with a vertical line at each harmonic of each family and
/// a marker on those that stand out; shaft harmonics are ticks at the bottom.
pub fn draw(evidence: &Evidence, title: &str) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let highest = evidence.spectrum_db.iter().copied().fold(20.0, f64::max) + 3.0;
    let lowest = -10.0;
    let last_hz = (evidence.spectrum_db.len().max(2) - 1) as f64 * evidence.bin_hz;
    // as far as the last harmonic that is read
    let furthest = evidence.families.iter().flat_map(|f| &f.harmonics).map(|h| h.line.hz);
    let x = Axis::new(
        0.0,
        (furthest.fold(0.0, f64::max) * 1.03).clamp(1.0, last_hz),
        LEFT,
        RIGHT,
    );
    let y = Axis::new(lowest, highest, BOTTOM, TOP);
    frame(&mut svg, &x, &y, title);

    for family in &evidence.families {
        let (colour, dash, _) = style(family.family);
        for harmonic in &family.harmonics {
            let at = x.at(harmonic.line.hz);
            svg.line(
                (at, TOP),
                (at, BOTTOM),
                colour,
                if dash.is_empty() { "none" } else { dash },
            );
        }
    }
    let mut k = 1.0;
    while x.at(k * evidence.shaft_hz) <= RIGHT {
        let at = x.at(k * evidence.shaft_hz);
        svg.line((at, BOTTOM - 5.0), (at, BOTTOM), MUTED, "");
        k += 1.0;
    }
    let mut line = String::new();
    for (bin, db) in evidence.spectrum_db.iter().enumerate() {
        let at = x.at(bin as f64 * evidence.bin_hz);
        if at > RIGHT {
            break;
        }
        let _ = write!(
            line,
            "{}{} {}",
            if line.is_empty() { 'M' } else { 'L' },
            n(at),
            n(y.at(db.max(lowest)))
        );
    }
    svg.path(&line, &format!(r#"fill="none" stroke="{INK}" stroke-width="1""#));
    for family in &evidence.families {
        let (colour, _, marker) = style(family.family);
        let mut marks = String::new();
        for harmonic in family.standing() {
            mark(&mut marks, marker, x.at(harmonic.line.hz), y.at(harmonic.line.db), 4.5);
        }
        svg.path(&marks, &format!(r##"fill="#fff" stroke="{colour}" stroke-width="2""##));
    }
    legend(&mut svg, evidence);
    svg.finish(&format!("{title}. {evidence}"))
}

fn frame(svg: &mut Svg, x: &Axis, y: &Axis, title: &str) {
    svg.text(&Text {
        size: 13.0,
        colour: INK,
        bold: true,
        ..Text::new(LEFT, 18.0, title, Anchor::Start)
    });
    for (value, text) in y.ticks(6) {
        svg.line((LEFT, y.at(value)), (RIGHT, y.at(value)), GRID, "");
        svg.text(&Text::new(LEFT - 7.0, y.at(value) + 4.0, &text, Anchor::End));
    }
    svg.line((LEFT, y.at(STANDING_DB)), (RIGHT, y.at(STANDING_DB)), MUTED, "1 3");
    for (value, text) in x.ticks(10) {
        svg.line((x.at(value), BOTTOM), (x.at(value), BOTTOM + 4.0), MUTED, "");
        svg.text(&Text::new(x.at(value), BOTTOM + 17.0, &text, Anchor::Middle));
    }
    svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), MUTED, "");
    svg.text(&Text {
        colour: INK,
        ..Text::new(
            0.5 * (LEFT + RIGHT),
            HEIGHT - 10.0,
            "frequency of the envelope, Hz",
            Anchor::Middle,
        )
    });
    svg.text(&Text {
        colour: INK,
        turn: -90.0,
        ..Text::new(13.0, 0.5 * (TOP + BOTTOM), "dB above background", Anchor::Middle)
    });
}

fn legend(svg: &mut Svg, evidence: &Evidence) {
    let mut at = LEFT;
    for family in &evidence.families {
        let (colour, dash, marker) = style(family.family);
        svg.line(
            (at, 40.0),
            (at + 24.0, 40.0),
            colour,
            if dash.is_empty() { "none" } else { dash },
        );
        let mut path = String::new();
        mark(&mut path, marker, at + 12.0, 40.0, 4.5);
        svg.path(&path, &format!(r##"fill="#fff" stroke="{colour}" stroke-width="2""##));
        let text = format!("{}: {:.1} Hz, score {:.2}", family.family.part(), family.hz, family.z);
        svg.text(&Text {
            colour: INK,
            ..Text::new(at + 30.0, 44.0, &text, Anchor::Start)
        });
        at += 240.0;
    }
    let shaft = format!("ticks: shaft {:.2} Hz", evidence.shaft_hz);
    svg.text(&Text {
        size: 10.0,
        ..Text::new(LEFT, 58.0, &shaft, Anchor::Start)
    });
    svg.text(&Text {
        size: 10.0,
        ..Text::new(
            RIGHT,
            58.0,
            "marked: stands 6 dB above background, and nothing else explains it",
            Anchor::End,
        )
    });
}
