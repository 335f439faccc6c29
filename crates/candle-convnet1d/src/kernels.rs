//! CPU kernels of the convolution, on contiguous slices of one sample or of all.
#![allow(unsafe_code)]

use gemm::{Parallelism, gemm};
use rayon::prelude::*;

use crate::buffer::{Float, write_rows};
use crate::lanes;

/// Sizes of a convolution of contiguous `(n, c_in, l_in)` to `(n, c_out, l_out)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub n: usize,
    pub c_in: usize,
    pub c_out: usize,
    pub l_in: usize,
    pub l_out: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
    pub groups: usize,
}

/// Samples whose contributions to the weight gradient are added in order by one task. Fixed, so that the sum does not
/// depend on the number of threads.
const CHUNKS: usize = 4;

impl Sizes {
    /// Input and output channels of a group.
    fn group(&self) -> (usize, usize) {
        (self.c_in / self.groups, self.c_out / self.groups)
    }

    /// Whether a group is wide enough for a matrix product to pay.
    fn wide(&self) -> bool {
        let (c, o) = self.group();
        o >= 8 && c * self.kernel >= 8
    }

    /// Outputs `lo..hi` whose tap `t` falls inside the input, and the input position of output `lo`.
    fn span(&self, t: usize) -> (usize, usize, usize) {
        let ahead = t * self.dilation;
        let lo = self.padding.saturating_sub(ahead).div_ceil(self.stride).min(self.l_out);
        let hi = (self.l_in + self.padding).saturating_sub(ahead).div_ceil(self.stride).clamp(lo, self.l_out);
        let first = if lo < hi { lo * self.stride + ahead - self.padding } else { 0 };
        (lo, hi, first)
    }

    /// Whether the input itself is the panel.
    fn direct_panel(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }
}

/// The inputs under each tap: `(c * kernel, l_out)` of one group of one sample.
fn panel<T: Float>(s: &Sizes, x: &[T], out: &mut Vec<T>) {
    out.clear();
    out.resize(x.len() / s.l_in.max(1) * s.kernel * s.l_out, T::zero());
    for (row, out) in x.chunks_exact(s.l_in).zip(out.chunks_exact_mut(s.kernel * s.l_out)) {
        for (t, out) in out.chunks_exact_mut(s.l_out).enumerate() {
            let (lo, hi, first) = s.span(t);
            if s.stride == 1 {
                out[lo..hi].copy_from_slice(&row[first..first + hi - lo]);
            } else {
                for (o, x) in out[lo..hi].iter_mut().zip(row[first.min(row.len())..].iter().step_by(s.stride)) {
                    *o = *x;
                }
            }
        }
    }
}

/// `dst = beta * dst + a b`, row-major `(m, k) (k, n)`; `a` and `b` may be given transposed by their strides.
fn product<T: Float>(
    (m, n, k): (usize, usize, usize),
    dst: &mut [T],
    (a, a_row, a_col): (&[T], usize, usize),
    (b, b_row, b_col): (&[T], usize, usize),
    add: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(dst.len() >= m * n);
    assert!(k == 0 || (a.len() > (m - 1) * a_row + (k - 1) * a_col && b.len() > (k - 1) * b_row + (n - 1) * b_col));
    // SAFETY: the assertions above keep every element that the strides reach inside its slice, and `dst` is borrowed
    // exclusively.
    unsafe {
        gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_col as isize,
            a_row as isize,
            b.as_ptr(),
            b_col as isize,
            b_row as isize,
            if add { T::one() } else { T::zero() },
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The convolution.
pub(crate) fn forward<T: Float>(s: &Sizes, x: &[T], w: &[T], bias: Option<&[T]>) -> Vec<T> {
    let (c, o) = s.group();
    let k = c * s.kernel;
    write_rows(s.n, s.c_out * s.l_out, |i, y| {
        let x = &x[i * s.c_in * s.l_in..(i + 1) * s.c_in * s.l_in];
        if let Some(b) = bias {
            for (y, b) in y.chunks_exact_mut(s.l_out).zip(b) {
                y.fill(*b);
            }
        }
        let mut scratch = Vec::new();
        for g in 0..s.groups {
            let (x, w) = (&x[g * c * s.l_in..(g + 1) * c * s.l_in], &w[g * o * k..(g + 1) * o * k]);
            let y = &mut y[g * o * s.l_out..(g + 1) * o * s.l_out];
            if s.wide() {
                let columns = if s.direct_panel() {
                    x
                } else {
                    panel(s, x, &mut scratch);
                    &scratch
                };
                product((o, s.l_out, k), y, (w, k, 1), (columns, s.l_out, 1), true);
            } else {
                for (y, w) in y.chunks_exact_mut(s.l_out).zip(w.chunks_exact(k)) {
                    for (x, w) in x.chunks_exact(s.l_in).zip(w.chunks_exact(s.kernel)) {
                        for (t, &w) in w.iter().enumerate() {
                            let (lo, hi, first) = s.span(t);
                            gather_add(&mut y[lo..hi], &x[first..], s.stride, w);
                        }
                    }
                }
            }
        }
    })
}

/// `y[j] += w x[j stride]`.
fn gather_add<T: Float>(y: &mut [T], x: &[T], stride: usize, w: T) {
    if stride == 1 {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += w * x;
        }
    } else {
        for (y, &x) in y.iter_mut().zip(x.iter().step_by(stride)) {
            *y += w * x;
        }
    }
}

/// `x[j stride] += w y[j]`.
fn scatter_add<T: Float>(x: &mut [T], y: &[T], stride: usize, w: T) {
    if stride == 1 {
        for (x, &y) in x.iter_mut().zip(y) {
            *x += w * y;
        }
    } else {
        for (x, &y) in x.iter_mut().step_by(stride).zip(y) {
            *x += w * y;
        }
    }
}

/// The gradient of the input.
pub(crate) fn input_gradient<T: Float>(s: &Sizes, w: &[T], dy: &[T]) -> Vec<T> {
    let (c, o) = s.group();
    let k = c * s.kernel;
    write_rows(s.n, s.c_in * s.l_in, |i, dx| {
        let dy = &dy[i * s.c_out * s.l_out..(i + 1) * s.c_out * s.l_out];
        let mut scratch = Vec::new();
        for g in 0..s.groups {
            let (dy, w) = (&dy[g * o * s.l_out..(g + 1) * o * s.l_out], &w[g * o * k..(g + 1) * o * k]);
            let dx = &mut dx[g * c * s.l_in..(g + 1) * c * s.l_in];
            if s.wide() && s.direct_panel() {
                product((k, s.l_out, o), dx, (w, 1, k), (dy, s.l_out, 1), false);
            } else if s.wide() {
                scratch.clear();
                scratch.resize(k * s.l_out, T::zero());
                product((k, s.l_out, o), &mut scratch, (w, 1, k), (dy, s.l_out, 1), false);
                for (dx, rows) in dx.chunks_exact_mut(s.l_in.max(1)).zip(scratch.chunks_exact(s.kernel * s.l_out)) {
                    for (t, row) in rows.chunks_exact(s.l_out).enumerate() {
                        let (lo, hi, first) = s.span(t);
                        scatter_add(&mut dx[first..], &row[lo..hi], s.stride, T::one());
                    }
                }
            } else {
                for (dy, w) in dy.chunks_exact(s.l_out).zip(w.chunks_exact(k)) {
                    for (dx, w) in dx.chunks_exact_mut(s.l_in.max(1)).zip(w.chunks_exact(s.kernel)) {
                        for (t, &w) in w.iter().enumerate() {
                            let (lo, hi, first) = s.span(t);
                            scatter_add(&mut dx[first..], &dy[lo..hi], s.stride, w);
                        }
                    }
                }
            }
        }
    })
}

/// The gradient of the weight.
pub(crate) fn weight_gradient<T: Float>(s: &Sizes, x: &[T], dy: &[T]) -> Vec<T> {
    let (c, o) = s.group();
    let k = c * s.kernel;
    let group = |g: usize, samples: std::ops::Range<usize>| -> Vec<T> {
        let mut dw = vec![T::zero(); o * k];
        let mut scratch = Vec::new();
        for i in samples {
            let x = &x[(i * s.c_in + g * c) * s.l_in..(i * s.c_in + (g + 1) * c) * s.l_in];
            let dy = &dy[(i * s.c_out + g * o) * s.l_out..(i * s.c_out + (g + 1) * o) * s.l_out];
            if s.wide() {
                let columns = if s.direct_panel() {
                    x
                } else {
                    panel(s, x, &mut scratch);
                    &scratch
                };
                product((o, k, s.l_out), &mut dw, (dy, s.l_out, 1), (columns, 1, s.l_out), true);
            } else {
                for (dw, dy) in dw.chunks_exact_mut(k).zip(dy.chunks_exact(s.l_out)) {
                    for (dw, x) in dw.chunks_exact_mut(s.kernel).zip(x.chunks_exact(s.l_in)) {
                        for (t, dw) in dw.iter_mut().enumerate() {
                            let (lo, hi, first) = s.span(t);
                            let sum = if s.stride == 1 {
                                lanes::dot(&dy[lo..hi], &x[first..first + hi - lo])
                            } else {
                                dy[lo..hi]
                                    .iter()
                                    .zip(x[first.min(x.len())..].iter().step_by(s.stride))
                                    .map(|(&a, &b)| (a * b).to_f64())
                                    .sum()
                            };
                            *dw += T::from_f64(sum);
                        }
                    }
                }
            }
        }
        dw
    };
    let per_chunk = s.n.div_ceil(CHUNKS).max(1);
    let parts: Vec<Vec<T>> = (0..CHUNKS * s.groups)
        .into_par_iter()
        .map(|task| {
            let (g, chunk) = (task / CHUNKS, task % CHUNKS);
            group(g, (chunk * per_chunk).min(s.n)..((chunk + 1) * per_chunk).min(s.n))
        })
        .collect();
    let mut dw = Vec::with_capacity(s.c_out * k);
    for parts in parts.chunks_exact(CHUNKS) {
        dw.extend((0..o * k).map(|j| parts.iter().fold(T::zero(), |sum, p| sum + p[j])));
    }
    dw
}

/// The gradient of the bias.
pub(crate) fn bias_gradient<T: Float>(s: &Sizes, dy: &[T]) -> Vec<T> {
    (0..s.c_out)
        .into_par_iter()
        .map(|c| {
            let rows = (0..s.n).map(|i| lanes::sum(&dy[(i * s.c_out + c) * s.l_out..(i * s.c_out + c + 1) * s.l_out]));
            T::from_f64(rows.sum())
        })
        .collect()
}
