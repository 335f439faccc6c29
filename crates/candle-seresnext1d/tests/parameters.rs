//! Sizes and names of the networks, against counts taken from `PyTorch` models.

mod common;

use std::collections::BTreeSet;

use candle_convnet1d::BatchNormConfig;
use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use candle_seresnext1d::{Architecture, LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig};
use common::{Counter, Formula};

fn se_resnext(config: &SeResNeXtConfig) -> (usize, usize) {
    let counter = Counter::default();
    SeResNeXt::new(config, counter.builder()).unwrap();
    counter.counts()
}

/// Parameters of a dense layer.
fn linear(inputs: usize, outputs: usize) -> usize {
    inputs * outputs + outputs
}

#[test]
fn papers_depths_have_the_published_sizes() {
    // depth, trained, running values, with a top of 4 classes; SE with biases, 32x4d
    for (depth, trained, running, with_top) in [
        (26, 14_210_080, 38_528, 14_218_276),
        (50, 24_558_832, 68_224, 24_567_028),
        (101, 45_118_768, 137_856, 45_126_964),
        (152, 62_055_664, 199_296, 62_063_860),
    ] {
        let config = SeResNeXtConfig::depth(depth, 1).unwrap();
        assert_eq!(se_resnext(&config), (trained, running), "depth {depth}");
        assert_eq!(trained + linear(config.feature_len(), 4), with_top);

        let two_channels = SeResNeXtConfig::depth(depth, 2).unwrap();
        assert_eq!(se_resnext(&two_channels).0, trained + 448, "depth {depth}, 2 channels");
    }
}

#[test]
fn eight_groups_of_four_have_the_published_sizes() {
    for (depth, trained) in [(26, 6_697_504), (50, 10_143_472), (101, 16_994_608), (152, 22_640_368)] {
        let config = SeResNeXtConfig {
            groups: 8,
            widths: vec![32, 64, 128, 256],
            ..SeResNeXtConfig::depth(depth, 1).unwrap()
        };
        assert_eq!(se_resnext(&config).0, trained, "depth {depth}");
    }
}

#[test]
fn with_their_heads_the_networks_are_as_large_as_pytorchs() {
    // ten classes: one linear layer, for light-cnn a hidden layer of 256 before it
    for (architecture, head, whole) in [
        (Architecture::SeResNeXt50, linear(2048, 10), 24_579_322),
        (Architecture::LightCnn, linear(512, 256) + linear(256, 10), 167_114),
        (Architecture::SeResNeXt26Small, linear(512, 10), 952_738),
    ] {
        let counter = Counter::default();
        architecture
            .build(1, BatchNormConfig::default(), counter.builder())
            .unwrap();
        assert_eq!(counter.counts().0 + head, whole, "{architecture}");
    }
}

#[test]
fn free_configurations_follow_the_closed_form() {
    for (in_channels, stem, outputs, groups) in [
        (1, 8, [8, 16], 1),
        (3, 5, [20, 7], 2),
        (2, 6, [6, 6], 6),
        (1, 64, [32, 64], 3),
    ] {
        let config = SeResNeXtConfig {
            in_channels,
            stem,
            blocks: vec![2, 3],
            widths: vec![6, 12],
            outputs: outputs.into(),
            groups,
            reduction: 5,
            min_reduced: 2,
            batch_norm: BatchNormConfig::default(),
        };
        let mut expected = 7 * in_channels * stem + 2 * stem;
        let mut c_in = stem;
        for (stage, (w, c_out)) in [6, 12].into_iter().zip(outputs).enumerate() {
            let h = (c_out / 5).max(2);
            for block in 0..config.blocks[stage] {
                expected += c_in * w + 3 * w * w / groups + w * c_out + 4 * w + 2 * c_out;
                expected += 2 * c_out * h + h + c_out;
                if c_in != c_out || (stage > 0 && block == 0) {
                    expected += c_in * c_out + 2 * c_out;
                }
                c_in = c_out;
            }
        }
        assert_eq!(se_resnext(&config).0, expected, "{config:?}");
    }
}

#[test]
fn names_of_se_resnext_are_the_documented_ones() {
    let store = Formula::default();
    let config = SeResNeXtConfig {
        in_channels: 1,
        stem: 4,
        blocks: vec![1, 1],
        widths: vec![4, 4],
        outputs: vec![4, 8],
        groups: 2,
        reduction: 2,
        min_reduced: 1,
        batch_norm: BatchNormConfig::default(),
    };
    SeResNeXt::new(&config, store.builder(DType::F32)).unwrap();

    let mut expected = BTreeSet::new();
    let norm = |name: &str| ["weight", "bias", "running_mean", "running_var"].map(|last| format!("{name}.{last}"));
    expected.insert("stem.conv.weight".to_owned());
    expected.extend(norm("stem.norm"));
    for block in ["stages.0.blocks.0", "stages.1.blocks.0"] {
        for number in 1..=3 {
            expected.insert(format!("{block}.conv{number}.weight"));
            expected.extend(norm(&format!("{block}.norm{number}")));
        }
        for layer in ["reduce", "expand"] {
            expected.insert(format!("{block}.gate.{layer}.weight"));
            expected.insert(format!("{block}.gate.{layer}.bias"));
        }
    }
    // the first stage keeps the stem's channels and length: identity, nothing to learn
    expected.insert("stages.1.blocks.0.shortcut.conv.weight".to_owned());
    expected.extend(norm("stages.1.blocks.0.shortcut.norm"));
    assert_eq!(store.variables().into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn names_of_light_cnn_are_the_documented_ones() {
    let store = Formula::default();
    LightCnn::new(&LightCnnConfig::new(1), store.builder(DType::F32)).unwrap();
    let mut expected = BTreeSet::new();
    for number in 1..=4 {
        expected.extend(["weight", "bias"].map(|last| format!("conv{number}.{last}")));
        expected.extend(["weight", "bias", "running_mean", "running_var"].map(|last| format!("norm{number}.{last}")));
    }
    assert_eq!(store.variables().into_keys().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn initial_values_have_the_documented_spread() {
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F64, &Device::Cpu);
    let config = SeResNeXtConfig::small26(1);
    SeResNeXt::new(&config, vb.pp("deep")).unwrap();
    LightCnn::new(&LightCnnConfig::new(1), vb.pp("light")).unwrap();
    let variables = variables.data().lock().unwrap();
    let tensor = |name: &str| variables[name].as_tensor().clone();
    let root_mean_square = |x: &Tensor| x.sqr().unwrap().mean_all().unwrap().to_scalar::<f64>().unwrap().sqrt();

    for (name, kernel, c_out, elements) in [
        ("deep.stages.3.blocks.1.conv1.weight", 1, 256, 512 * 256),
        // grouped: the groups are not divided out
        ("deep.stages.3.blocks.1.conv2.weight", 3, 256, 32 * 256 * 3),
        ("deep.stages.3.blocks.1.conv3.weight", 1, 512, 256 * 512),
    ] {
        let weight = tensor(name);
        assert_eq!(weight.elem_count(), elements);
        let expected = (2. / f64::from(kernel * c_out)).sqrt();
        // relative standard error of the spread of n normal values: 1 / sqrt(2 n); six of them
        let allowed = expected * 6. / (2. * elements as f64).sqrt();
        let found = root_mean_square(&weight);
        assert!(
            (found - expected).abs() < allowed,
            "{name}: {found}, expected {expected}"
        );
    }

    let weight = tensor("light.conv4.weight");
    let bound = 1. / 192f64.sqrt();
    let largest = weight.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
    // of 24576 uniform values the largest misses the bound by more than 1e-3 with probability 2e-11
    assert!(largest <= bound && largest > bound * 0.999, "{largest}");
    assert_eq!(root_mean_square(&tensor("light.conv4.bias")), 0.);
    for norm in ["deep.stages.0.blocks.0.norm3", "light.norm1"] {
        assert_eq!(
            tensor(&format!("{norm}.weight"))
                .min_all()
                .unwrap()
                .to_scalar::<f64>()
                .unwrap(),
            1.
        );
        assert_eq!(root_mean_square(&tensor(&format!("{norm}.bias"))), 0.);
    }
}
