//! Times one layer: `peers/compare.py` pairs it with PyTorch's.
//!
//! Forward and backward is the layer as networks of signals have it, its output written in full, from a gradient of the output
//! that is given to the gradients of the input and the parameters: what PyTorch's `autograd.grad` does. A caller who hands
//! tensors to candle's own backward pass pays more: it makes a gradient of ones, and adds the input's to zeros.
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;

use benches::serve::Timing;
use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Pass, Signal};
use candle_core::{DType, Device, Result as CandleResult, Tensor};
use candle_nn::{VarBuilder, VarMap};
use clap::Parser;
use serde_json::json;

/// Time one layer on the CPU.
#[derive(Parser)]
struct Args {
    /// Its key
    #[arg(long)]
    layer: String,
    /// `forward`, or `backward` for both passes
    #[arg(long, default_value = "backward")]
    pass: String,
    /// Take another input and gradient at each call, of as many as make up 800 MB of inputs: none is in a cache
    #[arg(long)]
    cold: bool,
    #[command(flatten)]
    timing: Timing,
}

const COLD: usize = 800_000_000;

type Shape = (usize, usize, usize);
type Forward = Box<dyn Fn(&Signal) -> CandleResult<Signal>>;

/// The input's shape and the layer.
fn layer(key: &str) -> CandleResult<Option<(Shape, Forward)>> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let conv = |shape: Shape, c_out: usize, kernel: usize, groups: usize| {
        let config = Conv1dConfig {
            padding: (kernel / 2).into(),
            groups,
            bias: false,
            ..Conv1dConfig::default()
        };
        let conv = Conv1d::new(shape.1, c_out, kernel, config, vb.clone())?;
        let forward: Forward = Box::new(move |x| x.conv(&conv));
        Ok::<_, candle_core::Error>((shape, forward))
    };
    let grouped = |channels, length| conv((64, channels, length), channels, 3, 32);
    let max_pool = |shape: Shape, kernel: usize, padding: usize| {
        let forward: Forward = Box::new(move |x| x.max_pool(kernel, 2, padding));
        (shape, forward)
    };
    Ok(Some(match key {
        "grouped-k3-g32-c128-l256" => grouped(128, 256)?,
        "grouped-k3-g32-c256-l128" => grouped(256, 128)?,
        "grouped-k3-g32-c512-l64" => grouped(512, 64)?,
        "grouped-k3-g32-c1024-l32" => grouped(1024, 32)?,
        "dense-k3-c64-l256" => conv((64, 64, 256), 64, 3, 1)?,
        "dense-k3-c512-l32" => conv((64, 512, 32), 512, 3, 1)?,
        "pointwise-c256-c128-l256" => conv((64, 256, 256), 128, 1, 1)?,
        "bn-relu-c256-l256" => {
            let norm = BatchNorm1d::new(256, BatchNormConfig::default(), vb.clone())?;
            let forward: Forward = Box::new(move |x| {
                let pass = Pass::Train {
                    seed: 0,
                    step: 0,
                    rows: &[64],
                };
                x.norm_relu(&norm, pass)
            });
            ((64, 256, 256), forward)
        }
        "maxpool-k2s2-c32-l1008" => max_pool((128, 32, 1008), 2, 0),
        "maxpool-k3s2-c64-l512" => max_pool((64, 64, 512), 3, 1),
        _ => return Ok(None),
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    args.timing.check()?;
    let (shape, forward) = layer(&args.layer)?.ok_or_else(|| format!("unknown layer {}", args.layer))?;
    let bytes = 4 * shape.0 * shape.1 * shape.2;
    let count = if args.cold { COLD.div_ceil(bytes) } else { 1 };
    let inputs = (0..count)
        .map(|_| Tensor::randn(0f32, 1., shape, &Device::Cpu))
        .collect::<CandleResult<Vec<_>>>()?;
    let like = forward(&Signal::enter(&inputs[0])?)?.leave()?;
    let both = args.pass == "backward";
    let gradients = (0..if both { count } else { 0 })
        .map(|_| like.randn_like(0., 1.))
        .collect::<CandleResult<Vec<_>>>()?;
    let case = json!({
        "schema": 1,
        "peer": "crossrig",
        "case": format!("{}/{}/t{}", args.pass, args.layer, args.timing.threads),
        "layer": args.layer,
        "pass": args.pass,
        "input": [shape.0, shape.1, shape.2],
        "threads": args.timing.threads,
        "cold": args.cold,
    });
    let mut turn = 0;
    Ok(args.timing.run(&case, move || {
        turn = (turn + 1) % inputs.len();
        if both {
            let x = Signal::watched(&inputs[turn])?;
            let y = forward(&x)?;
            black_box((y.leave()?, y.gradients(&gradients[turn], &x)?));
        } else {
            black_box(forward(&Signal::enter(&inputs[turn])?)?.leave()?);
        }
        Ok(())
    })?)
}
