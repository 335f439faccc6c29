//! Helpers shared by the tests.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;

pub mod bounds;
pub mod convolution;
pub mod corners;
pub mod paths;

/// How many random cases a property is tried on: `usual`, or what `CROSSRIG_PROPTEST_CASES` says.
pub fn cases(usual: usize) -> usize {
    std::env::var("CROSSRIG_PROPTEST_CASES").map_or(usual, |n| n.parse().expect("a number of cases"))
}

/// Seeded numbers, the same on every machine (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() % (high - low + 1) as u64) as usize
    }

    /// From -1 to 1.
    pub fn value(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Values between -1 and 1.
    pub fn tensor(&mut self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| self.value()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }

    /// Distinct f64 values between -2 and 2 in random order, a grid with its points half a step from 0: the nearest two are `4 / count`
    /// apart, so no step of a finite difference meets a kink at 0 or a tie.
    pub fn apart(&mut self, shape: &[usize]) -> Result<Tensor> {
        let count: usize = shape.iter().product();
        let step = 4.0 / count.max(1) as f64;
        let mut values: Vec<f64> = (0..count)
            .map(|i| step * (i as f64 - count.div_ceil(2) as f64 + 0.5))
            .collect();
        for i in (1..count).rev() {
            values.swap(i, self.between(0, i));
        }
        Tensor::from_vec(values, shape, &Device::Cpu)
    }

    /// Whole numbers from -2 to 2, of which many are equal.
    pub fn ties(&mut self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| self.between(0, 4) as f64 - 2.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
    }
}

/// The same values in another memory order: length outermost.
pub fn strided(x: &Tensor) -> Result<Tensor> {
    x.transpose(0, 2)?.contiguous()?.transpose(0, 2)
}

/// `f(x)` and the gradient of `sum(f(x) g)` with respect to `x`.
pub fn with_gradient(x: &Tensor, g: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<(Tensor, Tensor)> {
    let x = Var::from_tensor(&x.detach())?;
    let y = f(&x)?;
    let gradients = (&y * g)?.sum_all()?.backward()?;
    let dx = gradients.get(&x).expect("a gradient").clone();
    Ok((y.detach(), dx))
}

pub fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .and_then(|x| x.flatten_all()?.to_vec1())
        .expect("values")
}

/// The bits of an f32 tensor.
pub fn bits(x: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = x.flatten_all().and_then(|x| x.to_vec1()).expect("f32 values");
    values.into_iter().map(f32::to_bits).collect()
}

/// Fails unless shapes are equal and each difference is within `tolerance` of the largest value
/// (at least 1); NaN equals NaN.
#[track_caller]
pub fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}: shape");
    let (found, expected) = (flat(found), flat(expected));
    let scale = expected
        .iter()
        .filter(|x| x.is_finite())
        .fold(1.0f64, |m, x| m.max(x.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance * scale;
        assert!(same, "{what}: element {i}: found {f}, expected {e}");
    }
}

/// Some hundred additions and products in a row.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        _ => 1e-5,
    }
}

pub fn fixtures() -> HashMap<String, Tensor> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/layers.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).expect("fixtures")
}

/// Variables that start with the given values, for a `VarBuilder`.
pub fn variables(values: &[(&str, &Tensor)]) -> Result<(HashMap<String, Var>, VarBuilder<'static>)> {
    let mut variables = HashMap::new();
    for (name, value) in values {
        variables.insert((*name).to_string(), Var::from_tensor(&value.detach())?);
    }
    let dtype = values.first().map_or(DType::F64, |(_, value)| value.dtype());
    let store = Store(variables.clone());
    Ok((variables, VarBuilder::from_backend(Box::new(store), dtype, Device::Cpu)))
}

/// Hands out the variables themselves, not copies.
struct Store(HashMap<String, Var>);

impl candle_nn::var_builder::SimpleBackend for Store {
    fn get(
        &self,
        shape: candle_core::Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        match self.0.get(name) {
            Some(variable) => Ok(variable.as_tensor().clone()),
            None => init
                .var(shape, dtype, device)
                .map(|variable| variable.as_tensor().clone()),
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
