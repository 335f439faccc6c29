//! What the functions refuse, and that they say why.

use candle_convnet1d::{
    Error, adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d, cross_entropy, cross_entropy_rows, global_avg_pool1d,
    global_max_pool1d, max_pool1d, softmax,
};
use candle_core::{DType, Device, Result, Tensor};

#[track_caller]
fn says(result: Result<Tensor>, expected: &str) {
    let error = match result.expect_err("an error") {
        candle_core::Error::WithBacktrace { inner, .. } => *inner,
        error => error,
    };
    assert!(matches!(error, candle_core::Error::Wrapped(_)), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

fn ones(shape: &[usize]) -> Result<Tensor> {
    Tensor::ones(shape, DType::F32, &Device::Cpu)
}

#[test]
fn pools_refuse_windows_that_do_not_fit() -> Result<()> {
    let x = &ones(&[2, 3, 5])?;
    for pool in [max_pool1d, avg_pool1d] {
        says(pool(x, 0, 1, 0), "kernel must be 1 or more");
        says(pool(x, 2, 0, 0), "stride must be 1 or more");
        says(
            pool(x, 3, 1, 2),
            "padding must be at most half the kernel of 3, found 2",
        );
        says(pool(x, 6, 1, 0), "kernel must be at most the padded length 5, found 6");
        says(pool(&ones(&[2, 3, 0])?, 2, 1, 1), "length must be 1 or more");
        says(pool(&ones(&[2, 3])?, 2, 1, 1), "expected (batch, channels, length)");
        assert_eq!(pool(x, 7, 1, 1)?.dims(), [2, 3, 1]);
        assert_eq!(pool(&ones(&[0, 3, 5])?, 2, 2, 0)?.dims(), [0, 3, 2]);
    }
    for pool in [adaptive_max_pool1d, adaptive_avg_pool1d] {
        says(pool(x, 0), "outputs must be 1 or more");
        says(pool(&ones(&[2, 3, 0])?, 4), "length must be 1 or more");
        says(pool(&ones(&[2, 3])?, 4), "expected (batch, channels, length)");
    }
    for pool in [global_avg_pool1d, global_max_pool1d] {
        says(pool(&ones(&[2, 3, 0])?), "length must be 1 or more");
        assert_eq!(pool(x)?.dims(), [2, 3]);
    }
    Ok(())
}

#[test]
fn losses_refuse_targets_that_do_not_fit() -> Result<()> {
    let logits = &ones(&[2, 3])?;
    let targets = |values: &[u32]| Tensor::new(values, &Device::Cpu);
    for loss in [cross_entropy, cross_entropy_rows] {
        says(
            loss(logits, &targets(&[0, 3])?),
            "target 3 of row 1 must be below the number of classes, 3",
        );
        says(loss(logits, &targets(&[0])?), "expected targets (2,)");
        says(
            loss(logits, &targets(&[0, 1])?.to_dtype(DType::I64)?),
            "must be u32, found i64",
        );
        says(
            loss(&ones(&[2])?, &targets(&[0, 1])?),
            "expected logits (rows, classes)",
        );
    }
    says(cross_entropy(&ones(&[0, 3])?, &targets(&[])?), "at least one row");
    assert_eq!(cross_entropy_rows(&ones(&[0, 3])?, &targets(&[])?)?.dims(), [0]);
    says(softmax(&ones(&[2, 3, 4])?), "expected logits (rows, classes)");
    Ok(())
}

#[test]
fn large_logits_neither_overflow_nor_vanish() -> Result<()> {
    let logits = candle_core::Var::new(&[[1e4f32, -1e4], [-1e4, 1e4]], &Device::Cpu)?;
    let targets = &Tensor::new(&[0u32, 0], &Device::Cpu)?;
    let rows = cross_entropy_rows(&logits, targets)?;
    assert_eq!(rows.to_vec1::<f32>()?, [0.0, 2e4]);
    let gradients = cross_entropy(&logits, targets)?.backward()?;
    let found = gradients.get(&logits).expect("a gradient").to_vec2::<f32>()?;
    assert_eq!(found, [[0.0, 0.0], [-0.5, 0.5]]);
    assert_eq!(softmax(&logits)?.to_vec2::<f32>()?, [[1.0, 0.0], [0.0, 1.0]]);
    Ok(())
}

#[test]
fn errors_name_what_was_found() {
    let error = Error::Target {
        row: 4,
        target: 9,
        classes: 3,
    };
    assert_eq!(
        error.to_string(),
        "cross_entropy: target 9 of row 4 must be below the number of classes, 3"
    );
}
