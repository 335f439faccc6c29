//! Initial values: a pure function of seed, name, shape and distribution.
//!
//! A `ChaCha8` stream is keyed by SHA-256 of seed, name and shape, so no parameter's values depend on which others
//! were made before it. All arithmetic is IEEE double precision without library functions, so the values are the
//! same on every platform; an f32 network holds the rounded values of the f64 one.

use candle_core::Shape;
use candle_nn::Init;
use candle_nn::init::{DEFAULT_KAIMING_NORMAL, DEFAULT_KAIMING_UNIFORM, NormalOrUniform};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// He et al. (2015), normal: standard deviation `sqrt(2 / fan_in)`, for layers before a `ReLU`.
///
/// `fan_in` is taken from the weight's shape `(out, in / groups, kernel..)`: `in / groups * kernel`.
pub const HE_NORMAL: Init = DEFAULT_KAIMING_NORMAL;

/// He et al. (2015), uniform in ±`sqrt(6 / fan_in)`.
pub const HE_UNIFORM: Init = DEFAULT_KAIMING_UNIFORM;

/// Glorot & Bengio (2010), uniform in ±`sqrt(6 / (fan_in + fan_out))`; Keras' default.
///
/// For a convolution each fan is its channels times the kernel's length.
pub fn glorot_uniform(fan_in: usize, fan_out: usize) -> Init {
    let up = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
    Init::Uniform { lo: -up, up }
}

/// Glorot & Bengio (2010), normal: standard deviation `sqrt(2 / (fan_in + fan_out))`.
pub fn glorot_normal(fan_in: usize, fan_out: usize) -> Init {
    let stdev = (2.0 / (fan_in + fan_out).max(1) as f64).sqrt();
    Init::Randn { mean: 0.0, stdev }
}

/// The initial values of parameter `name` in row-major order.
pub fn values(seed: u64, name: &str, shape: &Shape, init: Init) -> Vec<f64> {
    let n = shape.elem_count();
    match init {
        Init::Const(value) => vec![value; n],
        Init::Uniform { lo, up } => uniform(&mut stream(seed, name, shape), n, lo, up),
        Init::Randn { mean, stdev } => normal(&mut stream(seed, name, shape), n, mean, stdev),
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let fan = fan.for_shape(shape).max(1);
            let stdev = non_linearity.gain() / (fan as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(&mut stream(seed, name, shape), n, 0.0, stdev),
                NormalOrUniform::Uniform => {
                    let up = 3f64.sqrt() * stdev;
                    uniform(&mut stream(seed, name, shape), n, -up, up)
                }
            }
        }
    }
}

fn stream(seed: u64, name: &str, shape: &Shape) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"candle-trainer initial values 1\n");
    hash.update(seed.to_le_bytes());
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    for &dim in shape.dims() {
        hash.update((dim as u64).to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Uniform in [0, 1), 53 bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * 2f64.powi(-53)
}

fn uniform(rng: &mut ChaCha8Rng, n: usize, lo: f64, up: f64) -> Vec<f64> {
    (0..n).map(|_| lo + (up - lo) * unit(rng)).collect()
}

/// Marsaglia's polar method.
fn normal(rng: &mut ChaCha8Rng, n: usize, mean: f64, stdev: f64) -> Vec<f64> {
    let mut out = Vec::with_capacity(n + 1);
    while out.len() < n {
        let (x, y) = (2.0 * unit(rng) - 1.0, 2.0 * unit(rng) - 1.0);
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            let radius = (-2.0 * ln(s) / s).sqrt();
            out.push(mean + stdev * (x * radius));
            out.push(mean + stdev * (y * radius));
        }
    }
    out.truncate(n);
    out
}

/// Natural logarithm of a normal positive number, to a few units in the last place.
///
/// `f64::ln` calls the platform's library, whose last bit differs between platforms.
fn ln(x: f64) -> f64 {
    // x = m 2^e with m in [1, 2), then moved to [sqrt(1/2), sqrt(2)) so that the series converges quickly
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    // ln m = 2 atanh(z) = 2 (z + z^3/3 + z^5/5 + ..), |z| < 0.172: 13 terms leave less than 1e-20
    let z = (m - 1.0) / (m + 1.0);
    let z2 = z * z;
    let series = (0..13).rev().fold(0.0, |sum, k| sum * z2 + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * z * series
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn the_logarithm_equals_the_library_to_four_ulp() {
        let mut x = 1e-300;
        while x < 2.0 {
            let want = f64::ln(x);
            assert!(
                (ln(x) - want).abs() <= 4.0 * f64::EPSILON * want.abs().max(f64::EPSILON),
                "{x}: {} {want}",
                ln(x)
            );
            x *= 1.0137;
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
