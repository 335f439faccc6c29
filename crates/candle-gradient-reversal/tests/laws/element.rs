//! The four dtypes, with their arithmetic spelt out from its definition.

use candle_core::{Result, Tensor, WithDType};
use half::{bf16, f16};
use proptest::prelude::*;

pub trait Element: WithDType + std::fmt::Debug {
    /// The value with the low bits of `bits`.
    fn from_bits(bits: u64) -> Self;
    fn bits(self) -> u64;
    /// The nearest value, ties to even.
    fn nearest(x: f64) -> Self;
    fn is_finite(self) -> bool;
    /// The product, rounded as the definition says.
    fn times(self, other: Self) -> Self;
}

macro_rules! native {
    ($t:ty) => {
        impl Element for $t {
            fn from_bits(bits: u64) -> Self {
                <$t>::from_bits(bits as _)
            }
            fn bits(self) -> u64 {
                self.to_bits() as u64
            }
            fn nearest(x: f64) -> Self {
                x as $t
            }
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
        }
    };
}

macro_rules! half {
    ($t:ty, infinity: $infinity:expr) => {
        impl Element for $t {
            fn from_bits(bits: u64) -> Self {
                <$t>::from_bits(bits as u16)
            }
            fn bits(self) -> u64 {
                self.to_bits() as u64
            }
            fn nearest(x: f64) -> Self {
                let size = nearest_size(x.abs(), |bits| <$t>::from_bits(bits).to_f64(), $infinity);
                <$t>::from_bits(size | u16::from(x.is_sign_negative()) << 15)
            }
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            fn times(self, other: Self) -> Self {
                <$t>::from_f32(self.to_f32() * other.to_f32())
            }
        }
    };
}

native!(f32);
native!(f64);
half!(f16, infinity: 0x7c00);
half!(bf16, infinity: 0x7f80);

/// Bits of the positive value nearest to `x`, found among all of them; the even one of two.
fn nearest_size(x: f64, value: impl Fn(u16) -> f64, infinity: u16) -> u16 {
    // infinity stands where the next value would
    let value = |bits| {
        if bits < infinity {
            value(bits)
        } else {
            2.0 * value(infinity - 1) - value(infinity - 2)
        }
    };
    let (mut low, mut high) = (0, infinity);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if value(middle) <= x {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (down, up) = (x - value(low), value(high) - x);
    if down < up || (down == up && low % 2 == 0) {
        low
    } else {
        high
    }
}

pub fn read<T: Element>(x: &Tensor) -> Result<Vec<T>> {
    // candle panics on a view without elements that begins beyond its storage
    if x.elem_count() == 0 {
        Ok(vec![])
    } else {
        x.flatten_all()?.to_vec1()
    }
}

/// Equal values; zeros of either sign are one value, and so are all NaN.
pub fn same<T: Element>(got: &[T], expected: &[T]) -> std::result::Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), expected.len());
    for (k, (g, e)) in got.iter().zip(expected).enumerate() {
        let nan = |x: &T| x.partial_cmp(x).is_none();
        prop_assert!(g == e || (nan(g) && nan(e)), "element {}: {:?}, expected {:?}", k, g, e);
    }
    Ok(())
}
