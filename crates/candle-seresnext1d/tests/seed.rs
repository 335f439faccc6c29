//! The article's network: names, lengths, options, and what is refused.

mod common;

use std::collections::BTreeSet;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass, Statistics};
use candle_core::{DType, Device, Tensor};
use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Grouping, Pooling, SeedNet, SeedNetConfig};
use common::{Counter, Formula, windows};

#[test]
fn names_are_the_documented_ones_and_those_the_weights_are_imported_to() {
    for (cardinality, ratio) in [(1, 4), (2, 4), (4, 100)] {
        let config = SeedNetConfig {
            filters: 4,
            cardinality,
            ratio,
            ..SeedNetConfig::depth(18, 1).unwrap()
        };
        let store = Formula::default();
        SeedNet::new(&config, store.builder(DType::F32).pp("extractor")).unwrap();

        let mut expected = BTreeSet::new();
        let norm = |path: String| {
            ["weight", "bias", "running_mean", "running_var"].map(|last| format!("extractor.{path}.{last}"))
        };
        let conv = |path: String| ["weight", "bias"].map(|last| format!("extractor.{path}.{last}"));
        let mut conv_norm = |path: String| {
            expected.extend(conv(format!("{path}.conv")));
            expected.extend(norm(format!("{path}.norm")));
        };
        conv_norm("stem".into());
        for stage in 0..4 {
            for block in 0..config.blocks[stage] {
                for layer in ["shortcut", "widen", "narrow", "output"] {
                    conv_norm(format!("stages.{stage}.blocks.{block}.{layer}"));
                }
            }
            for k in 0..if stage < 3 { 2 } else { 0 } {
                conv_norm(format!("stages.{stage}.down.{k}"));
            }
        }
        for stage in 0..4 {
            for block in 0..config.blocks[stage] {
                let path = format!("stages.{stage}.blocks.{block}");
                if cardinality > 1 {
                    expected.extend(norm(format!("{path}.merge")));
                }
                expected.extend(conv(format!("{path}.gate.reduce")));
                expected.extend(conv(format!("{path}.gate.expand")));
                if ratio == 100 {
                    // no hidden unit left: the constant alone
                    expected.remove(&format!("extractor.{path}.gate.reduce.weight"));
                    expected.remove(&format!("extractor.{path}.gate.reduce.bias"));
                    expected.remove(&format!("extractor.{path}.gate.expand.weight"));
                }
            }
        }
        assert_eq!(store.variables().into_keys().collect::<BTreeSet<_>>(), expected);
        let model = KerasModel::new(config, Heads::None, 64).unwrap();
        let imported = model
            .parameters()
            .into_iter()
            .filter(|parameter| parameter.elements() > 0)
            .map(|parameter| parameter.name);
        assert_eq!(imported.collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn lengths_are_those_of_the_originals_table() {
    let config = SeedNetConfig::depth(18, 1).unwrap();
    for (length, expected) in [
        (3000, [750, 375, 188, 94]),
        (2048, [512, 256, 128, 64]),
        (1024, [256, 128, 64, 32]),
        (300, [75, 38, 19, 10]),
        (257, [64, 32, 16, 8]),
        (33, [8, 4, 2, 1]),
        (5, [1, 1, 1, 1]),
        (4, [1, 1, 1, 1]),
    ] {
        assert_eq!(config.lengths(length), expected, "{length}");
    }
}

fn small(pooling: Pooling) -> SeedNetConfig {
    SeedNetConfig {
        filters: 4,
        cardinality: 2,
        pooling,
        ..SeedNetConfig::depth(18, 2).unwrap()
    }
}

#[test]
fn features_are_as_many_as_said_at_every_length() {
    for pooling in [Pooling::Average, Pooling::Maximum, Pooling::Flatten] {
        let network = SeedNet::new(&small(pooling), Formula::default().builder(DType::F32)).unwrap();
        for length in (1..40).chain([63, 64, 65, 257]) {
            let x = windows((2, 2, length), DType::F32).unwrap();
            let train = Pass::Train {
                seed: 0,
                step: 0,
                rows: &[2],
            };
            for pass in [Pass::EVAL, train] {
                let features = network.forward(&x, pass).unwrap();
                assert_eq!(
                    features.dims(),
                    [2, network.feature_len(length)],
                    "{pooling:?} of {length}"
                );
                let sum = features.sum_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(sum.is_finite(), "{pooling:?} of {length}");
            }
        }
        let message = network
            .forward(&Tensor::zeros((2, 2, 0), DType::F32, &Device::Cpu).unwrap(), Pass::EVAL)
            .unwrap_err()
            .to_string();
        assert!(message.contains("the shortest that works is 1"), "{message}");
    }
}

#[test]
fn poolings_are_mean_and_maximum_of_the_positions() {
    let x = windows((2, 2, 130), DType::F64).unwrap();
    let features = |pooling| {
        let network = SeedNet::new(&small(pooling), Formula::default().builder(DType::F64)).unwrap();
        network.forward(&x, Pass::EVAL).unwrap()
    };
    let positions = features(Pooling::Flatten).reshape((2, 4, 64)).unwrap();
    for (pooled, expected) in [
        (Pooling::Average, positions.mean(1).unwrap()),
        (Pooling::Maximum, positions.max(1).unwrap()),
    ] {
        let off = (features(pooled) - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(off.to_scalar::<f64>().unwrap() < 1e-14);
    }
}

#[test]
fn dropout_acts_on_the_features_in_training_alone() {
    let config = SeedNetConfig {
        dropout: 0.5,
        ..small(Pooling::Average)
    };
    let build = |config| SeedNet::new(config, Formula::default().builder(DType::F64)).unwrap();
    let (with, without) = (build(&config), build(&small(Pooling::Average)));
    let x = windows((6, 2, 64), DType::F64).unwrap();
    let values = |network: &SeedNet, pass| -> Vec<f64> {
        let features = network.forward(&x, pass).unwrap();
        features.flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_eq!(values(&with, Pass::EVAL), values(&without, Pass::EVAL));
    let step = |step| Pass::Train {
        seed: 3,
        step,
        rows: &[6],
    };
    let plain = values(&without, step(0));
    let dropped = values(&with, step(0));
    let zeros = dropped
        .iter()
        .zip(&plain)
        .filter(|(d, p)| **d == 0.0 && **p != 0.0)
        .count();
    // 384 features, of which 0.5 +- 6 standard deviations are dropped
    assert!((192 - 59..192 + 59).contains(&zeros), "{zeros}");
    for (&dropped, &plain) in dropped.iter().zip(&plain) {
        assert!(dropped == 0.0 || dropped == 2.0 * plain);
    }
    assert_ne!(values(&with, step(1)), dropped);
}

#[test]
fn group_forms_differ_unless_there_is_one_branch() {
    let x = windows((2, 1, 64), DType::F64).unwrap();
    let features = |grouping, cardinality| -> Vec<f64> {
        let config = SeedNetConfig {
            filters: 4,
            cardinality,
            grouping,
            ..SeedNetConfig::depth(18, 1).unwrap()
        };
        let network = SeedNet::new(&config, Formula::default().builder(DType::F64)).unwrap();
        let features = network.forward(&x, Pass::EVAL).unwrap();
        features.flatten_all().unwrap().to_vec1().unwrap()
    };
    for cardinality in [1, 2, 4] {
        let [own, last] = [Grouping::OwnGroup, Grouping::LastGroup].map(|grouping| features(grouping, cardinality));
        assert_eq!(own == last, cardinality == 1, "C = {cardinality}");
    }
}

#[test]
fn where_the_original_fails_this_says_why() {
    type Change = fn(&mut SeedNetConfig);
    let with = |change: fn(&mut SeedNetConfig)| {
        let mut config = SeedNetConfig::depth(50, 1).unwrap();
        change(&mut config);
        match SeedNet::new(&config, Counter::default().builder()) {
            Ok(_) => "built".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    let cases: [(&str, Change); 9] = [
        ("cardinality is 4, expected a divisor of filters = 6", |c| {
            (c.filters, c.cardinality) = (6, 4);
        }),
        ("cardinality is 32, expected a divisor of filters = 16", |c| {
            c.cardinality = 32;
        }),
        ("built", |c| (c.filters, c.cardinality) = (6, 2)),
        ("in_channels is 0", |c| c.in_channels = 0),
        ("filters is 0", |c| c.filters = 0),
        ("cardinality is 0", |c| c.cardinality = 0),
        ("ratio is 0", |c| c.ratio = 0),
        ("blocks[2] is 0", |c| c.blocks[2] = 0),
        ("dropout is 1, expected at least 0 and below 1", |c| c.dropout = 1.0),
    ];
    for (expected, change) in cases {
        let message = with(change);
        assert!(message.contains(expected), "{message}");
    }
    let message = SeedNetConfig::depth(26, 1).unwrap_err().to_string();
    for depth in ["26", "18, 34, 50, 101 and 152"] {
        assert!(message.contains(depth), "{message}");
    }
}

#[test]
fn thirty_four_and_fifty_are_one_network() {
    let [a, b] = [34, 50].map(|depth| SeedNetConfig::depth(depth, 1).unwrap());
    assert_eq!(a, b);
    assert_eq!(SeedNetConfig::depth_of(a.blocks), Some(50));
}

#[test]
fn a_gate_without_hidden_units_is_the_sigmoid_of_its_bias() {
    // N / 16 is 0 in the first two stages and 1, 2 in the last two
    let config = SeedNetConfig {
        ratio: 16,
        ..small(Pooling::Average)
    };
    let store = Formula::default();
    let network = SeedNet::new(&config, store.builder(DType::F64)).unwrap();
    let x = windows((2, 2, 64), DType::F64).unwrap();
    let before: Vec<f64> = network
        .forward(&x, Pass::EVAL)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    let variables = store.variables();
    assert_eq!(variables["stages.2.blocks.0.gate.reduce.weight"].dims(), [1, 16, 1]);
    assert!(!variables.contains_key("stages.0.blocks.0.gate.reduce.weight"));
    // a gate that is open wide leaves what it multiplies as it is, and the features change
    let bias = &variables["stages.0.blocks.0.gate.expand.bias"];
    bias.set(&Tensor::full(50.0, 4, &Device::Cpu).unwrap()).unwrap();
    let after: Vec<f64> = network
        .forward(&x, Pass::EVAL)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert_ne!(before, after);
    let gradients = network
        .forward(&x, Pass::EVAL)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert_eq!(gradients.get(bias).unwrap().dims(), [4]);
}

#[test]
fn branches_one_by_one_in_inference_give_what_all_at_once_give_in_training() {
    // with statistics that a batch has set to its own (momentum 1), inference and training normalise alike
    for grouping in [Grouping::OwnGroup, Grouping::LastGroup] {
        for statistics in [Statistics::Joint, Statistics::PerDomain(2)] {
            let batch_norm = BatchNormConfig {
                momentum: 1.0,
                statistics,
                ..SeedNetConfig::BATCH_NORM
            };
            let config = SeedNetConfig {
                grouping,
                batch_norm,
                ..small(Pooling::Average)
            };
            let network = SeedNet::new(&config, Formula::default().builder(DType::F64)).unwrap();
            let x = windows((4, 2, 64), DType::F64).unwrap();
            let train = Pass::Train {
                seed: 0,
                step: 0,
                rows: &[0, 4],
            };
            let in_training = network.forward(&x, train).unwrap();
            let in_inference = network.forward(&x, Pass::Eval { domain: Some(1) }).unwrap();
            let largest = |t: Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
            let off = largest((&in_training - &in_inference).unwrap());
            assert!(
                off <= 1e-12 * largest(in_training),
                "{grouping:?} {statistics:?}: {off}"
            );
        }
    }
}
