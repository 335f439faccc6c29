//! Times one layer: `peers/compare.py` pairs it with PyTorch's.
//!
//! Forward and backward is what a caller of the layer pays: candle starts from a gradient of ones that it makes, and adds
//! the gradient of the input to a tensor of zeros. Networks of signals do not pay this.
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;

use benches::serve::Timing;
use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1dParams, Pass, conv1d, max_pool1d};
use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
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
    /// Take another input at each call, of as many as make up 800 MB: none is in a cache
    #[arg(long)]
    cold: bool,
    #[command(flatten)]
    timing: Timing,
}

const COLD: usize = 800_000_000;

type Shape = (usize, usize, usize);
type Forward = Box<dyn Fn(&Tensor) -> CandleResult<Tensor>>;

/// The input's shape and the layer.
fn layer(key: &str) -> CandleResult<Option<(Shape, Forward)>> {
    let conv = |shape: Shape, c_out: usize, kernel: usize, groups: usize, padding: usize| {
        let weight = Var::randn(0f32, 1., (c_out, shape.1 / groups, kernel), &Device::Cpu)?;
        let params = Conv1dParams {
            padding: padding.into(),
            groups,
            ..Conv1dParams::default()
        };
        let forward: Forward = Box::new(move |x| conv1d(x, &weight, None, params));
        Ok::<_, candle_core::Error>((shape, forward))
    };
    let grouped = |channels, length| conv((64, channels, length), channels, 3, 32, 1);
    Ok(Some(match key {
        "grouped-k3-g32-c128-l256" => grouped(128, 256)?,
        "grouped-k3-g32-c256-l128" => grouped(256, 128)?,
        "grouped-k3-g32-c512-l64" => grouped(512, 64)?,
        "grouped-k3-g32-c1024-l32" => grouped(1024, 32)?,
        "dense-k3-c64-l256" => conv((64, 64, 256), 64, 3, 1, 1)?,
        "dense-k3-c512-l32" => conv((64, 512, 32), 512, 3, 1, 1)?,
        "pointwise-c256-c128-l256" => conv((64, 256, 256), 128, 1, 1, 0)?,
        "bn-relu-c256-l256" => {
            let map = VarMap::new();
            let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
            let norm = BatchNorm1d::new(256, BatchNormConfig::default(), vb)?;
            let forward: Forward = Box::new(move |x| {
                let pass = Pass::Train {
                    seed: 0,
                    step: 0,
                    rows: &[64],
                };
                norm.forward_relu(x, pass)
            });
            ((64, 256, 256), forward)
        }
        "maxpool-k2s2-c32-l1008" => ((128, 32, 1008), Box::new(|x| max_pool1d(x, 2, 2, 0))),
        "maxpool-k3s2-c64-l512" => ((64, 64, 512), Box::new(|x| max_pool1d(x, 3, 2, 1))),
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
        .map(|_| Var::randn(0f32, 1., shape, &Device::Cpu))
        .collect::<CandleResult<Vec<_>>>()?;
    let both = args.pass == "backward";
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
        let y = forward(&inputs[turn])?;
        if both {
            black_box(y.backward()?);
        } else {
            black_box(y);
        }
        Ok(())
    })?)
}
