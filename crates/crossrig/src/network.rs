//! The network of a run: parameters by name, extractor, heads; and what it says about windows.

use std::collections::BTreeMap;

use candle_convnet1d::{Extractor, softmax};
use candle_core::{DType, Device, Tensor};
use candle_dann::{Dann, DannConfig, Labels};
use candle_nn::VarBuilder;
use candle_trainer::ParameterStore;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::options::DomainLoss;
use crate::settings::Settings;

/// Rows that go through the network at once when nothing is learnt.
pub const ROWS: usize = 256;

/// Sizes that fix a network together with the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels of a window.
    pub channels: usize,
    /// Values of a channel as the network sees it.
    pub length: usize,
    /// Classes of the label head.
    pub classes: usize,
    /// Domains of the domain head.
    pub domains: usize,
}

/// A network and the store that owns its parameters.
pub struct Network {
    /// All parameters and running statistics by name.
    pub store: ParameterStore,
    /// Extractor, reversal and heads.
    pub dann: Dann<Box<dyn Extractor>>,
    settings: Settings,
    shape: Shape,
}

/// What a network says about some windows.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Class probabilities, one row a window.
    pub probabilities: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// Features, one row a window of which they are kept.
    pub features: Vec<f32>,
    /// Width of a feature row.
    pub width: usize,
    /// Domain that the domain head names, one a window.
    pub domain: Vec<usize>,
}

impl Network {
    /// A network with the initial weights of `settings.seed`.
    ///
    /// # Errors
    /// A window that is too short for the extractor, extractor options that make no network.
    pub fn new(settings: &Settings, shape: Shape) -> Result<Self> {
        Self::of(
            ParameterStore::new(settings.seed, DType::F32, Device::Cpu),
            settings,
            shape,
        )
    }

    /// A network that was trained before, made of its tensors and of nothing else.
    ///
    /// # Errors
    /// Settings and sizes that do not fit the tensors.
    pub fn of_tensors(settings: &Settings, shape: Shape, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        let network = Self::of(
            ParameterStore::holding(tensors, DType::F32, Device::Cpu),
            settings,
            shape,
        )?;
        network.store.all_taken()?;
        Ok(network)
    }

    fn of(store: ParameterStore, settings: &Settings, shape: Shape) -> Result<Self> {
        let dann = Self::dann(&store.builder(), settings, shape)?;
        Ok(Self {
            store,
            dann,
            settings: settings.clone(),
            shape,
        })
    }

    fn dann(vb: &VarBuilder<'static>, settings: &Settings, shape: Shape) -> Result<Dann<Box<dyn Extractor>>> {
        let architecture = settings.architecture()?;
        if shape.length < architecture.min_length() {
            return Err(Error::input_with_hint(
                format!(
                    "{architecture} needs at least {} values a window, one of {} gives {}",
                    architecture.min_length(),
                    settings.signal.window,
                    shape.length
                ),
                "give a longer --window",
            ));
        }
        let extractor = settings.build_extractor(shape.channels, shape.domains, vb.pp("extractor"))?;
        let (label_head, domain_head) = settings.heads()?;
        let config = DannConfig {
            labels: Labels::Classes(shape.classes),
            domains: shape.domains,
            feature_len: extractor.feature_len(shape.length),
            label_head,
            domain_head,
            projection: settings.projection,
            dropout: settings.dropout,
            label_smoothing: settings.label_smoothing,
            domain_loss: match settings.domain_loss {
                DomainLoss::PerDomainMeans => candle_dann::DomainLoss::PerDomainMeans { weights: Vec::new() },
                DomainLoss::MeanOverRows => candle_dann::DomainLoss::MeanOverRows,
            },
        };
        Ok(Dann::new(extractor, config, vb.clone())?)
    }

    /// The same network as it is now, on constants: its layers compute once what depends on parameters alone.
    fn still(&self) -> Result<Dann<Box<dyn Extractor>>> {
        let tensors = self.store.tensors()?.into_iter().collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        Self::dann(&vb, &self.settings, self.shape)
    }

    /// Runs windows `(n, channels, length)` through extractor and heads, with the running statistics of domain number
    /// `domain` where batch norm keeps them per domain.
    pub fn run(&self, x: &Tensor, domain: Option<usize>) -> Result<Outputs> {
        let n = x.dim(0)?;
        let dann = self.still()?;
        let mut out = Outputs::default();
        for start in (0..n).step_by(ROWS) {
            let rows = x.narrow(0, start, ROWS.min(n - start))?;
            let features = dann.features(&rows, domain)?.detach();
            let probabilities = softmax(&dann.label_logits(&features)?)?;
            let domains = dann.domain_logits(&features)?.argmax(1)?.to_vec1::<u32>()?;
            out.classes = probabilities.dim(1)?;
            out.width = features.dim(1)?;
            out.probabilities.extend(probabilities.flatten_all()?.to_vec1::<f32>()?);
            out.features.extend(features.flatten_all()?.to_vec1::<f32>()?);
            out.domain.extend(domains.into_iter().map(|d| d as usize));
        }
        Ok(out)
    }
}

impl Outputs {
    /// Takes what is said about the windows that follow; `keep` tells by a window's number whether its features are kept.
    pub fn extend(&mut self, more: Outputs, keep: impl Fn(usize) -> bool) {
        let before = self.probabilities.len() / more.classes.max(1);
        (self.classes, self.width) = (more.classes, more.width);
        for (i, row) in more.features.chunks_exact(more.width.max(1)).enumerate() {
            if keep(before + i) {
                self.features.extend(row);
            }
        }
        self.probabilities.extend(more.probabilities);
        self.domain.extend(more.domain);
    }

    /// The most probable class of each window.
    pub fn labels(&self) -> Vec<usize> {
        self.probabilities
            .chunks_exact(self.classes.max(1))
            .map(argmax)
            .collect()
    }
}

/// Position of the largest value; the first of equals.
pub fn argmax(row: &[f32]) -> usize {
    row.iter()
        .enumerate()
        .fold(0, |best, (i, v)| if *v > row[best] { i } else { best })
}
