//! Gradients equal central differences in f64, away from kinks.

mod common;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Dropout, Pass, SeGate, Statistics, adaptive_avg_pool1d, adaptive_max_pool1d,
    avg_pool1d, cross_entropy, cross_entropy_rows, global_avg_pool1d, global_max_pool1d, max_pool1d, relu, softmax,
};
use candle_core::{DType, Device, Result, Tensor};
use candle_gradcheck::GradCheck;
use candle_nn::VarBuilder;
use common::{Random, strided, variables};

#[track_caller]
fn check(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) {
    for x in [x.clone(), strided(x).expect("three dimensions")] {
        if let Err(error) = GradCheck::default().check(&[x], |inputs| f(&inputs[0])) {
            panic!("{error}");
        }
    }
}

/// Distinct values, at least 0.01 apart and from 0: no ties and no kinks within a step.
fn apart(random: &mut Random, shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let mut values: Vec<f64> = (0..count)
        .map(|i| 0.02 * (i as f64 - count as f64 / 2.0) + 0.01)
        .collect();
    for i in (1..count).rev() {
        values.swap(i, random.between(0, i));
    }
    Tensor::from_vec(values, shape, &Device::Cpu)
}

#[test]
fn relu_and_pools() -> Result<()> {
    let random = &mut Random(5);
    for shape in [[2, 3, 9], [3, 1, 34], [2, 2, 1]] {
        let x = &apart(random, &shape)?;
        check(x, relu);
        for kernel in [1, 2, 3, 7].into_iter().filter(|&kernel| kernel <= shape[2]) {
            for (stride, padding) in [(1, 0), (2, kernel / 2), (4, 0)] {
                check(x, |x| max_pool1d(x, kernel, stride, padding));
                check(x, |x| avg_pool1d(x, kernel, stride, padding));
            }
        }
        for outputs in [1, 2, 4, 11] {
            check(x, |x| adaptive_max_pool1d(x, outputs));
            check(x, |x| adaptive_avg_pool1d(x, outputs));
        }
        check(x, global_avg_pool1d);
        check(x, global_max_pool1d);
    }
    Ok(())
}

#[test]
fn batch_norm_with_respect_to_input_weight_and_bias() -> Result<()> {
    let random = &mut Random(6);
    for (shape, statistics) in [
        (vec![5, 3, 7], Statistics::Joint),
        (vec![5, 3, 7], Statistics::PerDomain(3)),
        (vec![6, 2, 1], Statistics::Joint),
        (vec![7, 4], Statistics::PerDomain(3)),
    ] {
        let rows = [2, 0, shape[0] - 2];
        let inputs = [
            random.tensor(&shape, DType::F64)?,
            random.tensor(&shape[1..2], DType::F64)?,
            random.tensor(&shape[1..2], DType::F64)?,
        ];
        for pass in [
            Pass::Train {
                seed: 0,
                step: 0,
                rows: &rows,
            },
            Pass::Eval { domain: Some(1) },
        ] {
            let checked = GradCheck::default().check(&inputs, |inputs| {
                // a new layer each time, so that running statistics start equal
                let store = [("weight", inputs[1].clone()), ("bias", inputs[2].clone())];
                let store = store.into_iter().map(|(name, value)| (name.to_string(), value));
                let vb = VarBuilder::from_backend(Box::new(Parameters(store.collect())), DType::F64, Device::Cpu);
                let config = BatchNormConfig {
                    statistics,
                    ..Default::default()
                };
                BatchNorm1d::new(shape[1], config, vb)?.forward(&inputs[0], pass)
            });
            if let Err(error) = checked {
                panic!("{shape:?} {statistics:?}: {error}");
            }
        }
    }
    Ok(())
}

/// Given tensors as parameters, and fresh ones for all other names.
struct Parameters(std::collections::HashMap<String, Tensor>);

impl candle_nn::var_builder::SimpleBackend for Parameters {
    fn get(
        &self,
        shape: candle_core::Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        match self.0.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => Ok(init.var(shape, dtype, device)?.as_detached_tensor()),
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[test]
fn gate() -> Result<()> {
    let random = &mut Random(7);
    let shapes: [(&str, &[usize]); 4] = [
        ("reduce.weight", &[4, 6, 1]),
        ("reduce.bias", &[4]),
        ("expand.weight", &[6, 4, 1]),
        ("expand.bias", &[6]),
    ];
    let values = shapes.map(|(name, shape)| (name, random.tensor(shape, DType::F64)));
    let values: Vec<_> = values
        .into_iter()
        .map(|(name, value)| Ok((name, value?)))
        .collect::<Result<_>>()?;
    let (_, vb) = variables(&values.iter().map(|(name, value)| (*name, value)).collect::<Vec<_>>())?;
    let gate = SeGate::new(6, 4, vb)?;
    check(&random.tensor(&[3, 6, 5], DType::F64)?, |x| gate.forward(x));
    Ok(())
}

#[test]
fn dropout_draws_the_same_mask_backwards() -> Result<()> {
    let dropout = Dropout::new(0.4, "d")?;
    let pass = Pass::Train {
        seed: 3,
        step: 8,
        rows: &[],
    };
    check(&Random(8).tensor(&[3, 4, 5], DType::F64)?, |x| dropout.forward(x, pass));
    Ok(())
}

#[test]
fn losses() -> Result<()> {
    let logits = (Random(9).tensor(&[5, 4, 1], DType::F64)? * 3.0)?;
    let targets = &Tensor::new(&[0u32, 3, 1, 1, 2], &Device::Cpu)?;
    let weights = &Tensor::new(&[1.0, 0.0, -2.0, 0.5, 3.0], &Device::Cpu)?;
    check(&logits, |z| cross_entropy(&z.squeeze(2)?, targets));
    check(&logits, |z| {
        cross_entropy_rows(&z.squeeze(2)?, targets)?.mul(weights)?.sum_all()
    });
    check(&logits, |z| softmax(&z.squeeze(2)?));
    Ok(())
}
