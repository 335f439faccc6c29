//! `crossrig inspect --folds`: what leaving one domain or one unit out at a time would test.

use clap::ValueEnum;
use signal_domains::{Dataset, LeaveOut};

use crate::corpus::data_error;
use crate::error::Result;
use crate::output;

/// What to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Folds {
    /// Each domain once
    Domain,
    /// Each unit (physical bearing or machine) once
    Unit,
}

/// Lists the folds.
///
/// # Errors
/// Fewer than two things to leave out, recordings without a unit.
pub(super) fn run(dataset: &Dataset, folds: Folds, json: bool) -> Result<()> {
    let leave_out = match folds {
        Folds::Domain => LeaveOut::Domain,
        Folds::Unit => LeaveOut::Unit,
    };
    let folds = dataset.folds(leave_out).map_err(data_error)?;
    if json {
        let files = |side: &[usize]| -> Vec<serde_json::Value> {
            let named = |&i: &usize| {
                let r = &dataset.recordings[i];
                serde_json::json!({"domain": r.domain, "file": r.file})
            };
            side.iter().map(named).collect()
        };
        let list: Vec<serde_json::Value> = folds
            .iter()
            .map(|f| {
                serde_json::json!({
                    "left_out": f.name, "train": files(&f.train), "test": files(&f.test),
                    "units_on_both_sides": f.units_on_both_sides, "units_unknown": f.units_unknown,
                    "classes_not_trained": f.classes_not_trained, "is": f.to_string(),
                })
            })
            .collect();
        let text =
            serde_json::json!({"schema": 1, "name": dataset.name, "leave_out": leave_out.to_string(), "folds": list});
        output::print(&format!("{text:#}\n"));
        return Ok(());
    }
    let lines: Vec<String> = folds.iter().map(|f| format!("{f}\n")).collect();
    output::print(&format!("{}: {} folds\n{}", dataset.name, folds.len(), lines.concat()));
    Ok(())
}
