//! `crossrig inspect`: what a manifest, a folder or a file holds, and what is wrong with it; what a split leaks.

mod folds;
mod leaks;
mod oddities;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use signal_domains::{Dataset, Query, RecordingEntry, list_variables};

pub use self::folds::Folds;
pub use self::leaks::LeakArgs;
use self::oddities::Facts;
use super::Context;
use super::inspect_physics::{self, PhysicsArgs};
use crate::corpus::{self, data_error};
use crate::error::{Error, Result};
use crate::output;

/// Most lines of problems that are printed; JSON has all.
const MOST_PROBLEMS: usize = 16;

/// Flags of `inspect`.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// Manifest (TOML), folder laid out as FOLDER/<domain>/<class>/<files>, or one recording
    #[arg(value_name = "PATH", required_unless_present = "split")]
    pub path: Option<PathBuf>,
    /// Folder that holds the recordings [default: $CROSSRIG_DATA/<root>, else beside the manifest]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Variable, column or dataset to read where the manifest names none
    #[arg(long, value_name = "GLOB")]
    pub key: Option<String>,
    /// Samples in a window, for the counts
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub window: usize,
    /// Recordings to show, by a query such as 'rig == "mfs" and rpm > 800'
    #[arg(long = "where", value_name = "QUERY")]
    pub query: Option<Query>,
    /// List what leaving each domain or unit out once would train on and test
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "split")]
    pub folds: Option<Folds>,
    /// The check of a split
    #[command(flatten)]
    pub leaks: LeakArgs,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
    /// The flags of a bearing's evidence.
    #[command(flatten)]
    pub physics: PhysicsArgs,
}

/// One recording as it was found.
#[derive(Clone, Debug, Serialize)]
struct Found {
    file: String,
    domain: String,
    class: Option<String>,
    unit: Option<String>,
    rate_hz: Option<f64>,
    samples: Option<usize>,
    channels: Option<usize>,
    windows: usize,
    /// Whether the file is absent; that is no fault until it is needed.
    absent: bool,
    /// Why it cannot be used.
    fault: Option<String>,
    /// What should be known about it.
    remark: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::SomeFiles`] where recordings that are there cannot be used.
pub fn run(args: &InspectArgs, _context: &Context) -> Result<()> {
    if args.window == 0 {
        return Err(Error::input("--window must be at least 1"));
    }
    let open = |path: &Path| corpus::open(path, args.root.as_deref(), args.key.as_deref(), None);
    if let Some(split) = &args.leaks.split {
        let dataset = args.path.as_deref().map(open).transpose()?;
        return leaks::run(&args.leaks, split, args.root.as_deref(), dataset.as_ref(), args.json);
    }
    let Some(path) = &args.path else {
        return Err(Error::input("what is to be inspected? a manifest, a folder or a file"));
    };
    if args.physics.physics {
        return inspect_physics::run(path, args.key.as_deref(), &args.physics, args.json);
    }
    if path.is_file() && path.extension().is_none_or(|e| e != "toml") && !Dataset::is_packed(path) {
        return one_file(path, args.json);
    }
    let mut dataset = open(path)?;
    if let Some(query) = &args.query {
        let chosen = dataset.select(query).map_err(data_error)?;
        if chosen.is_empty() {
            return Err(Error::input(format!("of no recording is {query} true")));
        }
        dataset.recordings = chosen.into_iter().map(|i| dataset.recordings[i].clone()).collect();
    }
    if let Some(what) = args.folds {
        return folds::run(&dataset, what, args.json);
    }
    let mut in_file: HashMap<&Path, usize> = HashMap::new();
    for path in dataset.recordings.iter().filter_map(|r| r.path.as_deref()) {
        *in_file.entry(path).or_default() += 1;
    }
    let looked: Vec<(Found, Option<Facts>)> = dataset
        .recordings
        .par_iter()
        .map(|r| {
            let alone = r.path.as_deref().and_then(|path| in_file.get(path)) == Some(&1);
            look(&dataset, r, args.window, alone)
        })
        .collect();
    let (found, facts): (Vec<Found>, Vec<Option<Facts>>) = looked.into_iter().unzip();
    let facts: Vec<Facts> = facts.into_iter().flatten().collect();
    let mut remarks = compare_classes(&dataset, &found);
    remarks.extend(oddities::oddities(&facts));
    let failed = found.iter().filter(|f| f.fault.is_some()).count();
    if args.json {
        let text = serde_json::json!({
            "schema": 1, "name": dataset.name, "classes": dataset.classes, "window": args.window,
            "recordings": found, "remarks": remarks,
        });
        output::print(&format!("{text:#}\n"));
    } else {
        output::print(&screen(&dataset, &found, &remarks, args.window));
    }
    if failed > 0 {
        return Err(Error::SomeFiles {
            failed,
            all: found.len(),
        });
    }
    Ok(())
}

/// What is found in a recording; `alone`: whether its file holds no other. What is compared with others, if it can be used.
fn look(dataset: &Dataset, entry: &RecordingEntry, window: usize, alone: bool) -> (Found, Option<Facts>) {
    let mut found = Found {
        file: entry.file.clone(),
        domain: entry.domain.clone(),
        class: entry.class.map(|c| dataset.classes[c].clone()),
        unit: entry.unit.clone(),
        rate_hz: entry.rate_hz,
        samples: None,
        channels: None,
        windows: 0,
        absent: entry.path.is_none(),
        fault: None,
        remark: None,
    };
    let mut facts = None;
    if found.absent {
        return (found, facts);
    }
    match entry.load() {
        Ok(recording) => {
            let scan = recording.scan();
            found.rate_hz = recording.rate_hz;
            found.channels = Some(recording.channels.len());
            found.samples = recording.channels.first().map(Vec::len);
            found.windows = found.samples.map_or(0, |n| n / window);
            found.fault = scan.fault();
            found.remark = scan.remark();
            if found.fault.is_none() {
                facts = Some(Facts::of(entry, found.class.as_deref(), &recording, alone));
            }
            if found.fault.is_none() && found.windows == 0 {
                found.remark = Some(format!("shorter than a window of {window}"));
            }
        }
        Err(e) => found.fault = Some(e.to_string()),
    }
    (found, facts)
}

/// Domains whose sets of classes differ.
fn compare_classes(dataset: &Dataset, found: &[Found]) -> Vec<String> {
    let mut remarks = dataset.warnings.clone();
    let mut by_domain: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for f in found.iter().filter(|f| !f.absent) {
        let list = by_domain.entry(&f.domain).or_default();
        if let Some(c) = f.class.as_deref().filter(|c| !list.contains(c)) {
            list.push(c);
        }
    }
    for (domain, has) in &by_domain {
        let missing: Vec<&str> = dataset
            .classes
            .iter()
            .map(String::as_str)
            .filter(|c| !has.contains(c))
            .collect();
        if has.is_empty() {
            remarks.push(format!("{domain}: no labels"));
        } else if !missing.is_empty() {
            remarks.push(format!("{domain}: no recording of {}", missing.join(", ")));
        }
    }
    if found.iter().any(|f| !f.absent && f.rate_hz.is_none()) {
        remarks.push("some recordings have no sampling rate: only samples exist, nothing can be resampled".to_owned());
    }
    remarks
}

fn screen(dataset: &Dataset, found: &[Found], remarks: &[String], window: usize) -> String {
    let mut out = String::new();
    let here = found.iter().filter(|f| !f.absent).count();
    let _ = writeln!(out, "{}: {} recordings, {here} here", dataset.name, found.len());
    let mut domains: Vec<&str> = Vec::new();
    for f in found {
        if !domains.contains(&f.domain.as_str()) {
            domains.push(&f.domain);
        }
    }
    let wide = domains.iter().map(|d| d.len()).max().unwrap_or(6).max(6);
    let _ = writeln!(
        out,
        "\n{:wide$}  {:>10}  {:>6}  {:>8}  {:<16}  length",
        "domain", "recordings", "absent", "channels", "rate in Hz"
    );
    for d in &domains {
        let of: Vec<&Found> = found.iter().filter(|f| f.domain == *d).collect();
        let mut rates: Vec<String> = of
            .iter()
            .filter(|f| !f.absent)
            .map(|f| f.rate_hz.map_or_else(|| "unknown".into(), |r| r.to_string()))
            .collect();
        rates.sort();
        rates.dedup();
        let mut channels: Vec<String> = of.iter().filter_map(|f| f.channels.map(|c| c.to_string())).collect();
        channels.sort();
        channels.dedup();
        let _ = writeln!(
            out,
            "{d:wide$}  {:>10}  {:>6}  {:>8}  {:<16}  {}",
            of.len(),
            of.iter().filter(|f| f.absent).count(),
            channels.join(", "),
            rates.join(", "),
            lengths(&of)
        );
    }
    let name = dataset.classes.iter().map(String::len).max().unwrap_or(5).max(11);
    let _ = writeln!(out, "\nwindows of {window} samples");
    let column = |d: &str| d.len().max(7);
    let head: Vec<String> = domains.iter().map(|d| format!("{d:>w$}", w = column(d))).collect();
    let _ = writeln!(out, "{:name$}  {}", "class", head.join("  "));
    let classes = dataset
        .classes
        .iter()
        .map(|c| Some(c.as_str()))
        .chain(std::iter::once(None));
    for class in classes {
        let cells: Vec<String> = domains
            .iter()
            .map(|d| {
                let n: usize = found
                    .iter()
                    .filter(|f| f.domain == *d && f.class.as_deref() == class)
                    .map(|f| f.windows)
                    .sum();
                let text = if n == 0 { "-".to_owned() } else { n.to_string() };
                format!("{text:>w$}", w = column(d))
            })
            .collect();
        if class.is_some() || cells.iter().any(|c| c.trim() != "-") {
            let _ = writeln!(out, "{:name$}  {}", class.unwrap_or("(unlabelled)"), cells.join("  "));
        }
    }
    let mut problems: Vec<String> = found
        .iter()
        .filter_map(|f| f.fault.as_ref().map(|x| format!("cannot be used: {x}")))
        .collect();
    let absent: Vec<&str> = found.iter().filter(|f| f.absent).map(|f| f.file.as_str()).collect();
    if !absent.is_empty() {
        problems.push(format!("absent: {}", absent.join(", ")));
    }
    problems.extend(
        found
            .iter()
            .filter_map(|f| f.remark.as_ref().map(|r| format!("{}: {r}", f.file))),
    );
    problems.extend(remarks.iter().cloned());
    if !problems.is_empty() {
        out += "\n";
        for p in problems.iter().take(MOST_PROBLEMS) {
            let _ = writeln!(out, "{p}");
        }
        if problems.len() > MOST_PROBLEMS {
            let _ = writeln!(out, "and {} more: see --json", problems.len() - MOST_PROBLEMS);
        }
    }
    out
}

fn lengths(of: &[&Found]) -> String {
    let samples: Vec<usize> = of.iter().filter_map(|f| f.samples).collect();
    let (Some(least), Some(most)) = (samples.iter().min(), samples.iter().max()) else {
        return "-".into();
    };
    let seconds: Vec<f64> = of.iter().filter_map(|f| Some(f.samples? as f64 / f.rate_hz?)).collect();
    let mut text = if least == most {
        format!("{least} samples")
    } else {
        format!("{least} to {most} samples")
    };
    if !seconds.is_empty() {
        let (a, b) = seconds
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
        text += &if b - a < 0.05 {
            format!(", {a:.1} s")
        } else {
            format!(", {a:.1} to {b:.1} s")
        };
    }
    text
}

/// The variables of one file.
fn one_file(path: &Path, json: bool) -> Result<()> {
    let variables = list_variables(path).map_err(data_error)?;
    if json {
        let list: Vec<serde_json::Value> = variables
            .iter()
            .map(|v| serde_json::json!({"name": v.name, "shape": v.shape, "kind": v.kind, "numeric": v.numeric, "samples": v.samples()}))
            .collect();
        output::print(&format!(
            "{:#}\n",
            serde_json::json!({"schema": 1, "file": path, "variables": list})
        ));
        return Ok(());
    }
    let wide = variables
        .iter()
        .map(|v| v.name.chars().count())
        .max()
        .unwrap_or(8)
        .max(8);
    let mut out = format!("{}: {} variables\n", path.display(), variables.len());
    let _ = writeln!(out, "{:wide$}  {:<16}  {:<12}  samples", "variable", "shape", "type");
    for v in &variables {
        let shape: Vec<String> = v.shape.iter().map(ToString::to_string).collect();
        let samples = if v.numeric {
            v.samples().to_string()
        } else {
            "-".to_owned()
        };
        let _ = writeln!(
            out,
            "{:wide$}  {:<16}  {:<12}  {samples}",
            v.name,
            shape.join(" x "),
            v.kind
        );
    }
    output::print(&out);
    Ok(())
}
