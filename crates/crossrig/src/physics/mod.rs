//! What is known of a bearing without learning: shaft speed, defect orders, the rule on them, and the evidence in words.

mod bearing;
mod classify;
mod evidence;
mod known;
mod roles;
mod rule;
mod rule_file;
mod speed;

pub use bearing::bearing;
pub use classify::{analyse_for_rule, prepare_for_rule};
pub use evidence::{FileEvidence, FileVerdict, picture, verdict_of};
pub use known::check_known;
pub use roles::{ABSTENTION, Roles};
pub use rule::{Analysed, Applied, RuleDetail, RuleResult, Tau, apply, fit, race_scores, rules};
pub use rule_file::{RuleModel, Saved, load, save};
pub use speed::{SpeedNote, settle_speed};

/// Rate to which recordings are brought for the rule, Hz: the one its parameters were settled at.
pub const RATE_HZ: f64 = 12_000.0;
/// Length of the pieces on which the rule decides and methods are compared, s.
pub const PIECE_SECONDS: f64 = 1.0;
