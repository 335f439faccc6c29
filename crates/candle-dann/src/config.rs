use candle_core::Result;

use crate::{DomainLoss, Error, Head};

/// What the label head says of a window, and with it the label loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// One of so many classes: softmax, mean cross-entropy over the labelled rows.
    Classes(usize),
    /// So many numbers: mean squared error over the labelled rows and the numbers of each.
    Values(usize),
}

impl Labels {
    /// Outputs of the label head.
    pub fn outputs(self) -> usize {
        match self {
            Self::Classes(n) | Self::Values(n) => n,
        }
    }
}

/// The sizes and options of a [`Dann`](crate::Dann).
#[derive(Clone, Debug, PartialEq)]
pub struct DannConfig {
    /// Outputs of the label head, and whether they name a class or are values.
    pub labels: Labels,
    /// Outputs of the domain head: all domains under one softmax, also for two.
    pub domains: usize,
    /// Features that the extractor returns for a window.
    pub feature_len: usize,
    /// The label head, `G_y` in the paper.
    pub label_head: Head,
    /// The domain head, `G_d` in the paper.
    pub domain_head: Head,
    /// Width of a linear layer between the extractor and both heads; none: no such layer.
    pub projection: Option<usize>,
    /// Probability of dropout on the features, before both heads; 0: none.
    pub dropout: f64,
    /// Share of each class label that is spread evenly over all classes in the label loss; 0: none.
    pub label_smoothing: f64,
    /// How the domain loss is averaged.
    pub domain_loss: DomainLoss,
}

impl DannConfig {
    /// A label head that classifies; linear heads, no projection, no dropout, the paper's domain loss.
    pub fn new(classes: usize, domains: usize, feature_len: usize) -> Self {
        Self {
            labels: Labels::Classes(classes),
            domains,
            feature_len,
            label_head: Head::Linear,
            domain_head: Head::Linear,
            projection: None,
            dropout: 0.0,
            label_smoothing: 0.0,
            domain_loss: DomainLoss::default(),
        }
    }

    /// As [`new`](Self::new), with a label head that gives `outputs` values for each window.
    pub fn regression(outputs: usize, domains: usize, feature_len: usize) -> Self {
        Self {
            labels: Labels::Values(outputs),
            ..Self::new(outputs, domains, feature_len)
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let sizes = [
            ("labels", self.labels.outputs()),
            ("domains", self.domains),
            ("feature_len", self.feature_len),
            ("projection", self.projection.unwrap_or(1)),
        ];
        if let Some((option, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(wrong(option, "at least 1".into(), "0".into()));
        }
        for (option, head) in [("label_head", self.label_head), ("domain_head", self.domain_head)] {
            if !head.is_possible() {
                return Err(wrong(option, Head::EXPECTED.into(), head.to_string()));
            }
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let found = self.label_smoothing.to_string();
            return Err(wrong("label_smoothing", "at least 0 and below 1".into(), found));
        }
        let DomainLoss::PerDomainMeans { weights } = &self.domain_loss else {
            return Ok(());
        };
        let fine = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
        if fine && (weights.is_empty() || weights.len() == self.domains) {
            return Ok(());
        }
        let expected = format!("no weights, or {} of 0 or more, one for each domain", self.domains);
        Err(wrong("domain_loss", expected, format!("{weights:?}")))
    }
}

fn wrong(option: &'static str, expected: String, found: String) -> candle_core::Error {
    Error::Config {
        option,
        expected,
        found,
    }
    .into()
}
