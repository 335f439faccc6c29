//! The network of the article that this project began with ("[Tensorflow2] 梯度反转层(GRL)与域对抗训练神经网络(DANN)的实现", with its
//! repository `LEON-REIN/models-for-tensorflow2-keras`): an SE-ResNeXt-50 for windows of 3000 samples of two channels, without
//! its top, under a label head for four classes and a domain head for three domains, with the reversal's signed lambda
//! of -0.8. Then the same with the heads of the repository's later version, which cannot be built there.
//!
//! Prints layers, shapes and parameters, what both heads say of one window, and the losses of one training step.
//! Weights are random: this shows the composition, not a diagnosis. What an untrained network says of a window is far from
//! even, because in inference its batch norms divide by running variances that have seen nothing yet.
mod network;
mod table;

use candle_core::{DType, Device, Result, Tensor};
use candle_dann::{Batch, GradientReversal, LabelledRows, UnlabelledRows};
use candle_nn::Init;
use candle_trainer::{Missing, Optimiser, OptimiserKind, ParameterStore, init};
use network::{DOMAINS, Form, LABELS};
use table::Row;

const LENGTH: usize = 3000;
/// The factor of the gradient behind the domain head: it turns the gradient round where it is below 0.
const SIGNED_LAMBDA: f64 = -0.8;
/// Windows of each domain in the training step.
const ROWS: usize = 4;

fn main() -> Result<()> {
    let extractor = network::extractor()?;
    for form in [Form::Article, Form::Later] {
        let store = ParameterStore::new(0, DType::F32, Device::Cpu);
        let dann = network::build(&extractor, form, LENGTH, &store)?;
        if form == Form::Article {
            println!("layers of both (a convolution with its batch norm and ReLU is one line)\n");
            print_rows(&table::extractor(&extractor, LENGTH, &store));
        }
        let title = match form {
            Form::Article => "heads of the article",
            Form::Later => "heads of the repository's later version",
        };
        println!("\n{title}\n");
        print_rows(&table::heads(dann.config(), SIGNED_LAMBDA, &store));
        let trainable = store.parameter_count();
        let running: usize = store.buffers().values().map(|variable| variable.elem_count()).sum();
        println!(
            "\ntrainable parameters {trainable}, with running statistics {}",
            trainable + running
        );

        let said = dann.predict(&noise("window", 1, extractor.in_channels)?, None)?;
        println!("label_predict  {:.4?}", said.label.to_vec2::<f32>()?[0]);
        println!("domain_predict {:.4?}", said.domain.to_vec2::<f32>()?[0]);

        let labels = Tensor::from_iter((0..ROWS).map(|i| (i % LABELS) as u32), &Device::Cpu)?;
        let windows = |k: usize| noise(&format!("domain {k}"), ROWS, extractor.in_channels);
        let batch = Batch {
            sources: vec![LabelledRows::new(windows(0)?, labels)?],
            targets: (1..DOMAINS)
                .map(|k| UnlabelledRows::new(windows(k)?))
                .collect::<Result<_>>()?,
        };
        let reversal = GradientReversal::from_signed(SIGNED_LAMBDA)?;
        let losses = dann.adversarial_step(&batch, reversal, 0, 0)?;
        let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
        // an error if any parameter had no gradient
        optimiser.step(&losses.total.backward()?, 1e-3, Missing::Error)?;
        let label = losses.label.to_scalar::<f32>()?;
        let domain = losses.domain.map(|domain| domain.loss.to_scalar::<f32>()).transpose()?;
        println!(
            "one training step: label loss {label:.4}, domain loss {:.4}",
            domain.unwrap_or(f32::NAN)
        );
    }
    Ok(())
}

/// Windows of standard normal noise.
fn noise(name: &str, rows: usize, channels: usize) -> Result<Tensor> {
    let shape = (rows, channels, LENGTH);
    let normal = Init::Randn { mean: 0.0, stdev: 1.0 };
    Tensor::from_vec(init::values(0, name, &shape.into(), normal), shape, &Device::Cpu)?.to_dtype(DType::F32)
}

fn print_rows(rows: &[Row]) {
    println!(
        "{:<36} {:<24} {:<16} {:>10} {:>8}",
        "layer", "", "output", "trainable", "running"
    );
    for row in rows {
        let output = row
            .output
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        println!(
            "{:<36} {:<24} {:<16} {:>10} {:>8}",
            row.layer,
            row.does,
            format!("({output})"),
            row.trainable,
            row.running
        );
    }
}
