//! One network for three families: what it is untrained, what it shares, and that its gradients are right.

mod common;

use std::collections::HashMap;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass, Statistics};
use candle_core::{DType, Device, Result, Tensor};
use candle_gradcheck::GradCheck;
use candle_nn::VarBuilder;
use candle_seresnext1d::{DefectFamilies, DefectFamiliesConfig};
use common::Formula;

const ROWS: usize = 4;
const SLIPS: usize = 9;

fn build(batch_norm: BatchNormConfig) -> (DefectFamilies, Formula) {
    let store = Formula::default();
    let config = DefectFamiliesConfig {
        batch_norm,
        ..DefectFamiliesConfig::new(3 * ROWS)
    };
    (DefectFamilies::new(&config, store.builder(DType::F64)).unwrap(), store)
}

fn windows(count: usize) -> Tensor {
    common::value("windows", &[count, 3 * ROWS, SLIPS], DType::F64).unwrap()
}

fn numbers(x: &Tensor) -> Vec<Vec<f64>> {
    x.to_vec2().unwrap()
}

/// `Formula` gives every variable values of its own; an untrained network starts with a last layer of zeros.
fn without_learned_part(store: &Formula) -> Result<()> {
    for (name, variable) in store.variables() {
        if name.starts_with("score.") {
            variable.set(&variable.zeros_like()?)?;
        }
    }
    Ok(())
}

#[test]
fn untrained_it_is_the_largest_over_slips_of_the_mean_over_bands() -> Result<()> {
    let (network, store) = build(BatchNormConfig::default());
    without_learned_part(&store)?;
    let x = windows(3);
    let values: Vec<Vec<Vec<f64>>> = x.to_vec3()?;
    for (window, scores) in values.iter().zip(numbers(&network.forward(&x, Pass::EVAL)?)) {
        for (rows, score) in window.chunks(ROWS).zip(scores) {
            let mean = |slip: usize| rows.iter().map(|row| row[slip]).sum::<f64>() / ROWS as f64;
            let expected = (0..SLIPS).map(mean).fold(f64::NEG_INFINITY, f64::max);
            assert!((score - expected).abs() < 1e-14, "{score} and {expected}");
        }
    }
    assert_eq!(network.feature_len(SLIPS), 3);
    Ok(())
}

/// Exchanging the first two families of every window exchanges the first two scores and changes nothing else, in training too.
#[test]
fn all_families_are_seen_by_the_same_weights() -> Result<()> {
    let (network, _) = build(BatchNormConfig::default());
    let x = windows(4);
    let block = |k: usize| x.narrow(1, k * ROWS, ROWS);
    let exchanged = Tensor::cat(&[block(1)?, block(0)?, block(2)?], 1)?;
    for pass in [
        Pass::EVAL,
        Pass::Train {
            seed: 0,
            step: 0,
            rows: &[4],
        },
    ] {
        let (before, after) = (
            numbers(&network.forward(&x, pass)?),
            numbers(&network.forward(&exchanged, pass)?),
        );
        for (before, after) in before.iter().zip(&after) {
            for (b, a) in before.iter().zip([after[1], after[0], after[2]]) {
                assert!((b - a).abs() < 1e-12, "{before:?} {after:?}");
            }
        }
    }
    Ok(())
}

/// With statistics per domain, each domain's windows give what they give alone.
#[test]
fn each_domain_keeps_its_own_statistics() -> Result<()> {
    let batch_norm = BatchNormConfig {
        statistics: Statistics::PerDomain(2),
        ..BatchNormConfig::default()
    };
    let x = windows(5);
    let train = |x: &Tensor, rows: &[usize]| build(batch_norm).0.forward(x, Pass::Train { seed: 0, step: 0, rows });
    let both = numbers(&train(&x, &[2, 3])?);
    let alone = [
        numbers(&train(&x.narrow(0, 0, 2)?, &[2, 0])?),
        numbers(&train(&x.narrow(0, 2, 3)?, &[0, 3])?),
    ]
    .concat();
    for (a, b) in both.iter().flatten().zip(alone.iter().flatten()) {
        assert!((a - b).abs() < 1e-12);
    }
    Ok(())
}

/// By every trained variable, in training, at a point that has no kink of a `ReLU` or a maximum within a step.
#[test]
fn its_weights_have_the_gradient_of_the_forward_pass() {
    let pass = Pass::Train {
        seed: 0,
        step: 0,
        rows: &[4],
    };
    let x = windows(4);
    let variables: HashMap<String, Tensor> = build(BatchNormConfig::default())
        .1
        .variables()
        .into_iter()
        .map(|(name, v)| (name, v.as_detached_tensor()))
        .collect();
    let mut names: Vec<&String> = variables.keys().filter(|name| common::trainable(name)).collect();
    names.sort();
    assert_eq!(names.len(), 10);
    let inputs: Vec<Tensor> = names.iter().map(|name| variables[*name].clone()).collect();
    let check = GradCheck {
        atol: 1e-8,
        rtol: 1e-6,
        ..GradCheck::default()
    };
    let report = check
        .check(&inputs, |inputs| {
            let mut variables = variables.clone();
            for (name, input) in names.iter().zip(inputs) {
                variables.insert((*name).clone(), input.clone());
            }
            let vb = VarBuilder::from_tensors(variables, DType::F64, &Device::Cpu);
            DefectFamilies::new(&DefectFamiliesConfig::new(3 * ROWS), vb)?.forward(&x, pass)
        })
        .unwrap_or_else(|error| panic!("{names:?}\n{error}"));
    assert!(report.checked > names.len());
}

#[test]
fn it_has_as_many_parameters_as_the_readme_says() {
    let counter = common::Counter::default();
    DefectFamilies::new(&DefectFamiliesConfig::new(15), counter.builder()).unwrap();
    assert_eq!(counter.counts().0, 1281);
    assert!(include_str!("../README.md").contains("3 features, 1,281 trained parameters"));
}

#[test]
fn rows_that_three_families_cannot_share_are_refused() {
    for rows in [0, 1, 7] {
        let message = DefectFamilies::new(&DefectFamiliesConfig::new(rows), Formula::default().builder(DType::F32))
            .unwrap_err()
            .to_string();
        assert!(message.contains("defect-families: in_channels is"), "{message}");
    }
}
