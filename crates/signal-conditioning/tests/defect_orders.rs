//! The defect-order representation equals its reference, and finds what was put in.
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signal_conditioning::{
    Band, DefectFamily, DefectOrderAnalyser, DefectOrderParameters, DefectOrders, EnvelopeKind, Geometry,
    band_envelope, defect_orders,
};

mod common;
use common::{largest_difference, npy};

/// The folder of reference arrays; `None` (said) where there is none and none is required.
fn reference() -> Option<PathBuf> {
    let folder = env::var_os("CROSSRIG_REFERENCE").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(&env::var_os("CROSSRIG_DATA")?).join("../reference")));
    let folder = folder.map(|f| f.join("physics-fixtures")).filter(|f| f.is_dir());
    if folder.is_none() {
        assert!(
            env::var_os("CROSSRIG_REQUIRE_DATA").is_none_or(|v| v != "1"),
            "no reference arrays: neither CROSSRIG_REFERENCE nor CROSSRIG_DATA/../reference holds physics-fixtures"
        );
        println!("skipped: no data");
    }
    folder
}

fn geometry(bearing: &str) -> Geometry {
    match bearing {
        "6205" => Geometry::from_dimensions(9, 0.3126, 1.537, 0.0),
        "6203" => Geometry::from_dimensions(8, 0.2656, 1.122, 0.0),
        _ => panic!("no bearing {bearing}"),
    }
    .unwrap()
}

fn array(folder: &Path, name: &str) -> Vec<f64> {
    npy(&fs::read(folder.join(name)).unwrap()).1
}

fn all_bands(found: &DefectOrders, row: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
    (0..found.bands()).flat_map(row).collect()
}

/// Every array and number of a recording's window, to 1e-9 (of the largest value for the envelope spectrum).
#[track_caller]
fn compare(found: &DefectOrders, folder: &Path, number: &str, meta: &Value) {
    let stored = |what: &str| array(folder, &format!("{number}_{what}.npy"));
    let power = stored("envelope_spectrum");
    let largest = power.iter().copied().fold(0.0, f64::max);
    let own = all_bands(found, |band| found.envelope_spectrum(band).to_vec());
    assert!(
        largest_difference(&own, &power) <= 1e-9 * largest,
        "{number}: envelope spectrum"
    );
    let whitened = all_bands(found, |band| found.whitened(band).to_vec());
    for (what, own) in [
        ("whitened", &whitened[..]),
        ("prominence_spectrum", found.prominence_spectrum()),
        ("order_map", &found.order_map()),
    ] {
        let difference = largest_difference(own, &stored(what));
        println!("{number} {what}: {difference:e}");
        assert!(difference <= 1e-9, "{number}: {what} differs by {difference:e}");
    }
    let close = |a: f64, b: &Value| (a - b.as_f64().unwrap()).abs() <= 1e-9;
    assert!(close(found.scores().decoy_median, &meta["decoy_median"]));
    for score in &found.scores().families {
        let name = score.family.name();
        assert!(
            close(score.z, &meta["score"][name]),
            "{number}: {name} scores {}",
            score.z
        );
        assert!(
            close(score.slip, &meta["slip"][name]),
            "{number}: {name} slips {}",
            score.slip
        );
        assert!(close(score.order, &meta["orders"][name]), "{number}: order of {name}");
    }
}

#[test]
fn every_stage_equals_the_reference_on_four_recordings() {
    let Some(folder) = reference() else { return };
    let meta: Value = serde_json::from_str(&fs::read_to_string(folder.join("fixtures.json")).unwrap()).unwrap();
    let parameters = DefectOrderParameters::default();
    // one analyser for all: nothing of the window before may remain
    let mut analyser = DefectOrderAnalyser::new(parameters, 12_000.0, 12_000).unwrap();
    for (number, meta) in meta.as_object().unwrap() {
        let window = array(&folder, &format!("{number}_window.npy"));
        let band = Band::new(2500.0, 3500.0).unwrap();
        let envelope = band_envelope(&window, 12_000.0, band, EnvelopeKind::Log).unwrap();
        let stored = array(&folder, &format!("{number}_envelope_band2.npy"));
        assert!(largest_difference(&envelope, &stored) <= 1e-9, "{number}: envelope");
        let shaft_hz = meta["shaft_hz"].as_f64().unwrap();
        let geometry = geometry(meta["bearing"].as_str().unwrap());
        let found = analyser.analyse(&window, shaft_hz, &geometry).unwrap();
        compare(found, &folder, number, meta);
        assert_eq!(
            *found,
            defect_orders(&window, 12_000.0, shaft_hz, &geometry, &parameters).unwrap()
        );
        assert_eq!(found.scores().get(DefectFamily::RollingElement).family.name(), "2BSF");
    }
}
