//! Colours that colour-blind readers can tell apart (Okabe and Ito 2008), each with a dash, a marker and a filling of its
//! own, so that the page also works in grey.

/// Text.
pub const INK: &str = "#1b1f24";
/// Second-rank text, axes.
pub const MUTED: &str = "#57606a";
/// Grid lines.
pub const GRID: &str = "#e3e7eb";

/// A shape for a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Down,
    Plus,
    Cross,
    Dash,
}

/// The filling of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Solid,
    Hatched,
    Dotted,
    Outlined,
}

/// How a method is drawn wherever it occurs.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub colour: &'static str,
    /// `stroke-dasharray`; empty: a full line.
    pub dash: &'static str,
    pub marker: Marker,
    pub fill: Fill,
}

/// The adapted network.
pub const ADAPTED: Style = Style {
    colour: "#0072b2",
    dash: "",
    marker: Marker::Circle,
    fill: Fill::Solid,
};
/// The source-only network.
pub const SOURCE_ONLY: Style = Style {
    colour: "#d55e00",
    dash: "6 4",
    marker: Marker::Square,
    fill: Fill::Hatched,
};
/// The best simple method.
pub const SIMPLE: Style = Style {
    colour: "#007a5a",
    dash: "2 3",
    marker: Marker::Triangle,
    fill: Fill::Dotted,
};
/// The truth.
pub const TRUTH: Style = Style {
    colour: "#57606a",
    dash: "1 2",
    marker: Marker::Diamond,
    fill: Fill::Outlined,
};
/// The domain loss, beside the label loss of [`ADAPTED`].
pub const DOMAIN: Style = Style {
    colour: "#a0527d",
    dash: "8 3 2 3",
    marker: Marker::Diamond,
    fill: Fill::Solid,
};

/// Colours for domains and classes.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d",
];
const MARKERS: [Marker; 7] = [
    Marker::Circle,
    Marker::Triangle,
    Marker::Square,
    Marker::Diamond,
    Marker::Down,
    Marker::Plus,
    Marker::Cross,
];

/// Colour and marker number `i`; the pairs repeat after 49.
pub fn numbered(i: usize) -> (&'static str, Marker) {
    (
        COLOURS[i % COLOURS.len()],
        MARKERS[(i + i / COLOURS.len()) % MARKERS.len()],
    )
}

/// What has no class.
pub const UNKNOWN: (&str, Marker) = ("#6e7781", Marker::Dash);
