//! Statistics of recordings.
#![allow(dead_code, reason = "each test file uses its own part")]
use bearing_simulator::Machine;
use signal_conditioning::spectrum;

pub fn moment(x: &[f64], power: i32) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / x.len() as f64
}

pub fn level(x: &[f64]) -> f64 {
    moment(x, 2).sqrt()
}

pub fn kurtosis(x: &[f64]) -> f64 {
    moment(x, 4) / moment(x, 2).powi(2)
}

/// Spectrum of the squared envelope.
///
/// The second difference leaves the structure's modes and takes away the shaft's harmonics; the square of what is left holds the
/// squared envelope at low frequency and copies at twice the modes' frequencies, which are not looked at.
pub struct Envelope {
    bins: Vec<f64>,
    hz_per_bin: f64,
}

impl Envelope {
    pub fn of(recording: &[f64], machine: &Machine) -> Self {
        let squared: Vec<f64> = recording
            .windows(3)
            .map(|w| (w[0] - 2.0 * w[1] + w[2]).powi(2))
            .collect();
        let mean = squared.iter().sum::<f64>() / squared.len() as f64;
        let squared: Vec<f64> = squared.iter().map(|v| v - mean).collect();
        let hz_per_bin = machine.rate_hz() / squared.len() as f64;
        Self {
            bins: spectrum(&squared),
            hz_per_bin,
        }
    }

    fn bin(&self, hz: f64) -> usize {
        ((hz / self.hz_per_bin).round() as usize).max(1) - 1
    }

    /// Frequency of the strongest line from `low` to `high`, Hz.
    pub fn peak(&self, low: f64, high: f64) -> f64 {
        let best = (self.bin(low)..=self.bin(high))
            .max_by(|&a, &b| self.bins[a].total_cmp(&self.bins[b]))
            .unwrap();
        (best + 1) as f64 * self.hz_per_bin
    }

    /// The strongest line within 1 % of a frequency, in multiples of the median around it (40 Hz to either side).
    pub fn prominence(&self, hz: f64) -> f64 {
        let line = self.bins[self.bin(0.99 * hz)..=self.bin(1.01 * hz)]
            .iter()
            .copied()
            .fold(0.0, f64::max);
        let mut around = self.bins[self.bin((hz - 40.0).max(1.0))..=self.bin(hz + 40.0)].to_vec();
        around.sort_by(f64::total_cmp);
        line / around[around.len() / 2]
    }

    pub fn hz_per_bin(&self) -> f64 {
        self.hz_per_bin
    }
}
