//! A label head that gives values: the mean squared error in place of the cross-entropy, all else as before.

mod common;

use candle_core::{DType, Device, Result, Tensor};
use candle_dann::{Batch, Dann, DannConfig, Head, LabelledRows};
use candle_gradcheck::GradCheck;

use common::{CHANNELS, FEATURES, LENGTH, Tanh, batch, flat, network, parameters, random, reversal, scalar, tensors};

const OUTPUTS: usize = 2;

fn config(domains: usize) -> DannConfig {
    DannConfig {
        label_head: Head::Hidden { width: 6, dropout: 0.0 },
        domain_head: Head::hidden(4),
        ..DannConfig::regression(OUTPUTS, domains, FEATURES)
    }
}

fn built(domains: usize) -> Dann<Tanh> {
    let config = config(domains);
    network(&config, &tensors(&parameters(&config).unwrap())).unwrap()
}

/// The windows of [`batch`] with values for the sources.
fn with_values(sources: &[usize], targets: &[usize], dtype: DType) -> Batch {
    let mut batch = batch(sources, targets).unwrap();
    for (k, rows) in batch.sources.iter_mut().enumerate() {
        let windows = rows.windows().clone();
        let values = random(&format!("values{k}"), &[windows.dims()[0], OUTPUTS]).unwrap();
        *rows = LabelledRows::with_values(windows, values.to_dtype(dtype).unwrap()).unwrap();
    }
    batch
}

#[test]
fn the_label_loss_is_the_mean_squared_error_over_labelled_rows_and_outputs() {
    let dann = built(3);
    let batch = with_values(&[4, 2], &[3], DType::F64);
    let losses = dann.adversarial_step(&batch, reversal(0.7), 0, 0).unwrap();
    assert_eq!(losses.label_accuracy, None);

    let (mut sum, mut count) = (0.0, 0);
    for rows in &batch.sources {
        let said = flat(&dann.predict(rows.windows(), None).unwrap().label);
        for (said, value) in said.iter().zip(flat(rows.labels())) {
            sum += (said - value).powi(2);
            count += 1;
        }
    }
    assert_eq!(count, 6 * OUTPUTS);
    // a dozen values of order 1 in f64
    assert!((scalar(&losses.label) - sum / f64::from(count as u32)).abs() < 1e-14);
    let domain = scalar(&losses.domain.unwrap().loss);
    assert!((scalar(&losses.total) - scalar(&losses.label) - domain).abs() < 1e-14);

    // the twin's loss is the same
    let source = dann.source_step(&batch.sources, 0, 0).unwrap();
    assert_eq!(scalar(&source.label), scalar(&losses.label));
}

#[test]
fn its_gradients_are_those_of_the_loss_by_differences() {
    let config = config(2);
    let all = tensors(&parameters(&config).unwrap());
    let mut names: Vec<_> = all.keys().cloned().collect();
    names.sort();
    let inputs: Vec<_> = names.iter().map(|name| all[name].clone()).collect();
    let batch = with_values(&[4], &[3], DType::F64);
    let total = |values: &[Tensor]| -> Result<Tensor> {
        let all = names.iter().cloned().zip(values.iter().cloned()).collect();
        // a lambda of -1 does not reverse: the gradient is that of the value
        Ok(network(&config, &all)?
            .adversarial_step(&batch, reversal(-1.0), 0, 0)?
            .total)
    };
    GradCheck::default().check(&inputs, total).unwrap();
}

#[test]
fn values_in_f32_serve_a_network_in_f64() {
    let dann = built(2);
    let loss = |dtype| {
        scalar(
            &dann
                .source_step(&with_values(&[4], &[], dtype).sources, 0, 0)
                .unwrap()
                .label,
        )
    };
    // values of order 1, rounded to f32
    assert!((loss(DType::F32) - loss(DType::F64)).abs() < 1e-6);
}

#[test]
fn classes_for_a_head_of_values_and_values_for_one_of_classes_are_errors() {
    let message = |result: Result<_>| {
        result
            .err()
            .map(|e: candle_core::Error| e.to_string())
            .unwrap_or_default()
    };
    let step =
        |dann: &Dann<Tanh>, batch: &Batch| message(dann.adversarial_step(batch, reversal(1.0), 0, 0).map(|_| ()));
    let values = built(2);
    let text = step(&values, &batch(&[4], &[3]).unwrap());
    assert!(
        text.contains("source domain 0") && text.contains("expected values of shape (rows, 2)"),
        "{text}"
    );

    let classes = DannConfig::new(3, 2, FEATURES);
    let classes = network(&classes, &tensors(&parameters(&classes).unwrap())).unwrap();
    let text = step(&classes, &with_values(&[4], &[3], DType::F64));
    assert!(
        text.contains("source domain 0") && text.contains("expected class numbers"),
        "{text}"
    );

    let windows = || Tensor::zeros((4, CHANNELS, LENGTH), DType::F64, &Device::Cpu).unwrap();
    let three = LabelledRows::with_values(windows(), random("three", &[4, 3]).unwrap()).unwrap();
    let text = message(values.source_step(&[three], 0, 0).map(|_| ()));
    assert!(text.contains("found f64 of shape [4, 3]"), "{text}");

    for wrong in [
        random("a", &[3, 2]).unwrap(),
        random("a", &[4]).unwrap(),
        Tensor::zeros((4, 2), DType::U32, &Device::Cpu).unwrap(),
        Tensor::zeros((4, 0), DType::F64, &Device::Cpu).unwrap(),
    ] {
        let text = message(LabelledRows::with_values(windows(), wrong).map(|_| ()));
        assert!(text.contains("f32 or f64 of shape (4, outputs)"), "{text}");
    }
}
