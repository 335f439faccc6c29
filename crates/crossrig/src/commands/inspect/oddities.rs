//! What is odd about a recording among the others: many a wrong result on such data began with one of these.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use signal_conditioning::shaft_speed;
use signal_domains::{ReadOptions, Recording, RecordingEntry, SignalFile};

/// Relative difference of two speeds that is told: slip and nominal speeds differ by less.
const SPEED: f64 = 0.01;
/// Ratio of levels that is told: between domains, and between the classes of one, where damage alone makes a factor of ten.
const DOMAINS_APART: f64 = 10.0;
const CLASSES_APART: f64 = 20.0;
/// Recordings from which on a difference of speeds can be seen: lines of shorter ones are too wide.
const LEAST_SECONDS: f64 = 5.0;
/// A mean of so many deviations is an offset; squares of deviations below this are 0 in 32 bits.
const OFFSET: f64 = 3.0;
const TINY: f64 = 1e-16;
/// Recordings shorter than this part of the middle one are told.
const SHORT: f64 = 0.35;
/// Files from which on what most of them have is a habit, and what few of them have is foreign.
const HABIT: usize = 4;
/// Samples from the beginning that a speed is looked for in, at most.
const MOST_SAMPLES: usize = 1 << 20;
/// Most names of files that a line lists.
const MOST_NAMES: usize = 5;

/// What of a recording is compared with the others.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    file: String,
    domain: String,
    class: Option<String>,
    rate_hz: Option<f64>,
    samples: usize,
    channels: Vec<Level>,
    /// What else its file holds, by name, numbers left out (`X#RPM`); empty where it stands in one file with others.
    variables: BTreeSet<String>,
    /// Units that the file states.
    units: BTreeSet<String>,
    /// Speeds that are stated: by the data set, and by variables of the file. What the signal shows clearly.
    stated_rpm: Option<f64>,
    file_rpm: Vec<(String, f64)>,
    shown_rpm: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    variable: String,
    mean: f64,
    deviation: f64,
}

impl Facts {
    /// Of a recording that was read. `alone`: whether its file holds no other.
    pub fn of(entry: &RecordingEntry, class: Option<&str>, recording: &Recording, alone: bool) -> Self {
        let mut facts = Self {
            file: entry.file.clone(),
            domain: entry.domain.clone(),
            class: class.map(str::to_owned),
            rate_hz: recording.rate_hz,
            samples: recording.len(),
            channels: recording
                .names
                .iter()
                .zip(&recording.channels)
                .map(|(name, x)| Level::of(name, x))
                .collect(),
            stated_rpm: entry.rpm,
            ..Self::default()
        };
        if let Some(path) = entry.path.as_deref().filter(|_| alone && !entry.is_packed()) {
            facts.look_into(path);
        }
        let first = recording.channels.first().map_or(&[][..], Vec::as_slice);
        let first = &first[..first.len().min(MOST_SAMPLES)];
        if let (Some(rate), Some(rpm)) = (facts.rate_hz, facts.stated())
            && facts.seconds() >= LEAST_SECONDS
        {
            let shown = shaft_speed(first, rate, rpm).ok().and_then(|s| s.trusted_hz());
            facts.shown_rpm = shown.map(|hz| 60.0 * hz);
        }
        facts
    }

    fn look_into(&mut self, path: &Path) {
        let Ok(file) = SignalFile::open(path, &ReadOptions::default()) else {
            return;
        };
        for (index, variable) in file.variables().iter().enumerate() {
            self.variables.insert(without_numbers(&variable.name));
            self.units.extend(variable.unit.clone());
            if variable.numeric
                && variable.elements() == 1
                && variable.name.to_lowercase().ends_with("rpm")
                && let Ok(value) = file.read_range(index, 0, 0, 1)
                && value[0] > 0.0
            {
                self.file_rpm.push((variable.name.clone(), value[0]));
            }
        }
    }

    /// The speed that is stated: by the data set before the file.
    fn stated(&self) -> Option<f64> {
        self.stated_rpm.or(self.file_rpm.first().map(|(_, rpm)| *rpm))
    }

    fn seconds(&self) -> f64 {
        self.samples as f64 / self.rate_hz.unwrap_or(1.0)
    }
}

impl Level {
    fn of(variable: &str, x: &[f64]) -> Self {
        let n = x.len().max(1) as f64;
        let mean = x.iter().sum::<f64>() / n;
        // scaled first: squares of strain of 1e-160 would be 0 in 64 bits too
        let most = x.iter().fold(f64::MIN_POSITIVE, |most, v| most.max((v - mean).abs()));
        let square = x.iter().map(|v| ((v - mean) / most).powi(2)).sum::<f64>() / n;
        Self {
            variable: variable.to_owned(),
            mean,
            deviation: most * square.sqrt(),
        }
    }

    fn oddity(&self) -> Option<String> {
        let Self {
            variable,
            mean,
            deviation,
        } = self;
        if *deviation <= 0.0 {
            return None;
        }
        if *deviation < TINY {
            return Some(format!(
                "{variable} deviates by {deviation:.0e}, whose square is 0 in 32 bits; scale it"
            ));
        }
        let ratio = mean.abs() / deviation;
        (ratio > OFFSET).then(|| {
            format!("{variable} stands at {mean:.4}, {ratio:.0} times its deviation: an offset, such as gravity")
        })
    }
}

/// A line for each oddity.
pub fn oddities(all: &[Facts]) -> Vec<String> {
    let mut lines = rates(all);
    lines.extend(speeds(all));
    lines.extend(levels(all));
    lines.extend(lengths(all));
    lines.extend(numbers_of_files(all));
    lines.extend(habits(all));
    lines.extend(units(all));
    lines
}

/// Recordings at another rate than most.
fn rates(all: &[Facts]) -> Vec<String> {
    let mut by_rate: BTreeMap<String, Vec<&Facts>> = BTreeMap::new();
    for facts in all {
        let rate = facts
            .rate_hz
            .map_or("an unknown rate".to_owned(), |rate| format!("{rate} Hz"));
        by_rate.entry(rate).or_default().push(facts);
    }
    let most = by_rate.iter().max_by_key(|(_, of)| of.len());
    match most {
        Some((usual, of)) if 2 * of.len() > all.len() => by_rate
            .iter()
            .filter(|(rate, _)| *rate != usual)
            .map(|(rate, of)| format!("{}: at {rate}, most others at {usual}", names(of)))
            .collect(),
        Some(_) if by_rate.len() > 1 => by_rate
            .iter()
            .map(|(rate, of)| format!("{}: at {rate}, others at another rate", names(of)))
            .collect(),
        _ => Vec::new(),
    }
}

/// Speeds that contradict each other: of the data set, of the file, of the signal.
fn speeds(all: &[Facts]) -> Vec<String> {
    let apart = |a: f64, b: f64| (a / b - 1.0).abs() > SPEED;
    let mut lines = Vec::new();
    for facts in all {
        let shown = facts
            .shown_rpm
            .map_or(String::new(), |rpm| format!(", the signal shows {rpm:.0}"));
        for (variable, rpm) in &facts.file_rpm {
            if let Some(stated) = facts.stated_rpm.filter(|stated| apart(*rpm, *stated)) {
                lines.push(format!(
                    "{}: {variable} says {rpm:.0} rpm, the data set {stated:.0}{shown}",
                    facts.file
                ));
            }
        }
        if let (Some(stated), Some(shown)) = (facts.stated(), facts.shown_rpm)
            && apart(shown, stated)
        {
            lines.push(format!(
                "{}: {stated:.0} rpm are stated, the signal shows {shown:.0}",
                facts.file
            ));
        }
    }
    lines
}

/// The middle level of the recordings of a class in a domain.
struct Group<'a> {
    class: Option<&'a str>,
    domain: &'a str,
    level: f64,
}

impl Group<'_> {
    fn name(&self) -> String {
        let class = self.class.map_or(String::new(), |class| format!("{class} of "));
        format!("{class}{}", self.domain)
    }
}

/// Domains and classes that are told apart by how strong they are, offsets, numbers too small for 32 bits.
fn levels(all: &[Facts]) -> Vec<String> {
    let mut of_group: BTreeMap<(Option<&str>, &str), Vec<f64>> = BTreeMap::new();
    for facts in all {
        if let Some(level) = facts.channels.first() {
            let key = (facts.class.as_deref(), facts.domain.as_str());
            of_group.entry(key).or_default().push(level.deviation);
        }
    }
    let groups: Vec<Group<'_>> = of_group
        .into_iter()
        .map(|((class, domain), levels)| Group {
            class,
            domain,
            level: middle(levels),
        })
        .collect();
    let mut lines = Vec::new();
    if let Some((ratio, strong, weak)) = apart(&groups, |a, b| a.domain == b.domain, CLASSES_APART) {
        lines.push(format!(
            "{} is {ratio:.0} times as strong as {}: another gain or unit? the level alone tells these classes apart; scale \
             each window or recording",
            strong.name(),
            weak.name()
        ));
    }
    if let Some((ratio, strong, weak)) = apart(&groups, |a, b| a.class == b.class, DOMAINS_APART) {
        lines.push(format!(
            "{} is {ratio:.0} times as strong as {}: another gain or unit? scale each window or recording",
            strong.name(),
            weak.name()
        ));
    }
    for facts in all {
        for level in &facts.channels {
            lines.extend(level.oddity().map(|oddity| format!("{}: {oddity}", facts.file)));
        }
    }
    lines
}

/// The two groups, of those that may be compared, whose levels are furthest apart, where they are by `least`.
fn apart<'g, 'a>(
    groups: &'g [Group<'a>],
    comparable: impl Fn(&Group<'a>, &Group<'a>) -> bool,
    least: f64,
) -> Option<(f64, &'g Group<'a>, &'g Group<'a>)> {
    groups
        .iter()
        .flat_map(|strong| groups.iter().map(move |weak| (strong, weak)))
        .filter(|(strong, weak)| weak.level > 0.0 && comparable(strong, weak))
        .map(|(strong, weak)| (strong.level / weak.level, strong, weak))
        .filter(|(ratio, ..)| *ratio >= least)
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

/// Recordings much shorter than the others.
fn lengths(all: &[Facts]) -> Vec<String> {
    let usual = middle(all.iter().map(Facts::seconds).collect());
    let unit = if all.iter().any(|f| f.rate_hz.is_none()) {
        "samples"
    } else {
        "s"
    };
    all.iter()
        .filter(|facts| all.len() >= HABIT && facts.seconds() < SHORT * usual)
        .map(|facts| {
            let seconds = facts.seconds();
            format!("{}: {seconds:.2} {unit} long, most others about {usual:.2}", facts.file)
        })
        .collect()
}

/// Variables that carry another number than their file, where most carry that of theirs (`X105_DE_time` in `105.mat`).
fn numbers_of_files(all: &[Facts]) -> Vec<String> {
    let carried = |facts: &Facts| -> Option<bool> {
        let name = facts.file.rsplit('/').next()?;
        let stem = name.split('.').next()?;
        let number: u64 = stem.parse().ok()?;
        Some(
            facts
                .channels
                .iter()
                .all(|level| numbers(&level.variable).contains(&number)),
        )
    };
    let known: Vec<(&Facts, bool)> = all.iter().filter_map(|facts| Some((facts, carried(facts)?))).collect();
    let own = known.iter().filter(|(_, own)| *own).count();
    if known.len() < HABIT || 2 * own < known.len() {
        return Vec::new();
    }
    let line = |facts: &Facts| {
        let variables: Vec<&str> = facts.channels.iter().map(|l| l.variable.as_str()).collect();
        format!(
            "{}: its variable is {}; most others carry the number of their file",
            facts.file,
            variables.join(", ")
        )
    };
    known
        .iter()
        .filter(|(_, own)| !own)
        .map(|(facts, _)| line(facts))
        .collect()
}

/// Variables that few files have or lack.
fn habits(all: &[Facts]) -> Vec<String> {
    let files: Vec<&Facts> = all.iter().filter(|f| !f.variables.is_empty()).collect();
    let mut having: BTreeMap<&str, usize> = BTreeMap::new();
    for facts in &files {
        for name in &facts.variables {
            *having.entry(name).or_default() += 1;
        }
    }
    let n = files.len();
    if n < HABIT {
        return Vec::new();
    }
    let mut lines = Vec::new();
    // names that each file has for itself are no habit
    let common = having.values().any(|count| 2 * count > n);
    if !common {
        let mut shown: Vec<&str> = files
            .iter()
            .filter_map(|f| f.channels.first())
            .map(|l| l.variable.as_str())
            .collect();
        shown.sort_unstable();
        shown.dedup();
        shown.truncate(MOST_NAMES);
        return vec![format!(
            "variables are named differently from file to file ({} ..)",
            shown.join(", ")
        )];
    }
    for (name, count) in having {
        // most have it, or next to none
        if 4 * count >= 3 * n && count < n {
            let lacking: Vec<&Facts> = files.iter().copied().filter(|f| !f.variables.contains(name)).collect();
            lines.push(format!(
                "{}: without {name}, which {count} of {n} files have",
                names(&lacking)
            ));
        } else if count <= (n / 10).max(1) {
            let with: Vec<&Facts> = files.iter().copied().filter(|f| f.variables.contains(name)).collect();
            lines.push(format!(
                "{}: holds {name}, which {} of {n} files do not",
                names(&with),
                n - count
            ));
        }
    }
    lines
}

/// Units whose text was written in one encoding and read in another.
fn units(all: &[Facts]) -> Vec<String> {
    let mut lines = Vec::new();
    for facts in all {
        for unit in &facts.units {
            if unit.contains(['\u{fffd}', 'Â', 'Ã']) {
                lines.push(format!(
                    "{}: the unit {unit:?} is not in the encoding that it states",
                    facts.file
                ));
            }
        }
    }
    lines
}

/// `X097_DE_time` without its numbers: `X#_DE_time`.
fn without_numbers(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect()
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn names(of: &[&Facts]) -> String {
    let shown: Vec<&str> = of.iter().take(MOST_NAMES).map(|f| f.file.as_str()).collect();
    match of.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
