//! Finite-difference gradient checks for any candle function, with the semantics of
//! `torch.autograd.gradcheck`.
//!
//! A function of tensors computes its result and, through candle's `backward`, its gradient. Nothing
//! forces the two to agree: candle's own `conv1d` returns a wrong weight gradient for batches larger
//! than one, and a fused op may return none at all. This crate compares the gradient with central
//! differences of the forward pass, in `f64`, and names the element that is furthest off.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use candle_gradcheck::GradCheck;
//!
//! let x = Tensor::new(&[[0.3f64, -1.2], [0.7, 2.0]], &Device::Cpu)?;
//! let w = Tensor::new(&[[1.0f64], [-0.5]], &Device::Cpu)?;
//! let report = GradCheck::default().check(&[x, w], |t| t[0].matmul(&t[1])?.tanh())?;
//! // 2 outputs, each by 4 + 2 input elements
//! assert_eq!(report.checked, 12);
//! # Ok::<(), candle_gradcheck::Error>(())
//! ```
//!
//! # Should you use it
//!
//! Yes, in the tests of every op, layer or loss whose gradient you wrote yourself or must trust. No, for
//! a whole network in `f32`: build it in `f64` with a few channels instead.
//!
//! # What is compared
//!
//! For every input element `j` and every output element `i` the analytic derivative `a` must satisfy
//! `|a - n| <= atol + rtol * |n|` against the numeric one,
//! `n = (f_i(x + eps e_j) - f_i(x - eps e_j)) / 2 eps`; the defaults `eps` 1e-6, `atol` 1e-5 and `rtol`
//! 1e-3 are those of `torch`. Two infinities of one sign agree, NaN agrees with nothing.
//!
//! An input with more than [`GradCheck::max_elements`] elements is moved along
//! [`GradCheck::directions`] random directions instead, and an output with more than
//! [`GradCheck::max_outputs`] is multiplied by as many random cotangents. Both have Euclidean length
//! 1, so that each is one more axis of a turned coordinate system and is held to the same tolerance as
//! an element. (The `fast_mode` of `torch` draws positive vectors and multiplies `atol` by their sums, which
//! hides an error in one element of a large tensor.) When a direction disagrees, bisection finds an
//! element that does, and the report names it.
//!
//! The function is called twice on equal inputs and must return the same bits, since differences of a
//! function that draws random numbers mean nothing; so must its backward pass (`nondet_tol` 0 in `torch`).
//!
//! # Layouts
//!
//! The function receives tensors with the strides and the offset of the ones given, so a transposed or
//! narrowed input tests the code for transposed and narrowed inputs. A broadcast input is refused, as by
//! `torch`: its elements share memory and cannot move one at a time. Broadcast inside the function.
//!
//! # Limits
//!
//! - First derivatives of one output tensor. For several outputs check each, or concatenate them.
//! - At a kink (`relu` at 0, a tie in a maximum) the two sides differ and the check fails, whatever the
//!   gradient there is defined to be. Choose inputs away from kinks.
//! - `atol` decides alone where derivatives are below it: scale the function so that they are of order 1.
//! - A custom op that answers `Ok(None)` from `bwd` for an argument that is itself the result of an op
//!   makes candle's `backward` panic; this crate does not catch that.
#![forbid(unsafe_code)]

mod check;
mod error;
mod layout;
mod probe;
mod report;

pub use check::GradCheck;
pub use error::Error;
pub use report::{Place, Report, Worst};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
