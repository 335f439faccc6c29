//! What the user typed: the flags of `train`, each a key of the same name in the TOML config. The flag wins.

use std::path::{Path, PathBuf};

use candle_seresnext1d::Architecture;
use clap::{Args, CommandFactory, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the target takes part in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Domain-adversarial training (Ganin et al. 2016)
    Dann,
    /// The same, domain head and extractor in turns
    DannAlternating,
    /// Source rows alone; the target is only scored
    SourceOnly,
    /// No network: logistic regression on the input (see --input)
    Logistic,
    /// No network: the rule on defect orders, which needs bearing and shaft speed (see --tau)
    Rule,
}

impl Method {
    /// As in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dann => "dann",
            Self::DannAlternating => "dann-alternating",
            Self::SourceOnly => "source-only",
            Self::Logistic => "logistic",
            Self::Rule => "rule",
        }
    }

    /// Whether a network is trained.
    pub fn trains_network(self) -> bool {
        matches!(self, Self::Dann | Self::DannAlternating | Self::SourceOnly)
    }
}

/// What the network sees of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Defect orders where classes, bearings and speeds allow it and the target's bearings are other ones, else the log-spectrum
    Auto,
    /// The samples
    Raw,
    /// The magnitude spectrum (periodic Hann window, bins 1 to n/2)
    Spectrum,
    /// The natural logarithm of the magnitude spectrum + 0.001
    LogSpectrum,
    /// The whitened spectrum of the envelope, 1 to 1500 Hz; needs a rate
    EnvelopeSpectrum,
    /// The same along orders of the shaft, up to 32; needs the shaft speed
    Orders,
    /// How far each defect order of the bearing stands out, over slips; needs bearing and shaft speed
    DefectOrders,
}

impl Input {
    /// Whether it is made from the envelopes of bands of the signal, with the parameters of the defect orders.
    pub fn of_envelope(self) -> bool {
        matches!(self, Self::EnvelopeSpectrum | Self::Orders | Self::DefectOrders)
    }
}

/// Over what a signal is scaled before its representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Not at all: the level of the signal is information
    None,
    /// Each window by itself
    Window,
    /// Each recording as a whole
    Recording,
}

/// By what a signal is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScaleBy {
    /// (x - mean) / standard deviation
    MeanStd,
    /// (x - min) / (max - min)
    MinMax,
    /// (x - median) / (1.4826 median absolute deviation)
    Robust,
}

/// Whose statistics standardise the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// Nobody's
    None,
    /// Those of the source's training windows, for all domains
    Source,
    /// Those of each domain's own training windows
    Domain,
    /// The same, but a target's matched to the classes that it seems to show; not for raw samples
    Matched,
}

impl Standardise {
    /// Whether domains have statistics of their own.
    pub fn per_domain(self) -> bool {
        matches!(self, Self::Domain | Self::Matched)
    }
}

/// Which windows of the target are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The test part, which adaptation never saw
    Test,
    /// All windows, those adapted on among them (transductive)
    All,
}

/// How the domain losses are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DomainLoss {
    /// The sum over domains of each domain's mean (the paper's)
    PerDomainMeans,
    /// The mean over all rows
    MeanOverRows,
}

/// Over what batch norm takes its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNorm {
    /// All rows of the batch
    Joint,
    /// Each domain's rows by themselves
    PerDomain,
}

/// How source windows are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// As they are
    None,
    /// Each class equally often
    Class,
}

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserName {
    /// Adam, weight decay as L2 in the gradient
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
    /// Stochastic gradient descent, momentum 0.9
    Sgd,
}

/// A length in a signal: samples, or a text: seconds (`1s`), which need a rate, or revolutions (`20rev`), see
/// [`Length`](crate::length::Length).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// `--window 1024`
    Samples(usize),
    /// `--window 1s`
    Text(String),
}

impl Span {
    /// Samples at a rate; `flag` is named in errors.
    ///
    /// # Errors
    /// Text that is no time, a time without a rate.
    pub fn samples(&self, rate_hz: Option<f64>, flag: &str) -> Result<usize> {
        let text = match self {
            Self::Samples(n) => return Ok(*n),
            Self::Text(text) => text.trim(),
        };
        if let Ok(n) = text.parse() {
            return Ok(n);
        }
        let seconds = text.strip_suffix('s').and_then(|t| t.trim().parse::<f64>().ok());
        let Some(seconds) = seconds.filter(|s| s.is_finite() && *s > 0.0 && *s < 1e6) else {
            return Err(Error::input_with_hint(
                format!("--{flag} must be samples, seconds or revolutions, found `{text}`"),
                format!("for example --{flag} 1024, --{flag} 1s, or --{flag} 20rev with an input of the envelope"),
            ));
        };
        let rate_hz = rate_hz.ok_or_else(|| {
            Error::input_with_hint(
                format!("--{flag} {text} is a time, and the rate it is counted at is not given"),
                "give the common rate too, e.g. --rate 12000",
            )
        })?;
        Ok((seconds * rate_hz).round() as usize)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a value parser of clap returns a result")]
fn span(text: &str) -> Result<Span, std::convert::Infallible> {
    Ok(text.parse().map_or_else(|_| Span::Text(text.to_owned()), Span::Samples))
}

/// The name of an extractor, or a table of its name and its own options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExtractorOption {
    /// `extractor = "light-cnn"`
    Name(String),
    /// `[extractor]` with `name` and options
    Table(ExtractorTable),
}

/// The `[extractor]` table of a config. What is not given keeps the named network's value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtractorTable {
    /// light-cnn, defect-families, seresnext26-small, seresnext26, 50, 101 or 152, seed18, 34, 50, 101 or 152.
    pub name: Option<String>,
    /// Filters of the stem; of a seed network, which all its widths follow from.
    pub stem: Option<usize>,
    /// Blocks of each stage.
    pub blocks: Option<Vec<usize>>,
    /// Width of the grouped convolution in each stage.
    pub widths: Option<Vec<usize>>,
    /// Output channels of each stage.
    pub outputs: Option<Vec<usize>>,
    /// Groups of the grouped convolution, branches of a seed network (cardinality).
    pub groups: Option<usize>,
    /// Reduction of the squeeze-and-excitation gate (a seed network's ratio).
    pub reduction: Option<usize>,
    /// Bins of light-cnn's pool at the end.
    pub bins: Option<usize>,
}

impl ExtractorTable {
    /// Refuses options that the network does not have.
    pub(crate) fn check(&self, architecture: Architecture) -> Result<(), Error> {
        let light = architecture == Architecture::LightCnn;
        let seed = architecture.is_seed();
        // a seed network's blocks follow from its depth, its widths from its filters
        let papers = !light && !seed && architecture != Architecture::DefectFamilies;
        let given = [
            ("stem", self.stem.is_some(), papers || seed),
            ("blocks", self.blocks.is_some(), papers),
            ("widths", self.widths.is_some(), papers),
            ("outputs", self.outputs.is_some(), papers),
            ("groups", self.groups.is_some(), papers || seed),
            ("reduction", self.reduction.is_some(), papers || seed),
            ("bins", self.bins.is_some(), light),
        ];
        let Some((wrong, ..)) = given.iter().find(|(_, given, known)| *given && !known) else {
            return Ok(());
        };
        let known: Vec<&str> = given
            .iter()
            .filter(|(.., known)| *known)
            .map(|(name, ..)| *name)
            .collect();
        Err(Error::input_with_hint(
            format!("[extractor]: {architecture} has no option `{wrong}`"),
            match &known[..] {
                [] => "it has none".to_owned(),
                known => format!("its options are {}", known.join(", ")),
            },
        ))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a value parser of clap returns a result")]
fn extractor_name(text: &str) -> Result<ExtractorOption, std::convert::Infallible> {
    Ok(ExtractorOption::Name(text.to_owned()))
}

/// The flags of `train`, none of them checked yet.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrainOptions {
    /// Data set manifest (TOML), or a folder laid out as FOLDER/<domain>/<class>/<files>
    #[arg(long, value_name = "MANIFEST|FOLDER", help_heading = "Data")]
    pub data: Option<PathBuf>,
    /// Folder that holds the recordings [default: $CROSSRIG_DATA/<root>, else beside the manifest]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub root: Option<PathBuf>,
    /// Labelled domains, e.g. load0
    #[arg(long, value_name = "DOMAIN", num_args = 1.., value_delimiter = ',', help_heading = "Data")]
    pub source: Option<Vec<String>>,
    /// Domains to carry the diagnosis to; their labels, if any, are only used to score
    #[arg(long, value_name = "DOMAIN", num_args = 1.., value_delimiter = ',', help_heading = "Data")]
    pub target: Option<Vec<String>>,
    /// New or empty folder for models, metrics and the report
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Seed of weights, splits, batches and dropout [default: 0]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub seed: Option<u64>,
    /// Classes of the source to learn and to score; a leading ! excludes [default: all]
    #[arg(long, value_name = "GLOB", num_args = 1.., value_delimiter = ',', help_heading = "Data")]
    pub classes: Option<Vec<String>>,
    /// File names of the target recordings that take part; a leading ! excludes [default: all]
    #[arg(long, value_name = "GLOB", num_args = 1.., value_delimiter = ',', help_heading = "Data")]
    pub target_recordings: Option<Vec<String>>,
    /// light-cnn, seresnext26-small, seresnext26, seresnext50, seresnext101, seresnext152, or the seed article's seed18,
    /// seed34, seed50, seed101, seed152 [default: light-cnn]
    #[arg(long, value_name = "NAME", value_parser = extractor_name, help_heading = "Network")]
    pub extractor: Option<ExtractorOption>,
    /// How the target takes part [default: dann]
    #[arg(long, value_enum, help_heading = "Adaptation")]
    pub method: Option<Method>,
    /// Steps of the domain head before each of the extractor, for dann-alternating [default: 1]
    #[arg(long, value_name = "N", help_heading = "Adaptation")]
    pub domain_steps: Option<u32>,
    /// Threshold of --method rule in nepers: `source` (fitted on the source's labels) or a number [default: source]
    #[arg(long, value_name = "source|X", help_heading = "Adaptation")]
    pub tau: Option<String>,
    /// What the network sees of a window [default: raw]
    #[arg(long, value_enum, help_heading = "Signal")]
    pub input: Option<Input>,
    /// Over what a signal is scaled [default: window for raw, none for spectra]
    #[arg(long, value_enum, help_heading = "Signal")]
    pub scale: Option<Scale>,
    /// By what a signal is scaled [default: mean-std]
    #[arg(long, value_enum, help_heading = "Signal")]
    pub scale_by: Option<ScaleBy>,
    /// Whose statistics standardise the input [default: none for raw, matched for spectra, source for inputs of
    /// the envelope]
    #[arg(long, value_enum, help_heading = "Signal")]
    pub standardise: Option<Standardise>,
    /// Recording of the target machine in known good state: its statistics serve where the target's class mix seems to differ
    #[arg(long, value_name = "FILE", help_heading = "Signal")]
    pub reference: Option<PathBuf>,
    /// Variable, column or dataset to read where the manifest names none
    #[arg(long, value_name = "GLOB", help_heading = "Data")]
    pub key: Option<String>,
    /// Common sampling rate in Hz [default: the lowest rate in use; 12000 for --method rule and inputs of the envelope]
    #[arg(long, value_name = "HZ", help_heading = "Signal")]
    pub rate: Option<f64>,
    /// Channels by name or number (from 1), or variables of these names where none are declared [default: those declared]
    #[arg(long, value_name = "NAME|N", num_args = 1.., value_delimiter = ',', help_heading = "Data")]
    pub channels: Option<Vec<String>>,
    /// recordings, units, blocks or windows (leaky) [default: recordings where possible, else blocks]
    #[arg(long, value_name = "KIND", help_heading = "Data")]
    pub split: Option<String>,
    /// Shares of training, validation and test [default: 0.6,0.2,0.2]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', help_heading = "Data")]
    pub fractions: Option<Vec<f64>>,
    /// Those of the source, where they are not the target's: 1,0,0 trains on all that is labelled [default: as --fractions]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', help_heading = "Data")]
    pub source_fractions: Option<Vec<f64>>,
    /// Which windows of the target are scored [default: test]
    #[arg(long, value_enum, help_heading = "Data")]
    pub score: Option<Score>,
    /// Length of a window in samples, in seconds (`1s`, with --rate) or, for --method rule and inputs of the envelope, in
    /// revolutions of the shaft (`20rev`) [default: 1024; 1s for --method rule and inputs of the envelope]
    #[arg(long, value_name = "N|SECONDS|REV", value_parser = span, help_heading = "Signal")]
    pub window: Option<Span>,
    /// From one window to the next, in samples, seconds or revolutions [default: the window's length]
    #[arg(long, value_name = "N|SECONDS|REV", value_parser = span, help_heading = "Signal")]
    pub hop: Option<Span>,
    /// Changes of training windows, at random in each step: gain:DB, noise:SNR_DB, shift:SHARE, stretch:PERCENT, mask:SHARE,
    /// mix:SHARE, in this or another order [default: none]
    #[arg(long, value_name = "CHANGE", num_args = 1.., value_delimiter = ',', help_heading = "Training")]
    pub augment: Option<Vec<String>>,
    /// Passes over the largest source domain [default: 30]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub epochs: Option<usize>,
    /// First epochs on source rows alone [default: a third of the epochs]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub warmup_epochs: Option<usize>,
    /// Windows of each domain in a step [default: 64]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Optimiser [default: adam]
    #[arg(long, value_enum, help_heading = "Training")]
    pub optimiser: Option<OptimiserName>,
    /// Learning rate [default: 1e-3]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub lr: Option<f64>,
    /// Weight decay [default: 1e-5]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// constant, step:N:FACTOR, cosine, dann or dann:ALPHA:BETA [default: constant]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Training")]
    pub lr_schedule: Option<String>,
    /// Largest norm of the gradient [default: not clipped]
    #[arg(long, value_name = "X", help_heading = "Training")]
    pub clip_norm: Option<f64>,
    /// linear, hidden:N or hidden:N:DROPOUT; rule, for defect-families: linear, from the rule with tau of the source on [default:
    /// hidden:256 (dropout 0.5) for light-cnn, else linear]
    #[arg(long, value_name = "HEAD", help_heading = "Network")]
    pub label_head: Option<String>,
    /// linear, hidden:N or hidden:N:DROPOUT [default: hidden:256 (dropout 0.5)]
    #[arg(long, value_name = "HEAD", help_heading = "Network")]
    pub domain_head: Option<String>,
    /// Width of a linear projection before both heads [default: none]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub projection: Option<usize>,
    /// Dropout on the features before both heads [default: 0]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub dropout: Option<f64>,
    /// Share of each class label that is spread over all classes in the label loss [default: 0]
    #[arg(long, value_name = "P", help_heading = "Training")]
    pub label_smoothing: Option<f64>,
    /// How the domain losses are put together [default: per-domain-means]
    #[arg(long, value_enum, help_heading = "Adaptation")]
    pub domain_loss: Option<DomainLoss>,
    /// Over what batch norm takes its statistics [default: joint]
    #[arg(long, value_enum, help_heading = "Network")]
    pub batch_norm: Option<BatchNorm>,
    /// How source windows are drawn [default: none]
    #[arg(long, value_enum, help_heading = "Training")]
    pub balance: Option<Balance>,
    /// constant:X or dann:LO:HI:GAMMA [default: dann:0:1:10]
    #[arg(long, value_name = "SCHEDULE", help_heading = "Adaptation")]
    pub lambda: Option<String>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub threads: Option<usize>,
    /// Do not train the source-only twin
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Run")]
    pub no_twin: Option<bool>,
    /// Go on from the newest checkpoint in --out
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Run")]
    pub resume: Option<bool>,
    /// Minutes from one checkpoint to the next within an epoch; 0: after every step [default: 10]
    #[arg(long, value_name = "X", help_heading = "Run")]
    pub checkpoint_minutes: Option<f64>,
    /// Show what would be trained and on what, and train nothing
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Run")]
    pub dry_run: Option<bool>,
}

#[derive(clap::Parser)]
struct OptionNames {
    #[command(flatten)]
    options: TrainOptions,
}

impl TrainOptions {
    /// These flags over the keys of a config file.
    ///
    /// # Errors
    /// Unreadable file, TOML that does not parse (with its line), an unknown key (with the nearest known one).
    pub fn over_config(&self, file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::input(format!("cannot read the config {}: {e}", file.display())))?;
        let at = |e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", file.display()));
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| at(&e))?;
        let command = OptionNames::command();
        let known: Vec<&str> = command.get_arguments().filter_map(|a| a.get_long()).collect();
        for key in table.keys() {
            if !known.contains(&key.as_str()) {
                let hint = nearest(key, known.iter().copied()).map_or_else(
                    || format!("known keys: {}", known.join(", ")),
                    |k| format!("did you mean `{k}`?"),
                );
                return Err(Error::input_with_hint(
                    format!("{}: unknown key `{key}`", file.display()),
                    hint,
                ));
            }
        }
        let flags = toml::Table::try_from(self).map_err(|e| Error::Machine(e.to_string()))?;
        table.extend(flags);
        table.try_into().map_err(|e: toml::de::Error| at(&e))
    }
}

/// The name among `known` that is spelled most like `name`, if any is close.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::jaro_winkler(&name.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
