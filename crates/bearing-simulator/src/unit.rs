use std::fmt;
use std::str::FromStr;

use crate::constants::{
    BACKGROUND_SPREAD, CAGE_SLIP, HARMONICS, MODE_GAIN_SPREAD, MODE_HZ_SPREAD, MODES, PIT_ANGLE_DEG, SEVERITY_SPREAD,
    WIDTHS_MM,
};
use crate::error::in_range;
use crate::random::{Key, Purpose};
use crate::{Error, Machine, Result, synthesis};

/// Where a bearing is damaged. Written `none`, `inner`, `ball`, `outer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// Nowhere: a healthy bearing.
    None,
    /// A pit on the inner race, which turns with the shaft.
    Inner,
    /// A pit on a ball, which strikes both races in every turn of the ball.
    Ball,
    /// A pit on the outer race, which stands still.
    Outer,
}

impl Defect {
    /// All four.
    pub const ALL: [Self; 4] = [Self::None, Self::Inner, Self::Ball, Self::Outer];
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Inner => "inner",
            Self::Ball => "ball",
            Self::Outer => "outer",
        })
    }
}

impl FromStr for Defect {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|defect| defect.to_string() == name);
        found.ok_or_else(|| Error::UnknownDefect { found: name.to_owned() })
    }
}

/// One physical bearing in its seat: what makes it differ from the next one of the same make.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// where it is damaged
    pub defect: Defect,
    /// width of the pit in the direction of rolling, mm; without effect on a healthy bearing
    pub width_mm: f64,
    /// how much faster (or, below 0, slower) than without slip the cage turns, as a share
    pub cage_slip: f64,
    /// strength of impacts relative to other bearings with a pit of the same width
    pub severity: f64,
    /// how loud the background is relative to other units
    pub background: f64,
    /// place of a pit on the outer race, radians from the middle of the load zone
    pub(crate) pit_angle: f64,
    /// place of a pit on the inner race, or of the damaged ball, when the recording begins
    pub(crate) start_angle: f64,
    /// factors on frequency and gain of each mode
    pub(crate) modes: [(f64, f64); MODES],
    /// relative amplitude and phase of each shaft harmonic
    pub(crate) harmonics: [(f64, f64); HARMONICS],
    pub(crate) key: Key,
}

impl Unit {
    /// The bearing with this number: a pure function of (seed, whose units the machine has, defect, number).
    pub fn draw(machine: &Machine, defect: Defect, unit: u64, seed: u64) -> Self {
        let key = Key::new(seed, machine.stream, defect as u64, unit);
        let mut random = key.stream(Purpose::Unit);
        let (narrow, wide) = WIDTHS_MM;
        let pit_angle = PIT_ANGLE_DEG.to_radians();
        Self {
            defect,
            width_mm: random.uniform(narrow, wide),
            cage_slip: random.uniform(-CAGE_SLIP, CAGE_SLIP),
            severity: random.log_normal(SEVERITY_SPREAD),
            background: random.log_normal(BACKGROUND_SPREAD),
            pit_angle: random.uniform(-pit_angle, pit_angle),
            start_angle: random.angle(),
            modes: std::array::from_fn(|_| (random.log_normal(MODE_HZ_SPREAD), random.log_normal(MODE_GAIN_SPREAD))),
            harmonics: std::array::from_fn(|_| (random.log_normal(1.0), random.angle())),
            key,
        }
    }

    /// Mean number of impacts a second on this machine, slip included, Hz; `None` for a healthy bearing.
    ///
    /// A cage that turns faster passes the outer race more and the inner race less often (their sum stays the
    /// number of balls), and turns its balls faster.
    pub fn impact_hz(&self, machine: &Machine) -> Option<f64> {
        let orders = machine.geometry;
        let order = match self.defect {
            Defect::None => return None,
            Defect::Inner => orders.bpfi - orders.bpfo * self.cage_slip,
            Defect::Ball => 2.0 * orders.bsf * (1.0 + self.cage_slip),
            Defect::Outer => orders.bpfo * (1.0 + self.cage_slip),
        };
        Some(order * machine.shaft_hz())
    }

    /// A recording of this bearing on a machine: acceleration in g, [`Machine::rate_hz`] samples a second.
    ///
    /// A duration that is not positive or above one hour (3600 s), and a field of the unit set to a value
    /// that it cannot have, are errors.
    pub fn record(&self, machine: &Machine, seconds: f64) -> Result<Vec<f64>> {
        in_range("the duration in seconds", seconds, f64::MIN_POSITIVE, 3600.0)?;
        in_range("the width of the pit in mm", self.width_mm, 0.0, 10.0)?;
        in_range("the cage's slip", self.cage_slip, -0.1, 0.1)?;
        in_range("the severity", self.severity, 0.0, 1e3)?;
        in_range("the unit's background", self.background, 0.0, 1e3)?;
        Ok(synthesis::record(
            self,
            machine,
            (seconds * machine.rate_hz()).round() as usize,
        ))
    }
}
