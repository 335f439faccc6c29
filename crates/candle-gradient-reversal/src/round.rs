//! Rounding an f64 to the values of a narrower format.

use candle_core::DType;

/// A binary floating-point format: the widths IEEE 754 describes it by.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// Digits of the significand, the leading one included.
    precision: i32,
    /// Largest exponent of a finite value; the smallest normal one is `1 - max_exponent`.
    max_exponent: i32,
}

impl Format {
    /// `None` for integers and for formats that are only stored.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        let (precision, max_exponent) = match dtype {
            DType::F16 => (11, 15),
            DType::BF16 => (8, 127),
            DType::F32 => (24, 127),
            DType::F64 => (53, 1023),
            _ => return None,
        };
        Some(Self {
            precision,
            max_exponent,
        })
    }

    pub(crate) fn largest(self) -> f64 {
        (2.0 - power_of_two(1 - self.precision)) * power_of_two(self.max_exponent)
    }

    /// The nearest value of this format, ties to even; infinite from half a unit above the largest.
    ///
    /// By hand, because half 2.7 converts f64 to f16 through f32 (two roundings) or after dropping the lower 32 bits, depending on the
    /// processor.
    pub(crate) fn round(self, x: f64) -> f64 {
        if self.precision == f64::MANTISSA_DIGITS as i32 {
            return x;
        }
        let biased = (x.to_bits() >> 52) & 0x7ff;
        let exponent = (biased as i32 - 1023).max(1 - self.max_exponent);
        // the spacing of values of this size: a power of two, by which division and multiplication are exact
        let unit = power_of_two(exponent + 1 - self.precision);
        let rounded = (x / unit).round_ties_even() * unit;
        if rounded.abs() > self.largest() {
            rounded.signum() * f64::INFINITY
        } else {
            rounded
        }
    }
}

/// 2 to a power that is a normal f64.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::Format;
    use candle_core::DType;
    use half::{bf16, f16};
    use proptest::prelude::*;

    fn rounded(dtype: DType, x: f64) -> f64 {
        Format::of(dtype).unwrap().round(x)
    }

    /// All finite values of a 16-bit format from 0 up, then the next power of two, which is where infinity begins.
    fn values(value: impl Fn(u16) -> f64, infinity: u16) -> Vec<f64> {
        let mut values: Vec<f64> = (0..infinity).map(value).collect();
        let end = values.len();
        values.push(2.0 * values[end - 1] - values[end - 2]);
        values
    }

    /// Search for the nearest, the even one of two.
    fn nearest(values: &[f64], x: f64) -> f64 {
        let above = values.partition_point(|v| *v < x.abs());
        let k = if above == 0 {
            0
        } else if above == values.len() {
            above - 1
        } else {
            // exact: the difference of neighbours' multiples of an f64 unit
            let (down, up) = (x.abs() - values[above - 1], values[above] - x.abs());
            if down < up || (down == up && above % 2 == 1) {
                above - 1
            } else {
                above
            }
        };
        let size = if k == values.len() - 1 {
            f64::INFINITY
        } else {
            values[k]
        };
        size.copysign(x)
    }

    #[test]
    fn the_largest_values_are_the_formats_own() {
        let largest = |dtype| Format::of(dtype).unwrap().largest();
        assert_eq!(largest(DType::F16), f16::MAX.to_f64());
        assert_eq!(largest(DType::BF16), bf16::MAX.to_f64());
        assert_eq!(largest(DType::F32), f64::from(f32::MAX));
        assert_eq!(largest(DType::F64), f64::MAX);
    }

    #[test]
    fn halves_between_neighbours_go_to_the_even_one_and_hairs_beside_them_do_not() {
        let formats = [
            (DType::F16, values(|b| f16::from_bits(b).to_f64(), 0x7c00)),
            (DType::BF16, values(|b| bf16::from_bits(b).to_f64(), 0x7f80)),
        ];
        for (dtype, values) in formats {
            for pair in values.windows(2) {
                let middle = f64::midpoint(pair[0], pair[1]);
                for x in [
                    pair[0],
                    middle.next_down(),
                    middle,
                    middle.next_up(),
                    -middle,
                    -middle.next_up(),
                ] {
                    assert_eq!(
                        rounded(dtype, x).to_bits(),
                        nearest(&values, x).to_bits(),
                        "{dtype:?} {x:e}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn f32_is_rounded_as_the_processor_does(bits: u64, near in -300i32..300) {
            let x = f64::from_bits(bits);
            prop_assume!(!x.is_nan());
            for x in [x, f64::from_bits((x.to_bits() & !(0x7ff << 52)) | (((1023 + near) as u64) << 52))] {
                prop_assert_eq!(rounded(DType::F32, x).to_bits(), f64::from(x as f32).to_bits());
                prop_assert_eq!(rounded(DType::F64, x).to_bits(), x.to_bits());
            }
        }
    }
}
