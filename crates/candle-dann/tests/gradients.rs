//! What flows where: the reversal acts between the domain head and the features, and nowhere else.

mod common;

use std::collections::HashMap;

use candle_core::{Result, Tensor, Var};
use candle_dann::{Dann, DannConfig, DomainLoss, Head};
use candle_gradcheck::GradCheck;

use common::{CLASSES, FEATURES, Tanh, batch, network, parameters, reversal, scalar, tensors};

/// A few roundings of values of order 1 in f64.
const TOLERANCE: f64 = 1e-14;

const LAMBDA: f64 = 0.7;

/// With a lambda of -1 the reversal multiplies by 1: the plain network, whose gradient is that of its value.
const PLAIN: f64 = -1.0;

/// Everything on: hidden heads with their dropout, projection, dropout on the features.
fn rich(domains: usize) -> DannConfig {
    DannConfig {
        label_head: Head::hidden(6),
        domain_head: Head::hidden(4),
        projection: Some(4),
        dropout: 0.3,
        label_smoothing: 0.1,
        ..DannConfig::new(CLASSES, domains, FEATURES)
    }
}

fn is_below_reversal(name: &str) -> bool {
    name.starts_with("extractor.") || name.starts_with("projection.")
}

/// Gradients by name, zeros where there is none.
fn gradients(loss: &Tensor, parameters: &HashMap<String, Var>) -> HashMap<String, Vec<f64>> {
    common::gradients(loss, parameters)
        .into_iter()
        .map(|(name, grad)| {
            let zeros = || vec![0.0; parameters[&name].elem_count()];
            (name.clone(), grad.unwrap_or_else(zeros))
        })
        .collect()
}

fn dann(config: &DannConfig, parameters: &HashMap<String, Var>) -> Dann<Tanh> {
    network(config, &tensors(parameters)).unwrap()
}

#[test]
fn features_descend_the_label_loss_minus_lambda_times_the_domain_loss_and_heads_their_own() {
    let config = rich(3);
    let parameters = parameters(&config).unwrap();
    let dann = dann(&config, &parameters);
    let batch = batch(&[4, 3], &[5]).unwrap();
    let plain = dann.adversarial_step(&batch, reversal(PLAIN), 1, 2).unwrap();
    let of_label = gradients(&plain.label, &parameters);
    let of_domain = gradients(&plain.domain.unwrap().loss, &parameters);
    for lambda in [0.0, LAMBDA, 3.0] {
        let step = dann.adversarial_step(&batch, reversal(lambda), 1, 2).unwrap();
        for (name, got) in gradients(&step.total, &parameters) {
            let factor = if is_below_reversal(&name) { -lambda } else { 1.0 };
            for ((got, label), domain) in got.iter().zip(&of_label[&name]).zip(&of_domain[&name]) {
                let want = label + factor * domain;
                assert!(
                    (got - want).abs() <= TOLERANCE,
                    "{name}, lambda {lambda}: {got} instead of {want}"
                );
            }
        }
    }
    // neither head is touched by the other's loss
    assert!(of_domain["label_head.output.weight"].iter().all(|g| *g == 0.0));
    assert!(of_label["domain_head.output.weight"].iter().all(|g| *g == 0.0));
}

/// The total loss as a function of the parameters that `moved` picks; the others stay.
fn check_by_differences(lambda: f64, moved: impl Fn(&str) -> bool) {
    for domain_loss in [
        DomainLoss::PerDomainMeans {
            weights: vec![1.0, 0.5, 2.0],
        },
        DomainLoss::MeanOverRows,
    ] {
        let config = DannConfig { domain_loss, ..rich(3) };
        let all = tensors(&parameters(&config).unwrap());
        let mut names: Vec<_> = all.keys().filter(|name| moved(name)).cloned().collect();
        names.sort();
        assert!(!names.is_empty());
        let inputs: Vec<_> = names.iter().map(|name| all[name].clone()).collect();
        let batch = batch(&[4, 3], &[5]).unwrap();
        let total = |values: &[Tensor]| -> Result<Tensor> {
            let mut all = all.clone();
            all.extend(names.iter().cloned().zip(values.iter().cloned()));
            Ok(network(&config, &all)?
                .adversarial_step(&batch, reversal(lambda), 1, 2)?
                .total)
        };
        GradCheck::default().check(&inputs, total).unwrap();
    }
}

#[test]
fn gradients_of_the_heads_are_those_of_the_loss_by_differences_for_any_lambda() {
    check_by_differences(LAMBDA, |name| !is_below_reversal(name));
}

#[test]
fn gradients_of_all_parameters_are_those_of_the_loss_by_differences_without_reversal() {
    check_by_differences(PLAIN, |_| true);
}

#[test]
fn per_domain_means_over_d_equal_domains_are_d_times_the_mean_over_rows() {
    let with = |domain_loss| DannConfig { domain_loss, ..rich(3) };
    let (means, over_rows) = (with(DomainLoss::default()), with(DomainLoss::MeanOverRows));
    let parameters = parameters(&means).unwrap();
    let batch = batch(&[4], &[4, 4]).unwrap();
    let means = dann(&means, &parameters)
        .adversarial_step(&batch, reversal(LAMBDA), 1, 2)
        .unwrap();
    // and on the features that is a lambda D times as large
    let over_rows = dann(&over_rows, &parameters)
        .adversarial_step(&batch, reversal(3.0 * LAMBDA), 1, 2)
        .unwrap();
    assert!((scalar(&means.domain.unwrap().loss) - 3.0 * scalar(&over_rows.domain.unwrap().loss)).abs() <= TOLERANCE);
    let (a, b) = (
        gradients(&means.total, &parameters),
        gradients(&over_rows.total, &parameters),
    );
    for name in a.keys().filter(|name| is_below_reversal(name)) {
        for (a, b) in a[name].iter().zip(&b[name]) {
            assert!((a - b).abs() <= TOLERANCE, "{name}: {a} {b}");
        }
    }
}

#[test]
fn with_lambda_0_the_features_learn_the_labels_alone_and_the_domain_head_still_learns() {
    let config = rich(2);
    let parameters = parameters(&config).unwrap();
    let dann = dann(&config, &parameters);
    let batch = batch(&[4], &[5]).unwrap();
    let adversarial = gradients(
        &dann.adversarial_step(&batch, reversal(0.0), 1, 2).unwrap().total,
        &parameters,
    );
    let source = gradients(&dann.source_step(&batch.sources, 1, 2).unwrap().total, &parameters);
    for (name, got) in &adversarial {
        if name.starts_with("domain_head.") {
            assert!(got.iter().any(|g| *g != 0.0), "{name}");
        } else {
            for (got, want) in got.iter().zip(&source[name]) {
                assert!((got - want).abs() <= TOLERANCE, "{name}: {got} {want}");
            }
        }
    }
}
