//! Scores in words: the table that fits one screen, and what a reader should conclude from it.

use std::fmt::Write as _;

use crate::auto::AutoInput;
use crate::metrics::{Metrics, Scores};
use crate::options::Method;
use crate::physics::RuleDetail;
use crate::pieces::PieceScores;
use crate::recommend::OUTRUN;

/// One line of the table of methods.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Name of the method.
    pub name: String,
    /// Whether it is a simple method.
    pub simple: bool,
    /// Its scores.
    pub scores: &'a Scores,
}

/// All methods of an experiment, deep ones first.
pub fn rows(m: &Metrics) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    if let Some(a) = &m.adapted {
        rows.push(Row {
            name: format!("{} ({})", adaptation(m), extractor(m)),
            simple: false,
            scores: &a.last,
        });
    }
    if let Some(s) = &m.source_only {
        rows.push(Row {
            name: format!("source-only ({})", extractor(m)),
            simple: false,
            scores: &s.last,
        });
    }
    rows.extend(m.baselines.iter().map(|(name, scores)| Row {
        name: name.clone(),
        simple: true,
        scores,
    }));
    rows
}

fn adaptation(m: &Metrics) -> &'static str {
    match m.config.method {
        Method::DannAlternating => "alternating DANN",
        _ => "DANN",
    }
}

fn extractor(m: &Metrics) -> &str {
    m.config.extractor.name.as_deref().unwrap_or("network")
}

/// Percent with one decimal, or a dash.
pub fn percent(x: Option<f64>) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{:.1} %", 100.0 * x))
}

/// The split and the part that is scored, in words.
pub fn split_line(m: &Metrics) -> String {
    let [a, b, c] = m.fractions;
    let mut line = format!("split {} {a} / {b} / {c}", m.split);
    if let Some([a, b, c]) = m.config.source_fractions {
        line += &format!(" (source {a} / {b} / {c})");
    }
    if m.leaky {
        line += " (leaky: windows of one recording stand on both sides)";
    }
    line += if m.score == "all" {
        ", scored on all target windows, those adapted on among them (transductive)"
    } else {
        ", scored on the target's test part"
    };
    line
}

/// The table of methods with the split it came from, and the verdicts.
pub fn table(m: &Metrics) -> String {
    let mut out = String::new();
    let rows = rows(m);
    let width = rows.iter().map(|r| r.name.len()).max().unwrap_or(8).max(8);
    let _ = writeln!(
        out,
        "{} -> {}   {}",
        m.config.source.join(" + "),
        m.config.target.join(" + "),
        split_line(m)
    );
    let _ = writeln!(
        out,
        "{:width$}  {:>9}  {:>9}  {:>8}  {:>10}",
        "method", "accuracy", "macro-F1", "windows", "recordings"
    );
    for r in &rows {
        let windows: usize = r.scores.domains.values().map(|d| d.windows).sum();
        let recordings: usize = r.scores.domains.values().map(|d| d.recordings).sum();
        let _ = writeln!(
            out,
            "{:width$}  {:>9}  {:>9}  {windows:>8}  {recordings:>10}",
            r.name,
            percent(r.scores.accuracy),
            percent(r.scores.macro_f1),
        );
    }
    if let Some(pieces) = &m.pieces {
        out += &piece_table(pieces);
    }
    for (name, rule) in &m.rules {
        let _ = writeln!(out, "{name}: {}", rule_line(rule));
    }
    let mut signs = Vec::new();
    if let Some(v) = m.source_validation {
        signs.push(format!("source validation {}", percent(Some(v))));
    }
    if let Some(d) = m.domain_accuracy {
        signs.push(format!(
            "domain accuracy {} (chance {})",
            percent(Some(d.value)),
            percent(Some(d.chance))
        ));
    }
    if let Some(a) = m.a_distance {
        let twin = m.a_distance_source_only.filter(|_| m.adapted.is_some());
        signs.push(match twin {
            Some(t) => format!("A-distance {a:.2} (source-only {t:.2})"),
            None => format!("A-distance {a:.2}"),
        });
    }
    if let Some(share) = m.signs.adapted_agrees_with_source_only {
        signs.push(format!("adapted and source-only agree on {}", percent(Some(share))));
    }
    if !signs.is_empty() {
        let _ = writeln!(out, "{}", signs.join("   "));
    }
    for line in verdicts(m)
        .iter()
        .chain(&m.warnings.iter().map(|w| format!("warning: {w}")).collect::<Vec<_>>())
    {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// All methods beside the rule on the same pieces.
fn piece_table(pieces: &PieceScores) -> String {
    let mut out = String::new();
    let width = pieces.methods.keys().map(String::len).max().unwrap_or(8);
    let _ = writeln!(
        out,
        "on the same pieces of {} s (short windows vote by mean probability)",
        pieces.seconds
    );
    for (name, scores) in &pieces.methods {
        let count: usize = scores.domains.values().map(|d| d.windows).sum();
        let agreement = pieces.agreement_with_rule.get(name).map_or_else(String::new, |a| {
            format!("   agrees with the rule on {}", percent(Some(*a)))
        });
        let _ = writeln!(
            out,
            "{name:width$}  {:>9}  {:>9}  {count:>8}{agreement}",
            percent(scores.accuracy),
            percent(scores.macro_f1)
        );
    }
    for (name, rule) in &pieces.rules {
        let _ = writeln!(out, "{name}: {}", rule_line(rule));
    }
    out
}

/// A rule's threshold, and what its verdicts are worth.
fn rule_line(rule: &RuleDetail) -> String {
    let mut line = format!("tau {:.3}", rule.tau);
    if let Some([low, high]) = rule.plateau {
        line += &format!(" (source labels; {low:.3} to {high:.3} are as good)");
    }
    line += &format!("; names a race in {} of the windows", percent(Some(rule.coverage)));
    if rule.race_verdicts_right.is_some() {
        line += &format!(", right in {} of those", percent(rule.race_verdicts_right));
    }
    line += &match &rule.abstention_counts_as {
        Some(class) => format!("; \"{}\" counts as {class} in the scores", rule.abstention),
        None => format!("; \"{}\" counts as wrong in the scores", rule.abstention),
    };
    line
}

/// What the scores mean, one sentence each.
pub fn verdicts(m: &Metrics) -> Vec<String> {
    let rows = rows(m);
    let mut lines: Vec<String> = m.auto_input.iter().map(AutoInput::words).collect();
    lines.extend(adversary(m));
    lines.extend(recommendation(m));
    let f1 = |r: &Row| r.scores.macro_f1;
    if rows.iter().all(|r| f1(r).is_none()) {
        lines.push("no target labels: target accuracy unknown".to_owned());
        if let Some(mix) = m
            .predicted_mix
            .get("adapted")
            .or_else(|| m.predicted_mix.get("source_only"))
            .or_else(|| m.predicted_mix.get("logistic"))
        {
            let mut named: Vec<(f64, &str)> = mix.iter().copied().zip(m.classes.iter().map(String::as_str)).collect();
            named.sort_by(|a, b| b.0.total_cmp(&a.0));
            let shown: Vec<String> = named
                .iter()
                .filter(|(s, _)| *s >= 0.005)
                .take(6)
                .map(|(s, n)| format!("{n} {:.0} %", 100.0 * s))
                .collect();
            lines.push(format!("predicted class mix of the target: {}", shown.join(", ")));
        }
        return lines;
    }
    let points = |x: f64| format!("{:.1}", 100.0 * x);
    let deep: Vec<&Row> = rows.iter().filter(|r| !r.simple).collect();
    if let [adapted, twin] = deep[..]
        && let (Some(a), Some(b)) = (f1(adapted), f1(twin))
    {
        lines.push(match 100.0 * (a - b) {
            d if d >= 0.05 => format!("adaptation gains {} points of macro-F1 over source-only", points(a - b)),
            d if d <= -0.05 => format!(
                "adaptation LOSES {} points of macro-F1 against source-only",
                points(b - a)
            ),
            _ => "adaptation changes nothing: same macro-F1 as source-only".to_owned(),
        });
    }
    let best = |simple: bool| {
        rows.iter()
            .filter(|r| r.simple == simple)
            .filter_map(|r| f1(r).map(|v| (v, r)))
            .max_by(|a, b| a.0.total_cmp(&b.0))
    };
    if let (Some((s, simple)), Some((d, deep))) = (best(true), best(false)) {
        if s > d {
            lines.push(format!(
                "a simple method wins: {} has {} % macro-F1, {} points above the best network, {}",
                simple.name,
                points(s),
                points(s - d),
                deep.name
            ));
        } else {
            lines.push(format!(
                "the best network, {}, has {} % macro-F1, {} points above the best simple method, {}",
                deep.name,
                points(d),
                points(d - s),
                simple.name
            ));
        }
    }
    lines
}

/// What the domain loss of the last epoch says against the adaptation; no label is needed for it.
fn adversary(m: &Metrics) -> Option<String> {
    let domains = m.config.source.len() + m.config.target.len();
    outrun(m.signs.domain_loss_over_guessing?, domains)
}

/// Which model is recommended and why; with labels, how far it is from the best; and how often such a recommendation was right.
fn recommendation(m: &Metrics) -> Option<String> {
    let r = m.recommended.as_ref()?;
    let mut line = format!("recommended without looking at target labels: {} ({})", r.which, r.rule);
    for words in r
        .by_labels
        .iter()
        .map(|by| by.words(&r.which))
        .chain([r.record.words()])
    {
        line += "; ";
        line += &words;
    }
    Some(line)
}

/// An extractor that hides the domains leaves the domain head guessing: a mean loss of ln D for D domains. A loss well above
/// says that the head is wrong *and sure*: the extractor moves faster than the head follows, and the features of the domains
/// trade places instead of coming together. The accuracy, at chance in both cases, does not tell them apart.
fn outrun(over_guessing: f64, domains: usize) -> Option<String> {
    let guessing = (domains as f64).ln();
    let loss = over_guessing * guessing;
    (over_guessing > OUTRUN).then(|| {
        format!(
            "the domain head is outrun: its loss is {loss:.2} where guessing has {guessing:.2}, so the features are not aligned; \
             lower --lambda, or give the head more steps (--method dann-alternating --domain-steps N)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::outrun;

    #[test]
    fn a_domain_head_that_guesses_is_not_outrun_and_one_that_is_surely_wrong_is() {
        for domains in [2, 3, 7] {
            assert_eq!(outrun(0.0, domains), None);
            assert_eq!(outrun(1.0, domains), None);
            assert!(outrun(2.0, domains).is_some());
        }
        let words = outrun(1.37 / 2.0_f64.ln(), 2).unwrap();
        assert!(words.contains("1.37") && words.contains("0.69"), "{words}");
    }
}
