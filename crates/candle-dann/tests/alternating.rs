//! The two halves of an alternating step: who moves in which, and against what.

mod common;

use std::collections::HashMap;

use candle_core::Var;
use candle_dann::{Dann, DannConfig, DomainLoss, GradientReversal, Head};
use candle_trainer::{Missing, Optimiser, OptimiserKind};

use common::{
    CHANNELS, CLASSES, FEATURES, LENGTH, Tanh, batch, gradients, network, parameters, reversal, scalar, tensors,
};

const SEED: u64 = 1;
const STEP: u64 = 2;

/// Everything on: hidden heads with their dropout, projection, dropout on the features.
fn rich() -> DannConfig {
    DannConfig {
        label_head: Head::hidden(6),
        domain_head: Head::hidden(4),
        projection: Some(4),
        dropout: 0.3,
        ..DannConfig::new(CLASSES, 3, FEATURES)
    }
}

fn built(config: &DannConfig) -> (Dann<Tanh>, HashMap<String, Var>) {
    let parameters = parameters(config).unwrap();
    (network(config, &tensors(&parameters)).unwrap(), parameters)
}

/// Names of the parameters that a loss reaches.
fn reached(gradients: &HashMap<String, Option<Vec<f64>>>) -> Vec<&str> {
    let mut names: Vec<&str> = gradients
        .iter()
        .filter(|(_, gradient)| gradient.is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_domain_heads_half_moves_the_domain_head_alone_and_by_its_gradient_in_the_joint_step() {
    let (dann, parameters) = built(&rich());
    let batch = batch(&[4, 3], &[5]).unwrap();
    let features = dann.batch_features(&batch, SEED, STEP).unwrap();
    let half = dann.domain_head_step(&features, STEP).unwrap();
    let joint = dann.adversarial_step(&batch, reversal(0.7), SEED, STEP).unwrap();
    let joint_domain = joint.domain.unwrap();
    assert_eq!(scalar(&half.loss), scalar(&joint_domain.loss));
    assert_eq!(
        (half.accuracy, half.chance),
        (joint_domain.accuracy, joint_domain.chance)
    );

    let got = gradients(&half.loss, &parameters);
    assert_eq!(
        reached(&got),
        [
            "domain_head.hidden.bias",
            "domain_head.hidden.weight",
            "domain_head.output.bias",
            "domain_head.output.weight"
        ]
    );
    let want = gradients(&joint.total, &parameters);
    for name in reached(&got) {
        assert_eq!(got[name], want[name], "{name}");
    }
}

#[test]
fn the_other_half_moves_all_else_and_by_its_gradient_in_the_joint_step_with_the_same_domain_head() {
    for domain_loss in [DomainLoss::default(), DomainLoss::MeanOverRows] {
        let (dann, parameters) = built(&DannConfig { domain_loss, ..rich() });
        let batch = batch(&[4, 3], &[5]).unwrap();
        for lambda in [0.0, 0.7] {
            let features = dann.batch_features(&batch, SEED, STEP).unwrap();
            let half = dann.extractor_step(&features, reversal(lambda)).unwrap();
            let joint = dann.adversarial_step(&batch, reversal(lambda), SEED, STEP).unwrap();
            assert_eq!(scalar(&half.total), scalar(&joint.total));
            assert_eq!(half.label_accuracy, joint.label_accuracy);

            let (got, want) = (
                gradients(&half.total, &parameters),
                gradients(&joint.total, &parameters),
            );
            assert_eq!(
                reached(&got),
                [
                    "extractor.linear.bias",
                    "extractor.linear.weight",
                    "label_head.hidden.bias",
                    "label_head.hidden.weight",
                    "label_head.output.bias",
                    "label_head.output.weight",
                    "projection.bias",
                    "projection.weight"
                ]
            );
            for name in reached(&got) {
                assert_eq!(got[name], want[name], "{name}, lambda {lambda}");
            }
        }
    }
}

#[test]
fn the_extractor_moves_against_the_domain_head_as_it_is_after_its_own_steps() {
    let (dann, parameters) = built(&rich());
    let batch = batch(&[4, 3], &[5]).unwrap();
    let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, parameters.clone().into_iter().collect()).unwrap();
    let before: HashMap<_, _> = tensors(&parameters)
        .into_iter()
        .map(|(name, value)| (name, value.copy().unwrap()))
        .collect();

    let features = dann.batch_features(&batch, SEED, STEP).unwrap();
    let untrained = scalar(
        &dann
            .extractor_step(&features, reversal(0.7))
            .unwrap()
            .domain
            .unwrap()
            .loss,
    );
    for k in 0..3 {
        let domain = dann.domain_head_step(&features, k).unwrap();
        optimiser
            .step(&domain.loss.backward().unwrap(), 0.01, Missing::Skip)
            .unwrap();
    }
    for (name, var) in &parameters {
        let moved = common::flat(var) != common::flat(&before[name]);
        assert_eq!(moved, name.starts_with("domain_head."), "{name}");
    }
    let half = dann.extractor_step(&features, reversal(0.7)).unwrap();
    let joint = dann.adversarial_step(&batch, reversal(0.7), SEED, STEP).unwrap();
    assert_ne!(scalar(&half.domain.as_ref().unwrap().loss), untrained);
    assert_eq!(scalar(&half.total), scalar(&joint.total));
    let (got, want) = (
        gradients(&half.total, &parameters),
        gradients(&joint.total, &parameters),
    );
    for name in reached(&got) {
        assert_eq!(got[name], want[name], "{name}");
    }
}

#[test]
fn an_alternating_step_forwards_all_rows_once_however_often_the_domain_head_moves() {
    let (dann, _) = built(&rich());
    let batch = batch(&[4, 3], &[5]).unwrap();
    let features = dann.batch_features(&batch, SEED, STEP).unwrap();
    for k in 0..4 {
        dann.domain_head_step(&features, k).unwrap();
    }
    dann.extractor_step(&features, reversal(1.0)).unwrap();
    let calls = dann.extractor().calls.lock().expect("calls");
    assert_eq!(*calls, [(vec![12, CHANNELS, LENGTH], Some(vec![4, 3, 5]))]);
}

#[test]
fn each_step_of_the_domain_head_draws_a_mask_of_its_own() {
    let (dann, _) = built(&DannConfig {
        domain_head: Head::hidden(64),
        ..rich()
    });
    let batch = batch(&[4, 3], &[5]).unwrap();
    let features = dann.batch_features(&batch, SEED, STEP).unwrap();
    let loss = |number| scalar(&dann.domain_head_step(&features, number).unwrap().loss);
    assert_eq!(loss(5), loss(5));
    assert_ne!(loss(5), loss(6));
}

#[test]
fn a_signed_factor_of_minus_lambda_is_the_same_step() {
    let (dann, parameters) = built(&rich());
    let batch = batch(&[4, 3], &[5]).unwrap();
    let step = |reversal| {
        let losses = dann.adversarial_step(&batch, reversal, SEED, STEP).unwrap();
        gradients(&losses.total, &parameters)
    };
    let paper = step(reversal(0.8));
    assert_eq!(step(GradientReversal::from_signed(-0.8).unwrap()), paper);
    assert_ne!(step(GradientReversal::from_signed(0.8).unwrap()), paper);
}
