use candle_convnet1d::{Dropout, Extractor, Linear, Pass, softmax};
use candle_core::{Module, Result, Tensor};
use candle_gradient_reversal::GradientReversal;
use candle_nn::VarBuilder;

use crate::head::HeadLayers;
use crate::losses::{domain_losses, label_loss};
use crate::rows::{joined, joined_labels, row_count};
use crate::{Batch, DannConfig, DomainLosses, Error, LabelledRows, Labels, Losses};

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

/// The features of a batch in training, of which the two halves of an alternating step are made: see
/// [`Dann::batch_features`].
#[derive(Clone, Debug)]
pub struct BatchFeatures<'a> {
    batch: &'a Batch,
    features: Tensor,
    rows: Vec<usize>,
    seed: u64,
    step: u64,
}

impl BatchFeatures<'_> {
    fn pass(&self, step: u64) -> Pass<'_> {
        Pass::Train {
            seed: self.seed,
            step,
            rows: &self.rows,
        }
    }

    /// Those of the labelled rows.
    fn of_sources(&self) -> Result<Tensor> {
        let labelled = self.rows[..self.batch.sources.len()].iter().sum();
        self.features.narrow(0, 0, labelled)
    }
}

/// What a network says of windows, by the name of the output.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// What both heads see, `(n, width)`.
    pub features: Tensor,
    /// Probabilities of the classes, `(n, classes)`, or the values, `(n, outputs)`.
    pub label: Tensor,
    /// Probabilities of the domains, `(n, domains)`.
    pub domain: Tensor,
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
        let outputs = config.labels.outputs();
        Ok(Self {
            extractor,
            projection,
            dropout: Dropout::new(config.dropout, "features")?,
            label_head: HeadLayers::new(config.label_head, "label_head", width, outputs, &vb)?,
            domain_head: HeadLayers::new(config.domain_head, "domain_head", width, config.domains, &vb)?,
            config,
        })
    }

    /// The losses of one adversarial step, equations 8 to 10 of the paper.
    ///
    /// All rows go through the extractor as one batch. Lambda acts in the `reversal` alone, so the domain head learns
    /// at full rate. `seed` and `step` fix the dropout masks. The batch must have every domain.
    pub fn adversarial_step(&self, batch: &Batch, reversal: GradientReversal, seed: u64, step: u64) -> Result<Losses> {
        let features = self.batch_features(batch, seed, step)?;
        let reversed = reversal.forward(&features.features)?;
        let logits = self.domain_head.forward(&reversed, features.pass(step))?;
        self.both_losses(&features, &logits)
    }

    /// The features of a batch in training, which the two halves of an alternating step share:
    /// [`domain_head_step`](Self::domain_head_step), once or more, then [`extractor_step`](Self::extractor_step).
    ///
    /// The one forward pass of the step: batch norm takes notice of the rows once, and the masks of dropout on the features,
    /// which `seed` and `step` fix, are drawn once. The batch must have every domain.
    pub fn batch_features<'a>(&self, batch: &'a Batch, seed: u64, step: u64) -> Result<BatchFeatures<'a>> {
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
        Ok(BatchFeatures {
            features: self.shared(&joined(batch.windows())?, pass)?,
            batch,
            rows,
            seed,
            step,
        })
    }

    /// The domain head's half of an alternating step: its losses on features that are held fixed.
    ///
    /// Only `domain_head.*` gets a gradient. `number` counts such steps over the run, and fixes the head's dropout mask.
    pub fn domain_head_step(&self, features: &BatchFeatures, number: u64) -> Result<DomainLosses> {
        let fixed = features.features.detach();
        let logits = self.domain_head.forward(&fixed, features.pass(number))?;
        domain_losses(&self.config.domain_loss, &logits, features.batch)
    }

    /// The other half of an alternating step: extractor, projection and label head against a domain head that is held fixed.
    ///
    /// `domain_head.*` gets no gradient. All others get that of an [`adversarial_step`](Self::adversarial_step) with the
    /// same parameters, seed and step. Extractor and projection must still be those that computed `features`.
    pub fn extractor_step(&self, features: &BatchFeatures, reversal: GradientReversal) -> Result<Losses> {
        let reversed = reversal.forward(&features.features)?;
        let logits = self
            .domain_head
            .forward_frozen(&reversed, features.pass(features.step))?;
        self.both_losses(features, &logits)
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
            label_accuracy,
            domain: None,
        })
    }

    /// Features and the outputs of both heads for windows `(n, channels, length)`, in inference.
    ///
    /// `domain` picks the running statistics where batch norm keeps them per domain (see [`Pass::Eval`]).
    pub fn predict(&self, windows: &Tensor, domain: Option<usize>) -> Result<Prediction> {
        let features = self.features(windows, domain)?;
        let label = self.label_logits(&features)?;
        Ok(Prediction {
            label: match self.config.labels {
                Labels::Classes(_) => softmax(&label)?,
                Labels::Values(_) => label,
            },
            domain: softmax(&self.domain_logits(&features)?)?,
            features,
        })
    }

    /// Features `(n, width)` of windows `(n, channels, length)` for inference, after the projection where there is one.
    ///
    /// `domain` picks the running statistics where batch norm keeps them per domain (see [`Pass::Eval`]).
    pub fn features(&self, windows: &Tensor, domain: Option<usize>) -> Result<Tensor> {
        self.shared(windows, Pass::Eval { domain })
    }

    /// Class logits `(n, classes)`, or values `(n, outputs)`, of features that [`features`](Self::features) returned.
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
        let features = match pass {
            Pass::Train { .. } => self.extractor.forward(windows, pass)?,
            Pass::Eval { domain } => self.extractor.infer(windows, domain)?,
        };
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

    /// `L_y` and, for the domain head's `logits`, `L_d`.
    fn both_losses(&self, features: &BatchFeatures, logits: &Tensor) -> Result<Losses> {
        let sources = &features.batch.sources;
        let pass = features.pass(features.step);
        let (label, label_accuracy) = self.label_loss(&features.of_sources()?, sources, pass)?;
        let domain = domain_losses(&self.config.domain_loss, logits, features.batch)?;
        Ok(Losses {
            total: (&label + &domain.loss)?,
            label,
            label_accuracy,
            domain: Some(domain),
        })
    }

    /// `L_y` over all labelled rows, and the share that is right.
    fn label_loss(&self, features: &Tensor, sources: &[LabelledRows], pass: Pass) -> Result<(Tensor, Option<f64>)> {
        let labels = joined_labels(sources, self.config.labels)?;
        label_loss(&self.config, &self.label_head.forward(features, pass)?, &labels)
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
