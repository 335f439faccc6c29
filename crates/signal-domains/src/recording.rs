//! A recording in memory.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use signal_conditioning::resample;

use crate::dataset::{RecordingEntry, Stretch};
use crate::error::{Error, Place, Result};
use crate::formats::{Dialect, Sample, SignalFile, Variable};
use crate::select::{Chosen, pick};

/// Samples, of all channels together, that are read at once in a pass over a whole recording (4 MiB): files that are packed as
/// a whole are unpacked from their beginning for each piece.
const PIECE: usize = 1 << 19;

/// A recording in memory: one or more channels of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Samples of each channel, in the file's unit.
    pub channels: Vec<Vec<f64>>,
    /// The variable, column or data set of each channel.
    pub names: Vec<String>,
    /// The unit of each channel's samples, where the file states one.
    pub units: Vec<Option<String>>,
    /// Sampling rate in Hz, where one is known.
    pub rate_hz: Option<f64>,
    /// Nominal shaft speed in revolutions a minute, where one is known.
    pub rpm: Option<f64>,
    /// SHA-256 of the file in lower-case hex.
    pub sha256: String,
    /// How a text file was read.
    pub dialect: Option<Dialect>,
}

impl Recording {
    /// Samples per channel.
    pub fn len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The recording at another rate, each channel by [`signal_conditioning::resample`]. A recording without a rate
    /// cannot be resampled.
    pub fn resampled(mut self, to_hz: f64) -> Result<Self> {
        let Some(from_hz) = self.rate_hz else {
            return Err(Error::Argument(format!(
                "a recording without a rate cannot be brought to {to_hz} Hz; state its `rate_hz`"
            )));
        };
        if from_hz != to_hz {
            for channel in &mut self.channels {
                *channel = resample(channel, from_hz, to_hz).map_err(|e| Error::Argument(e.to_string()))?;
            }
            self.rate_hz = Some(to_hz);
        }
        Ok(self)
    }
}

/// A recording whose file is open: samples are read when asked for, and no more of them than are asked for.
#[derive(Clone, Debug)]
pub struct OpenRecording {
    file: Arc<SignalFile>,
    chosen: Vec<Chosen>,
    /// The part of the file that it is.
    samples: Range<usize>,
    /// The variable, column or data set of each channel.
    pub names: Vec<String>,
    /// The unit of each channel's samples, where the file states one.
    pub units: Vec<Option<String>>,
    /// Sampling rate in Hz, where one is known.
    pub rate_hz: Option<f64>,
}

impl OpenRecording {
    /// The channels that the keys mean, of an open file, all of them or a stretch.
    pub(crate) fn new(file: Arc<SignalFile>, path: &Path, keys: &[String], stretch: Option<&Stretch>) -> Result<Self> {
        let any = ["*".to_owned()];
        let keys = if keys.is_empty() { &any } else { keys };
        let variables = file.variables();
        let chosen = keys
            .iter()
            .map(|key| pick(path, variables, key))
            .collect::<Result<Vec<_>>>()?;
        let first = &variables[chosen[0].variable];
        for choice in &chosen[1..] {
            let variable = &variables[choice.variable];
            if variable.samples() != first.samples() {
                let message = format!(
                    "channels of different lengths: {} has {} samples, {} has {}; take channels of one recording",
                    first.name,
                    first.samples(),
                    variable.name,
                    variable.samples()
                );
                return Err(Error::file(path, Place::Whole, message));
            }
        }
        let names = chosen
            .iter()
            .map(|choice| {
                let variable = &variables[choice.variable];
                match variable.channels() {
                    1 => variable.name.clone(),
                    _ => format!("{}#{}", variable.name, choice.channel + 1),
                }
            })
            .collect();
        if let Some(choice) = chosen.iter().find(|c| variables[c.variable].rate_hz != first.rate_hz) {
            let rate = |v: &Variable| v.rate_hz.map_or("no rate".to_owned(), |r| format!("{r} Hz"));
            let other = &variables[choice.variable];
            let message = format!(
                "channels of different rates: {} has {}, {} has {}; take channels of one rate",
                first.name,
                rate(first),
                other.name,
                rate(other)
            );
            return Err(Error::file(path, Place::Whole, message));
        }
        let samples = match stretch {
            None => 0..first.samples(),
            Some(Stretch { samples, of }) if *of == first.samples() => samples.clone(),
            Some(Stretch { of, .. }) => {
                let message = format!(
                    "{of} labels for the {} samples of {}; a label is needed for each sample, or one for all",
                    first.samples(),
                    first.name
                );
                return Err(Error::file(path, Place::Whole, message));
            }
        };
        Ok(Self {
            names,
            units: chosen.iter().map(|c| variables[c.variable].unit.clone()).collect(),
            rate_hz: first.rate_hz,
            samples,
            chosen,
            file,
        })
    }

    pub(crate) fn file(&self) -> Arc<SignalFile> {
        Arc::clone(&self.file)
    }

    /// Samples per channel.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// `len` samples of each channel from `start`, as `f64` or `f32`.
    ///
    /// Errors: they are not there; the file is damaged where they are.
    pub fn read<S: Sample>(&self, start: usize, len: usize) -> Result<Vec<Vec<S>>> {
        let mut out = Vec::new();
        self.read_into(start, len, &mut out)?;
        Ok(out)
    }

    /// The same into vectors that were used before, which are overwritten; where the format allows, nothing is allocated. After
    /// an error they hold anything.
    pub fn read_into<S: Sample>(&self, start: usize, len: usize, out: &mut Vec<Vec<S>>) -> Result<()> {
        let samples = self.samples(start, len)?;
        out.resize_with(self.chosen.len(), Vec::new);
        self.file.read_channels(&self.chosen, &samples, out)
    }

    fn samples(&self, start: usize, len: usize) -> Result<Range<usize>> {
        match start.checked_add(len).filter(|end| *end <= self.len()) {
            Some(_) => {
                let from = self.samples.start + start;
                Ok(from..from + len)
            }
            None => Err(Error::Argument(format!(
                "{len} samples from {start} on are not in a recording of {}",
                self.len()
            ))),
        }
    }

    /// All samples in their order, piece by piece, as `f64`.
    pub fn pieces(&self) -> impl Iterator<Item = Result<Vec<Vec<f64>>>> + '_ {
        let piece = (PIECE / self.chosen.len().max(1)).max(1);
        (0..self.len())
            .step_by(piece)
            .map(move |start| self.read(start, piece.min(self.len() - start)))
    }

    /// All samples; `sha256` is that of the file.
    pub fn read_all(&self, sha256: String) -> Result<Recording> {
        Ok(Recording {
            channels: self.read(0, self.len())?,
            names: self.names.clone(),
            units: self.units.clone(),
            rate_hz: self.rate_hz,
            rpm: None,
            sha256,
            dialect: self.file.dialect().cloned(),
        })
    }
}

/// Reads one raw file. Each key gives one channel: a name, a glob, or either with `#N` for the N-th channel that it
/// fits; no keys mean `*`, the only numeric array with more than one sample. See the crate's page for what is read.
///
/// The rate is the file's own where it states one (WAV); the speed stays unknown.
pub fn load_file(path: &Path, keys: &[String]) -> Result<Recording> {
    RecordingEntry::of_file(path, keys).load()
}

/// SHA-256 of a file, read piece by piece.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let hash = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        Ok(hex(&hasher.finalize()))
    };
    hash().map_err(|e| Error::io(path, e))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
