//! Padding by TensorFlow's rule.

use candle_convnet1d::{Conv1dParams, Padding};
use candle_core::{DType, Device, Result, Tensor};

use crate::common::convolution::convolve;
use crate::common::flat;
use crate::common::paths::Path;

/// A kernel of ones on ones, that is, how many samples each output sees.
fn seen(path: Path, l: usize, k: usize, stride: usize, dilation: usize) -> Result<Vec<f64>> {
    let ones = |l: usize| Tensor::ones((1, 1, l), DType::F64, &Device::Cpu);
    let params = Conv1dParams {
        stride,
        padding: Padding::Same,
        dilation,
        groups: 1,
    };
    Ok(flat(&convolve(path, &ones(l)?, &ones(k)?, None, params)?))
}

#[test]
fn same_padding_is_tensorflows() -> Result<()> {
    // by hand from TensorFlow's rule, by which an odd zero goes to the right
    for ((l, k, stride, dilation), expected) in [
        ((6, 7, 2, 1), vec![5.0, 6.0, 4.0]),
        ((7, 7, 2, 1), vec![4.0, 6.0, 6.0, 4.0]),
        ((6, 3, 2, 1), vec![3.0, 3.0, 2.0]),
        ((5, 3, 2, 1), vec![2.0, 3.0, 2.0]),
        ((4, 3, 1, 1), vec![2.0, 3.0, 3.0, 2.0]),
        ((4, 2, 1, 1), vec![2.0, 2.0, 2.0, 1.0]),
        ((5, 1, 3, 1), vec![1.0, 1.0]),
        ((2, 7, 2, 1), vec![2.0]),
        ((1, 7, 2, 1), vec![1.0]),
        ((5, 3, 1, 2), vec![2.0, 2.0, 3.0, 2.0, 2.0]),
    ] {
        for path in Path::all() {
            let what = format!("length {l}, kernel {k}, stride {stride}, dilation {dilation}, {path}");
            assert_eq!(seen(path, l, k, stride, dilation)?, expected, "{what}");
        }
    }
    for path in Path::all() {
        let message = seen(path, 0, 3, 1, 1).unwrap_err().to_string();
        let says = message.contains("of length 1 or more") && message.contains("padding same");
        assert!(says, "{message}");
    }
    Ok(())
}
