use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::{Band, EnvelopeKind, Error, Result, SlipRange};

/// Bands that the parameters can hold.
pub const MAX_BANDS: usize = 8;

/// Harmonics that the parameters can ask for.
const MAX_HARMONICS: u8 = 64;

/// How the defect-order representation is computed; every value of this type is valid.
///
/// The default is the reference of the project's page on physics: bands 500-1500, 1500-2500, 2500-3500,
/// 3500-4500, 4500-5900 Hz, log envelope, envelope spectrum up to 1500 Hz, background from the median over
/// +-15 Hz, clip at 4 nepers, slip -2 % to +1 %, 8 harmonics. It was settled on recordings at 12 kHz; a rate
/// below 11.8 kHz has no room for its last band.
///
/// ```
/// use signal_conditioning::{Band, DefectOrderParameters};
/// let parameters = DefectOrderParameters::default().with_bands(&[Band::new(1000.0, 3000.0)?])?.with_harmonics(5)?;
/// assert_eq!((parameters.bands().len(), parameters.harmonics()), (1, 5));
/// # Ok::<(), signal_conditioning::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct DefectOrderParameters {
    /// the first `band_count` of them; the rest repeats the first, so that equal parameters are equal
    bands: [Band; MAX_BANDS],
    band_count: u8,
    harmonics: u8,
    envelope: EnvelopeKind,
    slip: SlipRange,
    max_hz: f64,
    background_hz: f64,
    clip: f64,
}

// no value is NaN, so equality is total
impl Eq for DefectOrderParameters {}

impl Default for DefectOrderParameters {
    fn default() -> Self {
        Written {
            bands: [
                (500.0, 1500.0),
                (1500.0, 2500.0),
                (2500.0, 3500.0),
                (3500.0, 4500.0),
                (4500.0, 5900.0),
            ]
            .map(|(low, high)| Band::new(low, high).expect("edges are in order"))
            .to_vec(),
            envelope: EnvelopeKind::Log,
            max_hz: 1500.0,
            background_hz: 15.0,
            clip: 4.0,
            slip: SlipRange::default(),
            harmonics: 8,
        }
        .try_into()
        .expect("each default is in its range")
    }
}

impl DefectOrderParameters {
    /// Bands whose envelopes are averaged.
    pub fn bands(&self) -> &[Band] {
        &self.bands[..usize::from(self.band_count)]
    }

    /// What is made of each band's modulus.
    pub fn envelope(&self) -> EnvelopeKind {
        self.envelope
    }

    /// The envelope spectrum reaches from 0 to this frequency, Hz.
    pub fn max_hz(&self) -> f64 {
        self.max_hz
    }

    /// Half width of the running median that gives the background, Hz.
    pub fn background_hz(&self) -> f64 {
        self.background_hz
    }

    /// What a whitened value counts at most, nepers of power above the background.
    pub fn clip(&self) -> f64 {
        self.clip
    }

    /// Slips searched.
    pub fn slip(&self) -> SlipRange {
        self.slip
    }

    /// Harmonics averaged.
    pub fn harmonics(&self) -> usize {
        usize::from(self.harmonics)
    }

    /// With other bands: 1 to [`MAX_BANDS`].
    pub fn with_bands(self, bands: &[Band]) -> Result<Self> {
        Self::checked(Written {
            bands: bands.to_vec(),
            ..self.into()
        })
    }

    /// With another envelope.
    pub fn with_envelope(self, envelope: EnvelopeKind) -> Self {
        Self { envelope, ..self }
    }

    /// With an envelope spectrum up to another frequency, Hz: positive and finite.
    pub fn with_max_hz(self, max_hz: f64) -> Result<Self> {
        Self::checked(Written { max_hz, ..self.into() })
    }

    /// With another half width of the running median, Hz: positive and finite.
    pub fn with_background_hz(self, background_hz: f64) -> Result<Self> {
        Self::checked(Written {
            background_hz,
            ..self.into()
        })
    }

    /// With another clip, nepers of power: positive and finite.
    pub fn with_clip(self, clip: f64) -> Result<Self> {
        Self::checked(Written { clip, ..self.into() })
    }

    /// With other slips searched.
    pub fn with_slip(self, slip: SlipRange) -> Self {
        Self { slip, ..self }
    }

    /// With another number of harmonics: 1 to 64.
    pub fn with_harmonics(self, harmonics: u8) -> Result<Self> {
        Self::checked(Written {
            harmonics,
            ..self.into()
        })
    }

    fn checked(written: Written) -> Result<Self> {
        let Written {
            bands,
            envelope,
            max_hz,
            background_hz,
            clip,
            slip,
            harmonics,
        } = written;
        let wrong = |name, found: usize, most: usize| {
            Err(Error::Argument {
                name,
                found: found.to_string(),
                expected: format!("1 to {most}"),
            })
        };
        if bands.is_empty() || bands.len() > MAX_BANDS {
            return wrong("the number of bands", bands.len(), MAX_BANDS);
        }
        if !(1..=MAX_HARMONICS).contains(&harmonics) {
            return wrong("harmonics", usize::from(harmonics), usize::from(MAX_HARMONICS));
        }
        for (name, value) in [("max_hz", max_hz), ("background_hz", background_hz), ("clip", clip)] {
            positive(name, value)?;
        }
        let mut all = [bands[0]; MAX_BANDS];
        all[..bands.len()].copy_from_slice(&bands);
        Ok(Self {
            bands: all,
            band_count: bands.len() as u8,
            harmonics,
            envelope,
            slip,
            max_hz,
            background_hz,
            clip,
        })
    }
}

/// The parameters as they stand in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bands: Vec<Band>,
    envelope: EnvelopeKind,
    max_hz: f64,
    background_hz: f64,
    clip: f64,
    slip: SlipRange,
    harmonics: u8,
}

impl TryFrom<Written> for DefectOrderParameters {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Self::checked(written)
    }
}

impl From<DefectOrderParameters> for Written {
    fn from(p: DefectOrderParameters) -> Self {
        Self {
            bands: p.bands().to_vec(),
            envelope: p.envelope,
            max_hz: p.max_hz,
            background_hz: p.background_hz,
            clip: p.clip,
            slip: p.slip,
            harmonics: p.harmonics,
        }
    }
}
