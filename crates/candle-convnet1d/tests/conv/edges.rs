//! What takes part in the graph, other dtypes, and tensors without elements.

use candle_convnet1d::{Conv1dParams, conv1d};
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::common::convolution::{Case, convolve};
use crate::common::paths::Path;
use crate::common::{Random, assert_close, flat};

#[test]
fn data_gets_no_gradient_and_parameters_do() -> Result<()> {
    let random = &mut Random(6);
    let x = random.tensor(&[2, 3, 9], DType::F32)?;
    let weight = Var::from_tensor(&random.tensor(&[4, 3, 3], DType::F32)?)?;
    let bias = random.tensor(&[4], DType::F32)?;
    let gradients = conv1d(&x, &weight, Some(&bias), Conv1dParams::default())?
        .sum_all()?
        .backward()?;
    assert!(gradients.get(&weight).is_some());
    assert!(gradients.get(&x).is_none() && gradients.get(&bias).is_none());
    Ok(())
}

#[test]
fn frozen_weights_pass_the_gradient_on() -> Result<()> {
    let random = &mut Random(7);
    let x = Var::from_tensor(&random.tensor(&[2, 3, 9], DType::F64)?)?;
    let weight = random.tensor(&[4, 3, 3], DType::F64)?;
    let dx = |path| -> Result<Tensor> {
        let y = convolve(path, &x, &weight, None, Conv1dParams::default())?;
        Ok(y.sum_all()?.backward()?.get(&x).expect("a gradient").clone())
    };
    let expected = dx(Path::Composed)?;
    for path in Path::kernels() {
        assert_close(&dx(path)?, &expected, 1e-14, "dx");
    }
    Ok(())
}

#[test]
fn half_precision_takes_the_composition() -> Result<()> {
    let case = Case::new(2, (4, 6), 9, 3).padding(1).groups(2);
    let inputs = case.inputs(&mut Random(9), DType::BF16)?;
    let y = conv1d(&inputs.x, &inputs.weight, inputs.bias.as_ref(), case.p)?;
    assert_eq!(y.dtype(), DType::BF16);
    let wide = |t: &Tensor| t.to_dtype(DType::F64);
    let expected = conv1d(
        &wide(&inputs.x)?,
        &wide(&inputs.weight)?,
        inputs.bias.as_ref().map(wide).transpose()?.as_ref(),
        case.p,
    )?;
    // 7 products and sums of bf16
    assert_close(&y, &expected, 8.0 / 256.0, "y");
    Ok(())
}

#[test]
fn nothing_in_gives_nothing_out() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let padded = Conv1dParams {
        padding: 2.into(),
        ..Conv1dParams::default()
    };
    for path in Path::all() {
        let y = convolve(path, &zeros(&[0, 3, 9])?, &zeros(&[4, 3, 3])?, None, padded)?;
        assert_eq!(y.dims(), [0, 4, 11]);
    }
    for path in Path::kernels() {
        let weight = Var::from_tensor(&zeros(&[4, 3, 3])?)?;
        let y = convolve(path, &zeros(&[0, 3, 9])?, &weight, None, padded)?;
        let dw = y.sum_all()?.backward()?.get(&weight).expect("a gradient").clone();
        assert_eq!(flat(&dw), [0.0; 36]);
        // only padding
        let bias = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
        let y = convolve(path, &zeros(&[1, 3, 0])?, &zeros(&[2, 3, 3])?, Some(&bias), padded)?;
        assert_eq!(flat(&y), [1.0, 1.0, 2.0, 2.0]);
    }
    Ok(())
}
