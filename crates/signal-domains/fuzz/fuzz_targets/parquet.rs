#![no_main]
use libfuzzer_sys::fuzz_target;
use signal_domains_fuzz::{options, read_all};

fuzz_target!(|data: &[u8]| read_all(b"PAR1", data, &options()));
