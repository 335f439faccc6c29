//! Reads and checks a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use signal_conditioning::Geometry;

use super::asked::{assign_domains, classify};
use super::files::with_chosen_files;
use super::labels::with_labels;
use super::lookup::{Finder, base};
use super::pattern::Pattern;
use super::schema::{DatasetTable, Manifest, RecordingTable};
use super::source::Source;
use super::{Channel, Dataset, OpenOptions, RecordingEntry, Stretch};
use crate::error::{Error, Result};

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    let text = String::from_utf8(bytes).map_err(|e| Error::Manifest {
        path: path.to_owned(),
        line: None,
        message: format!(
            "byte {} is not UTF-8; a manifest is a TOML text file",
            e.utf8_error().valid_up_to()
        ),
    })?;
    let source = Source { path, text: &text };
    let manifest: Manifest = toml::from_str(&text).map_err(|e| source.parse_error(&e))?;
    source.check(manifest, options)
}

impl Source<'_> {
    fn check(&self, mut manifest: Manifest, options: &OpenOptions) -> Result<Dataset> {
        let mut warnings = Vec::new();
        let base = base(self.path, manifest.dataset.root.as_deref(), options)?;
        if !base.is_dir() {
            let hint = "give the folder that holds the recordings as root";
            warnings.push(format!("{}: no such folder; {hint}", base.display()));
        }
        let rows = std::mem::take(&mut manifest.recording);
        manifest.recording = self.rows(&manifest.dataset, &base, rows, &mut warnings)?;
        if manifest.recording.is_empty() {
            return Err(self.error(
                None,
                "no [[recording]] and no `files`: a data set needs at least one recording",
            ));
        }
        let table = &manifest.dataset;
        let classes = self.classes(&manifest)?;
        let declared = self.channels(table.channels.as_ref())?;
        let mut families = vec![None; classes.len()];
        for (name, class) in &manifest.class {
            if let Some(number) = classes.iter().position(|c| c == name.as_ref()) {
                families[number] = class.family;
            }
        }
        let mut context = Context {
            source: self,
            finder: Finder::new(&base),
            table,
            classes: &classes,
            geometries: &manifest.geometry,
            geometry: None,
            rpm: self.positive(table.rpm.as_ref(), "rpm")?,
            rate_hz: self.positive(table.rate_hz.as_ref(), "rate_hz")?.or(options.rate_hz),
            declared,
            options,
        };
        context.geometry = context.geometry(table.geometry.as_ref())?;
        let mut seen = BTreeMap::new();
        let mut recordings = Vec::with_capacity(manifest.recording.len());
        let part = |recording: &'_ RecordingTable| {
            let domain = recording.domain.as_ref().map_or("", |d| d.as_ref().as_str());
            let start = recording.stretch.as_ref().map(|s| s.samples.start);
            (domain.to_owned(), recording.file.as_ref().clone(), start)
        };
        let mut of_part: BTreeMap<_, usize> = BTreeMap::new();
        for recording in &manifest.recording {
            *of_part.entry(part(recording)).or_default() += 1;
        }
        for recording in &manifest.recording {
            let part = part(recording);
            let keys: Option<Vec<&str>> = recording
                .channels
                .as_ref()
                .map(|stated| stated.as_ref().iter().map(|c| c.key.as_str()).collect());
            let domain = part.0.clone();
            // only rows that each state their channels can mean different recordings of one file
            let before: &mut Vec<Option<Vec<&str>>> = seen.entry(part.clone()).or_default();
            let twice = !before.is_empty() && (keys.is_none() || before.iter().any(|k| k.is_none() || *k == keys));
            before.push(keys);
            if twice {
                let place = if domain.is_empty() {
                    String::new()
                } else {
                    format!(" in domain {domain}")
                };
                let message = format!("{} is listed twice{place}", recording.file.as_ref());
                return Err(self.error(Some(recording.file.span()), message));
            }
            let mut entry = context.entry(recording)?;
            if of_part[&part] > 1 {
                // several recordings in one file go by their channels too
                entry.file = format!("{}#{}", entry.file, entry.channel_keys().join("+"));
            }
            // plain absence is in the entry; a name that fits several files, and labels that cannot be read, deserve a word
            let absent = entry.path.is_none() && entry.fault.as_ref().is_some_and(|f| f.starts_with("no file"));
            let told = if absent { None } else { entry.fault.as_ref() };
            if let Some(fault) = told.filter(|_| entry.path.is_none() || recording.fault.is_some()) {
                warnings.push(format!("{}: {fault}", entry.file));
            }
            recordings.push(entry);
        }
        classify(self, &manifest.class, &classes, &mut recordings)?;
        let (recordings, of_none) = assign_domains(self, &manifest.domain, &classes, recordings)?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = recordings.iter().find(|r| !seen.insert((&r.domain, &r.file))) {
            return Err(self.error(None, format!("{} is twice in domain {}", twice.file, twice.domain)));
        }
        if let Some(first) = of_none.first() {
            if manifest.domain.is_empty() {
                let row = manifest.recording.iter().find(|r| r.file.as_ref() == first);
                let message = format!(
                    "{first} states no domain; give it `domain`, or the data set a group (?<domain>..) in `pattern`, or \
                     a [domain.NAME] whose `where` is true of it"
                );
                return Err(self.error(row.map(|r| r.file.span()), message));
            }
            warnings.push(format!("in no domain, and so left out: {}", shorten(&of_none)));
        }
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Dataset {
            name: manifest.dataset.name.unwrap_or(stem),
            source: manifest.dataset.source,
            licence: manifest.dataset.licence,
            base: base.clone(),
            classes,
            families,
            recordings,
            warnings,
        })
    }

    /// The stated recordings and those that `files` chooses, with what `pattern` says of each.
    fn rows(
        &self,
        table: &DatasetTable,
        base: &Path,
        mut stated: Vec<RecordingTable>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<RecordingTable>> {
        let count = stated.len();
        if let Some(globs) = &table.files {
            stated = with_chosen_files(self, globs, base, stated)?;
        }
        let Some(pattern) = &table.pattern else {
            return with_labels(self, table, base, stated);
        };
        let pattern = Pattern::new(self, pattern)?;
        let (mut rows, mut passed) = (Vec::with_capacity(stated.len()), Vec::new());
        for (i, mut row) in stated.into_iter().enumerate() {
            if pattern.fill(&mut row)? || i < count {
                rows.push(row);
            } else {
                passed.push(row.file.into_inner());
            }
        }
        if !passed.is_empty() {
            warnings.push(format!(
                "`pattern` does not fit, and so passed over: {}; list them as [[recording]] to use them",
                shorten(&passed)
            ));
        }
        with_labels(self, table, base, rows)
    }

    /// Classes as stated, else all that occur, in alphabetical order.
    fn classes(&self, manifest: &Manifest) -> Result<Vec<String>> {
        let Some(stated) = &manifest.dataset.classes else {
            let tables = manifest.class.keys().map(|name| name.as_ref().clone());
            let used = manifest
                .recording
                .iter()
                .filter_map(|r| r.class.as_ref())
                .map(|c| c.as_ref().clone());
            return Ok(tables.chain(used).collect::<BTreeSet<_>>().into_iter().collect());
        };
        let mut classes: Vec<String> = Vec::with_capacity(stated.len());
        for class in stated {
            if classes.contains(class.as_ref()) {
                return Err(self.error(
                    Some(class.span()),
                    format!("class {:?} is listed twice", class.as_ref()),
                ));
            }
            classes.push(class.as_ref().clone());
        }
        for name in manifest.class.keys() {
            self.known("class", name.as_ref(), name.span(), &classes)?;
        }
        Ok(classes)
    }

    fn channels(&self, channels: Option<&toml::Spanned<Vec<Channel>>>) -> Result<Option<Vec<Channel>>> {
        let Some(spanned) = channels else { return Ok(None) };
        let channels = spanned.as_ref();
        let names: BTreeSet<&str> = channels.iter().map(|c| c.name.as_str()).collect();
        if channels.is_empty() || names.len() < channels.len() {
            let message = "channels: expected at least one, each with a name of its own";
            return Err(self.error(Some(spanned.span()), message));
        }
        Ok(Some(channels.clone()))
    }
}

/// What every entry is made from.
struct Context<'a> {
    source: &'a Source<'a>,
    finder: Finder<'a>,
    table: &'a DatasetTable,
    classes: &'a [String],
    geometries: &'a BTreeMap<String, Geometry>,
    /// Of recordings that state none.
    geometry: Option<Geometry>,
    rpm: Option<f64>,
    rate_hz: Option<f64>,
    declared: Option<Vec<Channel>>,
    options: &'a OpenOptions,
}

impl Context<'_> {
    fn geometry(&self, name: Option<&toml::Spanned<String>>) -> Result<Option<Geometry>> {
        let Some(name) = name else { return Ok(None) };
        let names: Vec<String> = self.geometries.keys().cloned().collect();
        let number = self.source.known("geometry", name.as_ref(), name.span(), &names)?;
        Ok(Some(self.geometries[&names[number]]))
    }

    fn entry(&self, table: &RecordingTable) -> Result<RecordingEntry> {
        let source = self.source;
        for (key, text) in [("file", Some(&table.file)), ("domain", table.domain.as_ref())] {
            if let Some(text) = text.filter(|text| text.as_ref().is_empty()) {
                return Err(source.error(Some(text.span()), format!("{key} is empty")));
            }
        }
        let class = match &table.class {
            Some(class) => Some(source.known("class", class.as_ref(), class.span(), self.classes)?),
            None => None,
        };
        let geometry = self.geometry(table.geometry.as_ref())?.or(self.geometry);
        let sha256 = table.sha256.as_ref().map_or(Vec::new(), |s| s.as_ref().list());
        if let Some(wrong) = sha256
            .iter()
            .find(|s| s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            let message = format!("sha256 {wrong:?}: expected 64 hexadecimal digits");
            return Err(source.error(table.sha256.as_ref().map(toml::Spanned::span), message));
        }
        let own = source.channels(table.channels.as_ref())?;
        let (channels, no_channel) = match take_channels(own.as_ref().or(self.declared.as_ref()), self.options) {
            Ok(channels) => (channels, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let (path, absent) = match self.finder.find(table.file.as_ref()) {
            Ok(path) => (Some(path), None),
            Err(reason) => (None, Some(reason)),
        };
        Ok(RecordingEntry {
            file: match &table.stretch {
                Some(Stretch { samples, .. }) => format!("{}[{}..{}]", table.file.as_ref(), samples.start, samples.end),
                None => table.file.as_ref().clone(),
            },
            path,
            // empty until the queries of domains are asked
            domain: table.domain.as_ref().map_or(String::new(), |d| d.as_ref().clone()),
            class,
            unit: table.unit.clone(),
            rpm: source.positive(table.rpm.as_ref(), "rpm")?.or(self.rpm),
            geometry,
            rate_hz: source.positive(table.rate_hz.as_ref(), "rate_hz")?.or(self.rate_hz),
            sha256,
            bytes: table.bytes.clone().map_or(Vec::new(), super::schema::Sizes::list),
            channels,
            text: self.table.text,
            raw: self.table.raw,
            attributes: table.attributes.clone(),
            words: table.labels.as_ref().map(|labels| labels.as_ref().key.clone()),
            stretch: table.stretch.clone(),
            fault: absent.or(no_channel).or_else(|| table.fault.clone()),
            packed: None,
        })
    }
}

/// The channels to read: of the declared ones those asked for, by name or number; else keys made from what was asked.
/// The error is for the one recording: others of the data set may declare channels of their own.
pub(super) fn take_channels(declared: Option<&Vec<Channel>>, options: &OpenOptions) -> Result<Vec<Channel>, String> {
    let asked = options.channels.as_deref().unwrap_or_default();
    if let (Some(declared), None) = (declared, &options.key) {
        if asked.is_empty() {
            return Ok(declared.clone());
        }
        let names: Vec<&str> = declared.iter().map(|c| c.name.as_str()).collect();
        return asked
            .iter()
            .map(|ask| {
                let by_number = ask.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                let found = declared
                    .iter()
                    .find(|c| c.name == *ask)
                    .or_else(|| declared.get(by_number?));
                found.cloned().ok_or_else(|| {
                    format!(
                        "no channel {ask:?}; declared are {} (or 1 to {})",
                        names.join(", "),
                        names.len()
                    )
                })
            })
            .collect();
    }
    let key = options.key.as_deref().unwrap_or("*");
    if asked.is_empty() {
        return Ok(vec![Channel {
            name: key.into(),
            key: key.into(),
        }]);
    }
    let keyed = |ask: &String| match ask.parse::<usize>() {
        Ok(n) => Channel {
            name: ask.clone(),
            key: format!("{key}#{n}"),
        },
        Err(_) => Channel {
            name: ask.clone(),
            key: ask.clone(),
        },
    };
    Ok(asked.iter().map(keyed).collect())
}

/// The first of a list, and how many more there are.
fn shorten(list: &[String]) -> String {
    let shown = list[..list.len().min(5)].join(", ");
    match list.len() - list.len().min(5) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
