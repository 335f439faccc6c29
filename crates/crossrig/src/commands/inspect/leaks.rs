//! `crossrig inspect --split FILE.json`: what somebody's split leaks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use signal_domains::{Dataset, LeakOptions, LeakReport, Likeness, Piece, check_leaks};

use crate::corpus::data_error;
use crate::error::{Error, Result};
use crate::output;

/// Most lines of one kind that are printed; JSON has all.
const LINES: usize = 12;

/// Flags of the leak check.
#[derive(Clone, Debug, Default, Args)]
pub struct LeakArgs {
    /// Check a split, a JSON list of {file, start, length, part, unit} or [file, start, length, part]: exit code 1 when
    /// samples or units are in two parts
    #[arg(long, value_name = "FILE.json")]
    pub split: Option<PathBuf>,
    /// Samples that must lie between two parts of a recording, for --split
    #[arg(long, value_name = "N", default_value_t = 0, requires = "split")]
    pub gap: u64,
    /// Do not look into the files for copies, for --split
    #[arg(long, requires = "split")]
    pub names_only: bool,
}

/// A list as a file: the pieces alone, or with the folder of their files.
struct List {
    root: Option<PathBuf>,
    pieces: Vec<Piece>,
}

/// Runs the check. `dataset` gives files and units where a manifest was named.
///
/// # Errors
/// [`Error::Refused`] where something leaks; the user's input where the list cannot be read, or nothing leaks as far as
/// can be seen and files could not be looked into.
pub(super) fn run(
    args: &LeakArgs,
    path: &Path,
    root: Option<&Path>,
    dataset: Option<&Dataset>,
    json: bool,
) -> Result<()> {
    let mut list = read(path)?;
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    let base = root
        .map(Path::to_owned)
        .or_else(|| dataset.map(|d| d.base.clone()))
        .unwrap_or_else(|| list.root.as_ref().map_or(beside.clone(), |root| beside.join(root)));
    let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
    for piece in &mut list.pieces {
        let entry = dataset.and_then(|d| entry(d, &piece.file));
        if piece.unit.is_none() {
            piece.unit = entry.and_then(|e| e.unit.clone());
        }
        if !paths.contains_key(&piece.file) {
            let direct = Some(base.join(&piece.file)).filter(|p| p.is_file());
            if let Some(found) = entry.and_then(|e| e.path.clone()).or(direct) {
                paths.insert(piece.file.clone(), found);
            }
        }
    }
    let find = |file: &str| paths.get(file).filter(|_| !args.names_only).cloned();
    let report = check_leaks(&list.pieces, &find, LeakOptions { gap: args.gap }).map_err(|e| match data_error(e) {
        Error::Input { message, hint } => Error::Input {
            message: format!("{}: {message}", path.display()),
            hint,
        },
        other => other,
    })?;
    if json {
        let text = serde_json::json!({"schema": 1, "gap": args.gap, "report": report});
        output::print(&format!("{text:#}\n"));
    } else {
        output::print(&screen(&report, args.names_only));
    }
    if !report.leaks.is_empty() {
        return Err(Error::Refused(format!(
            "leaks in {}: {}",
            path.display(),
            report.leaks.len()
        )));
    }
    if !report.unread.is_empty() && !args.names_only {
        return Err(Error::input_with_hint(
            format!(
                "could not be looked into: {} file(s), so copies among them would not be seen",
                report.unread.len()
            ),
            "give their folder with --root, or check names alone with --names-only",
        ));
    }
    Ok(())
}

/// The recording that a file of the list is: by the manifest's name for it, else by its bare name where that is one's only.
fn entry<'a>(dataset: &'a Dataset, file: &str) -> Option<&'a signal_domains::RecordingEntry> {
    let exact = dataset.recordings.iter().find(|r| r.file == file);
    exact.or_else(|| {
        let mut named = dataset.recordings.iter().filter(|r| r.name() == file);
        let first = named.next()?;
        named.all(|r| r.file == first.file).then_some(first)
    })
}

fn read(path: &Path) -> Result<List> {
    let at = |message: String| {
        Error::input_with_hint(
            format!("{}: {message}", path.display()),
            r#"expected [{"file": "a.mat", "start": 0, "length": 1024, "part": "train", "unit": "bearing 1"}, ..], or the same under "pieces" beside a "root""#,
        )
    };
    let text = std::fs::read_to_string(path).map_err(|e| at(format!("cannot read the split: {e}")))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| at(e.to_string()))?;
    let (root, rows) = match value {
        serde_json::Value::Array(rows) => (None, rows),
        serde_json::Value::Object(mut map) => {
            let root = match map.remove("root") {
                None => None,
                Some(serde_json::Value::String(root)) => Some(PathBuf::from(root)),
                Some(other) => return Err(at(format!("\"root\" is {other}, no text"))),
            };
            match map.remove("pieces") {
                Some(serde_json::Value::Array(rows)) if map.is_empty() => (root, rows),
                _ => {
                    return Err(at(
                        r#"an object needs the list "pieces", may have a "root", and nothing else"#.into(),
                    ));
                }
            }
        }
        _ => return Err(at("neither a list nor an object".into())),
    };
    let piece = |(i, row): (usize, serde_json::Value)| {
        let read = if row.is_array() {
            <(String, u64, u64, String)>::deserialize(row).map(|(file, start, length, part)| Piece {
                file,
                start,
                length: Some(length),
                part,
                unit: None,
            })
        } else {
            Piece::deserialize(row)
        };
        read.map_err(|e| at(format!("piece {}: {e}", i + 1)))
    };
    Ok(List {
        root,
        pieces: rows.into_iter().enumerate().map(piece).collect::<Result<_>>()?,
    })
}

fn screen(report: &LeakReport, names_only: bool) -> String {
    let mut out = String::from("part             pieces   files\n");
    for (part, (pieces, files)) in &report.parts {
        let _ = writeln!(out, "{part:<14} {pieces:>8} {files:>7}");
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n{title}");
        for line in lines.iter().take(LINES) {
            let _ = writeln!(out, "  {line}");
        }
        if lines.len() > LINES {
            let _ = writeln!(out, "  and {} more: see --json", lines.len() - LINES);
        }
    };
    section("LEAKS", report.leaks.iter().map(ToString::to_string).collect());
    let copies = report.copies.iter().map(|c| {
        let [a, b] = &c.files;
        match c.likeness {
            Likeness::Bytes => format!("{b} is {a}, byte for byte"),
            Likeness::Samples { gain, correlation } => format!(
                "{b} has the samples of {a} ({}) from sample {} on, times {gain:.4} (correlation {correlation:.6})",
                c.channels.join(", "),
                c.shift.max(0)
            ),
        }
    });
    section(
        "Copies (a leak only where two parts hold the same samples)",
        copies.collect(),
    );
    if names_only {
        section("Not looked for", vec!["copies: --names-only".into()]);
    } else {
        let unread = report.unread.iter().map(|(file, why)| format!("{file}: {why}"));
        section("Not looked into", unread.collect());
    }
    if !report.units_known {
        let words = "units are not stated for all: whether one bearing is in two parts cannot be seen";
        section("Not known", vec![words.into()]);
    }
    if report.leaks.is_empty() {
        out += "\nnothing leaks that was looked for\n";
    }
    out
}
