use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::defect_orders::{ENVELOPE_CELLS, ORDER_CELLS, PROFILE_SLIPS, envelope_cells, order_cells, slip_profiles};
use crate::error::all_finite;
use crate::{DefectFamily, DefectOrderParameters, Error, Geometry, Result, ScaleBy, log_spectrum, scale, spectrum};

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
/// `kind` one of `raw`, `spectrum`, `log-spectrum`, `envelope-spectrum`, `orders`, `defect-orders`, `scale` null or a
/// [`ScaleBy`]. Another version, another kind or an unknown key is an error that says so.
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
    /// The whitened spectrum of the log envelope, mean over five bands from 0.5 to 5.9 kHz, in cells of 1 Hz from 1 to 1500 Hz:
    /// nepers of power above the background, 0 to 4. Needs the sampling rate, at least 11.8 kHz. See
    /// [`DefectOrderAnalyser::envelope_spectrum`](crate::DefectOrderAnalyser::envelope_spectrum).
    EnvelopeSpectrum {
        /// scaling of each window; the representation is free of units, so it changes nothing but rounding
        scale: Option<ScaleBy>,
    },
    /// The same along orders of the shaft, 1/16 to 32 in cells of 1/16: lines of the shaft stay in their cells at any
    /// speed. Needs the shaft speed too. Orders beyond 1500 Hz are 0.
    Orders {
        /// scaling of each window; changes nothing but rounding
        scale: Option<ScaleBy>,
    },
    /// The slip profiles of the bearing's defect orders, three families by five bands as rows of
    /// [`PROFILE_SLIPS`](crate::PROFILE_SLIPS) slips: lines of the same defect stay in their place on any bearing at any speed.
    /// Needs the geometry too. See [`DefectOrders::slip_profiles`](crate::DefectOrders::slip_profiles).
    DefectOrders {
        /// scaling of each window; changes nothing but rounding
        scale: Option<ScaleBy>,
    },
}

/// What a representation must know of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// the sampling rate
    pub rate: bool,
    /// the shaft speed
    pub shaft_speed: bool,
    /// the bearing's geometry
    pub geometry: bool,
}

const VERSION: u64 = 1;
const KINDS: &str = "raw, spectrum, log-spectrum, envelope-spectrum, orders, defect-orders";

impl Recipe {
    /// The recipe of a kind's name, as [`kind`](Self::kind) gives it; another name is an error that lists them.
    pub fn from_kind(kind: &str, scale: Option<ScaleBy>) -> Result<Self> {
        match kind {
            "raw" => Ok(Self::Raw { scale }),
            "spectrum" => Ok(Self::Spectrum { scale }),
            "log-spectrum" => Ok(Self::LogSpectrum { scale }),
            "envelope-spectrum" => Ok(Self::EnvelopeSpectrum { scale }),
            "orders" => Ok(Self::Orders { scale }),
            "defect-orders" => Ok(Self::DefectOrders { scale }),
            _ => Err(Error::UnknownName {
                what: "representation",
                found: kind.to_owned(),
                expected: KINDS,
            }),
        }
    }

    /// The kind's name, as it stands in a file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Raw { .. } => "raw",
            Self::Spectrum { .. } => "spectrum",
            Self::LogSpectrum { .. } => "log-spectrum",
            Self::EnvelopeSpectrum { .. } => "envelope-spectrum",
            Self::Orders { .. } => "orders",
            Self::DefectOrders { .. } => "defect-orders",
        }
    }

    /// The scaling of each window, if any.
    pub fn scale(&self) -> Option<ScaleBy> {
        match *self {
            Self::Raw { scale }
            | Self::Spectrum { scale }
            | Self::LogSpectrum { scale }
            | Self::EnvelopeSpectrum { scale }
            | Self::Orders { scale }
            | Self::DefectOrders { scale } => scale,
        }
    }

    /// What must be known of the recording.
    pub fn needs(&self) -> Needs {
        let at_least_rate = Needs {
            rate: true,
            ..Needs::default()
        };
        match self {
            Self::Raw { .. } | Self::Spectrum { .. } | Self::LogSpectrum { .. } => Needs::default(),
            Self::EnvelopeSpectrum { .. } => at_least_rate,
            Self::Orders { .. } => Needs {
                shaft_speed: true,
                ..at_least_rate
            },
            Self::DefectOrders { .. } => Needs {
                shaft_speed: true,
                geometry: true,
                ..at_least_rate
            },
        }
    }

    /// Rows of the representation of one channel: the channels that a network sees for it. Families by bands for defect orders
    /// (BPFI in all bands, then BPFO, then 2BSF), 1 for the others.
    pub fn rows(&self) -> usize {
        match self {
            Self::DefectOrders { .. } => DefectFamily::ALL.len() * DefectOrderParameters::default().bands().len(),
            _ => 1,
        }
    }

    /// Values of each row for a window of `window_length` samples.
    pub fn row_len(&self, window_length: usize) -> usize {
        match self {
            Self::Raw { .. } => window_length,
            Self::Spectrum { .. } | Self::LogSpectrum { .. } => window_length / 2,
            Self::EnvelopeSpectrum { .. } => ENVELOPE_CELLS,
            Self::Orders { .. } => ORDER_CELLS,
            Self::DefectOrders { .. } => PROFILE_SLIPS,
        }
    }

    /// How many values [`represent`] gives for a window of `window_length` samples: all rows, one after the other.
    pub fn output_len(&self, window_length: usize) -> usize {
        self.rows() * self.row_len(window_length)
    }
}

/// The representation of one window of one channel: [`Recipe::output_len`] values.
///
/// A pure function of its arguments. A sample that is not finite, an empty window, a spectrum of a single sample, or
/// something in `meta` that is unknown and [needed](Recipe::needs) are errors; so is what
/// [`DefectOrderAnalyser`](crate::DefectOrderAnalyser) refuses (a rate too low, a window too short or without variation, a
/// shaft too slow or too fast).
pub fn represent(recipe: &Recipe, window: &[f64], meta: &Meta) -> Result<Vec<f64>> {
    let needed = match recipe {
        Recipe::Raw { .. } => 1,
        _ => 2,
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
    let unknown = |what| Error::Unknown {
        what,
        kind: recipe.kind(),
    };
    let rate_hz = || meta.rate_hz.ok_or_else(|| unknown("the sampling rate"));
    let shaft_hz = || meta.shaft_hz.ok_or_else(|| unknown("the shaft speed"));
    match recipe {
        Recipe::Raw { .. } => Ok(samples),
        Recipe::Spectrum { .. } => Ok(spectrum(&samples)),
        Recipe::LogSpectrum { .. } => Ok(log_spectrum(&samples)),
        Recipe::EnvelopeSpectrum { .. } => envelope_cells(&samples, rate_hz()?),
        Recipe::Orders { .. } => order_cells(&samples, rate_hz()?, shaft_hz()?),
        Recipe::DefectOrders { .. } => {
            let geometry = meta.geometry.ok_or_else(|| unknown("the bearing"))?;
            slip_profiles(&samples, rate_hz()?, shaft_hz()?, &geometry)
        }
    }
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
