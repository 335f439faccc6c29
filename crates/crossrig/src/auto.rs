//! `--input auto`: defect orders where the bearings are other ones and known, else the log-spectrum. No label of a target is
//! read: recordings come without their classes.

use serde::Serialize;
use signal_conditioning::{Band, DefectOrderParameters, Geometry, Needs};
use signal_domains::Family;

use crate::corpus::{Corpus, Globs, Signal};
use crate::options::Input;
use crate::physics::{PIECE_SECONDS, check_known};
use crate::task::Task;

/// What `--input auto` chose (`auto_input` of `metrics.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AutoInput {
    /// The input: `defect-orders` or `log-spectrum`.
    pub input: Input,
    /// The condition that decided, in words: the first one that does not hold, or all three.
    pub decided_by: String,
}

impl AutoInput {
    /// One line for the summary.
    pub fn words(&self) -> String {
        let name = match self.input {
            Input::DefectOrders => "defect orders",
            _ => "the log-spectrum",
        };
        format!("--input auto took {name}: {}", self.decided_by)
    }
}

/// The choice for the recordings of a run; `rate_hz` is the common rate where one is asked for.
pub fn auto_input(corpus: &Corpus, wanted: &Globs, rate_hz: Option<f64>) -> AutoInput {
    let of_source = |c: usize| corpus.sources.iter().any(|d| d.classes.contains(&Some(c)));
    let classes: Vec<(&str, Option<Family>)> = (0..corpus.classes.len())
        .filter(|&c| of_source(c) && wanted.pass(&corpus.classes[c]))
        .map(|c| (corpus.classes[c].as_str(), corpus.families.get(c).copied().flatten()))
        .collect();
    let sources: Vec<&Signal> = corpus.sources.iter().flat_map(|d| &d.signals).collect();
    let targets: Vec<&Signal> = corpus.targets.iter().flat_map(|d| &d.signals).collect();
    choose(&classes, &sources, &targets, rate_hz)
}

/// Whether the three conditions hold for a task.
pub fn other_known_bearings(task: &Task) -> bool {
    let classes: Vec<(&str, Option<Family>)> = task
        .classes
        .iter()
        .map(String::as_str)
        .zip(task.families.iter().copied())
        .collect();
    let sources: Vec<&Signal> = task.sources.iter().flat_map(|s| &s.domain.signals).collect();
    let targets: Vec<&Signal> = task.targets.iter().flat_map(|d| &d.signals).collect();
    choose(&classes, &sources, &targets, task.rate_hz).input == Input::DefectOrders
}

/// Defect orders if
///
/// - (a) every class of the source has a family, and no two have the same;
/// - (b) bearing and shaft speed are known of every recording on both sides (and a rate and a length that the analysis can
///   use);
/// - (c) no unit of the target occurs in the source, or their bearings differ. Where a recording states no unit, only the
///   bearings count.
///
/// Otherwise the log-spectrum.
fn choose(
    classes: &[(&str, Option<Family>)],
    sources: &[&Signal],
    targets: &[&Signal],
    rate_hz: Option<f64>,
) -> AutoInput {
    let decided = families(classes).and_then(|()| {
        let known = sources.iter().chain(targets).try_for_each(|s| analysable(s, rate_hz));
        known.and_then(|()| other_bearings(sources, targets))
    });
    match decided {
        Err(why_not) => AutoInput {
            input: Input::LogSpectrum,
            decided_by: why_not,
        },
        Ok(why) => AutoInput {
            input: Input::DefectOrders,
            decided_by: format!(
                "(a) every class has a family of its own, (b) bearings and shaft speeds are known, (c) {why}"
            ),
        },
    }
}

fn families(classes: &[(&str, Option<Family>)]) -> Result<(), String> {
    for (i, (name, family)) in classes.iter().enumerate() {
        let Some(family) = family else {
            return Err(format!("(a) the class `{name}` has no family"));
        };
        if let Some((other, _)) = classes[..i].iter().find(|(_, f)| *f == Some(*family)) {
            return Err(format!("(a) the classes `{other}` and `{name}` are of one family"));
        }
    }
    Ok(())
}

fn analysable(signal: &Signal, asked_hz: Option<f64>) -> Result<(), String> {
    let needs = Needs {
        rate: true,
        shaft_speed: true,
        geometry: true,
    };
    check_known(signal, needs, "--input defect-orders").map_err(|e| format!("(b) {e}"))?;
    let rate_hz = signal.meta.rate_hz.unwrap_or(0.0);
    let bands = DefectOrderParameters::default();
    let highest = bands.bands().iter().map(Band::high_hz).fold(0.0, f64::max);
    let lowest = rate_hz.min(asked_hz.unwrap_or(f64::INFINITY));
    if lowest < 2.0 * highest {
        return Err(format!(
            "(b) {}: {lowest} Hz, and defect orders need {} Hz",
            signal.file,
            2.0 * highest
        ));
    }
    let samples = signal.samples.len();
    if (samples as f64) < PIECE_SECONDS * rate_hz {
        return Err(format!(
            "(b) {}: shorter than {PIECE_SECONDS} s, the window of defect orders",
            signal.file
        ));
    }
    Ok(())
}

/// Why the target's bearings are other ones than the source's, or why that is not known.
fn other_bearings(sources: &[&Signal], targets: &[&Signal]) -> Result<String, String> {
    let bearing = |s: &&Signal| -> Option<Geometry> { s.meta.geometry };
    let same = targets.iter().any(|t| sources.iter().any(|s| bearing(s) == bearing(t)));
    if !same {
        return Ok("the bearings differ".to_owned());
    }
    if let Some(s) = sources.iter().chain(targets).find(|s| s.unit.is_none()) {
        return Err(format!(
            "(c) the bearings have the same geometry, and {} states no `unit`",
            s.file
        ));
    }
    let shared = targets.iter().find(|t| sources.iter().any(|s| s.unit == t.unit));
    match shared.and_then(|t| t.unit.as_deref()) {
        Some(unit) => Err(format!(
            "(c) the unit `{unit}` is in source and target, and the bearings have the same geometry"
        )),
        None => Ok("no unit of the target is in the source".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use signal_conditioning::{Bearing, Meta};

    use super::*;

    const CLASSES: [(&str, Option<Family>); 3] = [
        ("ball", Some(Family::RollingElement)),
        ("inner", Some(Family::InnerRace)),
        ("outer", Some(Family::OuterRace)),
    ];

    fn signal(bearing: &str, unit: Option<&str>) -> Signal {
        Signal {
            file: "a.mat".into(),
            unit: unit.map(str::to_owned),
            samples: vec![vec![0.0; 12_000]].into(),
            meta: Meta {
                rate_hz: Some(12_000.0),
                shaft_hz: Some(29.5),
                geometry: Some(Bearing::named(bearing).unwrap().geometry().unwrap()),
            },
            sha256: String::new(),
        }
    }

    #[track_caller]
    fn decides(classes: &[(&str, Option<Family>)], source: &Signal, target: &Signal, input: Input, words: &str) {
        let found = choose(classes, &[source], &[target], None);
        assert_eq!(found.input, input, "{}", found.decided_by);
        assert!(found.decided_by.contains(words), "{}", found.decided_by);
    }

    #[test]
    fn defect_orders_are_taken_for_other_bearings_of_the_same_kind_or_of_another() {
        let one = signal("6205", Some("1"));
        let wanted = Input::DefectOrders;
        decides(
            &CLASSES,
            &one,
            &signal("6203", Some("1")),
            wanted,
            "(c) the bearings differ",
        );
        decides(&CLASSES, &one, &signal("6203", None), wanted, "(c) the bearings differ");
        decides(&CLASSES, &one, &signal("6205", Some("2")), wanted, "(c) no unit");
    }

    #[test]
    fn a_common_rate_that_is_too_low_for_defect_orders_counts() {
        let (one, other) = (signal("6205", None), signal("6203", None));
        let found = |rate| choose(&CLASSES, &[&one], &[&other], rate).input;
        assert_eq!(found(Some(12_000.0)), Input::DefectOrders);
        assert_eq!(found(Some(8_000.0)), Input::LogSpectrum);
    }

    #[test]
    fn each_condition_that_does_not_hold_gives_the_log_spectrum_and_is_named() {
        let (one, other) = (signal("6205", Some("1")), signal("6203", Some("2")));
        let no = Input::LogSpectrum;
        let mut classes = CLASSES;
        classes[1].1 = None;
        decides(&classes, &one, &other, no, "(a) the class `inner`");
        classes[1].1 = Some(Family::OuterRace);
        decides(&classes, &one, &other, no, "(a) the classes `inner` and `outer`");
        for lacking in [
            Meta {
                geometry: None,
                ..other.meta
            },
            Meta {
                shaft_hz: None,
                ..other.meta
            },
            Meta {
                rate_hz: None,
                ..other.meta
            },
            Meta {
                rate_hz: Some(10_000.0),
                ..other.meta
            },
            // 12,000 samples are half a second then
            Meta {
                rate_hz: Some(24_000.0),
                ..other.meta
            },
        ] {
            let meta = Signal {
                meta: lacking,
                ..other.clone()
            };
            decides(&CLASSES, &one, &meta, no, "(b) a.mat: ");
            decides(&CLASSES, &meta, &one, no, "(b) a.mat: ");
        }
        decides(&CLASSES, &one, &signal("6205", Some("1")), no, "(c) the unit `1`");
        decides(
            &CLASSES,
            &one,
            &signal("6205", None),
            no,
            "(c) the bearings have the same geometry",
        );
    }
}
