//! Every distinct layer of four 1-D networks, ours against stock candle's, on the same input and parameters.
//!
//! The two alternate (A B A B) in one process, on the CPU in f32, with the same allocator, threads and matrix product.
//! Forward, and forward and backward from a gradient of ones with respect to input and parameters. Before the clock
//! starts, both results are compared.
//!
//! Candle's conv1d returns wrong gradients for batches above 1. That is a matter of its values: the work it does is that
//! of the right ones. Its max pool's gradient is divided by the window's area, too; overlapping windows have none.
#![forbid(unsafe_code)]

mod layers;
mod machine;
mod measure;
mod pair;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use clap::Parser;
use globset::Glob;
use serde::Serialize;

use machine::{Machine, version};
use measure::{Plan, Row, measure};

/// Time every distinct layer of networks A, C, D and E, ours against stock candle's, alternating; print a table.
#[derive(Parser)]
struct Args {
    /// How often the two alternate
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only layers whose name (first column) fits
    #[arg(long, value_name = "GLOB", default_value = "*")]
    layer: Glob,
    /// Rows of every input [default: the networks' training batches: A 64, C 128, D 128, E 64]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// One call each on 2 rows: does it work?
    #[arg(long)]
    quick: bool,
    /// Write all samples here
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Record {
    command: String,
    versions: BTreeMap<&'static str, &'static str>,
    machine: Machine,
    rows: Vec<Row>,
}

fn main() -> Result<(), Box<dyn Error>> {
    kept_heap::keep_freed_pages();
    // as the program trains: on a thread of the pool, which begins its own share without waking another
    rayon::scope(|_| run().map_err(|e| e.to_string())).map_err(Into::into)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let plan = Plan {
        rounds: if args.quick { 1 } else { args.rounds.into() },
        sample: Duration::from_millis(if args.quick { 0 } else { 20 }),
    };
    let batch = if args.quick { Some(2) } else { args.batch };
    let mut record = Record {
        command: env::args()
            .skip(1)
            .fold("layers_vs_candle".into(), |command, arg| command + " " + &arg),
        versions: ["candle-convnet1d", "candle-core", "candle-nn", "gemm"]
            .map(|name| (name, version(name)))
            .into(),
        machine: Machine::of_now(),
        rows: Vec::new(),
    };

    println!("| layer | input | used by | pass | ours ms | candle ms | ratio |");
    println!("|---|---|---|---|---:|---:|---:|");
    let wanted = args.layer.compile_matcher();
    for case in layers::cases(batch.map(usize::from)) {
        if wanted.is_match(case.layer.to_string()) {
            for row in measure(&case, plan)? {
                println!("{}", line(&row));
                record.rows.push(row);
            }
        }
    }
    record.machine.load_after = machine::load();

    print_summary(&record.rows);
    if let Some(path) = args.json {
        fs::write(&path, serde_json::to_string(&record)? + "\n").map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let networks: Vec<String> = row
        .networks
        .iter()
        .map(|(letter, count)| format!("{count} {letter}"))
        .collect();
    let candle = row
        .candle_ms
        .map_or_else(|| row.note.unwrap_or_default().to_owned(), |ms| format!("{ms:.3}"));
    let ratio = row.ratio.map(|r| format!("{r:.2}")).unwrap_or_default();
    format!(
        "| {} | {:?} | {} | {} | {:.3} | {candle} | {ratio} |",
        row.layer,
        row.input,
        networks.join(", "),
        row.pass,
        row.ours_ms
    )
}

/// Layers that are slower than candle's, and each network's layers together.
fn print_summary(rows: &[Row]) {
    let compared = rows.iter().filter(|row| row.ratio.is_some()).count();
    let ratio = |row: &Row| row.ratio.unwrap_or(0.0);
    let mut slower: Vec<&Row> = rows.iter().filter(|row| ratio(row) > 1.0).collect();
    slower.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
    println!("\nSlower than stock candle: {} of {compared}.", slower.len());
    for row in slower {
        println!("- {} {:?}, {}: {:.2}", row.layer, row.input, row.pass, ratio(row));
    }

    println!(
        "\nAll layers of a network that candle has too, forward and backward, each as often as the network has it:"
    );
    for letter in ['A', 'C', 'D', 'E'] {
        let (mut ours, mut candle) = (0.0, 0.0);
        for row in rows.iter().filter(|row| row.pass == "forward+backward") {
            let count = row.networks.iter().find(|n| n.0 == letter).map_or(0, |n| n.1) as f64;
            if let Some(ms) = row.candle_ms {
                ours += count * row.ours_ms;
                candle += count * ms;
            }
        }
        if candle > 0.0 {
            println!(
                "- {letter}: ours {ours:.0} ms, candle {candle:.0} ms, ratio {:.2}",
                ours / candle
            );
        }
    }
}
