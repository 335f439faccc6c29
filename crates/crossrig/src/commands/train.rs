//! `crossrig train`: from labelled and unlabelled recordings to models, scores and a report.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::Context;
use crate::auto::auto_input;
use crate::corpus::{self, Globs, Selection};
use crate::error::{Error, Result};
use crate::experiment::{Conduct, Outcome, conduct};
use crate::metrics::Metrics;
use crate::network::Network;
use crate::options::{Method, TrainOptions};
use crate::physics::{self, RuleModel};
use crate::record::{metrics, recipe};
use crate::report_data::report;
use crate::settings::Settings;
use crate::task::{Task, Truth};
use crate::training::{Keeping, Kind, shape, total_steps};
use crate::{model_file, output, progress, summary};

/// Flags of `train`.
#[derive(Clone, Debug, Default, Args)]
pub struct TrainArgs {
    /// TOML file with any of these flags as keys; a flag given here wins
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// The flags that are keys of a config too.
    #[command(flatten)]
    pub options: TrainOptions,
}

/// Runs the command.
pub fn run(args: &TrainArgs, context: &Context) -> Result<()> {
    let options = gather(args)?;
    let mut settings = Settings::new(&options)?;
    let dry = options.dry_run.unwrap_or(false);
    let resume = options.resume.unwrap_or(false);
    let out = options.out.clone().map_or_else(
        || {
            if dry {
                Ok(PathBuf::new())
            } else {
                Err(Error::input_with_hint(
                    "--out is missing",
                    "for example --out runs/load0-load3",
                ))
            }
        },
        Ok,
    )?;
    if !dry {
        output::check_folder(&out, resume)?;
    }
    let every = checkpoint_interval(options.checkpoint_minutes)?;
    output::set_threads(options.threads)?;

    let clock = Instant::now();
    let dataset = corpus::open(
        &settings.data,
        settings.root.as_deref(),
        settings.key.as_deref(),
        settings.channels.as_deref(),
    )?;
    let selection = Selection {
        sources: settings.source.clone(),
        targets: settings.target.clone(),
        classes: Globs::new(&settings.classes, "classes")?,
        target_recordings: Globs::new(&settings.target_recordings, "target-recordings")?,
    };
    let bar = progress::bar("reading", "{prefix:>12} {bar:24} {pos}/{len} recordings");
    let corpus = corpus::read(&dataset, &selection, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if let Some(note) = corpus.streams() {
        eprintln!("note: {note}");
        (context.spare_memory)();
    }
    let channel_keys = corpus.channel_keys.clone();
    let auto = (settings.auto && settings.method != Method::Rule)
        .then(|| auto_input(&corpus, &selection.classes, settings.signal.rate));
    if let Some(auto) = &auto {
        settings = Settings::of_auto(&options, auto.input)?;
    }
    let target_rate_hz = corpus.targets[0].signals[0].meta.rate_hz;
    let (mut task, truth, warnings) = Task::new(corpus, &settings)?;
    if let Some(file) = &settings.reference {
        task.take_reference(corpus::read_file(file, &channel_keys)?, target_rate_hz)?;
    }
    let task = task;
    if dry {
        if let Some(auto) = &auto {
            output::print(&format!("{}\n", auto.words()));
        }
        output::print(&plan(&task, &truth, &settings, &warnings)?);
        return Ok(());
    }
    for w in &warnings {
        eprintln!("warning: {w}");
    }
    if settings.method.trains_network() {
        network_fits(&task, &settings)?;
    }
    output::create_folder(&out)?;
    output::remove_scratch(&out);
    output::write(&out.join("config.toml"), settings.to_config(&out)?.as_bytes())?;
    let how = Conduct {
        checkpoints: Some(Keeping {
            folder: out.join("checkpoints"),
            every,
        }),
        resume,
        stop: &context.stop,
        label: "",
    };
    let outcome = conduct(&task, &truth, &settings, &how, None)?;
    let mut metrics = metrics(&task, &truth, &settings, &outcome, &context.command, warnings);
    metrics.auto_input = auto;
    metrics
        .seconds
        .insert("total".to_owned(), clock.elapsed().as_secs_f64());
    save(&out, &task, &truth, &settings, &outcome, &metrics, &channel_keys)?;
    output::print(&summary::table(&metrics));
    eprintln!("report: {}", out.join("report.html").display());
    Ok(())
}

/// Writes models, metrics and report.
pub fn save(
    out: &Path,
    task: &Task,
    truth: &Truth,
    settings: &Settings,
    outcome: &Outcome,
    metrics: &Metrics,
    channel_keys: &[String],
) -> Result<()> {
    let models = [
        (&outcome.adapted, Kind::Adapted, "model.safetensors"),
        // a source-only run has one model, and prediction looks for it under the usual name
        (
            &outcome.source_only,
            Kind::SourceOnly,
            if outcome.adapted.is_some() {
                "source_only.safetensors"
            } else {
                "model.safetensors"
            },
        ),
    ];
    for (model, kind, name) in models {
        if let Some(m) = model {
            model_file::save(
                &out.join(name),
                &m.network.store.tensors()?,
                &recipe(task, settings, &outcome.inputs, kind, channel_keys)?,
            )?;
        }
    }
    if let Some(l) = &outcome.logistic {
        let memory = recipe(task, settings, &outcome.inputs, Kind::Adapted, channel_keys)?;
        model_file::save(&out.join("model.safetensors"), &l.model.tensors()?, &memory)?;
    }
    if let Some((result, detail)) = outcome.rules.first() {
        let model = RuleModel::new(task, settings, result.rule, &detail.chosen_by, channel_keys)?;
        physics::save(&out.join("model.safetensors"), &model)?;
    }
    let text = serde_json::to_string_pretty(metrics).map_err(|e| Error::Machine(e.to_string()))?;
    output::write(&out.join("metrics.json"), text.as_bytes())?;
    let page = crate::report::render(&report(task, truth, settings, outcome, metrics));
    output::write(&out.join("report.html"), page.as_bytes())
}

/// `--checkpoint-minutes` as a time.
fn checkpoint_interval(minutes: Option<f64>) -> Result<Duration> {
    let minutes = minutes.unwrap_or(10.0);
    Duration::try_from_secs_f64(60.0 * minutes)
        .map_err(|_| Error::input(format!("--checkpoint-minutes must be 0 or more, found {minutes}")))
}

/// Flags over the config; on `--resume` without a config, over the one that the run left in its folder.
fn gather(args: &TrainArgs) -> Result<TrainOptions> {
    let own = args
        .options
        .out
        .as_ref()
        .map(|o| o.join("config.toml"))
        .filter(|p| args.options.resume == Some(true) && p.exists());
    match args.config.as_ref().or(own.as_ref()) {
        Some(file) => args.options.over_config(file),
        None => Ok(args.options.clone()),
    }
}

/// Builds the network once before anything is written: settings that make no network leave nothing behind.
fn network_fits(task: &Task, settings: &Settings) -> Result<()> {
    Network::new(settings, shape(task, settings)).map(|_| ())
}

/// What would be trained, on what.
fn plan(task: &Task, truth: &Truth, settings: &Settings, warnings: &[String]) -> Result<String> {
    use std::fmt::Write as _;
    let mut out = String::new();
    let rate = task
        .rate_hz
        .map_or_else(|| "no sampling rate".to_owned(), |r| format!("{r} Hz"));
    let _ = writeln!(
        out,
        "windows of {}, hop {}, {} channel{}, {rate}; split {}{}",
        settings.signal.window,
        settings.signal.hop,
        task.channels,
        if task.channels == 1 { "" } else { "s" },
        task.split,
        if task.split.leaky() { " (leaky)" } else { "" }
    );
    let _ = writeln!(out, "classes: {}", task.classes.join(", "));
    if truth.classes.len() > task.classes.len() {
        let _ = writeln!(
            out,
            "unknown to the source: {}",
            truth.classes[task.classes.len()..].join(", ")
        );
    }
    let _ = writeln!(
        out,
        "{:<20} {:<7} {:>10} {:>9} {:>11} {:>6}",
        "domain", "role", "recordings", "training", "validation", "test"
    );
    for (i, d) in task.domains().enumerate() {
        let _ = writeln!(
            out,
            "{:<20} {:<7} {:>10} {:>9} {:>11} {:>6}",
            d.name,
            if i < task.sources.len() { "source" } else { "target" },
            d.signals.len(),
            d.train.len(),
            d.validation.len(),
            d.test.len()
        );
    }
    for (file, note) in &task.speeds {
        if (note.found_rpm - note.given_rpm).abs() > 0.003 * note.given_rpm || !note.trusted {
            let _ = writeln!(out, "{file}: {}", note.words());
        }
    }
    for w in warnings {
        let _ = writeln!(out, "warning: {w}");
    }
    if settings.method == Method::Rule {
        let _ = writeln!(
            out,
            "the rule on defect orders, tau {}",
            settings.tau.as_deref().unwrap_or("source")
        );
        return Ok(out);
    }
    if settings.method == Method::Logistic {
        let _ = writeln!(
            out,
            "logistic regression on the input: {}",
            settings.signal.recipe().kind()
        );
        return Ok(out);
    }
    let network = Network::new(settings, shape(task, settings))?;
    let _ = writeln!(
        out,
        "{} with heads: {} parameters; {} steps of {} windows a domain in {} epochs, {} of them warm-up{}{}",
        settings.architecture()?,
        network.store.parameter_count(),
        total_steps(task, settings)?,
        settings.batch,
        settings.epochs,
        settings.warmup_epochs,
        settings.domain_steps.map_or(String::new(), |n| format!(
            "; then each after {n} of the domain head alone"
        )),
        if settings.twin {
            ", and the same for the source-only twin"
        } else {
            ""
        }
    );
    Ok(out)
}
