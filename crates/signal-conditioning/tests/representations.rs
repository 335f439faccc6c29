//! Spectra, recipes and geometry.
use std::f64::consts::TAU;

use proptest::prelude::*;
use signal_conditioning::{
    BEARINGS, Bearing, DefectOrderParameters, Error, Geometry, Meta, PROFILE_SLIPS, Recipe, ScaleBy, defect_orders,
    log_spectrum, represent, scale, spectrum,
};

mod common;
use common::{assert_close, fixture, numbers};

const SCALES: [Option<ScaleBy>; 4] = [
    None,
    Some(ScaleBy::MeanStd),
    Some(ScaleBy::MinMax),
    Some(ScaleBy::Robust),
];
const KINDS: [&str; 3] = ["raw", "spectrum", "log-spectrum"];

/// One sum of sines and cosines for each bin.
fn by_definition(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let term = |i: usize| (0.5 - 0.5 * (TAU * i as f64 / n).cos()) * x[i];
    (1..=x.len() / 2)
        .map(|k| {
            let angle = |i: usize| TAU * ((i * k) % x.len()) as f64 / n;
            let re: f64 = (0..x.len()).map(|i| term(i) * angle(i).cos()).sum();
            let im: f64 = (0..x.len()).map(|i| term(i) * angle(i).sin()).sum();
            re.hypot(im)
        })
        .collect()
}

#[test]
fn spectra_equal_numpy() {
    for case in fixture("spectrum.json")["cases"].as_array().unwrap() {
        let x = numbers(&case["x"]);
        assert_close(&spectrum(&x), &numbers(&case["spectrum"]), 1e-14);
        // the logarithm multiplies an error by up to 1 / 0.001 where a bin is empty (n = 2: the sine at half the rate)
        assert_close(&log_spectrum(&x), &numbers(&case["log"]), 1e-12);
    }
}

#[test]
fn a_tone_of_amplitude_a_gives_a_n_over_4_in_its_bin() {
    let x: Vec<f64> = (0..1024)
        .map(|i| 3.0 * (TAU * 100.0 * f64::from(i) / 1024.0 + 0.7).sin())
        .collect();
    assert!((spectrum(&x)[99] - 3.0 * 256.0).abs() < 1e-9);
}

#[test]
fn spectra_of_nothing_are_empty_and_nan_goes_through() {
    assert!(spectrum(&[]).is_empty() && spectrum(&[1.0]).is_empty() && log_spectrum(&[]).is_empty());
    assert!(spectrum(&[1.0, f64::NAN, 2.0, 0.0]).iter().any(|v| v.is_nan()));
    // a plan that has seen NaN gives the right answer afterwards
    assert_close(
        &spectrum(&[1.0, 2.0, 4.0, 0.0]),
        &by_definition(&[1.0, 2.0, 4.0, 0.0]),
        1e-14,
    );
}

#[test]
fn the_stored_form_of_recipes_is_pinned() {
    for (recipe, text) in [
        (
            Recipe::Raw { scale: None },
            r#"{"version":1,"kind":"raw","scale":null}"#,
        ),
        (
            Recipe::Raw {
                scale: Some(ScaleBy::MeanStd),
            },
            r#"{"version":1,"kind":"raw","scale":"mean-std"}"#,
        ),
        (
            Recipe::Spectrum {
                scale: Some(ScaleBy::MinMax),
            },
            r#"{"version":1,"kind":"spectrum","scale":"min-max"}"#,
        ),
        (
            Recipe::LogSpectrum {
                scale: Some(ScaleBy::Robust),
            },
            r#"{"version":1,"kind":"log-spectrum","scale":"robust"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&recipe).unwrap(), text);
        assert_eq!(serde_json::from_str::<Recipe>(text).unwrap(), recipe);
    }
}

#[test]
fn a_stored_recipe_that_is_not_understood_says_why() {
    let message = |text: &str| serde_json::from_str::<Recipe>(text).unwrap_err().to_string();
    let newer = message(r#"{"version":2,"kind":"orders","scale":{"by":"envelope"},"bands":5}"#);
    assert!(newer.contains("version 2") && newer.contains("version 1"), "{newer}");
    let kind = message(r#"{"version":1,"kind":"wavelet","scale":null}"#);
    assert!(kind.contains("\"wavelet\"") && kind.contains("log-spectrum"), "{kind}");
    assert!(message(r#"{"version":1,"kind":"raw","scale":"loud"}"#).contains("unknown scale"));
    assert!(message(r#"{"version":1,"kind":"raw","scale":null,"taper":"hann"}"#).contains("\"taper\""));
    assert!(message(r#"{"kind":"raw","scale":null}"#).contains("version"));
}

#[test]
fn every_recipe_is_its_parts_and_has_the_length_it_says() {
    let window: Vec<f64> = (0..37).map(|i| f64::from(i * i % 11)).collect();
    for by in SCALES {
        let mut scaled = window.clone();
        if let Some(by) = by {
            scale(&mut scaled, by);
        }
        let expected = [scaled.clone(), spectrum(&scaled), log_spectrum(&scaled)];
        for (kind, expected) in KINDS.into_iter().zip(expected) {
            let recipe = Recipe::from_kind(kind, by).unwrap();
            assert_eq!((recipe.kind(), recipe.scale()), (kind, by));
            assert_eq!(represent(&recipe, &window, &Meta::default()).unwrap(), expected);
            assert_eq!(recipe.output_len(window.len()), expected.len());
        }
    }
}

#[test]
fn windows_that_cannot_be_represented_are_errors() {
    let run = |kind: &str, window: &[f64]| represent(&Recipe::from_kind(kind, None).unwrap(), window, &Meta::default());
    for kind in KINDS {
        assert!(matches!(run(kind, &[]), Err(Error::WindowTooShort { found: 0, .. })));
        assert!(matches!(
            run(kind, &[0.0, 1.0, f64::NAN]),
            Err(Error::NotFinite { index: 2, .. })
        ));
    }
    assert!(matches!(
        run("spectrum", &[1.0]),
        Err(Error::WindowTooShort { needed: 2, .. })
    ));
    assert_eq!(run("raw", &[1.0]), Ok(vec![1.0]));
}

#[test]
fn geometry_of_known_bearings_gives_their_published_orders() {
    // balls, ball and pitch diameter in inches; BPFI, BPFO, 2 BSF, FTF
    for (balls, ball, pitch, orders) in [
        (9, 0.3126, 1.537, [5.4152, 3.5848, 4.7134, 0.3983]), // SKF 6205-2RS JEM
        (8, 0.2656, 1.122, [4.9469, 3.0531, 3.9877, 0.3816]), // SKF 6203-2RS JEM
        (8, 0.235, 1.245, [4.7550, 3.2450, 5.1091, 0.4056]),  // NICE, of the MFPT data
    ] {
        let g = Geometry::from_dimensions(balls, ball, pitch, 0.0).unwrap();
        // four printed decimals
        assert_close(&[g.bpfi, g.bpfo, 2.0 * g.bsf, g.ftf], &orders, 0.6e-4);
    }
    // an angular contact of 40 degrees, by hand: g = 0.2 cos 40 deg = 0.153209
    let g = Geometry::from_dimensions(12, 10.0, 50.0, 40.0).unwrap();
    assert_close(
        &[g.bpfi, g.bpfo, g.bsf, g.ftf],
        &[6.919253, 5.080747, 2.441318, 0.4233956],
        1e-6,
    );
}

#[test]
fn every_bearing_of_the_table_has_the_factors_that_its_source_prints() {
    for bearing in &BEARINGS {
        let (found, printed) = (bearing.geometry().unwrap(), bearing.printed);
        assert_eq!(Bearing::named(&bearing.name.to_lowercase()), Ok(bearing));
        // the sources round to four decimals or to 0.05 Hz at 25 Hz, and from factors already rounded
        assert!((found.bpfi - printed.bpfi).abs() < 2e-4, "{}", bearing.name);
        assert!((found.bpfo - printed.bpfo).abs() < 2e-4, "{}", bearing.name);
        assert!((found.ftf - printed.ftf).abs() < 1e-3, "{}", bearing.name);
        assert!(
            (found.ball_impact() - printed.ball_impact).abs() < 4e-3,
            "{}",
            bearing.name
        );
        assert!(!bearing.source.is_empty());
    }
    let unknown = Bearing::named("NU205").unwrap_err().to_string();
    assert!(
        BEARINGS.iter().all(|bearing| unknown.contains(bearing.name)),
        "{unknown}"
    );
}

#[test]
fn geometry_that_cannot_be_is_an_error() {
    for (balls, ball, pitch, angle) in [
        (0, 1.0, 5.0, 0.0),
        (8, 0.0, 5.0, 0.0),
        (8, f64::NAN, 5.0, 0.0),
        (8, 1.0, f64::INFINITY, 0.0),
        (2, 5.0, 5.0, 0.0),
        (9, 7.94, 1.537, 0.0), // mm and inches
        (30, 1.0, 5.0, 0.0),
        (8, 1.0, 5.0, 90.0),
        (8, 1.0, 5.0, -1.0),
        (8, 1.0, 5.0, f64::NAN),
    ] {
        assert!(matches!(
            Geometry::from_dimensions(balls, ball, pitch, angle),
            Err(Error::Geometry { .. })
        ));
    }
    assert!(Geometry::from_factors(5.4, 3.6, 0.0, 0.4).is_err());
    for text in [
        r#"{"balls":9,"ball_diameter":0.3}"#,
        r#"{"balls":9,"ball_diameter":0.3,"pitch_diameter":1.5,"bpfi":5.4}"#,
        r#"{"bpfi":5.4,"bpfo":3.6,"bsf":2.4}"#,
        r#"{"bpfi":5.4,"bpfo":3.6,"bsf":-2.4,"ftf":0.4}"#,
        r#"{"bpfi":5.4,"bpfo":3.6,"bsf":2.4,"ftf":0.4,"make":"SKF"}"#,
    ] {
        assert!(serde_json::from_str::<Geometry>(text).is_err(), "{text}");
    }
}

#[test]
fn geometry_is_stored_as_factors_and_reads_back() {
    let geometry = Geometry::from_factors(5.5, 3.5, 2.25, 0.375).unwrap();
    let text = serde_json::to_string(&geometry).unwrap();
    assert_eq!(text, r#"{"bpfi":5.5,"bpfo":3.5,"bsf":2.25,"ftf":0.375}"#);
    assert_eq!(serde_json::from_str::<Geometry>(&text).unwrap(), geometry);
}

/// One second at 12 kHz of a 3 kHz resonance struck at an order, with noise, on a 6205 at a speed.
fn struck(order: f64, shaft_hz: f64) -> Vec<f64> {
    let period = 12_000.0 / (order * shaft_hz);
    (0..12_000)
        .map(|i| {
            let since = f64::from(i) % period;
            let noise = f64::from((i * 7919 + i * i % 1013 * 31) % 1009) / 1009.0 - 0.5;
            (-since / 12.0).exp() * (TAU * 0.25 * since).sin() + 0.3 * noise
        })
        .collect()
}

#[test]
fn envelope_spectra_orders_and_defect_orders_need_what_they_say_and_have_the_shape_they_say() {
    let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap();
    let known = Meta {
        rate_hz: Some(12_000.0),
        shaft_hz: Some(29.53),
        geometry: Some(geometry),
    };
    let window = struck(0.99 * geometry.bpfo, 29.53);
    for (kind, rows, length) in [
        ("envelope-spectrum", 1, 1500),
        ("orders", 1, 512),
        ("defect-orders", 15, 33),
    ] {
        let recipe = Recipe::from_kind(kind, None).unwrap();
        assert_eq!(
            (recipe.rows(), recipe.row_len(12_000), recipe.output_len(12_000)),
            (rows, length, rows * length)
        );
        assert_eq!(represent(&recipe, &window, &known).unwrap().len(), rows * length);
        let text = serde_json::to_string(&recipe).unwrap();
        assert_eq!(text, format!(r#"{{"version":1,"kind":"{kind}","scale":null}}"#));
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
        let needs = recipe.needs();
        for (needed, what, meta) in [
            (needs.rate, "the sampling rate", Meta { rate_hz: None, ..known }),
            (
                needs.shaft_speed,
                "the shaft speed",
                Meta {
                    shaft_hz: None,
                    ..known
                },
            ),
            (
                needs.geometry,
                "the bearing",
                Meta {
                    geometry: None,
                    ..known
                },
            ),
        ] {
            match represent(&recipe, &window, &meta) {
                Ok(_) => assert!(!needed, "{kind} without {what}"),
                Err(e) => assert!(
                    needed
                        && e == Error::Unknown {
                            what,
                            kind: recipe.kind()
                        },
                    "{kind}: {e}"
                ),
            }
        }
        // free of units
        let louder: Vec<f64> = window.iter().map(|v| 40.0 * v + 3.0).collect();
        let (a, b) = (represent(&recipe, &window, &known), represent(&recipe, &louder, &known));
        assert_close(&a.unwrap(), &b.unwrap(), 1e-6);
    }
}

#[test]
fn the_lines_of_a_defect_stay_in_place_as_the_speed_changes_and_their_mean_over_bands_is_the_score() {
    let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap();
    for (shaft_hz, slip) in [(22.0, -0.004), (29.53, -0.01), (33.3, 0.005)] {
        let window = struck((1.0 + slip) * geometry.bpfo, shaft_hz);
        let meta = Meta {
            rate_hz: Some(12_000.0),
            shaft_hz: Some(shaft_hz),
            geometry: Some(geometry),
        };
        let profiles = represent(&Recipe::DefectOrders { scale: None }, &window, &meta).unwrap();
        let scores = *defect_orders(
            &window,
            12_000.0,
            shaft_hz,
            &geometry,
            &DefectOrderParameters::default(),
        )
        .unwrap()
        .scores();
        for (family, rows) in profiles.chunks_exact(5 * PROFILE_SLIPS).enumerate() {
            let column = |k: usize| rows.iter().skip(k).step_by(PROFILE_SLIPS).sum::<f64>() / 5.0;
            assert!((column(PROFILE_SLIPS / 2) - scores.families[family].z).abs() < 1e-12);
        }
        let outer = &profiles[5 * PROFILE_SLIPS..10 * PROFILE_SLIPS];
        let column = |k: usize| outer.iter().skip(k).step_by(PROFILE_SLIPS).sum::<f64>() / 5.0;
        assert!(column(16) > 1.0 && column(0) < 0.5 * column(16) && column(32) < 0.5 * column(16));
        // the order of the first harmonic, 3.55 or so, is cell 57 (element 56) at any speed
        let orders = represent(&Recipe::Orders { scale: None }, &window, &meta).unwrap();
        let near = (0..70).max_by(|&a, &b| orders[a].total_cmp(&orders[b])).unwrap();
        assert_eq!(
            near + 1,
            (16.0 * (1.0 + slip) * geometry.bpfo).round() as usize,
            "{shaft_hz}"
        );
    }
}

proptest! {
    #[test]
    fn the_spectrum_equals_its_definition(x in prop::collection::vec(-1.0..1.0_f64, 0..130)) {
        let (found, expected) = (spectrum(&x), by_definition(&x));
        prop_assert_eq!(found.len(), x.len() / 2);
        for (f, e) in found.iter().zip(&expected) {
            // sums of at most 130 terms below 1
            prop_assert!((f - e).abs() < 1e-12);
        }
    }

    #[test]
    fn orders_of_any_bearing_obey_the_kinematic_sums(balls in 3_u32..20, ratio in 0.05..0.3_f64, pitch in 0.1..100.0_f64, angle in 0.0..60.0_f64) {
        prop_assume!(f64::from(balls) * ratio < std::f64::consts::PI);
        let g = Geometry::from_dimensions(balls, ratio * pitch, pitch, angle).unwrap();
        // every ball passes each race once per turn relative to the cage
        prop_assert!((g.bpfi + g.bpfo - f64::from(balls)).abs() < 1e-12);
        prop_assert!((g.bpfo - f64::from(balls) * g.ftf).abs() < 1e-12);
    }

    #[test]
    fn no_window_makes_it_panic(window in prop::collection::vec(prop::num::f64::ANY, 0..40), kind in 0_usize..3, by in 0_usize..4) {
        let recipe = Recipe::from_kind(KINDS[kind], SCALES[by]).unwrap();
        if let Ok(values) = represent(&recipe, &window, &Meta::default()) {
            prop_assert_eq!(values.len(), recipe.output_len(window.len()));
        }
    }
}
