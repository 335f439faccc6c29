use candle_core::{Result, Tensor};

use crate::composed;

/// Rectified linear unit `max(x, 0)` of a tensor of any shape.
///
/// The derivative at 0 is 0, as in `PyTorch` and `TensorFlow` (candle's own is 1). NaN stays NaN.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    composed::relu(x)
}
