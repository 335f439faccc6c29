//! The layers with parameters, and what the functions refuse.

mod common;

use candle_convnet1d::{Conv1d, Conv1dConfig, Conv1dParams, Linear, composed, conv1d, linear};
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_gradcheck::GradCheck;
use candle_nn::{Init, VarBuilder, VarMap};
use common::{Random, assert_close, flat, variables};

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T>, expected: &str) {
    let error = match result.expect_err("an error") {
        candle_core::Error::WithBacktrace { inner, .. } => *inner,
        error => error,
    };
    let candle_core::Error::Wrapped(inner) = &error else {
        panic!("{error:?}")
    };
    assert!(inner.to_string().contains(expected), "{inner}");
}

fn ones(shape: &[usize]) -> Result<Tensor> {
    Tensor::ones(shape, DType::F32, &Device::Cpu)
}

#[test]
fn a_convolution_refuses_what_does_not_fit() -> Result<()> {
    let plain = Conv1dParams::default();
    let x = &ones(&[2, 4, 5])?;
    for route in [conv1d, composed::conv1d] {
        let call = |weight: &[usize], params| route(x, &ones(weight)?, None, params);
        says(call(&[6, 4, 0], plain), "kernel must be 1 or more, found 0");
        says(
            call(&[6, 4, 1], Conv1dParams { stride: 0, ..plain }),
            "stride must be 1 or more",
        );
        says(
            call(&[6, 4, 1], Conv1dParams { dilation: 0, ..plain }),
            "dilation must be 1 or more",
        );
        says(
            call(&[6, 4, 1], Conv1dParams { groups: 0, ..plain }),
            "groups must be 1 or more",
        );
        says(call(&[6, 3, 1], plain), "expected a weight (c_out, 4 / 1, kernel)");
        says(
            call(&[6, 4, 1], Conv1dParams { groups: 2, ..plain }),
            "found a tensor of shape [6, 4, 1]",
        );
        says(
            call(&[5, 2, 1], Conv1dParams { groups: 2, ..plain }),
            "c_out a multiple of 2",
        );
        says(call(&[6, 4], plain), "expected a weight (c_out, c_in / groups, kernel)");
        says(call(&[6, 4, 6], plain), "expected an input of length 6 or more");
        says(
            call(
                &[6, 4, 3],
                Conv1dParams {
                    dilation: 4,
                    padding: 1.into(),
                    ..plain
                },
            ),
            "of length 7 or more",
        );
        says(
            call(
                &[6, 4, 3],
                Conv1dParams {
                    dilation: usize::MAX,
                    ..plain
                },
            ),
            "small enough",
        );
        says(
            call(
                &[6, 4, 3],
                Conv1dParams {
                    padding: (usize::MAX / 2).into(),
                    ..plain
                },
            ),
            "small enough",
        );
        says(
            route(&ones(&[4, 5])?, &ones(&[6, 4, 1])?, None, plain),
            "expected (batch, channels, length)",
        );
        says(
            route(x, &ones(&[6, 4, 1])?, Some(&ones(&[4])?), plain),
            "expected a bias (6,)",
        );
        let weight = ones(&[6, 4, 1])?.to_dtype(DType::F64)?;
        says(
            route(x, &weight, None, plain),
            "the weight must be f32 on Cpu as the input is, found f64 on Cpu",
        );
    }
    Ok(())
}

#[test]
fn a_convolution_layer_has_the_parameters_it_says() -> Result<()> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let config = Conv1dConfig {
        stride: 2,
        padding: 1.into(),
        groups: 2,
        ..Default::default()
    };
    let layer = Conv1d::new(64, 128, 3, config, vb.pp("a"))?;
    assert_eq!(layer.weight().dims(), [128, 32, 3]);
    assert_eq!(flat(layer.bias().expect("a bias")), [0.0; 128]);
    // He: the variance is 2 over the fan-in; 12,288 values have a mean square within 10 % of it
    let mean_square = layer.weight().sqr()?.mean_all()?.to_scalar::<f32>()?;
    assert!((mean_square * 96.0 / 2.0 - 1.0).abs() < 0.1, "{mean_square}");
    assert_eq!(layer.forward(&ones(&[3, 64, 9])?)?.dims(), [3, 128, 5]);
    assert!(
        Conv1d::new(64, 128, 3, Conv1dConfig { bias: false, ..config }, vb.pp("b"))?
            .bias()
            .is_none()
    );
    let names: Vec<String> = {
        let mut names: Vec<_> = map.data().lock().expect("the map").keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names, ["a.bias", "a.weight", "b.weight"]);
    says(
        Conv1d::new(64, 127, 3, config, vb.pp("c")),
        "groups must be a divisor of 64 input and of 127 output channels",
    );
    says(Conv1d::new(64, 128, 0, config, vb.pp("c")), "kernel must be 1 or more");
    Ok(())
}

#[test]
fn linear_is_its_definition_with_right_gradients() -> Result<()> {
    let random = &mut Random(1);
    for (n, inputs, outputs) in [(1, 1, 1), (2, 3, 4), (5, 7, 2)] {
        let x = random.tensor(&[n, inputs], DType::F64)?;
        let weight = random.tensor(&[outputs, inputs], DType::F64)?;
        let bias = random.tensor(&[outputs], DType::F64)?;
        let (xs, ws, bs) = (flat(&x), flat(&weight), flat(&bias));
        let expected: Vec<f64> = (0..n * outputs)
            .map(|i| {
                let (row, o) = (i / outputs, i % outputs);
                bs[o]
                    + (0..inputs)
                        .map(|k| xs[row * inputs + k] * ws[o * inputs + k])
                        .sum::<f64>()
            })
            .collect();
        let expected = Tensor::from_vec(expected, (n, outputs), &Device::Cpu)?;
        assert_close(&linear(&x, &weight, Some(&bias))?, &expected, 1e-14, "y");
        let (_, vb) = variables(&[("weight", &weight), ("bias", &bias)])?;
        assert_close(&Linear::new(inputs, outputs, vb)?.forward(&x)?, &expected, 1e-14, "y");
        let turned = x.t()?.contiguous()?.t()?;
        for x in [x, turned] {
            let verdict = GradCheck::default().check(&[x, weight.clone(), bias.clone()], |t| {
                linear(&t[0], &t[1], Some(&t[2]))
            });
            assert!(verdict.is_ok(), "{verdict:?}");
        }
    }
    Ok(())
}

#[test]
fn linear_starts_and_refuses_as_it_says() -> Result<()> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let layer = Linear::new(100, 50, vb.pp("a"))?;
    // uniform up to sqrt(6 / 150) = 0.2
    let largest = flat(layer.weight()).into_iter().fold(0.0, |m: f64, w| m.max(w.abs()));
    assert!((0.19..=0.2001).contains(&largest), "{largest}");
    assert_eq!(flat(layer.bias()), [0.0; 50]);
    let layer = Linear::with_init(3, 2, Init::Const(0.5), vb.pp("b"))?;
    assert_eq!(flat(layer.weight()), [0.5; 6]);
    says(
        layer.forward(&ones(&[2, 4])?),
        "linear: expected (batch, 3), found a tensor of shape [2, 4]",
    );
    says(layer.forward(&ones(&[2, 1, 3])?), "expected (batch, 3)");
    says(
        linear(&ones(&[2, 3])?, &ones(&[3])?, None),
        "expected a weight (outputs, inputs)",
    );
    says(
        linear(&ones(&[2, 3])?, &ones(&[4, 3])?, Some(&ones(&[3])?)),
        "expected a bias (4,)",
    );
    Ok(())
}
