//! Looks a recording over before anything is learnt from it.

use crate::error::Result;
use crate::recording::{OpenRecording, Recording};

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
        let mut seen = vec![Seen::default(); self.channels.len()];
        for (seen, x) in seen.iter_mut().zip(&self.channels) {
            seen.take(x);
        }
        scan(&self.names, seen, self.rate_hz)
    }
}

impl OpenRecording {
    /// Looks the recording over, as [`Recording::scan`], in memory that does not grow with it.
    ///
    /// Errors: as [`read`](Self::read).
    pub fn scan(&self) -> Result<Scan> {
        let mut seen = vec![Seen::default(); self.names.len()];
        for piece in self.pieces() {
            for (seen, x) in seen.iter_mut().zip(piece?) {
                seen.take(&x);
            }
        }
        Ok(scan(&self.names, seen, self.rate_hz))
    }
}

fn scan(names: &[String], channels: Vec<Seen>, rate_hz: Option<f64>) -> Scan {
    let mut scan = Scan {
        samples: channels.first().map_or(0, |c| c.samples),
        no_rate: rate_hz.is_none(),
        ..Scan::default()
    };
    for (name, mut seen) in names.iter().zip(channels) {
        seen.end_run();
        scan.nan += seen.nan;
        scan.infinite += seen.infinite;
        if seen.samples > 1 && !seen.varies {
            scan.constant.push(name.clone());
        } else if seen.low.clipped + seen.high.clipped > 0 {
            scan.clipped.push((name.clone(), seen.low.clipped + seen.high.clipped));
        }
    }
    scan
}

/// What was seen of a channel so far.
#[derive(Clone)]
struct Seen {
    samples: usize,
    nan: usize,
    infinite: usize,
    first: f64,
    varies: bool,
    /// The equal samples at the end of what was seen: their value and number.
    run: (f64, usize),
    low: Extreme,
    high: Extreme,
}

/// The least or the largest finite sample, and how many lie in runs of at least [`CLIPPED_RUN`] of it.
#[derive(Clone)]
struct Extreme {
    value: f64,
    clipped: usize,
}

impl Default for Seen {
    fn default() -> Self {
        let extreme = |value| Extreme { value, clipped: 0 };
        Self {
            samples: 0,
            nan: 0,
            infinite: 0,
            first: 0.0,
            varies: false,
            run: (f64::NAN, 0),
            low: extreme(f64::INFINITY),
            high: extreme(f64::NEG_INFINITY),
        }
    }
}

impl Seen {
    /// The samples that follow.
    fn take(&mut self, x: &[f64]) {
        if self.samples == 0 {
            self.first = x.first().copied().unwrap_or_default();
        }
        self.samples += x.len();
        for &v in x {
            if v == self.run.0 {
                self.run.1 += 1;
                continue;
            }
            self.end_run();
            self.run = (v, 1);
            self.varies |= v != self.first;
            self.nan += usize::from(v.is_nan());
        }
    }

    /// Another value follows, or nothing.
    fn end_run(&mut self) {
        let (value, len) = self.run;
        if value.is_infinite() {
            self.infinite += len;
        }
        if !value.is_finite() {
            return;
        }
        let clipped = if len >= CLIPPED_RUN { len } else { 0 };
        let (below, above) = (value < self.low.value, value > self.high.value);
        for (extreme, beyond) in [(&mut self.low, below), (&mut self.high, above)] {
            if beyond {
                *extreme = Extreme { value, clipped };
            } else if value == extreme.value {
                extreme.clipped += clipped;
            }
        }
        self.run.1 = 0;
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
