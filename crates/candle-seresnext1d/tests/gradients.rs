//! Finite differences of whole networks, layers put together as they are used.
//!
//! `ReLU` and max pool have kinks, where the two sides of a difference disagree and no gradient is
//! right. The points here are fixed by formula, so a test passes or fails for good. A crossed kink
//! would put the difference off by a share of order 1, far beyond the tolerance of 1e-6: that the
//! check passes shows that no step of 1e-6 crosses one here. (A max pool over rectified values ties
//! at 0, but stays 0 on both sides.)

mod common;

use std::collections::{BTreeMap, HashMap};

use candle_convnet1d::{BatchNormConfig, Extractor, Pass};
use candle_core::{DType, Device, Result, Tensor};
use candle_gradcheck::GradCheck;
use candle_nn::VarBuilder;
use candle_seresnext1d::{LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig};
use common::{Formula, windows};

/// Checks the gradient of the features by the windows and by every trained variable.
fn check(build: impl Fn(VarBuilder) -> Result<Box<dyn Extractor>>, x: &Tensor, pass: Pass) {
    let store = Formula::default();
    build(store.builder(DType::F64)).unwrap();
    let constant: BTreeMap<String, Tensor> = store
        .variables()
        .into_iter()
        .map(|(name, variable)| (name, variable.as_detached_tensor()))
        .collect();
    let names: Vec<&String> = constant.keys().filter(|name| common::trainable(name)).collect();
    let mut inputs = vec![x.clone()];
    inputs.extend(names.iter().map(|name| constant[*name].clone()));
    let check = GradCheck {
        // a direction through all elements is worth as much as each of them, and costs one run
        max_elements: 32,
        max_outputs: 4,
        directions: 3,
        // central differences err by eps^2 and by 1e-16 / eps: ten times that
        atol: 1e-8,
        rtol: 1e-6,
        ..GradCheck::default()
    };
    let report = check
        .check(&inputs, |inputs| {
            let mut variables: HashMap<String, Tensor> = constant.clone().into_iter().collect();
            for (name, input) in names.iter().zip(&inputs[1..]) {
                variables.insert((*name).clone(), input.clone());
            }
            let vb = VarBuilder::from_tensors(variables, DType::F64, &Device::Cpu);
            build(vb)?.forward(&inputs[0], pass)
        })
        .unwrap_or_else(|error| panic!("{names:?}\n{error}"));
    assert!(report.checked > inputs.len());
}

const TRAIN: Pass = Pass::Train {
    seed: 0,
    step: 0,
    rows: &[2],
};

#[test]
fn tiny_se_resnext_has_the_gradient_of_its_forward() {
    let config = SeResNeXtConfig {
        in_channels: 1,
        stem: 2,
        blocks: vec![1, 2],
        widths: vec![2, 4],
        outputs: vec![2, 4],
        groups: 2,
        reduction: 2,
        min_reduced: 1,
        batch_norm: BatchNormConfig::default(),
    };
    let x = windows((2, 1, 15), DType::F64).unwrap();
    for pass in [TRAIN, Pass::EVAL] {
        check(|vb| Ok(Box::new(SeResNeXt::new(&config, vb)?)), &x, pass);
    }
}

#[test]
fn light_cnn_has_the_gradient_of_its_forward() {
    let x = windows((2, 1, 31), DType::F64).unwrap();
    for pass in [TRAIN, Pass::EVAL] {
        check(|vb| Ok(Box::new(LightCnn::new(&LightCnnConfig::new(1), vb)?)), &x, pass);
    }
}
