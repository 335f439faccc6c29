//! Panics of the HDF5 crate, told as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use rust_hdf5::Hdf5Error;

thread_local! {
    /// Whether this thread runs [`caught`].
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// What `f` returns; a panic in it is an error with its message. The process's panic hook stays what it was for all other panics,
/// and prints nothing of this one. (A program that is built to abort on panics does so here too.)
///
/// The crate indexes messages of a file without asking whether they are that long; fuzzing found where.
pub(super) fn caught<R>(f: impl FnOnce() -> R) -> rust_hdf5::Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !WITHIN.get() {
                before(info);
            }
        }));
    });
    let before = WITHIN.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    WITHIN.set(before);
    result.map_err(|payload| Hdf5Error::InvalidState(format!("the HDF5 reader gave up: {}", message(&*payload))))
}

/// What the panic says.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_is_an_error_with_its_message_and_the_next_call_goes_on() {
        let texts: Vec<String> = [3, 1]
            .map(|at| caught(|| vec![1, 2][at]).map_or_else(|e| e.to_string(), |value| value.to_string()))
            .into();
        assert!(
            texts[0].contains("gave up") && texts[0].contains("index is 3"),
            "{texts:?}"
        );
        assert_eq!(texts[1], "2");
        assert!(caught(|| panic!("plain")).is_err_and(|e: rust_hdf5::Hdf5Error| e.to_string().contains("plain")));
    }
}
