//! Two classes of Gaussian blobs, and a second domain where the first coordinate has moved. `cargo run --example blobs`
use candle_convnet1d::{Extractor, Linear, Pass, relu};
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_dann::{Batch, Dann, DannConfig, Head, LabelledRows, UnlabelledRows};
use candle_gradient_reversal::Schedule;
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore, init};

struct OneLayer(Linear);
impl Extractor for OneLayer {
    fn forward(&self, x: &Tensor, _: Pass) -> Result<Tensor> {
        relu(&self.0.forward(&x.flatten_from(1)?)?)
    }
    fn feature_len(&self, _: usize) -> usize {
        16
    }
}

/// 300 windows (300, 1, 2) and labels: x differs by 3 between the classes, y by 2; in x the domain is moved by `shift`.
fn blobs(name: &str, shift: f64) -> Result<(Tensor, Tensor)> {
    let noise = init::values(0, name, &600.into(), candle_nn::Init::Randn { mean: 0.0, stdev: 0.5 });
    let side = |i: usize| (i % 2) as f64 * 2.0 - 1.0;
    let points: Vec<f64> = (0..300)
        .flat_map(|i| [1.5 * side(i) + shift + noise[2 * i], side(i) + noise[2 * i + 1]])
        .collect();
    let labels: Vec<u32> = (0..300).map(|i| i % 2).collect();
    let points = Tensor::from_vec(points, (300, 1, 2), &Device::Cpu)?.to_dtype(DType::F32)?;
    Ok((points, Tensor::new(labels, &Device::Cpu)?))
}

fn main() -> Result<()> {
    let ((source, labels), (target, truth)) = (blobs("source", 0.0)?, blobs("target", 3.0)?);
    for adapted in [false, true] {
        let store = ParameterStore::new(1, DType::F32, Device::Cpu);
        let extractor = OneLayer(Linear::new(2, 16, store.builder().pp("extractor"))?);
        let config = DannConfig {
            domain_head: Head::Hidden(16),
            ..DannConfig::new(2, 2, 16)
        };
        let dann = Dann::new(extractor, config, store.builder())?;
        let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
        for step in 0..500 {
            let sources = vec![LabelledRows::new(source.clone(), labels.clone())?];
            let losses = if adapted {
                let targets = vec![UnlabelledRows::new(target.clone())?];
                let lambda = Schedule::default().at(step as f64 / 499.0);
                dann.adversarial_step(&Batch { sources, targets }, lambda, 0, step)?
            } else {
                dann.source_step(&sources, 0, step)?
            };
            optimiser.step(&losses.total.backward()?, 0.01, Missing::Skip)?;
        }
        let right = |x: &Tensor, y: &Tensor| -> Result<f32> {
            let named = dann.label_logits(&dann.features(x, None)?)?.argmax(1)?;
            named.eq(y)?.to_dtype(DType::F32)?.mean_all()?.to_scalar()
        };
        let name = if adapted { "adapted" } else { "source-only" };
        println!(
            "{name:>12}: {:.3} of the source, {:.3} of the target",
            right(&source, &labels)?,
            right(&target, &truth)?
        );
    }
    Ok(())
}
