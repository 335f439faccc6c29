//! Carries out a program on a CUDA device.
#![allow(unsafe_code)]

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, Device, Error, Layout, Result, Shape, Storage, StorageRef, Tensor};

use super::programs::{Arg, Kind, Launch, Module, Program};

/// Threads of a block.
const BLOCK: usize = 256;
/// Most blocks of a launch, far more than any GPU runs at once; threads share out the rest of the work.
const GRID: usize = 1 << 20;

impl Module {
    /// The name under which candle keeps the loaded module, and its PTX.
    fn ptx(self) -> (&'static str, &'static str) {
        match self {
            Self::Conv1d => (
                "candle-convnet1d/conv1d",
                include_str!(concat!(env!("OUT_DIR"), "/conv1d.ptx")),
            ),
            Self::Sums => (
                "candle-convnet1d/sums",
                include_str!(concat!(env!("OUT_DIR"), "/sums.ptx")),
            ),
            Self::BatchNorm => (
                "candle-convnet1d/batch_norm",
                include_str!(concat!(env!("OUT_DIR"), "/batch_norm.ptx")),
            ),
        }
    }
}

/// A contiguous tensor that a program reads.
pub(crate) enum Input<'a> {
    /// Inside a forward pass, where the storage is borrowed already.
    Storage(&'a CudaStorage, &'a Layout),
    Tensor(StorageRef<'a>, &'a Layout),
}

impl<'a> Input<'a> {
    pub fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self::Tensor(storage, layout)
    }

    fn layout(&self) -> &Layout {
        match self {
            Self::Storage(_, layout) | Self::Tensor(_, layout) => layout,
        }
    }

    fn storage(&self) -> Result<&CudaStorage> {
        match self {
            Self::Storage(storage, _) => Ok(storage),
            Self::Tensor(storage, _) => match &**storage {
                Storage::Cuda(storage) => Ok(storage),
                _ => Err(Error::Msg("candle-convnet1d: expected a tensor on a CUDA device".into()).bt()),
            },
        }
    }

    /// The elements, which are as many as the program counts on.
    fn view(&self, (kind, len): (Kind, usize)) -> Result<View<'_>> {
        let place = self
            .layout()
            .contiguous_offsets()
            .filter(|(start, end)| end - start == len);
        let Some((start, end)) = place else {
            return Err(Error::RequiresContiguous { op: "candle-convnet1d" }.bt());
        };
        let storage = self.storage()?;
        Ok(match kind {
            Kind::F32 => View::F32(storage.as_cuda_slice::<f32>()?.slice(start..end)),
            Kind::F64 => View::F64(storage.as_cuda_slice::<f64>()?.slice(start..end)),
        })
    }
}

/// Memory on the device.
enum Memory {
    F32(CudaSlice<f32>),
    F64(CudaSlice<f64>),
}

impl Memory {
    fn view(&self) -> View<'_> {
        match self {
            Self::F32(memory) => View::F32(memory.slice(..)),
            Self::F64(memory) => View::F64(memory.slice(..)),
        }
    }

    fn into_storage(self, device: &CudaDevice) -> CudaStorage {
        match self {
            Self::F32(memory) => CudaStorage::wrap_cuda_slice(memory, device.clone()),
            Self::F64(memory) => CudaStorage::wrap_cuda_slice(memory, device.clone()),
        }
    }
}

enum View<'a> {
    F32(CudaView<'a, f32>),
    F64(CudaView<'a, f64>),
}

impl View<'_> {
    /// The part from an element on.
    fn from(&self, offset: usize) -> View<'_> {
        match self {
            Self::F32(view) => View::F32(view.slice(offset..)),
            Self::F64(view) => View::F64(view.slice(offset..)),
        }
    }
}

/// The results of `program`, which are so many, for contiguous inputs on one device.
///
/// The kernels are put on the device's stream; nobody waits for them.
pub(crate) fn run<const N: usize>(
    program: &Program,
    device: &CudaDevice,
    inputs: &[Input],
) -> Result<[CudaStorage; N]> {
    let (read, written) = program.buffers.split_at(program.inputs);
    let own: Vec<Memory> = written
        .iter()
        .map(|&(kind, len)| {
            // SAFETY: uninitialised memory; every program's kernels write each element before one reads it, which
            // `tests/cuda_kernels` shows by filling it with NaN.
            Ok(unsafe {
                match kind {
                    Kind::F32 => Memory::F32(device.alloc(len)?),
                    Kind::F64 => Memory::F64(device.alloc(len)?),
                }
            })
        })
        .collect::<Result<_>>()?;
    if inputs.len() != read.len() || program.results.len() != N {
        candle_core::bail!("candle-convnet1d: a program that was given or asked for other buffers than it has")
    }
    let mut views = Vec::with_capacity(program.buffers.len());
    for (input, &buffer) in inputs.iter().zip(read) {
        views.push(input.view(buffer)?);
    }
    views.extend(own.iter().map(Memory::view));
    for one in &program.launches {
        launch(one, device, &views)?;
    }
    drop(views);
    let mut own: Vec<_> = own.into_iter().map(Some).collect();
    let results = program
        .results
        .iter()
        .map(|&buffer| own[buffer - program.inputs].take());
    let storages: Vec<_> = results.flatten().map(|memory| memory.into_storage(device)).collect();
    storages
        .try_into()
        .map_err(|_| Error::Msg("candle-convnet1d: a program that returns a buffer twice".into()).bt())
}

/// The same of tensors, without a place in candle's graph.
pub(crate) fn run_on_tensors<const N: usize>(
    program: &Program,
    inputs: &[&Tensor],
    shapes: [&Shape; N],
) -> Result<[Tensor; N]> {
    let Some(Device::Cuda(device)) = inputs.first().map(|input| input.device()) else {
        return Err(Error::Msg("candle-convnet1d: expected a tensor on a CUDA device".into()).bt());
    };
    let inputs: Vec<_> = inputs.iter().map(|input| Input::new(input)).collect();
    let mut shapes = shapes.into_iter();
    let results = run::<N>(program, device, &inputs)?.map(Storage::Cuda);
    Ok(results.map(|storage| {
        let shape = shapes.next().expect("a shape for each result");
        Tensor::from_storage(storage, shape, BackpropOp::none(), false)
    }))
}

fn launch(launch: &Launch, device: &CudaDevice, views: &[View]) -> Result<()> {
    enum Value<'a> {
        View(View<'a>),
        Int(i64),
        Double(f64),
    }
    let values: Vec<_> = launch
        .args
        .iter()
        .map(|arg| match *arg {
            Arg::Place(place) => Value::View(views[place.buffer].from(place.offset)),
            Arg::Int(value) => Value::Int(value as i64),
            Arg::Double(value) => Value::Double(value),
        })
        .collect();
    let (module, ptx) = launch.module.ptx();
    let function = device.get_or_load_custom_func(launch.kernel, module, ptx)?;
    let mut builder = function.builder();
    for value in &values {
        match value {
            Value::View(View::F32(view)) => builder.arg(view),
            Value::View(View::F64(view)) => builder.arg(view),
            Value::Int(value) => builder.arg(value),
            Value::Double(value) => builder.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: (launch.work.div_ceil(BLOCK).clamp(1, GRID) as u32, 1, 1),
        block_dim: (BLOCK as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: number, types and order of the arguments are those of the kernel, and it stays inside the buffers for any
    // number of threads: `tests/cuda_kernels` carries out the same launches with checks of both. All launches are on the
    // device's one stream, in order, so that each sees what earlier ones wrote.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}
