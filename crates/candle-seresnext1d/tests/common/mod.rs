//! Where the tests' variables come from.
#![allow(dead_code)] // each test file takes what it needs

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

pub mod margin;

/// How many random cases a property is tried on: `usual`, or what `CROSSRIG_PROPTEST_CASES` says.
pub fn cases(usual: usize) -> usize {
    std::env::var("CROSSRIG_PROPTEST_CASES").map_or(usual, |n| n.parse().expect("a number of cases"))
}

/// Whole numbers by formula.
pub struct Numbers(std::vec::IntoIter<f64>);

impl Numbers {
    pub fn new(name: &str) -> Self {
        Self(formula(name, 64).into_iter())
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        let unit = f64::midpoint(self.0.next().expect("numbers left"), 1.0);
        low + (unit * (high - low + 1) as f64) as usize
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }
}

/// Whether a variable is trained: all but batch norm's running values.
pub fn trainable(name: &str) -> bool {
    !["running_mean", "running_var", "batches"].contains(&name.rsplit('.').next().unwrap_or(name))
}

/// `count` values in [-1, 1): splitmix64 seeded with the FNV-1a hash of the name,
/// as in `fixtures/make_fixtures.py`.
pub fn formula(name: &str, count: usize) -> Vec<f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=count as u64)
        .map(|i| {
            let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let z = z ^ (z >> 31);
            (z >> 11) as f64 * 2f64.powi(-52) - 1.
        })
        .collect()
}

/// The formula scaled to what a tensor of that name usually holds, rounded to f32.
pub fn value(name: &str, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let (offset, scale) = match (last, shape) {
        ("weight", &[_, c_in, kernel]) => (0., (6. / (c_in * kernel) as f64).sqrt()),
        ("weight" | "running_var", _) => (1., 0.3),
        ("bias" | "running_mean", _) => (0., 0.3),
        _ => (0., 1.),
    };
    scaled(name, shape, offset, scale, dtype)
}

/// `offset + scale * formula`, rounded to f32.
pub fn scaled(name: &str, shape: &[usize], offset: f64, scale: f64, dtype: DType) -> Result<Tensor> {
    let values: Vec<f32> = formula(name, shape.iter().product())
        .into_iter()
        .map(|u| (offset + scale * u) as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)
}

/// The windows that fixtures and tests put in.
pub fn windows(shape: (usize, usize, usize), dtype: DType) -> Result<Tensor> {
    let shape = [shape.0, shape.1, shape.2];
    // 1.7 times a value that is already rounded, as the script has it
    let base = value("windows", &shape, DType::F64)?;
    (base * 1.7)?.to_dtype(DType::F32)?.to_dtype(dtype)
}

type Variables = Arc<Mutex<BTreeMap<String, Var>>>;

/// Variables that hold the formula's values and stay reachable by name.
#[derive(Clone, Default)]
pub struct Formula(Variables);

impl Formula {
    pub fn builder(&self, dtype: DType) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, Device::Cpu)
    }

    pub fn variables(&self) -> BTreeMap<String, Var> {
        self.0.lock().unwrap().clone()
    }

    pub fn trainable(&self) -> BTreeMap<String, Var> {
        let mut variables = self.variables();
        variables.retain(|name, _| trainable(name));
        variables
    }
}

impl SimpleBackend for Formula {
    fn get(&self, s: Shape, name: &str, _: Init, dtype: DType, _: &Device) -> Result<Tensor> {
        let mut variables = self.0.lock().unwrap();
        if let Some(variable) = variables.get(name) {
            return Ok(variable.as_tensor().clone());
        }
        // no domain has been trained on yet
        let tensor = if name.ends_with("batches") {
            Tensor::zeros(s, dtype, &Device::Cpu)?
        } else {
            value(name, s.dims(), dtype)?
        };
        let variable = Var::from_tensor(&tensor)?;
        variables.insert(name.to_owned(), variable.clone());
        Ok(variable.as_tensor().clone())
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains_key(name)
    }
}

/// Counts what a network asks for and hands out zeros that take no memory.
#[derive(Clone, Default)]
pub struct Counter(Arc<Mutex<BTreeMap<String, Shape>>>);

impl Counter {
    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), DType::F32, Device::Cpu)
    }

    /// Shapes of everything asked for, by name.
    pub fn shapes(&self) -> BTreeMap<String, Shape> {
        self.0.lock().unwrap().clone()
    }

    /// Trained parameters and batch norm's running values.
    pub fn counts(&self) -> (usize, usize) {
        let names = self.0.lock().unwrap();
        names.iter().fold((0, 0), |(trained, running), (name, shape)| {
            let count = shape.elem_count();
            if trainable(name) {
                (trained + count, running)
            } else {
                (trained, running + count)
            }
        })
    }
}

impl SimpleBackend for Counter {
    fn get(&self, s: Shape, name: &str, _: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let mut names = self.0.lock().unwrap();
        let before = names.insert(name.to_owned(), s.clone());
        assert!(before.is_none(), "{name} is asked for twice");
        Tensor::zeros((), dtype, dev)?.broadcast_as(s)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.lock().unwrap().contains_key(name)
    }
}

/// Variables that hold given values.
#[derive(Clone)]
pub struct Given(Arc<BTreeMap<String, Var>>);

impl Given {
    pub fn new(tensors: impl IntoIterator<Item = (String, Tensor)>, dtype: DType) -> Result<Self> {
        let variables = tensors
            .into_iter()
            .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor.to_dtype(dtype)?)?)))
            .collect::<Result<_>>()?;
        Ok(Self(Arc::new(variables)))
    }

    pub fn builder(&self, dtype: DType) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, Device::Cpu)
    }

    pub fn variables(&self) -> BTreeMap<String, Var> {
        (*self.0).clone()
    }
}

impl SimpleBackend for Given {
    fn get(&self, s: Shape, name: &str, _: Init, _: DType, _: &Device) -> Result<Tensor> {
        match self.0.get(name) {
            Some(variable) if variable.shape() == &s => Ok(variable.as_tensor().clone()),
            Some(variable) => candle_core::bail!("{name} is {:?}, asked for as {s:?}", variable.shape()),
            None => candle_core::bail!("{name} is not given"),
        }
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
