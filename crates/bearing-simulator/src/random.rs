use std::f64::consts::TAU;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What makes a bearing's random numbers its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// What the numbers are for. Each purpose has a stream of its own, so that none depends on how many another
/// has used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Unit,
    Impacts,
    Background,
}

impl Key {
    /// The four numbers are the seed of the generator as they are: no two bearings share one.
    pub(crate) fn new(seed: u64, machine: u64, defect: u64, unit: u64) -> Self {
        let mut bytes = [0; 32];
        for (bytes, number) in bytes.chunks_exact_mut(8).zip([seed, machine, defect, unit]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self(bytes)
    }

    pub(crate) fn stream(self, purpose: Purpose) -> Random {
        let mut generator = ChaCha8Rng::from_seed(self.0);
        generator.set_stream(purpose as u64);
        Random { generator, spare: None }
    }
}

/// Uniform and normal random numbers.
pub(crate) struct Random {
    generator: ChaCha8Rng,
    spare: Option<f64>,
}

impl Random {
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.generator.random::<f64>()
    }

    /// An angle from 0 to a full turn.
    pub(crate) fn angle(&mut self) -> f64 {
        self.uniform(0.0, TAU)
    }

    /// Mean 0, standard deviation 1, by Box and Muller's method, which gives two at a time.
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(second) = self.spare.take() {
            return second;
        }
        // 1 - u lies in (0, 1], so the logarithm is finite
        let radius = (-2.0 * (1.0 - self.uniform(0.0, 1.0)).ln()).sqrt();
        let angle = self.angle();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// exp of a normal number: median 1.
    pub(crate) fn log_normal(&mut self, spread: f64) -> f64 {
        (spread * self.normal()).exp()
    }
}
