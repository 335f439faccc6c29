//! What the laws are tried on: shapes, views, bit patterns, lambdas, devices.

use crate::element::Element;
use candle_core::{Device, Result, Tensor};
use proptest::prelude::*;

/// A base tensor of rank 0 to 5, empty ones included, and a chain of views of it.
#[derive(Clone, Debug)]
pub struct Sample {
    pub dims: Vec<usize>,
    pub seed: u64,
    views: Vec<View>,
}

/// Numbers are taken modulo what the tensor at hand allows.
#[derive(Clone, Debug)]
enum View {
    Transposed(usize, usize),
    Narrowed { dim: usize, start: usize, len: usize },
    Broadcast { dim: usize, times: usize },
}

impl Sample {
    pub fn any() -> impl Strategy<Value = Self> {
        let view = prop_oneof![
            (0usize..5, 0usize..5).prop_map(|(a, b)| View::Transposed(a, b)),
            (0usize..5, 0usize..4, 0usize..4).prop_map(|(dim, start, len)| View::Narrowed { dim, start, len }),
            (0usize..5, 1usize..4).prop_map(|(dim, times)| View::Broadcast { dim, times }),
        ];
        // a dimension of 0 in every tenth draw, so that most tensors have elements
        let dim = prop_oneof![9 => 1usize..5, 1 => Just(0)];
        (
            prop::collection::vec(dim, 0..=5),
            any::<u64>(),
            prop::collection::vec(view, 0..3),
        )
            .prop_map(|(dims, seed, views)| Self { dims, seed, views })
    }

    pub fn view(&self, base: &Tensor) -> Result<Tensor> {
        self.views.iter().try_fold(base.clone(), |x, view| {
            let rank = x.rank();
            match *view {
                View::Broadcast { dim, times } if rank < 5 => {
                    let dim = dim % (rank + 1);
                    let mut dims = x.dims().to_vec();
                    dims.insert(dim, times);
                    x.unsqueeze(dim)?.broadcast_as(dims)
                }
                _ if rank == 0 => Ok(x),
                View::Transposed(a, b) => x.transpose(a % rank, b % rank),
                View::Narrowed { dim, start, len } => {
                    let dim = dim % rank;
                    let start = start % (x.dim(dim)? + 1);
                    x.narrow(dim, start, len.min(x.dim(dim)? - start))
                }
                View::Broadcast { .. } => Ok(x),
            }
        })
    }
}

/// Bit patterns: arbitrary ones, and in every fourth place zero, one, infinity, NaN with a payload (quiet and signalling),
/// the smallest subnormal, the largest value, each of either sign.
pub fn values<T: Element>(n: usize, seed: u64) -> Vec<T> {
    let width = 8 * T::DTYPE.size_in_bytes() as u32;
    let sign = |x: u64, negative: bool| x | u64::from(negative) << (width - 1);
    let infinity = T::nearest(f64::INFINITY).bits();
    let one = T::nearest(1.0).bits();
    let quiet = infinity | (infinity ^ (infinity << 1)) & infinity.wrapping_sub(1) & !(1 << (width - 1));
    let special = [0, one, infinity, infinity | 0b101, quiet | 0b11, 1, infinity - 1];
    (0..n as u64)
        .map(|k| {
            let draw = mixed(seed.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            if draw.is_multiple_of(4) {
                T::from_bits(sign(special[(draw >> 8) as usize % special.len()], draw >> 63 == 1))
            } else {
                T::from_bits(draw >> (64 - width))
            }
        })
        .collect()
}

/// The finaliser of `SplitMix64`.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Zero, everyday, negative, tiny, huge, and either side of where each dtype becomes infinite or zero.
pub fn lambdas() -> impl Strategy<Value = f64> {
    let edges: Vec<f64> = [
        // the largest value, and half way from it to the power of two after it, which rounds to infinity: f16, bf16, f32
        (2.0 - 2f64.powi(-10)) * 2f64.powi(15),
        (2.0 - 2f64.powi(-11)) * 2f64.powi(15),
        (2.0 - 2f64.powi(-7)) * 2f64.powi(127),
        (2.0 - 2f64.powi(-8)) * 2f64.powi(127),
        (2.0 - 2f64.powi(-23)) * 2f64.powi(127),
        (2.0 - 2f64.powi(-24)) * 2f64.powi(127),
        // half of the smallest value, which rounds to zero: f16, bf16, f32
        2f64.powi(-25),
        2f64.powi(-134),
        2f64.powi(-150),
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
    ]
    .into_iter()
    .flat_map(|x: f64| [x, x.next_down(), if x < f64::MAX { x.next_up() } else { x }])
    .flat_map(|x| [x, -x])
    .collect();
    prop_oneof![
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 0.8, -0.8, 0.5, 2.0, 10.0]),
        4 => -2.0..2.0f64,
        2 => prop::sample::select(edges),
        1 => any::<f64>().prop_filter("finite", |x| x.is_finite()),
        1 => (-1.0..1.0f64, -50i32..60).prop_map(|(x, exponent)| x * 2f64.powi(exponent)),
    ]
}

/// The CPU, and with feature `cuda` a GPU if there is one.
pub fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    if cfg!(feature = "cuda") {
        devices.extend(Device::new_cuda(0));
    }
    devices
}
