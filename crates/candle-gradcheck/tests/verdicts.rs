//! Right gradients pass, wrong ones are named.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use candle_gradcheck::{Error, GradCheck, Place, Report, Worst};
use proptest::prelude::*;

const CPU: Device = Device::Cpu;

fn tensor(shape: impl Into<Shape>, values: impl Fn(usize) -> f64) -> Tensor {
    let shape = shape.into();
    let values: Vec<f64> = (0..shape.elem_count()).map(values).collect();
    Tensor::from_vec(values, shape, &CPU).unwrap()
}

/// Values of size 1 without a pattern.
fn spread(k: usize) -> f64 {
    (1.0 + 7.3 * k as f64).sin() + 0.1
}

fn mismatch(result: std::result::Result<Report, Error>) -> Report {
    match result {
        Err(Error::Mismatch(report)) => *report,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

/// `x^2`, whose backward pass is right but for one element, where it is off by `by`.
struct Square {
    at: usize,
    by: f64,
}

impl CustomOp1 for Square {
    fn name(&self) -> &'static str {
        "square"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = storage.as_slice::<f64>()?;
        let y = candle_core::cpu_backend::unary_map(x, layout, |x| x * x);
        Ok((CpuStorage::F64(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let n = x.elem_count();
        let off = tensor(x.dims(), |k| if k == self.at % n { self.by } else { 0.0 });
        Ok(Some(((x * 2.0)? + off)?.mul(dy)?))
    }
}

#[test]
fn defaults_are_those_of_torch() {
    let GradCheck {
        eps,
        atol,
        rtol,
        allow_missing,
        ..
    } = GradCheck::default();
    assert_eq!((eps, atol, rtol, allow_missing), (1e-6, 1e-5, 1e-3, false));
}

#[test]
fn candles_wrong_conv1d_weight_gradient_is_caught() {
    // Two rows and two output channels in one group: dW is [7, 17] for the output gradient
    // [[1,0,0],[0,1,0]], [[0,0,1],[1,1,1]], and candle 0.11.1 returns [6, 18].
    let x = Tensor::new(&[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0f64]]], &CPU).unwrap();
    let w = Tensor::new(&[[[0.5]], [[-0.25f64]]], &CPU).unwrap();
    let dy = Tensor::new(
        &[
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0f64]],
        ],
        &CPU,
    )
    .unwrap();
    let conv = |t: &[Tensor]| x.conv1d(&t[0], 0, 1, 1, 1);

    let found = mismatch(GradCheck::default().check(std::slice::from_ref(&w), |t| conv(t)?.mul(&dy)?.sum_all()));
    assert_eq!((found.checked, found.failed), (2, 2), "{found}");
    assert_eq!(
        (found.worst.input, &found.worst.index),
        (0, &Place::Element(vec![0, 0, 0])),
        "{found}"
    );
    assert_eq!(found.worst.analytic, 6.0);
    // 1e-16 / eps, times the size of the values
    assert!((found.worst.numeric - 7.0).abs() < 1e-8, "{found}");

    // element by element of the output, and by random cotangents
    for max_outputs in [128, 1] {
        let check = GradCheck {
            max_outputs,
            ..GradCheck::default()
        };
        mismatch(check.check(std::slice::from_ref(&w), conv));
    }
    // one row at a time candle is right
    let row = x.narrow(0, 1, 1).unwrap();
    GradCheck::default()
        .check(&[row, w], |t| t[0].conv1d(&t[1], 0, 1, 1, 1))
        .unwrap();
}

#[test]
fn candles_wrong_conv1d_input_gradient_is_caught() {
    // padding 0, dilation 1, two rows
    let x = tensor((2, 1, 3), spread);
    let w = tensor((2, 1, 1), |k| spread(k + 6));
    let found = mismatch(GradCheck::default().check(&[x], |t| t[0].conv1d(&w, 0, 1, 1, 1)));
    assert_eq!(found.worst.input, 0);
}

#[test]
fn candles_wrong_max_pool_gradient_is_caught() {
    let x = tensor((1, 1, 2, 4), spread);
    let found = mismatch(GradCheck::default().check(&[x], |t| t[0].max_pool2d(2)));
    assert_eq!(found.worst.analytic, 0.25, "{found}");
}

#[test]
fn every_derivative_is_compared_and_counted() {
    let a = tensor((2, 3), spread);
    let b = tensor((3, 4), |k| spread(k + 9));
    let report = GradCheck::default()
        .check(&[a, b], |t| t[0].matmul(&t[1])?.tanh())
        .unwrap();
    assert_eq!((report.checked, report.failed), (8 * (6 + 12), 0));
}

#[test]
fn a_scalar_output_and_a_scalar_input_are_fine() {
    let x = tensor((), |_| 0.7);
    let report = GradCheck::default().check(&[x], |t| t[0].exp()).unwrap();
    assert_eq!(report.checked, 1);
    assert_eq!(report.worst.index, Place::Element(vec![]));
}

#[test]
fn the_worst_element_is_named() {
    let x = tensor((3, 4), spread);
    let op = |t: &[Tensor]| t[0].apply_op1(Square { at: 6, by: 0.5 });
    let Report { failed, worst, .. } = mismatch(GradCheck::default().check(std::slice::from_ref(&x), op));
    let Worst {
        input,
        index,
        output,
        analytic,
        numeric,
        difference,
        tolerance,
        ..
    } = worst;
    assert_eq!((failed, input), (1, 0));
    assert_eq!(index, Place::Element(vec![1, 2]));
    assert_eq!(output, Place::Element(vec![1, 2]));
    assert_eq!(analytic, 2.0 * spread(6) + 0.5);
    assert!((numeric - 2.0 * spread(6)).abs() < 1e-9);
    assert_eq!(difference, (analytic - numeric).abs());
    assert_eq!(tolerance, 1e-5 + 1e-3 * numeric.abs());
}

#[test]
fn the_message_says_where_and_how_far() {
    let x = tensor(3, spread);
    let error = GradCheck::default()
        .check(&[x], |t| t[0].apply_op1(Square { at: 2, by: 1.0 }))
        .unwrap_err();
    let message = error.to_string();
    for part in [
        "1 of 9",
        "output element [2]",
        "input 0 element [2]",
        "analytic",
        "numeric",
        "tolerance",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn tolerance_is_relative_to_the_numeric_derivative() {
    // Off by 1 at a derivative of 2e3: within 1e-3 * 2000 + 1e-5, beyond 4e-4 * 2000.
    let x = tensor(1, |_| 1e3);
    let op = |t: &[Tensor]| t[0].apply_op1(Square { at: 0, by: 1.0 });
    GradCheck::default().check(std::slice::from_ref(&x), op).unwrap();
    mismatch(
        GradCheck {
            rtol: 4e-4,
            ..GradCheck::default()
        }
        .check(std::slice::from_ref(&x), op),
    );
    mismatch(
        GradCheck {
            rtol: 0.0,
            ..GradCheck::default()
        }
        .check(std::slice::from_ref(&x), op),
    );
    // Off by 1e3: beyond 0.4 * 2000, though within 0.4 * 3000.
    mismatch(
        GradCheck {
            rtol: 0.4,
            ..GradCheck::default()
        }
        .check(&[x], |t| t[0].apply_op1(Square { at: 0, by: 1e3 })),
    );
}

#[test]
fn a_large_input_is_moved_along_directions() {
    let x = tensor((40, 50), spread);
    let report = GradCheck::default().check(&[x], |t| t[0].sqr()?.sum_all()).unwrap();
    assert_eq!(report.checked, 8);
    assert!(matches!(report.worst.index, Place::Random(_)), "{report}");
}

#[test]
fn a_wrong_element_of_a_large_input_and_output_is_found_and_named() {
    for at in [0, 1234, 1999] {
        let x = tensor((40, 50), spread);
        let found = mismatch(GradCheck::default().check(&[x], |t| t[0].apply_op1(Square { at, by: 0.1 })));
        assert_eq!(found.worst.index, Place::Element(vec![at / 50, at % 50]), "{found}");
        assert!(matches!(found.worst.output, Place::Random(_)));
    }
}

#[test]
fn a_missing_gradient_is_an_error() {
    let (x, y) = (tensor(3, spread), tensor(3, |k| spread(k + 3)));
    let result = GradCheck::default().check(&[x, y], |t| t[0].mul(&t[1].detach()));
    assert!(matches!(result, Err(Error::MissingGradient { input: 1 })), "{result:?}");
}

#[test]
fn a_missing_gradient_may_be_allowed_but_must_be_zero() {
    let allowing = GradCheck {
        allow_missing: true,
        ..GradCheck::default()
    };
    let (x, y) = (tensor(3, spread), tensor(3, |k| spread(k + 3)));
    // y takes no part
    allowing.check(&[x.clone(), y.clone()], |t| t[0].sqr()).unwrap();
    // y takes part, and its gradient is cut off
    let found = mismatch(allowing.check(&[x, y], |t| t[0].mul(&t[1].detach())));
    assert_eq!((found.worst.input, found.worst.analytic), (1, 0.0));
}

#[test]
fn a_kink_is_a_mismatch() {
    // candle says 1 at 0, PyTorch 0, and the differences see 1/2
    let x = tensor(1, |_| 0.0);
    let found = mismatch(GradCheck::default().check(&[x], |t| t[0].relu()));
    assert_eq!((found.worst.analytic, found.worst.numeric), (1.0, 0.5));
}

#[test]
fn nan_never_passes() {
    let x = tensor(2, |k| k as f64 - 1.0);
    let found = mismatch(GradCheck::default().check(&[x], |t| t[0].log()));
    assert!(!found.worst.difference.is_finite(), "{found}");
}

#[test]
fn a_function_that_draws_random_numbers_is_refused() {
    let calls = std::cell::Cell::new(0.0);
    let x = tensor(2, spread);
    let result = GradCheck::default().check(&[x], |t| {
        calls.set(calls.get() + 1.0);
        &t[0] * calls.get()
    });
    assert!(matches!(result, Err(Error::NotDeterministic { .. })), "{result:?}");
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let check = GradCheck::default();
    let x = tensor(2, spread);
    let single = Tensor::new(&[1f32], &CPU).unwrap();
    let shared = tensor((1, 2), spread).broadcast_as((3, 2)).unwrap();
    let empty = tensor((2, 0), spread);
    let identity = |t: &[Tensor]| Ok(t[0].clone());
    assert!(matches!(
        check.check(&[single], identity),
        Err(Error::InputDType { input: 0, .. })
    ));
    assert!(matches!(
        check.check(&[x.clone(), shared], identity),
        Err(Error::Overlapping { input: 1, .. })
    ));
    assert!(matches!(
        check.check(&[empty], identity),
        Err(Error::Nothing { inputs: 0, outputs: 0 })
    ));
    assert!(matches!(
        check.check(std::slice::from_ref(&x), |t| t[0].to_dtype(candle_core::DType::F32)),
        Err(Error::OutputDType { .. })
    ));
    assert!(matches!(
        check.check(std::slice::from_ref(&x), |t| t[0].matmul(&t[0])),
        Err(Error::Candle(_))
    ));
    for broken in [
        GradCheck {
            eps: 0.0,
            ..check.clone()
        },
        GradCheck {
            atol: f64::NAN,
            ..check.clone()
        },
        GradCheck {
            rtol: -1.0,
            ..check.clone()
        },
        GradCheck {
            directions: 0,
            ..check.clone()
        },
    ] {
        assert!(matches!(
            broken.check(std::slice::from_ref(&x), identity),
            Err(Error::Setting { .. })
        ));
    }
}

#[test]
fn the_error_travels_as_a_candle_error() {
    let x = tensor(2, spread);
    let run = || -> Result<()> {
        GradCheck::default().check(&[x], |t| t[0].detach().sqr())?;
        Ok(())
    };
    let error = run().unwrap_err();
    assert!(error.to_string().contains("input 0 has no gradient"), "{error}");
}

#[test]
fn a_candle_error_stays_itself() {
    let x = tensor((2, 3), spread);
    let error = GradCheck::default().check(&[x], |t| t[0].matmul(&t[0])).unwrap_err();
    let text = error.to_string();
    assert_eq!(candle_core::Error::from(error).to_string(), text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_right_gradient_passes_and_one_off_by_more_than_the_tolerance_does_not(
        dims in prop::collection::vec(1usize..5, 0..4),
        at in 0usize..1000,
        by in prop::sample::select(vec![1e-2, -0.3, 20.0]),
        limits in prop::sample::select(vec![(1024, 128), (3, 128), (1024, 3), (3, 3)]),
        seed: u64,
    ) {
        let check = GradCheck { max_elements: limits.0, max_outputs: limits.1, seed, ..GradCheck::default() };
        let x = tensor(dims, spread);
        let at = at % x.elem_count();
        let right = check.check(std::slice::from_ref(&x), |t| t[0].apply_op1(Square { at, by: 0.0 }));
        prop_assert!(right.is_ok(), "{right:?}");
        let wrong = mismatch(check.check(std::slice::from_ref(&x), |t| t[0].apply_op1(Square { at, by })));
        let Place::Element(index) = wrong.worst.index else { panic!("an element is to blame") };
        let flat = index.iter().zip(x.dims()).fold(0, |flat, (i, n)| flat * n + i);
        prop_assert_eq!(flat, at);
    }
}
