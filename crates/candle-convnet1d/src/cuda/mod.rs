//! Convolution and batch norm in f32 on NVIDIA GPUs: kernels of this crate (`*.cu`), the programs that launch them
//! ([`programs`]), and what carries those out on tensors ([`run`]).
//!
//! State of verification: the kernels compile, and their arithmetic is checked on a CPU (`tests/cuda_kernels`), through
//! the same programs. Nothing here was run on a GPU.

mod batch_norm;
mod conv1d;
mod programs;
mod run;

pub(crate) use batch_norm::{batch_norm_eval, batch_norm_train};
pub(crate) use conv1d::{conv1d, conv1d_gradients};
