//! Vibration of rolling bearings from geometry, speed, load and defect, on machines that differ physically.
//!
//! # Should you use it?
//!
//! Yes, to try a method of diagnosis where every cause is known and can be turned: which bearing, how fast,
//! how large a pit, how far apart two machines are. Yes, for tests and demonstrations that must run without
//! recordings.
//!
//! No, to claim that a method works on real machines. The signal follows the models that the literature
//! agrees on; real ones hold more (other machines nearby, loose parts, changing speed, pits that do not look
//! like pits).
//!
//! # Example
//!
//! ```
//! use bearing_simulator::{Defect, Machine, simulate};
//!
//! let machine = Machine::between(0.5)?; // half way from machine A to machine B
//! let recording = simulate(&machine, Defect::Outer, 3, 1.0, 0)?; // unit 3, one second, seed 0
//! assert_eq!(recording.len(), machine.rate_hz() as usize);
//! // impacts a second, from the bearing's geometry
//! let impacts = machine.geometry().bpfo * machine.shaft_hz();
//! assert!(impacts > 80.0 && impacts < 107.0);
//! # Ok::<(), bearing_simulator::Error>(())
//! ```
//!
//! # The model
//!
//! A pit is struck at the rate that the bearing's kinematics give (BPFO, BPFI, twice BSF). Every impact comes
//! at a slightly random time (slip) and is as strong as the pit is wide, as the shaft is fast, and as the
//! load is where the pit is: a pit on the inner race turns through the load zone with the shaft, a ball with
//! the cage. Each impact rings the structure's modes; so does a broadband background force, which healthy
//! bearings have too. The shaft's harmonics, the sensor's roll-off, gain and noise are added. In formulas,
//! for the acceleration `a(t)` in g:
//!
//! ```text
//! F(t) = sum_i s_i delta(t - t_i) + background        t_(i+1) - t_i = T (1 + 0.01 N(0, 1))
//! s_i  = impact * severity * path * (width / 0.36 mm) * (shaft / 29.4 Hz) * load * q(angle_i) * (1 + 0.1 N(0, 1))
//! a(t) = sensor( sum_k g_k int F(u) exp(-zeta_k w_k (t - u)) sin(w_k sqrt(1 - zeta_k^2) (t - u)) du
//!                + harmonics ) + noise
//! ```
//!
//! The slip is the random walk of J. Antoni, R. B. Randall, "A stochastic model for simulation and
//! diagnostics of rolling element bearings with localized faults", J. Vib. Acoust. 125 (2003); the load zone
//! and its modulation are those of P. D. McFadden, J. D. Smith, "Model for the vibration produced by a single
//! point defect in a rolling element bearing", J. Sound Vib. 96 (1984). Constants of the two machines and the
//! scatter of their bearings stand in one file, `src/constants.rs`, each with its source.
//!
//! # Machines and units
//!
//! [`Machine::a`] and [`Machine::b`] differ in bearing, speed, structure, clearance, background and sensor;
//! [`Machine::between`] is a path from one to the other. A *unit* is one physical bearing: its pit's width
//! and place, its slip, how its seat scatters the structure's modes, how loud it is. Units of the same
//! machine, defect and seed differ by their number alone, so a split by units is a split by bearings.
//!
//! Everything is a pure function of (seed, machine, defect, unit): the same arguments give the same samples
//! on the same platform, and a longer recording begins with the shorter one. `between(s)` draws the same
//! units for every `s`, so that a sweep changes the machine and nothing else.
//!
//! # Limits
//!
//! One pit, one bearing, one sensor, constant speed, linear structure; impacts are points in time (the width
//! of a pit sets their strength, not their shape).
#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "authors' names are not code")]

mod constants;
mod error;
mod machine;
mod random;
mod synthesis;
mod unit;

pub use error::Error;
pub use machine::{Machine, Mode};
pub use signal_conditioning::Geometry;
pub use unit::{Defect, Unit};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A recording of one bearing: acceleration in g, [`Machine::rate_hz`] samples a second, `seconds` long.
///
/// `unit` numbers the bearings of a machine and defect; unit 3 of two defects are two bearings. The same as
/// [`Unit::draw`] and [`Unit::record`]. A duration that is not positive, or above one hour, is an error.
pub fn simulate(machine: &Machine, defect: Defect, unit: u64, seconds: f64, seed: u64) -> Result<Vec<f64>> {
    Unit::draw(machine, defect, unit, seed).record(machine, seconds)
}
