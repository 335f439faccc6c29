//! Memory that tasks on one thread hand on.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::buffer::Float;

/// Memory of no meaning that a task reuses, and the tasks after it on the same thread: new memory is cleared by the system.
pub(crate) struct Scratch<T> {
    lines: Vec<Line>,
    of: PhantomData<T>,
}

/// A line of the caches.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "seen as numbers of other types")] [u64; 8]);

thread_local! {
    /// What tasks left behind on this thread.
    static LEFT: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

impl<T: Float> Scratch<T> {
    pub fn new() -> Self {
        Self {
            lines: LEFT.with_borrow_mut(Vec::pop).unwrap_or_default(),
            of: PhantomData,
        }
    }

    /// `length` values of no meaning, from the start of a cache line on.
    pub fn take(&mut self, length: usize) -> &mut [T] {
        let lines = (length * size_of::<T>()).div_ceil(size_of::<Line>());
        if self.lines.len() < lines {
            // not resized, which would copy
            self.lines = vec![Line([0; 8]); lines];
        }
        // SAFETY: that many bytes are there, initialised and aligned, and `T` is f32 or f64, of which any bits are a value
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), length) }
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // not at the end of the thread
        let _ = LEFT.try_with(|left| left.borrow_mut().push(lines));
    }
}
