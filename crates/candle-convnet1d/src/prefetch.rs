//! Asking for memory before it is used.
//!
//! The processor does so by itself along a row, and starts anew at the next one: rows of some hundred values that lie far apart
//! are read at half the speed of memory. Nothing here changes a result.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache line at any address, readable or not.
#[allow(clippy::inline_always, reason = "one instruction")]
#[inline(always)]
pub(crate) fn to_read<T>(
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(unused_variables, reason = "other processors are left to themselves")
    )]
    from: *const T,
) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE, which every x86-64 has; a prefetch of an address that is not there does nothing
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
}

/// Asks for values that are read some time later: to the second-level cache.
#[allow(clippy::inline_always, reason = "one instruction a cache line")]
#[inline(always)]
pub(crate) fn to_read_later<T>(
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(unused_variables, reason = "other processors are left to themselves")
    )]
    values: &[T],
) {
    #[cfg(target_arch = "x86_64")]
    for value in values.iter().step_by(LINE / size_of::<T>()) {
        // SAFETY: SSE, which every x86-64 has
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast());
        }
    }
}

/// Asks for the cache line at any address, to write to it.
#[allow(clippy::inline_always, reason = "one instruction")]
#[inline(always)]
pub(crate) fn to_write<T>(
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(unused_variables, reason = "other processors are left to themselves")
    )]
    to: *const T,
) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a processor that does not know the instruction takes it for none, and an address that is not there is no error.
    // The intrinsic would ask for the line to read it only, and it could still belong to the other core.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) to, options(nostack, preserves_flags, readonly));
    }
}

/// Asks for `count` values, to read them.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
pub(crate) fn row_to_read<T>(from: *const T, count: usize) {
    for at in (0..count).step_by(LINE / size_of::<T>()) {
        to_read(from.wrapping_add(at));
    }
}

/// Asks for room for `count` values, to write them.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
pub(crate) fn row_to_write<T>(to: *const T, count: usize) {
    for at in (0..count).step_by(LINE / size_of::<T>()) {
        to_write(to.wrapping_add(at));
    }
}
