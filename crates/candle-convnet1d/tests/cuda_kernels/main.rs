//! The CUDA kernels compute what they should: the same `.cu` files, compiled as C++ and carried out thread by thread on the
//! CPU, against the definitions in f64. Needs a C++ compiler and no GPU. That the kernels compile for a GPU, and what a GPU
//! does with them, is not tested here.

#[path = "../common/mod.rs"]
mod common;
mod host;
#[allow(dead_code, reason = "what only a device asks of a program")]
#[path = "../../src/cuda/programs/mod.rs"]
mod programs;

mod batch_norm;
mod conv1d;
mod names;
