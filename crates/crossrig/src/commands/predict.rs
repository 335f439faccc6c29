//! `crossrig predict`: what a saved model says about new files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use signal_conditioning::Meta;
use signal_domains::load_file;

use super::Context;
use crate::corpus::{Signal, data_error};
use crate::error::{Error, Result};
use crate::inference::{Statistics, choose_statistics, classify, prepare};
use crate::model_file::{self, Model};
use crate::network::argmax;
use crate::{output, summary};

/// Flags of `predict`.
#[derive(Clone, Debug, Args)]
pub struct PredictArgs {
    /// Model that `train` saved (model.safetensors)
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Recordings to diagnose
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Domain of the model whose statistics prepare the files [default: the only target]
    #[arg(long, value_name = "DOMAIN")]
    pub statistics: Option<String>,
    /// Variable, column or dataset to read; once for each channel [default: those of the training files]
    #[arg(long, value_name = "GLOB")]
    pub key: Vec<String>,
    /// Sampling rate of the files in Hz [default: the model's, and the output says that it is assumed]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<f64>,
    /// One JSON object a file and line
    #[arg(long)]
    pub json: bool,
    /// Take statistics from these files themselves; right only where they show every condition
    #[arg(long)]
    pub restandardise: bool,
}

/// The diagnosis of one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The file.
    pub file: String,
    /// Class with the largest mean probability over windows.
    pub label: String,
    /// That mean; not calibrated.
    pub confidence: f64,
    /// Share of windows whose most probable class is the label.
    pub agreement: f64,
    /// Number of windows.
    pub windows: usize,
    /// What was done about the rate.
    pub rate: String,
}

/// Runs the command.
///
/// # Errors
/// [`Error::SomeFiles`] where some files could not be used; the others are printed.
pub fn run(args: &PredictArgs, _context: &Context) -> Result<()> {
    if let Some(r) = args.rate.filter(|r| !(r.is_finite() && *r > 0.0)) {
        return Err(Error::input(format!("--rate must be a positive number, found {r}")));
    }
    let model = model_file::load(&args.model)?;
    let statistics = choose_statistics(&model, args.statistics.as_deref(), args.restandardise)?;
    let (mut signals, mut notes, mut failed) = (Vec::new(), Vec::new(), 0);
    for file in &args.files {
        match read(&model, file, &args.key, args.rate) {
            Ok((signal, note)) => {
                signals.push(signal);
                notes.push(note);
            }
            Err(e) => {
                failed += 1;
                eprintln!("error: {e}");
                if let Some(hint) = e.hint() {
                    eprintln!("hint: {hint}");
                }
            }
        }
    }
    if args.restandardise && !args.json {
        eprintln!(
            "warning: statistics come from these files themselves: right only where they show every condition the model knows"
        );
    }
    let diagnoses = if signals.is_empty() {
        Vec::new()
    } else {
        diagnose(&model, &signals, &notes, statistics)?
    };
    output::print(&if args.json {
        json_lines(&diagnoses)?
    } else {
        table(&diagnoses)
    });
    if failed > 0 {
        return Err(Error::SomeFiles {
            failed,
            all: args.files.len(),
        });
    }
    Ok(())
}

/// Diagnoses prepared recordings.
pub fn diagnose(model: &Model, signals: &[Signal], notes: &[String], statistics: Statistics) -> Result<Vec<Diagnosis>> {
    let (windows, outputs) = classify(model, signals, statistics)?;
    let k = outputs.classes;
    Ok(signals
        .iter()
        .zip(notes)
        .enumerate()
        .map(|(i, (signal, rate))| {
            let rows: Vec<&[f32]> = windows
                .iter()
                .zip(outputs.probabilities.chunks_exact(k))
                .filter(|(w, _)| w.recording == i)
                .map(|(_, p)| p)
                .collect();
            let n = rows.len() as f64;
            let mean: Vec<f32> = (0..k)
                .map(|c| (rows.iter().map(|p| f64::from(p[c])).sum::<f64>() / n) as f32)
                .collect();
            let label = argmax(&mean);
            Diagnosis {
                file: signal.file.clone(),
                label: model.recipe.classes[label].clone(),
                confidence: f64::from(mean[label]),
                agreement: rows.iter().filter(|p| argmax(p) == label).count() as f64 / n,
                windows: rows.len(),
                rate: rate.clone(),
            }
        })
        .collect())
}

/// One file, at the model's rate, and what was done about its rate.
fn read(model: &Model, file: &Path, keys: &[String], rate: Option<f64>) -> Result<(Signal, String)> {
    let own = &model.recipe.channel_keys;
    let recording = load_file(file, if keys.is_empty() { own } else { keys }).map_err(data_error)?;
    if let Some(fault) = recording.scan().fault() {
        return Err(Error::input(format!("{}: {fault}", file.display())));
    }
    let stated = rate.or(recording.rate_hz);
    let note = match (stated, model.recipe.rate_hz) {
        (Some(from), Some(to)) if from != to => format!("resampled from {from} to {to} Hz"),
        (Some(_), Some(to)) => format!("{to} Hz"),
        (None, Some(to)) => format!("rate assumed: {to} Hz"),
        (Some(_), None) => {
            return Err(Error::input_with_hint(
                format!(
                    "{}: a rate is given, but the model was trained on recordings without one",
                    file.display()
                ),
                "leave --rate out: the samples are taken as they are",
            ));
        }
        (None, None) => "no rate".to_owned(),
    };
    let mut signal = Signal {
        file: file.display().to_string(),
        unit: None,
        meta: Meta {
            rate_hz: stated.or(model.recipe.rate_hz),
            shaft_hz: recording.rpm.map(|rpm| rpm / 60.0),
            geometry: None,
        },
        sha256: recording.sha256,
        channels: recording.channels,
    };
    prepare(model, &mut signal)?;
    Ok((signal, note))
}

fn json_lines(diagnoses: &[Diagnosis]) -> Result<String> {
    diagnoses
        .iter()
        .map(|d| {
            serde_json::to_string(d)
                .map(|l| l + "\n")
                .map_err(|e| Error::Machine(e.to_string()))
        })
        .collect()
}

fn table(diagnoses: &[Diagnosis]) -> String {
    let widest = |f: fn(&Diagnosis) -> &str, head: usize| {
        diagnoses
            .iter()
            .map(|d| f(d).chars().count())
            .max()
            .unwrap_or(0)
            .max(head)
    };
    let (file, label) = (widest(|d| &d.file, 4), widest(|d| &d.label, 5));
    let mut out = String::new();
    if diagnoses.is_empty() {
        return out;
    }
    let _ = writeln!(
        out,
        "{:file$}  {:label$}  {:>11}  {:>9}  {:>7}  rate",
        "file", "label", "confidence*", "agreement", "windows"
    );
    for d in diagnoses {
        let _ = writeln!(
            out,
            "{:file$}  {:label$}  {:>11}  {:>9}  {:>7}  {}",
            d.file,
            d.label,
            summary::percent(Some(d.confidence)),
            summary::percent(Some(d.agreement)),
            d.windows,
            d.rate
        );
    }
    out += "* mean probability over windows, not calibrated\n";
    out
}
