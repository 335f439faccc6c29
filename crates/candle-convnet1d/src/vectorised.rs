//! Loops compiled for each instruction set.

/// A function over slices of a number type, compiled once for each instruction set and chosen at run time. The body must not
/// call anything that is not inlined.
///
/// Vectors only do what the loop says, lane by lane: products and sums are fused where it says `times_plus` and nowhere else. So the
/// bits are the same on all of them, which is why `CROSSRIG_ISA` does not matter here.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$T:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $vis fn $name<$T: $crate::buffer::Float>($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::inline_always, reason = "it takes its instruction set from where it is inlined")]
            #[inline(always)]
            fn plain<$T: $crate::buffer::Float>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512<$T: $crate::buffer::Float>($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$T: $crate::buffer::Float>($($arg: $ty),*) $(-> $ret)? {
                plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has it
                return unsafe { avx512($($arg),*) };
            }
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor has it
                return unsafe { avx2($($arg),*) };
            }
            plain($($arg),*)
        }
    };
}
pub(crate) use vectorised;
