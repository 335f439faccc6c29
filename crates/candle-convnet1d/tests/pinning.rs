//! Threads on cores of their own.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;

use candle_convnet1d::pin_threads;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The cores that the calling thread may use, as Linux writes them.
fn allowed() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").expect("the status of a thread");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.expect("a line of cores").trim().to_owned()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
}

#[test]
fn each_thread_has_a_core_of_its_own_where_there_are_enough() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let pool = pool(cores);
    for _ in 0..2 {
        assert!(pool.install(pin_threads));
        let held: BTreeSet<String> = pool.broadcast(|_| allowed()).into_iter().collect();
        assert_eq!(held.len(), cores, "{held:?}");
        assert!(held.iter().all(|core| core.parse::<usize>().is_ok()), "{held:?}");
    }
}

#[test]
fn more_threads_than_cores_stay_free() {
    let before = allowed();
    let pool = pool(std::thread::available_parallelism().map_or(1, usize::from) + 1);
    assert!(!pool.install(pin_threads));
    assert!(pool.broadcast(|_| allowed()).iter().all(|after| *after == before));
}
