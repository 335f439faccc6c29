//! Optimisers against `torch.optim`, and their contract.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var, backprop::GradStore};
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore, clip_grad_norm};
use serde_json::Value;

/// Relative to values of order 1, in f64: the library's goal.
const TOLERANCE: f64 = 1e-12;

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn tensor(value: &Value) -> Tensor {
    Tensor::new(numbers(value), &Device::Cpu).unwrap()
}

fn assert_close(got: &Tensor, want: &[f64], what: &str) {
    let got = got.to_vec1::<f64>().unwrap();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= TOLERANCE, "{what}: {got} instead of {want}");
    }
}

/// The gradients of a loss that has exactly these: the sum of products.
fn grads(pairs: &[(&Var, &Tensor)]) -> GradStore {
    let mut loss = Tensor::new(0f64, &Device::Cpu).unwrap();
    for (var, grad) in pairs {
        let product = (var.as_tensor() * *grad).unwrap().sum_all().unwrap();
        loss = (loss + product.to_dtype(DType::F64).unwrap()).unwrap();
    }
    loss.backward().unwrap()
}

#[test]
fn parameters_and_state_equal_torch_optim_also_where_a_gradient_comes_late() {
    let fixture = fixture("optimisers.json");
    let late = fixture["late"].as_u64().unwrap() as usize;
    for case in fixture["cases"].as_array().unwrap() {
        let text = case["kind"].as_str().unwrap();
        let params: BTreeMap<String, Var> = ["early", "late"]
            .map(|name| {
                (
                    name.to_string(),
                    Var::from_tensor(&tensor(&fixture["start"][name])).unwrap(),
                )
            })
            .into();
        let decay = case["weight_decay"].as_f64().unwrap();
        let mut optimiser = Optimiser::new(text.parse().unwrap(), decay, params.clone()).unwrap();
        for (step, rate) in numbers(&fixture["rates"]).into_iter().enumerate() {
            let grad = |name: &str| tensor(&fixture["grads"][step][name]);
            let (early_grad, late_grad) = (grad("early"), grad("late"));
            let mut pairs = vec![(&params["early"], &early_grad)];
            if step >= late {
                pairs.push((&params["late"], &late_grad));
            }
            optimiser.step(&grads(&pairs), rate, Missing::Skip).unwrap();
            for (name, var) in &params {
                assert_close(
                    var,
                    &numbers(&case["trace"][step][name]),
                    &format!("{text}, {name} at step {step}"),
                );
            }
        }
        let state = optimiser.state().unwrap();
        for (name, want) in case["state"].as_object().unwrap() {
            assert_close(&state[name], &numbers(want), &format!("{text}, {name}"));
        }
        // and nothing but that and the two step counts
        assert_eq!(state.len(), case["state"].as_object().unwrap().len() + 2, "{text}");
        assert_eq!(state["step.late"].to_vec1::<i64>().unwrap(), [3]);
    }
}

#[test]
fn clipping_equals_torch() {
    for case in fixture("clip.json").as_array().unwrap() {
        let params: BTreeMap<String, Var> = ["a", "b"]
            .map(|name| (name.to_string(), Var::zeros(4, DType::F64, &Device::Cpu).unwrap()))
            .into();
        let (a, b) = (tensor(&case["before"][0]), tensor(&case["before"][1]));
        let mut grads = grads(&[(&params["a"], &a), (&params["b"], &b)]);
        let norm = clip_grad_norm(&params, &mut grads, case["max_norm"].as_f64().unwrap()).unwrap();
        assert!((norm - case["norm"].as_f64().unwrap()).abs() <= TOLERANCE * norm);
        for (name, want) in ["a", "b"].iter().zip(case["after"].as_array().unwrap()) {
            assert_close(grads.get(&params[*name]).unwrap(), &numbers(want), name);
        }
    }
}

#[test]
fn clipping_names_the_parameter_whose_gradient_is_not_finite_and_changes_nothing() {
    for bad in [f32::NAN, f32::INFINITY] {
        let params: BTreeMap<String, Var> = ["a", "b"]
            .map(|name| (name.to_string(), Var::ones(2, DType::F32, &Device::Cpu).unwrap()))
            .into();
        let good = Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap();
        let mut grads = grads(&[(&params["a"], &good)]);
        grads.insert(&params["b"], Tensor::new(&[1f32, bad], &Device::Cpu).unwrap());
        let error = clip_grad_norm(&params, &mut grads, 1.0).unwrap_err().to_string();
        assert!(error.contains("gradient of b"), "{error}");
        assert_eq!(grads.get(&params["a"]).unwrap().to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    }
}

#[test]
fn the_norm_of_large_f32_gradients_does_not_overflow() {
    let params = BTreeMap::from([("a".to_string(), Var::ones(2, DType::F32, &Device::Cpu).unwrap())]);
    let mut grads = GradStore::default();
    grads.insert(&params["a"], Tensor::new(&[3e30f32, 4e30], &Device::Cpu).unwrap());
    let norm = clip_grad_norm(&params, &mut grads, 1.0).unwrap();
    assert!((norm / 5e30 - 1.0).abs() < f64::from(f32::EPSILON));
}

#[test]
fn a_missing_gradient_is_an_error_that_names_the_parameter_and_changes_nothing() {
    let params: BTreeMap<String, Var> = ["a", "b"]
        .map(|name| (name.to_string(), Var::ones(2, DType::F64, &Device::Cpu).unwrap()))
        .into();
    let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.1, params.clone()).unwrap();
    let one = Tensor::ones(2, DType::F64, &Device::Cpu).unwrap();
    let grads = grads(&[(&params["a"], &one)]);
    let error = optimiser.step(&grads, 0.1, Missing::Error).unwrap_err().to_string();
    assert!(error.contains("1 of 2 parameters, first b"), "{error}");
    assert_eq!(params["a"].to_vec1::<f64>().unwrap(), [1.0, 1.0]);

    optimiser.step(&grads, 0.1, Missing::Skip).unwrap();
    assert_ne!(params["a"].to_vec1::<f64>().unwrap(), [1.0, 1.0]);
    // not even decayed
    assert_eq!(params["b"].to_vec1::<f64>().unwrap(), [1.0, 1.0]);
}

#[test]
fn wrong_arguments_are_errors() {
    let params = || BTreeMap::from([("a".to_string(), Var::ones(2, DType::F64, &Device::Cpu).unwrap())]);
    assert!(Optimiser::new(OptimiserKind::ADAM, -1.0, params()).is_err());
    assert!(Optimiser::new(OptimiserKind::ADAM, f64::NAN, params()).is_err());
    let kind = OptimiserKind::Adam {
        beta1: 1.0,
        beta2: 0.9,
        eps: 1e-8,
    };
    assert!(Optimiser::new(kind, 0.0, params()).is_err());
    let kind = OptimiserKind::Sgd {
        momentum: 0.0,
        nesterov: true,
    };
    assert!(Optimiser::new(kind, 0.0, params()).is_err());
    let mut twice = params();
    twice.insert("b".into(), twice["a"].clone());
    assert!(Optimiser::new(OptimiserKind::SGD, 0.0, twice).is_err());
    let mut optimiser = Optimiser::new(OptimiserKind::SGD, 0.0, params()).unwrap();
    assert!(optimiser.step(&GradStore::default(), f64::NAN, Missing::Skip).is_err());
}

#[test]
fn a_gradient_of_another_shape_is_an_error() {
    let params = BTreeMap::from([("a".to_string(), Var::ones(2, DType::F64, &Device::Cpu).unwrap())]);
    let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, params.clone()).unwrap();
    let mut grads = GradStore::default();
    grads.insert(&params["a"], Tensor::ones(3, DType::F64, &Device::Cpu).unwrap());
    let error = optimiser.step(&grads, 0.1, Missing::Error).unwrap_err().to_string();
    assert!(error.contains("gradient of a"), "{error}");
}

#[test]
fn a_step_gives_the_same_bits_for_1_2_and_4_threads() -> Result<()> {
    let run = |threads| -> Result<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let store = ParameterStore::new(1, DType::F32, Device::Cpu);
            let init = candle_trainer::init::HE_NORMAL;
            for (name, n) in [("a", 70_001), ("b", 13), ("c", 20_000)] {
                store.builder().get_with_hints((1, n), name, init)?;
            }
            let params = store.trainable();
            let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.1, params.clone())?;
            for _ in 0..3 {
                let mut grads = GradStore::default();
                for var in params.values() {
                    grads.insert(var, (var.as_tensor() * 3.0)?);
                }
                clip_grad_norm(&params, &mut grads, 1.0)?;
                optimiser.step(&grads, 0.1, Missing::Error)?;
            }
            let all = params.values().map(|var| var.flatten_all()?.to_vec1::<f32>());
            Ok(all
                .collect::<Result<Vec<_>>>()?
                .concat()
                .into_iter()
                .map(f32::to_bits)
                .collect())
        })
    };
    let one = run(1)?;
    assert_eq!(one, run(2)?);
    assert_eq!(one, run(4)?);
    Ok(())
}

#[test]
fn state_of_another_optimiser_or_network_is_refused_and_changes_nothing() {
    let params = |name: &str| BTreeMap::from([(name.to_string(), Var::ones(2, DType::F64, &Device::Cpu).unwrap())]);
    let make = |kind, name| Optimiser::new(kind, 0.0, params(name)).unwrap();
    let mut adam = make(OptimiserKind::ADAM, "a");
    let before = adam.state().unwrap();
    for other in [make(OptimiserKind::SGD, "a"), make(OptimiserKind::ADAM, "b")] {
        assert!(adam.load_state(&other.state().unwrap()).is_err());
    }
    let mut more = before.clone();
    more.insert("m.b".into(), Tensor::new(0f64, &Device::Cpu).unwrap());
    assert!(adam.load_state(&more).is_err());
    assert!(adam.load_state(&before).is_ok());
}

#[test]
fn optimisers_survive_the_way_through_text() {
    for text in [
        "adam",
        "adamw",
        "sgd",
        "sgd:0",
        "sgd:0.5:nesterov",
        "adamw:0.8:0.9:0.001",
    ] {
        let kind: OptimiserKind = text.parse().unwrap();
        assert_eq!(kind.to_string(), text);
    }
    for text in [
        "",
        "Adam",
        "adam:0.9",
        "sgd:x",
        "sgd:1",
        "sgd:0:nesterov",
        "adam:0.9:0.9:0",
    ] {
        assert!(text.parse::<OptimiserKind>().is_err(), "{text}");
    }
}
