//! The five networks that speed is compared on, and what is timed of them: a training step, an adversarial step, a
//! batch in inference.

use std::collections::HashMap;

use candle_convnet1d::{BatchNormConfig, Extractor};
use candle_core::{DType, Device, Result, Tensor, bail};
use candle_dann::{Batch, Dann, DannConfig, GradientReversal, Head, LabelledRows, UnlabelledRows};
use candle_nn::VarBuilder;
use candle_seresnext1d::Architecture;
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore};

use crate::resnet18::ResNet18;

/// A network under its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// A to E.
    pub letter: &'static str,
    /// What it is.
    pub name: &'static str,
    /// Rows of a training batch.
    pub batch: usize,
    /// Channels and length of a window.
    pub window: (usize, usize),
    classes: usize,
    domains: usize,
    /// Parameters of extractor and label head.
    pub parameters: usize,
}

/// All of them. `B` takes rows of three domains, all of them labelled.
pub const NETWORKS: [Network; 5] = [
    network("A", "seresnext50", 64, (1, 1024), 24_579_322),
    Network {
        classes: 4,
        domains: 3,
        ..network("B", "seed-seresnext50", 32, (2, 3000), 717_992)
    },
    network("C", "light-cnn", 128, (1, 1024), 167_114),
    network("D", "seresnext26-small", 128, (1, 1024), 952_738),
    network("E", "resnet18-1d", 64, (1, 1024), 3_849_034),
];

const fn network(
    letter: &'static str,
    name: &'static str,
    batch: usize,
    window: (usize, usize),
    parameters: usize,
) -> Network {
    Network {
        letter,
        name,
        batch,
        window,
        classes: 10,
        domains: 2,
        parameters,
    }
}

impl Network {
    /// The network of a letter or name.
    pub fn find(name: &str) -> Option<Self> {
        NETWORKS
            .into_iter()
            .find(|network| network.letter.eq_ignore_ascii_case(name) || network.name == name)
    }

    /// Rows of an adversarial step whose sources have `batch` rows, targets included.
    pub fn adversarial_rows(&self, batch: usize) -> usize {
        if self.domains == 3 { batch } else { 2 * batch }
    }

    fn extractor(&self, norm: Option<BatchNormConfig>, vb: VarBuilder) -> Result<Box<dyn Extractor>> {
        let architecture = match self.letter {
            "A" => Architecture::SeResNeXt50,
            "B" => Architecture::Seed50,
            "C" => Architecture::LightCnn,
            "D" => Architecture::SeResNeXt26Small,
            _ => return Ok(Box::new(ResNet18::new(self.window.0, norm.unwrap_or_default(), vb)?)),
        };
        architecture.build(self.window.0, norm.unwrap_or(architecture.batch_norm()), vb)
    }

    fn dann(&self, norm: Option<BatchNormConfig>, vb: VarBuilder) -> Result<Dann<Box<dyn Extractor>>> {
        let extractor = self.extractor(norm, vb.pp("extractor"))?;
        let hidden = Head::Hidden {
            width: 256,
            dropout: 0.5,
        };
        let config = DannConfig {
            label_head: if self.letter == "C" { hidden } else { Head::Linear },
            domain_head: if self.domains == 3 { Head::Linear } else { hidden },
            ..DannConfig::new(self.classes, self.domains, extractor.feature_len(self.window.1))
        };
        Dann::new(extractor, config, vb)
    }

    fn windows(&self, rows: usize, device: &Device) -> Result<Tensor> {
        Tensor::randn(0f32, 1., (rows, self.window.0, self.window.1), device)
    }

    fn labelled(&self, rows: usize, device: &Device) -> Result<LabelledRows> {
        let classes: Vec<u32> = (0..rows).map(|row| (row % self.classes) as u32).collect();
        LabelledRows::new(self.windows(rows, device)?, Tensor::new(classes, device)?)
    }
}

/// Training of one network on one batch that stays. Steps run in the pool of threads, where a layer that is shared out costs
/// no change of threads.
pub struct Training {
    network: Dann<Box<dyn Extractor>>,
    optimiser: Optimiser,
    batch: Batch,
    reversal: GradientReversal,
    step: u64,
}

impl Training {
    /// `rows` rows of the sources, and as many of the target in an adversarial step.
    pub fn new(network: Network, rows: usize, device: &Device) -> Result<Self> {
        let store = ParameterStore::new(0, DType::F32, device.clone());
        let dann = network.dann(None, store.builder())?;
        let trainable = store.trainable();
        let counted: usize = trainable
            .iter()
            .filter(|(name, _)| !name.starts_with("domain_head"))
            .map(|(_, var)| var.elem_count())
            .sum();
        if counted != network.parameters {
            bail!("{} has {counted} parameters, not {}", network.name, network.parameters);
        }
        let batch = if network.domains == 3 {
            let part = rows.div_ceil(3);
            Batch {
                sources: [part, part, rows - 2 * part]
                    .into_iter()
                    .map(|rows| network.labelled(rows, device))
                    .collect::<Result<_>>()?,
                targets: Vec::new(),
            }
        } else {
            Batch {
                sources: vec![network.labelled(rows, device)?],
                targets: vec![UnlabelledRows::new(network.windows(rows, device)?)?],
            }
        };
        Ok(Self {
            network: dann,
            optimiser: Optimiser::new(OptimiserKind::ADAM, 0.0, trainable)?,
            batch,
            reversal: GradientReversal::new(if network.domains == 3 { 0.8 } else { 1.0 })?,
            step: 0,
        })
    }

    /// Forward, mean cross-entropy, backward, Adam, on the sources. The loss.
    pub fn source_step(&mut self) -> Result<f32> {
        rayon::scope(|_| {
            let losses = self.network.source_step(&self.batch.sources, 0, self.step)?;
            self.descend(&losses.total)
        })
    }

    /// The same with the domain head, on all rows.
    pub fn adversarial_step(&mut self) -> Result<f32> {
        rayon::scope(|_| {
            let losses = self
                .network
                .adversarial_step(&self.batch, self.reversal, 0, self.step)?;
            self.descend(&losses.total)
        })
    }

    fn descend(&mut self, loss: &Tensor) -> Result<f32> {
        self.step += 1;
        // a source step leaves the domain head out
        self.optimiser.step(&loss.backward()?, 1e-3, Missing::Skip)?;
        loss.to_scalar()
    }
}

/// A network in inference on one batch.
pub struct Inference {
    network: Dann<Box<dyn Extractor>>,
    windows: Tensor,
}

impl Inference {
    /// Running statistics are those of a batch of noise, so that activations have the size that they have in use.
    pub fn new(network: Network, rows: usize, device: &Device) -> Result<Self> {
        let store = ParameterStore::new(0, DType::F32, device.clone());
        let norm = BatchNormConfig {
            momentum: 1.0,
            ..BatchNormConfig::default()
        };
        let seen = network.dann(Some(norm), store.builder())?;
        seen.source_step(&[network.labelled(2, device)?], 0, 0)?;
        // plain tensors, as from a model file: candle records no graph
        let tensors: HashMap<String, Tensor> = store
            .names()
            .into_iter()
            .filter_map(|name| store.get(&name).map(|var| (name, var.as_detached_tensor())))
            .collect();
        let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
        Ok(Self {
            network: network.dann(None, vb)?,
            windows: network.windows(rows, device)?,
        })
    }

    /// The label logits.
    pub fn run(&self) -> Result<Tensor> {
        self.network.label_logits(&self.network.features(&self.windows, None)?)
    }
}
