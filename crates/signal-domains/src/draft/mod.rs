//! A first manifest for a folder nobody has described yet: what can be seen in it, written down for a person to correct.
//!
//! `look` opens files and says what they hold, `names` finds what varies in their names, this file writes.

mod look;
mod names;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use self::look::{Looked, look};
use self::names::{Group, Naming};
use crate::dataset::walk;
use crate::error::{Error, Result};

/// Files that are opened at most; more are taken to be like these.
const LOOKED_AT: usize = 200;
/// Most lines of one kind of problem.
const LINES: usize = 8;

/// Writes a manifest for the recordings in a folder. `root` is what the manifest shall call the folder.
///
/// What is a guess stands as a guess, and every problem that was seen as a comment: files that cannot be read, that are
/// named otherwise, rates that are not stated or differ, variables that not all have. Nothing is decided that only a
/// person can know, so the labels are to be read before anything is trained. The text opens as a data set.
///
/// Errors: no folder; no file in it that can be read as a recording.
pub fn draft_manifest(folder: &Path, root: &str) -> Result<String> {
    if !folder.is_dir() {
        return Err(Error::Missing {
            path: folder.to_owned(),
            message: "not a folder; give the folder that holds the recordings".into(),
        });
    }
    let mut files = Vec::new();
    walk(folder, "", &mut files)?;
    let mut of_ending: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let name = file.rsplit('/').next().unwrap_or(&file);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_owned();
        of_ending.entry(ending).or_default().push(file);
    }
    let (mut recordings, mut endings, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for (ending, files) in of_ending {
        // one that can be read is enough: the others of its kind are recordings too, and said to be damaged
        let any = spread(&files, 5).any(|file| look(folder, file).is_ok_and(|l| !l.signals.is_empty()));
        if any {
            endings.push(ending);
            recordings.extend(files);
        } else {
            other.push((ending, files));
        }
    }
    if recordings.is_empty() {
        let have: Vec<String> = other
            .iter()
            .map(|(ending, files)| format!("{} .{ending}", files.len()))
            .collect();
        let message = format!(
            "no file in it can be read as a recording ({})",
            if have.is_empty() {
                "it is empty".into()
            } else {
                have.join(", ")
            }
        );
        return Err(Error::Missing {
            path: folder.to_owned(),
            message,
        });
    }
    recordings.sort();
    let mut problems = Problems::default();
    let mut looked = Vec::new();
    for file in spread(&recordings, LOOKED_AT) {
        match look(folder, file) {
            Ok(l) if l.signals.is_empty() => problems.add("no signal in it", file),
            Ok(l) => looked.push(l),
            Err(e) if e.is_machine() => return Err(e),
            Err(e) => problems.add("cannot be read", &e.to_string()),
        }
    }
    let naming = Naming::of(&recordings);
    for (ending, files) in &other {
        for file in files {
            let kind = if ending.is_empty() { "no ending" } else { ending };
            problems.add(
                &format!("no .{kind} file looked at can be read as a recording, so passed over"),
                file,
            );
        }
    }
    for file in &naming.others {
        problems.add("`pattern` does not fit, so passed over", file);
    }
    Ok(write(root, &recordings, &endings, &looked, &naming, problems))
}

/// Up to `n` of a list, from its start to its end.
fn spread(files: &[String], n: usize) -> impl Iterator<Item = &String> {
    let step = files.len().div_ceil(n).max(1);
    files.iter().step_by(step)
}

#[derive(Default)]
struct Problems(BTreeMap<String, Vec<String>>);

impl Problems {
    fn add(&mut self, what: &str, whom: &str) {
        // a message of several lines would end the comment
        self.0
            .entry(what.into())
            .or_default()
            .push(whom.replace(['\n', '\r'], " "));
    }
}

fn write(
    root: &str,
    recordings: &[String],
    endings: &[String],
    looked: &[Looked],
    naming: &Naming,
    problems: Problems,
) -> String {
    let mut head = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(head, "# {text}");
    };
    line(&format!(
        "A draft of what {} files seem to be. Read it, correct it, then: crossrig inspect THIS_FILE",
        recordings.len()
    ));
    if looked.len() < recordings.len() {
        line(&format!(
            "{} of the {} files were opened for it.",
            looked.len(),
            recordings.len()
        ));
    }
    let (lengths, rates) = (range(looked.iter().map(|l| l.samples as f64)), look::rates(looked));
    line(&format!("Samples in a recording: {lengths}."));
    let channels = look::channels(looked);
    for remark in rates.remarks.iter().chain(&channels.remarks).chain(&naming.remarks) {
        line(&format!("PROBLEM: {}", remark.replace(['\n', '\r'], " ")));
    }
    for (what, whom) in &problems.0 {
        line(&format!("PROBLEM: {what} ({}):", whom.len()));
        whom.iter().take(LINES).for_each(|w| line(&format!("    {w}")));
        if whom.len() > LINES {
            line(&format!("    and {} more", whom.len() - LINES));
        }
    }
    let mut out = head + "\n[dataset]\n";
    let _ = writeln!(out, "root = {}", quoted(root));
    out += &rates.line;
    let globs: Vec<String> = endings
        .iter()
        .map(|e| {
            quoted(&if e.is_empty() {
                "**/*".into()
            } else {
                format!("**/*.{}", escape_glob(e))
            })
        })
        .collect();
    let _ = writeln!(out, "files = [{}]", globs.join(", "));
    out += "# named groups are labels: class, domain, unit, rpm, rate_hz; any other name is an attribute to ask for\n";
    for group in &naming.groups {
        let _ = writeln!(out, "#   {}: {}", group.name, describe(group));
    }
    match &naming.pattern {
        Some(pattern) => {
            let _ = writeln!(out, "pattern = {}", quoted(pattern));
        }
        None => out += "# pattern = '(?<class>[a-z]+)_(?<load>\\d+)'\n",
    }
    let list: Vec<String> = channels
        .chosen
        .iter()
        .map(|(name, key)| format!("{{ name = {}, key = {} }}", quoted(name), quoted(key)))
        .collect();
    let _ = writeln!(out, "channels = [{}]", list.join(", "));
    if naming.groups.iter().all(|g| g.name != "class") {
        out += "\n# CORRECT: no classes were seen. By a group (?<class>..) in `pattern`, or by what is known of each file:\n\
                # [class.healthy]\n# where = 'file like \"*normal*\"'\n";
    }
    if naming.groups.iter().all(|g| g.name != "domain") {
        out += "\n# CORRECT: no domains were seen; machines, loads or rigs, by queries like 'load == 0'\n\
                [domain.all]\nwhere = 'true'\n";
    }
    if naming.groups.iter().all(|g| g.name != "unit") {
        out += "\n# CORRECT: units (which physical bearing or machine) are not known. With a group (?<unit>..) a split keeps each\n\
                # on one side; without, a test may hear a bearing that training has heard.\n";
    }
    out
}

fn describe(group: &Group) -> String {
    let shown: Vec<&str> = group.values.iter().take(6).map(String::as_str).collect();
    let more = group.values.len().saturating_sub(shown.len());
    let list = shown.join(", ");
    let guess = if group.guess {
        " (a guess: CORRECT the group's name)"
    } else {
        ""
    };
    match more {
        0 => format!("{list}{guess}"),
        more => format!("{list} and {more} more{guess}"),
    }
}

fn range(values: impl Iterator<Item = f64>) -> String {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low >= high {
        low.to_string()
    } else {
        format!("{low} to {high}")
    }
}

/// A TOML string; a literal one where the text allows it.
fn quoted(text: &str) -> String {
    if text.contains('\'') || text.chars().any(char::is_control) {
        toml::Value::String(text.into()).to_string()
    } else {
        format!("'{text}'")
    }
}

fn escape_glob(text: &str) -> String {
    text.chars().fold(String::new(), |mut s, c| {
        if "*?[]{}!\\".contains(c) {
            s += &format!("[{c}]");
        } else {
            s.push(c);
        }
        s
    })
}
