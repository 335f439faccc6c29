//! Writes HDF5 files of one-dimensional signals that say themselves what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rust_hdf5::{H5Dataset, H5File, H5Group, H5Type, HBool, Hdf5Error};

use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// Samples of a chunk. A window of 1024 samples costs one chunk or two, and a chunk packs nearly as well as the whole.
const CHUNK: usize = 1 << 14;
/// Samples, of all channels, of a chunk of windows at least.
const LEAST: usize = 1 << 10;
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
        let mut narrowest = Narrowest::default();
        narrowest.see(&samples);
        match narrowest.stored() {
            Stored::I16 => Self::I16(samples.into_iter().map(|x| x as i16).collect()),
            Stored::I32 => Self::I32(samples.into_iter().map(|x| x as i32).collect()),
            Stored::F32 => Self::F32(samples.into_iter().map(|x| x as f32).collect()),
            Stored::F64 => Self::F64(samples),
        }
    }
}

/// A type that samples are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    I16,
    I32,
    F32,
    F64,
}

/// Finds the narrowest type that gives back the same bits of all samples that it has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrowest {
    i16: bool,
    i32: bool,
    f32: bool,
}

impl Default for Narrowest {
    fn default() -> Self {
        Self {
            i16: true,
            i32: true,
            f32: true,
        }
    }
}

impl Narrowest {
    pub fn see(&mut self, samples: &[f64]) {
        let same = |back: fn(f64) -> f64| samples.iter().all(|&x| back(x).to_bits() == x.to_bits());
        self.i16 = self.i16 && same(|x| f64::from(x as i16));
        self.i32 = self.i32 && (self.i16 || same(|x| f64::from(x as i32)));
        // what a NaN carries is not kept by a conversion; 16-bit integers are floats of 32 bits
        self.f32 = self.f32 && (self.i16 || same(|x| if x.is_nan() { 0.0 } else { f64::from(x as f32) }));
    }

    pub fn stored(self) -> Stored {
        match self {
            Self { i16: true, .. } => Stored::I16,
            Self { i32: true, .. } => Stored::I32,
            Self { f32: true, .. } => Stored::F32,
            _ => Stored::F64,
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

    /// A data set of whole numbers as they are, not packed.
    pub fn numbers(
        &mut self,
        group: &str,
        name: &str,
        numbers: &[i64],
        attributes: &BTreeMap<String, Attribute>,
    ) -> Result<()> {
        let write = |group: &H5Group| {
            let dataset = group.new_dataset::<i64>().shape([numbers.len()]).create(name)?;
            if !numbers.is_empty() {
                dataset.write_raw(numbers)?;
            }
            state(&dataset, attributes)
        };
        let written = self.group(group).and_then(|group| write(&group));
        written.map_err(|e| failed(&self.path, e))
    }

    /// A data set of whole numbers at the root, chunked and packed.
    pub fn integers(&self, name: &str, integers: &[i64]) -> Result<()> {
        let written = signal(&self.file.root_group(), name, integers, &BTreeMap::new());
        written.map_err(|e| failed(&self.path, e))
    }

    /// A data set at the root of windows, channels and samples, for windows to be added in their order. Chunked by windows, so that
    /// one is read without the others.
    pub fn windows(
        &self,
        name: &str,
        shape: [usize; 3],
        stored: Stored,
        attributes: &BTreeMap<String, Attribute>,
    ) -> Result<Hdf5Windows> {
        let create = || {
            let dataset = match stored {
                Stored::I16 => windows::<i16>(&self.file, name, shape),
                Stored::I32 => windows::<i32>(&self.file, name, shape),
                Stored::F32 => windows::<f32>(&self.file, name, shape),
                Stored::F64 => windows::<f64>(&self.file, name, shape),
            }?;
            state(&dataset, attributes)?;
            Ok(dataset)
        };
        Ok(Hdf5Windows {
            path: self.path.clone(),
            dataset: create().map_err(|e| failed(&self.path, e))?,
            stored,
            per_chunk: windows_per_chunk(shape),
            waiting: Vec::new(),
            held: 0,
            chunks: 0,
        })
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
    state(&dataset, attributes)
}

fn state(dataset: &H5Dataset, attributes: &BTreeMap<String, Attribute>) -> rust_hdf5::Result<()> {
    attributes
        .iter()
        .try_for_each(|(name, value)| attribute(dataset, name, value))
}

/// One, or as many as make [`LEAST`] samples: an entry of the index for a few bytes would be most of the file.
fn windows_per_chunk([windows, channels, length]: [usize; 3]) -> usize {
    LEAST.div_ceil((channels * length).max(1)).clamp(1, windows.max(1))
}

fn windows<T: H5Type>(file: &H5File, name: &str, shape: [usize; 3]) -> rust_hdf5::Result<H5Dataset> {
    let dataset = file.root_group().new_dataset::<T>().shape(shape);
    if shape.contains(&0) {
        return dataset.create(name);
    }
    let chunk = [windows_per_chunk(shape), shape[1], shape[2]];
    dataset.chunk(&chunk).shuffle_deflate(DEFLATE).create(name)
}

/// A data set of windows that is being written.
pub(crate) struct Hdf5Windows {
    path: PathBuf,
    dataset: H5Dataset,
    stored: Stored,
    per_chunk: usize,
    /// Bytes of the windows of the next chunk.
    waiting: Vec<u8>,
    /// How many they are.
    held: usize,
    chunks: usize,
}

impl Hdf5Windows {
    /// The next window, channel by channel.
    pub fn add<'a>(&mut self, channels: impl Iterator<Item = &'a [f64]>) -> Result<()> {
        for samples in channels {
            let out = &mut self.waiting;
            match self.stored {
                Stored::I16 => samples.iter().for_each(|&x| out.extend((x as i16).to_le_bytes())),
                Stored::I32 => samples.iter().for_each(|&x| out.extend((x as i32).to_le_bytes())),
                Stored::F32 => samples.iter().for_each(|&x| out.extend((x as f32).to_le_bytes())),
                Stored::F64 => samples.iter().for_each(|&x| out.extend(x.to_le_bytes())),
            }
        }
        self.held += 1;
        if self.held == self.per_chunk {
            self.chunk()
        } else {
            Ok(())
        }
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<()> {
        if self.held == 0 {
            return Ok(());
        }
        // a chunk is whole even where the data set ends inside it
        let window = self.waiting.len() / self.held;
        self.waiting.resize(window * self.per_chunk, 0);
        self.chunk()
    }

    fn chunk(&mut self) -> Result<()> {
        let written = self.dataset.write_chunk(self.chunks, &self.waiting);
        written.map_err(|e| failed(&self.path, e))?;
        self.chunks += 1;
        self.held = 0;
        self.waiting.clear();
        Ok(())
    }
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
