//! Per-domain batch norm reaches every layer, and changes what it should and nothing else.

mod common;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass, Statistics};
use candle_core::{DType, Tensor};
use candle_seresnext1d::Architecture;
use common::{Formula, windows};

const NETWORKS: [Architecture; 2] = [Architecture::LightCnn, Architecture::SeResNeXt26Small];

fn build(architecture: Architecture, statistics: Statistics) -> (Box<dyn Extractor>, Formula) {
    let store = Formula::default();
    let batch_norm = BatchNormConfig {
        statistics,
        ..BatchNormConfig::default()
    };
    let network = architecture.build(1, batch_norm, store.builder(DType::F64)).unwrap();
    (network, store)
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn train(network: &dyn Extractor, x: &Tensor, rows: &[usize]) -> Tensor {
    let pass = Pass::Train { seed: 0, step: 0, rows };
    network.forward(x, pass).unwrap()
}

fn eval(network: &dyn Extractor, x: &Tensor, domain: usize) -> Tensor {
    let pass = Pass::Eval { domain: Some(domain) };
    network.forward(x, pass).unwrap()
}

/// Largest difference, as a share of the largest value.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let most = |t: &Tensor| values(t).into_iter().fold(0f64, |m, v| m.max(v.abs()));
    most(&(a - b).unwrap()) / most(b)
}

#[test]
fn what_is_trained_has_the_same_names_and_shapes_with_either_statistics() {
    for architecture in NETWORKS {
        let shapes = |statistics| {
            let trained = build(architecture, statistics).1.trainable();
            trained
                .into_iter()
                .map(|(name, variable)| (name, variable.dims().to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shapes(Statistics::Joint), shapes(Statistics::PerDomain(3)));
    }
}

#[test]
fn in_training_each_domain_is_seen_as_if_alone() {
    for architecture in NETWORKS {
        let x = windows((5, 1, 67), DType::F64).unwrap();
        let (network, _) = build(architecture, Statistics::PerDomain(2));
        let both = train(&*network, &x, &[2, 3]);
        for (start, count) in [(0, 2), (2, 3)] {
            let (joint, _) = build(architecture, Statistics::Joint);
            let alone = train(&*joint, &x.narrow(0, start, count).unwrap(), &[count]);
            let distance = distance(&both.narrow(0, start, count).unwrap(), &alone);
            // the same sums, perhaps in another order: f64 rounding through all layers
            assert!(distance < 1e-10, "{architecture}, row {start}: {distance}");
        }
        // and joint statistics do mix them
        let (joint, _) = build(architecture, Statistics::Joint);
        assert!(distance(&train(&*joint, &x, &[2, 3]), &both) > 1e-3);
    }
}

#[test]
fn a_step_moves_the_statistics_of_its_domains_alone() {
    for architecture in NETWORKS {
        let x = windows((3, 1, 67), DType::F64).unwrap();
        let (network, store) = build(architecture, Statistics::PerDomain(2));
        let before: Vec<_> = store
            .variables()
            .into_iter()
            .map(|(name, variable)| (name, values(&variable)))
            .collect();
        train(&*network, &x, &[0, 3]);
        let after = store.variables();
        let mut moved = 0;
        for (name, old) in before {
            let new = values(&after[&name]);
            if name.contains("domain.1.") {
                assert_ne!(new, old, "{architecture}: {name} has not moved");
                moved += 1;
            } else {
                assert_eq!(new, old, "{architecture}: {name} has moved");
            }
        }
        assert!(moved > 0);
    }
}

#[test]
fn a_domain_never_trained_on_is_read_with_the_statistics_of_the_first() {
    for architecture in NETWORKS {
        let x = windows((3, 1, 67), DType::F64).unwrap();
        let (network, _) = build(architecture, Statistics::PerDomain(2));
        train(&*network, &x, &[3, 0]);
        let first = eval(&*network, &x, 0);
        assert_eq!(values(&eval(&*network, &x, 1)), values(&first));
        let default = network.forward(&x, Pass::EVAL).unwrap();
        assert_eq!(values(&default), values(&first));

        let other = windows((3, 1, 67), DType::F64).unwrap().affine(3., 1.).unwrap();
        train(&*network, &other, &[0, 3]);
        assert_eq!(values(&eval(&*network, &x, 0)), values(&first));
        assert!(distance(&eval(&*network, &x, 1), &first) > 1e-3);
    }
}
