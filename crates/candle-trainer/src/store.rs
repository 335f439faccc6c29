use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};

use crate::error::{Error, wrap};
use crate::init;

/// Every variable of a network by its full name, such as `extractor.stem.weight`.
///
/// Hand [`builder`](Self::builder) to the network's constructor; each variable it asks for is made on first request
/// with values that depend on (seed, full name, shape, distribution) alone, never on the order of requests. A
/// second request for a name returns the same variable; another shape or dtype is an error.
///
/// Variables whose last name part is `running_mean`, `running_var` or `batches` are *buffers*: saved, never trained.
///
/// A clone is another handle to the same variables.
#[derive(Clone, Debug)]
pub struct ParameterStore {
    seed: u64,
    dtype: DType,
    device: Device,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    vars: BTreeMap<String, Var>,
    /// What a network that is being rebuilt has not asked for yet; `None` where new variables may be made.
    stored: Option<BTreeMap<String, Tensor>>,
}

impl ParameterStore {
    /// An empty store, whose builder makes variables of `dtype` on `device`.
    pub fn new(seed: u64, dtype: DType, device: Device) -> Self {
        Self {
            seed,
            dtype,
            device,
            state: Arc::default(),
        }
    }

    /// A store for a network that was stored: its builder hands out `tensors` and makes nothing, so a request for
    /// another name, shape or dtype is an error. After the network is built, call [`all_taken`](Self::all_taken).
    ///
    /// Nothing is copied where the tensors are variables on `device`, as those of [`sealed::load`](crate::sealed::load)
    /// are. So what a file claims of a network costs no memory that the file does not.
    pub fn holding(tensors: BTreeMap<String, Tensor>, dtype: DType, device: Device) -> Self {
        let store = Self::new(0, dtype, device);
        store.state().stored = Some(tensors);
        store
    }

    /// An error where the network did not ask for all tensors that the store was made to hold.
    pub fn all_taken(&self) -> Result<()> {
        let state = self.state();
        match state.stored.as_ref().and_then(|stored| stored.keys().next()) {
            Some(name) => Err(not_in_network(name)),
            None => Ok(()),
        }
    }

    /// The root [`VarBuilder`] of the network.
    pub fn builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), self.dtype, self.device.clone())
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.state().vars.keys().cloned().collect()
    }

    /// The variable of this full name.
    pub fn get(&self, name: &str) -> Option<Var> {
        self.state().vars.get(name).cloned()
    }

    /// The variables that an optimiser trains: all but the buffers.
    pub fn trainable(&self) -> BTreeMap<String, Var> {
        self.select(|name| !is_buffer(name))
    }

    /// The running statistics.
    pub fn buffers(&self) -> BTreeMap<String, Var> {
        self.select(is_buffer)
    }

    /// Number of trainable elements, as papers count parameters.
    pub fn parameter_count(&self) -> usize {
        self.trainable().values().map(|v| v.elem_count()).sum()
    }

    /// Copies of all variables as they are now; later training leaves the copies alone.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.state()
            .vars
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_detached_tensor().copy()?)))
            .collect()
    }

    /// Sets all variables. The names must be exactly those of the store, shapes and dtypes equal; otherwise nothing
    /// is changed. Tensors of another device are moved.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let vars = &self.state().vars;
        if let Some(name) = tensors.keys().find(|name| !vars.contains_key(*name)) {
            return Err(not_in_network(name));
        }
        let mut ready = Vec::with_capacity(vars.len());
        for (name, var) in vars {
            let tensor = tensors.get(name).ok_or_else(|| not_stored(name))?;
            check(name, var, tensor.shape(), tensor.dtype())?;
            // a copy, so that a variable may be given its own tensor
            ready.push((var, tensor.to_device(var.device())?.copy()?));
        }
        for (var, tensor) in ready {
            var.set(&tensor)?;
        }
        Ok(())
    }

    fn select(&self, keep: impl Fn(&str) -> bool) -> BTreeMap<String, Var> {
        let state = self.state();
        let kept = state.vars.iter().filter(|(name, _)| keep(name));
        kept.map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // it is never left half changed, so a panic elsewhere does not spoil it
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimpleBackend for ParameterStore {
    fn get(&self, shape: Shape, name: &str, init: candle_nn::Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let State { vars, stored } = &mut *self.state();
        if let Some(var) = vars.get(name) {
            check(name, var, &shape, dtype)?;
            return Ok(var.as_tensor().clone());
        }
        let tensor = match stored {
            Some(stored) => {
                let tensor = stored.remove(name).ok_or_else(|| not_stored(name))?;
                check(name, &tensor, &shape, dtype)?;
                tensor.to_device(device)?
            }
            None => Tensor::from_vec(init::values(self.seed, name, &shape, init), shape, &Device::Cpu)?
                .to_dtype(dtype)?
                .to_device(device)?,
        };
        let var = Var::from_tensor(&tensor)?;
        vars.insert(name.to_string(), var.clone());
        Ok(var.into_inner())
    }

    fn get_unchecked(&self, name: &str, dtype: DType, _: &Device) -> Result<Tensor> {
        let state = self.state();
        let var = state
            .vars
            .get(name)
            .ok_or_else(|| wrap(Error::Argument(format!("no variable {name}: making one needs a shape"))))?;
        check(name, var, var.shape(), dtype)?;
        Ok(var.as_tensor().clone())
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.state().vars.contains_key(name)
    }
}

fn is_buffer(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "running_mean" | "running_var" | "batches")
}

fn check(name: &str, var: &Tensor, shape: &Shape, dtype: DType) -> Result<()> {
    if var.shape() == shape && var.dtype() == dtype {
        return Ok(());
    }
    Err(mismatch(format!(
        "{name} is {:?} of {:?} here, not {:?} of {:?}",
        var.dtype(),
        var.dims(),
        dtype,
        shape.dims()
    )))
}

fn not_in_network(name: &str) -> candle_core::Error {
    mismatch(format!(
        "{name} is stored, but the network has no such variable: was it built with the same options?"
    ))
}

fn not_stored(name: &str) -> candle_core::Error {
    mismatch(format!(
        "the network has a variable {name}, but none is stored: was it built with the same options?"
    ))
}

fn mismatch(message: String) -> candle_core::Error {
    wrap(Error::Mismatch(message))
}
