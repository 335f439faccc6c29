use candle_convnet1d::cross_entropy_rows;
use candle_core::{Result, Tensor};

/// How the domain cross-entropies of all rows become one loss.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainLoss {
    /// The sum over domains k of `weights[k]` times the mean over the rows of k: equations 9 and 10 of the paper, where
    /// source and target have a mean each.
    PerDomainMeans {
        /// One for each domain, 0 or more; empty: all 1.
        weights: Vec<f64>,
    },
    /// The mean over all rows, what most programs compute. For D equal domains it is 1/D of the sum of means, so the
    /// same lambda acts D times weaker on the features.
    MeanOverRows,
}

impl Default for DomainLoss {
    fn default() -> Self {
        Self::PerDomainMeans { weights: Vec::new() }
    }
}

/// What one step computed.
#[derive(Clone, Debug)]
pub struct Losses {
    /// `label + domain`: the one to call `backward` on.
    pub total: Tensor,
    /// `L_y`, the mean cross-entropy of the labelled rows.
    pub label: Tensor,
    /// `L_d`, the domain loss; none in a source-only step.
    pub domain: Option<Tensor>,
    /// Mean domain cross-entropy of the rows of each domain, unweighted; empty in a source-only step.
    pub per_domain: Vec<Tensor>,
    /// Share of all rows whose domain the head named right (with dropout on, as trained).
    pub domain_accuracy: Option<f64>,
    /// Share of the largest domain among all rows: what always naming that one would get. A domain accuracy near
    /// it means that the head cannot tell the domains apart, *or* that it has not learnt to.
    pub domain_chance: Option<f64>,
    /// Share of the labelled rows whose class the label head named right (with dropout on, as trained).
    pub label_accuracy: f64,
}

/// The domain loss of `logits` and the mean of each domain; `rows` counts the rows of each.
pub(crate) fn domain_loss(
    kind: &DomainLoss,
    logits: &Tensor,
    domains: &Tensor,
    rows: &[usize],
) -> Result<(Tensor, Vec<Tensor>)> {
    let by_row = cross_entropy_rows(logits, domains)?;
    let mut start = 0;
    let mut means = Vec::with_capacity(rows.len());
    for &n in rows {
        means.push(by_row.narrow(0, start, n)?.mean_all()?);
        start += n;
    }
    let loss = match kind {
        DomainLoss::MeanOverRows => by_row.mean_all()?,
        DomainLoss::PerDomainMeans { weights } if weights.is_empty() => Tensor::stack(&means, 0)?.sum_all()?,
        DomainLoss::PerDomainMeans { weights } => {
            let weights = Tensor::new(weights.as_slice(), logits.device())?.to_dtype(logits.dtype())?;
            (Tensor::stack(&means, 0)? * weights)?.sum_all()?
        }
    };
    Ok((loss, means))
}

/// Share of rows whose largest logit is at `truth`.
pub(crate) fn accuracy(logits: &Tensor, truth: &Tensor) -> Result<f64> {
    let named = logits.detach().argmax(1)?.to_vec1::<u32>()?;
    let truth = truth.to_vec1::<u32>()?;
    let right = named.iter().zip(&truth).filter(|(a, b)| a == b).count();
    Ok(right as f64 / truth.len().max(1) as f64)
}
