//! A saved model: one safetensors file that any reader opens, with all that prediction needs in its metadata.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use candle_trainer::sealed;
use serde::{Deserialize, Serialize};
use signal_conditioning::{Recipe, Standardiser};
use signal_domains::Family;

use crate::class_mix::Variance;
use crate::error::{Error, Result};
use crate::logistic::Logistic;
use crate::network::{Network, Outputs, Shape};
use crate::options::{Input, Method, Standardise};
use crate::settings::Settings;
use crate::training::file_error;

/// Version of the metadata.
pub(crate) const SCHEMA: &str = "1";
pub(crate) const PREFIX: &str = "crossrig";

/// What a model must remember beside its tensors (`crossrig.recipe`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRecipe {
    /// How the model was trained: `dann`, `dann-alternating`, `source-only` or `logistic`.
    pub method: String,
    /// Settings of the run: the architecture, the signal's preparation and more.
    pub settings: Settings,
    /// Representation of a window.
    pub representation: Recipe,
    /// Sizes of the network.
    pub shape: Shape,
    /// Classes in the order of the label head.
    pub classes: Vec<String>,
    /// What each class damages, where the data set says it; empty in files of earlier versions.
    #[serde(default)]
    pub families: Vec<Option<Family>>,
    /// Sampling rate in Hz; `None`: the recordings stated none.
    pub rate_hz: Option<f64>,
    /// Variable, column or dataset of each channel in the training files.
    pub channel_keys: Vec<String>,
    /// Domains in the order of their numbers.
    pub domains: Vec<DomainMemory>,
    /// Kind of split that the run scored on.
    pub split: String,
    /// SHA-256 over the training data.
    pub data_digest: String,
    /// Version of the program that trained it.
    pub versions: BTreeMap<String, String>,
}

/// What a model remembers of a domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DomainMemory {
    /// Name of the domain.
    pub name: String,
    /// Part in training.
    pub role: Role,
    /// Statistics of its training windows, where the settings standardise.
    pub standardiser: Option<Standardiser>,
    /// Variances that a target's statistics are held against; of a source with statistics of its own.
    #[serde(default)]
    pub variance: Option<Variance>,
    /// File and SHA-256 of its recordings.
    pub recordings: Vec<(String, String)>,
}

/// Part of a domain in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Labelled.
    Source,
    /// Unlabelled.
    Target,
}

/// A model read back.
pub struct Model {
    /// Its memory.
    pub recipe: ModelRecipe,
    /// What names the classes.
    pub classifier: Classifier,
}

/// What names the classes of a model.
pub enum Classifier {
    /// A network.
    Network(Box<Network>),
    /// A logistic regression.
    Logistic(Logistic),
}

impl Classifier {
    /// Runs windows `(n, channels, length)` of domain number `domain`.
    pub fn run(&self, x: &Tensor, domain: usize) -> Result<Outputs> {
        match self {
            Self::Network(network) => network.run(x, Some(domain)),
            Self::Logistic(logistic) => logistic.run(x),
        }
    }
}

/// Writes a model of those tensors: to a temporary name, then in place.
pub fn save(path: &Path, tensors: &BTreeMap<String, Tensor>, recipe: &ModelRecipe) -> Result<()> {
    let text = serde_json::to_string(recipe).map_err(|e| Error::Machine(e.to_string()))?;
    let metadata = BTreeMap::from([
        ("crossrig.schema".to_owned(), SCHEMA.to_owned()),
        ("crossrig.recipe".to_owned(), text),
    ]);
    sealed::save(path, tensors, &metadata, PREFIX).map_err(file_error)
}

/// Reads a model.
///
/// # Errors
/// A file that is no model of crossrig, is damaged, or comes from a newer version; a recipe that does not fit its
/// tensors; weights that are not finite. What the recipe claims is held against the tensors before anything is
/// allocated for it.
pub fn load(path: &Path) -> Result<Model> {
    let (tensors, metadata) = sealed::load(path, PREFIX, &Device::Cpu).map_err(|e| Error::input(e.to_string()))?;
    of_contents(path, tensors, &metadata)
}

/// Refuses metadata of another schema, or of no model.
pub(crate) fn check_schema(path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
    let bad = |what: String| Error::input(format!("{}: {what}", path.display()));
    match metadata.get("crossrig.schema").map(String::as_str) {
        Some(SCHEMA) => Ok(()),
        Some(other) => Err(bad(format!(
            "model of schema {other}, this program reads schema {SCHEMA}"
        ))),
        None => Err(bad(
            "no model of crossrig: `crossrig.schema` is missing in its metadata".into(),
        )),
    }
}

/// A network from what its file holds.
pub(crate) fn of_contents(
    path: &Path,
    tensors: BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<Model> {
    let bad = |what: String| Error::input(format!("{}: {what}", path.display()));
    check_schema(path, metadata)?;
    let text = metadata
        .get("crossrig.recipe")
        .ok_or_else(|| bad("`crossrig.recipe` is missing in its metadata".into()))?;
    let recipe: ModelRecipe = serde_json::from_str(text).map_err(|e| bad(format!("`crossrig.recipe`: {e}")))?;
    recipe.check().map_err(|e| bad(format!("`crossrig.recipe`: {e}")))?;
    if let Some(name) = not_finite(&tensors)? {
        return Err(bad(format!("the weights in {name} are not all finite")));
    }
    let classifier = if recipe.settings.method == Method::Logistic {
        Logistic::of_tensors(recipe.shape, &tensors).map(Classifier::Logistic)
    } else {
        Network::of_tensors(&recipe.settings, recipe.shape, tensors).map(|n| Classifier::Network(Box::new(n)))
    }
    .map_err(|e| bad(format!("its recipe and its tensors do not fit: {e}")))?;
    Ok(Model { recipe, classifier })
}

/// The first tensor that holds NaN or infinity, if any does. Nothing is copied where they are f32, in one piece and on
/// the CPU, as those of a network are.
pub fn not_finite(tensors: &BTreeMap<String, Tensor>) -> Result<Option<String>> {
    for (name, tensor) in tensors {
        let (storage, layout) = tensor.storage_and_layout();
        let place = layout.contiguous_offsets();
        let finite = if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, place) {
            values[start..end].iter().all(|v| v.is_finite())
        } else {
            let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
            values.iter().all(|v| v.is_finite())
        };
        if !finite {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

impl ModelRecipe {
    /// Whether its parts belong together.
    fn check(&self) -> Result<()> {
        self.settings.check()?;
        self.settings.check_window()?;
        let Self { settings, shape, .. } = self;
        let recipe = settings.signal.recipe();
        if self.representation != recipe
            || shape.length != settings.signal.row_len()
            || !shape.channels.is_multiple_of(recipe.rows())
        {
            return Err(Error::input(format!(
                "the network takes {} rows of {} values, the settings prepare {} a channel of {} values by {recipe:?}",
                shape.channels,
                shape.length,
                recipe.rows(),
                settings.signal.row_len()
            )));
        }
        if self.classes.len() != shape.classes || self.domains.len() != shape.domains {
            return Err(Error::input(format!(
                "{} names for {} classes, {} for {} domains",
                self.classes.len(),
                shape.classes,
                self.domains.len(),
                shape.domains
            )));
        }
        if let Some(rate) = self.rate_hz.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(Error::input(format!("a sampling rate of {rate} Hz")));
        }
        for domain in &self.domains {
            let expected = match settings.signal.standardise {
                Standardise::None => None,
                _ if settings.signal.input == Input::Raw => Some(shape.channels),
                _ => shape.channels.checked_mul(shape.length),
            };
            let found = domain.standardiser.as_ref().map(|s| s.mean().len());
            if found != expected {
                return Err(Error::input(format!(
                    "statistics of `{}` for {} values, not {}",
                    domain.name,
                    found.unwrap_or(0),
                    expected.unwrap_or(0)
                )));
            }
        }
        Ok(())
    }

    /// Channels of a recording.
    pub fn recording_channels(&self) -> usize {
        self.shape.channels / self.representation.rows()
    }

    /// Number of the domain whose statistics serve: the one named, else the only target.
    ///
    /// # Errors
    /// A name the model does not know; no name and several targets. Both list the domains.
    pub fn statistics(&self, name: Option<&str>) -> Result<usize> {
        let list = || {
            let names: Vec<String> = self
                .domains
                .iter()
                .map(|d| {
                    format!(
                        "{} ({})",
                        d.name,
                        if d.role == Role::Source { "source" } else { "target" }
                    )
                })
                .collect();
            format!("domains of the model: {}", names.join(", "))
        };
        if let Some(name) = name {
            return self.domains.iter().position(|d| d.name == name).ok_or_else(|| {
                Error::input_with_hint(format!("--statistics: the model knows no domain `{name}`"), list())
            });
        }
        let targets: Vec<usize> = (0..self.domains.len())
            .filter(|&i| self.domains[i].role == Role::Target)
            .collect();
        match targets[..] {
            [only] => Ok(only),
            _ => Err(Error::input_with_hint(
                format!(
                    "the model has {} targets: say whose statistics to use with --statistics",
                    targets.len()
                ),
                list(),
            )),
        }
    }
}
