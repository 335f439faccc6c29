//! A writer of SVG: just the elements that the charts need, numbers short, text escaped.

use std::fmt::Write as _;

use super::html::escape;
use super::palette::Marker;

/// A drawing of `width` by `height` units that scales with the page.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where text is held.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A piece of text.
pub struct Text<'a> {
    pub x: f64,
    pub y: f64,
    pub content: &'a str,
    pub anchor: Anchor,
    pub size: f64,
    pub colour: &'a str,
    /// Degrees, clockwise around (x, y).
    pub turn: f64,
    pub bold: bool,
}

impl<'a> Text<'a> {
    /// Small grey text, as on axes.
    pub fn new(x: f64, y: f64, content: &'a str, anchor: Anchor) -> Self {
        Self {
            x,
            y,
            content,
            anchor,
            size: 11.0,
            colour: super::palette::MUTED,
            turn: 0.0,
            bold: false,
        }
    }
}

impl Svg {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// Adds an element as it stands.
    pub fn raw(&mut self, element: &str) {
        self.body += element;
        self.body.push('\n');
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dash: &str) {
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(r#" stroke-dasharray="{dash}""#)
        };
        self.raw(&format!(
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{colour}"{dash}/>"#,
            n(from.0),
            n(from.1),
            n(to.0),
            n(to.1)
        ));
    }

    /// A rectangle; `attributes` as they stand.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, attributes: &str) {
        self.raw(&format!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" {attributes}/>"#,
            n(x),
            n(y),
            n(width.max(0.0)),
            n(height.max(0.0))
        ));
    }

    /// A path; `attributes` as they stand.
    pub fn path(&mut self, d: &str, attributes: &str) {
        if !d.is_empty() {
            self.raw(&format!(r#"<path d="{d}" {attributes}/>"#));
        }
    }

    /// Text.
    pub fn text(&mut self, t: &Text) {
        let anchor = match t.anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let turn = if t.turn == 0.0 {
            String::new()
        } else {
            format!(r#" transform="rotate({} {} {})""#, n(t.turn), n(t.x), n(t.y))
        };
        let bold = if t.bold { r#" font-weight="600""# } else { "" };
        self.raw(&format!(
            r#"<text x="{}" y="{}" font-size="{}" fill="{}"{anchor}{bold}{turn}>{}</text>"#,
            n(t.x),
            n(t.y),
            n(t.size),
            t.colour,
            escape(t.content)
        ));
    }

    /// The finished element, `label` for those who do not see it.
    pub fn finish(self, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            n(self.width),
            n(self.height),
            escape(label),
            self.body
        )
    }
}

/// A number with at most two decimals; what is not finite, and so cannot be drawn, becomes 0.
pub fn n(x: f64) -> String {
    if !x.is_finite() {
        return "0".into();
    }
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

/// Adds a marker of radius `r` around (x, y) to the data of a path.
pub fn mark(path: &mut String, marker: Marker, x: f64, y: f64, r: f64) {
    // areas alike, so that no class looks heavier than another
    let _ = match marker {
        Marker::Circle => write!(
            path,
            "M{} {}a{r} {r} 0 1 0 {} 0a{r} {r} 0 1 0 {} 0z",
            n(x - r),
            n(y),
            n(2.0 * r),
            n(-2.0 * r)
        ),
        Marker::Square => {
            let s = 0.9 * r;
            write!(
                path,
                "M{} {}h{}v{}h{}z",
                n(x - s),
                n(y - s),
                n(2.0 * s),
                n(2.0 * s),
                n(-2.0 * s)
            )
        }
        Marker::Triangle => {
            write!(
                path,
                "M{} {}l{} {}h{}z",
                n(x),
                n(y - 1.25 * r),
                n(1.15 * r),
                n(2.1 * r),
                n(-2.3 * r)
            )
        }
        Marker::Down => {
            write!(
                path,
                "M{} {}l{} {}h{}z",
                n(x),
                n(y + 1.25 * r),
                n(1.15 * r),
                n(-2.1 * r),
                n(-2.3 * r)
            )
        }
        Marker::Diamond => {
            let s = 1.25 * r;
            write!(
                path,
                "M{} {}l{} {}l{} {}l{} {}z",
                n(x),
                n(y - s),
                n(s),
                n(s),
                n(-s),
                n(s),
                n(-s),
                n(-s)
            )
        }
        Marker::Plus => {
            let s = 1.2 * r;
            write!(
                path,
                "M{} {}h{}M{} {}v{}",
                n(x - s),
                n(y),
                n(2.0 * s),
                n(x),
                n(y - s),
                n(2.0 * s)
            )
        }
        Marker::Cross => {
            write!(
                path,
                "M{} {}l{} {}m{} 0l{} {}",
                n(x - r),
                n(y - r),
                n(2.0 * r),
                n(2.0 * r),
                n(-2.0 * r),
                n(2.0 * r),
                n(-2.0 * r)
            )
        }
        Marker::Dash => write!(path, "M{} {}h{}", n(x - r), n(y), n(2.0 * r)),
    };
}

/// Width of a text in units, estimated: fonts differ, so a little generously.
pub fn width(text: &str, size: f64) -> f64 {
    0.58 * size * text.chars().count() as f64
}

/// `text` cut to `most` characters, an ellipsis in its middle: names of one family differ at their ends.
pub fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let head = most.saturating_sub(1) / 2;
    let tail = length - (most.saturating_sub(1) - head);
    text.chars()
        .take(head)
        .chain(['\u{2026}'])
        .chain(text.chars().skip(tail))
        .collect()
}
