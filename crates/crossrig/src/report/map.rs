//! Maps of features: where windows of different domains and classes lie.

use super::axis::{Axis, range};
use super::palette::{GRID, INK, Marker, UNKNOWN, numbered};
use super::svg::{Anchor, Svg, Text, mark};
use super::{FeatureMap, Layout};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 512.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 358.0;

/// What colour and marker of a point stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its domain.
    Domain,
    /// Its class; points of the first `sources` domains are filled, others hollow.
    Class { sources: usize },
}

/// The drawing; `label` says what it shows.
pub fn draw(map: &FeatureMap, by: By, label: &str) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let margins = |i: usize, from, to| {
        let (low, high) = range(map.points.iter().map(|p| p[i])).unwrap_or((0.0, 1.0));
        let air = 0.04 * (high - low);
        Axis::new(low - air, high + air, from, to)
    };
    let (x, y) = (margins(0, LEFT, RIGHT), margins(1, BOTTOM, TOP));
    svg.rect(
        LEFT,
        TOP,
        RIGHT - LEFT,
        BOTTOM - TOP,
        &format!(r#"fill="none" stroke="{GRID}""#),
    );
    for (value, text) in x.ticks(6) {
        svg.line((x.at(value), TOP), (x.at(value), BOTTOM), GRID, "");
        svg.text(&Text::new(x.at(value), BOTTOM + 16.0, &text, Anchor::Middle));
    }
    for (value, text) in y.ticks(6) {
        svg.line((LEFT, y.at(value)), (RIGHT, y.at(value)), GRID, "");
        svg.text(&Text::new(LEFT - 6.0, y.at(value) + 4.0, &text, Anchor::End));
    }
    let name = |i: usize| match map.layout {
        Layout::Principal { explained } => {
            format!("component {} ({:.0} % of the variance)", i + 1, 100.0 * explained[i])
        }
        Layout::Neighbours => format!("t-SNE {} (no unit)", i + 1),
    };
    svg.text(&Text {
        colour: INK,
        ..Text::new(0.5 * (LEFT + RIGHT), HEIGHT - 8.0, &name(0), Anchor::Middle)
    });
    let place = Text {
        colour: INK,
        turn: -90.0,
        ..Text::new(11.0, 0.5 * (TOP + BOTTOM), "", Anchor::Middle)
    };
    svg.text(&Text {
        content: &name(1),
        ..place
    });

    for layer in layers(map, by) {
        let mut path = String::new();
        for &i in &layer.points {
            let [px, py] = map.points[i];
            if px.is_finite() && py.is_finite() {
                mark(&mut path, layer.marker, x.at(px), y.at(py), 3.0);
            }
        }
        svg.path(&path, &paint(layer.colour, layer.marker, layer.filled));
    }
    svg.finish(label)
}

/// Points drawn alike.
struct Layer {
    colour: &'static str,
    marker: Marker,
    filled: bool,
    points: Vec<usize>,
}

fn layers(map: &FeatureMap, by: By) -> Vec<Layer> {
    let mut layers: Vec<((usize, bool), Layer)> = Vec::new();
    for i in 0..map.points.len() {
        let domain = map.domain.get(i).copied().unwrap_or(0);
        let class = map.class.get(i).copied().flatten();
        let (number, filled, (colour, marker)) = match by {
            By::Domain => (domain, true, numbered(domain)),
            By::Class { sources } => (
                class.unwrap_or(usize::MAX),
                domain < sources,
                class.map_or(UNKNOWN, numbered),
            ),
        };
        match layers.iter_mut().find(|(key, _)| *key == (number, filled)) {
            Some((_, layer)) => layer.points.push(i),
            None => layers.push((
                (number, filled),
                Layer {
                    colour,
                    marker,
                    filled,
                    points: vec![i],
                },
            )),
        }
    }
    // filled markers first: hollow ones stay visible on top of them
    layers.sort_by_key(|((number, filled), _)| (!filled, *number));
    layers.into_iter().map(|(_, layer)| layer).collect()
}

/// Attributes of a layer, also for its legend.
pub fn paint(colour: &str, marker: Marker, filled: bool) -> String {
    let open = matches!(marker, Marker::Plus | Marker::Cross | Marker::Dash);
    match (open, filled) {
        // lines have no inside: a thin line stands for hollow
        (true, true) => format!(r#"fill="none" stroke="{colour}" stroke-width="2.2" stroke-opacity="0.75""#),
        (true, false) => format!(r#"fill="none" stroke="{colour}" stroke-width="1""#),
        (false, true) => format!(r##"fill="{colour}" fill-opacity="0.65" stroke="#fff" stroke-width="0.4""##),
        (false, false) => format!(r##"fill="#fff" fill-opacity="0.35" stroke="{colour}" stroke-width="1.1""##),
    }
}
