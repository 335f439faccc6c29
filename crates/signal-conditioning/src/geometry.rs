use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The defect orders of a rolling bearing: how often each part is struck or turns in one turn of the shaft.
///
/// An order times the shaft's frequency is a frequency in Hz. All four are positive. The outer race stands
/// still, the inner race turns with the shaft, and nothing slips; real bearings slip by up to about 2 %.
///
/// In a file it is written either as the four factors or as dimensions, never as both:
///
/// ```
/// # use signal_conditioning::Geometry;
/// let by_size: Geometry = serde_json::from_str(
///     r#"{"balls": 9, "ball_diameter": 0.3126, "pitch_diameter": 1.537, "contact_angle_deg": 0}"#,
/// )?;
/// let by_factor: Geometry = serde_json::from_str(r#"{"bpfi": 5.4152, "bpfo": 3.5848, "bsf": 2.3567, "ftf": 0.39828}"#)?;
/// assert!((by_size.bpfo - by_factor.bpfo).abs() < 1e-4);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Geometry {
    /// ball pass order, inner race: impacts a turn from one pit on the inner race
    pub bpfi: f64,
    /// ball pass order, outer race: impacts a turn from one pit on the outer race
    pub bpfo: f64,
    /// ball spin order: turns of a ball about itself for each turn of the shaft; a pit on a ball strikes a
    /// race twice as often
    pub bsf: f64,
    /// fundamental train order: turns of the cage for each turn of the shaft
    pub ftf: f64,
}

impl Geometry {
    /// Defect orders from the dimensions of a bearing whose outer race stands still.
    ///
    /// `n` balls of diameter `d` on a pitch circle of diameter `D` (any unit, the same for both), contact
    /// angle `a` in degrees; with `g = (d / D) cos a`: BPFI = n/2 (1 + g), BPFO = n/2 (1 - g), BSF = D/(2d)
    /// (1 - g^2), FTF = (1 - g)/2.
    ///
    /// Source: R. B. Randall, J. Antoni, "Rolling element bearing diagnostics - a tutorial", Mech. Syst.
    /// Signal Process. 25 (2011), equations 1 to 4, divided by the shaft's frequency. There the spin
    /// frequency is written for the same ball and pitch diameters.
    ///
    /// Errors: no balls; a diameter that is not positive and finite; a ball as large as the pitch circle;
    /// balls that overlap on it (`n d > pi D`); an angle outside 0 to 90 degrees (90 excluded).
    pub fn from_dimensions(
        balls: u32,
        ball_diameter: f64,
        pitch_diameter: f64,
        contact_angle_deg: f64,
    ) -> Result<Self> {
        let wrong = |reason: String| Err(Error::Geometry { reason });
        if balls == 0 {
            return wrong("0 balls: expected at least 1".to_owned());
        }
        for (name, value) in [("ball_diameter", ball_diameter), ("pitch_diameter", pitch_diameter)] {
            if !(value.is_finite() && value > 0.0) {
                return wrong(format!("{name} is {value}: expected a positive number"));
            }
        }
        let n = f64::from(balls);
        if ball_diameter >= pitch_diameter || n * ball_diameter > std::f64::consts::PI * pitch_diameter {
            return wrong(format!(
                "{balls} balls of diameter {ball_diameter} do not fit on a pitch circle of diameter {pitch_diameter}: \
                 check that both are in the same unit"
            ));
        }
        if !(0.0..90.0).contains(&contact_angle_deg) {
            return wrong(format!(
                "contact_angle_deg is {contact_angle_deg}: expected 0 to below 90"
            ));
        }
        let g = ball_diameter / pitch_diameter * contact_angle_deg.to_radians().cos();
        Ok(Self {
            bpfi: n / 2.0 * (1.0 + g),
            bpfo: n / 2.0 * (1.0 - g),
            bsf: pitch_diameter / (2.0 * ball_diameter) * (1.0 - g * g),
            ftf: (1.0 - g) / 2.0,
        })
    }

    /// Defect orders as a data sheet gives them. `bsf` is the ball's spin; a sheet that lists the rate at
    /// which a ball's pit strikes lists twice that. A factor that is not positive and finite is an error.
    pub fn from_factors(bpfi: f64, bpfo: f64, bsf: f64, ftf: f64) -> Result<Self> {
        for (name, value) in [("bpfi", bpfi), ("bpfo", bpfo), ("bsf", bsf), ("ftf", ftf)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::Geometry {
                    reason: format!("{name} is {value}: expected a positive number"),
                });
            }
        }
        Ok(Self { bpfi, bpfo, bsf, ftf })
    }
}

/// Both forms of a geometry as they may stand in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    balls: Option<u32>,
    ball_diameter: Option<f64>,
    pitch_diameter: Option<f64>,
    contact_angle_deg: Option<f64>,
    bpfi: Option<f64>,
    bpfo: Option<f64>,
    bsf: Option<f64>,
    ftf: Option<f64>,
}

impl TryFrom<Written> for Geometry {
    type Error = Error;

    fn try_from(w: Written) -> Result<Self> {
        let dimensions = (w.balls, w.ball_diameter, w.pitch_diameter, w.contact_angle_deg);
        let factors = (w.bpfi, w.bpfo, w.bsf, w.ftf);
        match (dimensions, factors) {
            ((Some(balls), Some(ball), Some(pitch), angle), (None, None, None, None)) => {
                Self::from_dimensions(balls, ball, pitch, angle.unwrap_or(0.0))
            }
            ((None, None, None, None), (Some(bpfi), Some(bpfo), Some(bsf), Some(ftf))) => {
                Self::from_factors(bpfi, bpfo, bsf, ftf)
            }
            _ => Err(Error::Geometry {
                reason: "expected either balls, ball_diameter, pitch_diameter (and contact_angle_deg, 0 if absent) \
                         or all of bpfi, bpfo, bsf, ftf"
                    .to_owned(),
            }),
        }
    }
}
