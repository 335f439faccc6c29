//! Names, presets, and what is refused.

mod common;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass};
use candle_core::{DType, Device, Tensor};
use candle_seresnext1d::{Architecture, Error, LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig};
use common::{Counter, Formula};

fn tiny() -> SeResNeXtConfig {
    SeResNeXtConfig {
        in_channels: 1,
        stem: 4,
        blocks: vec![1, 2],
        widths: vec![4, 8],
        outputs: vec![4, 8],
        groups: 2,
        reduction: 4,
        min_reduced: 1,
        batch_norm: BatchNormConfig::default(),
    }
}

#[test]
fn every_name_reads_back_as_itself() {
    for architecture in Architecture::ALL {
        assert_eq!(architecture.to_string().parse::<Architecture>(), Ok(architecture));
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = "seresnext18".parse::<Architecture>().unwrap_err();
    assert_eq!(
        error,
        Error::UnknownArchitecture {
            name: "seresnext18".into()
        }
    );
    let message = error.to_string();
    assert!(message.contains("\"seresnext18\""), "{message}");
    for architecture in Architecture::ALL {
        assert!(message.contains(architecture.name()), "{message}");
    }
}

#[test]
fn every_architecture_has_the_features_it_says() {
    let features = [512, 3, 512, 2048, 2048, 2048, 2048, 256, 256, 256, 256, 256];
    for (architecture, features) in Architecture::ALL.into_iter().zip(features) {
        let network = architecture
            .build(6, BatchNormConfig::default(), Counter::default().builder())
            .unwrap();
        assert_eq!(network.feature_len(1024), features, "{architecture}");
        assert_eq!(network.feature_len(257), features, "{architecture}");
    }
}

#[test]
fn light_cnn_has_128_features_for_each_bin_and_at_least_one_bin() {
    let build = |bins| {
        let config = LightCnnConfig {
            bins,
            ..LightCnnConfig::new(1)
        };
        LightCnn::new(&config, Formula::default().builder(DType::F32))
    };
    let network = build(32).unwrap();
    assert_eq!(network.feature_len(512), 128 * 32);
    let x = Tensor::zeros((2, 1, 512), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(network.forward(&x, Pass::EVAL).unwrap().dims(), [2, 128 * 32]);
    let message = build(0).unwrap_err().to_string();
    assert!(message.contains("bins is 0"), "{message}");
}

#[test]
fn an_unknown_depth_is_answered_with_the_known_ones() {
    let message = SeResNeXtConfig::depth(34, 1).unwrap_err().to_string();
    for depth in ["34", "26", "50", "101", "152"] {
        assert!(message.contains(depth), "{message}");
    }
}

#[test]
fn an_impossible_configuration_names_the_field() {
    type Change = fn(&mut SeResNeXtConfig);
    let cases: [(&str, Change); 12] = [
        ("in_channels is 0", |c| c.in_channels = 0),
        ("stem is 0", |c| c.stem = 0),
        ("groups is 0", |c| c.groups = 0),
        ("reduction is 0", |c| c.reduction = 0),
        ("min_reduced is 0", |c| c.min_reduced = 0),
        ("blocks is empty", |c| c.blocks.clear()),
        ("blocks[1] is 0", |c| c.blocks[1] = 0),
        ("widths[0] is 0", |c| c.widths[0] = 0),
        ("outputs[1] is 0", |c| c.outputs[1] = 0),
        ("widths is [4] (1 stages), expected 2", |c| {
            c.widths.truncate(1);
        }),
        ("outputs is [4, 8, 8] (3 stages), expected 2", |c| {
            c.outputs.push(8);
        }),
        ("widths[1] is 7, expected a multiple of groups = 2", |c| c.widths[1] = 7),
    ];
    assert!(tiny().validate().is_ok());
    for (expected, change) in cases {
        let mut config = tiny();
        change(&mut config);
        let error = SeResNeXt::new(&config, Counter::default().builder()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
    }
    let no_channels = LightCnn::new(&LightCnnConfig::new(0), Counter::default().builder());
    let message = no_channels.unwrap_err().to_string();
    assert!(message.contains("light-cnn: in_channels is 0"), "{message}");
}

#[test]
fn an_impossible_batch_norm_is_refused() {
    let batch_norm = BatchNormConfig {
        eps: -1.,
        ..BatchNormConfig::default()
    };
    for architecture in [Architecture::LightCnn, Architecture::SeResNeXt26Small] {
        assert!(architecture.build(1, batch_norm, Counter::default().builder()).is_err());
    }
}

#[test]
fn input_of_another_shape_is_refused_with_what_was_expected() {
    let networks: [Box<dyn Extractor>; 2] = [
        Box::new(SeResNeXt::new(&tiny(), Formula::default().builder(DType::F32)).unwrap()),
        Box::new(LightCnn::new(&LightCnnConfig::new(1), Formula::default().builder(DType::F32)).unwrap()),
    ];
    for network in networks {
        for shape in [vec![64], vec![1, 64], vec![2, 3, 64], vec![1, 1, 1, 64]] {
            let x = Tensor::zeros(shape.clone(), DType::F32, &Device::Cpu).unwrap();
            let message = network.forward(&x, Pass::EVAL).unwrap_err().to_string();
            assert!(message.contains(&format!("{shape:?}")), "{message}");
            assert!(message.contains("(batch, 1, length)"), "{message}");
        }
    }
}

#[test]
fn every_length_from_the_minimum_up_works_and_the_one_below_is_refused() {
    for (network, minimum) in [
        (
            Box::new(SeResNeXt::new(&tiny(), Formula::default().builder(DType::F32)).unwrap()) as Box<dyn Extractor>,
            SeResNeXt::MIN_LENGTH,
        ),
        (
            Architecture::LightCnn
                .build(1, BatchNormConfig::default(), Formula::default().builder(DType::F32))
                .unwrap(),
            Architecture::LightCnn.min_length(),
        ),
    ] {
        let window = |length| Tensor::ones((2, 1, length), DType::F32, &Device::Cpu).unwrap();
        let message = network
            .forward(&window(minimum - 1), Pass::EVAL)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&format!(
                "windows of {} sample(s) are too short, the shortest that works is {minimum}",
                minimum - 1
            )),
            "{message}"
        );
        // odd, even, and the lengths at which one of the halvings changes its rounding
        for length in (minimum..minimum + 70).chain([255, 256, 257, 1024, 1025]) {
            for pass in [
                Pass::EVAL,
                Pass::Train {
                    seed: 0,
                    step: 0,
                    rows: &[2],
                },
            ] {
                let features = network.forward(&window(length), pass).unwrap();
                assert_eq!(features.dims(), [2, network.feature_len(length)], "length {length}");
                let sum = features.sum_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(sum.is_finite(), "length {length}");
            }
        }
    }
}

#[test]
fn a_preset_works_on_one_sample_and_on_odd_lengths() {
    let store = Formula::default();
    let network = Architecture::SeResNeXt26Small
        .build(3, BatchNormConfig::default(), store.builder(DType::F32))
        .unwrap();
    for length in [1, 2, 33, 257] {
        let x = Tensor::ones((1, 3, length), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(
            network.forward(&x, Pass::EVAL).unwrap().dims(),
            [1, 512],
            "length {length}"
        );
    }
}
