#![no_main]
use libfuzzer_sys::fuzz_target;
use signal_domains::SignalFile;
use signal_domains_fuzz::{options, read_file};

// HDF5 is read from files alone
fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("signal-domains-fuzz-{}.h5", std::process::id()));
    std::fs::write(&path, data).expect("a file in the temporary folder");
    if let Ok(file) = SignalFile::open(&path, &options()) {
        read_file(&file);
    }
});
