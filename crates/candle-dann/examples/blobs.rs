//! Two classes of Gaussian blobs; in the target domain their first coordinate has moved.
use candle_convnet1d::{Extractor, Linear, Pass, relu};
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_dann::{Batch, Dann, DannConfig, GradientReversal, Head, LabelledRows, UnlabelledRows};
use candle_gradient_reversal::Schedule;
use candle_nn::Init;
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore, init};

struct Network(Linear);
impl Extractor for Network {
    fn forward(&self, x: &Tensor, _: Pass) -> Result<Tensor> {
        relu(&self.0.forward(&x.flatten_from(1)?)?)
    }
    fn feature_len(&self, _: usize) -> usize {
        16
    }
}

/// Windows (300, 1, 2): points of class 0 around (-1.5, -1) and of class 1 around (1.5, 1) in turn.
fn blobs(name: &str, moved: f64) -> Result<Tensor> {
    let (mean, stdev) = (0.0, 0.5);
    let noise = init::values(0, name, &600.into(), Init::Randn { mean, stdev });
    let centre = |i: usize| [[-1.5 + moved, -1.0], [1.5 + moved, 1.0]][i / 2 % 2][i % 2];
    let points = (0..600).map(|i| (centre(i) + noise[i]) as f32).collect();
    Tensor::from_vec(points, (300, 1, 2), &Device::Cpu)
}

fn main() -> Result<()> {
    let labels = Tensor::from_iter((0..300).map(|i| i % 2u32), &Device::Cpu)?;
    let sources = vec![LabelledRows::new(blobs("source", 0.0)?, labels.clone())?];
    let target = blobs("target", 2.0)?;
    let targets = vec![UnlabelledRows::new(target.clone())?];
    let batch = Batch { sources, targets };
    for adapted in [false, true] {
        let store = ParameterStore::new(0, DType::F32, Device::Cpu);
        let network = Network(Linear::new(2, 16, store.builder().pp("extractor"))?);
        let mut config = DannConfig::new(2, 2, 16);
        config.domain_head = Head::hidden(32);
        let dann = Dann::new(network, config, store.builder())?;
        let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
        for step in 0..1000 {
            let lambda = 3.0 * Schedule::default().at(step as f64 / 999.0);
            let losses = if adapted {
                dann.adversarial_step(&batch, GradientReversal::new(lambda)?, 0, step)?
            } else {
                dann.source_step(&batch.sources, 0, step)?
            };
            optimiser.step(&losses.total.backward()?, 0.01, Missing::Skip)?;
        }
        let named = dann.label_logits(&dann.features(&target, None)?)?.argmax(1)?;
        let right = named.eq(&labels)?.to_dtype(DType::F32)?.mean_all()?;
        let method = if adapted { "adapted" } else { "source-only" };
        println!(
            "{method}: {:.1} % of the target right",
            100.0 * right.to_scalar::<f32>()?
        );
    }
    Ok(())
}
