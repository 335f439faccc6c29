use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::{Band, Error, Geometry, Result};

/// What is damaged on a bearing, by the order at which it is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DefectFamily {
    /// A pit on the inner race: ball pass order, inner race.
    #[serde(rename = "BPFI")]
    InnerRace,
    /// A pit on the outer race: ball pass order, outer race.
    #[serde(rename = "BPFO")]
    OuterRace,
    /// A pit on a ball, which strikes both races in each of its turns: twice the ball spin order.
    #[serde(rename = "2BSF")]
    RollingElement,
}

impl DefectFamily {
    /// All three, in the order in which scores and maps list them.
    pub const ALL: [Self; 3] = [Self::InnerRace, Self::OuterRace, Self::RollingElement];

    /// `BPFI`, `BPFO` or `2BSF`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InnerRace => "BPFI",
            Self::OuterRace => "BPFO",
            Self::RollingElement => "2BSF",
        }
    }

    /// `inner race`, `outer race` or `rolling element`.
    pub fn part(self) -> &'static str {
        match self {
            Self::InnerRace => "inner race",
            Self::OuterRace => "outer race",
            Self::RollingElement => "rolling element",
        }
    }

    /// Position in [`ALL`](Self::ALL).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::InnerRace => 0,
            Self::OuterRace => 1,
            Self::RollingElement => 2,
        }
    }

    /// Impacts for each turn of the shaft, without slip.
    pub fn order(self, geometry: &Geometry) -> f64 {
        match self {
            Self::InnerRace => geometry.bpfi,
            Self::OuterRace => geometry.bpfo,
            Self::RollingElement => geometry.ball_impact(),
        }
    }
}

impl Geometry {
    /// Impacts of a pit on a ball for each turn of the shaft: twice the spin order, since the pit meets the
    /// inner and the outer race once in each turn of the ball.
    ///
    /// Source: W. A. Smith, R. B. Randall, Mech. Syst. Signal Process. 64-65 (2015), section 2.
    pub fn ball_impact(&self) -> f64 {
        2.0 * self.bsf
    }

    /// The frequencies in Hz of a family at a shaft speed (turns a second), for every slip of a range: lowest
    /// to highest. A speed that is not positive and finite is an error.
    ///
    /// ```
    /// use signal_conditioning::{DefectFamily, Geometry, SlipRange};
    /// let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0)?; // 6205
    /// let band = geometry.frequencies(DefectFamily::OuterRace, 1797.0 / 60.0, SlipRange::default())?;
    /// assert!((band.low_hz() - 105.2).abs() < 0.1 && (band.high_hz() - 108.4).abs() < 0.1);
    /// # Ok::<(), signal_conditioning::Error>(())
    /// ```
    pub fn frequencies(&self, family: DefectFamily, shaft_hz: f64, slip: SlipRange) -> Result<Band> {
        positive("shaft_hz", shaft_hz)?;
        let nominal = family.order(self) * shaft_hz;
        let (low, high) = (1.0 + slip.low(), 1.0 + slip.high());
        // a range of one slip still needs a band that holds it
        Band::new(nominal * low, (nominal * high).next_up())
    }
}

/// How far a defect order may lie from its kinematic value: from `low` to `high`, in steps of 0.1 %.
///
/// Balls do not only roll; cage and contact angle follow the load, so that orders differ from the formulas by
/// 1 to 2 % (Randall and Antoni 2011, section 2). Dimensions are nominal too. The default, -2.0 % to +1.0 %, is what the reference
/// measurements use. Written in files as two whole numbers of per mille: `[-20, 10]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[i16; 2]", into = "[i16; 2]")]
pub struct SlipRange {
    low: i16,
    high: i16,
}

/// per mille; beyond it the families' harmonics meet each other's
const LARGEST_SLIP: i16 = 100;

impl Default for SlipRange {
    fn default() -> Self {
        Self { low: -20, high: 10 }
    }
}

impl SlipRange {
    /// From the lowest to the highest slip in per mille, both between -100 and 100; the lowest may be the highest.
    pub fn new(low_permille: i16, high_permille: i16) -> Result<Self> {
        if low_permille <= high_permille && low_permille >= -LARGEST_SLIP && high_permille <= LARGEST_SLIP {
            return Ok(Self {
                low: low_permille,
                high: high_permille,
            });
        }
        Err(Error::Argument {
            name: "slip, per mille,",
            found: format!("[{low_permille}, {high_permille}]"),
            expected: format!("two numbers in order, between -{LARGEST_SLIP} and {LARGEST_SLIP}"),
        })
    }

    /// The lowest slip, as a fraction.
    pub fn low(self) -> f64 {
        f64::from(self.low) / 1000.0
    }

    /// The highest slip, as a fraction.
    pub fn high(self) -> f64 {
        f64::from(self.high) / 1000.0
    }

    /// Every slip of the range, as fractions, in steps of 0.001.
    pub fn steps(self) -> impl ExactSizeIterator<Item = f64> {
        // no `RangeInclusive<i16>`: its length does not fit
        let count = (self.high - self.low) as usize + 1;
        (0..count).map(move |i| f64::from(self.low + i as i16) / 1000.0)
    }
}

impl TryFrom<[i16; 2]> for SlipRange {
    type Error = Error;

    fn try_from([low, high]: [i16; 2]) -> Result<Self> {
        Self::new(low, high)
    }
}

impl From<SlipRange> for [i16; 2] {
    fn from(range: SlipRange) -> Self {
        [range.low, range.high]
    }
}
