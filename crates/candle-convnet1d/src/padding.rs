//! The zeros around the input of a convolution.

use std::fmt;

/// Zeros around the input of a convolution. The default is none; `padding.into()` of a number puts as many on
/// either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many as stated.
    Zeros {
        /// Before the first sample.
        left: usize,
        /// Behind the last sample.
        right: usize,
    },
    /// As many as make `L_out = L / stride`, rounded up (`padding="same"` of `TensorFlow`, for any stride): with
    /// `reach = dilation (kernel - 1) + 1` they are `max((L_out - 1) stride + reach - L, 0)` in all, half of
    /// them (rounded down) on the left. For kernel 7, stride 2: 2 and 3 for an even length, 3 and 3 for an odd one.
    Same,
}

impl Padding {
    /// Zeros on the left and on the right of `length` samples.
    pub(crate) fn sides(self, length: usize, reach: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Zeros { left, right } => (left, right),
            Self::Same => {
                // samples from the first tap of the last output on
                let last = match length % stride {
                    0 => length.min(stride),
                    rest => rest,
                };
                let total = reach.saturating_sub(last);
                (total / 2, total - total / 2)
            }
        }
    }

    /// The shortest input that gives an output.
    pub(crate) fn least_length(self, reach: usize) -> usize {
        match self {
            Self::Zeros { left, right } => reach.saturating_sub(left.saturating_add(right)),
            Self::Same => 1,
        }
    }
}

impl Default for Padding {
    fn default() -> Self {
        0.into()
    }
}

impl From<usize> for Padding {
    fn from(zeros: usize) -> Self {
        Self::Zeros {
            left: zeros,
            right: zeros,
        }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros { left, right } if left == right => write!(f, "{left}"),
            Self::Zeros { left, right } => write!(f, "{left} left and {right} right"),
            Self::Same => f.write_str("same"),
        }
    }
}
