//! A data set from a file that [`pack`](crate::pack) wrote.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use signal_conditioning::Geometry;

use super::entry::Packed;
use super::manifest::take_channels;
use super::{Attribute, Channel, Dataset, OpenOptions, RecordingEntry};
use crate::error::{Error, Place, Result};
use crate::formats::hdf5::{Hdf5File, is_hdf5};
#[cfg(feature = "parquet")]
use crate::formats::parquet::ParquetFile;
use crate::formats::source::Source;
use crate::formats::{Columnar, Limits, SignalFile, TextLayout, Variable};
use crate::pack::layout;
use crate::pack::windowed::WindowedFile;

/// Whether a file starts as those do that `pack` writes.
pub(super) fn is_container(path: &Path) -> bool {
    let mut head = [0; 8];
    let read = File::open(path).and_then(|mut f| f.read_exact(&mut head));
    read.is_ok() && (is_hdf5(&head) || Columnar::of(&head) == Some(Columnar::Parquet))
}

/// Whether a file is one that `pack` wrote, of whatever layout.
pub(super) fn is_packed(path: &Path) -> bool {
    is_container(path)
        && Container::open(path, &Limits::default())
            .is_ok_and(|container| container.stated(layout::FORMAT).as_deref() == Some(layout::FORMAT_NAME))
}

/// An open file that `pack` may have written.
enum Container {
    Hdf5(Hdf5File),
    #[cfg(feature = "parquet")]
    Parquet(ParquetFile),
}

impl Container {
    fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let source = Source::open(path, limits)?;
        let head = source.head(8)?;
        match Columnar::of(&head) {
            #[cfg(feature = "parquet")]
            Some(Columnar::Parquet) => Ok(Self::Parquet(ParquetFile::open(source, limits)?)),
            #[cfg(not(feature = "parquet"))]
            // the error that names the feature
            Some(columnar) => Err(columnar
                .open(source, limits)
                .err()
                .unwrap_or_else(|| Error::Argument(format!("{}: not read by this build", path.display())))),
            _ => Ok(Self::Hdf5(Hdf5File::open(source, limits)?)),
        }
    }

    /// What the file as a whole states.
    fn stated(&self, key: &str) -> Option<String> {
        match self {
            Self::Hdf5(file) => file.stated(key),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.stated(key),
        }
    }

    /// The list of texts of that name; none where there is no such list.
    fn texts(&self, key: &str) -> Result<Vec<String>> {
        match self {
            Self::Hdf5(file) => Ok(file.texts(key)?.unwrap_or_default()),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => Ok(file
                .stated(key)
                .and_then(|texts| serde_json::from_str(&texts).ok())
                .unwrap_or_default()),
        }
    }

    /// The recordings; where they are cut into windows, as they were before.
    fn into_file(self, path: &Path, limits: Limits, windows: bool) -> Result<SignalFile> {
        Ok(match self {
            Self::Hdf5(file) if windows => SignalFile::of(path, limits, Box::new(WindowedFile::new(path, file)?)),
            Self::Hdf5(file) => SignalFile::of(path, limits, Box::new(file)),
            #[cfg(feature = "parquet")]
            Self::Parquet(_) if windows => {
                let message = "windows in a Parquet file are for other programs; pack them to HDF5, or pack recordings, to \
                               open them here";
                return Err(Error::Unsupported {
                    path: path.to_owned(),
                    message: message.into(),
                });
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => SignalFile::of(path, limits, Box::new(file)),
        })
    }
}

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    if options.root.is_some() || options.key.is_some() {
        let message = format!(
            "{}: a packed file holds its recordings and names their channels; neither a root nor a key can be given",
            path.display()
        );
        return Err(Error::Argument(message));
    }
    let limits = Limits::default();
    let file = Container::open(path, &limits)?;
    let format = file.stated(layout::FORMAT);
    if format.as_deref() != Some(layout::FORMAT_NAME) {
        let message = "an HDF5 or Parquet file, but none that `pack` wrote; name what it holds in a manifest (`files`, \
                       `channels`)";
        return Err(Error::Unsupported {
            path: path.to_owned(),
            message: message.into(),
        });
    }
    let version = file.stated(layout::VERSION).unwrap_or_default();
    let windows = version == layout::VERSION_OF_WINDOWS;
    if !windows && version != layout::VERSION_NOW {
        let message = format!(
            "packed in layout {version:?}, read are {:?} and {:?}; use the release that packed it, or pack the originals again",
            layout::VERSION_NOW,
            layout::VERSION_OF_WINDOWS
        );
        return Err(Error::Unsupported {
            path: path.to_owned(),
            message,
        });
    }
    let classes = file.texts(layout::CLASSES)?;
    let families = file.texts(layout::FAMILIES)?;
    let [name, source, licence] = [layout::NAME, layout::SOURCE, layout::LICENCE].map(|key| file.stated(key));
    let file = Arc::new(file.into_file(path, limits, windows)?);
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, variable) in file.variables().iter().enumerate() {
        // in a table the path is a column
        let place = match variable.attributes.get(layout::PATH) {
            Some(Attribute::Text(place)) => place,
            _ => &variable.name,
        };
        if let Some((group, _)) = place.rsplit_once('/')
            && group.starts_with(layout::RECORDINGS)
        {
            groups.entry(group).or_default().push(index);
        }
    }
    let pack = Pack {
        path,
        file: &file,
        classes: &classes,
        options,
    };
    let recordings = groups
        .into_values()
        .map(|g| pack.entry(g))
        .collect::<Result<Vec<_>>>()?;
    if recordings.is_empty() {
        return Err(Error::file(path, Place::Whole, "it holds no recordings; pack again"));
    }
    Ok(Dataset {
        name: name.unwrap_or_default(),
        source,
        licence,
        base: path.to_owned(),
        families: (0..classes.len())
            .map(|class| families.get(class).and_then(|name| layout::family(name)))
            .collect(),
        classes,
        recordings,
        warnings: Vec::new(),
    })
}

struct Pack<'a> {
    path: &'a Path,
    file: &'a Arc<SignalFile>,
    classes: &'a [String],
    options: &'a OpenOptions,
}

impl Pack<'_> {
    /// The recording of which these variables are the channels.
    fn entry(&self, mut channels: Vec<usize>) -> Result<RecordingEntry> {
        let variable = |index: usize| &self.file.variables()[index];
        channels.sort_by(|a, b| {
            let number = |index| number(variable(index), layout::CHANNEL_NUMBER).unwrap_or(f64::INFINITY);
            number(*a).total_cmp(&number(*b))
        });
        let first = variable(channels[0]);
        let required = |key| {
            text(first, key).ok_or_else(|| {
                let message = format!("data set {} lacks attribute {key}; pack again", first.name);
                Error::file(self.path, Place::Whole, message)
            })
        };
        let declared: Vec<Channel> = channels
            .iter()
            .map(|&index| Channel {
                name: text(variable(index), layout::CHANNEL).unwrap_or_else(|| variable(index).name.clone()),
                key: variable(index).name.clone(),
            })
            .collect();
        let (taken, fault) = match take_channels(Some(&declared), self.options) {
            Ok(taken) => (taken, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let names = taken.iter().map(|channel| {
            let index = declared.iter().position(|d| d.key == channel.key);
            let variable = index.map(|index| variable(channels[index]));
            variable
                .and_then(|v| text(v, layout::VARIABLE))
                .unwrap_or_else(|| channel.name.clone())
        });
        let packed = Packed {
            file: Arc::clone(self.file),
            sha256: required(layout::SHA256)?,
            names: names.collect(),
        };
        Ok(RecordingEntry {
            file: required(layout::FILE)?,
            path: Some(self.path.to_owned()),
            domain: required(layout::DOMAIN)?,
            class: self.class(first)?,
            unit: text(first, layout::UNIT_ID),
            rpm: number(first, layout::RPM),
            geometry: self.geometry(first)?,
            rate_hz: first.rate_hz.or(self.options.rate_hz),
            sha256: Vec::new(),
            bytes: Vec::new(),
            channels: taken,
            text: TextLayout::default(),
            raw: None,
            attributes: first
                .attributes
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(layout::OTHERS)?.to_owned(), value.clone())))
                .collect(),
            words: None,
            stretch: None,
            fault,
            packed: Some(packed),
        })
    }

    fn class(&self, variable: &Variable) -> Result<Option<usize>> {
        let Some(name) = text(variable, layout::CLASS) else {
            return Ok(None);
        };
        match self.classes.iter().position(|class| *class == name) {
            Some(class) => Ok(Some(class)),
            None => Err(Error::file(
                self.path,
                Place::Whole,
                format!(
                    "data set {} is of class {name:?}, which is none of /{}; the file was changed after it was packed",
                    variable.name,
                    layout::CLASSES
                ),
            )),
        }
    }

    fn geometry(&self, variable: &Variable) -> Result<Option<Geometry>> {
        let mut orders = toml::Table::new();
        for name in layout::ORDERS {
            let Some(order) = number(variable, name) else {
                return Ok(None);
            };
            orders.insert(name.to_owned(), toml::Value::Float(order));
        }
        let geometry = orders.try_into::<Geometry>();
        geometry.map(Some).map_err(|e| {
            let message = format!("data set {}: {}", variable.name, e.message());
            Error::file(self.path, Place::Whole, message)
        })
    }
}

fn text(variable: &Variable, key: &str) -> Option<String> {
    match variable.attributes.get(key)? {
        Attribute::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(variable: &Variable, key: &str) -> Option<f64> {
    match variable.attributes.get(key)? {
        Attribute::Number(number) => Some(*number),
        _ => None,
    }
}
