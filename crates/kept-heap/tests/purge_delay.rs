//! The option that is set is the one that is meant, by its name.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::process::Command;

type Output = unsafe extern "C" fn(*const c_char, *mut c_void);

unsafe extern "C" {
    fn mi_options_print_out(out: Output, argument: *mut c_void);
}

const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";
const ONE: &str = "freed_pages_are_kept_unless_the_environment_says_otherwise";

/// mimalloc's list of options by name and value.
fn options() -> String {
    unsafe extern "C" fn append(text: *const c_char, list: *mut c_void) {
        // SAFETY: mimalloc passes on the list below, and a C string
        unsafe { (*list.cast::<String>()).push_str(&CStr::from_ptr(text).to_string_lossy()) }
    }
    let mut list = String::with_capacity(1 << 16);
    // SAFETY: the signature is that of `mimalloc.h`; the list outlives the call
    unsafe { mi_options_print_out(append, std::ptr::from_mut(&mut list).cast()) }
    list
}

#[test]
fn freed_pages_are_kept_unless_the_environment_says_otherwise() {
    let expected = std::env::var(VARIABLE).unwrap_or_else(|_| "-1".into());
    kept_heap::keep_freed_pages();
    let options = options();
    let line = options.lines().find(|line| line.contains("'purge_delay'"));
    assert_eq!(
        line.map(str::trim),
        Some(format!("option 'purge_delay': {expected}").as_str()),
        "{options}"
    );
}

#[test]
fn the_environment_wins() {
    for delay in ["0", "77", "1000"] {
        let this = std::env::current_exe().expect("this program");
        let run = Command::new(this)
            .args(["--exact", ONE])
            .env(VARIABLE, delay)
            .output()
            .expect("a run");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}
