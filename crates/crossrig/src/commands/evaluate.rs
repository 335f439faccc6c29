//! `crossrig evaluate`: a saved model on labelled recordings.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use signal_conditioning::Verdict;
use signal_domains::Dataset;

use super::Context;
use crate::corpus::{self, DomainSignals, Globs};
use crate::error::{Error, Result};
use crate::inference::{Classified, Statistics, choose_statistics, classify, prepare, source_statistics};
use crate::metrics::{Scored, Scores, score};
use crate::model_file::{Model, Role};
use crate::physics::{self, ABSTENTION, RuleModel, Saved, analyse_for_rule, prepare_for_rule};
use crate::settings::Settings;
use crate::task::WindowRef;
use crate::{output, summary};

/// Flags of `evaluate`.
#[derive(Clone, Debug, Args)]
pub struct EvaluateArgs {
    /// Model that `train` saved (model.safetensors)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Data set manifest (TOML), or a folder laid out as FOLDER/<domain>/<class>/<files>
    #[arg(long, value_name = "MANIFEST|FOLDER")]
    pub data: PathBuf,
    /// Folder that holds the recordings [default: $CROSSRIG_DATA/<root>, else beside the manifest]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Domains of the data to score
    #[arg(long, value_name = "DOMAIN", num_args = 1.., value_delimiter = ',', required = true)]
    pub domain: Vec<String>,
    /// Domain of the model whose statistics prepare the recordings [default: the one of the same name]
    #[arg(long, value_name = "DOMAIN")]
    pub statistics: Option<String>,
    /// Take statistics from these recordings themselves, unless they seem to show few of the classes
    #[arg(long)]
    pub restandardise: bool,
    /// Print the scores as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &EvaluateArgs, _context: &Context) -> Result<()> {
    let model = match physics::load(&args.model)? {
        Saved::Network(model) => *model,
        Saved::Rule(model) => return by_rule(args, &model),
    };
    let settings = &model.recipe.settings;
    let (dataset, domains) = read(args, settings)?;

    let mut classes = model.recipe.classes.clone();
    for d in &domains {
        for c in d.classes.iter().flatten() {
            if !classes.contains(&dataset.classes[*c]) {
                classes.push(dataset.classes[*c].clone());
            }
        }
    }
    let mut notes = Vec::new();
    let mut parts = Vec::new();
    for d in domains {
        let statistics = statistics_for(&model, &d.name, args)?;
        notes.extend(remarks(&model, &d));
        let mut signals = d.signals;
        for s in &mut signals {
            prepare(&model, s)?;
        }
        let mut found = classify(&model, &signals, statistics)?;
        if let Some(why) = found.distrust.take() {
            notes.push(format!("{}: {why}; those of the source are used instead", d.name));
            found = classify(&model, &signals, source_statistics(&model))?;
        }
        let Classified { windows, outputs, .. } = found;
        let truth: Vec<Option<usize>> = d
            .classes
            .iter()
            .map(|c| c.and_then(|c| classes.iter().position(|n| *n == dataset.classes[c])))
            .collect();
        let files: Vec<String> = signals.iter().map(|s| s.file.clone()).collect();
        let recording: Vec<usize> = windows.iter().map(|w| w.recording).collect();
        parts.push((d.name, files, recording, truth, outputs.labels()));
    }
    let scored: Vec<Scored> = parts
        .iter()
        .map(|(domain, files, recording, truth, predicted)| Scored {
            domain,
            files,
            recording,
            truth,
            predicted,
        })
        .collect();
    let epoch = settings.method.trains_network().then_some(settings.epochs);
    let scores = score(&scored, classes.len(), epoch)?;
    if classes.len() > model.recipe.classes.len() {
        notes.push(format!(
            "the model does not know {}: every window of it is scored as wrong",
            classes[model.recipe.classes.len()..].join(", ")
        ));
    }
    if args.json {
        let text = serde_json::json!({
            "schema": 1,
            "model": args.model,
            "split": "none: all windows of the recordings",
            "classes": classes,
            "scores": scores,
            "remarks": notes,
        });
        output::print(&format!("{text:#}\n"));
    } else {
        output::print(&table(&scores, &classes, &notes));
    }
    Ok(())
}

/// The domains asked for: their recordings of the classes that `--classes` left the model, and those without a label.
fn read(args: &EvaluateArgs, settings: &Settings) -> Result<(Dataset, Vec<DomainSignals>)> {
    let dataset = corpus::open(
        &args.data,
        args.root.as_deref(),
        settings.key.as_deref(),
        settings.channels.as_deref(),
    )?;
    let wanted = Globs::new(&settings.classes, "classes")?;
    let domains = corpus::read_domains(&dataset, &args.domain, |r| {
        r.class.is_none_or(|c| wanted.pass(&dataset.classes[c]))
    })?;
    Ok((dataset, domains))
}

/// Scores a saved rule.
fn by_rule(args: &EvaluateArgs, model: &RuleModel) -> Result<()> {
    let settings = &model.settings;
    let (dataset, domains) = read(args, settings)?;
    let roles = model.roles()?;
    let mut classes = model.classes.clone();
    for c in domains.iter().flat_map(|d| d.classes.iter().flatten()) {
        if !classes.contains(&dataset.classes[*c]) {
            classes.push(dataset.classes[*c].clone());
        }
    }
    // one past the classes: an abstention that no class stands for
    let nobody = classes.len();
    let mut notes = vec![match roles.neither {
        Some(class) => format!("\"{ABSTENTION}\" counts as {}", classes[class]),
        None => format!("\"{ABSTENTION}\" counts as wrong"),
    }];
    let (mut all, mut named, mut right) = (0_usize, 0_usize, 0_usize);
    let mut parts = Vec::new();
    for d in domains {
        let known = |s: &&corpus::Signal| model.recordings.iter().any(|(_, sha256)| *sha256 == s.sha256);
        let seen = d.signals.iter().filter(known).count();
        if seen > 0 {
            notes.push(format!(
                "{seen} of {} recordings of {} chose the threshold, with their labels",
                d.signals.len(),
                d.name
            ));
        }
        let mut signals = d.signals;
        for s in &mut signals {
            prepare_for_rule(model, s)?;
        }
        let found = analyse_for_rule(model, &signals)?;
        let verdicts: Vec<Verdict> = found.iter().map(|(_, scores)| model.tau.decide(scores)).collect();
        let windows: Vec<WindowRef> = found.iter().map(|(w, _)| *w).collect();
        let truth: Vec<Option<usize>> = d
            .classes
            .iter()
            .map(|c| c.and_then(|c| classes.iter().position(|n| *n == dataset.classes[c])))
            .collect();
        for (w, v) in windows.iter().zip(&verdicts) {
            all += 1;
            if *v != Verdict::NoRaceFault {
                named += 1;
                right += usize::from(truth[w.recording].is_some() && truth[w.recording] == roles.class(*v));
            }
        }
        let files: Vec<String> = signals.iter().map(|s| s.file.clone()).collect();
        let recording: Vec<usize> = windows.iter().map(|w| w.recording).collect();
        let predicted: Vec<usize> = verdicts.iter().map(|v| roles.class(*v).unwrap_or(nobody)).collect();
        parts.push((d.name, files, recording, truth, predicted));
    }
    notes.push(format!(
        "tau {:.3}; a race is named in {named} of {all} windows, {right} of them right",
        model.tau.tau()
    ));
    let scored: Vec<Scored> = parts
        .iter()
        .map(|(domain, files, recording, truth, predicted)| Scored {
            domain,
            files,
            recording,
            truth,
            predicted,
        })
        .collect();
    let columns = nobody + usize::from(scored.iter().any(|s| s.predicted.contains(&nobody)));
    let scores = score(&scored, columns, None)?;
    if columns > nobody {
        classes.push(ABSTENTION.to_owned());
    }
    output::print(&if args.json {
        let text = serde_json::json!({
            "schema": 1,
            "model": args.model,
            "split": "none: all windows of the recordings",
            "classes": classes,
            "scores": scores,
            "remarks": notes,
        });
        format!("{text:#}\n")
    } else {
        table(&scores, &classes, &notes)
    });
    Ok(())
}

/// The statistics for a domain of the data: asked for, or those of the model's domain of that name.
fn statistics_for(model: &Model, name: &str, args: &EvaluateArgs) -> Result<Statistics> {
    let known = model.recipe.domains.iter().any(|d| d.name == name);
    if args.statistics.is_none() && !args.restandardise && !known {
        let list: Vec<&str> = model.recipe.domains.iter().map(|d| d.name.as_str()).collect();
        return Err(Error::input_with_hint(
            format!("the model knows no domain `{name}`: whose statistics should prepare it?"),
            format!("give --statistics with one of {}, or --restandardise", list.join(", ")),
        ));
    }
    let named = args.statistics.as_deref().or(known.then_some(name));
    choose_statistics(model, named, args.restandardise)
}

/// Which of the recordings the model was trained on.
fn remarks(model: &Model, d: &DomainSignals) -> Vec<String> {
    let mut notes = Vec::new();
    for (role, what) in [
        (
            Role::Source,
            "with their labels: this score says nothing about new recordings",
        ),
        (Role::Target, "without labels (transductive)"),
    ] {
        let seen: BTreeSet<&str> = model
            .recipe
            .domains
            .iter()
            .filter(|m| m.role == role)
            .flat_map(|m| m.recordings.iter().map(|r| r.1.as_str()))
            .collect();
        let n = d.signals.iter().filter(|s| seen.contains(s.sha256.as_str())).count();
        if n > 0 {
            notes.push(format!(
                "{n} of {} recordings of `{}` took part in training {what}",
                d.signals.len(),
                d.name
            ));
        }
    }
    notes
}

fn table(scores: &Scores, classes: &[String], notes: &[String]) -> String {
    let mut out = String::from("all windows of the recordings, no split\n");
    let _ = writeln!(
        out,
        "{:<20}  {:>9}  {:>9}  {:>8}  {:>10}",
        "domain", "accuracy", "macro-F1", "windows", "recordings"
    );
    for (name, d) in &scores.domains {
        let _ = writeln!(
            out,
            "{name:<20}  {:>9}  {:>9}  {:>8}  {:>10}",
            summary::percent(d.accuracy),
            summary::percent(d.macro_f1),
            d.windows,
            d.recordings
        );
    }
    for (name, d) in &scores.domains {
        let Some(recall) = &d.recall else {
            let _ = writeln!(out, "{name}: no labels: accuracy unknown");
            continue;
        };
        let shown: Vec<String> = classes
            .iter()
            .zip(recall)
            .filter_map(|(c, r)| r.map(|r| format!("{c} {:.0} %", 100.0 * r)))
            .collect();
        let _ = writeln!(out, "recall in {name}: {}", shown.join(", "));
    }
    for n in notes {
        let _ = writeln!(out, "note: {n}");
    }
    out
}
