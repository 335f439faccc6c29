use candle_convnet1d::{Dropout, Extractor, Linear, Pass, cross_entropy};
use candle_core::{Module, Result, Tensor};
use candle_gradient_reversal::GradientReversal;
use candle_nn::VarBuilder;

use crate::head::HeadLayers;
use crate::losses::{accuracy, domain_loss};
use crate::rows::{joined, joined_labels, row_count};
use crate::{Batch, DannConfig, Error, LabelledRows, Losses};

/// A domain-adversarial network (Ganin et al. 2016, figure 1): an extractor, a label head on its features, and a domain
/// head on the same features behind a gradient reversal.
///
/// ```text
///                          ┌─> label head G_y ──> class     (rows of sources)   ──> L_y ┐
/// windows ─> extractor G_f ┤                                                            ├─> L = L_y + L_d
///                          └─> reversal ─> domain head G_d ─> domain (all rows) ──> L_d ┘
/// ```
///
/// One step down the gradient of L moves the heads down their own losses, and the extractor down `L_y - lambda L_d`.
#[derive(Debug)]
pub struct Dann<E> {
    extractor: E,
    projection: Option<Linear>,
    dropout: Dropout,
    label_head: HeadLayers,
    domain_head: HeadLayers,
    config: DannConfig,
}

impl<E: Extractor> Dann<E> {
    /// Heads for `extractor`. Their parameters are `label_head.*`, `domain_head.*` and `projection.*` below `vb`; give
    /// the extractor its own `vb.pp("extractor")`.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a builder is handed over by value everywhere in candle"
    )]
    pub fn new(extractor: E, config: DannConfig, vb: VarBuilder) -> Result<Self> {
        config.check()?;
        let width = config.projection.unwrap_or(config.feature_len);
        let projection = config
            .projection
            .map(|n| Linear::new(config.feature_len, n, vb.pp("projection")))
            .transpose()?;
        Ok(Self {
            extractor,
            projection,
            dropout: Dropout::new(config.dropout, "features")?,
            label_head: HeadLayers::new(config.label_head, "label_head", width, config.classes, &vb)?,
            domain_head: HeadLayers::new(config.domain_head, "domain_head", width, config.domains, &vb)?,
            config,
        })
    }

    /// The losses of one adversarial step, equations 8 to 10 of the paper.
    ///
    /// All rows go through the extractor as one batch. `lambda` (0 or more) acts in the reversal alone, so the domain
    /// head learns at full rate. `seed` and `step` fix the dropout masks. The batch must have every domain.
    pub fn adversarial_step(&self, batch: &Batch, lambda: f64, seed: u64, step: u64) -> Result<Losses> {
        self.check_sources(&batch.sources)?;
        let rows = batch.rows();
        if rows.len() != self.config.domains {
            return Err(Error::Rows {
                what: "the batch of an adversarial step".into(),
                expected: format!("{} domains", self.config.domains),
                found: format!("{} sources and {} targets", batch.sources.len(), batch.targets.len()),
            }
            .into());
        }
        let pass = Pass::Train {
            seed,
            step,
            rows: &rows,
        };
        let features = self.shared(&joined(batch.windows())?, pass)?;

        let labelled: usize = rows[..batch.sources.len()].iter().sum();
        let (label, label_accuracy) = self.label_loss(&features.narrow(0, 0, labelled)?, &batch.sources, pass)?;

        let reversed = GradientReversal::new(lambda)?.forward(&features)?;
        let logits = self.domain_head.forward(&reversed, pass)?;
        let domains = batch.domain_numbers(logits.device())?;
        let (domain, per_domain) = domain_loss(&self.config.domain_loss, &logits, &domains, &rows)?;

        Ok(Losses {
            total: (&label + &domain)?,
            label,
            domain: Some(domain),
            per_domain,
            domain_accuracy: Some(accuracy(&logits, &domains)?),
            domain_chance: Some(batch.domain_chance()),
            label_accuracy,
        })
    }

    /// The losses of one step on the sources alone: warm-up, or a network without adaptation.
    ///
    /// No target row is forwarded and the domain head takes no part: its parameters get no gradient. The label loss and
    /// its dropout masks are those of an adversarial step with the same rows, seed and step.
    pub fn source_step(&self, sources: &[LabelledRows], seed: u64, step: u64) -> Result<Losses> {
        self.check_sources(sources)?;
        let mut rows: Vec<usize> = sources.iter().map(|s| row_count(s.windows())).collect();
        rows.resize(self.config.domains, 0);
        let pass = Pass::Train {
            seed,
            step,
            rows: &rows,
        };
        let features = self.shared(&joined(sources.iter().map(LabelledRows::windows))?, pass)?;
        let (label, label_accuracy) = self.label_loss(&features, sources, pass)?;
        Ok(Losses {
            total: label.clone(),
            label,
            domain: None,
            per_domain: Vec::new(),
            domain_accuracy: None,
            domain_chance: None,
            label_accuracy,
        })
    }

    /// Features `(n, width)` of windows `(n, channels, length)` for inference, after the projection where there is one.
    ///
    /// `domain` picks the running statistics where batch norm keeps them per domain (see [`Pass::Eval`]).
    pub fn features(&self, windows: &Tensor, domain: Option<usize>) -> Result<Tensor> {
        self.shared(windows, Pass::Eval { domain })
    }

    /// Class logits `(n, classes)` of features that [`features`](Self::features) returned.
    pub fn label_logits(&self, features: &Tensor) -> Result<Tensor> {
        self.label_head.forward(features, Pass::EVAL)
    }

    /// Domain logits `(n, domains)` of features that [`features`](Self::features) returned.
    pub fn domain_logits(&self, features: &Tensor) -> Result<Tensor> {
        self.domain_head.forward(features, Pass::EVAL)
    }

    /// The extractor.
    pub fn extractor(&self) -> &E {
        &self.extractor
    }

    /// The configuration.
    pub fn config(&self) -> &DannConfig {
        &self.config
    }

    /// What both heads see.
    fn shared(&self, windows: &Tensor, pass: Pass) -> Result<Tensor> {
        let features = self.extractor.forward(windows, pass)?;
        let (rows, feature_len) = (row_count(windows), self.config.feature_len);
        if features.dims() != [rows, feature_len] {
            let found = features.dims().to_vec();
            return Err(Error::Features {
                rows,
                feature_len,
                found,
            }
            .into());
        }
        let features = match &self.projection {
            Some(projection) => projection.forward(&features)?,
            None => features,
        };
        self.dropout.forward(&features, pass)
    }

    /// `L_y`, the mean cross-entropy over all labelled rows, and the share that is right.
    fn label_loss(&self, features: &Tensor, sources: &[LabelledRows], pass: Pass) -> Result<(Tensor, f64)> {
        let labels = joined_labels(sources)?;
        let logits = self.label_head.forward(features, pass)?;
        Ok((cross_entropy(&logits, &labels)?, accuracy(&logits, &labels)?))
    }

    fn check_sources(&self, sources: &[LabelledRows]) -> Result<()> {
        if (1..=self.config.domains).contains(&sources.len()) {
            return Ok(());
        }
        Err(Error::Rows {
            what: "labelled rows".into(),
            expected: format!("1 to {} source domains", self.config.domains),
            found: sources.len().to_string(),
        }
        .into())
    }
}
