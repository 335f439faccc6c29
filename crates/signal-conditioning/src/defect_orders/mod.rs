//! The defect-order representation: how strongly the envelope repeats at each defect order of a bearing.

mod analyser;
mod evidence;
mod inputs;
mod parameters;
mod prominence;
mod representation;
mod rule;
mod whitening;

pub use analyser::{DefectOrderAnalyser, defect_orders};
pub use evidence::{Evidence, FamilyEvidence, Harmonic, Line, Modulation, Overlap, STANDING_DB};
pub use inputs::PROFILE_SLIPS;
pub(crate) use inputs::{ENVELOPE_CELLS, ORDER_CELLS, envelope_cells, order_cells, slip_profiles};
pub use parameters::{DefectOrderParameters, MAX_BANDS};
pub use prominence::{DefectOrderScores, FamilyScore};
pub use representation::{DefectOrders, ORDER_MAP_BINS};
pub use rule::{Plateau, RaceRule, Verdict};
pub use whitening::{WHITENING_FLOOR, whiten};
