//! How many threads the layers on this thread may use, and inference that shares a batch out between threads as a whole.

use std::cell::Cell;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

thread_local! {
    /// Whether this thread runs a network on its own.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Threads for a layer.
pub(crate) fn threads() -> usize {
    if ALONE.get() { 1 } else { rayon::current_num_threads() }
}

/// Runs `f` with layers that stay on this thread.
fn alone<R>(f: impl FnOnce() -> R) -> R {
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

/// What `f` makes of the rows of `x`, `rows` of them at a time and each share on one thread: what lies between the layers
/// of a share stays in its core's cache.
pub(crate) fn by_rows(x: &Tensor, rows: usize, f: impl Fn(&Tensor) -> Result<Tensor> + Sync) -> Result<Tensor> {
    let batch = x.dim(0)?;
    let rows = std::env::var("SHARE").ok().and_then(|s| s.parse().ok()).unwrap_or(rows);
    if batch <= rows || rows == 0 {
        // inside the pool, where a layer that is shared out costs no change of threads
        return rayon::scope(|_| f(x));
    }
    let share = |first: usize| alone(|| f(&x.narrow(0, first, rows.min(batch - first))?));
    let firsts: Vec<usize> = (0..batch).step_by(rows).collect();
    let shares: Vec<Tensor> = firsts.into_par_iter().map(share).collect::<Result<_>>()?;
    Tensor::cat(&shares, 0)
}
