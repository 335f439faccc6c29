//! Optimisers whose state has names.

mod composed;
mod fused;
mod kind;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use rayon::prelude::*;

pub use kind::OptimiserKind;

use crate::error::{Error, wrap};
use rule::Rule;

/// What a step does about parameters that got no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error: something is not connected to the loss. The right choice whenever all parameters take part.
    Error,
    /// They stay as they are, with their buffers and step counts: no weight decay, no momentum.
    Skip,
}

/// Adam, `AdamW` or SGD over named parameters.
///
/// On the CPU a step is one pass over memory for f32 and f64, spread over rayon's threads; the result does not depend
/// on their number. Elsewhere it is composed of candle's ops.
#[derive(Debug)]
pub struct Optimiser {
    kind: OptimiserKind,
    weight_decay: f64,
    slots: Vec<Slot>,
}

/// One parameter and what the optimiser remembers of it.
#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    steps: u64,
    buffers: Buffers,
}

#[derive(Debug)]
enum Buffers {
    F32(Vec<Vec<f32>>),
    F64(Vec<Vec<f64>>),
    Tensors(Vec<Tensor>),
}

impl Optimiser {
    /// An optimiser of `params` (see [`ParameterStore::trainable`](crate::ParameterStore::trainable)), all of whose
    /// buffers are 0.
    pub fn new(kind: OptimiserKind, weight_decay: f64, params: BTreeMap<String, Var>) -> Result<Self> {
        kind.check().map_err(wrap)?;
        if !(weight_decay.is_finite() && weight_decay >= 0.0) {
            return Err(argument(format!("weight decay must be 0 or more, not {weight_decay}")));
        }
        let mut seen = HashSet::new();
        let mut slots = Vec::with_capacity(params.len());
        for (name, var) in params {
            if !seen.insert(var.id()) {
                return Err(argument(format!(
                    "{name} is a variable that is also listed under another name"
                )));
            }
            if !var.dtype().is_float() {
                return Err(argument(format!("{name} cannot be trained: it is {:?}", var.dtype())));
            }
            let buffers = Buffers::zeros(&var, kind.buffers().len())?;
            slots.push(Slot {
                name,
                var,
                steps: 0,
                buffers,
            });
        }
        Ok(Self {
            kind,
            weight_decay,
            slots,
        })
    }

    /// Which optimiser this is.
    pub fn kind(&self) -> OptimiserKind {
        self.kind
    }

    /// One update at learning rate `lr`. On an error about the arguments nothing is changed.
    pub fn step(&mut self, grads: &GradStore, lr: f64, missing: Missing) -> Result<()> {
        if !(lr.is_finite() && lr >= 0.0) {
            return Err(argument(format!("the learning rate must be 0 or more, not {lr}")));
        }
        self.check(grads, missing)?;
        let (kind, weight_decay) = (self.kind, self.weight_decay);
        self.slots.par_iter_mut().try_for_each(|slot| {
            let Some(grad) = grads.get(&slot.var) else {
                return Ok(());
            };
            let rule = Rule::new(kind, weight_decay, lr, slot.steps + 1);
            match &mut slot.buffers {
                Buffers::F32(buffers) => fused::step(&slot.var, grad, buffers, rule)?,
                Buffers::F64(buffers) => fused::step(&slot.var, grad, buffers, rule)?,
                Buffers::Tensors(buffers) => composed::step(&slot.var, grad, buffers, rule)?,
            }
            slot.steps += 1;
            Ok(())
        })
    }

    fn check(&self, grads: &GradStore, missing: Missing) -> Result<()> {
        let mut without = Vec::new();
        for slot in &self.slots {
            let Some(grad) = grads.get(&slot.var) else {
                without.push(&slot.name);
                continue;
            };
            let (want, got) = ((slot.var.dims(), slot.var.dtype()), (grad.dims(), grad.dtype()));
            if want != got {
                return Err(wrap(Error::Mismatch(format!(
                    "the gradient of {} is {:?} of {:?}, the parameter {:?} of {:?}",
                    slot.name, got.1, got.0, want.1, want.0
                ))));
            }
        }
        match (missing, without.first()) {
            (Missing::Error, Some(first)) => Err(wrap(Error::NoGradient {
                first: (*first).clone(),
                missing: without.len(),
                total: self.slots.len(),
            })),
            _ => Ok(()),
        }
    }

    /// What the optimiser remembers: `step.NAME`, how often parameter NAME was updated (i64, one element), and per
    /// kind `m.NAME`, `v.NAME` (Adam) or `momentum.NAME` (SGD with momentum), shaped as the parameter.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for slot in &self.slots {
            let name = &slot.name;
            state.insert(format!("step.{name}"), Tensor::new(&[slot.steps as i64], &Device::Cpu)?);
            for (prefix, tensor) in self.kind.buffers().iter().zip(slot.buffers.tensors(&slot.var)?) {
                state.insert(format!("{prefix}.{name}"), tensor);
            }
        }
        Ok(state)
    }

    /// Puts back what [`state`](Self::state) gave. The names must be exactly those, shapes and dtypes equal;
    /// otherwise nothing is changed.
    pub fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let prefixes = self.kind.buffers();
        let mut ready = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let steps = stored(state, &format!("step.{}", slot.name), &[1], DType::I64)?.to_vec1::<i64>()?[0];
            let steps = u64::try_from(steps).map_err(|_| mismatch(format!("step.{} is {steps}", slot.name)))?;
            let mut tensors = Vec::with_capacity(prefixes.len());
            for prefix in prefixes {
                let name = format!("{prefix}.{}", slot.name);
                tensors.push(stored(state, &name, slot.var.dims(), slot.var.dtype())?);
            }
            ready.push((steps, Buffers::from_tensors(&slot.var, &tensors)?));
        }
        let expected = self.slots.len() * (1 + prefixes.len());
        if state.len() != expected {
            return Err(mismatch(format!(
                "the stored optimiser state has {} tensors, {} over {} parameters has {expected}",
                state.len(),
                self.kind,
                self.slots.len()
            )));
        }
        for (slot, (steps, buffers)) in self.slots.iter_mut().zip(ready) {
            slot.steps = steps;
            slot.buffers = buffers;
        }
        Ok(())
    }
}

impl Buffers {
    fn zeros(var: &Var, count: usize) -> Result<Self> {
        let n = var.elem_count();
        Ok(match (var.device().is_cpu(), var.dtype()) {
            (true, DType::F32) => Self::F32(vec![vec![0.0; n]; count]),
            (true, DType::F64) => Self::F64(vec![vec![0.0; n]; count]),
            _ => Self::Tensors((0..count).map(|_| var.zeros_like()).collect::<Result<_>>()?),
        })
    }

    fn tensors(&self, var: &Var) -> Result<Vec<Tensor>> {
        let (shape, device) = (var.shape(), var.device());
        match self {
            Self::F32(all) => all.iter().map(|b| Tensor::from_slice(b, shape, device)).collect(),
            Self::F64(all) => all.iter().map(|b| Tensor::from_slice(b, shape, device)).collect(),
            // a step replaces these tensors and never writes into them
            Self::Tensors(all) => Ok(all.clone()),
        }
    }

    fn from_tensors(var: &Var, tensors: &[&Tensor]) -> Result<Self> {
        let mut buffers = Self::zeros(var, 0)?;
        for tensor in tensors {
            match &mut buffers {
                Self::F32(all) => all.push(tensor.flatten_all()?.to_vec1()?),
                Self::F64(all) => all.push(tensor.flatten_all()?.to_vec1()?),
                Self::Tensors(all) => all.push(tensor.to_device(var.device())?.copy()?),
            }
        }
        Ok(buffers)
    }
}

fn stored<'a>(state: &'a BTreeMap<String, Tensor>, name: &str, dims: &[usize], dtype: DType) -> Result<&'a Tensor> {
    let tensor = state.get(name).ok_or_else(|| {
        mismatch(format!(
            "the stored optimiser state has no {name}: was it another optimiser?"
        ))
    })?;
    if tensor.dims() != dims || tensor.dtype() != dtype {
        return Err(mismatch(format!(
            "{name} is stored as {:?} of {:?}, expected {dtype:?} of {dims:?}",
            tensor.dtype(),
            tensor.dims()
        )));
    }
    Ok(tensor)
}

fn argument(message: String) -> candle_core::Error {
    wrap(Error::Argument(message))
}

fn mismatch(message: String) -> candle_core::Error {
    wrap(Error::Mismatch(message))
}
