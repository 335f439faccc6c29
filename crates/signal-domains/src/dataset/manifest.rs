//! Reads and checks a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use signal_conditioning::Geometry;

use super::lookup::{Finder, base};
use super::schema::{DatasetTable, Manifest, RecordingTable};
use super::{Channel, Dataset, OpenOptions, RecordingEntry};
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

/// The manifest's text, to turn byte ranges into lines.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> Error {
        let line = span.map(|s| self.text.get(..s.start).unwrap_or_default().matches('\n').count() + 1);
        Error::Manifest {
            path: self.path.to_owned(),
            line,
            message: message.into(),
        }
    }

    fn parse_error(&self, error: &toml::de::Error) -> Error {
        let mut message = error.message().replace('\n', ", ");
        // serde's words for a key that is not there, then the names between backticks
        if let Some(rest) = message
            .strip_prefix("unknown field `")
            .or_else(|| message.strip_prefix("unknown variant `"))
        {
            let mut names = rest.split('`').step_by(2);
            let unknown = names.next().unwrap_or_default().to_owned();
            if let Some(near) = nearest(&unknown, rest.split('`').skip(2).step_by(2)) {
                message = format!("{message}; did you mean `{near}`?");
            }
        }
        self.error(error.span(), message)
    }

    fn check(&self, manifest: Manifest, options: &OpenOptions) -> Result<Dataset> {
        let table = &manifest.dataset;
        let base = base(self.path, table.root.as_deref(), options)?;
        let classes = self.classes(&manifest)?;
        let default_rate = self.positive(table.rate_hz.as_ref(), "rate_hz")?;
        let declared = self.channels(table.channels.as_ref())?;
        let mut families = vec![None; classes.len()];
        for (name, class) in &manifest.class {
            if let Some(number) = classes.iter().position(|c| c == name.as_ref()) {
                families[number] = class.family;
            }
        }
        if manifest.recording.is_empty() {
            return Err(self.error(None, "no [[recording]]: a data set needs at least one"));
        }
        let context = Context {
            source: self,
            finder: Finder::new(&base),
            table,
            classes: &classes,
            geometries: &manifest.geometry,
            default_rate: default_rate.or(options.rate_hz),
            declared,
            options,
        };
        let mut warnings = Vec::new();
        if !base.is_dir() {
            let hint = "give the folder that holds the recordings as root";
            warnings.push(format!("{}: no such folder; {hint}", base.display()));
        }
        let mut seen = BTreeSet::new();
        let mut recordings = Vec::with_capacity(manifest.recording.len());
        for recording in &manifest.recording {
            if !seen.insert((recording.domain.as_ref().as_str(), recording.file.as_ref().as_str())) {
                let message = format!(
                    "{} is listed twice in domain {}",
                    recording.file.as_ref(),
                    recording.domain.as_ref()
                );
                return Err(self.error(Some(recording.file.span()), message));
            }
            let entry = context.entry(recording)?;
            // plain absence is in the entry; a name that fits several files deserves a word
            if let Some(fault) = entry
                .fault
                .as_ref()
                .filter(|f| entry.path.is_none() && !f.starts_with("no file"))
            {
                warnings.push(format!("{}: {fault}", entry.file));
            }
            recordings.push(entry);
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

    fn known(&self, what: &str, name: &str, span: Range<usize>, names: &[String]) -> Result<usize> {
        names.iter().position(|n| n == name).ok_or_else(|| {
            let hint = match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None if names.is_empty() => format!("the manifest defines no {what}"),
                None => format!("expected one of {}", names.join(", ")),
            };
            self.error(Some(span), format!("unknown {what} {name:?}; {hint}"))
        })
    }

    fn positive(&self, value: Option<&toml::Spanned<f64>>, key: &str) -> Result<Option<f64>> {
        let Some(spanned) = value else { return Ok(None) };
        let number = *spanned.as_ref();
        if number.is_finite() && number > 0.0 {
            return Ok(Some(number));
        }
        Err(self.error(
            Some(spanned.span()),
            format!("{key} is {number}: expected a number above 0, or no {key} at all"),
        ))
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
    default_rate: Option<f64>,
    declared: Option<Vec<Channel>>,
    options: &'a OpenOptions,
}

impl Context<'_> {
    fn entry(&self, table: &RecordingTable) -> Result<RecordingEntry> {
        let source = self.source;
        for (key, text) in [("file", &table.file), ("domain", &table.domain)] {
            if text.as_ref().is_empty() {
                return Err(source.error(Some(text.span()), format!("{key} is empty")));
            }
        }
        let class = match &table.class {
            Some(class) => Some(source.known("class", class.as_ref(), class.span(), self.classes)?),
            None => None,
        };
        let geometry = match &table.geometry {
            Some(name) => {
                let names: Vec<String> = self.geometries.keys().cloned().collect();
                let number = source.known("geometry", name.as_ref(), name.span(), &names)?;
                Some(self.geometries[&names[number]])
            }
            None => None,
        };
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
            file: table.file.as_ref().clone(),
            path,
            domain: table.domain.as_ref().clone(),
            class,
            unit: table.unit.clone(),
            rpm: source.positive(table.rpm.as_ref(), "rpm")?,
            geometry,
            rate_hz: source
                .positive(table.rate_hz.as_ref(), "rate_hz")?
                .or(self.default_rate),
            sha256,
            bytes: table.bytes.clone().map_or(Vec::new(), super::schema::Sizes::list),
            channels,
            text: self.table.text,
            raw: self.table.raw,
            attributes: table.attributes.clone(),
            fault: absent.or(no_channel),
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

/// The name most like `wanted`, if one is like it at all.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}
