//! Times one network: `peers/compare.py` pairs it with other frameworks' programs.
#![forbid(unsafe_code)]

use std::error::Error;

use benches::networks::{Inference, Network, Training};
use benches::serve::Timing;
use candle_core::{Device, Result as CandleResult};
use clap::{Parser, ValueEnum};
use serde_json::json;

/// Time one network on the CPU: training steps, adversarial steps, or inference.
#[derive(Parser)]
struct Args {
    /// Letter or name
    #[arg(long)]
    network: String,
    #[arg(long, value_enum, default_value_t = Mode::Train)]
    mode: Mode,
    /// Rows [default: the network's own, 1 in inference]
    #[arg(long)]
    batch: Option<usize>,
    #[command(flatten)]
    timing: Timing,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Train,
    Dann,
    Infer,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dann => "dann",
            Self::Infer => "infer",
        }
    }
}

type Step = Box<dyn FnMut() -> CandleResult<()>>;

fn step(network: Network, mode: Mode, rows: usize) -> CandleResult<Step> {
    let device = Device::Cpu;
    Ok(match mode {
        Mode::Train => {
            let mut training = Training::new(network, rows, &device)?;
            Box::new(move || training.source_step().map(drop))
        }
        Mode::Dann => {
            let mut training = Training::new(network, rows, &device)?;
            Box::new(move || training.adversarial_step().map(drop))
        }
        Mode::Infer => {
            let inference = Inference::new(network, rows, &device)?;
            Box::new(move || inference.run().map(drop))
        }
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    args.timing.check()?;
    let network = Network::find(&args.network).ok_or_else(|| format!("unknown network {}", args.network))?;
    let usual = if args.mode == Mode::Infer { 1 } else { network.batch };
    let rows = args.batch.unwrap_or(usual);
    let input_rows = if args.mode == Mode::Dann {
        network.adversarial_rows(rows)
    } else {
        rows
    };
    let (mode, threads) = (args.mode.name(), args.timing.threads);
    let case = json!({
        "schema": 1,
        "peer": "crossrig",
        "case": format!("{mode}/{}/n{rows}/t{threads}", network.name),
        "network": network.name,
        "mode": mode,
        "batch": rows,
        "input": [input_rows, network.window.0, network.window.1],
        "threads": threads,
        "parameters": network.parameters,
    });
    Ok(args.timing.run(&case, step(network, args.mode, rows)?)?)
}
