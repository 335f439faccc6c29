//! Looks a recording over before anything is learnt from it.

use crate::recording::Recording;

/// A run of this many equal samples at a channel's largest or smallest value counts as clipping. Converters repeat a
/// value now and then by chance; runs of five at an extreme are what a limited amplifier leaves.
const CLIPPED_RUN: usize = 5;

/// What was seen in a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Samples per channel.
    pub samples: usize,
    /// NaN samples in all channels.
    pub nan: usize,
    /// Infinite samples in all channels.
    pub infinite: usize,
    /// Names of channels whose samples are all equal.
    pub constant: Vec<String>,
    /// Names of channels with a run of at least five equal samples at their largest or smallest value, and how many
    /// samples lie in such runs.
    pub clipped: Vec<(String, usize)>,
    /// No sampling rate is known.
    pub no_rate: bool,
}

impl Recording {
    /// Looks the recording over.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan {
            samples: self.len(),
            no_rate: self.rate_hz.is_none(),
            ..Scan::default()
        };
        for (name, x) in self.names.iter().zip(&self.channels) {
            scan.nan += x.iter().filter(|v| v.is_nan()).count();
            scan.infinite += x.iter().filter(|v| v.is_infinite()).count();
            if x.len() > 1 && x.iter().all(|v| *v == x[0]) {
                scan.constant.push(name.clone());
                continue;
            }
            let clipped = clipped_samples(x);
            if clipped > 0 {
                scan.clipped.push((name.clone(), clipped));
            }
        }
        scan
    }
}

impl Scan {
    /// Why the recording cannot be used: no sample, samples that are not finite, a constant channel.
    pub fn fault(&self) -> Option<String> {
        if self.samples == 0 {
            return Some("zero length: the recording has no sample".into());
        }
        let mut faults = Vec::new();
        if self.nan > 0 {
            faults.push(format!("{} NaN samples", self.nan));
        }
        if self.infinite > 0 {
            faults.push(format!("{} infinite samples", self.infinite));
        }
        if !self.constant.is_empty() {
            faults.push(format!("constant signal ({})", self.constant.join(", ")));
        }
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// What should be known about a recording that can be used: clipping, no rate.
    pub fn remark(&self) -> Option<String> {
        let mut remarks: Vec<String> = self
            .clipped
            .iter()
            .map(|(name, n)| format!("{name} is clipped ({n} samples in runs at its extreme value)"))
            .collect();
        if self.no_rate {
            remarks.push("no sampling rate".into());
        }
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// Whether not even one window of `length` samples fits.
    pub fn too_short(&self, length: usize) -> bool {
        self.samples < length
    }
}

/// Samples in runs of at least [`CLIPPED_RUN`] at the largest or the smallest finite value.
fn clipped_samples(x: &[f64]) -> usize {
    let finite = || x.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    x.chunk_by(|a, b| a == b)
        .filter(|run| run.len() >= CLIPPED_RUN && (run[0] == low || run[0] == high))
        .map(<[f64]>::len)
        .sum()
}
