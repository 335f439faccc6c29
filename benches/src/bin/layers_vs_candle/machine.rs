//! Where and with what a measurement was made.

use std::fs;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub threads: usize,
    /// Where the system tells: running processes, averaged over 1, 5 and 15 minutes.
    pub load_before: Option<String>,
    pub load_after: Option<String>,
}

impl Machine {
    pub fn of_now() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let cpu = cpu.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown");
        Self {
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            load_before: load(),
            load_after: None,
        }
    }
}

pub fn load() -> Option<String> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    Some(load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// The version of a crate in the lock file that this was built from.
pub fn version(krate: &str) -> &'static str {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let (_, after) = LOCK
        .split_once(&format!("name = \"{krate}\"\nversion = \""))
        .unwrap_or(("", "unknown\""));
    after.split_once('"').map_or("unknown", |(version, _)| version)
}
