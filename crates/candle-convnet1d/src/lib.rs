//! 1-D convolutional layers for candle, with gradients and CPU kernels of their own.
//!
//! [`Conv1d`], [`Linear`], [`BatchNorm1d`], [`relu`], pools, a squeeze-and-excitation gate
//! ([`SeGate`]), seeded [`Dropout`], [`softmax`] and [`cross_entropy`]; and the trait [`Extractor`]
//! of networks built from them. Every tensor is `(batch, channels, length)`.
//!
//! ```
//! use candle_convnet1d::{BatchNorm1d, Conv1d, Conv1dConfig, Pass, max_pool1d, relu};
//! use candle_core::{DType, Device, Module, Tensor};
//! use candle_nn::{VarBuilder, VarMap};
//!
//! let map = VarMap::new();
//! let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
//! let conv = Conv1d::new(1, 16, 15, Conv1dConfig { bias: false, ..Default::default() }, vb.pp("conv"))?;
//! let norm = BatchNorm1d::new(16, Default::default(), vb.pp("norm"))?;
//!
//! let x = Tensor::randn(0f32, 1., (8, 1, 1024), &Device::Cpu)?;
//! let step = Pass::Train { seed: 0, step: 0, rows: &[8] };
//! let y = max_pool1d(&relu(&norm.forward(&conv.forward(&x)?, step)?)?, 2, 2, 0)?;
//! assert_eq!(y.dims(), [8, 16, 505]);
//! let gradients = y.sqr()?.mean_all()?.backward()?;
//! assert!(gradients.get(conv.weight()).is_some());
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! # Should you use it
//!
//! Yes, if you train 1-D networks with candle on a CPU. In candle 0.11 the gradient of `conv1d`
//! is wrong, without an error, wherever a batch has more than one sample and a group more than one
//! output channel; pools have no 1-D form, and the gradients of the 2-D ones are wrong for lengths
//! that are no multiple of the window. The layers here are held to their definitions by slow loops
//! in f64, by finite differences and by `PyTorch`'s results, over random shapes, and are several
//! times as fast as candle's: grouped convolutions by more than ten times, forwards and backwards.
//!
//! For inference alone, candle's own convolution is right if its tensors are contiguous.
//!
//! # What holds everywhere
//!
//! - f32 and f64 on the CPU have kernels (AVX-512, AVX2, NEON or plain, chosen at run time or by
//!   `CROSSRIG_ISA`, see [`InstructionSet`]). So have convolution and batch norm in f32 on CUDA
//!   devices (feature `cuda`, which needs the CUDA toolkit to build). Everything else takes the
//!   functions of [`composed`]: the same layers out of candle operations whose gradients are right.
//! - The bits of results and gradients do not depend on the number of threads (`RAYON_NUM_THREADS`).
//!   They do depend on the instruction set.
//! - As in `PyTorch`, the derivative of [`relu`] at 0 is 0, a maximum hands its gradient to the first
//!   of equal values, and adaptive pools have the same edges.
//! - What goes wrong is an [`Error`], inside [`candle_core::Error::Wrapped`].
//!
//! # Networks
//!
//! Inside a network, layers hand [`Signal`]s to each other: their gradients pass beside candle's graph, which would add
//! each of them to a tensor of zeros.
//!
//! # Limits
//!
//! A backward pass that ended in an error must not be repeated on the same graph where it holds a [`Signal`].
//!
//! CUDA: compiled, not run. The kernels are tested on a CPU, compiled as C++, and so are the
//! compositions; what a GPU makes of them is unknown.
//!
//! Second derivatives (gradient penalties, Hessians) need the environment variable
//! `CANDLE_GRAD_DO_NOT_DETACH=1`, by which candle keeps the graph of its backward pass. With it all
//! layers run as compositions, slower, and their second derivatives are right. Without it candle's
//! gradients are constants in part, and those of the kernels altogether: a second derivative is then
//! absent or lacks parts, **without an error**. It must be set before the first layer runs.
#![deny(unsafe_code)]

mod activation;
mod buffer;
pub mod composed;
mod conv;
mod conv_composed;
mod conv_op;
mod conv_signal;
#[cfg(feature = "cuda")]
mod cuda;
mod dropout;
mod error;
mod extractor;
mod gate;
mod instruction_set;
mod kernels;
mod lanes;
mod linear;
mod loss;
mod moments;
mod norm;
mod padding;
mod pinning;
mod pool;
mod prefetch;
mod scratch;
mod shares;
mod signal;
mod values;
mod vectorised;
mod widening;

pub use activation::relu;
pub use conv::{Conv1d, Conv1dConfig, Conv1dParams, conv1d};
pub use dropout::Dropout;
pub use error::Error;
pub use extractor::{Extractor, Pass};
pub use gate::SeGate;
pub use instruction_set::InstructionSet;
#[doc(hidden)]
pub use instruction_set::on_instruction_set;
pub use linear::{Linear, linear};
pub use loss::{cross_entropy, cross_entropy_rows, cross_entropy_smoothed, softmax};
pub use norm::{BatchNorm1d, BatchNormConfig, RunningVariance, Statistics};
pub use padding::Padding;
pub use pinning::pin_threads;
pub use pool::{
    adaptive_avg_pool1d, adaptive_max_pool1d, avg_pool1d, global_avg_pool1d, global_max_pool1d, max_pool1d,
};
pub use signal::Signal;
