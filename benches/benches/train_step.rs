//! Whole training steps as the program takes them: forward, backward, Adam; source-only and adversarial.

use benches::{devices, elapsed, name};
use candle_convnet1d::{BatchNormConfig, Extractor};
use candle_core::{DType, Device, Result, Tensor};
use candle_dann::{Batch, Dann, DannConfig, GradientReversal, Head, LabelledRows, UnlabelledRows};
use candle_seresnext1d::Architecture;
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 64; // per domain
const LENGTH: usize = 1024;
const CLASSES: usize = 9;

struct Training {
    dann: Dann<Box<dyn Extractor>>,
    optimiser: Optimiser,
    batch: Batch,
    step: u64,
}

impl Training {
    fn new(architecture: Architecture, device: &Device) -> Result<Self> {
        let store = ParameterStore::new(0, DType::F32, device.clone());
        let vb = store.builder();
        let extractor = architecture.build(1, BatchNormConfig::default(), vb.pp("extractor"))?;
        let config = DannConfig {
            label_head: match architecture {
                Architecture::LightCnn => Head::hidden(256),
                _ => Head::Linear,
            },
            domain_head: Head::hidden(256),
            ..DannConfig::new(CLASSES, 2, extractor.feature_len(LENGTH))
        };
        let windows = || Tensor::randn(0f32, 1., (ROWS, 1, LENGTH), device);
        let labels: Vec<u32> = (0..ROWS).map(|row| (row % CLASSES) as u32).collect();
        Ok(Self {
            dann: Dann::new(extractor, config, vb)?,
            optimiser: Optimiser::new(OptimiserKind::ADAM, 1e-5, store.trainable())?,
            batch: Batch {
                sources: vec![LabelledRows::new(windows()?, Tensor::new(labels, device)?)?],
                targets: vec![UnlabelledRows::new(windows()?)?],
            },
            step: 0,
        })
    }

    fn source_step(&mut self) -> Result<()> {
        let losses = self.dann.source_step(&self.batch.sources, 0, self.step)?;
        self.descend(&losses.total)
    }

    fn adversarial_step(&mut self) -> Result<()> {
        let reversal = GradientReversal::new(0.8)?;
        let losses = self.dann.adversarial_step(&self.batch, reversal, 0, self.step)?;
        self.descend(&losses.total)
    }

    fn descend(&mut self, loss: &Tensor) -> Result<()> {
        self.step += 1;
        self.optimiser.step(&loss.backward()?, 1e-3, Missing::Skip) // a source step has no domain head
    }
}

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    for device in devices() {
        for architecture in [Architecture::LightCnn, Architecture::SeResNeXt26Small] {
            let id = |kind| format!("{}/{architecture}/{kind}", name(&device));

            group.throughput(Throughput::Elements(ROWS as u64));
            let mut training = Training::new(architecture, &device).unwrap();
            group.bench_function(id("source-only"), |b| {
                b.iter_custom(|steps| elapsed(&device, steps, || training.source_step()).unwrap());
            });

            group.throughput(Throughput::Elements(2 * ROWS as u64));
            let mut training = Training::new(architecture, &device).unwrap();
            group.bench_function(id("dann"), |b| {
                b.iter_custom(|steps| elapsed(&device, steps, || training.adversarial_step()).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
