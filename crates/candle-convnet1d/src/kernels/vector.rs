//! Vectors of numbers: what the inner loop needs of each instruction set.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "code takes its instruction set from the function that it is inlined into"
)]

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{
    float32x4_t, float64x2_t, vaddq_f32, vaddq_f64, vdupq_n_f32, vdupq_n_f64, vfmaq_f32, vfmaq_f64, vld1q_f32,
    vld1q_f64, vmaxq_f32, vmaxq_f64, vst1q_f32, vst1q_f64, vsubq_f32, vsubq_f64, vzip1q_f32, vzip1q_f64, vzip2q_f32,
    vzip2q_f64,
};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, __mmask8, __mmask16, _mm256_add_pd, _mm256_add_ps, _mm256_fmadd_pd,
    _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_max_pd, _mm256_max_ps, _mm256_permute2f128_pd,
    _mm256_permute2f128_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_pd,
    _mm256_storeu_ps, _mm256_sub_pd, _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd,
    _mm256_unpacklo_ps, _mm512_add_pd, _mm512_add_ps, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_loadu_pd,
    _mm512_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps, _mm512_maskz_loadu_pd, _mm512_maskz_loadu_ps,
    _mm512_max_pd, _mm512_max_ps, _mm512_permutex2var_pd, _mm512_permutex2var_ps, _mm512_set1_pd, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setr_epi64, _mm512_setzero_pd, _mm512_setzero_ps, _mm512_storeu_pd, _mm512_storeu_ps,
    _mm512_sub_pd, _mm512_sub_ps,
};

use crate::buffer::Float;

/// Some numbers in one register. Every function needs the instruction set that the type stands for.
pub(super) trait Vector: Copy {
    type Value: Float;
    const LANES: usize;

    unsafe fn zero() -> Self;
    unsafe fn splat(value: Self::Value) -> Self;
    /// Reads [`LANES`](Self::LANES) values.
    unsafe fn load(from: *const Self::Value) -> Self;
    /// Writes [`LANES`](Self::LANES) values.
    unsafe fn store(self, to: *mut Self::Value);
    /// Reads the first `count` values, at most [`LANES`](Self::LANES); 0 in place of the rest.
    unsafe fn load_first(from: *const Self::Value, count: usize) -> Self;
    /// Writes the first `count` values, at most [`LANES`](Self::LANES).
    unsafe fn store_first(self, to: *mut Self::Value, count: usize);
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn minus(self, other: Self) -> Self;
    /// The values of both in turn: those of the first halves, and those of the second.
    unsafe fn in_turn(self, other: Self) -> [Self; 2];
    /// `self * factor + term`
    unsafe fn times_plus(self, factor: Self, term: Self) -> Self;
    /// What is above 0, and NaN, which stays; 0 in place of the rest.
    unsafe fn above_zero(self) -> Self;
}

#[cfg(target_arch = "x86_64")]
macro_rules! first_by_masks {
    ($mask:ident, $load:ident, $store:ident) => {
        #[inline(always)]
        unsafe fn load_first(from: *const Self::Value, count: usize) -> Self {
            let mask = ((1u32 << count) - 1) as $mask;
            // SAFETY: the caller has the instruction set, and these values are readable
            unsafe { $load(mask, from) }
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut Self::Value, count: usize) {
            let mask = ((1u32 << count) - 1) as $mask;
            // SAFETY: the caller has the instruction set, and these values are writable
            unsafe { $store(to, mask, self) }
        }
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! first_by_copies {
    () => {
        #[inline(always)]
        unsafe fn load_first(from: *const Self::Value, count: usize) -> Self {
            let mut values = [Self::Value::default(); Self::LANES];
            // SAFETY: the caller has the instruction set, and these values are readable
            unsafe {
                std::ptr::copy_nonoverlapping(from, values.as_mut_ptr(), count.min(Self::LANES));
                Self::load(values.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut Self::Value, count: usize) {
            let mut values = [Self::Value::default(); Self::LANES];
            // SAFETY: the caller has the instruction set, and these values are writable
            unsafe {
                self.store(values.as_mut_ptr());
                std::ptr::copy_nonoverlapping(values.as_ptr(), to, count.min(Self::LANES));
            }
        }
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! vector {
    ($vector:ident, $value:ident, $lanes:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $fma:ident, $max:ident, $in_turn:ident, $first:ident!($($args:ident),*)) => {
        impl Vector for $vector {
            type Value = $value;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the caller has the instruction set
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(value: $value) -> Self {
                // SAFETY: as above
                unsafe { $splat(value) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $value) -> Self {
                // SAFETY: as above, and the values are readable
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $value) {
                // SAFETY: as above, and the values are writable
                unsafe { $store(to, self) }
            }
            $first!($($args),*);
            #[inline(always)]
            unsafe fn plus(self, other: Self) -> Self {
                // SAFETY: the caller has the instruction set
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn minus(self, other: Self) -> Self {
                // SAFETY: as above
                unsafe { $sub(self, other) }
            }
            #[inline(always)]
            unsafe fn in_turn(self, other: Self) -> [Self; 2] {
                // SAFETY: as above
                unsafe { $in_turn(self, other) }
            }
            #[inline(always)]
            unsafe fn times_plus(self, factor: Self, term: Self) -> Self {
                // SAFETY: as above
                unsafe { $fma(self, factor, term) }
            }
            #[inline(always)]
            unsafe fn above_zero(self) -> Self {
                // SAFETY: as above. Of a NaN and a number these return the second operand, or on Arm the NaN.
                unsafe { $max($zero(), self) }
            }
        }
    };
}

/// From the lower and the upper halves of what is taken in turn within each 128 bits.
#[cfg(target_arch = "x86_64")]
macro_rules! in_turn_256 {
    ($name:ident, $vector:ident, $low:ident, $high:ident, $pick:ident) => {
        #[inline(always)]
        unsafe fn $name(a: $vector, b: $vector) -> [$vector; 2] {
            // SAFETY: the caller has the instruction set
            unsafe {
                let (low, high) = ($low(a, b), $high(a, b));
                [$pick::<0x20>(low, high), $pick::<0x31>(low, high)]
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
in_turn_256!(
    in_turn_256_ps,
    __m256,
    _mm256_unpacklo_ps,
    _mm256_unpackhi_ps,
    _mm256_permute2f128_ps
);
#[cfg(target_arch = "x86_64")]
in_turn_256!(
    in_turn_256_pd,
    __m256d,
    _mm256_unpacklo_pd,
    _mm256_unpackhi_pd,
    _mm256_permute2f128_pd
);

/// By the places in both vectors, one behind the other.
#[cfg(target_arch = "x86_64")]
macro_rules! in_turn_512 {
    ($name:ident, $vector:ident, $places:ident, $pick:ident, [$($low:literal),*], [$($high:literal),*]) => {
        #[inline(always)]
        unsafe fn $name(a: $vector, b: $vector) -> [$vector; 2] {
            // SAFETY: the caller has the instruction set
            unsafe { [$pick(a, $places($($low),*), b), $pick(a, $places($($high),*), b)] }
        }
    };
}
#[cfg(target_arch = "x86_64")]
in_turn_512!(
    in_turn_512_ps,
    __m512,
    _mm512_setr_epi32,
    _mm512_permutex2var_ps,
    [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]
);
#[cfg(target_arch = "x86_64")]
in_turn_512!(
    in_turn_512_pd,
    __m512d,
    _mm512_setr_epi64,
    _mm512_permutex2var_pd,
    [0, 8, 1, 9, 2, 10, 3, 11],
    [4, 12, 5, 13, 6, 14, 7, 15]
);

#[cfg(target_arch = "x86_64")]
vector!(
    __m512,
    f32,
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    in_turn_512_ps,
    first_by_masks!(__mmask16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps)
);
#[cfg(target_arch = "x86_64")]
vector!(
    __m512d,
    f64,
    8,
    _mm512_setzero_pd,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_fmadd_pd,
    _mm512_max_pd,
    in_turn_512_pd,
    first_by_masks!(__mmask8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd)
);
#[cfg(target_arch = "x86_64")]
vector!(
    __m256,
    f32,
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    in_turn_256_ps,
    first_by_copies!()
);
#[cfg(target_arch = "x86_64")]
vector!(
    __m256d,
    f64,
    4,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_fmadd_pd,
    _mm256_max_pd,
    in_turn_256_pd,
    first_by_copies!()
);

/// What the other instruction sets have functions for.
#[cfg(target_arch = "aarch64")]
macro_rules! neon {
    ($vector:ident, $splat:ident, $fma:ident, $low:ident, $high:ident, $zero_name:ident, $fma_name:ident, $in_turn_name:ident) => {
        #[inline(always)]
        unsafe fn $zero_name() -> $vector {
            // SAFETY: the caller has the instruction set
            unsafe { $splat(0.0) }
        }
        #[inline(always)]
        unsafe fn $fma_name(a: $vector, factor: $vector, term: $vector) -> $vector {
            // SAFETY: as above
            unsafe { $fma(term, a, factor) }
        }
        #[inline(always)]
        unsafe fn $in_turn_name(a: $vector, b: $vector) -> [$vector; 2] {
            // SAFETY: as above
            unsafe { [$low(a, b), $high(a, b)] }
        }
    };
}
#[cfg(target_arch = "aarch64")]
neon!(
    float32x4_t,
    vdupq_n_f32,
    vfmaq_f32,
    vzip1q_f32,
    vzip2q_f32,
    zero_f32,
    fma_f32,
    in_turn_f32
);
#[cfg(target_arch = "aarch64")]
neon!(
    float64x2_t,
    vdupq_n_f64,
    vfmaq_f64,
    vzip1q_f64,
    vzip2q_f64,
    zero_f64,
    fma_f64,
    in_turn_f64
);
#[cfg(target_arch = "aarch64")]
vector!(
    float32x4_t,
    f32,
    4,
    zero_f32,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    vsubq_f32,
    fma_f32,
    vmaxq_f32,
    in_turn_f32,
    first_by_copies!()
);
#[cfg(target_arch = "aarch64")]
vector!(
    float64x2_t,
    f64,
    2,
    zero_f64,
    vdupq_n_f64,
    vld1q_f64,
    vst1q_f64,
    vaddq_f64,
    vsubq_f64,
    fma_f64,
    vmaxq_f64,
    in_turn_f64,
    first_by_copies!()
);

/// Four numbers for any machine; the compiler turns them into what it has.
impl<T: Float> Vector for [T; 4] {
    type Value = T;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [T::zero(); 4]
    }
    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller's promise; arrays are aligned as their elements
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: as above
        unsafe { *to.cast() = self }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const T, count: usize) -> Self {
        // SAFETY: the caller's promise
        std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { T::zero() })
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut T, count: usize) {
        for (i, &value) in self.iter().take(count).enumerate() {
            // SAFETY: the caller's promise
            unsafe { *to.add(i) = value }
        }
    }
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] + other[i])
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }
    #[inline(always)]
    unsafe fn in_turn(self, other: Self) -> [Self; 2] {
        let [a, b, c, d] = self;
        let [e, f, g, h] = other;
        [[a, e, b, f], [c, g, d, h]]
    }
    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, term: Self) -> Self {
        std::array::from_fn(|i| self[i] * factor[i] + term[i])
    }
    #[inline(always)]
    unsafe fn above_zero(self) -> Self {
        self.map(|x| if x <= T::zero() { T::zero() } else { x })
    }
}
