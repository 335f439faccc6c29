//! Every number of the two machines and of the scatter between bearings, with its source.
//!
//! Sources, by the names used below:
//!
//! - *CWRU*: recordings of the Case Western Reserve University Bearing Data Center (drive end: SKF 6205-2RS,
//!   sensor DE; fan end: SKF 6203-2RS, sensor FE; 12 kHz), described in W. A. Smith, R. B. Randall, "Rolling
//!   element bearing diagnostics using the Case Western Reserve University data: A benchmark study", Mech.
//!   Syst. Signal Process. 64-65 (2015). Levels are standard deviations and kurtoses of whole recordings at 0
//!   and 3 hp; modes are poles of an autoregressive model of order 36 fitted to each recording at 0 hp, and
//!   their damping ratios.
//! - *MFPT*: recordings of the Society for Machinery Failure Prevention Technology, shaft 25 Hz.
//! - *Randall and Antoni*: "Rolling element bearing diagnostics - a tutorial", Mech. Syst. Signal Process. 25
//!   (2011).
//! - *McFadden and Smith*: J. Sound Vib. 96 (1984), after Stribeck and Harris for the distribution of load.
//!
//! The numbers were fixed from these sources before any network was trained on the result, and are not tuned
//! to any method.

use crate::Geometry;
use crate::machine::{Machine, Mode};

/// Samples a second of both machines, Hz (CWRU).
pub(crate) const RATE_HZ: f64 = 12_000.0;

/// Modes of a structure.
pub(crate) const MODES: usize = 5;

/// Shaft harmonics, from the first on. A healthy motor (CWRU 97) shows lines up to the 13th; the first eight
/// carry most of it.
pub(crate) const HARMONICS: usize = 8;

/// Machine A: drive end of a 2 hp motor.
///
/// - bearing: SKF 6205-2RS, 9 balls of 0.3126 in on 1.537 in (CWRU);
/// - speed: 1797 rpm without load, 1730 rpm at 3 hp (CWRU), here at half load;
/// - modes: drive-end poles gather at 620 to 670 (damping ratio 0.04 to 0.06), 1440 (0.01 to 0.05), 2600 to
///   2900 (0.02 to 0.04), 3340 to 3600 (0.01 to 0.03) and 4150 to 4260 Hz (0.01 to 0.03). Spectra of faulty
///   bearings peak at the third and fourth, the others are lower by 5 to 15 dB;
/// - clearance: a little; the load factor is 0.5 without any, a load zone of half the circle (McFadden and
///   Smith), here 0.45;
/// - levels: a healthy recording has 0.071 g in all, of which about 0.03 g is the flat floor of its spectrum;
/// - impacts: `impact_g`, with the paths below, gives units whose median levels are 0.64 g (outer race), 0.30
///   g (inner race) and 0.16 g (ball); those of CWRU's drive end are 0.57, 0.30 and 0.14 g.
pub(crate) fn machine_a() -> Machine {
    Machine {
        name: "A",
        stream: 0,
        geometry: geometry(9, 0.3126, 1.537),
        no_load_hz: 1797.0 / 60.0,
        droop: DROOP,
        load: 0.5,
        load_factor: 0.45,
        modes: [
            Mode {
                hz: 650.0,
                damping: 0.05,
                gain: 0.25,
            },
            Mode {
                hz: 1440.0,
                damping: 0.02,
                gain: 0.4,
            },
            Mode {
                hz: 2700.0,
                damping: 0.027,
                gain: 1.0,
            },
            Mode {
                hz: 3400.0,
                damping: 0.018,
                gain: 0.9,
            },
            Mode {
                hz: 4200.0,
                damping: 0.02,
                gain: 0.35,
            },
        ],
        impact_g: 1.5,
        background_g: 0.05,
        harmonics_g: 0.04,
        sensor_gain: 1.0,
        sensor_corner_hz: 10_000.0,
        sensor_noise_g: 0.03,
    }
}

/// Machine B: another, slower motor with a smaller bearing.
///
/// - bearing: SKF 6203-2RS, 8 balls of 0.2656 in on 1.122 in (CWRU, fan end);
/// - speed: 25 Hz at full load (MFPT), the same droop as A;
/// - modes: fan-end poles gather at 810 to 990 (0.04 to 0.05), 1060 to 1200 (0.02 to 0.03), 1740 to 1800
///   (0.02 to 0.04), 2550 to 2590 (0.004 to 0.02) and 3760 to 3940 Hz (0.01 to 0.03). Left out are those near
///   3350 and 4130 Hz, which the drive end of the same motor has as well: B is to be another machine. Gains
///   differ by up to 15 dB from file to file; here the middle ones lead;
/// - clearance: more of it, a load zone of about 70 degrees to either side (factor 0.33);
/// - levels: fan-end recordings with no sign of a defect have 0.10 to 0.17 g, twice the level of
///   A; so has B before its sensor;
/// - sensor: a magnet instead of a stud, so that the highest frequencies are lost (ISO 5348 puts the limit of
///   a magnet at a few kHz), and a smaller sensitivity that the recorder does not know of.
pub(crate) fn machine_b() -> Machine {
    Machine {
        name: "B",
        stream: 1,
        geometry: geometry(8, 0.2656, 1.122),
        no_load_hz: 25.0 / (1.0 - DROOP),
        droop: DROOP,
        load: 0.5,
        load_factor: 0.33,
        modes: [
            Mode {
                hz: 850.0,
                damping: 0.045,
                gain: 0.35,
            },
            Mode {
                hz: 1130.0,
                damping: 0.028,
                gain: 0.6,
            },
            Mode {
                hz: 1770.0,
                damping: 0.032,
                gain: 0.9,
            },
            Mode {
                hz: 2560.0,
                damping: 0.012,
                gain: 0.8,
            },
            Mode {
                hz: 3850.0,
                damping: 0.018,
                gain: 0.5,
            },
        ],
        impact_g: 1.5,
        background_g: 0.09,
        harmonics_g: 0.08,
        sensor_gain: 0.7,
        sensor_corner_hz: 4_000.0,
        sensor_noise_g: 0.03,
    }
}

/// Loss of speed from no load to full load, as a share: 1797 to 1730 rpm (CWRU).
const DROOP: f64 = 1.0 - 1730.0 / 1797.0;

/// Impacts at no load and what full load adds, as factors. CWRU levels change by less than 15 % from 0 to 3
/// hp: the weight of the rotor acts at every load.
pub(crate) const LOAD_STRENGTH: (f64, f64) = (0.9, 0.2);

/// The width and shaft speed at which an impact has the strength `impact_g`: CWRU's middle pit, 0.014 in, at
/// A's speed.
///
/// Strength is proportional to both: a ball that rolls over a pit of width w at speed v sinks by about w^2 /
/// (4 d), in the time w / (2 v), so the change of its velocity, which is the impulse, goes with w v / d.
pub(crate) const REFERENCE_WIDTH_MM: f64 = 0.36;
/// See [`REFERENCE_WIDTH_MM`].
pub(crate) const REFERENCE_SHAFT_HZ: f64 = 29.4;

/// How much of an impact reaches the housing: through nothing from the outer race, through balls and films
/// from the inner race, and least from a ball. CWRU: median levels of inner and ball recordings above that of
/// a healthy one are 1/2 and 1/5 of the outer ones; the load zone accounts for a part of it.
pub(crate) const PATH_OUTER: f64 = 1.0;
/// See [`PATH_OUTER`].
pub(crate) const PATH_INNER: f64 = 0.75;
/// See [`PATH_OUTER`].
pub(crate) const PATH_BALL: f64 = 0.4;

/// A ball's pit strikes the outer and the inner race in turn; the second as much weaker as its path is longer.
pub(crate) const BALL_ON_INNER: f64 = PATH_INNER / PATH_OUTER;

/// Strength outside the load zone, as a share of that in its middle: preload and centrifugal force keep
/// contact. CWRU's inner-race recordings have a kurtosis of 5 to 22; a share of half this would put most
/// units above 18.
pub(crate) const UNLOADED: f64 = 0.3;

/// Standard deviation of the time between two impacts, as a share of its mean: 1 to 2 % (Randall and Antoni).
pub(crate) const JITTER: f64 = 0.01;

/// Standard deviation of the strength from impact to impact, as a share.
pub(crate) const STRENGTH_JITTER: f64 = 0.1;

/// Pit widths, mm: 0.007 to 0.021 in (CWRU).
pub(crate) const WIDTHS_MM: (f64, f64) = (0.18, 0.53);

/// Standard deviation of ln(severity): bearings of the same class and pit width differ in level by up to 7
/// times (CWRU outer race, 0.014 in: 0.10 to 0.92 g).
pub(crate) const SEVERITY_SPREAD: f64 = 0.5;

/// Largest deviation of the cage's speed from the kinematic one, as a share: measured BPFO, BPFI lie up to
/// 0.5 % off (CWRU).
pub(crate) const CAGE_SLIP: f64 = 0.005;

/// Largest angle between an outer-race pit and the middle of the load zone, degrees. CWRU has pits at 0, 90
/// and 180; those at 180 often cannot be seen at all.
pub(crate) const PIT_ANGLE_DEG: f64 = 60.0;

/// Standard deviation of a mode's ln(frequency) from unit to unit: poles of one mode scatter by 1 to 3 %
/// between CWRU recordings.
pub(crate) const MODE_HZ_SPREAD: f64 = 0.015;

/// Standard deviation of a mode's ln(gain) from unit to unit: 3 dB (CWRU peaks scatter by more, pits included).
pub(crate) const MODE_GAIN_SPREAD: f64 = 0.35;

/// Standard deviation of ln(background) and ln(harmonics) from unit to unit: healthy-looking CWRU recordings
/// have 0.10 to 0.17 g.
pub(crate) const BACKGROUND_SPREAD: f64 = 0.25;

fn geometry(balls: u32, ball_diameter: f64, pitch_diameter: f64) -> Geometry {
    Geometry::from_dimensions(balls, ball_diameter, pitch_diameter, 0.0)
        .expect("the dimensions above are those of real bearings")
}
