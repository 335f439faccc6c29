//! Steps of small networks against `PyTorch`.

mod common;

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use candle_dann::{Batch, DannConfig, DomainLoss, Head, LabelledRows, UnlabelledRows};
use serde_json::Value;

use common::{CLASSES, FEATURES, flat, network, reversal, scalar, tensors};

/// Values of order 1 in f64, some tens of operations deep.
const TOLERANCE: f64 = 1e-13;

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dann.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn tensor(value: &Value) -> Tensor {
    fn collect(value: &Value, depth: usize, dims: &mut Vec<usize>, out: &mut Vec<f64>) {
        let Some(items) = value.as_array() else {
            return out.push(value.as_f64().unwrap());
        };
        if dims.len() == depth {
            dims.push(items.len());
        }
        for item in items {
            collect(item, depth + 1, dims, out);
        }
    }
    let (mut dims, mut out) = (Vec::new(), Vec::new());
    collect(value, 0, &mut dims, &mut out);
    Tensor::from_vec(out, dims, &Device::Cpu).unwrap()
}

fn config(case: &Value) -> DannConfig {
    let config = &case["config"];
    let size = |key: &str| config[key].as_u64().map(|n| n as usize);
    let head = size("hidden").map_or(Head::Linear, Head::hidden);
    DannConfig {
        label_head: head,
        domain_head: head,
        projection: size("projection"),
        domain_loss: if config["mean_over_rows"].as_bool().unwrap() {
            DomainLoss::MeanOverRows
        } else {
            DomainLoss::PerDomainMeans {
                weights: flat_or_empty(&config["weights"]),
            }
        },
        ..DannConfig::new(CLASSES, 3, FEATURES)
    }
}

fn flat_or_empty(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn parameters(case: &Value) -> HashMap<String, Var> {
    let named = case["parameters"].as_object().unwrap().iter();
    named
        .map(|(name, value)| (name.clone(), Var::from_tensor(&tensor(value)).unwrap()))
        .collect()
}

fn batch(case: &Value, rows: &[usize]) -> Batch {
    let windows = tensor(&case["windows"]);
    let labels: Vec<u32> = case["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_u64().unwrap() as u32)
        .collect();
    let labels = Tensor::new(labels, &Device::Cpu).unwrap();
    let mut batch = Batch::default();
    let mut start = 0;
    for (domain, &n) in rows.iter().enumerate() {
        let part = windows.narrow(0, start, n).unwrap();
        if domain < 2 {
            batch
                .sources
                .push(LabelledRows::new(part, labels.narrow(0, start, n).unwrap()).unwrap());
        } else {
            batch.targets.push(UnlabelledRows::new(part).unwrap());
        }
        start += n;
    }
    batch
}

fn assert_close(got: &Tensor, want: &Tensor, what: &str) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    for (got, want) in flat(got).iter().zip(flat(want)) {
        assert!((got - want).abs() <= TOLERANCE, "{what}: {got} instead of {want}");
    }
}

#[test]
fn losses_and_gradients_of_a_step_equal_pytorch() {
    let fixture = fixture();
    let rows: Vec<usize> = flat_or_empty(&fixture["rows"])
        .into_iter()
        .map(|n| n as usize)
        .collect();
    for case in fixture["steps"].as_array().unwrap() {
        let parameters = parameters(case);
        let dann = network(&config(case), &tensors(&parameters)).unwrap();
        let reversal = reversal(fixture["lambda"].as_f64().unwrap());
        let losses = dann.adversarial_step(&batch(case, &rows), reversal, 0, 0).unwrap();
        let domain = losses.domain.unwrap();
        assert_close(&losses.label, &tensor(&case["label"]), "label");
        assert_close(&domain.loss, &tensor(&case["domain"]), "domain");
        assert_close(
            &Tensor::stack(&domain.per_domain, 0).unwrap(),
            &tensor(&case["per_domain"]),
            "per domain",
        );
        let total = case["label"].as_f64().unwrap() + case["domain"].as_f64().unwrap();
        assert!((scalar(&losses.total) - total).abs() <= TOLERANCE);
        let grads = losses.total.backward().unwrap();
        let wanted = case["gradients"].as_object().unwrap();
        assert_eq!(wanted.len(), parameters.len());
        for (name, want) in wanted {
            assert_close(grads.get(&parameters[name]).unwrap(), &tensor(want), name);
        }
    }
}

#[test]
fn features_and_logits_with_hidden_heads_equal_pytorch_in_inference() {
    let case = &fixture()["inference"];
    let dann = network(&config(case), &tensors(&parameters(case))).unwrap();
    let features = dann.features(&tensor(&case["windows"]), None).unwrap();
    assert_close(&features, &tensor(&case["features"]), "features");
    assert_close(
        &dann.label_logits(&features).unwrap(),
        &tensor(&case["label_logits"]),
        "label logits",
    );
    assert_close(
        &dann.domain_logits(&features).unwrap(),
        &tensor(&case["domain_logits"]),
        "domain logits",
    );
}
