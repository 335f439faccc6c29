//! The convolution on the CPU: contiguous slices in, vectors out.
//!
//! Every pass is laid out for one inner loop ([`tile`]), which faster ones may replace. Each
//! element of a result is computed by one task, in an order that depends on the sizes alone: the
//! bits do not depend on the number of threads. They do depend on the instruction set.

mod ahead;
mod cut;
mod direct;
mod narrow;
mod pairs;
mod panel;
mod real;
mod scatter;
mod tile;
mod vector;
mod weight;
mod weights;
mod winograd;

use rayon::prelude::*;

pub(crate) use direct::InputGradient;
pub(crate) use narrow::Products;
pub(crate) use real::Real;
pub(crate) use tile::Finish;
pub(crate) use weights::{Weights, packed};

use crate::moments::RowMoment;
use crate::values::Input;
use crate::{InstructionSet, lanes};

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
    /// Zeros before the first sample. Those behind the last one follow from `l_out`.
    pub padding: usize,
    pub dilation: usize,
    pub groups: usize,
}

impl Sizes {
    /// Input and output channels of a group.
    pub fn group(&self) -> (usize, usize) {
        (self.c_in / self.groups, self.c_out / self.groups)
    }

    /// One group of one sample.
    pub fn group_of_sample(&self) -> Self {
        let (c_in, c_out) = self.group();
        Self {
            n: 1,
            c_in,
            c_out,
            groups: 1,
            ..*self
        }
    }

    /// Whether it is computed by pairs of outputs.
    pub fn by_pairs(&self) -> bool {
        winograd::serves((self.kernel, self.stride, self.dilation), self.group())
    }
}

/// The forward pass; and, if `counted`, the moments of the rows that it makes, taken while they lie in a cache.
pub(crate) fn forward<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    weights: Weights<'_, T>,
    finish: Finish<'_, T>,
    counted: bool,
) -> (Vec<T>, Vec<RowMoment>) {
    let pass = if s.by_pairs() { pairs::forward } else { direct::forward };
    pass(s, isa, x, weights, finish, counted)
}

/// The gradient of the input.
pub(crate) fn input_gradient<T: Real>(s: &Sizes, isa: InstructionSet, weights: &[T], dy: &[T]) -> Vec<T> {
    let pass = if s.by_pairs() {
        pairs::input_gradient
    } else {
        direct::input_gradient
    };
    pass(s, isa, weights, dy)
}

/// The gradients of the weight and, if `with_bias`, of the bias, whose sums are taken while the output gradient is near.
pub(crate) fn weight_gradient<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    dy: &[T],
    with_bias: bool,
) -> (Vec<T>, Option<Vec<T>>) {
    let (c, o) = s.group();
    if s.n * s.l_in * c * o * s.kernel == 0 {
        let weights = vec![T::zero(); s.c_out * c * s.kernel];
        return (weights, with_bias.then(|| bias_gradient(s, dy)));
    }
    let pass = if narrow::serves(s) {
        narrow::weight_gradient
    } else {
        weight::weight_gradient
    };
    pass(s, isa, x, dy, with_bias)
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
