//! Numbers as files store them.

use super::sample::Sample;

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    Little,
    Big,
}

impl Endian {
    /// That of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "little") {
        Self::Little
    } else {
        Self::Big
    };

    pub fn u16(self, b: [u8; 2]) -> u16 {
        if self == Self::Little {
            u16::from_le_bytes(b)
        } else {
            u16::from_be_bytes(b)
        }
    }

    pub fn u32(self, b: [u8; 4]) -> u32 {
        if self == Self::Little {
            u32::from_le_bytes(b)
        } else {
            u32::from_be_bytes(b)
        }
    }

    pub fn u64(self, b: [u8; 8]) -> u64 {
        if self == Self::Little {
            u64::from_le_bytes(b)
        } else {
            u64::from_be_bytes(b)
        }
    }
}

/// How one number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    I8,
    U8,
    I16,
    U16,
    I24,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl Number {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::U16 => "uint16",
            Self::I24 => "int24",
            Self::I32 => "int32",
            Self::U32 => "uint32",
            Self::I64 => "int64",
            Self::U64 => "uint64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Appends the numbers of `bytes`, a whole number of them. Integers beyond 2^53 are rounded to the nearest f64.
    pub fn decode<S: Sample>(self, endian: Endian, bytes: &[u8], out: &mut Vec<S>) {
        fn each<const N: usize, S: Sample>(bytes: &[u8], out: &mut Vec<S>, number: impl Fn([u8; N]) -> f64) {
            out.extend(bytes.as_chunks::<N>().0.iter().map(|&b| S::nearest(number(b))));
        }
        match self {
            Self::I8 => each(bytes, out, |[b]| f64::from(b as i8)),
            Self::U8 => each(bytes, out, |[b]| f64::from(b)),
            Self::I16 => each(bytes, out, |b| f64::from(endian.u16(b) as i16)),
            Self::U16 => each(bytes, out, |b| f64::from(endian.u16(b))),
            Self::I24 => each(bytes, out, |b: [u8; 3]| {
                // into the upper three bytes, then shifted down with its sign
                let b = if endian == Endian::Little {
                    b
                } else {
                    [b[2], b[1], b[0]]
                };
                f64::from(i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8)
            }),
            Self::I32 => each(bytes, out, |b| f64::from(endian.u32(b) as i32)),
            Self::U32 => each(bytes, out, |b| f64::from(endian.u32(b))),
            Self::I64 => each(bytes, out, |b| endian.u64(b) as i64 as f64),
            Self::U64 => each(bytes, out, |b| endian.u64(b) as f64),
            Self::F16 => each(bytes, out, |b| half(endian.u16(b))),
            Self::F32 => each(bytes, out, |b| f64::from(f32::from_bits(endian.u32(b)))),
            Self::F64 => each(bytes, out, |b| f64::from_bits(endian.u64(b))),
        }
    }
}

/// IEEE 754 binary16, exact in f64.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1.0 + fraction / 1024.0) * 2f64.powi(e - 15),
    }
}

/// How the elements of one channel lie among those of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    /// Element of the first sample.
    pub first: u64,
    /// Elements from one sample to the next.
    pub stride: u64,
}

/// The product of extents, `None` where it exceeds what 8 bytes an element leave of a 64-bit size.
pub(crate) fn elements(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1u64, |p, &n| p.checked_mul(n).filter(|&p| p < 1 << 56))
}

/// The rate in Hz for `spacing` in seconds, known to a relative `precision`: a whole number where that explains the
/// spacing as well.
pub(crate) fn rate_of_spacing(spacing: f64, precision: f64) -> Option<f64> {
    let rate = spacing.recip();
    if !(spacing.is_finite() && rate.is_finite() && rate > 0.0) {
        return None;
    }
    let whole = rate.round();
    Some(if (rate - whole).abs() <= precision * rate {
        whole
    } else {
        rate
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(number: Number, endian: Endian, bytes: &[u8]) -> f64 {
        let mut out = Vec::new();
        number.decode(endian, bytes, &mut out);
        out[0]
    }

    #[test]
    fn twenty_four_bits_keep_their_sign_in_both_byte_orders() {
        for value in [-8_388_608i32, -1, 0, 1, 4_660, 8_388_607] {
            let b = value.to_le_bytes();
            assert_eq!(one(Number::I24, Endian::Little, &b[..3]), f64::from(value));
            assert_eq!(one(Number::I24, Endian::Big, &[b[2], b[1], b[0]]), f64::from(value));
        }
    }

    /// Values from the table of IEEE 754 binary16 encodings.
    #[test]
    fn halves_are_exact() {
        for (bits, value) in [
            (0x0000u16, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(one(Number::F16, Endian::Big, &bits.to_be_bytes()), value);
        }
        assert!(one(Number::F16, Endian::Little, &0x7e00u16.to_le_bytes()).is_nan());
    }
}
