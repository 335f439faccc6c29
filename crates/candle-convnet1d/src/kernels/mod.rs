//! The convolution on the CPU: contiguous slices in, vectors out.
//!
//! Each element of a result is computed by one task, in an order that depends on the sizes alone:
//! the bits do not depend on the number of threads.

mod direct;
mod panel;
mod pointwise;
mod tile;
mod vector;
mod weight;

use rayon::prelude::*;

pub(crate) use tile::Real;

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

impl Sizes {
    /// Input and output channels of a group.
    fn group(&self) -> (usize, usize) {
        (self.c_in / self.groups, self.c_out / self.groups)
    }

    /// Whether this is a product of matrices that are large enough for one to pay.
    fn is_product(&self) -> bool {
        let (c, o) = self.group();
        self.kernel == 1 && self.padding == 0 && c >= 16 && o >= 16
    }
}

/// The forward pass.
pub(crate) fn forward<T: Real>(s: &Sizes, x: &[T], weights: &[T], bias: Option<&[T]>) -> Vec<T> {
    if s.is_product() { pointwise::forward(s, x, weights, bias) } else { direct::forward(s, x, weights, bias) }
}

/// The gradient of the input.
pub(crate) fn input_gradient<T: Real>(s: &Sizes, weights: &[T], dy: &[T]) -> Vec<T> {
    if s.is_product() { pointwise::input_gradient(s, weights, dy) } else { direct::input_gradient(s, weights, dy) }
}

/// The gradient of the weight.
pub(crate) fn weight_gradient<T: Real>(s: &Sizes, x: &[T], dy: &[T]) -> Vec<T> {
    weight::weight_gradient(s, x, dy)
}

/// The gradient of the bias.
pub(crate) fn bias_gradient<T: Real>(s: &Sizes, dy: &[T]) -> Vec<T> {
    (0..s.c_out)
        .into_par_iter()
        .map(|c| {
            let rows = (0..s.n).map(|i| lanes::sum(&dy[(i * s.c_out + c) * s.l_out..][..s.l_out]));
            T::from_f64(rows.sum())
        })
        .collect()
}
