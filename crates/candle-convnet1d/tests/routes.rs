//! Kernels and compositions of candle's operations are the same functions, in values and in
//! gradients, over random shapes, in f32 and f64, contiguous or not.

mod common;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Pass, SeGate, Statistics, adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d,
    composed, cross_entropy_rows, global_avg_pool1d, global_max_pool1d, max_pool1d, relu, softmax,
};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use common::{Random, assert_close, strided, tolerance, variables, with_gradient};

/// Random shapes for each layer.
const CASES: usize = 60;

fn agree(
    random: &mut Random,
    x: &Tensor,
    what: &str,
    kernel: impl Fn(&Tensor) -> Result<Tensor>,
    composition: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<()> {
    let g = random.tensor(composition(x)?.dims(), x.dtype())?;
    let (expected, expected_dx) = with_gradient(x, &g, composition)?;
    for x in [x.clone(), strided(x)?] {
        // the layout is inside the function, since a variable is contiguous
        let (found, found_dx) = with_gradient(&x, &g, &kernel)?;
        assert_close(&found, &expected, tolerance(x.dtype()), what);
        assert_close(&found_dx, &expected_dx, tolerance(x.dtype()), what);
        let (found, found_dx) = with_gradient(&x, &g, |x| kernel(&strided(x)?))?;
        assert_close(&found, &expected, tolerance(x.dtype()), what);
        assert_close(&found_dx, &expected_dx, tolerance(x.dtype()), what);
    }
    Ok(())
}

fn random_shape(random: &mut Random) -> [usize; 3] {
    [random.between(2, 4), random.between(1, 5), random.between(1, 70)]
}

fn random_dtype(random: &mut Random) -> DType {
    [DType::F32, DType::F64][random.between(0, 1)]
}

#[test]
fn relu_and_pools() -> Result<()> {
    let random = &mut Random(1);
    for _ in 0..CASES {
        let (shape, dtype) = (random_shape(random), random_dtype(random));
        let x = &random.ties(&shape, dtype)?;
        agree(random, x, "relu", relu, composed::relu)?;
        let kernel = random.between(1, shape[2].min(40));
        let (stride, padding) = (random.between(1, 5), random.between(0, kernel / 2));
        let what = format!("kernel {kernel} stride {stride} padding {padding} of {shape:?}");
        let (max, composed_max) = (max_pool1d, composed::max_pool1d);
        agree(
            random,
            x,
            &what,
            |x| max(x, kernel, stride, padding),
            |x| composed_max(x, kernel, stride, padding),
        )?;
        let (avg, composed_avg) = (avg_pool1d, composed::avg_pool1d);
        agree(
            random,
            x,
            &what,
            |x| avg(x, kernel, stride, padding),
            |x| composed_avg(x, kernel, stride, padding),
        )?;
        let outputs = random.between(1, 90);
        let what = format!("{outputs} bins of {shape:?}");
        agree(
            random,
            x,
            &what,
            |x| adaptive_max_pool1d(x, outputs),
            |x| composed::adaptive_max_pool1d(x, outputs),
        )?;
        agree(
            random,
            x,
            &what,
            |x| adaptive_avg_pool1d(x, outputs),
            |x| composed::adaptive_avg_pool1d(x, outputs),
        )?;
        agree(random, x, "global mean", global_avg_pool1d, |x| x.mean(2))?;
        agree(random, x, "global maximum", global_max_pool1d, |x| {
            composed::adaptive_max_pool1d(x, 1)?.squeeze(2)
        })?;
    }
    Ok(())
}

#[test]
fn nan_reaches_the_output_of_relu_and_of_max_pools_only_where_it_is_seen() -> Result<()> {
    let nan = f64::NAN;
    let x = &Tensor::new(&[[[1.0, nan, 0.0, 5.0, 5.0, nan, nan]]], &Device::Cpu)?;
    let g = |n: usize| Tensor::arange(1.0, 1.0 + n as f64, &Device::Cpu)?.reshape((1, 1, n));
    for f in [relu, composed::relu] {
        let (y, dx) = with_gradient(x, &g(7)?, f)?;
        assert_close(&y, x, 0.0, "relu");
        // the gradient passes at NaN, as in PyTorch
        assert_eq!(common::flat(&dx), [1.0, 2.0, 0.0, 4.0, 5.0, 6.0, 7.0]);
    }
    for f in [max_pool1d, composed::max_pool1d] {
        let (y, dx) = with_gradient(x, &g(5)?, |x| f(x, 3, 1, 0))?;
        assert_close(
            &y,
            &Tensor::new(&[[[nan, nan, 5.0, nan, nan]]], &Device::Cpu)?,
            0.0,
            "windows of 3",
        );
        // first of equal maxima, last of several NaN
        assert_eq!(common::flat(&dx), [0.0, 3.0, 0.0, 3.0, 0.0, 4.0, 5.0]);
    }
    // the same in a window that is long enough to be reduced in lanes
    for place in 0..50 {
        let mut values = vec![1.0; 50];
        values[place] = nan;
        let x = &Tensor::from_vec(values, (1, 1, 50), &Device::Cpu)?;
        for f in [adaptive_max_pool1d, composed::adaptive_max_pool1d] {
            let (y, dx) = with_gradient(x, &g(1)?, |x| f(x, 1))?;
            assert!(common::flat(&y)[0].is_nan());
            assert_eq!(common::flat(&dx)[place], 1.0);
        }
    }
    Ok(())
}

#[test]
fn windows_of_minus_infinity_have_a_maximum() -> Result<()> {
    let x = &Tensor::full(f32::NEG_INFINITY, (1, 2, 4), &Device::Cpu)?;
    let g = &Tensor::ones((1, 2, 2), DType::F32, &Device::Cpu)?;
    for f in [max_pool1d, composed::max_pool1d] {
        let (y, dx) = with_gradient(x, g, |x| f(x, 3, 2, 1))?;
        assert_eq!(common::flat(&y), [f64::NEG_INFINITY; 4]);
        assert_eq!(common::flat(&dx), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
    Ok(())
}

#[test]
fn batch_norm() -> Result<()> {
    let random = &mut Random(2);
    for _ in 0..CASES {
        let ([n, c, l], dtype) = (random_shape(random), random_dtype(random));
        let l = l.max(2);
        let (weight, bias) = (random.tensor(&[c], dtype)?, random.tensor(&[c], dtype)?);
        let first = random.between(0, n);
        let statistics = [Statistics::Joint, Statistics::PerDomain(3)][random.between(0, 1)];
        let layer = || -> Result<_> {
            let (vars, vb) = variables(&[("weight", &weight), ("bias", &bias)])?;
            // of momentum 1, so that it does not matter how often each of the two has run
            let config = BatchNormConfig {
                statistics,
                momentum: 1.0,
                ..Default::default()
            };
            Ok((vars, BatchNorm1d::new(c, config, vb)?))
        };
        let (vars, kernels) = layer()?;
        let (composed_vars, compositions) = layer()?;
        let what = format!("{:?} of {statistics:?}, {first} rows in domain 0", [n, c, l]);
        let x = (random.tensor(&[n, c, l], dtype)? + 3.0)?;
        let rows = [first, 0, n - first];
        for pass in [
            Pass::Train {
                seed: 0,
                step: 0,
                rows: &rows,
            },
            Pass::EVAL,
            Pass::Eval { domain: Some(2) },
        ] {
            let kernels = |x: &Tensor| kernels.forward(x, pass);
            agree(random, &x, &what, kernels, |x| compositions.forward_composed(x, pass))?;
            let g = random.tensor(&[n, c, l], dtype)?;
            let found = (kernels(&x)? * &g)?.sum_all()?.backward()?;
            let expected = (compositions.forward_composed(&x, pass)? * &g)?.sum_all()?.backward()?;
            for name in ["weight", "bias"] {
                let found = found.get(&vars[name]).expect("a gradient");
                let expected = expected.get(&composed_vars[name]).expect("a gradient");
                assert_close(found, expected, tolerance(dtype), &format!("{name}: {what}"));
            }
        }
    }
    Ok(())
}

#[test]
fn losses_and_gate() -> Result<()> {
    let random = &mut Random(3);
    for _ in 0..CASES {
        let ([n, c, l], dtype) = (random_shape(random), random_dtype(random));
        let logits = (random.tensor(&[n, c, 1], dtype)? * 5.0)?;
        let targets: Vec<u32> = (0..n).map(|_| random.between(0, c - 1) as u32).collect();
        let targets = &Tensor::from_vec(targets, n, &Device::Cpu)?;
        let (rows, composed_rows) = (cross_entropy_rows, composed::cross_entropy_rows);
        agree(
            random,
            &logits,
            "rows",
            |z| rows(&z.squeeze(2)?, targets),
            |z| composed_rows(&z.squeeze(2)?, targets),
        )?;
        agree(
            random,
            &logits,
            "softmax",
            |z| softmax(&z.squeeze(2)?),
            |z| composed::softmax(&z.squeeze(2)?),
        )?;

        let map = candle_nn::VarMap::new();
        let gate = SeGate::new(c, 3, VarBuilder::from_varmap(&map, dtype, &Device::Cpu))?;
        let x = random.tensor(&[n, c, l], dtype)?;
        agree(random, &x, "gate", |x| gate.forward(x), |x| gate.forward_composed(x))?;
    }
    Ok(())
}

#[test]
fn other_dtypes_of_the_cpu_are_composed() -> Result<()> {
    let x = Var::from_tensor(&Random(4).tensor(&[2, 3, 8], DType::BF16)?)?;
    let y = global_avg_pool1d(&max_pool1d(&relu(&x)?, 2, 2, 0)?)?;
    assert_eq!(y.dtype(), DType::BF16);
    assert!(y.sum_all()?.backward()?.get(&x).is_some());
    Ok(())
}
