//! The input of the next samples, which comes from memory while those before are computed.

use std::ops::Range;

use super::real::Real;
use crate::shares;
use crate::values::Input;

/// What is asked for, a share at a time. Nothing here changes a result.
pub(super) struct Ahead {
    next: Range<usize>,
    share: usize,
}

impl Ahead {
    /// As many samples of so many values as those before, in `calls` shares. Samples that stay on one thread are in its cache by
    /// themselves.
    pub fn new(sample: usize, before: &Range<usize>, calls: usize) -> Self {
        let next = before.end * sample..(before.end + before.len()) * sample;
        Self {
            share: next.len().div_ceil(calls.max(1)),
            next: if shares::threads() > 1 { next } else { 0..0 },
        }
    }

    /// Asks for the next share.
    pub fn ask<T: Real>(&mut self, x: Input<'_, T>) {
        let end = (self.next.start + self.share).min(self.next.end);
        x.ask(self.next.start..end);
        self.next.start = end;
    }
}
