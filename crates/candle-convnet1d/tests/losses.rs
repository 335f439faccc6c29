//! Label smoothing against its definition.

mod common;

use candle_convnet1d::{cross_entropy, cross_entropy_rows, cross_entropy_smoothed};
use candle_core::{DType, Device, Result, Tensor};

use common::Random;

const CLASSES: u32 = 7;

#[test]
fn a_smoothed_loss_is_the_mean_of_those_of_all_classes_for_its_share() -> Result<()> {
    let logits = (Random(0).tensor(&[5, CLASSES as usize], DType::F64)? * 3.)?;
    let targets = &Tensor::new(&[0u32, 6, 3, 3, 1], &Device::Cpu)?;
    let plain = cross_entropy(&logits, targets)?.to_scalar::<f64>()?;
    let mut every = 0.;
    for class in 0..CLASSES {
        every += cross_entropy(&logits, &Tensor::full(class, 5, &Device::Cpu)?)?.to_scalar::<f64>()?;
    }
    for smoothing in [0., 0.05, 0.5, 1.] {
        let found = cross_entropy_smoothed(&logits, targets, smoothing)?.to_scalar::<f64>()?;
        let expected = (1. - smoothing) * plain + smoothing * every / f64::from(CLASSES);
        assert!((found - expected).abs() < 1e-13, "{smoothing}: {found}, {expected}");
    }
    Ok(())
}

#[test]
fn no_smoothing_is_the_plain_loss_to_the_bit() -> Result<()> {
    let logits = &Random(1).tensor(&[4, CLASSES as usize], DType::F32)?;
    let targets = &Tensor::new(&[2u32, 5, 0, 1], &Device::Cpu)?;
    let plain = cross_entropy_rows(logits, targets)?.mean_all()?.to_scalar::<f32>()?;
    let found = cross_entropy_smoothed(logits, targets, 0.)?.to_scalar::<f32>()?;
    assert_eq!(found.to_bits(), plain.to_bits());
    Ok(())
}

#[test]
fn a_share_that_is_none_is_refused() -> Result<()> {
    let logits = &Random(2).tensor(&[1, 3], DType::F32)?;
    let targets = &Tensor::new(&[2u32], &Device::Cpu)?;
    for smoothing in [-0.1, 1.1, f64::NAN] {
        let error = cross_entropy_smoothed(logits, targets, smoothing).expect_err("refused");
        assert!(
            error.to_string().contains("the label smoothing must be 0 to 1"),
            "{error}"
        );
    }
    Ok(())
}
