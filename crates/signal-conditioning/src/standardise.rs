use serde::{Deserialize, Serialize};

use crate::error::all_finite;
use crate::scale::{mean_and_variance, standardised};
use crate::{Error, Result};

/// Which values of a window share a mean and a standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// Every position has its own: for spectra, where position is frequency (and channel).
    PerBin,
    /// All positions of a channel share one: for samples, where position means nothing. Channels stand one
    /// after the other and are equally long.
    PerChannel,
}

impl Grouping {
    fn name(self) -> &'static str {
        match self {
            Self::PerBin => "bins",
            Self::PerChannel => "channels",
        }
    }

    /// Values of each group in a window of `found` values.
    fn width(self, groups: usize, found: usize) -> Result<usize> {
        let wrong = |expected| {
            Err(Error::Length {
                found,
                groups,
                grouping: self.name(),
                expected,
            })
        };
        match self {
            Self::PerBin if found != groups => wrong(format!("{groups} values")),
            Self::PerChannel if found == 0 || !found.is_multiple_of(groups) => {
                wrong(format!("a positive multiple of {groups}"))
            }
            _ => Ok(found / groups),
        }
    }
}

/// Mean and standard deviation of training windows, and the map `(x - mean) / std` that they define.
///
/// The standard deviation is that of the population (divided by n). A group that never varied gives zeros,
/// whatever it is applied to. Serialised as `{"grouping":"per-bin","mean":[..],"std":[..]}`; reading checks
/// that both lists are equally long, finite and `std` not negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Standardiser {
    grouping: Grouping,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Standardiser {
    /// Statistics that come from elsewhere: means and standard deviations, equally many, at least one, finite, the second not
    /// negative; else an error.
    pub fn new(grouping: Grouping, mean: Vec<f64>, std: Vec<f64>) -> Result<Self> {
        Stored { grouping, mean, std }.try_into()
    }

    /// Which values share statistics.
    pub fn grouping(&self) -> Grouping {
        self.grouping
    }

    /// Mean of each bin or channel.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Population standard deviation of each bin or channel.
    pub fn std(&self) -> &[f64] {
        &self.std
    }

    /// Standardises a window in place; NaN and infinity stay what they are (0 where the spread is zero).
    ///
    /// A window of another number of bins, or whose length the number of channels does not divide, is an
    /// error and is left unchanged.
    pub fn apply(&self, window: &mut [f64]) -> Result<()> {
        let width = self.grouping.width(self.mean.len(), window.len())?;
        for ((values, &mean), &std) in window.chunks_exact_mut(width).zip(&self.mean).zip(&self.std) {
            for v in values {
                *v = standardised(*v, mean, std);
            }
        }
        Ok(())
    }
}

/// Collects the statistics of a [`Standardiser`], one window at a time.
///
/// Means and squared deviations are updated window by window (Chan and others, "Updating formulae and a
/// pairwise algorithm for computing sample variances", 1979), so nothing is kept and nothing cancels; equal
/// values give a standard deviation of exactly 0.
///
/// ```
/// use signal_conditioning::{Grouping, StandardiserBuilder};
/// let mut builder = StandardiserBuilder::new(2, Grouping::PerBin);
/// builder.push(&[1.0, 5.0])?;
/// builder.push(&[3.0, 5.0])?;
/// let mut window = [3.0, 7.0];
/// builder.finish()?.apply(&mut window)?;
/// assert_eq!(window, [1.0, 0.0]);
/// # Ok::<(), signal_conditioning::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StandardiserBuilder {
    grouping: Grouping,
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl StandardiserBuilder {
    /// Statistics of `groups` bins (all channels together) or of `groups` channels. No groups: every window
    /// is refused.
    pub fn new(groups: usize, grouping: Grouping) -> Self {
        Self {
            grouping,
            count: 0.0,
            mean: vec![0.0; groups],
            squares: vec![0.0; groups],
        }
    }

    /// Takes a training window in. One that does not fit, or holds a value that is not finite, is an error
    /// and changes nothing.
    pub fn push(&mut self, window: &[f64]) -> Result<()> {
        let groups = self.mean.len();
        if groups == 0 {
            let expected = "at least one of them".to_owned();
            return Err(Error::Length {
                found: window.len(),
                groups,
                grouping: self.grouping.name(),
                expected,
            });
        }
        let width = self.grouping.width(groups, window.len())?;
        all_finite(window)?;
        let added = width as f64;
        let total = self.count + added;
        for ((values, mean), squares) in window.chunks_exact(width).zip(&mut self.mean).zip(&mut self.squares) {
            let (own_mean, own_variance) = mean_and_variance(values);
            let shift = own_mean - *mean;
            *mean += shift * (added / total);
            *squares += own_variance * added + shift * shift * (self.count * added / total);
        }
        self.count = total;
        Ok(())
    }

    /// The statistics of all windows so far; none, or values too large to square, are errors.
    pub fn finish(self) -> Result<Standardiser> {
        if self.count == 0.0 {
            return Err(Error::NoWindows);
        }
        let std = self
            .squares
            .iter()
            .map(|squares| (squares / self.count).sqrt())
            .collect();
        Stored {
            grouping: self.grouping,
            mean: self.mean,
            std,
        }
        .try_into()
    }
}

/// A standardiser as it stands in a file, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    grouping: Grouping,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl TryFrom<Stored> for Standardiser {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let Stored { grouping, mean, std } = stored;
        let wrong = |reason| {
            Err(Error::Stored {
                what: "statistics",
                reason,
            })
        };
        if mean.is_empty() || mean.len() != std.len() {
            return wrong(format!(
                "{} means and {} standard deviations: expected as many of both, at least one",
                mean.len(),
                std.len()
            ));
        }
        if let Some(k) = (0..mean.len()).find(|&k| !(mean[k].is_finite() && std[k].is_finite() && std[k] >= 0.0)) {
            return wrong(format!(
                "mean {} and standard deviation {} at position {k}: expected finite numbers, the second not negative",
                mean[k], std[k]
            ));
        }
        Ok(Self { grouping, mean, std })
    }
}
