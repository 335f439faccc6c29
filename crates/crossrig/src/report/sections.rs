//! What the page says in words and tables, section by section.

use std::fmt::Write as _;

use super::html::{escape, note, percent, section, sentence};
use super::{Method, Report, tables};

/// Title, verdict, warnings, the numbers that matter most.
pub fn header(report: &Report, title: &str) -> String {
    let paragraph = |text: &String| format!("<p>{}</p>\n", escape(&sentence(text)));
    let mut out = format!("<p class=\"kicker\">crossrig report</p>\n<h1>{}</h1>\n", escape(title));
    if !report.split.is_empty() {
        let _ = writeln!(out, "<p class=\"sub\">{}</p>", escape(&sentence(&report.split)));
    }
    let mut verdicts: Vec<String> = report.verdicts.clone();
    if !report.has_labels() && !verdicts.iter().any(|v| v.contains("target accuracy unknown")) {
        verdicts.insert(0, "no target labels: target accuracy unknown".into());
    }
    let _ = writeln!(
        out,
        "<div class=\"verdict\">\n{}</div>",
        verdicts.iter().map(paragraph).collect::<String>()
    );
    if report.leaky {
        let text = "this split is leaky: windows of one recording stand in training and in test, so scores look better \
                    than they will be on new recordings";
        let _ = writeln!(out, "<div class=\"warning\">{}</div>", paragraph(&text.to_owned()));
    }
    for warning in &report.warnings {
        let _ = writeln!(
            out,
            "<div class=\"warning\"><p><b>Warning.</b> {}</p></div>",
            escape(&sentence(warning))
        );
    }
    out + &cards(report)
}

fn cards(report: &Report) -> String {
    let mut cards: Vec<(String, String)> = Vec::new();
    for (model, name) in [(&report.adapted, "adapted"), (&report.source_only, "source-only")] {
        if let Some(model) = model {
            let f1 = model.method.macro_f1;
            let value = if f1.is_some() { percent(f1) } else { "unknown".into() };
            cards.push((value, format!("macro-F1, {name}")));
        }
    }
    if let Some(best) = best_simple(report) {
        cards.push((
            percent(best.macro_f1),
            format!("macro-F1, best simple method: {}", best.name),
        ));
    }
    if let Some(model) = report.adapted.as_ref().or(report.source_only.as_ref()) {
        if model.source_validation.is_some() {
            cards.push((
                percent(model.source_validation),
                "accuracy on the source's validation windows".into(),
            ));
        }
        if model.domain_accuracy.is_some() {
            let chance = report
                .chance()
                .map_or_else(String::new, |c| format!(" (chance {})", percent(Some(c))));
            cards.push((
                percent(model.domain_accuracy),
                format!("domain accuracy of the domain head{chance}"),
            ));
        }
        if let Some(a) = model.a_distance.filter(|a| a.is_finite()) {
            let twin = report
                .source_only
                .as_ref()
                .filter(|_| report.adapted.is_some())
                .and_then(|t| t.a_distance);
            let twin = twin.map_or_else(String::new, |t| format!("; source-only {t:.2}"));
            cards.push((format!("{a:.2}"), format!("proxy A-distance, 0 (alike) to 2{twin}")));
        }
    }
    if cards.is_empty() {
        return String::new();
    }
    let card = |(value, what): (String, String)| {
        format!(
            "<div class=\"card\"><b>{}</b><span>{}</span></div>\n",
            escape(&value),
            escape(&what)
        )
    };
    format!(
        "<div class=\"cards\">\n{}</div>\n",
        cards.into_iter().map(card).collect::<String>()
    )
}

/// The simple method of the highest macro-F1, if the target has labels.
pub fn best_simple(report: &Report) -> Option<&Method> {
    let score = |m: &&Method| m.macro_f1.filter(|s| s.is_finite());
    report.simple.iter().filter(|m| score(m).is_some()).max_by(|a, b| {
        // of equals the first: it is the simpler one
        score(a)
            .unwrap_or(0.0)
            .total_cmp(&score(b).unwrap_or(0.0))
            .then(std::cmp::Ordering::Greater)
    })
}

/// The table of methods.
pub fn scores(report: &Report) -> String {
    if report.methods().next().is_none() {
        return String::new();
    }
    let explanation = if report.has_labels() {
        "\u{2605} marks the best of each column. Macro-F1 is the mean F1 over the classes present in the truth. All \
         methods are scored on the same windows; none has seen a target label."
    } else {
        "The target has no labels, so no method can be scored on it. What can be seen without labels is below."
    };
    section("Scores on the target", &(tables::methods(report) + &note(explanation)))
}

/// Accuracy by recording.
pub fn recordings(report: &Report) -> String {
    let table = tables::recordings(report);
    if table.is_empty() {
        return table;
    }
    let mut text = String::from(if report.has_labels() {
        "Below each method: share of the recording's scored windows that are named right."
    } else {
        "The target has no labels, so there is nothing to score its recordings by."
    });
    if report.recordings.iter().any(|r| r.predicted.is_some()) {
        text += " Predicted: the class of the whole recording; agreement: share of its windows with that class.";
    }
    section("Recordings", &(note(&text) + &table))
}

/// Settings and what it takes to repeat the run.
pub fn settings(report: &Report) -> String {
    let mut out = section("Settings", &tables::keys(&report.settings));
    let mut origin = String::new();
    if !report.command.is_empty() {
        let _ = writeln!(origin, "<pre>{}</pre>", escape(&report.command));
    }
    origin += &tables::keys(&report.provenance);
    out += &section("How to repeat this", &origin);
    out
}
