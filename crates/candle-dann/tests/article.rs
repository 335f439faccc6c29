//! The article's network and its later form as `examples/article` puts them together. Counts and shapes are those of the
//! original Keras code, built and counted.

mod common;
#[path = "../examples/article/network.rs"]
mod network;
#[allow(
    dead_code,
    reason = "what a layer does is told in words, for the reader of the table"
)]
#[path = "../examples/article/table.rs"]
mod table;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_dann::{Batch, Dann, GradientReversal, LabelledRows, UnlabelledRows};
use candle_seresnext1d::{SeedNet, SeedNetConfig};
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore};

use common::{flat, random};
use network::{DOMAINS, Form, LABELS, build, extractor};

const LENGTH: usize = 3000;

fn elements(variables: &BTreeMap<String, Var>) -> usize {
    variables.values().map(|variable| variable.elem_count()).sum()
}

fn small(filters: usize) -> SeedNetConfig {
    SeedNetConfig {
        filters,
        cardinality: 4,
        ..SeedNetConfig::depth(18, 2).unwrap()
    }
}

#[test]
fn both_forms_have_as_many_parameters_as_the_original() {
    let cases = [
        (extractor().unwrap(), LENGTH, [(718_763, 739_851), (816_939, 838_027)]),
        (small(8), 257, [(84_751, 87_775), (151_055, 154_079)]),
        (small(4), 257, [(22_587, 24_099), (72_955, 74_467)]),
    ];
    for (extractor, length, counts) in cases {
        for (form, (trainable, total)) in [Form::Article, Form::Later].into_iter().zip(counts) {
            let store = ParameterStore::new(0, DType::F32, Device::Cpu);
            let dann = build(&extractor, form, length, &store).unwrap();
            assert_eq!(store.parameter_count(), trainable, "{form:?}");
            assert_eq!(trainable + elements(&store.buffers()), total, "{form:?}");

            // and the table leaves none out, and counts none twice
            let mut rows = table::extractor(&extractor, length, &store);
            rows.extend(table::heads(dann.config(), -0.8, &store));
            assert_eq!(rows.iter().map(|row| row.trainable).sum::<usize>(), trainable);
            assert_eq!(rows.iter().map(|row| row.trainable + row.running).sum::<usize>(), total);
        }
    }
}

#[test]
fn the_later_form_without_its_projection_has_as_many_parameters_as_the_original() {
    let store = ParameterStore::new(0, DType::F32, Device::Cpu);
    let network = SeedNet::new(&extractor().unwrap(), store.builder().pp("extractor")).unwrap();
    let heads = candle_dann::DannConfig {
        projection: None,
        ..Form::Later.heads(256)
    };
    Dann::new(network, heads, store.builder()).unwrap();
    assert_eq!(store.parameter_count(), 751_147);
}

#[test]
fn the_table_tells_the_shapes_that_the_layers_have() {
    let extractor = extractor().unwrap();
    let store = ParameterStore::new(0, DType::F32, Device::Cpu);
    let dann = build(&extractor, Form::Later, LENGTH, &store).unwrap();
    let rows = table::extractor(&extractor, LENGTH, &store);
    let output = |layer: &str| {
        let row = rows.iter().find(|row| row.layer == format!("extractor.{layer}"));
        row.map(|row| row.output.clone()).unwrap_or_default()
    };
    for (layer, shape) in [
        ("stem", [1, 16, 1500]),
        ("max pool", [1, 16, 750]),
        ("stages.0.blocks.2.output", [1, 32, 750]),
        ("stages.0.down.1", [1, 32, 375]),
        ("stages.1.blocks.0.widen", [1, 256, 375]),
        ("stages.1.blocks.2.output", [1, 64, 375]),
        ("stages.2.blocks.4.output", [1, 128, 188]),
        ("stages.3.blocks.1.output", [1, 256, 94]),
    ] {
        assert_eq!(output(layer), shape, "{layer}");
    }
    assert_eq!(output("pool"), [1, 256]);

    // the channels of each line are those of its parameters
    for row in rows.iter().chain(&table::heads(dann.config(), -0.8, &store)) {
        let weight = ["conv.weight", "weight", "expand.weight"].map(|name| store.get(&format!("{}.{name}", row.layer)));
        let channels = weight.into_iter().flatten().next().map(|weight| weight.dims()[0]);
        assert_eq!(channels.is_some(), row.trainable > 0, "{}", row.layer);
        assert!(
            channels.is_none_or(|channels| channels == row.output[1]),
            "{}",
            row.layer
        );
    }
}

#[test]
fn one_window_gives_a_distribution_over_four_labels_and_one_over_three_domains() {
    for form in [Form::Article, Form::Later] {
        let store = ParameterStore::new(0, DType::F64, Device::Cpu);
        let dann = build(&extractor().unwrap(), form, LENGTH, &store).unwrap();
        let said = dann.predict(&random("window", &[1, 2, LENGTH]).unwrap(), None).unwrap();
        for (output, n) in [(said.label, LABELS), (said.domain, DOMAINS)] {
            assert_eq!(output.dims(), [1, n]);
            let values = flat(&output);
            assert!(values.iter().all(|p| *p > 0.0), "{values:?}");
            assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-14, "{values:?}");
        }
    }
}

/// `weight x + bias` by hand.
fn dense(store: &ParameterStore, layer: &str, x: &[f64]) -> Vec<f64> {
    let [weight, bias] =
        ["weight", "bias"].map(|name| flat(store.get(&format!("{layer}.{name}")).unwrap().as_tensor()));
    let rows = weight.chunks(x.len()).zip(&bias);
    rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias)
        .collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|z| z.exp()).sum();
    logits.iter().map(|z| z.exp() / sum).collect()
}

#[test]
fn the_later_forms_heads_are_a_linear_projection_a_hidden_label_layer_and_a_domain_layer() {
    use candle_convnet1d::{Extractor, Pass};
    let store = ParameterStore::new(0, DType::F64, Device::Cpu);
    let dann = build(&small(4), Form::Later, 257, &store).unwrap();
    // biases that are not 0
    for (name, variable) in store.trainable() {
        if name.ends_with("bias") && !name.starts_with("extractor.") {
            variable.set(&random(&name, variable.dims()).unwrap()).unwrap();
        }
    }
    let window = random("window", &[1, 2, 257]).unwrap();
    let said = dann.predict(&window, None).unwrap();

    let features = flat(&dann.extractor().forward(&window, Pass::EVAL).unwrap());
    let projected = dense(&store, "projection", &features);
    assert!(projected.iter().any(|x| *x < 0.0), "linear");
    let mut hidden = dense(&store, "label_head.hidden", &projected);
    for x in &mut hidden {
        *x = x.max(0.0);
    }
    let label = softmax(&dense(&store, "label_head.output", &hidden));
    let domain = softmax(&dense(&store, "domain_head.output", &projected));
    for (got, want) in [(said.label, label), (said.domain, domain)] {
        for (got, want) in flat(&got).iter().zip(want) {
            // probabilities from sums of some hundred terms of order 1
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }
}

/// Windows of a tone per class, in another amplitude in each domain.
fn tones(domain: usize, rows: usize, length: usize) -> Tensor {
    let sample = |class: usize, channel: usize, i: usize| {
        let cycles = 0.02 * (class + 1) as f64;
        let phase = (channel + domain) as f64;
        (1.0 + 0.5 * domain as f64) * (std::f64::consts::TAU * cycles * i as f64 + phase).sin()
    };
    let values: Vec<f32> = (0..rows * 2 * length)
        .map(|k| sample(k / (2 * length) % LABELS, k / length % 2, k % length) as f32)
        .collect();
    Tensor::from_vec(values, (rows, 2, length), &Device::Cpu).unwrap()
}

#[test]
fn both_forms_train_the_later_one_too_which_the_original_cannot_build() {
    let (rows, length) = (8, 257);
    let labels = Tensor::from_iter((0..rows).map(|i| (i % LABELS) as u32), &Device::Cpu).unwrap();
    let batch = Batch {
        sources: vec![LabelledRows::new(tones(0, rows, length), labels).unwrap()],
        targets: [1, 2]
            .map(|domain| UnlabelledRows::new(tones(domain, rows, length)).unwrap())
            .into(),
    };
    for form in [Form::Article, Form::Later] {
        let store = ParameterStore::new(0, DType::F32, Device::Cpu);
        let dann = build(&small(8), form, length, &store).unwrap();
        let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable()).unwrap();
        let reversal = GradientReversal::from_signed(-0.8).unwrap();
        let mut label = Vec::new();
        for step in 0..30 {
            let losses = dann.adversarial_step(&batch, reversal, 0, step).unwrap();
            label.push(losses.label.to_scalar::<f32>().unwrap());
            // no parameter is without a gradient
            let gradients = losses.total.backward().unwrap();
            optimiser.step(&gradients, 1e-3, Missing::Error).unwrap();
        }
        assert!(label[29] < 0.5 * label[0], "{form:?}: {label:?}");
    }
}
