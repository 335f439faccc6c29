//! The inner loops in each instruction set: what chooses between them, once.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{float32x4_t, float64x2_t};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

use super::narrow::{self, Factors};
use super::scatter::{self, Pieces, Sums};
use super::tile::{self, Place, Span, Terms};
use crate::InstructionSet;
use crate::buffer::Float;

/// The number types of the kernels.
pub(crate) trait Real: Float {
    /// [`block`](tile::block) in each instruction set.
    ///
    /// # Safety
    /// As for [`block`](tile::block), which checks the lengths first.
    unsafe fn compute(isa: InstructionSet, span: Span, terms: &Terms<'_, Self>, place: &Place<Self>);

    /// [`scatter`](scatter::scatter) in each instruction set.
    ///
    /// # Safety
    /// As for [`scatter`](scatter::scatter), which checks the lengths first.
    unsafe fn scatter(isa: InstructionSet, sums: &Sums<'_, Self>, to: &Pieces<'_, Self>);

    /// [`of_height`](narrow::of_height) in each instruction set, of `height` rows.
    ///
    /// # Safety
    /// As for [`of_height`](narrow::of_height). This machine has `isa`, and `height` and the number of columns are those of a tile in it.
    unsafe fn add_products(isa: InstructionSet, height: usize, factors: &Factors<'_, Self>, sums: &mut [Self]);
}

/// A function of [`Real`]: for each instruction set the generic function that it is, compiled for that set.
macro_rules! in_each {
    ($name:ident($($arg:ident: $ty:ty),*), $wide:expr, $narrow:expr, $neon:expr, $plain:expr) => {
        unsafe fn $name(isa: InstructionSet, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            unsafe fn avx512($($arg: $ty),*) {
                // SAFETY: what is asked for here is what the caller promises
                unsafe { $wide($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) {
                // SAFETY: what is asked for here is what the caller promises
                unsafe { $narrow($($arg),*) }
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            unsafe fn neon($($arg: $ty),*) {
                // SAFETY: what is asked for here is what the caller promises
                unsafe { $neon($($arg),*) }
            }
            // SAFETY: what is asked for here is what the caller promises
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    InstructionSet::Neon => neon($($arg),*),
                    _ => $plain($($arg),*),
                }
            }
        }
    };
}

/// A number type by its vectors of AVX-512, AVX2 and NEON. The first and the last have 32 registers, the others 16.
macro_rules! real {
    ($value:ident, $wide:ident, $narrow:ident, $neon:ident) => {
        impl Real for $value {
            in_each!(
                compute(span: Span, terms: &Terms<'_, $value>, place: &Place<$value>),
                tile::of_height::<$wide, 2, 4>,
                tile::of_height::<$narrow, 1, 2>,
                tile::of_height::<$neon, 2, 4>,
                tile::of_height::<[$value; 4], 1, 2>
            );
            in_each!(
                scatter(sums: &Sums<'_, $value>, to: &Pieces<'_, $value>),
                scatter::rows::<$wide>,
                scatter::rows::<$narrow>,
                scatter::rows::<$neon>,
                scatter::rows::<[$value; 4]>
            );
            in_each!(
                add_products(height: usize, factors: &Factors<'_, $value>, sums: &mut [$value]),
                narrow::of_height::<$wide, 6, 4, 12>,
                narrow::of_height::<$narrow, 3, 2, 6>,
                narrow::of_height::<$neon, 6, 4, 12>,
                narrow::of_height::<[$value; 4], 3, 2, 6>
            );
        }
    };
}
real!(f32, __m512, __m256, float32x4_t);
real!(f64, __m512d, __m256d, float64x2_t);
