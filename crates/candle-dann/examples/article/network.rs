//! The networks: what the article's example builds, and what its repository made of it later.
use candle_convnet1d::Extractor;
use candle_core::Result;
use candle_dann::{Dann, DannConfig, DomainLoss, Head};
use candle_seresnext1d::{SeedNet, SeedNetConfig};
use candle_trainer::ParameterStore;

/// Classes under the label head.
pub const LABELS: usize = 4;
/// Domains under the domain head.
pub const DOMAINS: usize = 3;

/// Which heads stand on the extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The article's: one dense layer for each head.
    Article,
    /// The repository's later one: a linear projection to 256 below both heads, 128 hidden units in the label head. As
    /// committed there it fails while it is built (the flag that asks for the projection is never stored).
    Later,
}

impl Form {
    /// The heads on `feature_len` features. Neither form has dropout in a head, and a model compiled with a cross-entropy on
    /// each output averages the domain's over all rows.
    pub fn heads(self, feature_len: usize) -> DannConfig {
        let article = DannConfig {
            domain_loss: DomainLoss::MeanOverRows,
            ..DannConfig::new(LABELS, DOMAINS, feature_len)
        };
        match self {
            Self::Article => article,
            Self::Later => DannConfig {
                projection: Some(256),
                label_head: Head::Hidden {
                    width: 128,
                    dropout: 0.0,
                },
                ..article
            },
        }
    }
}

/// The example's SE-ResNeXt-50 without its top: two channels, F = 16, C = 8, ratio 4, average pooling, and the dropout of 0.5
/// that stands before the top and so stays.
pub fn extractor() -> Result<SeedNetConfig> {
    Ok(SeedNetConfig {
        dropout: 0.5,
        ..SeedNetConfig::depth(50, 2)?
    })
}

/// Extractor and heads for windows of `length` samples, with variables of `store`.
pub fn build(extractor: &SeedNetConfig, form: Form, length: usize, store: &ParameterStore) -> Result<Dann<SeedNet>> {
    let extractor = SeedNet::new(extractor, store.builder().pp("extractor"))?;
    let heads = form.heads(extractor.feature_len(length));
    Dann::new(extractor, heads, store.builder())
}
