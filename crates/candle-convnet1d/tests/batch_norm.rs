//! What batch norm keeps, shares and refuses.

mod common;

use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Pass, RunningVariance, Statistics};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, assert_close, bits, flat, variables};

fn train(rows: &[usize]) -> Pass<'_> {
    Pass::Train { seed: 0, step: 0, rows }
}

fn per_domain(domains: usize) -> BatchNormConfig {
    BatchNormConfig {
        statistics: Statistics::PerDomain(domains),
        ..Default::default()
    }
}

#[test]
fn running_statistics_are_the_variables_of_the_var_map() -> Result<()> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let norm = BatchNorm1d::new(2, BatchNormConfig::default(), vb.pp("stem.bn"))?;
    let stored = |name: &str| map.data().lock().expect("the map")[&format!("stem.bn.{name}")].clone();
    let names: Vec<String> = map.data().lock().expect("the map").keys().cloned().collect();
    assert_eq!(names.len(), 4, "{names:?}");

    // mean 2 and 20; squares about it 1 + 1 and 100 + 100
    let x = Tensor::new(&[[[1f32, 3.0], [10.0, 30.0]]], &Device::Cpu)?;
    norm.forward(&x, train(&[1]))?;
    assert_eq!(flat(&stored("running_mean")), [0.2f32, 2.0].map(f64::from));
    assert_eq!(flat(&stored("running_var")), [0.9f32 + 0.2, 0.9 + 20.0].map(f64::from));
    // and the other way round: what is loaded into the map is what inference uses
    stored("running_mean").set(&Tensor::new(&[5f32, 6.0], &Device::Cpu)?)?;
    stored("running_var").set(&Tensor::new(&[4f32, 4.0], &Device::Cpu)?)?;
    let y = norm.forward(&Tensor::new(&[[7f32, 2.0]], &Device::Cpu)?, Pass::EVAL)?;
    assert_close(&y, &Tensor::new(&[[1f32, -2.0]], &Device::Cpu)?, 1e-5, "inference");
    Ok(())
}

#[test]
fn running_statistics_are_the_variables_of_any_backend_that_hands_them_out() -> Result<()> {
    let (zeros, ones) = (
        Tensor::zeros(1, DType::F64, &Device::Cpu)?,
        Tensor::ones(1, DType::F64, &Device::Cpu)?,
    );
    let (vars, vb) = variables(&[
        ("domain.0.running_mean", &zeros),
        ("domain.0.running_var", &ones),
        ("domain.0.batches", &zeros),
    ])?;
    let config = BatchNormConfig {
        momentum: 0.5,
        running_variance: RunningVariance::Biased,
        ..per_domain(1)
    };
    let norm = BatchNorm1d::new(1, config, vb)?;
    for _ in 0..2 {
        norm.forward(&Tensor::new(&[[1.0], [5.0]], &Device::Cpu)?, train(&[2]))?;
    }
    assert_eq!(flat(&vars["domain.0.running_mean"]), [2.25]);
    assert_eq!(flat(&vars["domain.0.running_var"]), [3.25]);
    assert_eq!(flat(&vars["domain.0.batches"]), [2.0]);
    Ok(())
}

#[test]
fn each_domain_is_normalised_as_if_it_were_alone() -> Result<()> {
    let random = &mut Random(20);
    let x = random.tensor(&[7, 3, 11], DType::F32)?;
    let ones = Tensor::ones(3, DType::F32, &Device::Cpu)?;
    let (vars, vb_of_many) = variables(&[("weight", &ones), ("domain.2.running_mean", &(&ones * 0.0)?)])?;
    let many = BatchNorm1d::new(3, per_domain(3), vb_of_many)?;
    let y = many.forward(&x, train(&[3, 0, 4]))?;
    let mut parts = Vec::new();
    for (start, rows) in [(0, 3), (3, 4)] {
        let (alone_vars, vb) = variables(&[("weight", &ones), ("running_mean", &(&ones * 0.0)?)])?;
        let alone = BatchNorm1d::new(3, BatchNormConfig::default(), vb)?;
        parts.push(alone.forward(&x.narrow(0, start, rows)?, train(&[rows]))?);
        if start == 3 {
            assert_eq!(bits(&alone_vars["running_mean"]), bits(&vars["domain.2.running_mean"]));
        }
    }
    assert_eq!(bits(&y), bits(&Tensor::cat(&parts, 0)?));
    Ok(())
}

#[test]
fn a_domain_without_statistics_uses_those_of_domain_0() -> Result<()> {
    let random = &mut Random(21);
    let x = random.tensor(&[6, 2, 5], DType::F32)?;
    let map = VarMap::new();
    let norm = BatchNorm1d::new(
        2,
        per_domain(3),
        VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu),
    )?;
    // one domain fewer than there are: the last one has no rows
    norm.forward(&x, train(&[2, 4]))?;
    let eval = |domain| norm.forward(&x, Pass::Eval { domain }).map(|y| bits(&y));
    let first = eval(Some(0))?;
    assert_eq!(eval(None)?, first);
    assert_eq!(eval(Some(2))?, first, "never trained");
    assert_eq!(eval(Some(9))?, first, "unknown");
    assert_ne!(eval(Some(1))?, first, "trained");
    Ok(())
}

#[test]
fn inference_leaves_the_running_statistics_alone() -> Result<()> {
    let map = VarMap::new();
    let norm = BatchNorm1d::new(
        2,
        per_domain(2),
        VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu),
    )?;
    let x = Random(22).tensor(&[6, 2, 5], DType::F32)?;
    let state = || {
        let mut state: Vec<_> = map.data().lock().expect("the map").clone().into_iter().collect();
        state.sort_by(|a, b| a.0.cmp(&b.0));
        state.iter().map(|(_, var)| bits(var)).collect::<Vec<_>>()
    };
    norm.forward(&x, train(&[3, 3]))?;
    let before = state();
    norm.forward(&x, Pass::Eval { domain: Some(1) })?;
    assert_eq!(state(), before);
    Ok(())
}

/// f32 holds values near 4096 to 2^-12; statistics must not lose more than the input has.
#[test]
fn a_large_mean_does_not_spoil_the_variance() -> Result<()> {
    let x = (Random(23).tensor(&[16, 2, 1500], DType::F32)? + 4096.0)?;
    let exact = x.to_dtype(DType::F64)?;
    let normalised = |x: &Tensor| -> Result<Tensor> {
        let vb = VarBuilder::from_varmap(&VarMap::new(), x.dtype(), &Device::Cpu);
        BatchNorm1d::new(2, BatchNormConfig::default(), vb)?.forward(x, train(&[16]))
    };
    // the mean is rounded to 2^-12 half steps; one standard deviation is 0.58
    assert_close(
        &normalised(&x)?,
        &normalised(&exact)?.to_dtype(DType::F32)?,
        2.5e-4,
        "normalised",
    );
    let constant = Tensor::full(1e6f32, (4, 2, 9), &Device::Cpu)?;
    assert_eq!(flat(&normalised(&constant)?), [0.0; 72]);
    Ok(())
}

#[test]
fn a_single_value_per_channel_is_an_error_in_training_only() -> Result<()> {
    let vb = || VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
    let joint = BatchNorm1d::new(2, BatchNormConfig::default(), vb())?;
    let domains = BatchNorm1d::new(2, per_domain(2), vb())?;
    let rows = |n: usize| Tensor::ones((n, 2), DType::F32, &Device::Cpu);
    for (norm, x, counts) in [
        (&joint, rows(1)?, &[1][..]),
        (&joint, rows(1)?.unsqueeze(2)?, &[1]),
        (&joint, rows(0)?, &[0]),
        (&domains, rows(3)?, &[2, 1]),
    ] {
        let message = norm.forward(&x, train(counts)).expect_err("too few").to_string();
        assert!(message.contains("at least two values per channel"), "{message}");
        assert_eq!(norm.forward(&x, Pass::EVAL)?.dims(), x.dims());
    }
    let message = domains
        .forward(&rows(3)?, train(&[2, 1]))
        .expect_err("too few")
        .to_string();
    assert!(message.contains("domain 1"), "{message}");
    joint.forward(&Tensor::ones((1, 2, 2), DType::F32, &Device::Cpu)?, train(&[1]))?;
    domains.forward(&rows(2)?, train(&[2, 0]))?;
    Ok(())
}

#[test]
fn errors_can_be_matched_on() -> Result<()> {
    let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
    let norm = BatchNorm1d::new(2, per_domain(2), vb.pp("a"))?;
    let x = Tensor::ones((4, 2, 3), DType::F32, &Device::Cpu)?;
    for counts in [&[1, 2][..], &[5], &[2, 1, 1], &[]] {
        let message = norm.forward(&x, train(counts)).expect_err("wrong counts").to_string();
        assert!(message.contains("add up to the batch of 4"), "{message}");
    }
    for shape in [vec![4, 3, 2], vec![2], vec![4, 3], vec![1, 2, 3, 4]] {
        let x = Tensor::ones(shape, DType::F32, &Device::Cpu)?;
        let message = norm.forward(&x, Pass::EVAL).expect_err("a wrong shape").to_string();
        assert!(message.contains("(N, 2, L)"), "{message}");
    }
    for config in [
        BatchNormConfig {
            eps: -1.0,
            ..Default::default()
        },
        BatchNormConfig {
            eps: f64::NAN,
            ..Default::default()
        },
        BatchNormConfig {
            momentum: 1.5,
            ..Default::default()
        },
        per_domain(0),
    ] {
        assert!(BatchNorm1d::new(2, config, vb.pp("b")).is_err(), "{config:?}");
    }
    Ok(())
}

#[test]
fn the_input_may_be_a_constant() -> Result<()> {
    // the first layer of a network: only weight and bias need gradients
    let (vars, vb) = variables(&[("weight", &Tensor::ones(2, DType::F32, &Device::Cpu)?)])?;
    let norm = BatchNorm1d::new(2, BatchNormConfig::default(), vb)?;
    let x = Random(24).tensor(&[4, 2, 3], DType::F32)?;
    let gradients = norm.forward(&x, train(&[4]))?.sqr()?.sum_all()?.backward()?;
    assert!(gradients.get(&vars["weight"]).is_some());
    Ok(())
}
