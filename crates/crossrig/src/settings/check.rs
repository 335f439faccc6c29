//! Whether settings, from flags or from a model file, have a meaning.

use candle_seresnext1d::Architecture;

use super::Settings;
use crate::error::{Error, Result};
use crate::length::Length;
use crate::options::{Input, Method, Score, Standardise};

impl Settings {
    /// Whether the input can be made of windows of the length asked for.
    ///
    /// # Errors
    /// Windows of revolutions for an input whose rows are as long as a window: a network sees rows of one length only.
    pub(crate) fn check_window(&self) -> Result<()> {
        let input = self.signal.input;
        if !self.signal.window.in_turns() || input.of_envelope() || self.method == Method::Rule {
            return Ok(());
        }
        Err(Error::input_with_hint(
            format!(
                "--window: {} are more samples where the shaft turns more slowly, and rows of --input {} are as long as the window, \
                 while a network sees rows of one length",
                self.signal.window,
                self.signal.recipe().kind()
            ),
            "give samples or seconds, or an input whose rows are equally long at any speed: --input orders or defect-orders",
        ))
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
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("projection", self.projection.unwrap_or(1)),
        ];
        for (flag, n) in at_least_one {
            if n == 0 {
                return fail(format!("--{flag} must be at least 1"));
            }
        }
        for (flag, length) in [("window", self.signal.window), ("hop", self.signal.hop)] {
            if length == Length::Samples(0) {
                return fail(format!("--{flag} must be at least 1"));
            }
        }
        if self.signal.input == Input::Auto {
            return fail("the input of a model is what `auto` chose, not `auto`".into());
        }
        let matched = self.signal.standardise == Standardise::Matched;
        if matched && self.signal.input == Input::Raw {
            return Err(Error::input_with_hint(
                "--standardise matched estimates the class mix from spectra, and the input is raw",
                "give --input log-spectrum, or another --standardise",
            ));
        }
        if self.reference.is_some() && !matched {
            return Err(Error::input_with_hint(
                "--reference serves where the target's statistics are matched",
                "give --standardise matched, or leave --reference out",
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
        for (flag, fractions) in [
            ("fractions", self.fractions),
            ("source-fractions", self.source_fractions.unwrap_or(self.fractions)),
        ] {
            let sum: f64 = fractions.iter().sum();
            if fractions.iter().any(|f| !(0.0..=1.0).contains(f)) || (sum - 1.0).abs() > 1e-9 || fractions[0] == 0.0 {
                return fail(format!(
                    "--{flag} must be three shares that add up to 1, the first above 0; found {fractions:?}"
                ));
            }
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
        if self.starts_at_rule() && self.architecture()? != Architecture::DefectFamilies {
            return Err(Error::input_with_hint(
                "--label-head rule starts at the rule on scores of families of defect frequencies",
                "give --extractor defect-families",
            ));
        }
        self.heads()?;
        self.schedules()?;
        self.split_kind()?;
        self.architecture()?;
        Ok(())
    }
}
