//! Dropout masks: what they are a function of, and their statistics.

use candle_convnet1d::{Dropout, Pass};
use candle_core::{DType, Device, Result, Tensor};

fn train(seed: u64, step: u64) -> Pass<'static> {
    Pass::Train { seed, step, rows: &[] }
}

fn mask(p: f64, name: &str, seed: u64, step: u64, count: usize) -> Result<Vec<bool>> {
    let ones = Tensor::ones(count, DType::F32, &Device::Cpu)?;
    let y = Dropout::new(p, name)?
        .forward(&ones, train(seed, step))?
        .to_vec1::<f32>()?;
    let kept = (1.0 / (1.0 - p)) as f32;
    assert!(
        y.iter().all(|&y| y == 0.0 || y == kept),
        "values are dropped or divided by 1 - p"
    );
    Ok(y.into_iter().map(|y| y != 0.0).collect())
}

fn as_text(mask: &[bool]) -> String {
    mask.iter().map(|&kept| if kept { '1' } else { '0' }).collect()
}

/// The masks of saved runs must stay what they are.
#[test]
fn masks_are_pinned() -> Result<()> {
    assert_eq!(as_text(&mask(0.5, "head.dropout", 0, 0, 32)?), PINNED[0]);
    assert_eq!(as_text(&mask(0.5, "head.dropout", 0, 1, 32)?), PINNED[1]);
    assert_eq!(as_text(&mask(0.2, "features", 12345, 678, 32)?), PINNED[2]);
    Ok(())
}

/// From the formula in the documentation of `Dropout`, evaluated in Python.
const PINNED: [&str; 3] = [
    "10011111110110100000111101100100",
    "01111111111000110010001110100111",
    "11111110111111101111111111101111",
];

#[test]
fn mask_does_not_depend_on_dtype_shape_or_layout() -> Result<()> {
    let dropout = Dropout::new(0.5, "d")?;
    let flat = Tensor::ones(24, DType::F32, &Device::Cpu)?;
    let expected = dropout.forward(&flat, train(1, 2))?;
    let x = Tensor::ones((2, 3, 4), DType::F64, &Device::Cpu)?;
    let y = dropout.forward(&x, train(1, 2))?.flatten_all()?.to_dtype(DType::F32)?;
    assert_eq!(y.to_vec1::<f32>()?, expected.to_vec1::<f32>()?);
    let x = Tensor::ones((4, 6), DType::F32, &Device::Cpu)?.t()?;
    let y = dropout.forward(&x, train(1, 2))?.flatten_all()?;
    assert_eq!(y.to_vec1::<f32>()?, expected.to_vec1::<f32>()?);
    let x = Tensor::ones(24, DType::F16, &Device::Cpu)?;
    let y = dropout.forward(&x, train(1, 2))?.to_dtype(DType::F32)?;
    assert_eq!(y.to_vec1::<f32>()?, expected.to_vec1::<f32>()?);
    Ok(())
}

/// Within 5 standard deviations of a fair draw; seeds are fixed, so this does not flicker.
#[test]
fn rate_is_p_and_masks_of_steps_names_and_seeds_are_independent() -> Result<()> {
    const N: usize = 200_000;
    for p in [0.1, 0.5, 0.9] {
        let masks = [
            mask(p, "a", 7, 0, N)?,
            mask(p, "a", 7, 1, N)?,
            mask(p, "a", 7, 2, N)?,
            mask(p, "b", 7, 0, N)?,
            mask(p, "a", 8, 0, N)?,
        ];
        let near = |share: f64, expected: f64, what: &str| {
            let deviation = (expected * (1.0 - expected) / N as f64).sqrt();
            assert!(
                (share - expected).abs() < 5.0 * deviation,
                "{what}: {share}, expected {expected}"
            );
        };
        let share = |both: &dyn Fn(usize) -> bool| (0..N).filter(|&i| both(i)).count() as f64 / N as f64;
        for (a, first) in masks.iter().enumerate() {
            near(share(&|i| first[i]), 1.0 - p, "rate");
            near(
                share(&|i| first[i] && first[(i + 1) % N]),
                (1.0 - p).powi(2),
                "neighbours",
            );
            for (b, second) in masks.iter().enumerate().skip(a + 1) {
                near(
                    share(&|i| first[i] && second[i]),
                    (1.0 - p).powi(2),
                    &format!("masks {a} and {b}"),
                );
                // the next element of another step is another draw, too
                let shifted = share(&|i| first[(i + 1) % N] && second[i]);
                near(shifted, (1.0 - p).powi(2), &format!("masks {a} and {b}, shifted"));
            }
        }
    }
    Ok(())
}

#[test]
fn inference_and_p_zero_change_nothing() -> Result<()> {
    let x = Tensor::arange(0f32, 10.0, &Device::Cpu)?;
    for (p, pass) in [(0.5, Pass::EVAL), (0.0, train(1, 1))] {
        let y = Dropout::new(p, "d")?.forward(&x, pass)?;
        assert_eq!(y.to_vec1::<f32>()?, x.to_vec1::<f32>()?);
    }
    Ok(())
}

#[test]
fn p_outside_its_range_is_an_error() {
    for p in [-0.1, 1.0, f64::NAN] {
        let message = Dropout::new(p, "d").expect_err("p is out of range").to_string();
        assert!(message.contains("at least 0 and below 1"), "{message}");
    }
}
