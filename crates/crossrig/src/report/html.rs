//! The frame of the page, and the one place where text becomes HTML.

use std::fmt::Write as _;

/// Text for elements and attribute values. Control characters, which no XML may hold, become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The whole file around `body`.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>crossrig: {}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("style.css"),
    )
}

/// A section with a heading; nothing where there is nothing inside.
pub fn section(heading: &str, inside: &str) -> String {
    if inside.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{}</h2>\n{inside}</section>\n", escape(heading))
}

/// A drawing with its title, what to see in it, and its legend (HTML as it stands).
pub struct Figure<'a> {
    pub title: &'a str,
    pub caption: &'a str,
    pub legend: &'a str,
    pub drawing: &'a str,
}

impl Figure<'_> {
    /// The element, as wide as its column.
    pub fn html(&self) -> String {
        format!(
            "<figure>\n<figcaption><b>{}</b>{}</figcaption>\n{}{}</figure>\n",
            escape(self.title),
            escape(self.caption),
            self.legend,
            self.drawing
        )
    }
}

/// Figures side by side.
pub fn pair(figures: &[String]) -> String {
    if figures.is_empty() {
        String::new()
    } else {
        format!("<div class=\"pair\">\n{}</div>\n", figures.concat())
    }
}

/// A legend of samples (SVG as it stands, `width` by 14, centred at 15) and their names.
pub fn legend(width: u32, entries: &[(String, String)]) -> String {
    let left = 15 - width / 2;
    let mut out = String::from("<div class=\"legend\">");
    for (sample, name) in entries {
        let _ = write!(
            out,
            "<span><svg viewBox=\"{left} 0 {width} 14\" width=\"{width}\" height=\"14\" aria-hidden=\"true\">{sample}</svg>{}</span>",
            escape(name)
        );
    }
    out + "</div>\n"
}

/// A paragraph of small print.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

/// A share as percent with one decimal, or a dash.
pub fn percent(share: Option<f64>) -> String {
    share
        .filter(|s| s.is_finite())
        .map_or_else(|| "\u{2013}".into(), |s| format!("{:.1}\u{a0}%", 100.0 * s))
}

/// A sentence: full stop at the end, first letter large, unless the first word may be a name (of a domain, a file).
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let plain = text
        .split(' ')
        .next()
        .is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let mut letters = text.chars();
    let mut out: String = match letters.next().filter(|_| plain) {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => text.to_owned(),
    };
    if !out.is_empty() && !out.ends_with(['.', '!', '?', ':']) {
        out.push('.');
    }
    out
}
