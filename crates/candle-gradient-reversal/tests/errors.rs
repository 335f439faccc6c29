//! What is refused, and where.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_gradcheck::GradCheck;
use candle_gradient_reversal::{GradientReversal, gradient_reversal};

#[test]
fn a_lambda_that_is_not_finite_is_refused_at_construction() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let lambda = GradientReversal::new(bad).unwrap_err().to_string();
        assert!(
            lambda.contains("lambda") && lambda.contains(&bad.to_string()),
            "{lambda}"
        );
        let factor = GradientReversal::from_signed(bad).unwrap_err().to_string();
        assert!(
            factor.contains("factor") && factor.contains(&bad.to_string()),
            "{factor}"
        );
    }
}

#[test]
fn a_lambda_that_is_infinite_in_the_dtype_is_refused_in_forward() -> Result<()> {
    // half way from the largest value to the power of two after it: the first that rounds to infinity
    let first = [
        (DType::F16, 65520.0f64),
        (DType::BF16, (2.0 - 2f64.powi(-8)) * 2f64.powi(127)),
        (DType::F32, (2.0 - 2f64.powi(-24)) * 2f64.powi(127)),
    ];
    for (dtype, lambda) in first {
        let x = Tensor::ones(3, dtype, &Device::Cpu)?;
        for sign in [1.0, -1.0] {
            let error = GradientReversal::new(sign * lambda)?
                .forward(&x)
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("infinite in {dtype:?}")), "{error}");
            GradientReversal::new(sign * lambda.next_down())?.forward(&x)?;
        }
    }
    gradient_reversal(&Tensor::ones(3, DType::F64, &Device::Cpu)?, f64::MAX)?;
    Ok(())
}

#[test]
fn a_tensor_without_gradients_is_refused() -> Result<()> {
    for dtype in [DType::U8, DType::U32, DType::I64] {
        let error = gradient_reversal(&Tensor::zeros(3, dtype, &Device::Cpu)?, 1.0)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("{dtype:?}")), "{error}");
    }
    Ok(())
}

#[test]
fn a_view_without_elements_may_begin_anywhere() -> Result<()> {
    let x = Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?;
    for view in [
        x.narrow(1, 2, 0)?,
        x.narrow(1, 1, 1)?,
        x.narrow(1, 2, 1)?.t()?,
        x.t()?.narrow(0, 1, 2)?,
    ] {
        assert_eq!(gradient_reversal(&view, 1.0)?.dims(), view.dims());
    }
    Ok(())
}

#[test]
fn lambda_is_what_was_given() -> Result<()> {
    assert_eq!(GradientReversal::new(0.8)?.lambda(), 0.8);
    assert_eq!(GradientReversal::from_signed(-0.8)?.lambda(), 0.8);
    assert!(GradientReversal::from_signed(0.0)?.lambda().is_sign_positive());
    Ok(())
}

#[test]
fn it_is_a_module() -> Result<()> {
    let x = Var::new(&[1.0f32, 2.0], &Device::Cpu)?;
    let y = x.apply(&GradientReversal::new(0.5)?)?;
    let gradient = y.backward()?.get(&x).expect("a gradient").to_vec1::<f32>()?;
    assert_eq!(gradient, [-0.5, -0.5]);
    Ok(())
}

#[test]
fn an_infinite_gradient_follows_ieee_at_lambda_zero() -> Result<()> {
    let x = Var::new(&[1.0f32, 1.0], &Device::Cpu)?;
    let dy = Tensor::new(&[f32::INFINITY, 3.0], &Device::Cpu)?;
    let store = (gradient_reversal(&x, 0.0)? * dy)?.backward()?;
    let gradient = store.get(&x).expect("a gradient").to_vec1::<f32>()?;
    assert!(gradient[0].is_nan() && gradient[1] == 0.0);
    Ok(())
}

#[test]
fn finite_differences_see_the_identity_and_the_gradient_its_reverse() {
    let x = Tensor::new(&[0.3f64, -1.0, 2.0], &Device::Cpu).unwrap();
    let check = |lambda| GradCheck::default().check(std::slice::from_ref(&x), |t| gradient_reversal(&t[0], lambda));
    // reversal by -1 is the identity both ways
    check(-1.0).unwrap();
    let Err(candle_gradcheck::Error::Mismatch(report)) = check(0.8) else {
        panic!("expected a mismatch")
    };
    assert_eq!(report.worst.analytic, -0.8);
    // 1e-16 / eps
    assert!((report.worst.numeric - 1.0).abs() < 1e-9);
}
