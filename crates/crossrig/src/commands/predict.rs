//! `crossrig predict`: what a saved model says about new files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use signal_conditioning::{Geometry, Meta, RaceRule, Verdict};
use signal_domains::Family;

use super::Context;
use super::inspect_physics::positive;
use crate::corpus::{self, Signal};
use crate::error::{Error, Result};
use crate::inference::{Classified, Statistics, choose_statistics, classify, prepare};
use crate::model_file::Model;
use crate::network::argmax;
use crate::physics::{
    self, ABSTENTION, FileEvidence, FileVerdict, RuleModel, Saved, analyse_for_rule, bearing, prepare_for_rule,
    verdict_of,
};
use crate::task::at_rate;
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
    /// Bearing of the files' machine: a name (6205, 6203, NICE), BALLS,BALL_DIAMETER,PITCH_DIAMETER(,CONTACT_ANGLE), or
    /// bpfi=X,bpfo=X,bsf=X,ftf=X; models of defect orders need it with --rpm, and with any model the evidence of the envelope
    /// spectrum is then shown beside each verdict
    #[arg(long, value_name = "BEARING")]
    pub geometry: Option<String>,
    /// Shaft speed of the files' machine in revolutions a minute; corrected by up to 3 % where a signal shows it clearly
    #[arg(long, value_name = "RPM")]
    pub rpm: Option<f64>,
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
    /// Class with the largest mean probability over windows; of the rule, the verdict of most windows.
    pub label: String,
    /// Whether the label is an abstention and no class: the rule found no fault of a race.
    pub abstained: bool,
    /// That mean; not calibrated. The rule has none.
    pub confidence: Option<f64>,
    /// Share of windows whose most probable class is the label.
    pub agreement: f64,
    /// Number of windows.
    pub windows: usize,
    /// What was done about the rate.
    pub rate: String,
    /// What the envelope spectrum says, where bearing and speed are known.
    pub physics: Option<Physics>,
}

/// What physics says of a file, without any learning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Physics {
    /// `inner race`, `outer race` or `no race fault found`.
    pub verdict: String,
    /// Share of the pieces that say so.
    pub agreement: f64,
    /// Length of a piece, s: 1, or that of the rule's windows.
    pub piece_s: f64,
    /// Threshold of the verdict, nepers of power.
    pub tau: f64,
    /// Where the shaft speed comes from.
    pub speed: Option<String>,
    /// The evidence, a line for each family, the strongest first.
    pub evidence: Vec<String>,
    /// What network and physics disagree in.
    pub disagreement: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::SomeFiles`] where some files could not be used; the others are printed.
pub fn run(args: &PredictArgs, _context: &Context) -> Result<()> {
    if let Some(r) = args.rate.filter(|r| !(r.is_finite() && *r > 0.0)) {
        return Err(Error::input(format!("--rate must be a positive number, found {r}")));
    }
    let asked = Asked {
        keys: &args.key,
        rate: args.rate,
        geometry: args.geometry.as_deref().map(bearing).transpose()?,
        rpm: positive("rpm", args.rpm)?,
    };
    let saved = physics::load(&args.model)?;
    if let (Saved::Rule(_), true) = (&saved, args.statistics.is_some() || args.restandardise) {
        return Err(Error::input(
            "the rule has no statistics: leave --statistics and --restandardise out",
        ));
    }
    let statistics = match &saved {
        Saved::Network(model) => Some(choose_statistics(
            model,
            args.statistics.as_deref(),
            args.restandardise,
        )?),
        Saved::Rule(_) => None,
    };
    let (mut diagnoses, mut failed) = (Vec::new(), 0);
    let (mut signals, mut notes) = (Vec::new(), Vec::new());
    for file in &args.files {
        let done = match &saved {
            Saved::Network(model) => read_for(model, file, &asked).and_then(|(signal, note)| {
                signals.push(signal);
                notes.push(note);
                // the files together have statistics; each has a diagnosis
                if let Some(of @ Statistics::Of(_)) = statistics {
                    diagnoses.extend(diagnose(model, &signals, &notes, of)?);
                    signals.clear();
                    notes.clear();
                }
                Ok(())
            }),
            Saved::Rule(model) => by_rule(model, file, &asked).map(|d| diagnoses.push(d)),
        };
        match done {
            Ok(()) => {}
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
    if let (Saved::Network(model), Some(statistics)) = (&saved, statistics)
        && !signals.is_empty()
    {
        diagnoses = diagnose(model, &signals, &notes, statistics)?;
    }
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
    let Classified {
        windows,
        outputs,
        distrust,
    } = classify(model, signals, statistics)?;
    if let Some(why) = distrust {
        eprintln!("warning: {why}");
    }
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
                abstained: false,
                confidence: Some(f64::from(mean[label])),
                agreement: rows.iter().filter(|p| argmax(p) == label).count() as f64 / n,
                windows: rows.len(),
                rate: rate.clone(),
                physics: physics_of(signal, model.recipe.families.get(label).copied().flatten()),
            }
        })
        .collect())
}

/// What the flags say of the files.
struct Asked<'a> {
    keys: &'a [String],
    rate: Option<f64>,
    geometry: Option<Geometry>,
    rpm: Option<f64>,
}

/// One file for a network: at the model's rate, and what was done about its rate.
fn read_for(model: &Model, file: &Path, asked: &Asked) -> Result<(Signal, String)> {
    let (mut signal, note) = read(file, asked, &model.recipe.channel_keys, model.recipe.rate_hz)?;
    prepare(model, &mut signal)?;
    Ok((signal, note))
}

/// The rule's diagnosis of one file.
fn by_rule(model: &RuleModel, file: &Path, asked: &Asked) -> Result<Diagnosis> {
    let (mut signal, rate) = read(file, asked, &model.channel_keys, Some(model.rate_hz))?;
    let speed = prepare_for_rule(model, &mut signal)?;
    let windows = analyse_for_rule(model, std::slice::from_ref(&signal))?;
    let said =
        FileVerdict::new(model.tau, &windows).ok_or_else(|| Error::Machine(format!("{}: no window", signal.file)))?;
    let abstained = said.verdict == Verdict::NoRaceFault;
    let class = model.roles()?.class(said.verdict).filter(|_| !abstained);
    Ok(Diagnosis {
        file: signal.file.clone(),
        label: class.map_or_else(|| said.named().to_owned(), |c| model.classes[c].clone()),
        abstained,
        confidence: None,
        agreement: said.agreement,
        windows: said.pieces,
        rate,
        physics: Some(words(
            &said.evidence(&signal)?,
            model.tau,
            speed.map(|s| s.words()),
            None,
        )),
    })
}

/// The evidence beside a network's verdict, where bearing and speed are known and the recording is long enough; `family` is
/// what the network says is damaged.
fn physics_of(signal: &Signal, family: Option<Family>) -> Option<Physics> {
    let rate_hz = signal.meta.rate_hz?;
    if signal.meta.geometry.is_none() || signal.meta.shaft_hz.is_none() {
        return None;
    }
    let mut signal = signal.clone();
    at_rate(&mut signal, Some(physics::RATE_HZ.min(rate_hz))).ok()?;
    let rule = RaceRule::default();
    let found = verdict_of(&signal, rule).ok()?.evidence(&signal).ok()?;
    let said = found.verdict;
    let network = family.map(|f| match f {
        Family::InnerRace => Verdict::InnerRace,
        Family::OuterRace => Verdict::OuterRace,
        _ => Verdict::NoRaceFault,
    });
    let disagreement = network.filter(|n| *n != said.verdict).map(|n| match (n, said.verdict) {
        (Verdict::NoRaceFault, _) => format!("the spectrum shows the {}, the network names none", said.named()),
        (_, Verdict::NoRaceFault) => "the network names a race whose lines the spectrum does not show".to_owned(),
        _ => format!("the spectrum shows the {}, the network names another", said.named()),
    });
    let speed = signal
        .meta
        .shaft_hz
        .map(|hz| format!("shaft speed {:.1} rpm", hz * 60.0));
    Some(words(&found, rule, speed, disagreement))
}

fn words(found: &FileEvidence, rule: RaceRule, speed: Option<String>, disagreement: Option<String>) -> Physics {
    Physics {
        verdict: found.verdict.named().to_owned(),
        agreement: found.verdict.agreement,
        piece_s: found.piece_s,
        tau: rule.tau(),
        speed,
        evidence: found.words(),
        disagreement,
    }
}

/// One file as it is, with what is known of its machine, and what will be done about its rate.
fn read(file: &Path, asked: &Asked, own: &[String], model_rate: Option<f64>) -> Result<(Signal, String)> {
    let read = corpus::read_file(file, if asked.keys.is_empty() { own } else { asked.keys })?;
    let stated = asked.rate.or(read.meta.rate_hz);
    let note = match (stated, model_rate) {
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
    let signal = Signal {
        meta: Meta {
            rate_hz: stated.or(model_rate),
            shaft_hz: asked.rpm.map(|rpm| rpm / 60.0),
            geometry: asked.geometry,
        },
        ..read
    };
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
            summary::percent(d.confidence),
            summary::percent(Some(d.agreement)),
            d.windows,
            d.rate
        );
        if let Some(p) = &d.physics {
            let _ = writeln!(
                out,
                "    physics: {} in {} of the pieces of {} s (tau {:.2}){}",
                p.verdict,
                summary::percent(Some(p.agreement)),
                p.piece_s,
                p.tau,
                p.speed.as_ref().map_or_else(String::new, |s| format!("; {s}"))
            );
            for line in &p.evidence {
                let _ = writeln!(out, "      {line}");
            }
            if let Some(what) = &p.disagreement {
                let _ = writeln!(out, "    network and physics DISAGREE: {what}");
            }
        }
    }
    if diagnoses.iter().any(|d| d.abstained) {
        let _ = writeln!(
            out,
            "\"{ABSTENTION}\" is an abstention: the bearing may be healthy, a ball may be damaged, or a fault leaves no trace"
        );
    }
    if diagnoses.iter().all(|d| d.confidence.is_none()) {
        return out;
    }
    out += "* mean probability over windows, not calibrated\n";
    out
}
