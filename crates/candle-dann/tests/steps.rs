//! What a step forwards, draws, counts and refuses.

mod common;

use candle_convnet1d::Extractor;
use candle_core::{DType, Device, Tensor};
use candle_dann::{Batch, Dann, DannConfig, DomainLoss, Head, LabelledRows, UnlabelledRows};
use candle_trainer::ParameterStore;

use common::{
    CHANNELS, CLASSES, FEATURES, LENGTH, Tanh, batch, flat, network, parameters, random, reversal, scalar, tensors,
};

fn plain(domains: usize) -> DannConfig {
    DannConfig::new(CLASSES, domains, FEATURES)
}

fn built(config: &DannConfig) -> Dann<Tanh> {
    network(config, &tensors(&parameters(config).unwrap())).unwrap()
}

fn zeros(dims: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(dims, dtype, &Device::Cpu).unwrap()
}

#[test]
fn an_adversarial_step_forwards_all_rows_once_and_tells_the_rows_of_each_domain() {
    let dann = built(&plain(4));
    dann.adversarial_step(&batch(&[4, 2], &[3, 1]).unwrap(), reversal(1.0), 0, 0)
        .unwrap();
    let calls = dann.extractor().calls.lock().expect("calls");
    assert_eq!(*calls, [(vec![10, CHANNELS, LENGTH], Some(vec![4, 2, 3, 1]))]);
}

#[test]
fn a_source_step_forwards_no_target_row_and_leaves_the_domain_head_alone() {
    let config = plain(4);
    let parameters = parameters(&config).unwrap();
    let dann = network(&config, &tensors(&parameters)).unwrap();
    let losses = dann
        .source_step(&batch(&[4, 2], &[3, 1]).unwrap().sources, 0, 0)
        .unwrap();
    assert_eq!(
        *dann.extractor().calls.lock().expect("calls"),
        [(vec![6, CHANNELS, LENGTH], Some(vec![4, 2, 0, 0]))]
    );
    assert!(losses.domain.is_none());
    let grads = losses.total.backward().unwrap();
    for (name, var) in &parameters {
        assert_eq!(grads.get(var).is_some(), !name.starts_with("domain_head."), "{name}");
    }
}

#[test]
fn the_source_only_twin_sees_the_label_loss_and_the_dropout_of_the_adversarial_step() {
    let config = DannConfig {
        label_head: Head::hidden(16),
        dropout: 0.5,
        ..plain(3)
    };
    let dann = built(&config);
    let batch = batch(&[4, 2], &[3]).unwrap();
    for step in 0..3 {
        let adversarial = dann.adversarial_step(&batch, reversal(1.0), 7, step).unwrap();
        let source = dann.source_step(&batch.sources, 7, step).unwrap();
        assert_eq!(scalar(&adversarial.label), scalar(&source.label));
        assert_eq!(adversarial.label_accuracy, source.label_accuracy);
    }
}

#[test]
fn a_step_is_a_function_of_seed_and_number() {
    let dann = built(&DannConfig {
        dropout: 0.5,
        ..plain(2)
    });
    let batch = batch(&[4], &[3]).unwrap();
    let total = |seed, step| scalar(&dann.adversarial_step(&batch, reversal(1.0), seed, step).unwrap().total);
    assert_eq!(total(1, 2), total(1, 2));
    assert_ne!(total(1, 2), total(1, 3));
    assert_ne!(total(1, 2), total(2, 2));
}

#[test]
fn target_rows_do_not_enter_the_label_loss() {
    let dann = built(&plain(2));
    let label = |targets| {
        scalar(
            &dann
                .adversarial_step(&batch(&[4], targets).unwrap(), reversal(1.0), 0, 0)
                .unwrap()
                .label,
        )
    };
    assert_eq!(label(&[3]), label(&[5]));
}

#[test]
fn accuracies_are_shares_of_rows_and_chance_is_that_of_the_largest_domain() {
    let dann = built(&plain(3));
    let batch = batch(&[4, 2], &[6]).unwrap();
    assert_eq!(batch.domain_chance(), 0.5);
    let losses = dann.adversarial_step(&batch, reversal(1.0), 0, 0).unwrap();
    let domain = losses.domain.unwrap();
    assert_eq!(domain.chance, 0.5);

    // without dropout, inference says the same
    let windows: Vec<_> = batch.sources.iter().map(LabelledRows::windows).collect();
    let windows: Vec<_> = windows
        .into_iter()
        .chain(batch.targets.iter().map(UnlabelledRows::windows))
        .collect();
    let prediction = dann.predict(&Tensor::cat(&windows, 0).unwrap(), None).unwrap();
    let share = |logits: &Tensor, truth: &[u32]| {
        let named = logits.argmax(1).unwrap().to_vec1::<u32>().unwrap();
        named.iter().zip(truth).filter(|(a, b)| a == b).count() as f64 / truth.len() as f64
    };
    let domains = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2];
    assert_eq!(domain.accuracy, share(&prediction.domain, &domains));
    let labels = [0, 1, 2, 0, 1, 2];
    assert_eq!(losses.label_accuracy, Some(share(&prediction.label, &labels)));
}

#[test]
fn the_outputs_of_a_network_are_its_features_and_the_probabilities_of_its_logits() {
    let dann = built(&plain(3));
    let windows = random("windows", &[4, CHANNELS, LENGTH]).unwrap();
    let out = dann.predict(&windows, None).unwrap();
    let features = dann.features(&windows, None).unwrap();
    assert_eq!(flat(&out.features), flat(&features));
    let logits = [
        dann.label_logits(&features).unwrap(),
        dann.domain_logits(&features).unwrap(),
    ];
    for (got, logits) in [out.label, out.domain].iter().zip(logits) {
        for (got, logits) in got
            .to_vec2::<f64>()
            .unwrap()
            .iter()
            .zip(logits.to_vec2::<f64>().unwrap())
        {
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            for (got, z) in got.iter().zip(logits) {
                // logits of order 1: a few roundings
                assert!((got - z.exp() / sum).abs() < 1e-15, "{got} of {z}");
            }
        }
    }
}

#[test]
fn an_extractor_chosen_at_run_time_works_and_parameters_have_the_documented_names() {
    let store = ParameterStore::new(0, DType::F64, Device::Cpu);
    let extractor: Box<dyn Extractor> = Box::new(Tanh::new(&store.builder().pp("extractor")).unwrap());
    let config = DannConfig {
        domain_head: Head::hidden(4),
        projection: Some(3),
        ..plain(2)
    };
    let dann = Dann::new(extractor, config, store.builder()).unwrap();
    assert!(
        dann.adversarial_step(&batch(&[2], &[2]).unwrap(), reversal(1.0), 0, 0)
            .is_ok()
    );
    let weights: Vec<_> = store
        .names()
        .into_iter()
        .filter(|name| name.ends_with("weight"))
        .collect();
    let expected = [
        "domain_head.hidden.weight",
        "domain_head.output.weight",
        "extractor.linear.weight",
        "label_head.output.weight",
        "projection.weight",
    ];
    assert_eq!(weights, expected);
}

fn message<T>(result: candle_core::Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn rows_that_do_not_fit_are_errors_that_say_what_was_expected() {
    let windows = || zeros(&[4, CHANNELS, LENGTH], DType::F64);
    for labels in [
        zeros(&[3], DType::U32),
        zeros(&[4], DType::I64),
        zeros(&[4, 1], DType::U32),
    ] {
        assert!(message(LabelledRows::new(windows(), labels)).contains("u32 of shape (4,)"));
    }
    for dims in [vec![4, LENGTH], vec![0, CHANNELS, LENGTH]] {
        assert!(message(UnlabelledRows::new(zeros(&dims, DType::F64))).contains("(rows, channels, length)"));
    }

    let dann = built(&plain(2));
    let step = |batch: &Batch| message(dann.adversarial_step(batch, reversal(1.0), 0, 0));
    assert!(step(&batch(&[4], &[]).unwrap()).contains("expected 2 domains, found 1 sources and 0 targets"));
    assert!(step(&batch(&[4], &[2, 2]).unwrap()).contains("found 1 sources and 2 targets"));
    assert!(step(&batch(&[], &[2, 2]).unwrap()).contains("1 to 2 source domains"));
    assert!(message(dann.source_step(&[], 0, 0)).contains("1 to 2 source domains"));

    let mut odd = batch(&[4], &[]).unwrap();
    odd.targets
        .push(UnlabelledRows::new(zeros(&[4, CHANNELS, LENGTH + 1], DType::F64)).unwrap());
    assert!(step(&odd).contains("windows of domain 1"), "{}", step(&odd));

    let labels = Tensor::new(&[0u32, 1, CLASSES as u32, 0], &Device::Cpu).unwrap();
    let unknown = [LabelledRows::new(windows(), labels).unwrap()];
    assert!(message(dann.source_step(&unknown, 0, 0)).contains("row 2"));
}

#[test]
fn configurations_that_make_no_network_are_errors_that_name_the_option() {
    let weights = |weights: &[f64]| DomainLoss::PerDomainMeans {
        weights: weights.to_vec(),
    };
    let cases = [
        ("labels", DannConfig::new(0, 2, FEATURES)),
        ("labels", DannConfig::regression(0, 2, FEATURES)),
        ("domains", DannConfig { domains: 0, ..plain(2) }),
        (
            "projection",
            DannConfig {
                projection: Some(0),
                ..plain(2)
            },
        ),
        (
            "domain_head",
            DannConfig {
                domain_head: Head::hidden(0),
                ..plain(2)
            },
        ),
        (
            "label_head",
            DannConfig {
                label_head: Head::Hidden { width: 4, dropout: 1.0 },
                ..plain(2)
            },
        ),
        (
            "domain_loss",
            DannConfig {
                domain_loss: weights(&[1.0]),
                ..plain(2)
            },
        ),
        (
            "domain_loss",
            DannConfig {
                domain_loss: weights(&[1.0, -1.0]),
                ..plain(2)
            },
        ),
        (
            "dropout",
            DannConfig {
                dropout: 1.0,
                ..plain(2)
            },
        ),
    ];
    for (option, config) in cases {
        let store = ParameterStore::new(0, DType::F64, Device::Cpu);
        let extractor = Tanh::new(&store.builder().pp("extractor")).unwrap();
        let text = message(Dann::new(extractor, config, store.builder()));
        assert!(text.contains(option), "{option}: {text}");
    }
    let dann = built(&DannConfig {
        feature_len: 4,
        ..plain(2)
    });
    let text = message(dann.features(&zeros(&[2, CHANNELS, LENGTH], DType::F64), None));
    assert!(
        text.contains("returned [2, 5] for 2 windows, expected (2, 4)"),
        "{text}"
    );
}

#[test]
fn heads_survive_the_way_through_text() {
    for text in ["linear", "hidden:256", "hidden:128:0", "hidden:7:0.25"] {
        assert_eq!(text.parse::<Head>().unwrap().to_string(), text);
    }
    assert_eq!("hidden:8:0.5".parse::<Head>().unwrap(), Head::hidden(8));
    for text in [
        "",
        "hidden",
        "hidden:",
        "hidden:0",
        "hidden:-1",
        "Linear",
        "linear:3",
        "hidden:4:",
        "hidden:4:1",
        "hidden:4:-0.1",
        "hidden:4:NaN",
        "hidden:4:0:0",
    ] {
        assert!(
            text.parse::<Head>().unwrap_err().to_string().contains("hidden:N"),
            "{text}"
        );
    }
}

#[test]
fn a_hidden_head_drops_as_often_as_it_says() {
    let losses = |dropout| {
        let dann = built(&DannConfig {
            label_head: Head::Hidden { width: 64, dropout },
            ..plain(2)
        });
        let batch = batch(&[6], &[4]).unwrap();
        let loss = |step| scalar(&dann.source_step(&batch.sources, 0, step).unwrap().label);
        [loss(0), loss(1)]
    };
    let [a, b] = losses(0.0);
    assert_eq!(a, b);
    let [a, b] = losses(0.5);
    assert_ne!(a, b);
}
