//! Curves over epochs, or over a share.

use std::fmt::Write as _;

use super::axis::{Axis, range};
use super::palette::{GRID, INK, MUTED, Style};
use super::svg::{Anchor, Svg, Text, mark, n};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 250.0;
/// Plot area.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 508.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 208.0;

/// One curve.
pub struct Curve {
    pub name: String,
    pub style: Style,
    /// Epoch (or share, %) and value.
    pub points: Vec<(f64, f64)>,
}

/// The horizontal axis.
#[derive(Clone, Copy)]
pub enum Along {
    /// Epochs of a run.
    Epochs {
        /// first and last epoch, also where no curve has a value
        first: f64,
        last: f64,
        /// the last epoch of the warm-up
        warmup: Option<usize>,
    },
    /// 0 to 100 %, and what of.
    Share(&'static str),
}

/// A chart of curves.
pub struct Chart<'a> {
    pub curves: &'a [Curve],
    /// Label of the vertical axis, with its unit.
    pub y_label: &'a str,
    /// Range of the vertical axis; `None`: from 0 to just above the largest value.
    pub y_range: Option<(f64, f64)>,
    /// A value to compare with, and what it is.
    pub reference: Option<(f64, String)>,
    pub along: Along,
}

impl Chart<'_> {
    /// The drawing; `label` says what it shows.
    pub fn draw(&self, label: &str) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT);
        let x = match self.along {
            // half an epoch of air on both sides keeps markers off the frame
            Along::Epochs { first, last, .. } => Axis::new(first - 0.5, last + 0.5, LEFT, RIGHT),
            Along::Share(_) => Axis::new(0.0, 102.0, LEFT, RIGHT),
        };
        let (low, high) = self.y_range.unwrap_or_else(|| {
            let (low, high) = range(self.curves.iter().flat_map(|c| &c.points).map(|p| p.1)).unwrap_or((0.0, 1.0));
            (low.min(0.0), if high > 0.0 { high * 1.05 } else { 1.0 })
        });
        let y = Axis::new(low, high, BOTTOM, TOP);

        if let Along::Epochs {
            first,
            last,
            warmup: Some(warmup),
        } = self.along
            && warmup as f64 >= first
        {
            let end = x.at((warmup as f64 + 0.5).min(last + 0.5));
            svg.rect(LEFT, TOP, end - LEFT, BOTTOM - TOP, r##"fill="#f1f3f5""##);
            // half way up on the right: losses have come down by then, accuracies have risen
            let (x, anchor) = if end - LEFT > 60.0 {
                (end - 5.0, Anchor::End)
            } else {
                (end + 5.0, Anchor::Start)
            };
            svg.text(&Text {
                size: 10.0,
                ..Text::new(x, TOP + 0.45 * (BOTTOM - TOP), "warm-up", anchor)
            });
        }
        for (value, text) in y.ticks(5) {
            svg.line((LEFT, y.at(value)), (RIGHT, y.at(value)), GRID, "");
            svg.text(&Text::new(LEFT - 7.0, y.at(value) + 4.0, &text, Anchor::End));
        }
        for (value, text) in x.whole_ticks(8) {
            svg.line((x.at(value), BOTTOM), (x.at(value), BOTTOM + 4.0), MUTED, "");
            svg.text(&Text::new(x.at(value), BOTTOM + 17.0, &text, Anchor::Middle));
        }
        svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), MUTED, "");
        let middle = 0.5 * (LEFT + RIGHT);
        let name = match self.along {
            Along::Epochs { .. } => "epoch",
            Along::Share(name) => name,
        };
        svg.text(&Text {
            colour: INK,
            ..Text::new(middle, HEIGHT - 6.0, name, Anchor::Middle)
        });
        let height = 0.5 * (TOP + BOTTOM);
        svg.text(&Text {
            colour: INK,
            turn: -90.0,
            ..Text::new(13.0, height, self.y_label, Anchor::Middle)
        });

        for curve in self.curves {
            draw_curve(&mut svg, curve, &x, &y);
        }
        if let Some((value, text)) = &self.reference {
            svg.line((LEFT, y.at(*value)), (RIGHT, y.at(*value)), INK, "3 3");
            // on a ground of its own: curves may run through
            let width = super::svg::width(text, 10.0);
            svg.rect(
                RIGHT - width - 6.0,
                y.at(*value) + 3.0,
                width + 4.0,
                14.0,
                r##"fill="#fff" fill-opacity="0.85""##,
            );
            let place = Text::new(RIGHT - 4.0, y.at(*value) + 13.0, text, Anchor::End);
            svg.text(&Text {
                size: 10.0,
                colour: INK,
                ..place
            });
        }
        svg.finish(label)
    }
}

fn draw_curve(svg: &mut Svg, curve: &Curve, x: &Axis, y: &Axis) {
    let Style {
        colour, dash, marker, ..
    } = curve.style;
    let (mut line, mut marks, mut pen_down) = (String::new(), String::new(), false);
    // a dozen markers tell curves apart; more would hide them
    let every = curve.points.len().div_ceil(12).max(1);
    for (i, (epoch, value)) in curve.points.iter().enumerate() {
        if !(epoch.is_finite() && value.is_finite()) {
            pen_down = false;
            continue;
        }
        let (px, py) = (x.at(*epoch), y.at(*value));
        let _ = write!(line, "{}{} {}", if pen_down { 'L' } else { 'M' }, n(px), n(py));
        pen_down = true;
        if i % every == 0 || i + 1 == curve.points.len() {
            mark(&mut marks, marker, px, py, 3.2);
        }
    }
    svg.path(
        &line,
        &format!(r#"fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round" stroke-dasharray="{dash}""#),
    );
    svg.path(
        &marks,
        &format!(r##"fill="#fff" stroke="{colour}" stroke-width="1.6""##),
    );
}
