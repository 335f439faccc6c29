//! What files hold: their signals, the variables that all have, the rates that they state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::Result;
use crate::formats::{ReadOptions, SignalFile};

/// Channels that a draft names at most.
const CHANNELS: usize = 8;

/// A file's signals.
pub(super) struct Looked {
    pub file: String,
    /// Names of its signals, without times; the longest ones if lengths differ.
    pub signals: Vec<String>,
    /// Samples of these.
    pub samples: usize,
    pub rate_hz: Option<f64>,
}

pub(super) fn look(folder: &Path, file: &str) -> Result<Looked> {
    let open = SignalFile::open(&folder.join(file), &ReadOptions::default())?;
    let time = |name: &str| ["time", "t", "timestamp", "date", "datetime"].contains(&&*name.to_lowercase());
    let signals: Vec<_> = open
        .variables()
        .iter()
        .filter(|v| v.is_signal() && !time(&v.name))
        .collect();
    let samples = signals.iter().map(|v| v.samples()).max().unwrap_or(0);
    let longest = signals.iter().filter(|v| v.samples() == samples);
    Ok(Looked {
        file: file.into(),
        signals: longest
            .clone()
            .flat_map(|v| match v.channels() {
                1 => vec![v.name.clone()],
                n => (1..=n).map(|c| format!("{}#{c}", v.name)).collect(),
            })
            .collect(),
        samples,
        rate_hz: longest.clone().find_map(|v| v.rate_hz),
    })
}

/// What a draft says about rates.
pub(super) struct Rates {
    pub line: String,
    pub remarks: Vec<String>,
}

pub(super) fn rates(looked: &[Looked]) -> Rates {
    let stated: BTreeMap<String, Vec<&str>> = looked.iter().fold(BTreeMap::new(), |mut all, l| {
        if let Some(rate) = l.rate_hz {
            all.entry(rate.to_string()).or_insert_with(Vec::new).push(&l.file);
        }
        all
    });
    let silent: Vec<&str> = looked
        .iter()
        .filter(|l| l.rate_hz.is_none())
        .map(|l| l.file.as_str())
        .collect();
    let mut remarks = Vec::new();
    if stated.len() > 1 {
        let list: Vec<String> = stated
            .iter()
            .map(|(rate, of)| format!("{rate} Hz in {} ({} ..)", of.len(), of[0]))
            .collect();
        remarks.push(format!("files state different rates: {}", list.join(", ")));
    }
    let line = match stated.keys().next() {
        None => {
            remarks.push("no file states a sampling rate: without one nothing can be resampled or told in Hz".into());
            "# CORRECT: rate_hz = 12000\n".into()
        }
        Some(rate) if silent.is_empty() => format!("# every file looked at states its rate ({rate} Hz ..)\n"),
        Some(rate) => {
            remarks.push(format!(
                "{} files state no rate ({} ..), others do",
                silent.len(),
                silent[0]
            ));
            format!("# CORRECT: rate_hz = {rate}\n")
        }
    };
    Rates { line, remarks }
}

/// The channels that all files have.
pub(super) struct Channels {
    /// Names and keys.
    pub chosen: Vec<(String, String)>,
    pub remarks: Vec<String>,
}

pub(super) fn channels(looked: &[Looked]) -> Channels {
    let any = || vec![("signal".to_owned(), "*".to_owned())];
    let mut remarks = Vec::new();
    let same = common(looked, str::to_owned);
    let alike = common(looked, glob);
    let different: BTreeSet<&Vec<String>> = looked.iter().map(|l| &l.signals).collect();
    let mut keys = if same.is_empty() { alike } else { same };
    if keys.is_empty() {
        // what fits the most: one of the keys, or the only signal there is
        let only = looked.iter().filter(|l| l.signals.len() == 1).count();
        let mut fits: BTreeMap<String, usize> = BTreeMap::new();
        for l in looked {
            let of: Vec<String> = l.signals.iter().map(|name| glob(name)).collect();
            for key in of.iter().filter(|key| of.iter().filter(|k| k == key).count() == 1) {
                *fits.entry(key.clone()).or_default() += 1;
            }
        }
        let best = fits.into_iter().max_by_key(|(_, n)| *n).filter(|(_, n)| *n > only);
        let (chosen, n) = best.map_or_else(|| (any(), only), |(key, n)| (vec![(key.clone(), key)], n));
        if n < looked.len() {
            let first = looked
                .iter()
                .take(3)
                .map(|l| format!("{}: {}", l.file, shorten(&l.signals)));
            remarks.push(format!(
                "no variable is in all files; the key below fits {n} of {}, the others need `channels` of their own; {}",
                looked.len(),
                first.collect::<Vec<_>>().join("; ")
            ));
        }
        return Channels { chosen, remarks };
    }
    if different.len() > 1 && looked.iter().any(|l| l.signals.len() > keys.len()) {
        let more = looked.iter().find(|l| l.signals.len() > keys.len());
        remarks.extend(more.map(|l| {
            format!(
                "some files hold more than the channels below; {}: {}",
                l.file,
                shorten(&l.signals)
            )
        }));
    }
    if keys.len() > CHANNELS {
        remarks.push(format!(
            "{} channels are in all files, the first {CHANNELS} are taken",
            keys.len()
        ));
        keys.truncate(CHANNELS);
    }
    let name = |key: &str| {
        key.replace('*', "")
            .trim_matches(|c: char| !c.is_alphanumeric())
            .to_owned()
    };
    let mut chosen: Vec<(String, String)> = keys.iter().map(|key| (name(key), key.clone())).collect();
    let distinct: BTreeSet<&String> = chosen.iter().map(|(name, _)| name).collect();
    if distinct.len() < chosen.len() || distinct.iter().any(|name| name.is_empty()) {
        chosen = keys.iter().map(|key| (key.clone(), key.clone())).collect();
    }
    Channels { chosen, remarks }
}

/// What `key` makes of the names of signals, where it stands for exactly one signal in every file; in the first file's
/// order.
fn common(looked: &[Looked], key: impl Fn(&str) -> String) -> Vec<String> {
    let of = |l: &Looked| l.signals.iter().map(|name| key(name)).collect::<Vec<_>>();
    let all: Vec<Vec<String>> = looked.iter().map(of).collect();
    let Some(first) = all.first() else { return Vec::new() };
    let once = |key: &&String| all.iter().all(|keys| keys.iter().filter(|k| k == key).count() == 1);
    first.iter().filter(once).cloned().collect()
}

/// A name with its numbers left open: `X105_DE_time` is `X*_DE_time`. What is no letter, digit, `_` or `#` stays closed.
fn glob(name: &str) -> String {
    let mut out = String::new();
    // the number of a channel is no name
    let (name, channel) = name.split_once('#').map_or((name, None), |(name, c)| (name, Some(c)));
    for c in name.chars() {
        match c {
            c if c.is_ascii_digit() && out.ends_with('*') => {}
            c if c.is_ascii_digit() => out.push('*'),
            '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' => out.push('?'),
            c => out.push(c),
        }
    }
    channel.map_or(out.clone(), |c| format!("{out}#{c}"))
}

fn shorten(names: &[String]) -> String {
    let shown = names.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(6) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
