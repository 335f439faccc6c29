//! Demodulation, whitening and defect orders equal numpy, scipy and their definitions, on fixtures that need no data.
use std::f64::consts::TAU;

use proptest::prelude::*;
use signal_conditioning::{
    Band, Complex, DefectFamily, DefectOrderParameters, EnvelopeKind, Geometry, RaceRule, ShaftSpeed, SlipRange,
    Verdict, analytic_signal, band_envelope, band_pass, defect_orders, envelope, running_median, shaft_speed, whiten,
};

mod common;
use common::{assert_close, fixture, noise, numbers};

#[test]
fn demodulation_equals_numpy_and_scipy() {
    for case in fixture("physics.json")["demodulation"].as_array().unwrap() {
        let x = numbers(&case["x"]);
        let z = analytic_signal(&x);
        assert_close(
            &z.iter().map(|z| z.re).collect::<Vec<_>>(),
            &numbers(&case["re"]),
            1e-12,
        );
        assert_close(
            &z.iter().map(|z| z.im).collect::<Vec<_>>(),
            &numbers(&case["im"]),
            1e-12,
        );
        for (kind, name) in [
            (EnvelopeKind::Plain, "plain"),
            (EnvelopeKind::Squared, "squared"),
            (EnvelopeKind::Log, "log"),
        ] {
            assert_close(&envelope(&x, kind), &numbers(&case[name]), 1e-11);
        }
        if case.get("band_pass").is_some() {
            let band = Band::new(10.0, 30.0).unwrap();
            assert_close(
                &band_pass(&x, 100.0, band).unwrap(),
                &numbers(&case["band_pass"]),
                1e-12,
            );
            let moduli = band_envelope(&x, 100.0, band, EnvelopeKind::Plain).unwrap();
            assert_close(&moduli, &numbers(&case["band_envelope"]), 1e-12);
        }
    }
}

#[test]
fn running_medians_and_whitening_equal_scipy() {
    for case in fixture("physics.json")["medians"].as_array().unwrap() {
        let (x, half) = (numbers(&case["x"]), case["half"].as_u64().unwrap() as usize);
        assert_eq!(running_median(&x, half), numbers(&case["median"]));
        assert_close(&whiten(&x, half), &numbers(&case["whitened"]), 1e-13);
    }
}

#[test]
fn defect_orders_of_a_short_signal_equal_numpy() {
    let case = &fixture("physics.json")["orders"];
    let x: Vec<f64> = numbers(&case["thousandths"]).iter().map(|v| v / 1000.0).collect();
    let bands = [(100.0, 300.0), (300.0, 580.0)].map(|(low, high)| Band::new(low, high).unwrap());
    let parameters = DefectOrderParameters::default()
        .with_bands(&bands)
        .and_then(|p| p.with_max_hz(300.0))
        .and_then(|p| p.with_harmonics(6))
        .unwrap();
    assert_eq!(parameters.slip(), SlipRange::new(-20, 10).unwrap());
    let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap();
    let found = defect_orders(&x, 1200.0, 5.0, &geometry, &parameters).unwrap();
    assert_close(found.prominence_spectrum(), &numbers(&case["prominence"]), 1e-9);
    let scores = found.scores();
    assert_close(&[scores.decoy_median], &[case["decoy_median"].as_f64().unwrap()], 1e-9);
    assert_close(&scores.families.map(|f| f.z), &numbers(&case["z"]), 1e-9);
    assert_eq!(scores.families.map(|f| f.slip).to_vec(), numbers(&case["slip"]));
    // and the numbers mean what was put in
    assert!((scores.get(DefectFamily::OuterRace).slip + 0.01).abs() < 0.003);
    assert_eq!(RaceRule::default().decide(scores), Verdict::OuterRace);
}

/// Lines of the mains and noise are no shaft: two even harmonics of a 30 Hz comb cannot reach the threshold.
#[test]
fn a_speed_is_refused_where_only_the_mains_hum() {
    let hum: Vec<f64> = noise(60_000, 7)
        .iter()
        .enumerate()
        .map(|(i, noise)| {
            let t = i as f64 / 12_000.0;
            0.3 * noise + (TAU * 60.0 * t).sin() + 0.5 * (TAU * 120.0 * t).sin()
        })
        .collect();
    let found = shaft_speed(&hum, 12_000.0, 1772.0).unwrap();
    assert!(matches!(found, ShaftSpeed::Untrusted { .. }), "{found:?}");
    // a comb of the shaft's own in the same hum is found beside it
    let shaft: Vec<f64> = hum
        .iter()
        .enumerate()
        .map(|(i, hum)| {
            let turns = i as f64 / 12_000.0 * 1768.0 / 60.0;
            hum + (1..=10).map(|k| 0.1 * (TAU * f64::from(k) * turns).sin()).sum::<f64>()
        })
        .collect();
    let found = shaft_speed(&shaft, 12_000.0, 1772.0).unwrap();
    assert!((found.trusted_hz().unwrap() * 60.0 - 1768.0).abs() < 1.0, "{found:?}");
}

/// What lies in the bins `low <= k < high` of a slow transform, on the positive side and doubled.
fn slow_analytic_band(x: &[f64], low: usize, high: usize) -> Vec<Complex<f64>> {
    let n = x.len();
    let turn = |k: usize, i: usize| Complex::from_polar(1.0, TAU * (k * i % n) as f64 / n as f64);
    let mean = x.iter().sum::<f64>() / n as f64;
    let mut z = vec![Complex::ZERO; n];
    for k in low..high {
        let bin: Complex<f64> = x.iter().enumerate().map(|(i, x)| turn(k, i).conj() * (x - mean)).sum();
        for (i, z) in z.iter_mut().enumerate() {
            *z += bin * turn(k, i) * (2.0 / n as f64);
        }
    }
    z
}

proptest! {
    #[test]
    fn band_envelopes_equal_a_slow_transform(x in prop::collection::vec(-10.0..10.0_f64, 12..90), low in 0_usize..4, width in 1_usize..3) {
        // a rate of n: bins are whole Hz
        let (rate, high) = (x.len() as f64, low + width);
        let band = Band::new(low as f64, high as f64).unwrap();
        let slow = slow_analytic_band(&x, low, high);
        let moduli: Vec<f64> = slow.iter().map(|z| z.norm()).collect();
        assert_close(&band_envelope(&x, rate, band, EnvelopeKind::Plain).unwrap(), &moduli, 1e-10);
        let real: Vec<f64> = slow.iter().map(|z| z.re).collect();
        assert_close(&band_pass(&x, rate, band).unwrap(), &real, 1e-10);
    }

    #[test]
    fn running_medians_equal_sorting_each_window(x in prop::collection::vec(-5_i8..5, 0..60), half in 0_usize..70) {
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let slow: Vec<f64> = (0..x.len()).map(|i| {
            let at = |j: usize| x[(i + j).saturating_sub(half).min(x.len() - 1)];
            let mut around: Vec<f64> = (0..=2 * half).map(at).collect();
            around.sort_by(f64::total_cmp);
            around[half]
        }).collect();
        prop_assert_eq!(running_median(&x, half), slow);
    }
}
