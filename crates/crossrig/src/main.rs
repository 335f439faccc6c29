//! The program `crossrig`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_convnet1d::InstructionSet;
use clap::{Parser, Subcommand};
use crossrig::commands::{Context, demo, evaluate, init, inspect, pack, predict, train};
use crossrig::{Error, room};

/// Carry a fault diagnosis from one machine to another, and see how far to trust it.
#[derive(Parser)]
#[command(
    version,
    about,
    arg_required_else_help = true,
    after_help = "Start with `crossrig demo`. Each command has a --help of its own."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Simulate two machines and carry the diagnosis from one to the other (under 3 minutes)
    Demo(demo::DemoArgs),
    /// Write a first manifest for a folder of recordings, to be corrected
    Init(init::InitArgs),
    /// Show what a manifest, a folder or a file holds, and what is wrong with it
    Inspect(Box<inspect::InspectArgs>),
    /// Write a data set as one compressed HDF5 file, which loads without a manifest and which others read too
    Pack(pack::PackArgs),
    /// Train on labelled and unlabelled recordings; score beside simple methods; save models and a report
    Train(Box<train::TrainArgs>),
    /// Score a saved model on labelled recordings
    Evaluate(evaluate::EvaluateArgs),
    /// Diagnose new recordings with a saved model
    Predict(predict::PredictArgs),
}

fn main() -> ExitCode {
    kept_heap::keep_freed_pages();
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    // the first Ctrl-C finishes the step and saves a checkpoint, the second ends at once
    let handler = ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step; again to stop at once");
    });
    if let Err(e) = handler {
        eprintln!("warning: Ctrl-C will end the program at once: {e}");
    }
    let context = Context {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        stop,
        spare_memory: kept_heap::give_back_freed_pages,
    };
    let command = Cli::parse().command;
    // before any work is done that a wrong variable would lose
    let instructions = InstructionSet::in_use().map_err(|e| Error::input(e.to_string()));
    let result = instructions.and_then(|_| room::check()).and_then(|()| match command {
        Command::Demo(args) => demo::run(&args, &context),
        Command::Init(args) => init::run(&args, &context),
        Command::Inspect(args) => inspect::run(&args, &context),
        Command::Pack(args) => pack::run(&args, &context),
        Command::Train(args) => train::run(&args, &context),
        Command::Evaluate(args) => evaluate::run(&args, &context),
        Command::Predict(args) => predict::run(&args, &context),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            if let Some(hint) = e.hint() {
                eprintln!("\nhint: {hint}");
            }
            ExitCode::from(e.exit_code())
        }
    }
}
