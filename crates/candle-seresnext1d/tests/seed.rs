//! The article's network: sizes, names, and what is refused.

mod common;

use std::collections::BTreeSet;

use candle_convnet1d::{Extractor, Pass};
use candle_core::{DType, Device, Tensor};
use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Grouping, Pooling, SeedNet, SeedNetConfig};
use common::{Counter, Formula, windows};

/// Counted in the original after building each model, with 4 classes, 3 domains, ratio 4 and average pooling: depth,
/// channels, length, F, C; then trainable and total of the extractor, of the DANN model and of its later form.
const COUNTS: &str = "\
 18 2 3000 16  8   329104   337200   330903   338999   429079   437175
 34 2 3000 16  8   716964   738052   718763   739851   816939   838027
 50 2 3000 16  8   716964   738052   718763   739851   816939   838027
101 2 3000 16  8  1494068  1545620  1495867  1547419  1594043  1645595
152 2 3000 16  8  2136740  2215172  2138539  2216971  2236715  2315147
 18 2  257  8  4    83848    86872    84751    87775   151055   154079
 34 2  257  8  4   182930   190594   183833   191497   250137   257801
 50 2  257  8  4   182930   190594   183833   191497   250137   257801
101 2  257  8  4   382170   400714   383073   401617   449377   467921
152 2  257  8  4   547218   575362   548121   576265   614425   642569
 18 2  257  4  4    22132    23644    22587    24099    72955    74467
 34 2  257  4  4    48657    52489    49112    52944    99480   103312
 50 2  257  4  4    48657    52489    49112    52944    99480   103312
101 2  257  4  4   102581   111853   103036   112308   153404   162676
152 2  257  4  4   147473   161545   147928   162000   198296   212368
 18 1 1024 16  4   325920   331968   327719   333767   425895   431943
 34 1 1024 16  4   708212   723540   710011   725339   808187   823515
 50 1 1024 16  4   708212   723540   710011   725339   808187   823515
101 1 1024 16  4  1472260  1509348  1474059  1511147  1572235  1609323
152 1 1024 16  4  2103412  2159700  2105211  2161499  2203387  2259675
 18 1 1024 16  1   323360   327360   325159   329159   423335   427335
 34 1 1024 16  1   735620   745188   737419   746987   835595   845163
 50 1 1024 16  1   735620   745188   737419   746987   835595   845163
101 1 1024 16  1  1557332  1579956  1559131  1581755  1657307  1679931
152 1 1024 16  1  2235268  2269412  2237067  2271211  2335243  2369387
 18 1 2048 32  8  1291328  1307520  1294919  1311111  1456839  1473031
 34 1 2048 32  8  2803560  2845736  2807151  2849327  2969071  3011247
 50 1 2048 32  8  2803560  2845736  2807151  2849327  2969071  3011247
101 1 2048 32  8  5820040  5923144  5823631  5926735  5985551  6088655
152 1 2048 32  8  8309608  8466472  8313199  8470063  8475119  8631983
 18 1 1024 64 32  5189760  5271296  5196935  5278471  5486343  5567879
 34 1 1024 64 32 11293904 11516496 11301079 11523671 11590487 11813079
 50 1 1024 64 32 11293904 11516496 11301079 11523671 11590487 11813079
101 1 1024 64 32 23489296 24042640 23496471 24049815 23785879 24339223
";

fn counts() -> impl Iterator<Item = ([usize; 5], [usize; 6])> {
    COUNTS.lines().map(|line| {
        let numbers: Vec<usize> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        (numbers[..5].try_into().unwrap(), numbers[5..].try_into().unwrap())
    })
}

fn network([depth, channels, _, filters, cardinality]: [usize; 5]) -> SeedNetConfig {
    SeedNetConfig {
        filters,
        cardinality,
        ..SeedNetConfig::depth(depth, channels).unwrap()
    }
}

/// Trained and all parameters of a Keras model.
fn keras_counts(config: &SeedNetConfig, heads: Heads, length: usize) -> (usize, usize) {
    let model = KerasModel::new(config.clone(), heads, length).unwrap();
    model.parameters().iter().fold((0, 0), |(trained, all), parameter| {
        let count = parameter.elements();
        let is_trained = common::trainable(&parameter.name);
        (trained + usize::from(is_trained) * count, all + count)
    })
}

#[test]
fn every_size_is_the_originals() {
    assert_eq!(counts().count(), 34);
    for (row, [trained, all, ..]) in counts() {
        for grouping in [Grouping::OwnGroup, Grouping::LastGroup] {
            let config = SeedNetConfig {
                grouping,
                ..network(row)
            };
            let counter = Counter::default();
            SeedNet::new(&config, counter.builder()).unwrap();
            let (found, running) = counter.counts();
            assert_eq!((found, found + running), (trained, all), "{row:?}");
        }
    }
}

#[test]
fn every_size_with_heads_is_the_originals() {
    for (row, [trained, all, seed_trained, seed_all, late_trained, late_all]) in counts() {
        let config = network(row);
        let [_, _, length, filters, _] = row;
        let dann = |projection, hidden| Heads::Dann {
            projection,
            hidden,
            labels: 4,
            domains: 3,
        };
        let top = 4 * (16 * filters + 1);
        for (heads, expected) in [
            (Heads::None, (trained, all)),
            (Heads::Top { outputs: 4 }, (trained + top, all + top)),
            (dann(None, None), (seed_trained, seed_all)),
            (dann(Some(256), Some(128)), (late_trained, late_all)),
        ] {
            assert_eq!(keras_counts(&config, heads, length), expected, "{row:?} {heads:?}");
        }
    }
    // built as a stand-alone network, and with the hidden layer alone
    let config = network([50, 2, 3000, 16, 8]);
    assert_eq!(
        keras_counts(&config, Heads::Top { outputs: 4 }, 3000),
        (717_992, 739_080)
    );
    let hidden = Heads::Dann {
        projection: None,
        hidden: Some(128),
        labels: 4,
        domains: 3,
    };
    assert_eq!(keras_counts(&config, hidden, 3000).0, 751_147);
}

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
    let with = |change: fn(&mut SeedNetConfig)| {
        let mut config = SeedNetConfig::depth(50, 1).unwrap();
        change(&mut config);
        match SeedNet::new(&config, Counter::default().builder()) {
            Ok(_) => "built".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    type Change = fn(&mut SeedNetConfig);
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
