//! A small smooth network in f64 whose parameters a test can hold in its hand.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::HashMap;
use std::sync::Mutex;

use candle_convnet1d::{Extractor, Linear, Pass};
use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_dann::{Batch, Dann, DannConfig, GradientReversal, LabelledRows, UnlabelledRows};
use candle_nn::VarBuilder;

pub const CHANNELS: usize = 2;
pub const LENGTH: usize = 3;
pub const FEATURES: usize = 5;
pub const CLASSES: usize = 3;

/// Shape of the windows and, in training, the rows of each domain.
type Call = (Vec<usize>, Option<Vec<usize>>);

/// `tanh(linear(window))`, which remembers how it was called.
pub struct Tanh {
    linear: Linear,
    pub calls: Mutex<Vec<Call>>,
}

impl Tanh {
    pub fn new(vb: &VarBuilder) -> Result<Self> {
        let linear = Linear::new(CHANNELS * LENGTH, FEATURES, vb.pp("linear"))?;
        Ok(Self {
            linear,
            calls: Mutex::default(),
        })
    }
}

impl Extractor for Tanh {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let rows = match pass {
            Pass::Train { rows, .. } => Some(rows.to_vec()),
            Pass::Eval { .. } => None,
        };
        self.calls.lock().expect("calls").push((x.dims().to_vec(), rows));
        self.linear.forward(&x.flatten_from(1)?)?.tanh()
    }

    fn feature_len(&self, _: usize) -> usize {
        FEATURES
    }

    fn infer(&self, x: &Tensor, domain: Option<usize>) -> Result<Tensor> {
        self.forward(x, Pass::Eval { domain })
    }
}

/// The network whose parameters are these.
pub fn network(config: &DannConfig, parameters: &HashMap<String, Tensor>) -> Result<Dann<Tanh>> {
    let vb = VarBuilder::from_tensors(parameters.clone(), DType::F64, &Device::Cpu);
    Dann::new(Tanh::new(&vb.pp("extractor"))?, config.clone(), vb)
}

/// Variables for `config` with values that look random.
pub fn parameters(config: &DannConfig) -> Result<HashMap<String, Var>> {
    let store = candle_trainer::ParameterStore::new(5, DType::F64, Device::Cpu);
    let vb = store.builder();
    Dann::new(Tanh::new(&vb.pp("extractor"))?, config.clone(), vb)?;
    for (name, var) in store.trainable() {
        // biases too
        var.set(&random(&name, var.dims())?)?;
    }
    Ok(store.trainable().into_iter().collect())
}

pub fn tensors(parameters: &HashMap<String, Var>) -> HashMap<String, Tensor> {
    parameters
        .iter()
        .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
        .collect()
}

pub fn random(name: &str, dims: &[usize]) -> Result<Tensor> {
    let init = candle_nn::Init::Randn { mean: 0.0, stdev: 0.6 };
    let values = candle_trainer::init::values(11, name, &dims.into(), init);
    Tensor::from_vec(values, dims, &Device::Cpu)
}

/// Sources and targets with these numbers of rows.
pub fn batch(sources: &[usize], targets: &[usize]) -> Result<Batch> {
    let windows = |kind: &str, k: usize, n: usize| random(&format!("{kind}{k}"), &[n, CHANNELS, LENGTH]);
    let mut batch = Batch::default();
    for (k, &n) in sources.iter().enumerate() {
        let labels: Vec<u32> = (0..n).map(|i| ((i + k) % CLASSES) as u32).collect();
        batch.sources.push(LabelledRows::new(
            windows("source", k, n)?,
            Tensor::new(labels, &Device::Cpu)?,
        )?);
    }
    for (k, &n) in targets.iter().enumerate() {
        batch.targets.push(UnlabelledRows::new(windows("target", k, n)?)?);
    }
    Ok(batch)
}

/// Reversal with a lambda of the paper.
pub fn reversal(lambda: f64) -> GradientReversal {
    GradientReversal::new(lambda).unwrap()
}

/// Gradient of each parameter by name; none where the loss does not reach it.
pub fn gradients(loss: &Tensor, parameters: &HashMap<String, Var>) -> HashMap<String, Option<Vec<f64>>> {
    let grads = loss.backward().unwrap();
    parameters
        .iter()
        .map(|(name, var)| (name.clone(), grads.get(var).map(flat)))
        .collect()
}

pub fn scalar(x: &Tensor) -> f64 {
    x.to_scalar().unwrap()
}

pub fn flat(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}
