//! What a file holds: variables, columns, data sets, channels.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::numbers::{Lane, rate_of_spacing};
use super::{ReadOptions, SignalFile};
use crate::dataset::Attribute;
use crate::error::Result;

/// Attributes that state the rate in Hz, or its spacing in seconds, compared in lower case.
const RATES: [&str; 10] = [
    "fs",
    "rate_hz",
    "fs_hz",
    "sample_rate",
    "samplerate",
    "sampling_rate",
    "samplingrate",
    "sampling_frequency",
    "samplingfrequency",
    "sample_rate_hz",
];
const SPACINGS: [&str; 4] = ["xspacing", "dt", "wf_increment", "sampling_interval"];

/// A variable, column, data set or channel of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variable {
    /// Its name: of the variable, a field (`bearing.gs`) or a cell (`runs{2}`) of it (MAT); of the column, or its number
    /// from 1 (text, WAV, raw); the path (HDF5); `group/channel` (TDMS); the array (NPZ); the number of the function
    /// (UFF).
    pub name: String,
    /// Its extents in the file's order.
    pub shape: Vec<usize>,
    /// What it holds, in words: `float64`, `int16`, `logical`, `struct`, `cell`, `char` ...
    pub kind: String,
    /// Whether it holds real numbers and so can be read.
    pub numeric: bool,
    /// Whether it holds the times of the samples beside it, and so is no signal.
    pub time: bool,
    /// Sampling rate in Hz, where the file states one.
    pub rate_hz: Option<f64>,
    /// Unit of the samples, where the file states one.
    pub unit: Option<String>,
    /// Where its numbers are places in a list of words (a column of labels), the words.
    pub words: Vec<String>,
    /// What else the file says about it; a `char` variable's text is attribute `text`.
    pub attributes: BTreeMap<String, Attribute>,
    /// Why it cannot be read, where that needs saying.
    pub reason: Option<String>,
}

impl Variable {
    /// A numeric variable.
    pub(crate) fn numbers(name: impl Into<String>, shape: Vec<usize>, kind: &str) -> Self {
        Self {
            name: name.into(),
            shape,
            kind: kind.into(),
            numeric: true,
            ..Self::default()
        }
    }

    /// One that holds something else, or cannot be read.
    pub(crate) fn other(name: impl Into<String>, shape: Vec<usize>, kind: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shape,
            kind: kind.into(),
            ..Self::default()
        }
    }

    /// Samples per channel: the longest extent, if at most two extents differ from 1; the number of elements otherwise.
    pub fn samples(&self) -> usize {
        match self.wide_extents() {
            _ if self.elements() == 0 => 0,
            Some((a, b)) => a.max(b),
            None => self.elements(),
        }
    }

    /// Number of channels: 1 for a vector, the shorter extent of a matrix.
    pub fn channels(&self) -> usize {
        self.wide_extents().map_or(1, |(a, b)| a.min(b).max(1))
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |p: usize, &n| p.saturating_mul(n))
    }

    /// Whether it can be a recording: real numbers that are no times and no words, more than one sample, at most two extents other
    /// than 1.
    pub fn is_signal(&self) -> bool {
        self.numeric && !self.time && self.words.is_empty() && self.samples() > 1 && self.wide_extents().is_some()
    }

    /// Takes the rate and the unit that its attributes state. Attributes that state different rates state none.
    pub(crate) fn take_rate_and_unit(&mut self) {
        let mut rates: Vec<f64> = Vec::new();
        for (name, value) in &self.attributes {
            let name = name.to_lowercase();
            match value {
                Attribute::Number(rate) if RATES.contains(&&*name) && rate.is_finite() && *rate > 0.0 => {
                    rates.push(*rate);
                }
                Attribute::Number(spacing) if SPACINGS.contains(&&*name) => {
                    rates.extend(rate_of_spacing(*spacing, 1e-9));
                }
                Attribute::Text(unit) if matches!(&*name, "unit" | "units" | "yunits") && !unit.is_empty() => {
                    self.unit = Some(unit.clone());
                }
                _ => {}
            }
        }
        if let Some(&rate) = rates.first()
            && rates.iter().all(|r| (r - rate).abs() <= 1e-6 * rate)
        {
            self.rate_hz = Some(rate);
        }
    }

    /// `name (121265x1 float64)`.
    pub(crate) fn describe(&self) -> String {
        self.to_string()
    }

    /// The extents that differ from 1, with 1 for each that is not there; `None` where there are more than two. No memory
    /// is taken: it is asked for each window that is read.
    fn wide_extents(&self) -> Option<(usize, usize)> {
        let mut wide = self.shape.iter().copied().filter(|&n| n != 1);
        let pair = (wide.next().unwrap_or(1), wide.next().unwrap_or(1));
        wide.next().is_none().then_some(pair)
    }

    /// How the samples of `channel` lie among the elements.
    pub(crate) fn lane(&self, order: Order, channel: usize) -> Lane {
        let (first, second) = match self.wide_extents() {
            Some((first, second)) if second != 1 => (first, second),
            _ => return Lane { first: 0, stride: 1 },
        };
        let (fast, slow) = match order {
            Order::ColumnMajor => (first, second),
            Order::RowMajor => (second, first),
        };
        // a square matrix: its rows are the samples, whichever way it lies
        if fast > slow || fast == slow && order == Order::ColumnMajor {
            // time runs along the fast extent: each channel is one contiguous piece
            Lane {
                first: channel as u64 * fast as u64,
                stride: 1,
            }
        } else {
            Lane {
                first: channel as u64,
                stride: fast as u64,
            }
        }
    }
}

/// `name (121265x1 float64)`.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.name)?;
        for (n, extent) in self.shape.iter().enumerate() {
            write!(f, "{}{extent}", if n == 0 { "" } else { "x" })?;
        }
        let space = if self.shape.is_empty() { "" } else { " " };
        write!(f, "{space}{})", self.kind)
    }
}

/// Lists what a file holds, in the file's order, whether it can be read as a signal or not.
pub fn list_variables(path: &Path) -> Result<Vec<Variable>> {
    Ok(SignalFile::open(path, &ReadOptions::default())?.variables().to_vec())
}

/// How a matrix lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first extent varies fastest (MATLAB, Fortran).
    ColumnMajor,
    /// The last extent varies fastest (HDF5, C).
    RowMajor,
}
