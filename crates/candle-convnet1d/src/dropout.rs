use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::buffer::{for_float, has_kernels, output, values, write_elements};
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
                let mask = Mask::new(seed, self.name_hash, step, self.p);
                if has_kernels(x) {
                    x.contiguous()?.apply_op1(mask)
                } else {
                    let factor = move |element| mask.factor(element);
                    let factors = write_elements(x.elem_count(), 1, |range| range.map(factor));
                    let factors = Tensor::from_vec(factors, x.shape(), x.device())?;
                    x.mul(&factors.to_dtype(x.dtype())?)
                }
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

/// The factors that one step multiplies with. The mask of the backward pass is drawn again.
#[derive(Clone, Copy)]
struct Mask {
    key: u64,
    /// `p 2^53`, rounded up: an integer is at least `p 2^53` where it is at least this.
    threshold: u64,
    /// `1 / (1 - p)`.
    kept: f64,
}

impl Mask {
    fn new(seed: u64, name_hash: u64, step: u64, p: f64) -> Self {
        let named = mix(mix(seed.wrapping_add(GOLDEN)) ^ name_hash);
        let key = mix(named.wrapping_add(step.wrapping_mul(GOLDEN)));
        Self {
            key,
            threshold: (p * (1u64 << 53) as f64).ceil() as u64,
            kept: 1.0 / (1.0 - p),
        }
    }

    fn keeps(self, element: usize) -> bool {
        mix(self.key.wrapping_add((element as u64).wrapping_mul(GOLDEN))) >> 11 >= self.threshold
    }

    fn factor(self, element: usize) -> f64 {
        if self.keeps(element) { self.kept } else { 0.0 }
    }
}

impl CustomOp1 for Mask {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, layout)?;
            let y = write_elements(x.len(), 1, |range| {
                range.map(|element| x[element] * self.factor(element) as T)
            });
            Ok(output::<T>(y, layout.shape()))
        })
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.contiguous()?.apply_op1_no_bwd(self).map(Some)
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
