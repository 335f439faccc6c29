//! What the user typed, checked and with every default filled in: the form that runs and is saved with the run.

use std::path::{Path, PathBuf};

use candle_dann::Head;
use candle_gradient_reversal::Schedule;
use candle_seresnext1d::Architecture;
use candle_trainer::LrSchedule;
use serde::{Deserialize, Serialize};
use signal_conditioning::{Needs, Recipe, Tail, Windowing};
use signal_domains::SplitKind;

use crate::error::{Error, Result};
use crate::options::{
    Balance, BatchNorm, DomainLoss, ExtractorOption, ExtractorTable, Input, Method, OptimiserName, Scale, ScaleBy,
    Score, Span, Standardise, TrainOptions,
};
use crate::physics::Tau;

/// Bins of light-cnn's last pool where it sees a spectrum, a line of which is known by its place: with a window of 1024
/// samples a bin is 15 lines wide. The network's own four would leave "somewhere in this quarter".
const SPECTRUM_BINS: usize = 32;

/// Everything that fixes a run but its recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Manifest or folder.
    pub data: PathBuf,
    /// Folder of the recordings.
    pub root: Option<PathBuf>,
    /// Labelled domains.
    pub source: Vec<String>,
    /// Unlabelled domains.
    pub target: Vec<String>,
    /// Seed of the run.
    pub seed: u64,
    /// Globs over class names.
    pub classes: Vec<String>,
    /// Globs over the target's file names.
    pub target_recordings: Vec<String>,
    /// The network.
    pub extractor: ExtractorTable,
    /// How the target takes part.
    pub method: Method,
    /// Steps of the domain head before each of the extractor; `None` where they do not alternate.
    pub domain_steps: Option<u32>,
    /// Threshold of the rule; `None` for other methods.
    pub tau: Option<String>,
    /// Whether `--input auto` was asked for; what it chose stands in `signal`.
    #[serde(default)]
    pub auto: bool,
    /// What the network sees.
    pub signal: SignalSettings,
    /// Recording of the target machine in known good state.
    #[serde(default)]
    pub reference: Option<PathBuf>,
    /// Variable where the manifest names none.
    pub key: Option<String>,
    /// Channels asked for.
    pub channels: Option<Vec<String>>,
    /// Kind of split; `None`: recordings where possible, else blocks.
    pub split: Option<String>,
    /// Shares of training, validation and test.
    pub fractions: [f64; 3],
    /// Which target windows are scored.
    pub score: Score,
    /// Changes of training windows.
    #[serde(default)]
    pub augment: Vec<String>,
    /// Passes over the largest source domain.
    pub epochs: usize,
    /// First epochs on source rows alone.
    pub warmup_epochs: usize,
    /// Windows of each domain in a step.
    pub batch: usize,
    /// Optimiser.
    pub optimiser: OptimiserName,
    /// Learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Schedule of the learning rate.
    pub lr_schedule: String,
    /// Largest norm of the gradient.
    pub clip_norm: Option<f64>,
    /// Label head.
    pub label_head: String,
    /// Domain head.
    pub domain_head: String,
    /// Width of the projection before both heads.
    pub projection: Option<usize>,
    /// Dropout on the features.
    pub dropout: f64,
    /// Share of each class label that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f64,
    /// How the domain losses are put together.
    pub domain_loss: DomainLoss,
    /// Over what batch norm takes its statistics.
    pub batch_norm: BatchNorm,
    /// How source windows are drawn.
    pub balance: Balance,
    /// Schedule of lambda.
    pub lambda: String,
    /// Whether the source-only twin is trained.
    pub twin: bool,
}

/// From the samples of a recording to what the network sees; the part of the settings that prediction needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalSettings {
    /// What the network sees of a window.
    pub input: Input,
    /// Common sampling rate; `None`: the lowest rate in use.
    pub rate: Option<f64>,
    /// Samples in a window.
    pub window: usize,
    /// Samples from one window to the next.
    pub hop: usize,
    /// Over what a signal is scaled.
    pub scale: Scale,
    /// By what a signal is scaled.
    pub scale_by: ScaleBy,
    /// Whose statistics standardise the input.
    pub standardise: Standardise,
}

impl Settings {
    /// Checks the flags and fills in the defaults. `--input auto` counts as the log-spectrum until [`auto_input`] has seen the
    /// recordings; then give what it chose to [`of_auto`](Self::of_auto).
    ///
    /// [`auto_input`]: crate::auto::auto_input
    ///
    /// # Errors
    /// A value that is missing or makes no sense; the message names the flag.
    pub fn new(o: &TrainOptions) -> Result<Self> {
        let need = |what: &str, example: &str| {
            Error::input_with_hint(
                format!("--{what} is missing"),
                format!("for example --{what} {example}"),
            )
        };
        let data = o.data.clone().ok_or_else(|| need("data", "datasets/cwru.toml"))?;
        let source = o
            .source
            .clone()
            .filter(|s| !s.is_empty())
            .ok_or_else(|| need("source", "load0"))?;
        let target = o
            .target
            .clone()
            .filter(|s| !s.is_empty())
            .ok_or_else(|| need("target", "load3"))?;
        let method = o.method.unwrap_or(Method::Dann);
        let auto = o.input == Some(Input::Auto);
        let input = if auto {
            Input::LogSpectrum
        } else {
            o.input.unwrap_or(Input::Raw)
        };
        let raw = input == Input::Raw;
        let rule = method == Method::Rule;
        let physics = rule || input.of_envelope();
        // what the parameters of the defect orders were settled at
        let rate = o.rate.or(physics.then_some(crate::physics::RATE_HZ));
        let window = match &o.window {
            Some(window) => window.samples(rate, "window")?,
            None if physics => (crate::physics::PIECE_SECONDS * rate.unwrap_or(0.0)).round() as usize,
            None => 1024,
        };
        let hop = o.hop.as_ref().map(|hop| hop.samples(rate, "hop")).transpose()?;
        let epochs = o.epochs.unwrap_or(30);
        let mut extractor = match &o.extractor {
            None => ExtractorTable::default(),
            Some(ExtractorOption::Name(name)) => ExtractorTable {
                name: Some(name.clone()),
                ..ExtractorTable::default()
            },
            Some(ExtractorOption::Table(table)) => table.clone(),
        };
        let architecture: Architecture = match &extractor.name {
            None => Architecture::LightCnn,
            Some(name) => name.parse().map_err(|e| Error::input(format!("--extractor: {e}")))?,
        };
        extractor.name = Some(architecture.to_string());
        extractor.check(architecture)?;
        let families = architecture == Architecture::DefectFamilies;
        // what `auto` takes is known once the recordings are
        if families && !auto && input != Input::DefectOrders {
            return Err(Error::input_with_hint(
                format!("--extractor {architecture} scores families of defect frequencies, which the input has not"),
                "give --input defect-orders",
            ));
        }
        if architecture == Architecture::LightCnn && !raw && input != Input::DefectOrders {
            extractor.bins = extractor.bins.or(Some(SPECTRUM_BINS));
        }
        let label_head = match architecture {
            Architecture::LightCnn => Head::hidden(256),
            _ => Head::Linear,
        };
        let settings = Self {
            data,
            root: o.root.clone(),
            source,
            target,
            seed: o.seed.unwrap_or(0),
            classes: o.classes.clone().unwrap_or_default(),
            target_recordings: o.target_recordings.clone().unwrap_or_default(),
            extractor,
            method,
            tau: o.tau.clone().or_else(|| rule.then(|| "source".to_owned())),
            domain_steps: o.domain_steps.or((method == Method::DannAlternating).then_some(1)),
            auto,
            signal: SignalSettings {
                input,
                rate,
                window,
                hop: hop.unwrap_or(window),
                scale: o.scale.unwrap_or(if raw { Scale::Window } else { Scale::None }),
                scale_by: o.scale_by.unwrap_or(ScaleBy::MeanStd),
                standardise: o.standardise.unwrap_or(match input {
                    Input::Raw => Standardise::None,
                    Input::Spectrum | Input::LogSpectrum | Input::Auto => Standardise::Guarded,
                    // levels above the background mean the same on every machine
                    // and this network shares its weights over them as they are
                    Input::DefectOrders if families => Standardise::None,
                    Input::EnvelopeSpectrum | Input::Orders | Input::DefectOrders => Standardise::Source,
                }),
            },
            reference: o.reference.clone(),
            key: o.key.clone(),
            channels: o.channels.clone(),
            split: o.split.clone(),
            fractions: match o.fractions.as_deref() {
                None => [0.6, 0.2, 0.2],
                Some(&[a, b, c]) => [a, b, c],
                Some(other) => {
                    return Err(Error::input(format!(
                        "--fractions takes three numbers, found {}",
                        other.len()
                    )));
                }
            },
            score: o.score.unwrap_or(Score::Test),
            augment: o.augment.clone().unwrap_or_default(),
            epochs,
            warmup_epochs: o.warmup_epochs.unwrap_or(epochs / 3),
            batch: o.batch.unwrap_or(64),
            optimiser: o.optimiser.unwrap_or(OptimiserName::Adam),
            lr: o.lr.unwrap_or(1e-3),
            weight_decay: o.weight_decay.unwrap_or(1e-5),
            lr_schedule: o.lr_schedule.clone().unwrap_or_else(|| "constant".into()),
            clip_norm: o.clip_norm,
            label_head: o.label_head.clone().unwrap_or_else(|| label_head.to_string()),
            domain_head: o.domain_head.clone().unwrap_or_else(|| "hidden:256".into()),
            projection: o.projection,
            dropout: o.dropout.unwrap_or(0.0),
            label_smoothing: o.label_smoothing.unwrap_or(0.0),
            domain_loss: o.domain_loss.unwrap_or(DomainLoss::PerDomainMeans),
            batch_norm: o.batch_norm.unwrap_or(BatchNorm::Joint),
            balance: o.balance.unwrap_or(Balance::None),
            lambda: o.lambda.clone().unwrap_or_else(|| "dann:0:1:10".into()),
            twin: method.trains_network() && !o.no_twin.unwrap_or(false),
        };
        settings.check()?;
        Ok(settings)
    }

    /// The settings of flags that ask for `--input auto`, which has chosen `input`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_auto(o: &TrainOptions, input: Input) -> Result<Self> {
        let chosen = TrainOptions {
            input: Some(input),
            ..o.clone()
        };
        Ok(Self {
            auto: true,
            ..Self::new(&chosen)?
        })
    }

    /// Whether each value has a meaning.
    pub(crate) fn check(&self) -> Result<()> {
        let fail = |message: String| Err(Error::input(message));
        for d in &self.target {
            if self.source.contains(d) {
                return fail(format!(
                    "domain `{d}` is given as source and as target: the same recordings cannot be both"
                ));
            }
        }
        for list in [&self.source, &self.target] {
            if let Some(twice) = list.iter().enumerate().find(|(i, d)| list[..*i].contains(d)) {
                return fail(format!("domain `{}` is given twice", twice.1));
            }
        }
        let at_least_one = [
            ("window", self.signal.window),
            ("hop", self.signal.hop),
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("projection", self.projection.unwrap_or(1)),
        ];
        for (flag, n) in at_least_one {
            if n == 0 {
                return fail(format!("--{flag} must be at least 1"));
            }
        }
        if self.signal.input == Input::Auto {
            return fail("the input of a model is what `auto` chose, not `auto`".into());
        }
        let guarded = self.signal.standardise == Standardise::Guarded;
        if guarded && self.signal.input == Input::Raw {
            return Err(Error::input_with_hint(
                "--standardise guarded estimates the class mix from spectra, and the input is raw",
                "give --input log-spectrum, or another --standardise",
            ));
        }
        if self.reference.is_some() && !guarded {
            return Err(Error::input_with_hint(
                "--reference serves where the target's statistics are guarded",
                "give --standardise guarded, or leave --reference out",
            ));
        }
        if !self.augmentations()?.is_empty() && !self.method.trains_network() {
            return Err(Error::input_with_hint(
                "--augment changes the windows of each step, and only networks are trained in steps",
                "leave --augment out, or give --method dann or source-only",
            ));
        }
        if self.domain_steps == Some(0) {
            return fail("--domain-steps must be at least 1".into());
        }
        if self.domain_steps.is_some() && self.method != Method::DannAlternating {
            return Err(Error::input_with_hint(
                "--domain-steps is for domain head and extractor in turns",
                "give --method dann-alternating, or leave --domain-steps out",
            ));
        }
        if self.tau.is_some() && self.method != Method::Rule {
            return Err(Error::input_with_hint(
                "--tau is the threshold of the rule",
                "give --method rule, or leave --tau out",
            ));
        }
        self.threshold()?;
        if self.batch == 1 {
            return fail("--batch must be at least 2: batch norm has no variance over one window".into());
        }
        let positive = [
            ("lr", Some(self.lr)),
            ("rate", self.signal.rate),
            ("clip-norm", self.clip_norm),
        ];
        for (flag, x) in positive {
            if let Some(x) = x.filter(|x| !(x.is_finite() && *x > 0.0)) {
                return fail(format!("--{flag} must be a positive number, found {x}"));
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return fail(format!(
                "--weight-decay must not be negative, found {}",
                self.weight_decay
            ));
        }
        for (flag, share) in [("dropout", self.dropout), ("label-smoothing", self.label_smoothing)] {
            if !(0.0..1.0).contains(&share) {
                return fail(format!("--{flag} must be at least 0 and below 1, found {share}"));
            }
        }
        let sum: f64 = self.fractions.iter().sum();
        if self.fractions.iter().any(|f| !(0.0..=1.0).contains(f))
            || (sum - 1.0).abs() > 1e-9
            || self.fractions[0] == 0.0
        {
            return fail(format!(
                "--fractions must be three shares that add up to 1, the first above 0; found {:?}",
                self.fractions
            ));
        }
        if self.score == Score::Test && self.fractions[2] == 0.0 {
            return Err(Error::input_with_hint(
                "--fractions leave no test part to score",
                "give the last share a value above 0, or use --score all (transductive)",
            ));
        }
        if self.warmup_epochs > self.epochs {
            return fail(format!(
                "--warmup-epochs {} is more than --epochs {}",
                self.warmup_epochs, self.epochs
            ));
        }
        if self.method.trains_network() && self.method != Method::SourceOnly && self.warmup_epochs == self.epochs {
            return Err(Error::input_with_hint(
                format!("--warmup-epochs {} leaves no adversarial epoch", self.warmup_epochs),
                "use --method source-only, or fewer warm-up epochs",
            ));
        }
        self.heads()?;
        self.schedules()?;
        self.split_kind()?;
        self.architecture()?;
        Ok(())
    }

    /// These settings as a config file: every flag of `train` with its value.
    pub fn to_config(&self, out: &Path) -> Result<String> {
        let s = &self.signal;
        let options = TrainOptions {
            data: Some(self.data.clone()),
            root: self.root.clone(),
            source: Some(self.source.clone()),
            target: Some(self.target.clone()),
            out: Some(out.to_owned()),
            seed: Some(self.seed),
            classes: Some(self.classes.clone()).filter(|c| !c.is_empty()),
            target_recordings: Some(self.target_recordings.clone()).filter(|c| !c.is_empty()),
            extractor: Some(ExtractorOption::Table(self.extractor.clone())),
            method: Some(self.method),
            domain_steps: self.domain_steps,
            tau: self.tau.clone(),
            input: Some(if self.auto { Input::Auto } else { s.input }),
            scale: Some(s.scale),
            scale_by: Some(s.scale_by),
            standardise: Some(s.standardise),
            reference: self.reference.clone(),
            key: self.key.clone(),
            rate: s.rate,
            channels: self.channels.clone(),
            split: self.split.clone(),
            fractions: Some(self.fractions.to_vec()),
            score: Some(self.score),
            window: Some(Span::Samples(s.window)),
            hop: Some(Span::Samples(s.hop)),
            augment: Some(self.augment.clone()).filter(|a| !a.is_empty()),
            epochs: Some(self.epochs),
            warmup_epochs: Some(self.warmup_epochs),
            batch: Some(self.batch),
            optimiser: Some(self.optimiser),
            lr: Some(self.lr),
            weight_decay: Some(self.weight_decay),
            lr_schedule: Some(self.lr_schedule.clone()),
            clip_norm: self.clip_norm,
            label_head: Some(self.label_head.clone()),
            domain_head: Some(self.domain_head.clone()),
            projection: self.projection,
            dropout: Some(self.dropout),
            label_smoothing: Some(self.label_smoothing),
            domain_loss: Some(self.domain_loss),
            batch_norm: Some(self.batch_norm),
            balance: Some(self.balance),
            lambda: Some(self.lambda.clone()),
            threads: None,
            no_twin: Some(!self.twin),
            resume: None,
            checkpoint_minutes: None,
            dry_run: None,
        };
        toml::to_string(&options).map_err(|e| Error::Machine(e.to_string()))
    }

    /// What must be known of every recording.
    pub fn needs(&self) -> Needs {
        if self.method == Method::Rule {
            return Needs {
                rate: true,
                shaft_speed: true,
                geometry: true,
            };
        }
        self.signal.recipe().needs()
    }

    /// Who needs it, for messages.
    pub fn who_needs(&self) -> String {
        if self.method == Method::Rule {
            return "the rule".to_owned();
        }
        format!("--input {}", self.signal.recipe().kind())
    }

    /// Label head and domain head.
    pub fn heads(&self) -> Result<(Head, Head)> {
        let parse = |flag: &str, text: &str| text.parse().map_err(|e| Error::input(format!("--{flag}: {e}")));
        Ok((
            parse("label-head", &self.label_head)?,
            parse("domain-head", &self.domain_head)?,
        ))
    }

    /// Where the rule's threshold comes from.
    pub fn threshold(&self) -> Result<Tau> {
        self.tau
            .as_deref()
            .unwrap_or("source")
            .parse()
            .map_err(|e| Error::input(format!("--tau: {e}")))
    }

    /// Schedules of lambda and of the learning rate.
    pub fn schedules(&self) -> Result<(Schedule, LrSchedule)> {
        Ok((
            self.lambda
                .parse()
                .map_err(|e| Error::input(format!("--lambda: {e}")))?,
            self.lr_schedule
                .parse()
                .map_err(|e| Error::input(format!("--lr-schedule: {e}")))?,
        ))
    }

    /// The kind of split asked for.
    pub fn split_kind(&self) -> Result<Option<SplitKind>> {
        self.split
            .as_deref()
            .map(|s| s.parse().map_err(|e| Error::input(format!("--split: {e}"))))
            .transpose()
    }
}

impl SignalSettings {
    /// How a recording is cut into windows.
    pub fn windowing(&self) -> Windowing {
        Windowing {
            length: self.window,
            hop: self.hop,
            tail: Tail::Drop,
        }
    }

    /// The representation of a window.
    pub fn recipe(&self) -> Recipe {
        let scale = (self.scale == Scale::Window).then_some(self.scale_by.into());
        match self.input {
            Input::Raw => Recipe::Raw { scale },
            Input::Spectrum => Recipe::Spectrum { scale },
            Input::LogSpectrum | Input::Auto => Recipe::LogSpectrum { scale },
            Input::EnvelopeSpectrum => Recipe::EnvelopeSpectrum { scale },
            Input::Orders => Recipe::Orders { scale },
            Input::DefectOrders => Recipe::DefectOrders { scale },
        }
    }
}

impl From<ScaleBy> for signal_conditioning::ScaleBy {
    fn from(by: ScaleBy) -> Self {
        match by {
            ScaleBy::MeanStd => Self::MeanStd,
            ScaleBy::MinMax => Self::MinMax,
            ScaleBy::Robust => Self::Robust,
        }
    }
}
