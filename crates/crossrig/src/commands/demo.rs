//! `crossrig demo`: the whole job on two simulated machines, and once more where their bearings are not of one kind.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bearing_simulator::{Defect, Machine, simulate};
use clap::Args;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use signal_conditioning::Meta;
use signal_domains::Family;

use super::Context;
use crate::corpus::{Corpus, DomainSignals, Signal, hex};
use crate::error::{Error, Result};
use crate::experiment::{Conduct, conduct};
use crate::metrics::{Metrics, Scores};
use crate::options::{BatchNorm, DomainLoss, ExtractorOption, Input, TrainOptions};
use crate::record::metrics;
use crate::settings::Settings;
use crate::summary::{percent, rows, table};
use crate::task::Task;
use crate::training::Trained;
use crate::{output, progress};

/// Bearings of each class on each machine.
const UNITS: u64 = 20;
/// Seconds of each bearing's recording: 5 windows of 1024 samples at 12 kHz. Many bearings with a few windows say more of a
/// machine than a few bearings with many: windows of one bearing are alike.
const SECONDS: f64 = 0.43;
/// The same where bearings differ: two pieces of 1 s, the window of defect orders.
const OTHER_BEARING_SECONDS: f64 = 2.0;
/// Conditions there: what the rule on defect orders can say.
const OTHER_BEARING_CONDITIONS: [Defect; 3] = [Defect::None, Defect::Inner, Defect::Outer];

/// Flags of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// New or empty folder for models, metrics and the report [default: crossrig-demo, else the next free crossrig-demo-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of the machines' bearings, of weights and batches
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Strength of the shift between the machines: 0 none, 1 the whole committed range
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub shift: f64,
}

/// Runs the command.
pub fn run(args: &DemoArgs, context: &Context) -> Result<()> {
    if !(0.0..=1.0).contains(&args.shift) {
        return Err(Error::input(format!(
            "--shift must be between 0 and 1, found {}",
            args.shift
        )));
    }
    let out = args.out.clone().unwrap_or_else(free_folder);
    output::check_folder(&out, false)?;
    let clock = Instant::now();
    let settings = settings(args.seed)?;
    let bar = progress::bar(
        "simulating",
        "{prefix:>12} {spinner} two machines, 20 bearings of each condition",
    );
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let shifted = corpus(args.seed, args.shift, &Defect::ALL, SECONDS)?;
    let control = corpus(args.seed, 0.0, &Defect::ALL, SECONDS)?;
    let other_bearing = corpus(args.seed, 1.0, &OTHER_BEARING_CONDITIONS, OTHER_BEARING_SECONDS)?;
    bar.finish_and_clear();
    output::create_folder(&out)?;

    let (transfer, twin) = experiment(shifted, &settings, context, &out, "", None)?;
    let (control, _) = experiment(control, &settings, context, &out.join("control"), "control: ", twin)?;
    let other = out.join("other-bearing");
    let raw = other_bearing_settings(args.seed, Input::Raw)?;
    let orders = other_bearing_settings(args.seed, Input::DefectOrders)?;
    let (raw, _) = experiment(
        other_bearing.clone(),
        &raw,
        context,
        &other.join("raw"),
        "other bearing, raw: ",
        None,
    )?;
    let out_orders = other.join("defect-orders");
    let (orders, _) = experiment(
        other_bearing,
        &orders,
        context,
        &out_orders,
        "other bearing, orders: ",
        None,
    )?;

    output::print(&format!(
        "Two simulated machines, shift {} of the committed range, seed {}\n\n",
        args.shift, args.seed
    ));
    output::print(&table(&transfer));
    output::print("\nNo-shift control: the same machine, other bearings\n");
    for r in rows(&control) {
        output::print(&format!(
            "{:30} accuracy {:>8}   macro-F1 {:>8}\n",
            r.name,
            percent(r.scores.accuracy),
            percent(r.scores.macro_f1)
        ));
    }
    output::print(
        "\nAnother bearing: machine A with a 6205, machine B with a 6203, healthy, inner or outer race, pieces of 1 s\n",
    );
    output::print(&by_pieces(&[("raw windows", &raw), ("defect orders", &orders)]));
    output::print(&format!(
        "\n{:.0} s in all; reports: {}, and with the evidence {}\n{}\n",
        clock.elapsed().as_secs_f64(),
        out.join("report.html").display(),
        out_orders.join("report.html").display(),
        conclusion(&transfer)
    ));
    Ok(())
}

/// Every method of some runs on the same pieces of 1 s: networks of each run, what needs no network once.
fn by_pieces(runs: &[(&str, &Metrics)]) -> String {
    let mut lines: Vec<(String, &Scores)> = Vec::new();
    for (input, m) in runs {
        let Some(pieces) = &m.pieces else { continue };
        for (method, scores) in &pieces.methods {
            let name = match method.as_str() {
                "adapted" => format!("DANN, {input}"),
                "source-only" => format!("source-only, {input}"),
                simple => simple.to_owned(),
            };
            if !lines.iter().any(|(other, _)| *other == name) {
                lines.push((name, scores));
            }
        }
    }
    let f1 = |s: &Scores| s.macro_f1.unwrap_or(0.0);
    lines.sort_by(|(_, a), (_, b)| f1(b).total_cmp(&f1(a)));
    let line = |(name, scores): &(String, &Scores)| {
        format!(
            "{name:30} accuracy {:>8}   macro-F1 {:>8}\n",
            percent(scores.accuracy),
            percent(scores.macro_f1)
        )
    };
    lines.iter().map(line).collect()
}

/// The last line: what won.
fn conclusion(m: &Metrics) -> String {
    crate::summary::verdicts(m).pop().unwrap_or_default()
}

/// Trains, scores and saves one transfer. Its source-only model is handed on: the next transfer has the same source.
fn experiment(
    corpus: Corpus,
    settings: &Settings,
    context: &Context,
    out: &Path,
    label: &str,
    twin: Option<Trained>,
) -> Result<(Metrics, Option<Trained>)> {
    let clock = Instant::now();
    let (task, truth, warnings) = Task::new(corpus, settings)?;
    let how = Conduct {
        checkpoints: None,
        resume: false,
        stop: &context.stop,
        label,
    };
    let outcome = conduct(&task, &truth, settings, &how, twin)?;
    let mut m = metrics(&task, &truth, settings, &outcome, &context.command, warnings);
    m.seconds.insert("total".to_owned(), clock.elapsed().as_secs_f64());
    output::create_folder(out)?;
    super::train::save(out, &task, &truth, settings, &outcome, &m, &["*".to_owned()])?;
    let twin = outcome.source_only.map(|s| Trained {
        network: s.network,
        history: s.history,
    });
    Ok((m, twin))
}

/// The settings of the demo: `seresnext26-small`, split by bearings.
fn settings(seed: u64) -> Result<Settings> {
    Settings::new(&TrainOptions {
        data: Some(PathBuf::from("simulated")),
        source: Some(vec!["machine-a".into()]),
        target: Some(vec!["machine-b".into()]),
        extractor: Some(ExtractorOption::Name("seresnext26-small".into())),
        split: Some("units".into()),
        // half of the bearings to learn from, a tenth to watch by, the others to score on
        fractions: Some(vec![0.5, 0.1, 0.4]),
        batch: Some(16),
        epochs: Some(12),
        warmup_epochs: Some(4),
        lr_schedule: Some("cosine".into()),
        // both machines show the same mix of conditions, so each may have statistics of its own
        batch_norm: Some(BatchNorm::PerDomain),
        domain_loss: Some(DomainLoss::MeanOverRows),
        // so few windows are soon known by heart: against an adversary that knows them, a whole lambda drowns the labels
        lambda: Some("dann:0:0.3:10".into()),
        seed: Some(seed),
        ..TrainOptions::default()
    })
}

/// The settings of the second part: the same split, networks for windows of 1,024 samples, or for the defect orders of 1 s.
fn other_bearing_settings(seed: u64, input: Input) -> Result<Settings> {
    // about 350 steps either way: a recording is 23 windows of samples, two of defect orders
    let (extractor, epochs) = match input {
        Input::DefectOrders => ("defect-families", 90),
        _ => ("light-cnn", 8),
    };
    Settings::new(&TrainOptions {
        data: Some(PathBuf::from("simulated")),
        source: Some(vec!["machine-a".into()]),
        target: Some(vec!["machine-b".into()]),
        extractor: Some(ExtractorOption::Name(extractor.into())),
        input: Some(input),
        split: Some("units".into()),
        fractions: Some(vec![0.5, 0.1, 0.4]),
        batch: Some(16),
        epochs: Some(epochs),
        seed: Some(seed),
        ..TrainOptions::default()
    })
}

/// Labelled bearings of machine A, and other bearings of a machine at `shift` of the way to machine B, in some conditions.
fn corpus(seed: u64, shift: f64, conditions: &[Defect], seconds: f64) -> Result<Corpus> {
    let target = Machine::between(shift).map_err(simulation)?;
    Ok(Corpus {
        name: "simulated".into(),
        classes: conditions.iter().map(ToString::to_string).collect(),
        families: conditions.iter().map(|d| Some(family(*d))).collect(),
        sources: vec![domain("machine-a", &Machine::a(), seed, conditions, seconds)?],
        targets: vec![domain("machine-b", &target, seed, conditions, seconds)?],
        channel_keys: vec!["*".into()],
        warnings: Vec::new(),
    })
}

fn family(defect: Defect) -> Family {
    match defect {
        Defect::None => Family::Healthy,
        Defect::Inner => Family::InnerRace,
        Defect::Outer => Family::OuterRace,
        Defect::Ball => Family::RollingElement,
    }
}

fn simulation(e: bearing_simulator::Error) -> Error {
    Error::input(e.to_string())
}

/// `UNITS` bearings of each condition on a machine.
fn domain(name: &str, machine: &Machine, seed: u64, conditions: &[Defect], seconds: f64) -> Result<DomainSignals> {
    let all: Vec<(usize, Defect, u64)> = conditions
        .iter()
        .enumerate()
        .flat_map(|(class, &defect)| (0..UNITS).map(move |unit| (class, defect, unit)))
        .collect();
    let signals = all
        .par_iter()
        .map(|&(_, defect, unit)| {
            let samples = simulate(machine, defect, unit, seconds, seed).map_err(simulation)?;
            let mut hash = Sha256::new();
            for v in &samples {
                hash.update(v.to_le_bytes());
            }
            Ok(Signal {
                file: format!("{defect}-{unit:02}"),
                unit: Some(format!("{defect}-{unit:02}")),
                meta: Meta {
                    rate_hz: Some(machine.rate_hz()),
                    shaft_hz: Some(machine.shaft_hz()),
                    geometry: Some(machine.geometry()),
                },
                sha256: hex(&hash.finalize()),
                samples: vec![samples].into(),
            })
        })
        .collect::<Result<_>>()?;
    Ok(DomainSignals {
        name: name.into(),
        signals,
        classes: all.iter().map(|x| Some(x.0)).collect(),
    })
}

/// `crossrig-demo`, or the first `crossrig-demo-N` that does not exist.
fn free_folder() -> PathBuf {
    let first = PathBuf::from("crossrig-demo");
    if !first.exists() {
        return first;
    }
    let mut n = 2;
    loop {
        let next = PathBuf::from(format!("crossrig-demo-{n}"));
        if !next.exists() {
            return next;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::training_inputs;
    use crate::progress::TrainingBar;
    use crate::training::{Kind, Run, Validation, train};

    /// The bits of a source-only model, trained beside a machine at `shift`.
    fn source_only(shift: f64) -> Vec<(String, Vec<u32>)> {
        let mut settings = settings(3).unwrap();
        settings.extractor = crate::options::ExtractorTable {
            name: Some("light-cnn".into()),
            ..Default::default()
        };
        (settings.epochs, settings.warmup_epochs) = (1, 0);
        let (task, ..) = Task::new(corpus(3, shift, &Defect::ALL, SECONDS).unwrap(), &settings).unwrap();
        let inputs = training_inputs(&task, &settings.signal).unwrap();
        let run = Run {
            kind: Kind::SourceOnly,
            stop: &std::sync::atomic::AtomicBool::new(false),
            watcher: &TrainingBar::new("", 0.5),
            checkpoints: None,
            resume: false,
        };
        let validation = Validation { domains: Vec::new() };
        let trained = train(&task, &inputs, &validation, &settings, &run).unwrap();
        let tensors = trained.network.store.tensors().unwrap();
        tensors
            .into_iter()
            .map(|(name, t)| {
                let values: Vec<f32> = t.flatten_all().unwrap().to_vec1().unwrap();
                (name, values.into_iter().map(f32::to_bits).collect())
            })
            .collect()
    }

    #[test]
    fn the_source_only_model_of_the_transfer_is_the_one_of_the_control() {
        let transfer = source_only(0.5);
        assert!(transfer.len() > 10);
        assert_eq!(transfer, source_only(0.0));
    }
}
