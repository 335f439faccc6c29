//! Convolutions with one tap and no padding: a matrix product for each sample.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use super::Sizes;
use super::panel::Scratch;
use super::tile::Real;

/// A row-major matrix, or a transposed one.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
}

/// `out = a b`, `out` contiguous `(m, n)`, on the calling thread alone: many products run beside
/// each other, and the bits must not depend on how many.
fn product<T: Real>((m, n, k): (usize, usize, usize), out: &mut [MaybeUninit<T>], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    assert!(out.len() == m * n && m * n > 0);
    let holds = |x: &Matrix<'_, T>, rows: usize, columns: usize| {
        rows * columns == 0 || (rows - 1) * x.row + (columns - 1) * x.column < x.values.len()
    };
    assert!(holds(&a, m, k) && holds(&b, k, n));
    // SAFETY: the assertions keep every element that sizes and strides reach inside its slice;
    // `out` is borrowed exclusively and not read.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr().cast::<T>(),
            1,
            n as isize,
            false,
            a.values.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.values.as_ptr(),
            b.column as isize,
            b.row as isize,
            T::zero(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Runs `task` for each sample with its number, its place in the result and scratch.
fn samples<T: Real>(n: usize, size: usize, task: impl Fn(usize, &mut [MaybeUninit<T>], &mut Scratch<T>) + Sync) -> Vec<T> {
    let mut out = Vec::with_capacity(n * size);
    if n * size == 0 {
        return out;
    }
    out.spare_capacity_mut()[..n * size]
        .par_chunks_mut(size)
        .enumerate()
        .for_each_init(Scratch::new, |scratch, (sample, out)| task(sample, out, scratch));
    // SAFETY: the chunks make up the whole buffer, and each task writes all of its chunk
    unsafe { out.set_len(n * size) };
    out
}

/// The forward pass.
pub(super) fn forward<T: Real>(s: &Sizes, x: &[T], weights: &[T], bias: Option<&[T]>) -> Vec<T> {
    let (c, o) = s.group();
    samples(s.n, s.c_out * s.l_out, |sample, y, scratch| {
        let x = &x[sample * s.c_in * s.l_in..][..s.c_in * s.l_in];
        let x = if s.stride == 1 {
            x
        } else {
            let every = scratch.take(s.c_in * s.l_out);
            for (every, x) in every.chunks_exact_mut(s.l_out).zip(x.chunks_exact(s.l_in)) {
                for (value, &x) in every.iter_mut().zip(x.iter().step_by(s.stride)) {
                    *value = x;
                }
            }
            &*every
        };
        for (g, y) in y.chunks_exact_mut(o * s.l_out).enumerate() {
            let weights = Matrix { values: &weights[g * o * c..(g + 1) * o * c], row: c, column: 1 };
            let x = Matrix { values: &x[g * c * s.l_out..(g + 1) * c * s.l_out], row: s.l_out, column: 1 };
            product((o, s.l_out, c), y, weights, x);
        }
        if let Some(bias) = bias {
            for (y, &bias) in y.chunks_exact_mut(s.l_out).zip(bias) {
                for y in y {
                    // SAFETY: the product has written all of it
                    y.write(unsafe { y.assume_init() } + bias);
                }
            }
        }
    })
}

/// The gradient of the input.
pub(super) fn input_gradient<T: Real>(s: &Sizes, weights: &[T], dy: &[T]) -> Vec<T> {
    let (c, o) = s.group();
    samples(s.n, s.c_in * s.l_in, |sample, dx, scratch| {
        let dy = &dy[sample * s.c_out * s.l_out..][..s.c_out * s.l_out];
        for (g, dx) in dx.chunks_exact_mut(c * s.l_in).enumerate() {
            let weights = Matrix { values: &weights[g * o * c..(g + 1) * o * c], row: 1, column: c };
            let dy = Matrix { values: &dy[g * o * s.l_out..(g + 1) * o * s.l_out], row: s.l_out, column: 1 };
            if s.stride == 1 {
                product((c, s.l_in, o), dx, weights, dy);
                continue;
            }
            let every = scratch.take(c * s.l_out);
            // SAFETY: initialised values may be seen as ones that need not be
            let uninit = unsafe { &mut *(std::ptr::from_mut(every) as *mut [MaybeUninit<T>]) };
            product((c, s.l_out, o), uninit, weights, dy);
            dx.fill(MaybeUninit::new(T::zero()));
            for (dx, every) in dx.chunks_exact_mut(s.l_in).zip(every.chunks_exact(s.l_out)) {
                for (dx, &value) in dx.iter_mut().step_by(s.stride).zip(every) {
                    dx.write(value);
                }
            }
        }
    })
}
