#![no_main]
use libfuzzer_sys::fuzz_target;
use signal_domains_fuzz::{options, read_all};

fuzz_target!(|data: &[u8]| read_all(b"    -1\n    58", data, &options()));
