//! What the page shows in drawings, section by section.

use super::axis::range;
use super::html::{Figure, legend, note, pair, percent, section};
use super::lines::{Along, Chart, Curve};
use super::map::By;
use super::palette::{self, Style, numbered};
use super::sections::best_simple;
use super::{Epoch, FeatureMap, Layout, Method, Model, Report, bars, map, matrix, svg};

/// Curves over epochs.
pub fn training(report: &Report) -> String {
    let mut figures = Vec::new();
    let warmup = report.adapted.as_ref().and_then(|m| {
        let epochs = m
            .history
            .iter()
            .take_while(|e| e.domain_loss.is_none() && e.lambda.is_none());
        epochs.last().map(|e| e.epoch)
    });
    let curve = |name: &str, style: Style, model: &Model, value: &dyn Fn(&Epoch) -> Option<f64>| Curve {
        name: name.to_owned(),
        style,
        points: model
            .history
            .iter()
            .filter_map(|e| Some((e.epoch as f64, value(e)?)))
            .collect(),
    };
    let numbers = || report.models().flat_map(|(m, _)| &m.history).map(|e| e.epoch as f64);
    let epochs = range(numbers()).unwrap_or((1.0, 1.0));
    let mut add = |title: &str, caption: &str, mut curves: Vec<Curve>, chart: Chart| {
        curves.retain(|c| c.points.iter().any(|p| p.1.is_finite()));
        if curves.is_empty() {
            return;
        }
        let drawing = Chart {
            curves: &curves,
            ..chart
        }
        .draw(title);
        let entries: Vec<_> = curves.iter().map(|c| (line_sample(c.style), c.name.clone())).collect();
        figures.push(
            Figure {
                title,
                caption,
                legend: &legend(30, &entries),
                drawing: &drawing,
            }
            .html(),
        );
    };
    let chart = |y_label: &'static str| Chart {
        curves: &[],
        y_label,
        y_range: None,
        reference: None,
        along: Along::Epochs {
            first: epochs.0,
            last: epochs.1,
            warmup,
        },
    };
    let percents = |e: Option<f64>| e.map(|v| 100.0 * v);

    let mut losses = Vec::new();
    let mut validation = Vec::new();
    // the dashes of source-only on top: both show where they coincide
    for (model, style) in report.models().collect::<Vec<_>>().into_iter().rev() {
        let name = if style.dash.is_empty() {
            "adapted"
        } else {
            "source-only"
        };
        losses.push(curve(&format!("label, {name}"), style, model, &|e| Some(e.label_loss)));
        validation.push(curve(name, style, model, &|e| percents(e.source_validation)));
    }
    let (mut lambda, mut domain_accuracy) = (Vec::new(), Vec::new());
    if let Some(model) = &report.adapted {
        losses.push(curve("domain, adapted", palette::DOMAIN, model, &|e| e.domain_loss));
        lambda.push(curve("lambda", palette::ADAPTED, model, &|e| e.lambda));
        domain_accuracy.push(curve("domain head", palette::DOMAIN, model, &|e| {
            percents(e.domain_accuracy)
        }));
    }
    add(
        "Losses",
        "Mean over the steps of an epoch.",
        losses,
        chart("cross-entropy (nats)"),
    );
    let full = Some((0.0, 100.0));
    add(
        "Accuracy on the source's validation windows",
        "Falls where adaptation costs the source's own classes.",
        validation,
        Chart {
            y_range: full,
            ..chart("accuracy (%)")
        },
    );
    add(
        "Domain accuracy",
        "Share of rows whose domain is named; near chance the features hide it.",
        domain_accuracy,
        Chart {
            y_range: full,
            reference: report
                .chance()
                .map(|c| (100.0 * c, format!("chance {:.0} %", 100.0 * c))),
            ..chart("accuracy (%)")
        },
    );
    add(
        "Lambda",
        "Weight of the reversed gradient, at the last step of an epoch.",
        lambda,
        chart("lambda (no unit)"),
    );
    section("Training", &pair(&figures))
}

/// Confusion matrices side by side.
pub fn confusion(report: &Report) -> String {
    let classes = report.classes.len();
    let mut figures = Vec::new();
    let mut matrices: Vec<(&Method, String)> = report.models().map(|(m, _)| (&m.method, String::new())).collect();
    if matrices.is_empty() {
        matrices.extend(best_simple(report).map(|m| (m, "Best simple method: ".to_owned())));
    }
    for (method, prefix) in matrices {
        if let Some(counts) = method.confusion(classes) {
            let title = format!("{prefix}{}", method.name);
            let caption = format!(
                "Accuracy {}, macro-F1 {}.",
                percent(method.accuracy),
                percent(method.macro_f1)
            );
            let drawing = matrix::draw(&counts, &names(report), &format!("Confusion matrix of {}", method.name));
            figures.push(
                Figure {
                    title: &title,
                    caption: &caption,
                    legend: "",
                    drawing: &drawing,
                }
                .html(),
            );
        }
    }
    if figures.is_empty() {
        return String::new();
    }
    let wide = classes > matrix::SMALL;
    let mut out = if wide {
        format!("<div class=\"wide\">\n{}</div>\n", figures.concat())
    } else {
        pair(&figures)
    };
    out += &note(
        "Rows are true classes, columns predicted ones. Large figures: percent of the row, also the shade; small ones: \
         windows. Empty cells: none. Framed: the right class.",
    );
    if report.known_classes < classes {
        out += &note("* does not occur in the source, so the model cannot name it; its windows count as wrong.");
    }
    section("Confusion matrices", &out)
}

/// Class names, those unknown to the source marked.
fn names(report: &Report) -> Vec<String> {
    let mark = |(i, name): (usize, &String)| {
        if i < report.known_classes {
            name.clone()
        } else {
            format!("{name}*")
        }
    };
    report.classes.iter().enumerate().map(mark).collect()
}

/// Recall and predicted mix by class.
pub fn classes(report: &Report) -> String {
    let classes = report.classes.len();
    let mut figures = Vec::new();
    let mut add = |id: &str,
                   title: &str,
                   caption: &str,
                   x_label: &str,
                   most: f64,
                   series: Vec<(String, Style, Vec<Option<f64>>)>| {
        if series.is_empty() {
            return;
        }
        let entries: Vec<_> = series
            .iter()
            .enumerate()
            .map(|(k, s)| (fill_sample(&format!("{id}k{k}"), s.1), s.0.clone()))
            .collect();
        let bars: Vec<bars::Bars> = series
            .into_iter()
            .map(|(_, style, shares)| bars::Bars { style, shares })
            .collect();
        let drawing = bars::draw(id, &names(report), &bars, x_label, most, title);
        figures.push(
            Figure {
                title,
                caption,
                legend: &legend(30, &entries),
                drawing: &drawing,
            }
            .html(),
        );
    };

    let mut recalls: Vec<(&Method, Style)> = Vec::new();
    recalls.extend(report.adapted.iter().map(|m| (&m.method, palette::ADAPTED)));
    recalls.extend(report.source_only.iter().map(|m| (&m.method, palette::SOURCE_ONLY)));
    recalls.extend(best_simple(report).map(|m| (m, palette::SIMPLE)));
    let recall = recalls
        .iter()
        .filter_map(|(m, style)| Some((m.name.clone(), *style, m.recall(classes)?)))
        .collect();
    add(
        "recall",
        "Recall by class",
        "Share of each class's windows that are found.",
        "recall (%)",
        1.0,
        recall,
    );

    let mut mix: Vec<(String, Style, Vec<Option<f64>>)> = Vec::new();
    for (model, style) in [
        (&report.adapted, palette::ADAPTED),
        (&report.source_only, palette::SOURCE_ONLY),
    ] {
        if let Some(m) = model.as_ref().filter(|m| !m.predicted_mix.is_empty()) {
            mix.push((
                m.method.name.clone(),
                style,
                m.predicted_mix.iter().copied().map(Some).collect(),
            ));
        }
    }
    let truth = report.methods().find_map(|m| m.confusion(classes));
    if let Some(counts) = truth.filter(|_| !mix.is_empty()) {
        let rows: Vec<u64> = counts.iter().map(|row| row.iter().sum()).collect();
        let all: u64 = rows.iter().sum();
        let shares = rows.iter().map(|n| Some(*n as f64 / all.max(1) as f64)).collect();
        mix.push(("truth".into(), palette::TRUTH, shares));
    }
    let caption = "What the target would be made of if the predictions were right. A class that nobody expects there, or \
                   one class only, is a sign of trouble.";
    let most = range(mix.iter().flat_map(|m| m.2.iter().flatten().copied())).map_or(1.0, |r| r.1);
    add(
        "mix",
        "Predicted classes in the target",
        caption,
        "share of the target's windows (%)",
        most,
        mix,
    );
    section("Class by class", &pair(&figures))
}

/// Maps of features.
pub fn maps(report: &Report) -> String {
    let maps: Vec<(&Model, &FeatureMap)> = report
        .models()
        .flat_map(|(m, _)| m.maps.iter().map(move |f| (m, f)))
        .collect();
    if maps.is_empty() {
        return String::new();
    }
    let principal = |map: &FeatureMap| matches!(map.layout, Layout::Principal { .. });
    let rows = |by: By, what: &str| -> String {
        let row = |wanted: bool| {
            let figures: Vec<String> = maps
                .iter()
                .filter(|(_, map)| principal(map) == wanted)
                .map(|(m, map)| {
                    let how = if wanted { "principal components" } else { "t-SNE" };
                    let title = format!("{}: by {what}, {how}", m.method.name);
                    Figure {
                        title: &title,
                        caption: "",
                        legend: "",
                        drawing: &map::draw(map, by, &format!("Features of {} by {what}, {how}", m.method.name)),
                    }
                    .html()
                })
                .collect();
            pair(&figures)
        };
        row(true) + &row(false)
    };
    let sources = report.sources.len();
    let mut out = note(
        "Features of scored windows, each network on its own axes: on their first two principal components, and laid out by t-SNE, where \
         only who is next to whom means something. Where adaptation works, domains overlap and classes do not.",
    );
    let domain_role = |i: usize| if i < sources { "source" } else { "target" };
    let domains: Vec<_> = report
        .domains()
        .enumerate()
        .map(|(i, name)| (marker_sample(numbered(i), true), format!("{name} ({})", domain_role(i))))
        .collect();
    out += &legend(16, &domains);
    out += &rows(By::Domain, "domain");
    let classes = || maps.iter().flat_map(|(_, map)| &map.class);
    let mut entries: Vec<_> = names(report)
        .into_iter()
        .enumerate()
        .filter(|(i, _)| classes().any(|c| *c == Some(*i)))
        .map(|(i, name)| (marker_sample(numbered(i), true), name))
        .collect();
    if classes().any(Option::is_none) {
        entries.push((marker_sample(palette::UNKNOWN, true), "no label".into()));
    }
    out += &legend(16, &entries);
    out += &note("Filled: source. Hollow or thin: target.");
    out += &rows(By::Class { sources }, "class");
    section("Maps of the features", &out)
}

/// What answering only where a network is sure would gain.
pub fn coverage(report: &Report) -> String {
    let percents = |points: &[[f64; 2]]| points.iter().map(|p| (100.0 * p[0], 100.0 * p[1])).collect();
    let curves: Vec<Curve> = report
        .models()
        .filter(|(m, _)| !m.coverage.is_empty())
        .map(|(m, style)| Curve {
            name: m.method.name.clone(),
            style,
            points: percents(&m.coverage),
        })
        .collect();
    if curves.is_empty() {
        return String::new();
    }
    let title = "Accuracy among the surest windows";
    let drawing = Chart {
        curves: &curves,
        y_label: "accuracy (%)",
        y_range: Some((0.0, 100.0)),
        reference: None,
        along: Along::Share("windows answered, the surest first (%)"),
    }
    .draw(title);
    let entries: Vec<_> = curves.iter().map(|c| (line_sample(c.style), c.name.clone())).collect();
    let figure = Figure {
        title,
        caption: "At 100 % every window is answered. A curve that falls from left to right shows a confidence that is worth something; a \
                  flat one, or one that rises, shows that it is not.",
        legend: &legend(30, &entries),
        drawing: &drawing,
    };
    section("How far to trust a confidence", &pair(&[figure.html()]))
}

fn line_sample(style: Style) -> String {
    let Style {
        colour, dash, marker, ..
    } = style;
    let mut path = String::new();
    svg::mark(&mut path, marker, 15.0, 7.0, 3.2);
    format!(
        r##"<line x1="0" y1="7" x2="30" y2="7" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/><path d="{path}" fill="#fff" stroke="{colour}" stroke-width="1.6"/>"##
    )
}

fn marker_sample((colour, marker): (&str, palette::Marker), filled: bool) -> String {
    let mut path = String::new();
    svg::mark(&mut path, marker, 15.0, 7.0, 4.5);
    format!(r#"<path d="{path}" {}/>"#, map::paint(colour, marker, filled))
}

fn fill_sample(id: &str, style: Style) -> String {
    format!(
        r#"<defs>{}</defs><rect x="2" y="2" width="26" height="10" fill="url(#{id})" stroke="{}"/>"#,
        bars::pattern(id, style),
        style.colour
    )
}
