use candle_convnet1d::{cross_entropy_rows, cross_entropy_smoothed};
use candle_core::{Result, Tensor};

use crate::{Batch, DannConfig, Labels};

/// How the domain cross-entropies of all rows become one loss.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainLoss {
    /// The sum over domains k of `weights[k]` times the mean over the rows of k: equations 9 and 10 of the paper, where
    /// source and target have a mean each.
    PerDomainMeans {
        /// One for each domain, 0 or more; empty: all 1.
        weights: Vec<f64>,
    },
    /// The mean over all rows: what a Keras model computes that is compiled with cross-entropies on its two outputs, and
    /// most other programs. For D equal domains it is 1/D of the sum of means, so the same lambda acts D times weaker
    /// on the features.
    MeanOverRows,
}

impl Default for DomainLoss {
    fn default() -> Self {
        Self::PerDomainMeans { weights: Vec::new() }
    }
}

/// What a step computed for the extractor and the label head.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Label loss plus domain loss: the one to call `backward` on.
    pub total: Tensor,
    /// `L_y`, over the labelled rows: their mean cross-entropy (with smoothed labels where
    /// the configuration says so), or the mean squared error of [`Labels::Values`].
    pub label: Tensor,
    /// Share of the labelled rows whose class the label head named right (with dropout on, as trained); none where it gives
    /// values.
    pub label_accuracy: Option<f64>,
    /// What the domain head says of all rows; none in a source-only step.
    pub domain: Option<DomainLosses>,
}

/// What a step computed for the domain head.
#[derive(Clone, Debug)]
pub struct DomainLosses {
    /// `L_d`, averaged as [`DomainLoss`] says.
    pub loss: Tensor,
    /// Mean cross-entropy of the rows of each domain, unweighted.
    pub per_domain: Vec<Tensor>,
    /// Share of all rows whose domain the head named right (with dropout on, as trained).
    pub accuracy: f64,
    /// Share of the largest domain among all rows: what always naming that one would get. An accuracy near it means
    /// that the head cannot tell the domains apart, *or* that it has not learnt to.
    pub chance: f64,
}

/// The label loss of the label head's `outputs`, and the accuracy where there is one.
pub(crate) fn label_loss(config: &DannConfig, outputs: &Tensor, labels: &Tensor) -> Result<(Tensor, Option<f64>)> {
    match config.labels {
        Labels::Classes(_) => {
            let loss = cross_entropy_smoothed(outputs, labels, config.label_smoothing)?;
            Ok((loss, Some(accuracy(outputs, labels)?)))
        }
        Labels::Values(_) => Ok(((outputs - labels.to_dtype(outputs.dtype())?)?.sqr()?.mean_all()?, None)),
    }
}

/// The domain losses of `logits` for the rows of a batch.
pub(crate) fn domain_losses(kind: &DomainLoss, logits: &Tensor, batch: &Batch) -> Result<DomainLosses> {
    let domains = batch.domain_numbers(logits.device())?;
    let by_row = cross_entropy_rows(logits, &domains)?;
    let mut start = 0;
    let mut per_domain = Vec::new();
    for n in batch.rows() {
        per_domain.push(by_row.narrow(0, start, n)?.mean_all()?);
        start += n;
    }
    let loss = match kind {
        DomainLoss::MeanOverRows => by_row.mean_all()?,
        DomainLoss::PerDomainMeans { weights } if weights.is_empty() => Tensor::stack(&per_domain, 0)?.sum_all()?,
        DomainLoss::PerDomainMeans { weights } => {
            let weights = Tensor::new(weights.as_slice(), logits.device())?.to_dtype(logits.dtype())?;
            (Tensor::stack(&per_domain, 0)? * weights)?.sum_all()?
        }
    };
    Ok(DomainLosses {
        loss,
        per_domain,
        accuracy: accuracy(logits, &domains)?,
        chance: batch.domain_chance(),
    })
}

/// Share of rows whose largest logit is at `truth`.
fn accuracy(logits: &Tensor, truth: &Tensor) -> Result<f64> {
    let named = logits.detach().argmax(1)?.to_vec1::<u32>()?;
    let truth = truth.to_vec1::<u32>()?;
    let right = named.iter().zip(&truth).filter(|(a, b)| a == b).count();
    Ok(right as f64 / truth.len().max(1) as f64)
}
