//! Order tracking, the kurtogram and cepstral pre-whitening equal scipy, numpy and their definitions, and do what they are for.
use std::f64::consts::{PI, TAU};

use proptest::prelude::*;
use signal_conditioning::{
    Error, ShaftAngle, cepstral_prewhitening, kurtogram, most_impulsive_band, order_track, spectrum,
};

mod common;
use common::{assert_close, fixture, noise, numbers};

#[test]
fn the_angle_between_pulses_equals_scipy() {
    let case = &fixture("physics.json")["angle"];
    let angle = ShaftAngle::from_pulses(&numbers(&case["pulses"]), 4).unwrap();
    let times = numbers(&case["t"]);
    let turns: Vec<f64> = times.iter().map(|&t| angle.turns_at(t).unwrap()).collect();
    assert_close(&turns, &numbers(&case["turns"]), 1e-12);
    let (first, last) = angle.span_s();
    assert_eq!((first, last), (times[0], times[39]));
    assert_eq!(angle.turns_at(first - 1e-9), None);
    assert_eq!(angle.turns_at(last + 1e-9), None);
    assert_eq!(angle.turns_at(f64::NAN), None);
}

/// With two pulses there is one speed.
#[test]
fn two_pulses_are_a_constant_speed() {
    let angle = ShaftAngle::from_pulses(&[1.0, 1.5], 1).unwrap();
    assert_close(&[angle.turns_at(1.2).unwrap()], &[0.4], 1e-15);
}

/// Between speeds the speed is a straight line, so the angle is a parabola.
#[test]
fn the_angle_of_a_run_up_is_the_integral_of_its_speed() {
    let angle = ShaftAngle::from_speeds(&[0.5, 2.5, 3.0], &[10.0, 30.0, 20.0]).unwrap();
    for t in [0.5, 0.9, 1.7, 2.5] {
        let since = t - 0.5;
        assert_close(
            &[angle.turns_at(t).unwrap()],
            &[10.0 * since + 5.0 * since * since],
            1e-12,
        );
    }
    assert_close(&[angle.turns_at(3.0).unwrap()], &[52.5], 1e-12);
}

/// A run-up from 10 to 30 turns a second smears a line at order 3.7 over hundreds of bins; tracked, it is one line again, and equal to
/// the cosine that it is.
#[test]
fn a_tone_at_a_fixed_order_is_one_line_after_tracking_a_run_up() {
    let (rate, seconds, order) = (8000.0, 4.0, 3.7);
    let turns = |t: f64| 10.0 * t + 2.5 * t * t;
    let x: Vec<f64> = (0..(rate * seconds) as usize)
        .map(|i| (TAU * order * turns(i as f64 / rate)).cos())
        .collect();
    let angle = ShaftAngle::from_speeds(&[0.0, seconds], &[10.0, 30.0]).unwrap();
    let tracked = order_track(&x, rate, &angle, 64).unwrap();
    assert!(
        (tracked.len() as f64 / 64.0 - 80.0).abs() < 0.1,
        "{} samples",
        tracked.len()
    );
    // away from the ends, beyond which the filter meets zeros
    let inner = 27 * 64..tracked.len() - 27 * 64;
    let expected: Vec<f64> = inner.clone().map(|i| (TAU * order * i as f64 / 64.0).cos()).collect();
    assert_close(&tracked[inner.clone()], &expected, 2e-4);
    let lines = spectrum(&tracked[inner.start..inner.start + 20 * 64]);
    let top = (0..lines.len()).max_by(|&a, &b| lines[a].total_cmp(&lines[b])).unwrap();
    assert_eq!(top + 1, 74, "order 3.7 is bin 74 of 20 turns");
    let beside: f64 = lines[..top - 2]
        .iter()
        .chain(&lines[top + 3..])
        .fold(0.0, |m, &v| v.max(m));
    assert!(beside < 0.01 * lines[top]);
}

/// What lies above half the new rate must not come back as an order that is not there.
#[test]
fn tracking_does_not_alias() {
    let (rate, shaft) = (8000.0, 20.0);
    // order 50 with 64 samples a turn, whose half is 32
    let x: Vec<f64> = (0..16_000)
        .map(|i| (TAU * 50.0 * shaft * i as f64 / rate).sin())
        .collect();
    let angle = ShaftAngle::from_speeds(&[0.0, 2.0], &[shaft, shaft]).unwrap();
    let tracked = order_track(&x, rate, &angle, 64).unwrap();
    let worst = tracked[200..tracked.len() - 200]
        .iter()
        .fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(worst < 1.5e-4, "{worst}");
}

/// The Kaiser-windowed sinc summed as its definition has it, without tables.
fn definition(x: &[f64], position: f64, cut_off: f64) -> f64 {
    let bessel = |x: f64| {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..60 {
            term *= x * x / 4.0 / f64::from(k * k);
            sum += term;
        }
        sum
    };
    let mut sum = 0.0;
    for (i, x) in x.iter().enumerate() {
        let u = (i as f64 - position) * cut_off;
        if u.abs() <= 27.0 {
            let sinc = if u == 0.0 { 1.0 } else { (PI * u).sin() / (PI * u) };
            sum += x * sinc * bessel(8.4083 * (1.0 - (u / 27.0) * (u / 27.0)).sqrt()) / bessel(8.4083);
        }
    }
    sum * cut_off
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tracking_equals_its_definition(seed in 0u64..1000, n in 50usize..300, samples_per_turn in 2usize..40, speeds in (0.5f64..30.0, 0.5f64..30.0)) {
        let rate = 100.0;
        let x = noise(n, seed);
        let end = (n - 1) as f64 / rate;
        let angle = ShaftAngle::from_speeds(&[0.0, end], &[speeds.0, speeds.1]).unwrap();
        let acceleration = (speeds.1 - speeds.0) / end;
        let total = angle.turns_at(end).unwrap();
        let tracked = order_track(&x, rate, &angle, samples_per_turn);
        if total * samples_per_turn as f64 > 16.0 * n as f64 {
            prop_assert!(tracked.is_err());
            return Ok(());
        }
        let tracked = tracked.unwrap();
        prop_assert_eq!(tracked.len(), (total * samples_per_turn as f64).floor() as usize + 1);
        for (k, found) in tracked.iter().enumerate() {
            let turns = k as f64 / samples_per_turn as f64;
            // the root of the parabola, in the form that does not cancel
            let t = 2.0 * turns / (speeds.0 + (speeds.0 * speeds.0 + 2.0 * acceleration * turns).max(0.0).sqrt());
            let speed = speeds.0 + acceleration * t;
            let cut_off = (speed * samples_per_turn as f64 / rate).min(1.0);
            // slow ends of steep run-ups have the filter of a tenth of the mean speed
            if speed >= 0.1 * total / end {
                let expected = definition(&x, t * rate, cut_off);
                prop_assert!((found - expected).abs() < 1e-4, "{} at {}: {} and {}", k, t, found, expected);
            }
        }
    }

    /// Any rising pulses: the angle rises, and tracking gives finite values.
    #[test]
    fn the_angle_never_runs_backwards(gaps in prop::collection::vec(0.001f64..1.0, 1..20)) {
        let mut time = -0.5;
        let mut pulses = vec![time];
        for gap in gaps {
            time += gap;
            pulses.push(time);
        }
        let angle = ShaftAngle::from_pulses(&pulses, 1).unwrap();
        let (first, last) = angle.span_s();
        let turns: Vec<f64> = (0..=200).map(|i| angle.turns_at((first + (last - first) * f64::from(i) / 200.0).min(last)).unwrap()).collect();
        prop_assert!(turns.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12));
        let x = noise(100, 3);
        if let Ok(tracked) = order_track(&x, 100.0, &angle, 8) {
            prop_assert!(tracked.iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn angles_and_recordings_that_do_not_fit_are_refused_in_words() {
    let message = |result: Result<_, Error>| match result {
        Ok::<Vec<f64>, _>(_) => panic!("taken"),
        Err(error) => error.to_string(),
    };
    assert!(
        ShaftAngle::from_pulses(&[1.0], 1)
            .unwrap_err()
            .to_string()
            .contains("at least two")
    );
    assert!(
        ShaftAngle::from_pulses(&[1.0, 1.0], 1)
            .unwrap_err()
            .to_string()
            .contains("rising")
    );
    assert!(ShaftAngle::from_pulses(&[1.0, f64::NAN], 1).is_err());
    assert!(ShaftAngle::from_pulses(&[1.0, 2.0], 0).is_err());
    assert!(
        ShaftAngle::from_speeds(&[0.0, 1.0], &[1.0])
            .unwrap_err()
            .to_string()
            .contains("one for each time")
    );
    assert!(ShaftAngle::from_speeds(&[0.0, 1.0], &[1.0, 0.0]).is_err());
    let angle = ShaftAngle::from_speeds(&[5.0, 6.0], &[1.0, 1.0]).unwrap();
    assert!(message(order_track(&[0.0; 10], 10.0, &angle, 8)).contains("5 to 6"));
    let angle = ShaftAngle::from_speeds(&[0.0, 1.0], &[10.0, 10.0]).unwrap();
    assert!(message(order_track(&[0.0; 10], 10.0, &angle, 1)).contains("at least 2"));
    assert!(message(order_track(&[0.0; 10], 10.0, &angle, usize::MAX)).contains("at most 18"));
    assert!(message(order_track(&[0.0, f64::NAN], 10.0, &angle, 8)).contains("sample 1"));
    assert_eq!(order_track(&[], 10.0, &angle, 8), Ok(Vec::new()));
}

#[test]
fn pre_whitening_equals_numpy() {
    for case in fixture("physics.json")["prewhitening"].as_array().unwrap() {
        assert_close(
            &cepstral_prewhitening(&numbers(&case["x"])),
            &numbers(&case["white"]),
            1e-14,
        );
    }
    assert!(cepstral_prewhitening(&[]).is_empty());
    assert_eq!(cepstral_prewhitening(&[0.0; 8]), [0.0; 8]);
}

#[test]
fn the_kurtogram_equals_its_definition_in_numpy() {
    let case = &fixture("physics.json")["kurtogram"];
    let x: Vec<f64> = numbers(&case["hundredths"]).iter().map(|v| v / 100.0).collect();
    let found = kurtogram(&x, 100.0).unwrap();
    let rows = case["rows"].as_array().unwrap();
    assert_eq!(found.len(), rows.len(), "bands of fewer than 32 bins are left out");
    for (found, row) in found.iter().zip(rows) {
        let row = numbers(row);
        assert_close(
            &[found.band.low_hz(), found.band.high_hz(), found.kurtosis],
            &row,
            1e-10,
        );
    }
}

/// Impacts on a resonance at 3 kHz, buried in noise and under strong harmonics of the shaft.
#[test]
fn the_most_impulsive_band_is_that_of_the_struck_resonance() {
    let rate = 12_000.0;
    let noise = noise(24_000, 9);
    let x: Vec<f64> = (0..24_000)
        .map(|i| {
            let t = i as f64 / rate;
            let since = t % 0.02;
            let shaft: f64 = (1..5).map(|k| (TAU * 30.0 * f64::from(k) * t).sin()).sum();
            3.0 * shaft + 0.5 * noise[i] + 2.0 * (-since / 0.001).exp() * (TAU * 3000.0 * since).sin()
        })
        .collect();
    let best = most_impulsive_band(&x, rate).unwrap();
    assert!(best.kurtosis > 1.0, "{best:?}");
    assert!(best.band.low_hz() < 3100.0 && best.band.high_hz() > 2900.0, "{best:?}");
    assert!(best.band.low_hz() > 120.0, "not the shaft's harmonics: {best:?}");
}

#[test]
fn noise_is_not_impulsive_and_silence_is_an_error() {
    let best = most_impulsive_band(&noise(48_000, 4), 12_000.0).unwrap();
    assert!(best.kurtosis < 1.0, "{best:?}");
    assert!(
        kurtogram(&vec![1.0; 5000], 12_000.0)
            .unwrap_err()
            .to_string()
            .contains("nothing varies")
    );
    assert!(
        kurtogram(&noise(100, 1), 12_000.0)
            .unwrap_err()
            .to_string()
            .contains("too short")
    );
    assert!(kurtogram(&vec![f64::NAN; 5000], 12_000.0).is_err());
    assert!(kurtogram(&noise(5000, 1), 0.0).is_err());
}
