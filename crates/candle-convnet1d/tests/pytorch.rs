//! Values and gradients equal those of `PyTorch` (`fixtures/layers.py`).

mod common;

use std::collections::HashMap;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Pass, RunningVariance, SeGate, adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d,
    composed, cross_entropy, cross_entropy_rows, max_pool1d, relu, softmax,
};
use candle_core::{DType, Result, Tensor};
use common::{assert_close, fixtures, variables, with_gradient};

/// Both sides add a few dozen numbers of order 1 in f64.
const TOLERANCE: f64 = 1e-12;

const TRAIN: Pass = Pass::Train {
    seed: 0,
    step: 0,
    rows: &[],
};

fn holds(case: &str, all: &HashMap<String, Tensor>, x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    let (y, dx) = with_gradient(x, &all[&format!("{case}.g")], f)?;
    assert_close(&y, &all[&format!("{case}.y")], TOLERANCE, &format!("{case} forward"));
    assert_close(&dx, &all[&format!("{case}.dx")], TOLERANCE, &format!("{case} backward"));
    Ok(())
}

#[test]
fn relu_has_derivative_zero_at_zero() -> Result<()> {
    let all = fixtures();
    holds("relu", &all, &all["ties"], relu)?;
    holds("relu", &all, &all["ties"], composed::relu)
}

#[test]
fn sliding_pools_pad_and_break_ties_as_pytorch() -> Result<()> {
    let all = fixtures();
    let x = &all["ties"];
    for (k, s, p) in [(2, 2, 0), (3, 2, 1), (5, 3, 2), (4, 5, 1)] {
        let (max, avg) = (format!("max.{k}.{s}.{p}"), format!("avg.{k}.{s}.{p}"));
        holds(&max, &all, x, |x| max_pool1d(x, k, s, p))?;
        holds(&max, &all, x, |x| composed::max_pool1d(x, k, s, p))?;
        holds(&avg, &all, x, |x| avg_pool1d(x, k, s, p))?;
        holds(&avg, &all, x, |x| composed::avg_pool1d(x, k, s, p))?;
    }
    Ok(())
}

#[test]
fn adaptive_pools_have_the_bins_of_pytorch() -> Result<()> {
    let all = fixtures();
    let x = &all["ties"];
    for outputs in [1, 3, 4, 13] {
        let (max, avg) = (format!("adaptive_max.{outputs}"), format!("adaptive_avg.{outputs}"));
        holds(&max, &all, x, |x| adaptive_max_pool1d(x, outputs))?;
        holds(&max, &all, x, |x| composed::adaptive_max_pool1d(x, outputs))?;
        holds(&avg, &all, x, |x| adaptive_avg_pool1d(x, outputs))?;
        holds(&avg, &all, x, |x| composed::adaptive_avg_pool1d(x, outputs))?;
    }
    Ok(())
}

#[test]
fn batch_norm_trains_and_infers_as_pytorch() -> Result<()> {
    let all = fixtures();
    for (name, composed, rule, running_var) in [
        ("norm3", false, RunningVariance::Unbiased, "running_var"),
        ("norm3", true, RunningVariance::Biased, "running_var_biased"),
        ("norm2", false, RunningVariance::Biased, "running_var_biased"),
        ("norm2", true, RunningVariance::Unbiased, "running_var"),
    ] {
        let get = |field: &str| &all[&format!("{name}.{field}")];
        let (zeros, ones) = (get("weight").zeros_like()?, get("weight").ones_like()?);
        let (vars, vb) = variables(&[
            ("weight", get("weight")),
            ("bias", get("bias")),
            ("running_mean", &zeros),
            ("running_var", &ones),
        ])?;
        let config = BatchNormConfig {
            running_variance: rule,
            ..Default::default()
        };
        let norm = BatchNorm1d::new(3, config, vb)?;
        let steps = [("0", TRAIN), ("1", TRAIN), ("eval", Pass::EVAL)];
        for (step, pass) in steps {
            if step == "eval" {
                assert_close(&vars["running_mean"], get("running_mean"), TOLERANCE, "running mean");
                assert_close(&vars["running_var"], get(running_var), TOLERANCE, "running variance");
                // both rules are inferred with what PyTorch ends with
                vars["running_var"].set(get("running_var"))?;
            }
            let case = |field: &str| get(&format!("{step}.{field}"));
            let x = candle_core::Var::from_tensor(case("x"))?;
            let y = if composed {
                norm.forward_composed(&x, pass)?
            } else {
                norm.forward(&x, pass)?
            };
            let gradients = (&y * case("g"))?.sum_all()?.backward()?;
            assert_close(&y, case("y"), TOLERANCE, "y");
            assert_close(gradients.get(&x).expect("dx"), case("dx"), TOLERANCE, "dx");
            for parameter in ["weight", "bias"] {
                let found = gradients.get(&vars[parameter]).expect("a gradient");
                assert_close(found, case(&format!("d{parameter}")), TOLERANCE, parameter);
            }
            for buffer in ["running_mean", "running_var"] {
                assert!(gradients.get(&vars[buffer]).is_none(), "{buffer} is no parameter");
            }
        }
    }
    Ok(())
}

#[test]
fn losses_equal_those_of_pytorch() -> Result<()> {
    let all = fixtures();
    let (logits, targets) = (&all["logits"], &all["targets"]);
    assert_eq!(targets.dtype(), DType::U32);
    holds("rows", &all, logits, |z| cross_entropy_rows(z, targets))?;
    holds("rows", &all, logits, |z| composed::cross_entropy_rows(z, targets))?;
    holds("mean", &all, logits, |z| cross_entropy(z, targets))?;
    holds("softmax", &all, logits, softmax)?;
    holds("softmax", &all, logits, composed::softmax)
}

#[test]
fn gate_loads_the_parameters_of_pytorch() -> Result<()> {
    let all = fixtures();
    let names = ["reduce.weight", "reduce.bias", "expand.weight", "expand.bias"];
    let values: Vec<_> = names.map(|name| (name, &all[&format!("gate.{name}")])).into();
    let (vars, vb) = variables(&values)?;
    let gate = SeGate::new(6, 4, vb)?;
    holds("gate", &all, &all["gate.x"], |x| gate.forward(x))?;
    let gradients = (gate.forward(&all["gate.x"])? * &all["gate.g"])?
        .sum_all()?
        .backward()?;
    for name in names {
        let found = gradients.get(&vars[name]).expect("a gradient");
        assert_close(found, &all[&format!("gate.d{name}")], TOLERANCE, name);
    }
    Ok(())
}
