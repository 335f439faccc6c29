//! Signal conditioning on slices: windows, scaling, polyphase resampling, spectra, and the representations
//! that a network learns from.
//!
//! # Should you use it?
//!
//! Yes, if recordings of vibration, current or sound are to become equal rows of numbers: brought to one
//! sampling rate, cut into windows, scaled, turned into spectra, standardised, always in the same way in
//! training and in use. Every function takes `&[f64]` and gives `Vec<f64>` or writes in place; there are no
//! tensors, no files and no state to keep.
//!
//! No, if you want streaming (block by block) audio resampling, filter design in general, or time-frequency
//! maps.
//!
//! # Example
//!
//! ```
//! use signal_conditioning::{Meta, Recipe, Tail, Windowing, represent, resample, window_starts};
//!
//! // one second of a 1500 Hz tone at 48 kHz
//! let tone: Vec<f64> = (0..48_000).map(|i| (std::f64::consts::TAU * 1500.0 * i as f64 / 48_000.0).sin()).collect();
//! let tone = resample(&tone, 48_000.0, 12_000.0)?;
//! let windowing = Windowing { length: 1024, hop: 1024, tail: Tail::Drop };
//! let starts = window_starts(tone.len(), &windowing)?;
//! let window = &tone[starts[3]..starts[3] + windowing.length];
//! let spectrum = represent(&Recipe::LogSpectrum { scale: None }, window, &Meta::default())?;
//! assert_eq!(spectrum.len(), 512); // bins 1 to 512; 1500 Hz is bin 128, which is element 127
//! assert_eq!((0..512).max_by(|&a, &b| spectrum[a].total_cmp(&spectrum[b])), Some(127));
//! # Ok::<(), signal_conditioning::Error>(())
//! ```
//!
//! # NaN, infinity and empty input
//!
//! Nothing panics on data. Transforms ([`scale`], [`resample`], [`spectrum`]) carry a value that is not
//! finite into the output, as each says; what is kept or learned from ([`represent`],
//! [`StandardiserBuilder::push`]) refuses it with an error that names the sample. Empty input gives empty
//! output, or an error where a result cannot exist.
//!
//! # Limits
//!
//! Everything is `f64` and one channel a call (channels of a window are given one after the other to the
//! [`Standardiser`]). [`resample`] takes a whole recording, [`Resampler`] any stretch of one.
#![forbid(unsafe_code)]

mod anti_alias;
mod band;
mod bearings;
mod defect_orders;
mod envelope;
mod error;
mod geometry;
mod kinematics;
mod kurtogram;
mod order_tracking;
mod prewhitening;
mod recipe;
mod resample;
mod running_median;
mod scale;
mod shaft_speed;
mod spectrum;
mod standardise;
mod window;

pub use anti_alias::anti_alias_taps;
pub use band::Band;
pub use bearings::{BEARINGS, Bearing, Printed};
pub use defect_orders::{
    DefectOrderAnalyser, DefectOrderParameters, DefectOrderScores, DefectOrders, Evidence, FamilyEvidence, FamilyScore,
    Harmonic, Line, MAX_BANDS, Modulation, ORDER_MAP_BINS, Overlap, PROFILE_SLIPS, Plateau, RaceRule, STANDING_DB,
    Verdict, WHITENING_FLOOR, defect_orders, whiten,
};
pub use envelope::{ENVELOPE_FLOOR, EnvelopeKind, analytic_signal, band_envelope, band_pass, envelope};
pub use error::Error;
pub use geometry::Geometry;
pub use kinematics::{DefectFamily, SlipRange};
pub use kurtogram::{BandKurtosis, KURTOGRAM_DIVISIONS, kurtogram, most_impulsive_band};
pub use order_tracking::{ShaftAngle, order_track};
pub use prewhitening::cepstral_prewhitening;
pub use recipe::{Meta, Needs, Recipe, represent};
pub use resample::{Resampler, resample, resample_poly, resampling_ratio};
pub use running_median::running_median;
pub use rustfft::num_complex::Complex;
pub use scale::{ScaleBy, Scaling, scale};
pub use shaft_speed::{COMB_TRUST, ShaftSpeed, shaft_speed};
pub use spectrum::{LOG_FLOOR, log_spectrum, spectrum};
pub use standardise::{Grouping, Standardiser, StandardiserBuilder};
pub use window::{Tail, Windowing, window_starts};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
