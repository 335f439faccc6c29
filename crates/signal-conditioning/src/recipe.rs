use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::all_finite;
use crate::{Error, Geometry, Result, ScaleBy, log_spectrum, scale, spectrum};

/// What is known about the recording that a window was cut from; `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Meta {
    /// sampling rate, Hz
    pub rate_hz: Option<f64>,
    /// turns of the shaft a second, Hz
    pub shaft_hz: Option<f64>,
    /// the bearing's defect orders
    pub geometry: Option<Geometry>,
}

/// How a window becomes the numbers that a model sees; it is stored in the model, so that use repeats training.
///
/// Its serialised form is versioned and stays readable: `{"version":1,"kind":"log-spectrum","scale":null}`,
/// `kind` one of `raw`, `spectrum`, `log-spectrum`, `scale` null or a [`ScaleBy`]. Another version, another
/// kind or an unknown key is an error that says so.
///
/// `scale` is applied to each window before anything else. Scaling by the whole recording is done before
/// windows are cut, and standardising by training statistics after ([`Standardiser`](crate::Standardiser)):
/// neither is part of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub enum Recipe {
    /// The samples themselves.
    Raw {
        /// scaling of each window
        scale: Option<ScaleBy>,
    },
    /// [`spectrum`] of the window.
    Spectrum {
        /// scaling of each window
        scale: Option<ScaleBy>,
    },
    /// [`log_spectrum`] of the window.
    LogSpectrum {
        /// scaling of each window
        scale: Option<ScaleBy>,
    },
}

const VERSION: u64 = 1;
const KINDS: &str = "raw, spectrum, log-spectrum";

impl Recipe {
    /// The recipe of a kind's name, as [`kind`](Self::kind) gives it; another name is an error that lists them.
    pub fn from_kind(kind: &str, scale: Option<ScaleBy>) -> Result<Self> {
        match kind {
            "raw" => Ok(Self::Raw { scale }),
            "spectrum" => Ok(Self::Spectrum { scale }),
            "log-spectrum" => Ok(Self::LogSpectrum { scale }),
            _ => Err(Error::UnknownName {
                what: "representation",
                found: kind.to_owned(),
                expected: KINDS,
            }),
        }
    }

    /// The kind's name: `raw`, `spectrum` or `log-spectrum`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Raw { .. } => "raw",
            Self::Spectrum { .. } => "spectrum",
            Self::LogSpectrum { .. } => "log-spectrum",
        }
    }

    /// The scaling of each window, if any.
    pub fn scale(&self) -> Option<ScaleBy> {
        match *self {
            Self::Raw { scale } | Self::Spectrum { scale } | Self::LogSpectrum { scale } => scale,
        }
    }

    /// How many values [`represent`] gives for a window of `window_length` samples.
    pub fn output_len(&self, window_length: usize) -> usize {
        match self {
            Self::Raw { .. } => window_length,
            Self::Spectrum { .. } | Self::LogSpectrum { .. } => window_length / 2,
        }
    }
}

/// The representation of one window of one channel: [`Recipe::output_len`] values.
///
/// A pure function of its arguments. The kinds so far need nothing from `meta`; a kind that does will return
/// an error where what it needs is unknown. A sample that is not finite, an empty window, or a spectrum of a
/// single sample are errors.
pub fn represent(recipe: &Recipe, window: &[f64], _meta: &Meta) -> Result<Vec<f64>> {
    let needed = match recipe {
        Recipe::Raw { .. } => 1,
        Recipe::Spectrum { .. } | Recipe::LogSpectrum { .. } => 2,
    };
    if window.len() < needed {
        return Err(Error::WindowTooShort {
            found: window.len(),
            needed,
            kind: recipe.kind(),
        });
    }
    all_finite(window)?;
    let mut samples = window.to_vec();
    if let Some(by) = recipe.scale() {
        scale(&mut samples, by);
    }
    Ok(match recipe {
        Recipe::Raw { .. } => samples,
        Recipe::Spectrum { .. } => spectrum(&samples),
        Recipe::LogSpectrum { .. } => log_spectrum(&samples),
    })
}

/// A recipe as it stands in a file. Keys and scalings that are not known are taken in first, so that a newer
/// file is refused for its version and not for the first thing in it that is new.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    kind: String,
    #[serde(default)]
    scale: Option<StoredScale>,
    #[serde(flatten, skip_serializing)]
    #[expect(clippy::zero_sized_map_values, reason = "a set cannot be flattened")]
    unknown: BTreeMap<String, IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredScale {
    Known(ScaleBy),
    #[serde(skip_serializing)]
    Unknown(IgnoredAny),
}

impl From<Recipe> for Stored {
    fn from(recipe: Recipe) -> Self {
        let scale = recipe.scale().map(StoredScale::Known);
        Self {
            version: VERSION,
            kind: recipe.kind().to_owned(),
            scale,
            unknown: BTreeMap::new(),
        }
    }
}

impl TryFrom<Stored> for Recipe {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        if stored.version != VERSION {
            return Err(Error::RecipeVersion {
                found: stored.version,
                known: VERSION,
            });
        }
        if let Some(key) = stored.unknown.keys().next() {
            let reason = format!("unknown key \"{key}\": expected version, kind, scale");
            return Err(Error::Stored { what: "recipe", reason });
        }
        let scale = match stored.scale {
            None => None,
            Some(StoredScale::Known(by)) => Some(by),
            Some(StoredScale::Unknown(_)) => {
                let reason = "unknown scale: expected null, mean-std, min-max or robust".to_owned();
                return Err(Error::Stored { what: "recipe", reason });
            }
        };
        Self::from_kind(&stored.kind, scale)
    }
}
