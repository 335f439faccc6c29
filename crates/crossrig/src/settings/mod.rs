//! What the user typed, checked and with every default filled in: the form that runs and is saved with the run.

mod check;
mod flags;

use std::path::PathBuf;

use candle_dann::Head;
use candle_gradient_reversal::Schedule;
use candle_trainer::LrSchedule;
use serde::{Deserialize, Serialize};
use signal_conditioning::{Meta, Needs, Recipe, Tail, Windowing};
use signal_domains::SplitKind;

use crate::error::{Error, Result};
use crate::length::Length;
use crate::options::{
    Balance, BatchNorm, DomainLoss, ExtractorTable, Input, Method, OptimiserName, Scale, ScaleBy, Score, Standardise,
};
use crate::physics::Tau;

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
    /// Those of the source, where they are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_fractions: Option<[f64; 3]>,
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
    /// Length of a window.
    pub window: Length,
    /// From one window to the next.
    pub hop: Length,
    /// Over what a signal is scaled.
    pub scale: Scale,
    /// By what a signal is scaled.
    pub scale_by: ScaleBy,
    /// Whose statistics standardise the input.
    pub standardise: Standardise,
}

impl Settings {
    /// What must be known of every recording.
    pub fn needs(&self) -> Needs {
        if self.method == Method::Rule {
            return Needs {
                rate: true,
                shaft_speed: true,
                geometry: true,
            };
        }
        self.signal.needs()
    }

    /// Who needs it, for messages.
    pub fn who_needs(&self) -> String {
        if self.method == Method::Rule {
            return "the rule".to_owned();
        }
        format!("--input {}{}", self.signal.recipe().kind(), self.signal.in_windows())
    }

    /// Whether the label head is a linear layer that starts at the rule on defect orders.
    pub fn starts_at_rule(&self) -> bool {
        self.label_head == "rule"
    }

    /// Label head and domain head.
    pub fn heads(&self) -> Result<(Head, Head)> {
        let parse = |flag: &str, text: &str| text.parse().map_err(|e| Error::input(format!("--{flag}: {e}")));
        Ok((
            if self.starts_at_rule() {
                Head::Linear
            } else {
                parse("label-head", &self.label_head)?
            },
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
    ///
    /// # Errors
    /// Windows of revolutions, and a recording whose shaft speed is not known.
    pub fn windowing(&self, meta: &Meta) -> Result<Windowing> {
        Ok(Windowing {
            length: self.window.samples(meta)?,
            hop: self.hop.samples(meta)?,
            tail: Tail::Drop,
        })
    }

    /// Values of a row that a network sees of a window; only inputs whose rows are always equally long have windows of
    /// revolutions (`check_window`).
    pub fn row_len(&self) -> usize {
        match self.window {
            Length::Samples(n) => self.recipe().row_len(n),
            Length::Turns(_) => self.recipe().row_len(0),
        }
    }

    /// What must be known of every recording.
    pub fn needs(&self) -> Needs {
        let needs = self.recipe().needs();
        let in_turns = self.window.in_turns() || self.hop.in_turns();
        Needs {
            rate: needs.rate || in_turns,
            shaft_speed: needs.shaft_speed || in_turns,
            ..needs
        }
    }

    /// What its windows need the shaft speed for, for messages; nothing where they do not.
    pub fn in_windows(&self) -> &'static str {
        if self.window.in_turns() || self.hop.in_turns() {
            " in windows of revolutions"
        } else {
            ""
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
