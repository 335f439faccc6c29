//! The laws of gradient reversal, for every dtype, layout and lambda, with tolerance 0.
//!
//! `CROSSRIG_PROPTEST_CASES` sets the number of cases of each law; 4,096 without it.

mod element;
mod sample;

use candle_core::{Result, Tensor, Var};
use candle_gradient_reversal::{GradientReversal, gradient_reversal};
use element::{Element, read, same};
use half::{bf16, f16};
use proptest::prelude::*;
use sample::{Sample, devices, lambdas, values};

fn config() -> ProptestConfig {
    let cases = std::env::var("CROSSRIG_PROPTEST_CASES").map_or(4096, |n| n.parse().expect("a number of cases"));
    ProptestConfig {
        cases,
        // up to a fifth of the lambdas are infinite in f16
        max_global_rejects: cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs a law for one of the four dtypes, on every device there is.
macro_rules! for_dtype {
    ($number:expr, $law:ident($($argument:expr),*)) => {
        for device in devices() {
            match $number {
                0 => $law::<f16>(&device, $($argument),*)?,
                1 => $law::<bf16>(&device, $($argument),*)?,
                2 => $law::<f32>(&device, $($argument),*)?,
                _ => $law::<f64>(&device, $($argument),*)?,
            }
        }
    };
}

type Verdict = std::result::Result<(), TestCaseError>;

fn candle<T>(result: Result<T>) -> std::result::Result<T, TestCaseError> {
    result.map_err(|e| TestCaseError::fail(e.to_string()))
}

/// A tensor of arbitrary bit patterns.
fn bits<T: Element>(device: &candle_core::Device, dims: &[usize], seed: u64) -> Result<Tensor> {
    Tensor::from_vec(values::<T>(dims.iter().product(), seed), dims, device)
}

/// What the leaf's gradient is when the output's gradient is `dy`, or why there is none.
fn pulled_back(leaf: &Var, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let store = y.mul(dy)?.sum_all()?.backward()?;
    store
        .get(leaf)
        .cloned()
        .ok_or_else(|| candle_core::Error::msg("no gradient in the store"))
}

/// What candle's store makes of a gradient: it adds each to zeros, which changes nothing but bf16 subnormals, and those only
/// in whole vectors of processors with AVX-512 BF16 instructions, which flush them to zero.
fn stored(gradient: &Tensor) -> Result<Tensor> {
    gradient.zeros_like()?.add(gradient)
}

fn elementwise<T: Element>(a: &Tensor, f: impl Fn(T) -> T) -> Result<Tensor> {
    let values: Vec<T> = read(a)?.into_iter().map(f).collect();
    Tensor::from_vec(values, a.dims(), a.device())
}

fn the_result_has_the_bits_of_the_input<T: Element>(
    device: &candle_core::Device,
    sample: &Sample,
    lambda: f64,
) -> Verdict {
    prop_assume!(T::nearest(-lambda).is_finite());
    let x = candle(bits::<T>(device, &sample.dims, sample.seed).and_then(|base| sample.view(&base)))?;
    let y = candle(gradient_reversal(&x, lambda))?;
    prop_assert_eq!(y.dims(), x.dims());
    prop_assert_eq!(y.dtype(), x.dtype());
    prop_assert!(y.is_contiguous());
    let bits = |t: &Tensor| candle(read::<T>(t)).map(|v| v.into_iter().map(T::bits).collect::<Vec<_>>());
    prop_assert_eq!(bits(&y)?, bits(&x)?);
    Ok(())
}

fn the_gradient_is_the_definition<T: Element>(device: &candle_core::Device, sample: &Sample, lambda: f64) -> Verdict {
    let constant = T::nearest(-lambda);
    let base = candle(bits::<T>(device, &sample.dims, sample.seed))?;
    let leaf = candle(Var::from_tensor(&base))?;
    let x = candle(sample.view(&leaf))?;
    let y = gradient_reversal(&x, lambda);
    if !constant.is_finite() {
        prop_assert!(y.is_err(), "{lambda:e} is infinite in {:?}", x.dtype());
        return Ok(());
    }
    let y = candle(y)?;
    let dy = candle(bits::<T>(device, y.dims(), !sample.seed))?;
    let got = candle(pulled_back(&leaf, &y, &dy))?;

    // The definition at the reversal, then candle's own way through the same views to the leaf.
    let dx = candle(stored(&dy).and_then(|dy| elementwise::<T>(&dy, |dy| constant.times(dy))))?;
    let twin = candle(Var::from_tensor(&base))?;
    let expected = if dx.elem_count() > 0 {
        candle(sample.view(&twin).and_then(|x| pulled_back(&twin, &x, &dx)))?
    } else {
        candle(base.zeros_like())?
    };
    prop_assert_eq!(got.dims(), base.dims());
    prop_assert_eq!(got.dtype(), base.dtype());
    same::<T>(&candle(read(&got))?, &candle(read(&expected))?)
}

fn a_reversal_of_a_reversal_rounds_twice<T: Element>(
    device: &candle_core::Device,
    n: usize,
    seed: u64,
    lambdas: (f64, f64),
) -> Verdict {
    let (outer, inner) = (T::nearest(-lambdas.0), T::nearest(-lambdas.1));
    prop_assume!(outer.is_finite() && inner.is_finite());
    let leaf = candle(bits::<T>(device, &[n], seed).and_then(|x| Var::from_tensor(&x)))?;
    let y = candle(gradient_reversal(&leaf, lambdas.1).and_then(|y| gradient_reversal(&y, lambdas.0)))?;
    let dy = candle(bits::<T>(device, &[n], !seed))?;
    let got = candle(pulled_back(&leaf, &y, &dy))?;
    let step = |factor: T, dy: &Tensor| stored(&elementwise::<T>(dy, |dy| factor.times(dy))?);
    let expected = candle(stored(&dy).and_then(|dy| step(inner, &step(outer, &dy)?)))?;
    same::<T>(&candle(read(&got))?, &candle(read(&expected))?)
}

/// For fewer elements than candle's vectors hold, where [`stored`] changes nothing: which of two gradients it would flush
/// depends on the order in which candle walks the graph.
fn a_feature_with_two_heads_gets_the_sum<T: Element>(
    device: &candle_core::Device,
    n: usize,
    seed: u64,
    lambda: f64,
) -> Verdict {
    let constant = T::nearest(-lambda);
    prop_assume!(constant.is_finite());
    let gradient = || -> Result<(Tensor, Tensor)> {
        let leaf = Var::from_tensor(&bits::<T>(device, &[n], seed)?)?;
        let (label, domain) = (bits::<T>(device, &[n], seed + 1)?, bits::<T>(device, &[n], seed + 2)?);
        let heads = (
            leaf.mul(&label)?.sum_all()?,
            gradient_reversal(&leaf, lambda)?.mul(&domain)?.sum_all()?,
        );
        let store = (heads.0 + heads.1)?.backward()?;
        let got = store
            .get(&leaf)
            .cloned()
            .ok_or_else(|| candle_core::Error::msg("no gradient in the store"))?;
        Ok((got, label.add(&elementwise::<T>(&domain, |dy| constant.times(dy))?)?))
    };
    let (got, expected) = candle(gradient())?;
    same::<T>(&candle(read(&got))?, &candle(read(&expected))?)
}

fn lambda_zero_leaves_zeros_in_the_store<T: Element>(device: &candle_core::Device, sample: &Sample) -> Verdict {
    let leaf = candle(bits::<T>(device, &sample.dims, sample.seed).and_then(|x| Var::from_tensor(&x)))?;
    let y = candle(sample.view(&leaf).and_then(|x| gradient_reversal(&x, 0.0)))?;
    // finite gradients: 0 times infinity is NaN, as IEEE has it
    let dy = candle(elementwise::<T>(
        &candle(bits::<T>(device, y.dims(), !sample.seed))?,
        |dy| {
            if dy.is_finite() { dy } else { T::nearest(1.0) }
        },
    ))?;
    let got = candle(pulled_back(&leaf, &y, &dy).and_then(|g| read::<T>(&g)))?;
    prop_assert!(got.into_iter().all(|g| g == T::nearest(0.0)));
    Ok(())
}

/// Just above half way between two f16 numbers, and half way to f32: rounded by way of f32 it would become the even one.
#[test]
fn lambda_is_rounded_once() -> Result<()> {
    let lambda = 1.0 + 2f64.powi(-11) + 2f64.powi(-30);
    for device in devices() {
        let one = Tensor::ones(1, candle_core::DType::F16, &device)?;
        let leaf = Var::from_tensor(&one)?;
        let dx = pulled_back(&leaf, &gradient_reversal(&leaf, lambda)?, &one)?;
        assert_eq!(dx.to_vec1::<f16>()?, [f16::from_f32(-1.0 - 2f32.powi(-10))]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn forward_is_the_identity_bit_for_bit(dtype in 0..4, sample in Sample::any(), lambda in lambdas()) {
        for_dtype!(dtype, the_result_has_the_bits_of_the_input(&sample, lambda));
    }

    #[test]
    fn backward_is_the_definition(dtype in 0..4, sample in Sample::any(), lambda in lambdas()) {
        for_dtype!(dtype, the_gradient_is_the_definition(&sample, lambda));
    }

    #[test]
    fn a_reversal_can_be_reversed(dtype in 0..4, n in 0usize..40, seed: u64, lambdas in (lambdas(), lambdas())) {
        for_dtype!(dtype, a_reversal_of_a_reversal_rounds_twice(n, seed, lambdas));
    }

    #[test]
    fn one_feature_can_feed_two_heads(dtype in 0..4, n in 1usize..32, seed in 0..u64::MAX - 2, lambda in lambdas()) {
        for_dtype!(dtype, a_feature_with_two_heads_gets_the_sum(n, seed, lambda));
    }

    #[test]
    fn lambda_zero_gives_zeros_that_are_present(dtype in 0..4, sample in Sample::any()) {
        for_dtype!(dtype, lambda_zero_leaves_zeros_in_the_store(&sample));
    }

    #[test]
    fn the_signed_factor_is_minus_lambda(lambda in lambdas(), n in 1usize..9, seed: u64) {
        prop_assume!(f64::nearest(lambda).is_finite());
        let gradient = |reversal: GradientReversal| -> Result<Vec<f64>> {
            let leaf = Var::from_tensor(&bits::<f64>(&candle_core::Device::Cpu, &[n], seed)?)?;
            let dy = bits::<f64>(&candle_core::Device::Cpu, &[n], !seed)?;
            read(&pulled_back(&leaf, &reversal.forward(&leaf)?, &dy)?)
        };
        let signed = candle(GradientReversal::from_signed(-lambda))?;
        prop_assert_eq!(signed.lambda(), lambda);
        same::<f64>(&candle(gradient(signed))?, &candle(GradientReversal::new(lambda).and_then(gradient))?)?;
    }
}
