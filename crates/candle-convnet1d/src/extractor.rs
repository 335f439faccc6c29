use candle_core::{Result, Tensor};

use crate::shares;

/// How a network is being run: what batch norm and dropout need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass<'a> {
    /// A training step: batch statistics, dropout on.
    Train {
        /// Seed of the run; with the layer's name, `step` and the element it fixes each dropout mask.
        seed: u64,
        /// Number of the optimiser step, from 0.
        step: u64,
        /// Rows of each domain, in batch order: domain 0 first. Joint batch norm ignores it.
        rows: &'a [usize],
    },
    /// Inference: running statistics, dropout off.
    Eval {
        /// The domain whose running statistics are used where a layer keeps them per domain;
        /// `None` is the first source (domain 0), as is a domain that was never trained on.
        domain: Option<usize>,
    },
}

impl Pass<'_> {
    /// Inference with the running statistics of the first source.
    pub const EVAL: Pass<'static> = Pass::Eval { domain: None };

    /// Whether this is a training step.
    pub fn is_train(&self) -> bool {
        matches!(self, Pass::Train { .. })
    }
}

/// A network that turns windows into features.
pub trait Extractor: Send + Sync {
    /// Features `(batch, feature_len)` of windows `(batch, channels, length)`.
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor>;

    /// Number of features of a window of `length` samples.
    fn feature_len(&self, length: usize) -> usize;

    /// [`forward`](Self::forward) in inference on `domain`, with the same bits: in the pool of threads, a few rows at a time.
    fn infer(&self, x: &Tensor, domain: Option<usize>) -> Result<Tensor> {
        shares::by_rows(x, |x| self.forward(x, Pass::Eval { domain }))
    }
}

impl<E: Extractor + ?Sized> Extractor for Box<E> {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        (**self).forward(x, pass)
    }

    fn feature_len(&self, length: usize) -> usize {
        (**self).feature_len(length)
    }

    fn infer(&self, x: &Tensor, domain: Option<usize>) -> Result<Tensor> {
        (**self).infer(x, domain)
    }
}
