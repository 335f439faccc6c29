//! Training windows changed at random, as machines and sensors change them: `--augment`. Every change is a function of seed,
//! domain, step and row, so that a resumed run and any number of threads give the same bits.

use std::borrow::Cow;
use std::f64::consts::TAU;
use std::str::FromStr;

use candle_core::Tensor;
use rayon::prelude::*;
use signal_conditioning::Standardiser;

use crate::baselines::splitmix64;
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::options::Scale;
use crate::preprocess::represent_windows;
use crate::settings::{Settings, SignalSettings};
use crate::task::{Domain, Task, WindowRef};

/// One kind of change and how strong it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Augmentation {
    /// `gain:DB`: louder or softer by up to so many dB (6).
    Gain(f64),
    /// `noise:SNR`: white Gaussian noise at this ratio of the window's power (without its mean) to the noise's, dB (20).
    Noise(f64),
    /// `shift:SHARE`: turned in time by up to this share of the window (1); what leaves at the end comes in at the start.
    Shift(f64),
    /// `stretch:PERCENT`: played faster or slower by up to so many percent (2), linear between samples, mirrored at the end; the
    /// shaft speed that goes with the window follows.
    Stretch(f64),
    /// `mask:SHARE`: a stretch of up to this share of the window (0.1) replaced by its mean.
    Mask(f64),
    /// `mix:SHARE`: up to this share (0.3) of another training window of the same recording, and so much less of the window: no
    /// class is needed to know that both have the same.
    Mix(f64),
}

const KNOWN: &str = "gain:DB, noise:SNR_DB, shift:SHARE, stretch:PERCENT, mask:SHARE, mix:SHARE";

impl FromStr for Augmentation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, amount) = match text.split_once(':') {
            Some((name, amount)) => (name, Some(amount)),
            None => (text, None),
        };
        let number = |default: f64, low: f64, high: f64| match amount.map(str::parse::<f64>) {
            None => Ok(default),
            Some(Ok(x)) if (low..=high).contains(&x) => Ok(x),
            Some(_) => Err(format!("{name} takes a number from {low} to {high}, found `{text}`")),
        };
        match name {
            "gain" => number(6.0, 0.0, 60.0).map(Self::Gain),
            "noise" => number(20.0, -60.0, 120.0).map(Self::Noise),
            "shift" => number(1.0, 0.0, 1.0).map(Self::Shift),
            "stretch" => number(2.0, 0.0, 50.0).map(Self::Stretch),
            "mask" => number(0.1, 0.0, 0.9).map(Self::Mask),
            "mix" => number(0.3, 0.0, 0.5).map(Self::Mix),
            _ => Err(format!("unknown change `{text}`: expected {KNOWN}")),
        }
    }
}

/// Random numbers of one row.
struct Random(u64);

impl Random {
    fn of(parts: [u64; 4]) -> Self {
        Self(
            parts
                .into_iter()
                .fold(0, |state, part| splitmix64(state ^ splitmix64(part))),
        )
    }

    /// From 0 up to, but without, 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (splitmix64(self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From -1 to 1.
    fn sign(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// A number below `n`, which is at least 1.
    fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n - 1)
    }

    /// Normal, mean 0, variance 1: Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }
}

impl Augmentation {
    /// Changes the channels of a window alike; `other` is another window of the same recording. Returns the factor by which the
    /// shaft seems to turn faster.
    fn apply(self, channels: &mut [Vec<f64>], other: &[Vec<f64>], random: &mut Random) -> f64 {
        match self {
            Self::Gain(db) => {
                let factor = 10_f64.powf(db * random.sign() / 20.0);
                channels.iter_mut().flatten().for_each(|v| *v *= factor);
            }
            Self::Noise(snr_db) => {
                for channel in channels {
                    let n = channel.len() as f64;
                    let mean = channel.iter().sum::<f64>() / n;
                    let power = channel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                    let level = (power / 10_f64.powf(snr_db / 10.0)).sqrt();
                    for v in channel.iter_mut() {
                        *v += level * random.normal();
                    }
                }
            }
            Self::Shift(share) => {
                let share = share * random.unit();
                for channel in channels {
                    let by = (share * channel.len() as f64) as usize;
                    channel.rotate_left(by);
                }
            }
            Self::Stretch(percent) => {
                let factor = 1.0 + percent / 100.0 * random.sign();
                for channel in channels {
                    *channel = stretched(channel, factor);
                }
                return factor;
            }
            Self::Mask(share) => {
                let (share, place) = (share * random.unit(), random.unit());
                for channel in channels {
                    let n = channel.len();
                    let masked = (share * n as f64) as usize;
                    let start = (place * (n - masked) as f64) as usize;
                    let mean = channel.iter().sum::<f64>() / n as f64;
                    channel[start..start + masked].fill(mean);
                }
            }
            Self::Mix(share) => {
                let share = share * random.unit();
                for (v, o) in channels.iter_mut().flatten().zip(other.iter().flatten()) {
                    *v = (1.0 - share) * *v + share * o;
                }
            }
        }
        1.0
    }
}

/// A window read `factor` times as fast, as long as before: mirrored where it ends.
fn stretched(x: &[f64], factor: f64) -> Vec<f64> {
    let last = x.len() - 1;
    let at = |i: usize| x[if i > last { (2 * last).saturating_sub(i) } else { i }];
    (0..x.len())
        .map(|i| {
            let place = i as f64 * factor;
            let below = place.floor();
            let t = place - below;
            at(below as usize) * (1.0 - t) + at(below as usize + 1) * t
        })
        .collect()
}

/// Makes changed training rows for the steps of a run.
pub struct Augmenter<'a> {
    changes: Vec<Augmentation>,
    seed: u64,
    domains: Vec<&'a Domain>,
    /// How recordings are scaled as a whole, before anything is changed; windows are scaled after.
    whole: Option<signal_conditioning::ScaleBy>,
    settings: SignalSettings,
}

impl<'a> Augmenter<'a> {
    /// `None` where nothing is to be changed.
    ///
    /// # Errors
    /// A change that is not known.
    pub fn new(task: &'a Task, settings: &Settings) -> Result<Option<Self>> {
        let changes = settings.augmentations()?;
        if changes.is_empty() {
            return Ok(None);
        }
        let mut signal = settings.signal.clone();
        let whole = (signal.scale == Scale::Recording).then(|| signal.scale_by.into());
        if whole.is_some() {
            signal.scale = Scale::None;
        }
        Ok(Some(Self {
            changes,
            seed: settings.seed,
            domains: task.domains().collect(),
            whole,
            settings: signal,
        }))
    }

    /// Training windows `rows` of domain `number`, changed, as the network sees them.
    pub fn batch(&self, number: usize, rows: &[usize], step: u64, by: Option<&Standardiser>) -> Result<Tensor> {
        let domain = self.domains[number];
        let changed: Vec<Signal> = rows
            .par_iter()
            .enumerate()
            .map(|(position, &row)| {
                let mut random = Random::of([self.seed, number as u64, step, position as u64]);
                let window = domain.train[row];
                let from = &domain.signals[window.recording];
                let cut = |start: usize| -> Result<Vec<Vec<f64>>> {
                    let stretch = from.samples.read_scaled(start, window.length, self.whole)?;
                    Ok(stretch.into_iter().map(Cow::into_owned).collect())
                };
                // windows of one recording stand side by side
                let same = || {
                    let first = domain.train.partition_point(|w| w.recording < window.recording);
                    let end = domain.train.partition_point(|w| w.recording <= window.recording);
                    &domain.train[first..end]
                };
                let mut meta = from.meta;
                let mut channels = cut(window.start)?;
                for change in &self.changes {
                    let other = match change {
                        Augmentation::Mix(_) => cut(same()[random.below(same().len())].start)?,
                        _ => Vec::new(),
                    };
                    let faster = change.apply(&mut channels, &other, &mut random);
                    meta.shaft_hz = meta.shaft_hz.map(|hz| hz * faster);
                }
                Ok(Signal {
                    file: from.file.clone(),
                    unit: None,
                    samples: channels.into(),
                    meta,
                    sha256: String::new(),
                })
            })
            .collect::<Result<_>>()?;
        let windows: Vec<WindowRef> = (0..changed.len())
            .map(|recording| WindowRef {
                recording,
                start: 0,
                length: changed[recording].samples.len(),
            })
            .collect();
        let mut rows = represent_windows(&changed, &windows, &self.settings)?;
        if let Some(by) = by {
            rows.standardise(by)?;
        }
        rows.tensor()
    }
}

impl Settings {
    /// The changes asked for.
    ///
    /// # Errors
    /// One that is not known.
    pub fn augmentations(&self) -> Result<Vec<Augmentation>> {
        self.augment
            .iter()
            .map(|text| text.parse().map_err(|e| Error::input(format!("--augment: {e}"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<f64> {
        (0..2000).map(|i| (TAU * f64::from(i) / 50.0).sin()).collect()
    }

    fn changed(text: &str, row: u64) -> (Vec<f64>, f64) {
        let (mut window, other) = ([tone()], [vec![5.0; 2000]]);
        let change: Augmentation = text.parse().unwrap();
        let faster = change.apply(&mut window, &other, &mut Random::of([1, 0, 7, row]));
        let [window] = window;
        (window, faster)
    }

    fn power(x: impl Iterator<Item = f64>) -> f64 {
        x.map(|v| v * v).sum::<f64>() / 2000.0
    }

    #[test]
    fn every_change_does_what_it_says_and_no_more() {
        for row in 0..20 {
            let (x, _) = changed("gain:6", row);
            let db = 10.0 * (power(x.into_iter()) / 0.5).log10();
            assert!(db.abs() <= 6.0, "{db}");
            let (x, _) = changed("noise:10", row);
            let snr = 10.0 * (0.5 / power(x.iter().zip(tone()).map(|(x, t)| x - t))).log10();
            // 2000 squares of normal numbers: 0.14 dB
            assert!((snr - 10.0).abs() < 0.7, "{snr}");
            let (mut x, _) = changed("shift", row);
            let by = (0..2000).find(|&k| (0..2000).all(|i| x[i] == tone()[(i + k) % 2000]));
            assert!(by.is_some());
            x.sort_by(f64::total_cmp);
            let (x, faster) = changed("stretch:2", row);
            assert!((faster - 1.0).abs() <= 0.02);
            let expected = |i: usize| (TAU * i as f64 * faster / 50.0).sin();
            // mirrored beyond the end
            assert!((0..1950).all(|i| (x[i] - expected(i)).abs() < 0.01));
            let (x, _) = changed("mask:0.3", row);
            let masked = (0..2000).filter(|&i| x[i] != tone()[i]).count();
            assert!(masked <= 600);
            let (x, _) = changed("mix:0.3", row);
            let share = x[0] / 5.0;
            assert!((0.0..=0.3).contains(&share));
            assert!((0..2000).all(|i| (x[i] - (1.0 - share) * tone()[i] - share * 5.0).abs() < 1e-12));
        }
        assert_eq!(changed("gain", 3), changed("gain", 3));
        assert_ne!(changed("gain", 3), changed("gain", 4));
    }

    #[test]
    fn what_is_no_change_is_an_error_that_lists_them() {
        for wrong in ["louder", "gain:loud", "mask:2", "mix:-1", ""] {
            let message = wrong.parse::<Augmentation>().unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        assert!(
            "louder"
                .parse::<Augmentation>()
                .unwrap_err()
                .contains("stretch:PERCENT")
        );
    }
}
