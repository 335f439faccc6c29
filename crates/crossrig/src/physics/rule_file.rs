use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use candle_trainer::sealed;
use serde::{Deserialize, Serialize};
use signal_conditioning::RaceRule;
use signal_domains::Family;

use super::Roles;
use crate::error::{Error, Result};
use crate::model_file::{self, Model, PREFIX, SCHEMA};
use crate::settings::Settings;
use crate::task::Task;
use crate::training::file_error;

/// A rule as it is saved (`crossrig.rule` in the metadata of the file).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleModel {
    /// Threshold, nepers of power.
    pub tau: RaceRule,
    /// What chose it.
    pub chosen_by: String,
    /// Settings of the run.
    pub settings: Settings,
    /// Class names.
    pub classes: Vec<String>,
    /// What each class damages.
    pub families: Vec<Option<Family>>,
    /// Rate that recordings are brought to, Hz.
    pub rate_hz: f64,
    /// Variable, column or dataset of each channel in the training files.
    pub channel_keys: Vec<String>,
    /// Labelled recordings it was fitted on: file and SHA-256.
    pub recordings: Vec<(String, String)>,
    /// SHA-256 over the recordings of the run.
    pub data_digest: String,
    /// Version of the program that made it.
    pub versions: BTreeMap<String, String>,
}

/// A saved model of either kind.
pub enum Saved {
    /// A network.
    Network(Box<Model>),
    /// The rule on defect orders.
    Rule(Box<RuleModel>),
}

const KEY: &str = "crossrig.rule";

impl RuleModel {
    /// What a run's rule must remember.
    pub fn new(
        task: &Task,
        settings: &Settings,
        rule: RaceRule,
        chosen_by: &str,
        channel_keys: &[String],
    ) -> Result<Self> {
        Ok(Self {
            tau: rule,
            chosen_by: chosen_by.to_owned(),
            settings: settings.clone(),
            classes: task.classes.clone(),
            families: task.families.clone(),
            rate_hz: task
                .rate_hz
                .ok_or_else(|| Error::Machine("a rule without a rate".into()))?,
            channel_keys: channel_keys.to_vec(),
            recordings: task
                .sources
                .iter()
                .flat_map(|s| s.domain.signals.iter().map(|s| (s.file.clone(), s.sha256.clone())))
                .collect(),
            data_digest: task.digest.clone(),
            versions: crate::metrics::versions(),
        })
    }

    /// Which class each verdict names.
    pub fn roles(&self) -> Result<Roles> {
        Roles::new(&self.classes, &self.families)
    }

    fn check(&self) -> Result<()> {
        self.settings.check()?;
        self.roles()?;
        if self.classes.len() != self.families.len() {
            return Err(Error::input(format!(
                "{} classes, {} families",
                self.classes.len(),
                self.families.len()
            )));
        }
        if !(self.rate_hz.is_finite() && self.rate_hz > 0.0) {
            return Err(Error::input(format!("a sampling rate of {} Hz", self.rate_hz)));
        }
        Ok(())
    }
}

/// Writes a rule as a model file: one tensor, `tau`, and all that prediction needs in the metadata.
pub fn save(path: &Path, model: &RuleModel) -> Result<()> {
    let text = serde_json::to_string(model).map_err(|e| Error::Machine(e.to_string()))?;
    let metadata = BTreeMap::from([
        ("crossrig.schema".to_owned(), SCHEMA.to_owned()),
        (KEY.to_owned(), text),
    ]);
    let tau = Tensor::new(&[model.tau.tau()], &Device::Cpu)?;
    sealed::save(path, &BTreeMap::from([("tau".to_owned(), tau)]), &metadata, PREFIX).map_err(file_error)
}

/// Reads a saved model, a network's or a rule's.
///
/// # Errors
/// As [`model_file::load`]; a rule whose parts do not belong together.
pub fn load(path: &Path) -> Result<Saved> {
    let (tensors, metadata) = sealed::load(path, PREFIX, &Device::Cpu).map_err(|e| Error::input(e.to_string()))?;
    let Some(text) = metadata.get(KEY) else {
        return model_file::of_contents(path, tensors, &metadata).map(|m| Saved::Network(Box::new(m)));
    };
    let bad = |what: String| Error::input(format!("{}: {what}", path.display()));
    model_file::check_schema(path, &metadata)?;
    let model: RuleModel = serde_json::from_str(text).map_err(|e| bad(format!("`{KEY}`: {e}")))?;
    model.check().map_err(|e| bad(format!("`{KEY}`: {e}")))?;
    Ok(Saved::Rule(Box::new(model)))
}
