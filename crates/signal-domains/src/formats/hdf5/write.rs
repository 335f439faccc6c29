//! Writes HDF5 files of one-dimensional signals that say themselves what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rust_hdf5::{H5Dataset, H5File, H5Group, H5Type, HBool, Hdf5Error};

use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Samples of a chunk. A window of 1024 samples costs one chunk or two, and a chunk packs nearly as well as the whole.
const CHUNK: usize = 1 << 14;
/// Levels above gain a percent on vibration, and cost several times the time.
const DEFLATE: u32 = 4;

/// Samples as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Samples {
    I16(Vec<i16>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Samples {
    /// In the narrowest type that gives back the same bits of every sample; what came from 16-bit integers goes back to them.
    pub fn narrowest(samples: Vec<f64>) -> Self {
        let same = |back: fn(f64) -> f64| samples.iter().all(|&x| back(x).to_bits() == x.to_bits());
        if same(|x| f64::from(x as i16)) {
            Self::I16(samples.into_iter().map(|x| x as i16).collect())
        } else if same(|x| f64::from(x as i32)) {
            Self::I32(samples.into_iter().map(|x| x as i32).collect())
        } else if same(|x| if x.is_nan() { 0.0 } else { f64::from(x as f32) }) {
            Self::F32(samples.into_iter().map(|x| x as f32).collect())
        } else {
            Self::F64(samples)
        }
    }
}

/// A new HDF5 file that is being written.
pub(crate) struct Hdf5Writer {
    path: PathBuf,
    file: H5File,
    groups: BTreeMap<String, Rc<H5Group>>,
}

impl Hdf5Writer {
    /// A new, empty file; one that is there is overwritten.
    pub fn create(path: &Path) -> Result<Self> {
        let file = H5File::create(path).map_err(|e| failed(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            groups: BTreeMap::from([(String::new(), Rc::new(file.root_group()))]),
            file,
        })
    }

    /// States a text of the file as a whole.
    pub fn state(&self, name: &str, text: &str) -> Result<()> {
        self.file.set_attr_string(name, text).map_err(|e| failed(&self.path, e))
    }

    /// A data set of texts at the root.
    pub fn texts(&self, name: &str, texts: &[&str]) -> Result<()> {
        let written = self.file.write_vlen_strings(name, texts);
        written.map(drop).map_err(|e| failed(&self.path, e))
    }

    /// A data set of samples, chunked and packed by shuffle and deflate, in the group `group` (`a/b`), which is made if
    /// it is not there.
    pub fn signal(
        &mut self,
        group: &str,
        name: &str,
        samples: &Samples,
        attributes: &BTreeMap<String, Attribute>,
    ) -> Result<()> {
        let written = self.group(group).and_then(|group| match samples {
            Samples::I16(samples) => signal(&group, name, samples, attributes),
            Samples::I32(samples) => signal(&group, name, samples, attributes),
            Samples::F32(samples) => signal(&group, name, samples, attributes),
            Samples::F64(samples) => signal(&group, name, samples, attributes),
        });
        written.map_err(|e| failed(&self.path, e))
    }

    fn group(&mut self, path: &str) -> rust_hdf5::Result<Rc<H5Group>> {
        if let Some(known) = self.groups.get(path) {
            return Ok(Rc::clone(known));
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let group = Rc::new(self.group(above)?.create_group(name)?);
        self.groups.insert(path.to_owned(), Rc::clone(&group));
        Ok(group)
    }

    /// Writes what is left; all is on the disk when this returns.
    pub fn finish(self) -> Result<()> {
        drop(self.groups);
        self.file.close().map_err(|e| failed(&self.path, e))
    }
}

fn signal<T: H5Type>(
    group: &H5Group,
    name: &str,
    samples: &[T],
    attributes: &BTreeMap<String, Attribute>,
) -> rust_hdf5::Result<()> {
    let dataset = group.new_dataset::<T>().shape([samples.len()]);
    let dataset = if samples.is_empty() {
        dataset.create(name)?
    } else {
        let dataset = dataset
            .chunk(&[samples.len().min(CHUNK)])
            .shuffle_deflate(DEFLATE)
            .create(name)?;
        dataset.write_raw(samples)?;
        dataset
    };
    for (name, value) in attributes {
        attribute(&dataset, name, value)?;
    }
    Ok(())
}

fn attribute(dataset: &H5Dataset, name: &str, value: &Attribute) -> rust_hdf5::Result<()> {
    match value {
        Attribute::Text(text) => dataset.new_attr::<u8>().shape(()).create(name)?.write_string(text),
        Attribute::Number(number) => dataset.new_attr::<f64>().shape(()).create(name)?.write_numeric(number),
        Attribute::Flag(flag) => {
            let flag = HBool::from(*flag);
            dataset.new_attr::<HBool>().shape(()).create(name)?.write_numeric(&flag)
        }
    }
}

fn failed(path: &Path, error: Hdf5Error) -> Error {
    let source = match error {
        Hdf5Error::Io(source) => source,
        other => std::io::Error::other(format!("the HDF5 file cannot be written ({other})")),
    };
    Error::Machine {
        path: path.to_owned(),
        source,
    }
}
