//! Products of pairs (`winograd.rs`) on their way to where the outputs lie.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "code takes its instruction set from the function that it is inlined into"
)]

use super::real::Real;
use super::tile::{Finish, SLACK};
use super::vector::Vector;
use super::winograd::PRODUCTS;
use crate::InstructionSet;
use crate::prefetch;

/// Outputs that follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where they start behind the start of a row.
    pub at: usize,
    /// How many there are.
    pub count: usize,
}

/// Outputs of a piece, of which the last one of a row has fewer.
pub(super) const PIECE: usize = 16;

/// The four products for pairs of outputs of a block.
pub(crate) struct Sums<'a, T> {
    /// `height` rows for each.
    pub values: &'a [T],
    pub height: usize,
    /// From one row to the next.
    pub stride: usize,
    /// Pairs of a row.
    pub width: usize,
    /// The bias is in the sums.
    pub finish: Finish<'a, T>,
}

/// Where outputs go.
pub(crate) struct Pieces<'a, T> {
    pub first: *mut T,
    /// Rows, `stride` apart.
    pub rows: usize,
    pub stride: usize,
    /// Of each row.
    pub row: &'a [Piece],
}

impl<T> Pieces<'_, T> {
    /// Asks for the memory of one of `parts` parts: results come from there before they can be written.
    pub fn ask(&self, part: usize, parts: usize) {
        for row in (part..self.rows).step_by(parts) {
            for piece in self.row {
                prefetch::to_write(
                    self.first
                        .wrapping_add(row * self.stride + piece.at + piece.count.max(1) - 1),
                );
            }
        }
    }
}

/// Writes the outputs.
///
/// # Safety
/// This machine has `isa`. The pieces of all rows may be written, and nobody else uses them meanwhile.
pub(super) unsafe fn scatter<T: Real>(isa: InstructionSet, sums: &Sums<'_, T>, to: &Pieces<'_, T>) {
    assert!(sums.width.next_multiple_of(SLACK) <= sums.stride && to.rows <= sums.height);
    assert!(PRODUCTS * sums.height * sums.stride <= sums.values.len());
    assert!(2 * sums.width <= to.row.len() * PIECE && to.row.iter().all(|piece| piece.count <= PIECE));
    // SAFETY: the caller's promise, and the assertions above
    unsafe { T::scatter(isa, sums, to) }
}

/// [`scatter`] by vectors.
#[inline(always)]
pub(super) unsafe fn rows<V: Vector>(sums: &Sums<'_, V::Value>, to: &Pieces<'_, V::Value>) {
    let Finish { scale, shift, relu, .. } = sums.finish;
    let product = sums.height * sums.stride;
    for pair in (0..sums.width).step_by(V::LANES) {
        let from = sums.values.as_ptr().wrapping_add(pair);
        let first = Target::new::<V>(to, 2 * pair);
        let second = Target::new::<V>(to, 2 * pair + V::LANES);
        for row in 0..to.rows {
            // SAFETY: `scatter` has checked the lengths, and rows are as long as whole vectors; pieces may be written
            unsafe {
                let from = from.add(row * sums.stride);
                let load = |number: usize| V::load(from.add(number * product));
                let (p0, p1, p2, p3) = (load(0), load(1), load(2), load(3));
                let (mut even, mut odd) = (p0.plus(p1.plus(p2)), p1.minus(p2).minus(p3));
                if let Some((&scale, &shift)) = scale.get(row).zip(shift.get(row)) {
                    let (scale, shift) = (V::splat(scale), V::splat(shift));
                    (even, odd) = (even.times_plus(scale, shift), odd.times_plus(scale, shift));
                }
                if relu {
                    (even, odd) = (even.above_zero(), odd.above_zero());
                }
                let [low, high] = even.in_turn(odd);
                first.put(low, row * to.stride);
                second.put(high, row * to.stride);
            }
        }
    }
}

/// Where a vector of outputs goes.
struct Target<T> {
    first: *mut T,
    count: usize,
}

impl<T> Target<T> {
    /// The outputs from number `output` on.
    #[inline(always)]
    fn new<V: Vector<Value = T>>(to: &Pieces<'_, T>, output: usize) -> Self {
        let piece = to.row.get(output / PIECE).copied().unwrap_or(Piece { at: 0, count: 0 });
        Self {
            first: to.first.wrapping_add(piece.at + output % PIECE),
            count: piece.count.saturating_sub(output % PIECE).min(V::LANES),
        }
    }

    #[inline(always)]
    unsafe fn put<V: Vector<Value = T>>(&self, value: V, at: usize) {
        // SAFETY: the caller has the instruction set, and there is room for these values
        unsafe {
            let out = self.first.wrapping_add(at);
            if self.count == V::LANES {
                value.store(out);
            } else if self.count > 0 {
                value.store_first(out, self.count);
            }
        }
    }
}
