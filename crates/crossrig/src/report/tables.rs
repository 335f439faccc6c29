//! Tables: methods, recordings, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::html::{escape, note, percent};
use super::{Method, Recording, Report};

/// Rows of recordings shown; the rest is in metrics.json.
const RECORDINGS: usize = 200;

/// All methods with their scores, the best marked.
pub fn methods(report: &Report) -> String {
    let methods: Vec<&Method> = report.methods().collect();
    let best = |score: fn(&Method) -> Option<f64>| {
        methods
            .iter()
            .filter_map(|m| score(m))
            .filter(|s| s.is_finite())
            .fold(f64::NEG_INFINITY, f64::max)
    };
    let (accuracy, f1) = (best(|m| m.accuracy), best(|m| m.macro_f1));
    let deep = methods.len() - report.simple.len();
    let split_domains = methods.iter().any(|m| m.domains.len() > 1);
    let mut rows = String::new();
    for (i, m) in methods.iter().enumerate() {
        let class = if i < deep { " class=\"deep\"" } else { "" };
        let kind = if i < deep { "deep network" } else { "simple" };
        let _ = writeln!(
            rows,
            "<tr{class}><td>{}</td><td class=\"text\">{kind}</td>{}{}<td>{}</td><td>{}</td></tr>",
            escape(&m.name),
            score(m.accuracy, accuracy),
            score(m.macro_f1, f1),
            thousands(m.windows()),
            thousands(m.recordings()),
        );
        for d in m.domains.iter().filter(|_| split_domains) {
            let _ = writeln!(
                rows,
                "<tr class=\"domain\"><td>{}</td><td></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&d.domain),
                percent(d.accuracy),
                percent(d.macro_f1),
                thousands(d.windows),
                thousands(d.recordings),
            );
        }
    }
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr><th>Method</th><th class=\"text\">Kind</th><th>Accuracy</th>\
         <th>Macro-F1</th><th>Windows</th><th>Recordings</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// A cell with a score; equals of the best are marked too.
fn score(value: Option<f64>, best: f64) -> String {
    let class = if value.is_some_and(|v| v >= best - 1e-12) {
        " class=\"best\""
    } else {
        ""
    };
    format!("<td{class}>{}</td>", percent(value))
}

/// A count with thin spaces between thousands.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Accuracy of each method on each recording; empty where there is nothing to show.
pub fn recordings(report: &Report) -> String {
    let methods: Vec<&Method> = report.methods().collect();
    let listed: Vec<Recording> = if report.recordings.is_empty() {
        scored_recordings(&methods)
    } else {
        report.recordings.clone()
    };
    if listed.is_empty() {
        return String::new();
    }
    let labelled = report.has_labels();
    let mut out = String::from(
        "<div class=\"scroll\"><table>\n<thead><tr><th>Recording</th><th class=\"text\">Domain</th>\
         <th class=\"text\">Class</th><th>Windows</th>",
    );
    let predicted = listed.iter().any(|r| r.predicted.is_some());
    if predicted {
        out += "<th class=\"text\">Predicted</th><th>Agreement</th>";
    }
    let columns: Vec<BTreeMap<(&str, &str), f64>> = methods.iter().map(|m| by_recording(m)).collect();
    for m in methods.iter().filter(|_| labelled) {
        let _ = write!(out, "<th>{}</th>", escape(&m.name));
    }
    out += "</tr></thead>\n<tbody>\n";
    for r in listed.iter().take(RECORDINGS) {
        let windows = if r.windows > 0 {
            thousands(r.windows)
        } else {
            "\u{2013}".into()
        };
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{windows}</td>",
            escape(&r.file),
            escape(&r.domain),
            escape(r.class.as_deref().unwrap_or("\u{2013}")),
        );
        if predicted {
            let class = escape(r.predicted.as_deref().unwrap_or("\u{2013}"));
            let _ = write!(out, "<td class=\"text\">{class}</td><td>{}</td>", percent(r.agreement));
        }
        for column in columns.iter().filter(|_| labelled) {
            let _ = write!(
                out,
                "<td>{}</td>",
                percent(column.get(&(r.domain.as_str(), r.file.as_str())).copied())
            );
        }
        out += "</tr>\n";
    }
    out += "</tbody>\n</table></div>\n";
    if listed.len() > RECORDINGS {
        out += &note(&format!(
            "{} more recordings are in metrics.json.",
            listed.len() - RECORDINGS
        ));
    }
    out
}

fn by_recording(m: &Method) -> BTreeMap<(&str, &str), f64> {
    m.domains
        .iter()
        .flat_map(|d| {
            d.accuracy_by_recording
                .iter()
                .map(|(file, a)| ((d.domain.as_str(), file.as_str()), *a))
        })
        .collect()
}

/// The recordings that the scores name.
fn scored_recordings(methods: &[&Method]) -> Vec<Recording> {
    let names: BTreeSet<(&str, &str)> = methods.iter().flat_map(|m| by_recording(m).into_keys()).collect();
    let recording = |(domain, file): (&str, &str)| Recording {
        domain: domain.to_owned(),
        file: file.to_owned(),
        ..Recording::default()
    };
    names.into_iter().map(recording).collect()
}

/// Keys and values in two columns.
pub fn keys(entries: &[(String, String)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut out = String::from("<dl class=\"keys\">\n");
    for (key, value) in entries {
        let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(key), escape(value));
    }
    out + "</dl>\n"
}
