use crate::{Error, Geometry, Result};

/// A bearing of a published data set: its dimensions and where they stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bearing {
    /// the name it is found by, of the basic type
    pub name: &'static str,
    /// maker and full designation
    pub designation: &'static str,
    /// balls or rollers
    pub balls: u32,
    /// diameter of a ball, inches
    pub ball_diameter_in: f64,
    /// diameter of the circle on which the balls' centres run, inches
    pub pitch_diameter_in: f64,
    /// contact angle, degrees
    pub contact_angle_deg: f64,
    /// the factors that the source prints, in its rounding
    pub printed: Printed,
    /// where the dimensions and factors stand
    pub source: &'static str,
}

/// Factors as a source prints them: multiples of the shaft's frequency, to be compared with the computed ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Printed {
    /// ball pass order, inner race
    pub bpfi: f64,
    /// ball pass order, outer race
    pub bpfo: f64,
    /// fundamental train order (cage)
    pub ftf: f64,
    /// impacts of a pit on a ball or roller: twice the spin order
    pub ball_impact: f64,
}

impl Bearing {
    /// The defect orders, computed from the dimensions ([`Geometry::from_dimensions`]): the printed factors are rounded.
    /// Dimensions that cannot be, as in a bearing that is not of the table, are an error.
    pub fn geometry(&self) -> Result<Geometry> {
        let (ball, pitch) = (self.ball_diameter_in, self.pitch_diameter_in);
        Geometry::from_dimensions(self.balls, ball, pitch, self.contact_angle_deg)
    }

    /// The bearing of a name, in any case; an error that lists the names otherwise.
    ///
    /// ```
    /// use signal_conditioning::Bearing;
    /// let geometry = Bearing::named("6205")?.geometry()?;
    /// assert!((geometry.bpfo - 3.5848).abs() < 1e-4);
    /// # Ok::<(), signal_conditioning::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = BEARINGS.iter().find(|bearing| bearing.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::UnknownName {
            what: "bearing",
            found: name.to_owned(),
            expected: "6205, 6203, NICE (others are given by their dimensions or factors)",
        })
    }
}

/// Bearings whose dimensions a public source states. Makers' bearings of one designation differ in balls and pitch: for a
/// bearing that is not here, take the maker's figures.
///
/// The dimensions of the first two are as widely reproduced from the data centre's page. NICE: the factors that its
/// data files give in Hz, over the shaft's 25 Hz. The files print the spin, half the impacts, and as FTF 0.5935, the cage
/// against the inner race, (1 + g)/2; the cage against the outer race, as everywhere here, is 1 less that.
pub const BEARINGS: [Bearing; 3] = [
    Bearing {
        name: "6205",
        designation: "SKF 6205-2RS JEM, deep groove ball bearing",
        balls: 9,
        ball_diameter_in: 0.3126,
        pitch_diameter_in: 1.537,
        contact_angle_deg: 0.0,
        printed: Printed {
            bpfi: 5.4152,
            bpfo: 3.5848,
            ftf: 0.39828,
            ball_impact: 4.7135,
        },
        source: "Case Western Reserve University, Bearing Data Center, \"Bearing Information\" (drive end)",
    },
    Bearing {
        name: "6203",
        designation: "SKF 6203-2RS JEM, deep groove ball bearing",
        balls: 8,
        ball_diameter_in: 0.2656,
        pitch_diameter_in: 1.122,
        contact_angle_deg: 0.0,
        printed: Printed {
            bpfi: 4.9469,
            bpfo: 3.0530,
            ftf: 0.3817,
            ball_impact: 3.9874,
        },
        source: "Case Western Reserve University, Bearing Data Center, \"Bearing Information\" (fan end)",
    },
    Bearing {
        name: "NICE",
        designation: "NICE bearing of the MFPT test rig",
        balls: 8,
        ball_diameter_in: 0.235,
        pitch_diameter_in: 1.245,
        contact_angle_deg: 0.0,
        printed: Printed {
            bpfi: 118.875 / 25.0,
            bpfo: 81.125 / 25.0,
            ftf: 1.0 - 14.8375 / 25.0,
            ball_impact: 2.0 * 63.91 / 25.0,
        },
        source: "E. Bechhoefer, bearing fault data of the Society for Machinery Failure Prevention Technology",
    },
];
