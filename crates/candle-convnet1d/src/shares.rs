//! How many threads the layers on this thread may use, and inference that shares a batch out between threads as a whole.

use std::cell::Cell;
use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Result, Tensor};
use rayon::Yield;
use rayon::prelude::*;

use crate::InstructionSet;
use crate::instruction_set::on_instruction_set;

thread_local! {
    /// Whether this thread runs a network on its own.
    static ALONE: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread runs [`awake`].
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Threads for a layer.
pub(crate) fn threads() -> usize {
    if ALONE.get() { 1 } else { rayon::current_num_threads() }
}

/// Runs `f` with layers that stay on this thread.
pub(crate) fn alone<R>(f: impl FnOnce() -> R) -> R {
    /// Puts back what was before, also when `f` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    f()
}

/// Runs `f` in the pool with its other threads awake: a thread that sleeps between two layers of one window wakes up later than a
/// layer takes. Meanwhile they run what else the pool is given. (A step of training, whose layers take longer, gains nothing.)
fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    /// Lets the others go, also when `f` panics.
    struct Running<'a> {
        done: &'a AtomicBool,
        before: bool,
    }
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            self.done.store(true, Ordering::Release);
            AWAKE.set(self.before);
        }
    }
    let done = &AtomicBool::new(false);
    rayon::scope(|scope| {
        let _running = Running {
            done,
            before: AWAKE.replace(true),
        };
        for _ in 1..threads() {
            // a thread that waits within such a call of its own may be given this: two would wait for each other
            scope.spawn(|_| {
                while !AWAKE.get() && !done.load(Ordering::Acquire) {
                    if rayon::yield_now() != Some(Yield::Executed) {
                        hint::spin_loop();
                    }
                }
            });
        }
        f()
    })
}

/// Rows of a share. What a share of four has between two layers of the networks here stays in a second-level cache of 2 MiB,
/// and weights that do not are read once for four rows.
const ROWS: usize = 4;

/// What `f` makes of the rows of `x`: of as many as there are threads or more, a few at a time, each share on one thread, so
/// that what lies between its layers stays in that core's cache; of fewer, all at once. In the pool of threads, where a layer
/// that is shared out costs no change of threads.
pub(crate) fn by_rows(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor> + Sync) -> Result<Tensor> {
    let isa = InstructionSet::in_use()?;
    let f = |x: &Tensor| on_instruction_set(isa, || f(x))?;
    let (batch, threads) = (x.dims().first().copied().unwrap_or(0), rayon::current_num_threads());
    if batch < threads.max(2) {
        return awake(|| f(x));
    }
    let rows = batch.div_ceil(threads).min(ROWS);
    let share = |number: usize| {
        let first = number * rows;
        alone(|| f(&x.narrow(0, first, rows.min(batch - first))?))
    };
    let shares = (0..batch.div_ceil(rows)).into_par_iter().map(share);
    match shares.collect::<Result<Vec<_>>>() {
        Ok(shares) => Tensor::cat(&shares, 0),
        // for the error that names the whole batch
        Err(_) => f(x),
    }
}
