//! mimalloc as a program's allocator, set to keep the pages that the program frees, until it is asked to hand them back.
//!
//! A training step frees and allocates hundreds of megabytes. Left alone, mimalloc hands freed pages back to the system
//! after a second, and the next step pays for each of them again: a fault, and the clearing of the page by the kernel.
//! What is kept is at most what the program held at its peak, plus what fragments; all of it goes back when it ends.
//!
//! Linking this crate makes mimalloc the allocator: it is for programs, not for libraries.
#![deny(unsafe_code)]

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3: milliseconds until freed pages go back to the system; -1: never.
const PURGE_DELAY: c_int = 15;

// `mimalloc` links the library but does not declare its options.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_option_set(option: c_int, value: c_long);
}

/// Has the allocator keep freed pages for the rest of the process, unless the environment variable
/// `MIMALLOC_PURGE_DELAY` says otherwise. Call it first thing in `main`, before other threads begin.
#[allow(unsafe_code)]
pub fn keep_freed_pages() {
    // SAFETY: the signature is that of `mimalloc.h`. The function takes any number of an option and writes the option's own
    // word; a thread that read the old value meanwhile would hand pages back once more.
    unsafe { mi_option_set_default(PURGE_DELAY, -1) }
}

/// Has the allocator hand pages that are freed from now on back to the system after 10 ms: for a process in which memory counts
/// more than time. What was freed before stays, and is used again.
#[allow(unsafe_code)]
pub fn give_back_freed_pages() {
    // SAFETY: as above.
    unsafe { mi_option_set(PURGE_DELAY, 10) }
}
