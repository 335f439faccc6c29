//! Domain-adversarial training (DANN) for candle: any extractor, any number of domains, no way in for a target label.
//!
//! Labels are known on some domains (*sources*), only windows on others (*targets*). An extractor is trained to serve a
//! label head on the sources, and at the same time to leave a domain head at a loss about which domain a row is from
//! (Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 17, 2016).
//!
//! ```
//! # use candle_convnet1d::{Extractor, Linear, Pass};
//! # use candle_core::{DType, Device, Module, Result, Tensor};
//! # struct Network(Linear);
//! # impl Extractor for Network {
//! #     fn forward(&self, x: &Tensor, _: Pass) -> Result<Tensor> { self.0.forward(&x.flatten_from(1)?)?.tanh() }
//! #     fn feature_len(&self, _: usize) -> usize { 32 }
//! # }
//! use candle_dann::{Batch, Dann, DannConfig, GradientReversal, LabelledRows, UnlabelledRows};
//! # use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore};
//! # let store = ParameterStore::new(0, DType::F32, Device::Cpu);
//! # let vb = store.builder();
//! # let extractor = Network(Linear::new(64, 32, vb.pp("extractor"))?);
//! # let (windows, target_windows) = (Tensor::ones((8, 1, 64), DType::F32, &Device::Cpu)?, Tensor::zeros((8, 1, 64), DType::F32, &Device::Cpu)?);
//! # let labels = Tensor::new(&[0u32, 1, 2, 0, 1, 2, 0, 1], &Device::Cpu)?;
//!
//! let dann = Dann::new(extractor, DannConfig::new(3, 2, 32), vb)?; // 3 classes, 2 domains, 32 features
//! # let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
//! let batch = Batch {
//!     sources: vec![LabelledRows::new(windows, labels)?],
//!     targets: vec![UnlabelledRows::new(target_windows.clone())?],
//! };
//! let reversal = GradientReversal::new(0.8)?; // the paper's lambda
//! for step in 0..10 {
//!     let losses = dann.adversarial_step(&batch, reversal, 42, step)?; // seed 42
//!     let gradients = losses.total.backward()?;
//!     optimiser.step(&gradients, 1e-3, Missing::Error)?; // any optimiser, over all parameters
//! }
//! let prediction = dann.predict(&target_windows, None)?;
//! assert_eq!(prediction.label.dims(), [8, 3]); // probabilities of the classes
//! assert_eq!(prediction.domain.dims(), [8, 2]);
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! # Should you use it
//!
//! It helps where the domains differ in something that the labels do not need, and each domain has every class in
//! like shares. It can *hurt* where the classes are present in different shares: features that look alike over all
//! rows then mix classes. Always train [`Dann::source_step`] beside it with the same seeds, and compare with a simple
//! model. `cargo run -p candle-dann --example blobs` shows both in one page.
//!
//! # The loss
//!
//! `L = L_y + L_d`: the mean cross-entropy of the labelled rows plus the domain loss ([`DomainLoss`]). `lambda` is not in
//! it; it acts in the gradient reversal alone, so that the domain head learns at full rate while the extractor follows
//! `L_y - lambda L_d`. The paper lets lambda rise from 0 to 1 (`Schedule` in `candle-gradient-reversal`).
//!
//! Code whose layer takes the signed factor of the gradient, often -0.8 or -1, has `GradientReversal::from_signed(-0.8)`:
//! the same as `GradientReversal::new(0.8)`. With [`DomainLoss::MeanOverRows`] the losses are those of a Keras model
//! compiled with a cross-entropy on each of its two outputs, where target rows are masked out of the label's. `cargo run -p
//! candle-dann --example article` puts such a network together.
//!
//! A label head can also give values ([`DannConfig::regression`], [`LabelledRows::with_values`]): mean squared error
//! in place of the cross-entropy, all else alike.
//!
//! How to see that the adversary works: [`DomainLosses::accuracy`] first rises above [`DomainLosses::chance`] and then
//! falls back towards it as lambda grows. At chance from the start means a domain head that learns nothing; near 1 to
//! the end means a lambda too small.
//!
//! # Alternating steps
//!
//! The same min-max problem can be solved in turns, as for a GAN: the domain head first, on features that are held fixed,
//! then everything else against a domain head that is held fixed.
//!
//! ```
//! # use candle_convnet1d::{Extractor, Linear, Pass};
//! # use candle_core::{DType, Device, Module, Result, Tensor};
//! # use candle_dann::{Batch, Dann, DannConfig, GradientReversal, LabelledRows, UnlabelledRows};
//! # use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore};
//! # struct Network(Linear);
//! # impl Extractor for Network {
//! #     fn forward(&self, x: &Tensor, _: Pass) -> Result<Tensor> { self.0.forward(&x.flatten_from(1)?)?.tanh() }
//! #     fn feature_len(&self, _: usize) -> usize { 32 }
//! # }
//! # let store = ParameterStore::new(0, DType::F32, Device::Cpu);
//! # let extractor = Network(Linear::new(64, 32, store.builder().pp("extractor"))?);
//! # let dann = Dann::new(extractor, DannConfig::new(3, 2, 32), store.builder())?;
//! # let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
//! # let windows = Tensor::ones((3, 1, 64), DType::F32, &Device::Cpu)?;
//! # let batch = Batch {
//! #     sources: vec![LabelledRows::new(windows.clone(), Tensor::new(&[0u32, 1, 2], &Device::Cpu)?)?],
//! #     targets: vec![UnlabelledRows::new(windows)?],
//! # };
//! # let (seed, step, reversal) = (42, 0, GradientReversal::new(0.8)?);
//! let features = dann.batch_features(&batch, seed, step)?; // one forward pass
//! for k in 0..5 {
//!     let domain = dann.domain_head_step(&features, 5 * step + k)?;
//!     optimiser.step(&domain.loss.backward()?, 1e-3, Missing::Skip)?;
//! }
//! let losses = dann.extractor_step(&features, reversal)?;
//! optimiser.step(&losses.total.backward()?, 1e-3, Missing::Skip)?;
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! # What cannot happen
//!
//! A target label cannot enter: [`UnlabelledRows`] holds none, and the label loss takes [`LabelledRows`] alone. That the
//! mix-up does not compile is a test (see [`LabelledRows`]).
//!
//! # Limits
//!
//! One optimiser step at a time, first-order gradients. The step reads predictions back for the accuracies, which waits
//! for an accelerator. Functions return [`candle_core::Result`] with this crate's [`Error`] wrapped.
#![forbid(unsafe_code)]

mod config;
mod dann;
mod error;
mod head;
mod losses;
mod rows;

pub use candle_gradient_reversal::GradientReversal;
pub use config::{DannConfig, Labels};
pub use dann::{BatchFeatures, Dann, Prediction};
pub use error::Error;
pub use head::Head;
pub use losses::{DomainLoss, DomainLosses, Losses};
pub use rows::{Batch, LabelledRows, UnlabelledRows};
