//! The page as a whole: well-formed, self-contained, complete for every kind of run.

mod samples;

use super::axis::Axis;
use super::{Report, render};
use samples::{full, unlabelled, variants};

/// Checks that every tag is closed in order, attributes are quoted, ids are unique, and text holds no stray markup.
fn check_well_formed(name: &str, page: &str) {
    let page = page.strip_prefix("<!DOCTYPE html>\n").expect("starts with the doctype");
    let (before, rest) = page.split_once("<style>").expect("a style element");
    let (style, after) = rest.split_once("</style>").expect("a closed style element");
    assert!(!style.contains('<'), "{name}: markup in the style sheet");
    let page = format!("{before}{after}");
    let mut open: Vec<&str> = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    let mut rest = page.as_str();
    while let Some((text, tail)) = rest.split_once('<') {
        check_text(name, text);
        let (tag, tail) = tail
            .split_once('>')
            .unwrap_or_else(|| panic!("{name}: `<{tail}` has no end"));
        rest = tail;
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{name}: </{closed}> closes another element");
            continue;
        }
        let (tag, alone) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let (element, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            !element.is_empty() && element.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}: <{tag}>"
        );
        assert_eq!(
            attributes.matches('"').count() % 2,
            0,
            "{name}: <{tag}> has an open quote"
        );
        for (i, part) in attributes.split('"').enumerate() {
            if i % 2 == 1 {
                check_text(name, part);
            } else {
                assert!(
                    part.trim().is_empty() || part.ends_with('='),
                    "{name}: <{tag}> has `{part}`"
                );
            }
        }
        if let Some(id) = attributes
            .split_once("id=\"")
            .filter(|(before, _)| before.is_empty() || before.ends_with(' '))
        {
            let id = id.1.split('"').next().unwrap_or_default().to_owned();
            assert!(ids.insert(id.clone()), "{name}: id {id} occurs twice");
        }
        if !alone {
            open.push(element);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} not closed");
}

fn check_text(name: &str, text: &str) {
    assert!(!text.contains('>'), "{name}: stray > in `{text}`");
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split_inclusive(';').next().unwrap_or_default();
        assert!(
            ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].contains(&entity),
            "{name}: {entity}"
        );
    }
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'),
        "{name}: control character"
    );
}

#[test]
fn every_kind_of_report_is_well_formed_and_self_contained() {
    let folder = std::env::var_os("CROSSRIG_REPORT_SAMPLES").map(std::path::PathBuf::from);
    for (name, report) in variants() {
        let page = render(&report);
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.html")), &page).unwrap();
        }
        check_well_formed(name, &page);
        for outside in ["http:", "https:", "src=", "href=", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        // numbers in attributes of drawings
        for bad in ["NaN", "=\"inf", "=\"-inf", " inf ", "Infinity"] {
            assert!(!page.contains(bad), "{name}: {bad}");
        }
        assert!(page.len() < 600_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn a_full_report_has_every_section() {
    let page = render(&full());
    for heading in [
        "Scores on the target",
        "Training",
        "Losses",
        "Lambda",
        "Domain accuracy",
        "Confusion matrices",
        "Class by class",
        "Recall by class",
        "Predicted classes in the target",
        "How far to trust a confidence",
        "Maps of the features",
        "Evidence",
        "Recordings",
        "Settings",
        "How to repeat this",
    ] {
        assert!(page.contains(&format!(">{heading}<")), "{heading}");
    }
    assert!(page.contains("load0, 130.mat: outer race") && page.contains("The network says inner-007."));
    assert!(page.contains("this split is leaky") || page.contains("This split is leaky"));
    assert!(page.contains("A simple method wins"));
}

#[test]
fn without_target_labels_the_page_says_so_and_shows_no_score_of_the_target() {
    let page = render(&unlabelled());
    assert!(page.contains("No target labels: target accuracy unknown."));
    assert!(!page.contains("Confusion matrices") && !page.contains("Recall by class"));
    assert!(!page.contains("How far to trust a confidence"));
    assert!(!page.contains("\u{2605}\u{a0}"));
    assert!(page.contains("Predicted classes in the target") && page.contains("Maps of the features"));
}

#[test]
fn the_best_of_each_column_is_marked_and_ties_are_marked_together() {
    let marked = |r: &Report| render(r).matches("<td class=\"best\">").count();
    assert_eq!(marked(&full()), 2);
    let mut tie = full();
    tie.simple.push(tie.simple[2].clone());
    assert_eq!(marked(&tie), 4);
}

#[test]
fn text_from_outside_cannot_become_markup() {
    let (_, hostile) = variants()
        .into_iter()
        .find(|(name, _)| *name == "hostile")
        .expect("a hostile report");
    let page = render(&hostile);
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;so&#39; ]]&gt;"));
    assert!(!page.contains("<script"));
}

#[test]
fn ticks_are_round_few_and_inside_the_axis() {
    for (low, high) in [
        (0.0, 1.0),
        (-3.2, 8.9),
        (0.0, 1e-7),
        (1e6, 1.5e6),
        (0.5, 30.5),
        (-0.004, 0.003),
        (2.0, 2.0),
    ] {
        for count in [4, 5, 8] {
            let axis = Axis::new(low, high, 0.0, 100.0);
            let ticks = axis.ticks(count);
            assert!((2..=count + 1).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
            for (value, text) in &ticks {
                assert!(
                    (-1e-6..=100.0 + 1e-6).contains(&axis.at(*value)),
                    "{low}..{high}: {value}"
                );
                // what is printed is what is drawn
                let printed: f64 = text.replace('\u{2212}', "-").parse().unwrap();
                assert!(
                    (printed - value).abs() <= 1e-9 * (high - low).abs().max(value.abs()),
                    "{text} at {value}"
                );
            }
        }
    }
    let epochs = Axis::new(0.5, 3.5, 0.0, 1.0).whole_ticks(8);
    assert_eq!(epochs.iter().map(|t| t.1.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn long_names_keep_their_beginning_and_their_end() {
    assert_eq!(super::svg::shorten("outer race 0.021 inch", 9), "oute\u{2026}inch");
    assert_eq!(super::svg::shorten("short", 9), "short");
}
