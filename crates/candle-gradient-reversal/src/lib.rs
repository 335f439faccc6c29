//! Gradient reversal for candle: `y = x` forward, `dx = -lambda * dy` backward, with the schedules of domain-adversarial
//! training (Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", section 4).
//!
//! Put it between an extractor and a domain head. The head learns to tell the domains apart; through the reversal the
//! extractor learns features by which it cannot.
//!
//! ```
//! use candle_core::{Device, Result, Tensor, Var};
//! use candle_gradient_reversal::{GradientReversal, Schedule, progress};
//!
//! # fn main() -> Result<()> {
//! let features = Var::new(&[[0.5f32, -1.0], [2.0, 0.25]], &Device::Cpu)?; // of the extractor
//! let head = Var::new(&[[1.0f32], [-2.0]], &Device::Cpu)?;
//! let (step, steps) = (500, 1000);
//! let lambda = Schedule::default().at(progress(step, 0, steps - 1)); // 0.987 half way
//! let logits = GradientReversal::new(lambda)?.forward(&features)?.matmul(&head)?;
//! let gradients = logits.sum_all()?.backward()?;
//! // the head descends, what lies below the reversal climbs
//! assert!(gradients.get(&head).unwrap().get(0)?.to_vec1::<f32>()?[0] > 0.0);
//! assert!(gradients.get(&features).unwrap().get(0)?.to_vec1::<f32>()?[0] < 0.0);
//! # Ok(())
//! # }
//! ```
//!
//! # Should you use it
//!
//! Yes, for DANN, its conditional and multi-domain relatives, adversarial removal of a nuisance (speaker, site, machine), and
//! wherever one backward pass should serve two opposed goals. No, if the adversary needs several steps of its own per step of
//! the extractor: then train the two in turn, without a reversal.
//!
//! # What sign?
//!
//! [`GradientReversal::new`] takes the paper's **positive** lambda: 1 reverses the gradient, 0.1 reverses and damps it, 0
//! cuts it (the gradient is there, and zero), a negative one does *not* reverse. Codes whose constant is the factor itself
//! (`-1.0`, `-0.8`, common in `TensorFlow`) port with [`GradientReversal::from_signed`].
//!
//! The domain loss is then **added**: `loss = label_loss + domain_loss`. Do not subtract it, and do not weight it by
//! lambda as well: the reversal already did both for the extractor, and the head would get the sign or the weight a second
//! time.
//!
//! # What size of lambda?
//!
//! - Ramp it from 0 to 1 with [`Schedule::default`], the paper's: early domain gradients are noise, and a full lambda at step
//!   0 can destroy features before the label head has formed any. A constant 0.1 to 1 after a few epochs of label training
//!   alone does the same job.
//! - Its unit is the domain loss's gradient over the label loss's. If the domain loss is a **sum** of D means (one per
//!   domain), the same lambda acts D times as strongly as with one mean over all rows. Say which one you use.
//! - Above 1 rarely helps. Label accuracy on the source falling while lambda rises says it is too large; domain accuracy
//!   staying high to the end says it is too small, or that the domain head is weak in the wrong place (next section).
//! - Lambda changes nothing for the head itself, whose gradient does not pass the reversal. To slow the head down, give it its
//!   own learning rate.
//!
//! # How do I see that the adversary works?
//!
//! Watch the domain head's accuracy beside chance (1/D for D equal domains), lambda, and the source's label accuracy:
//!
//! | domain accuracy | label accuracy | meaning |
//! |---|---|---|
//! | rises while lambda is small, then falls towards chance | stays | it works |
//! | at chance from the first step | stays | the head learns nothing: larger head or learning rate, smaller early lambda |
//! | stays high | stays | lambda too small, or the domains differ in something the labels need |
//! | at chance | falls | features collapsed: lambda too large |
//! | far *below* chance | any | the extractor outruns the head, which would only have to swap its answers |
//!
//! Chance in training proves little, since the head may merely be lost. Freeze the features, train a fresh classifier of
//! domains on half of them and score it on the other half (the proxy A-distance): only if that one fails too are the domains
//! mixed. And mixed domains are not yet right labels: classes can be matched crosswise, which no unlabelled measure shows.
//!
//! # Exactness
//!
//! For f16, bf16, f32 and f64, any layout, rank and size, on the CPU and (feature `cuda`; compiled, not run) on CUDA: the result has the bits
//! of the input, NaN payloads included, in a contiguous tensor. `dx = round_T(c * dy)` with `c = round_T(-lambda)`, to
//! nearest, ties to even; `T` is the dtype, and f16 and bf16 multiply in f32. A NaN or infinite `dy` follows IEEE: with lambda 0
//! it stays NaN. (What candle then does with `dx` is candle's: its store adds gradients up, and on processors with
//! AVX-512 BF16 instructions that flushes bf16 subnormals to zero.)
//!
//! # Limits
//!
//! No forward pass on Metal.
//!
//! Second derivatives (gradient penalties) are right where the environment variable `CANDLE_GRAD_DO_NOT_DETACH` is 1, by which candle
//! keeps the graph of its backward pass. A second backward pass meets the reversal again: of `f(reversal(x))` the first
//! gives `-lambda f'`, the second `lambda^2 f''`, and for a parameter of `f`, which is not below the reversal, `-lambda`
//! times the derivative of `f'`. Without the variable they are absent, or lack parts without an error, as everywhere in candle.
#![forbid(unsafe_code)]

mod error;
mod op;
mod round;
mod schedule;

pub use error::Error;
pub use op::{GradientReversal, gradient_reversal};
pub use schedule::{Schedule, progress};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
