//! From flags to settings, defaults filled in, and back to a config file.

use std::path::Path;

use candle_dann::Head;
use candle_seresnext1d::Architecture;

use super::{Settings, SignalSettings};
use crate::error::{Error, Result};
use crate::length::Length;
use crate::options::{
    Balance, BatchNorm, DomainLoss, ExtractorOption, ExtractorTable, Input, Method, OptimiserName, Scale, ScaleBy,
    Score, Standardise, TrainOptions,
};

/// Bins of light-cnn's last pool where it sees a spectrum, a line of which is known by its place: with a window of 1024
/// samples a bin is 15 lines wide. The network's own four would leave "somewhere in this quarter".
const SPECTRUM_BINS: usize = 32;

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
            Some(window) => Length::new(window, rate, "window")?,
            None if physics => Length::Samples((crate::physics::PIECE_SECONDS * rate.unwrap_or(0.0)).round() as usize),
            None => Length::Samples(1024),
        };
        let hop = o.hop.as_ref().map(|hop| Length::new(hop, rate, "hop")).transpose()?;
        let epochs = o.epochs.unwrap_or(30);
        let (extractor, architecture) = extractor(o, input, auto)?;
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
                    Input::Spectrum | Input::LogSpectrum | Input::Auto => Standardise::Matched,
                    // the network shares its weights over the levels as they are
                    Input::DefectOrders if architecture == Architecture::DefectFamilies => Standardise::None,
                    // levels above the background mean the same on every machine
                    Input::EnvelopeSpectrum | Input::Orders | Input::DefectOrders => Standardise::Source,
                }),
            },
            reference: o.reference.clone(),
            key: o.key.clone(),
            channels: o.channels.clone(),
            split: o.split.clone(),
            fractions: fractions("--fractions", o.fractions.as_deref())?.unwrap_or([0.6, 0.2, 0.2]),
            source_fractions: fractions("--source-fractions", o.source_fractions.as_deref())?,
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
        // what `auto` takes is known once the recordings are
        if !auto {
            settings.check_window()?;
        }
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
            source_fractions: self.source_fractions.map(Vec::from),
            score: Some(self.score),
            window: Some(s.window.into()),
            hop: Some(s.hop.into()),
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
}

/// Three shares, where they are given.
fn fractions(flag: &str, given: Option<&[f64]>) -> Result<Option<[f64; 3]>> {
    match given {
        None => Ok(None),
        Some(&[a, b, c]) => Ok(Some([a, b, c])),
        Some(other) => Err(Error::input(format!(
            "{flag} takes three numbers, found {}",
            other.len()
        ))),
    }
}

/// The network that is asked for, with the options that follow from the input.
fn extractor(o: &TrainOptions, input: Input, auto: bool) -> Result<(ExtractorTable, Architecture)> {
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
    // what `auto` takes is known once the recordings are
    if architecture == Architecture::DefectFamilies && !auto && input != Input::DefectOrders {
        return Err(Error::input_with_hint(
            format!("--extractor {architecture} scores families of defect frequencies, which the input has not"),
            "give --input defect-orders",
        ));
    }
    if architecture == Architecture::LightCnn && !matches!(input, Input::Raw | Input::DefectOrders) {
        extractor.bins = extractor.bins.or(Some(SPECTRUM_BINS));
    }
    Ok((extractor, architecture))
}
