//! Every element of the result and of the gradients is within rounding of the definition, evaluated in f64.

use candle_core::{DType, Device, Result, Tensor};

use crate::common::convolution::{Case, Inputs, assert_definition, computed, definition};
use crate::common::corners::Corner;
use crate::common::paths::Path;
use crate::common::{Random, assert_close, cases, flat};

#[test]
fn gradients_worked_by_hand() -> Result<()> {
    // candle's own conv1d returns [6, 18] and [4, 6, 8, 10] in these cases
    let tensor = |values: &[f64], shape: [usize; 3]| Tensor::from_slice(values, &shape, &Device::Cpu);
    let case = |l| Case {
        bias: false,
        ..Case::new(2, (1, 2), l, 1)
    };
    let inputs = |x, weight, dy| Inputs {
        x,
        weight,
        bias: None,
        dy,
    };
    let weight = (
        case(3),
        inputs(
            tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 1, 3])?,
            tensor(&[1.0, 1.0], [2, 1, 1])?,
            tensor(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [2, 2, 3])?,
        ),
        ("dw", 2, vec![7.0, 17.0]),
    );
    let input = (
        case(2),
        inputs(
            tensor(&[0.0; 4], [2, 1, 2])?,
            tensor(&[1.0, 1.0], [2, 1, 1])?,
            tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [2, 2, 2])?,
        ),
        ("dx", 1, vec![4.0, 6.0, 12.0, 14.0]),
    );
    for (case, inputs, (name, which, expected)) in [weight, input] {
        let by_definition: Vec<f64> = definition(&case, &inputs)[which].iter().map(|sum| sum.value).collect();
        assert_eq!(by_definition, expected, "{name}");
        for path in Path::all() {
            let found = computed(&case, &inputs, path)?;
            assert_eq!(flat(&found[which]), expected, "{name}, {path}");
        }
    }
    Ok(())
}

#[test]
fn any_shape_is_the_definition_in_f32() -> Result<()> {
    any_shape(DType::F32, 2000)
}

#[test]
fn any_shape_is_the_definition_in_f64() -> Result<()> {
    any_shape(DType::F64, 300)
}

fn any_shape(dtype: DType, usual: usize) -> Result<()> {
    let random = &mut Random(1);
    let paths = Path::all();
    for corner in Corner::then_random(usual) {
        let case = Case::any(random, corner, 40, 70);
        assert_definition(&case, &case.inputs(random, dtype)?, &paths);
    }
    Ok(())
}

#[test]
fn long_signals_many_channels_and_long_strides_are_the_definition() -> Result<()> {
    let random = &mut Random(2);
    let paths = Path::all();
    for case in [
        Case::new(3, (1, 16), 1024, 15),
        Case::new(2, (1, 10), 1025, 7).stride(2).padding(3),
        Case::new(9, (16, 24), 601, 3),
        Case::new(11, (70, 66), 33, 3).padding(1),
        Case::new(5, (64, 264), 7, 1),
        Case::new(4, (48, 33), 300, 1).stride(2),
        Case::new(3, (64, 64), 63, 3).stride(2).padding(1).groups(16),
        Case::new(3, (256, 256), 9, 3).padding(1).groups(8),
        Case::new(19, (130, 140), 5, 3).padding(1),
        // few channels a group: several samples at a time, tiles of all heights
        Case::new(9, (32, 32), 100, 3).padding(1).groups(8),
        Case::new(19, (16, 56), 94, 1).groups(8),
        Case::new(5, (40, 15), 300, 3).padding(1).groups(5),
        Case::new(20, (96, 16), 33, 3).stride(2).groups(8),
        Case::new(2, (40, 40), 530, 5).padding(4).dilation(3),
        Case::new(2, (3, 5), 9, 3).stride(8).padding(1),
        Case::new(2, (3, 5), 9, 3).stride(1 << 40).padding(1),
        Case::new(2, (3, 5), 9, 2).stride(usize::MAX).dilation(3).padding(40),
    ] {
        assert_definition(&case, &case.inputs(random, DType::F32)?, &paths);
    }
    Ok(())
}

#[test]
fn candle_gets_the_same_forward_pass() -> Result<()> {
    // candle's own is right forwards, with contiguous tensors
    let random = &mut Random(8);
    for _ in 0..cases(30) {
        let case = Case::any(random, Corner::None, 20, 40);
        // candle pads on both sides alike
        let padding = case.left().max(case.reach().saturating_sub(case.l).div_ceil(2));
        let case = case.padding(padding);
        let inputs = case.inputs(random, DType::F64)?;
        let p = case.p;
        let expected = inputs
            .x
            .conv1d(&inputs.weight, padding, p.stride, p.dilation, p.groups)?;
        let plain = Inputs { bias: None, ..inputs };
        for path in Path::kernels() {
            let found = computed(&case, &plain, path)?;
            assert_close(&found[0], &expected, 1e-13, &format!("{case:?}, {path}"));
        }
    }
    Ok(())
}
