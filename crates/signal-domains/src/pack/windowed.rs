//! A file of windows as the recordings that they were cut from.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::layout;
use super::windows::Cut;
use crate::dataset::Attribute;
use crate::error::{Error, Place, Result};
use crate::formats::hdf5::Hdf5File;
use crate::formats::{Out, Reader, Variable};
use crate::select::Chosen;

/// An open file of windows. Its variables are those of a file of recordings.
pub(crate) struct WindowedFile {
    path: PathBuf,
    file: Hdf5File,
    variables: Vec<Variable>,
    /// For each of them the numbers of its windows, a data set of the file, and its channel in the windows.
    spots: Vec<(usize, usize)>,
    /// The data set of the windows.
    x: usize,
    windows: usize,
    cut: Cut,
}

impl WindowedFile {
    pub fn new(path: &Path, file: Hdf5File) -> Result<Self> {
        let refused = |message: &str| Err(Error::file(path, Place::Whole, format!("{message}; pack again")));
        let all = file.variables();
        let Some(x) = all.iter().position(|v| v.name == layout::X && v.numeric) else {
            return refused("a pack of windows without data set x");
        };
        let &[windows, channels, window] = &all[x].shape[..] else {
            return refused("data set x is not of windows, channels and samples");
        };
        let hop = match all[x].attributes.get(layout::HOP) {
            Some(Attribute::Number(hop)) if hop.fract() == 0.0 && *hop >= 1.0 && *hop <= window as f64 => *hop as usize,
            _ => return refused("data set x states no hop from 1 to its windows' length"),
        };
        let cut = Cut { window, hop };
        let (mut variables, mut spots) = (Vec::new(), Vec::new());
        for (index, numbers) in all.iter().enumerate() {
            if !numbers.name.starts_with(layout::RECORDINGS) || !numbers.numeric {
                continue;
            }
            let count = match numbers.shape[..] {
                [count] if count <= windows => count,
                _ => return refused("a recording of more windows than there are"),
            };
            let channel = match numbers.attributes.get(layout::CHANNEL_NUMBER) {
                Some(Attribute::Number(n)) if *n >= 1.0 && *n <= channels as f64 => *n as usize - 1,
                _ => return refused("a channel that the windows do not have"),
            };
            variables.push(Variable {
                shape: vec![cut.covered(count)],
                kind: all[x].kind.clone(),
                ..numbers.clone()
            });
            spots.push((index, channel));
        }
        Ok(Self {
            path: path.to_owned(),
            variables,
            spots,
            x,
            windows,
            cut,
            file,
        })
    }

    /// The window that sample `at` is read from, as the how-many-th of its recording, and its first sample there.
    fn window_of(&self, variable: &Variable, at: usize) -> (usize, usize) {
        let last = (variable.samples() - self.cut.window) / self.cut.hop;
        let window = (at / self.cut.hop).min(last);
        (window, window * self.cut.hop)
    }

    /// Samples of channels that share their windows.
    fn read_together(&self, index: usize, channels: &[usize], samples: &Range<usize>) -> Result<Vec<Vec<f64>>> {
        let variable = &self.variables[index];
        // grows with what is there: the file may state more than it holds
        let mut out = vec![Vec::new(); channels.len()];
        let (Some(&low), Some(&high)) = (channels.iter().min(), channels.iter().max()) else {
            return Ok(out);
        };
        let (first, _) = self.window_of(variable, samples.start);
        let (last, _) = self.window_of(variable, samples.end - 1);
        let numbers = self.file.block(self.spots[index].0, &[first], &[last - first + 1])?;
        let mut at = samples.start;
        while at < samples.end {
            let (window, start) = self.window_of(variable, at);
            let number = numbers[window - first];
            if !(0.0..self.windows as f64).contains(&number) {
                let message = format!("{} names window {number} of {}", variable.describe(), self.windows);
                return Err(Error::file(&self.path, Place::Whole, message));
            }
            let n = (start + self.cut.window).min(samples.end) - at;
            let starts = [number as usize, low, at - start];
            let block = self.file.block(self.x, &starts, &[1, high - low + 1, n])?;
            for (out, channel) in out.iter_mut().zip(channels) {
                out.extend_from_slice(&block[(channel - low) * n..][..n]);
            }
            at += n;
        }
        Ok(out)
    }

    /// Whether the windows of two variables are the same: of one group, so of one recording.
    fn are_of_one(&self, a: usize, b: usize) -> bool {
        let group = |index: usize| self.variables[index].name.rsplit_once('/').map(|(group, _)| group);
        group(a) == group(b) && self.variables[a].shape == self.variables[b].shape
    }
}

impl WindowedFile {
    /// Samples `samples` of each channel.
    fn read(&self, channels: &[Chosen], samples: Range<usize>) -> Result<Vec<Vec<f64>>> {
        if samples.is_empty() {
            return Ok(vec![Vec::new(); channels.len()]);
        }
        let mut out = vec![Vec::new(); channels.len()];
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, chosen) in channels.iter().enumerate() {
            let known = groups.keys().find(|first| self.are_of_one(**first, chosen.variable));
            groups
                .entry(known.copied().unwrap_or(chosen.variable))
                .or_default()
                .push(place);
        }
        for (index, places) in groups {
            let wanted: Vec<usize> = places.iter().map(|&p| self.spots[channels[p].variable].1).collect();
            let read = self.read_together(index, &wanted, &samples)?;
            for (place, samples) in places.into_iter().zip(read) {
                out[place] = samples;
            }
        }
        Ok(out)
    }
}

impl Reader for WindowedFile {
    fn format(&self) -> &'static str {
        "HDF5, packed windows"
    }

    fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn read_into(&self, channels: &[Chosen], samples: &Range<usize>, out: Out<'_>) -> Result<()> {
        out.take(self.read(channels, samples.clone())?);
        Ok(())
    }
}
