use candle_core::{Result, Tensor};

use crate::{Error, Pass};

/// Dropout with a mask that can be drawn again: training sets each value to 0 with probability
/// `p` and divides the others by `1 - p`; inference changes nothing.
///
/// Whether an element is kept is a pure function of the run's seed, the layer's name, the number
/// of the step and the element's position in the tensor: it depends neither on the number of threads
/// nor on what was computed before. Element `i` is kept where `u(i) >= p`, with
/// `u(i)` the upper 53 bits of `mix(key + i g)` as a fraction of 2^53,
/// `key = mix(mix(mix(seed + g) ^ h) + step g)`, `h` the 64-bit FNV-1a hash of the name,
/// `mix` the finaliser of `SplitMix64` (Steele, Lea and Flood, 2014) and
/// `g = 0x9e3779b97f4a7c15`, its increment.
#[derive(Clone, Debug)]
pub struct Dropout {
    p: f64,
    name_hash: u64,
}

impl Dropout {
    /// Dropout of probability `p`, at least 0 and below 1. Layers that shall draw different
    /// masks need different names.
    pub fn new(p: f64, name: impl Into<String>) -> Result<Self> {
        if !(0.0..1.0).contains(&p) {
            return Err(Error::Argument {
                layer: "dropout",
                argument: "p",
                expected: "at least 0 and below 1".into(),
                found: p.to_string(),
            }
            .into());
        }
        Ok(Self {
            p,
            name_hash: fnv1a(name.into().as_bytes()),
        })
    }

    /// `x`, of any shape, with values dropped in training.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        match pass {
            Pass::Train { seed, step, .. } if self.p > 0.0 => {
                let key =
                    mix(mix(mix(seed.wrapping_add(GOLDEN)) ^ self.name_hash).wrapping_add(step.wrapping_mul(GOLDEN)));
                let scale = 1.0 / (1.0 - self.p);
                let mask: Vec<f64> = (0..x.elem_count() as u64)
                    .map(|i| if kept(key, i, self.p) { scale } else { 0.0 })
                    .collect();
                let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
                x.mul(&mask)
            }
            _ => Ok(x.clone()),
        }
    }
}

/// Increment of `SplitMix64`: 2^64 over the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn kept(key: u64, element: u64, p: f64) -> bool {
    let bits = mix(key.wrapping_add(element.wrapping_mul(GOLDEN))) >> 11;
    bits as f64 / (1u64 << 53) as f64 >= p
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
