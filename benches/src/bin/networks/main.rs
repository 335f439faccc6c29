//! Times one network: `peers/compare.py` pairs it with other frameworks' programs.
//!
//! With `--serve` it speaks the protocol of those: a `ready` line, then for each line on standard input with a number
//! N one untimed and N timed runs and a `times` line, and at the end a `result` line.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use benches::median;
use benches::networks::{Inference, Network, Training};
use candle_core::{Device, Result as CandleResult};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

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
    /// Threads; must be what RAYON_NUM_THREADS says, since the pools are made before this is read
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, default_value_t = 10)]
    runs: usize,
    #[arg(long, default_value_t = 3)]
    warmup: usize,
    /// Time runs on request
    #[arg(long)]
    serve: bool,
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

/// A field of `/proc/self/status`, in MiB.
fn resident_mib(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.trim_matches([':', '\t', ' ']).split(' ').next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Milliseconds of `count` runs, each the mean of `inner` steps.
fn time(step: &mut Step, count: usize, inner: usize) -> CandleResult<Vec<f64>> {
    (0..count)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..inner {
                step()?;
            }
            Ok(start.elapsed().as_secs_f64() * 1e3 / inner as f64)
        })
        .collect()
}

fn say(event: &str, fields: &Map<String, Value>) -> Result<(), Box<dyn Error>> {
    let mut line = Map::new();
    line.insert("event".into(), event.into());
    line.extend(fields.clone());
    writeln!(stdout(), "{}", Value::Object(line))?;
    Ok(stdout().flush()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let network = Network::find(&args.network).ok_or_else(|| format!("unknown network {}", args.network))?;
    if rayon::current_num_threads() != args.threads {
        return Err(format!(
            "{} threads asked for, {} there: set RAYON_NUM_THREADS={0}",
            args.threads,
            rayon::current_num_threads()
        )
        .into());
    }
    let rows = args.batch.unwrap_or(if args.mode == Mode::Infer { 1 } else { network.batch });
    let baseline = resident_mib("VmRSS");
    let mut step = step(network, args.mode, rows)?;
    let input_rows = if args.mode == Mode::Dann { network.adversarial_rows(rows) } else { rows };
    let case = json!({
        "schema": 1,
        "peer": "crossrig",
        "case": format!("{}/{}/n{rows}/t{}", args.mode.name(), network.name, args.threads),
        "network": network.name,
        "mode": args.mode.name(),
        "batch": rows,
        "input": [input_rows, network.window.0, network.window.1],
        "threads": args.threads,
        "parameters": network.parameters,
        "heap": "kept",
    });
    let Value::Object(mut fields) = case else { return Err("no object".into()) };

    let first = time(&mut step, 1, 1)?[0];
    time(&mut step, args.warmup.saturating_sub(1), 1)?;
    let once = time(&mut step, 1, 1)?[0];
    // short steps are timed in groups of about 2 ms
    let inner = if once < 1.0 { (2.0 / once.max(1e-3)).round().max(1.0) as usize } else { 1 };
    let mut times = Vec::new();
    if args.serve {
        say("ready", &fields)?;
        for line in stdin().lock().lines() {
            let line = line?;
            if line.trim().is_empty() {
                break;
            }
            time(&mut step, 1, inner)?;
            let measured = time(&mut step, line.trim().parse()?, inner)?;
            say("times", &json!({ "times_ms": measured }).as_object().cloned().unwrap_or_default())?;
            times.extend(measured);
        }
    } else {
        times = time(&mut step, args.runs, inner)?;
    }
    let result = json!({
        "first_ms": first,
        "warmup": args.warmup,
        "runs": times.len(),
        "inner": inner,
        "times_ms": times,
        "min_ms": times.iter().copied().reduce(f64::min),
        "median_ms": median(&times),
        "baseline_rss_mib": baseline,
        "peak_rss_mib": resident_mib("VmHWM"),
    });
    fields.extend(result.as_object().cloned().unwrap_or_default());
    say("result", &fields)
}
