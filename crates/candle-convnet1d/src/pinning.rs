//! Threads that stay on cores of their own.

/// Holds each thread of the pool of threads, which is rayon's, to a core of its own. Returns whether it did: not where the pool has more threads
/// than this process may use cores, and only on Linux.
///
/// For programs that infer one window at a time, with pauses in between. Threads that wake up together are often put on one
/// core, of which they then have half each for some milliseconds, longer than a window takes: with two threads, 1.2 to 3.4 times as
/// long as on a core each. Training and batches gain nothing, and a held thread cannot move away from what else its core is given.
///
/// Called inside a pool of one's own (`pool.install`), it is that pool.
#[must_use = "it may have held none"]
pub fn pin_threads() -> bool {
    hold()
}

#[cfg(target_os = "linux")]
fn hold() -> bool {
    use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

    // of the main thread: in a pool that was held before, the calling one has one core only
    let Ok(all) = sched_getaffinity(Pid::from_raw(std::process::id() as i32)) else {
        return false;
    };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).collect();
    if cores.len() < rayon::current_num_threads() {
        return false;
    }
    let held = rayon::broadcast(|thread| {
        let mut own = CpuSet::new();
        own.set(cores[thread.index()]);
        sched_setaffinity(None, &own).is_ok()
    });
    held.into_iter().all(|held| held)
}

#[cfg(not(target_os = "linux"))]
fn hold() -> bool {
    false
}
