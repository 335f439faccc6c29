//! Grouped horizontal bars of shares: per-class recall, predicted class mix.

use super::axis::Axis;
use super::palette::{Fill, GRID, INK, MUTED, Style};
use super::svg::{Anchor, Svg, Text, n, shorten, width};

const WIDTH: f64 = 520.0;
const TOP: f64 = 8.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// Most characters of a name beside the bars.
const NAME: usize = 20;

/// One series of bars.
pub struct Bars {
    pub style: Style,
    /// Shares, 0 to 1; `None`: there is none, drawn as a remark.
    pub shares: Vec<Option<f64>>,
}

/// The drawing: a group for each name, a bar for each series, an axis up to the share `most`. `id` keeps the patterns of several drawings apart.
pub fn draw(id: &str, names: &[String], series: &[Bars], x_label: &str, most: f64, label: &str) -> String {
    let left = names
        .iter()
        .map(|name| width(&shorten(name, NAME), 12.0))
        .fold(40.0, f64::max)
        + 14.0;
    // room for the value behind the longest bar
    let right = WIDTH - 52.0;
    let group = BAR * series.len() as f64 + GAP;
    let bottom = TOP + group * names.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 42.0);
    svg.raw(&patterns(id, series));

    // to the next ten percent: the ticks end where the axis does
    let x = Axis::new(0.0, (10.0 * most.clamp(0.01, 1.0)).ceil() * 10.0, left, right);
    for (value, text) in x.ticks(5) {
        svg.line((x.at(value), TOP), (x.at(value), bottom), GRID, "");
        svg.text(&Text::new(x.at(value), bottom + 16.0, &text, Anchor::Middle));
    }
    svg.text(&Text {
        colour: INK,
        ..Text::new(0.5 * (left + right), bottom + 34.0, x_label, Anchor::Middle)
    });
    for (i, name) in names.iter().enumerate() {
        let top = TOP + group * i as f64 + 0.5 * GAP;
        let middle = top + 0.5 * BAR * series.len() as f64;
        let place = Text::new(left - 8.0, middle + 4.0, "", Anchor::End);
        svg.text(&Text {
            content: &shorten(name, NAME),
            size: 12.0,
            colour: INK,
            ..place
        });
        for (k, bars) in series.iter().enumerate() {
            let y = top + BAR * k as f64;
            let value = match bars.shares.get(i).copied().flatten().filter(|s| s.is_finite()) {
                Some(share) => {
                    let end = x.at(100.0 * share.clamp(0.0, 1.0));
                    let Style { colour, .. } = bars.style;
                    let fill = format!(r#"fill="url(#{id}{k})" stroke="{colour}" stroke-width="1""#);
                    svg.rect(left, y + 1.0, end - left, BAR - 2.0, &fill);
                    (end + 5.0, percent(share))
                }
                None => (left + 5.0, "absent".to_owned()),
            };
            svg.text(&Text {
                size: 10.0,
                ..Text::new(value.0, y + BAR - 2.0, &value.1, Anchor::Start)
            });
        }
    }
    svg.line((left, TOP), (left, bottom), MUTED, "");
    svg.finish(label)
}

/// Whole percents tell these bars apart; but what is not quite all, or not quite nothing, must not read as such.
fn percent(share: f64) -> String {
    let p = 100.0 * share;
    let rounds_away = (p > 99.5 && p < 100.0) || (p > 0.0 && p < 0.5);
    if rounds_away {
        format!("{p:.1} %")
    } else {
        format!("{p:.0} %")
    }
}

/// One pattern for each series: legible in grey.
fn patterns(id: &str, series: &[Bars]) -> String {
    let mut defs = String::from("<defs>");
    for (k, bars) in series.iter().enumerate() {
        defs += &pattern(&format!("{id}{k}"), bars.style);
    }
    defs + "</defs>"
}

/// The filling of a style as a pattern element.
pub fn pattern(id: &str, style: Style) -> String {
    let c = style.colour;
    let drawing = match style.fill {
        Fill::Solid => format!(r#"<rect width="6" height="6" fill="{c}"/>"#),
        Fill::Hatched => format!(
            r##"<rect width="6" height="6" fill="#fff"/><path d="M-1 1l2 -2M0 6l6 -6M5 7l2 -2" stroke="{c}" stroke-width="{}"/>"##,
            n(1.8)
        ),
        Fill::Dotted => format!(
            r##"<rect width="6" height="6" fill="#fff"/><circle cx="1.5" cy="1.5" r="1.1" fill="{c}"/><circle cx="4.5" cy="4.5" r="1.1" fill="{c}"/>"##
        ),
        Fill::Outlined => r##"<rect width="6" height="6" fill="#fff"/>"##.to_owned(),
    };
    format!(r#"<pattern id="{id}" width="6" height="6" patternUnits="userSpaceOnUse">{drawing}</pattern>"#)
}
