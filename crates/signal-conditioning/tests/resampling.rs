//! Resampling: equal to scipy, to its definition, and good enough as a filter.
use std::f64::consts::{PI, TAU};

use proptest::prelude::*;
use signal_conditioning::{Error, Resampler, anti_alias_taps, resample, resample_poly, resampling_ratio};

mod common;
use common::{assert_close, fixture, numbers};

/// The definition: insert zeros, filter, drop samples, remove the delay; one sum over all samples for each output.
fn by_definition(x: &[f64], up: usize, down: usize, taps: &[f64]) -> Vec<f64> {
    let divisor = (1..=up.min(down))
        .rev()
        .find(|d| up.is_multiple_of(*d) && down.is_multiple_of(*d))
        .unwrap();
    let (up, down) = (up / divisor, down / divisor);
    if up == down {
        return x.to_vec();
    }
    let centre = (taps.len() as i64 - 1) / 2;
    (0..(x.len() * up).div_ceil(down))
        .map(|m| {
            let tap = |i: usize| (m * down) as i64 + centre - (i * up) as i64;
            let terms = x
                .iter()
                .enumerate()
                .map(|(i, x)| (x, usize::try_from(tap(i)).ok().and_then(|k| taps.get(k))));
            up as f64 * terms.map(|(x, tap)| x * tap.unwrap_or(&0.0)).sum::<f64>()
        })
        .collect()
}

#[test]
fn resampling_equals_scipy() {
    let fixture = fixture("resample_poly.json");
    let x = numbers(&fixture["x"]);
    for case in fixture["cases"].as_array().unwrap() {
        let term = |key: &str| case[key].as_u64().unwrap() as usize;
        let (up, down) = (term("up"), term("down"));
        let taps = if case["taps"].is_null() {
            anti_alias_taps(up, down).unwrap()
        } else {
            numbers(&case["taps"])
        };
        assert_close(
            &resample_poly(&x, up, down, &taps).unwrap(),
            &numbers(&case["y"]),
            1e-12,
        );
    }
}

#[test]
fn taps_equal_scipy_firwin() {
    for case in fixture("taps.json")["cases"].as_array().unwrap() {
        let term = |key: &str| case[key].as_u64().unwrap() as usize;
        assert_close(
            &anti_alias_taps(term("up"), term("down")).unwrap(),
            &numbers(&case["taps"]),
            1e-15,
        );
    }
}

#[test]
fn the_filter_keeps_the_pass_band_and_stops_80_db_from_1_1_times_the_cut_off_on() {
    for (up, down) in [(1, 2), (1, 4), (4, 1), (3, 2), (160, 147), (13, 64), (768, 3125)] {
        let taps = anti_alias_taps(up, down).unwrap();
        let wide = up.max(down) as f64;
        let middle = taps.len() / 2;
        assert!(taps.iter().eq(taps.iter().rev()), "linear phase");
        // frequency in units of the cut-off; pi is the Nyquist frequency of the upsampled signal
        let gain = |frequency: f64| {
            let omega = PI * frequency / wide;
            taps[middle]
                + 2.0
                    * (1..=middle)
                        .map(|k| taps[middle + k] * (omega * k as f64).cos())
                        .sum::<f64>()
        };
        for step in 0..=180 {
            let db = 20.0 * gain(0.9 * f64::from(step) / 180.0).log10();
            assert!(db.abs() < 1e-3, "{up}/{down}: {db} dB in the pass band");
        }
        let first_side_lobes = (0..=400).map(|step| 1.1 + 1.4 * f64::from(step) / 400.0);
        let the_rest = (0..=400).map(|step| 1.1 + (wide - 1.1) * f64::from(step) / 400.0);
        for frequency in first_side_lobes.chain(the_rest).filter(|&f| f <= wide) {
            let db = 20.0 * gain(frequency).abs().log10();
            assert!(db <= -80.0, "{up}/{down}: {db} dB at {frequency} times the cut-off");
        }
        assert!((gain(1.0) - 0.5).abs() < 1e-3);
    }
}

#[test]
fn a_tone_survives_a_change_of_rate_with_its_phase_and_a_tone_above_the_new_nyquist_does_not() {
    for (from, to) in [
        (48_000.0, 12_000.0),
        (12_000.0, 48_000.0),
        (44_100.0, 48_000.0),
        (48_828.0, 12_000.0),
    ] {
        let tone = |hz: f64, rate: f64| -> Vec<f64> {
            (0..(rate / 10.0) as usize)
                .map(|i| (TAU * hz * i as f64 / rate + 0.3).cos())
                .collect()
        };
        let nyquist = f64::min(from, to) / 2.0;
        let edge = 28.0 / (2.0 * nyquist); // seconds shaped by the ends
        let inside = |y: &[f64]| (edge * to) as usize..y.len() - (edge * to) as usize - 1;
        let kept = resample(&tone(0.6 * nyquist, from), from, to).unwrap();
        let wanted = tone(0.6 * nyquist, to);
        for i in inside(&wanted) {
            // stop-band images of 80 dB and a pass band of 0.001 dB
            assert!((kept[i] - wanted[i]).abs() < 3e-4, "{from} -> {to}, sample {i}");
        }
        if to < from {
            let stopped = resample(&tone(1.12 * nyquist, from), from, to).unwrap();
            assert!(stopped[inside(&stopped)].iter().all(|v| v.abs() < 1e-4));
        }
    }
}

#[test]
fn common_rates_have_their_exact_ratio() {
    for (from, to, ratio) in [
        (48_000.0, 12_000.0, (1, 4)),
        (12_000.0, 48_000.0, (4, 1)),
        (12_000.0, 12_000.0, (1, 1)),
        (44_100.0, 48_000.0, (160, 147)),
        (48_828.0, 12_000.0, (1000, 4069)),
        (97_656.0, 48_828.0, (1, 2)),
        (48_828.125, 12_000.0, (768, 3125)),
        (25_600.0, 12_000.0, (15, 32)),
        (0.1, 0.3, (3, 1)),
        (30.0, 0.03, (1, 1000)),
        (1.0 / 7.8125e-5, 12_800.0, (1, 1)),
        (12_000.0, 11_999.0, (11_999, 12_000)),
        (99_991.0, 99_989.0, (99_989, 99_991)),
    ] {
        assert_eq!(resampling_ratio(from, to), Ok(ratio), "{from} -> {to}");
    }
}

#[test]
fn rates_that_cannot_be_are_errors() {
    for bad in [0.0, -12_000.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            resample(&[1.0], bad, 1.0),
            Err(Error::Rate { side: "from", .. })
        ));
        assert!(matches!(
            resample(&[1.0], 1.0, bad),
            Err(Error::Rate { side: "to", .. })
        ));
    }
    for (from, to) in [
        (1.0, 1001.0),
        (12_000.0, 11.0),
        (f64::MIN_POSITIVE, f64::MAX),
        (5e-324, 1.0),
    ] {
        let error = resample(&[1.0], from, to).unwrap_err();
        assert!(matches!(error, Error::RateFactor { .. }));
        assert!(error.to_string().contains("kHz"));
    }
}

#[test]
fn ratios_and_taps_that_cannot_be_are_errors() {
    assert_eq!(
        resample_poly(&[1.0], 0, 1, &[1.0]),
        Err(Error::Ratio { up: 0, down: 1 })
    );
    assert_eq!(
        resample_poly(&[1.0], 1, 0, &[1.0]),
        Err(Error::Ratio { up: 1, down: 0 })
    );
    assert_eq!(anti_alias_taps(0, 3), Err(Error::Ratio { up: 0, down: 3 }));
    assert_eq!(resample_poly(&[1.0], 1, 2, &[]), Err(Error::NoTaps));
    assert!(matches!(
        resample_poly(&[1.0; 9], usize::MAX, 1, &[1.0]),
        Err(Error::TooLong { .. })
    ));
    assert!(matches!(
        resample_poly(&[1.0], 1, usize::MAX, &[1.0]),
        Err(Error::TooLong { .. })
    ));
    assert!(matches!(anti_alias_taps(usize::MAX, 1), Err(Error::TooLong { .. })));
}

#[test]
fn empty_stays_empty_and_nan_stays_near() {
    assert_eq!(resample(&[], 48_000.0, 12_000.0), Ok(vec![]));
    let mut x = vec![1.0; 1000];
    x[500] = f64::NAN;
    let y = resample(&x, 48_000.0, 12_000.0).unwrap();
    assert!(y[125].is_nan());
    assert!(
        y.iter()
            .enumerate()
            .all(|(m, v)| v.is_finite() || m.abs_diff(125) <= 27)
    );
    assert_eq!(y.iter().filter(|v| v.is_nan()).count(), 55);
}

proptest! {
    #[test]
    fn polyphase_equals_the_definition(
        x in prop::collection::vec(-1.0..1.0_f64, 0..80), taps in prop::collection::vec(-1.0..1.0_f64, 1..90),
        up in 1_usize..20, down in 1_usize..20,
    ) {
        let found = resample_poly(&x, up, down, &taps).unwrap();
        let expected = by_definition(&x, up, down, &taps);
        prop_assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(&expected) {
            prop_assert!((f - e).abs() < 1e-12);
        }
    }

    #[test]
    fn resampling_is_linear(
        pairs in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 1..80), up in 1_usize..12, down in 1_usize..12, gain in -3.0..3.0_f64,
    ) {
        let taps = anti_alias_taps(up, down).unwrap();
        let run = |x: Vec<f64>| resample_poly(&x, up, down, &taps).unwrap();
        let sum = run(pairs.iter().map(|(a, b)| a + gain * b).collect());
        let (a, b) = (run(pairs.iter().map(|p| p.0).collect()), run(pairs.iter().map(|p| p.1).collect()));
        for ((s, a), b) in sum.iter().zip(&a).zip(&b) {
            prop_assert!((s - (a + gain * b)).abs() < 1e-12);
        }
    }

    #[test]
    fn any_two_rates_get_a_ratio_within_10_parts_in_a_million(from in 1e-3..1e6_f64, factor in 1.0..1000.0_f64, upwards in any::<bool>()) {
        let (a, b) = if upwards { (from, from * factor) } else { (from * factor, from) };
        prop_assume!(a / b < 1000.0 && b / a < 1000.0);
        let (up, down) = resampling_ratio(a, b).unwrap();
        prop_assert!((up as f64 / down as f64 / (b / a) - 1.0).abs() <= 1e-5);
        prop_assert!(up.max(down) <= 100_000);
    }

    #[test]
    fn whole_number_rates_have_an_exact_ratio_in_lowest_terms(from in 1000_usize..100_000, to in 1000_usize..100_000) {
        let (up, down) = resampling_ratio(from as f64, to as f64).unwrap();
        prop_assert_eq!(up * from, down * to);
        prop_assert!((2..=up.min(down)).all(|d| up % d != 0 || down % d != 0));
    }
}

proptest! {
    /// Stretches are the whole's, to the bit, from no more than `input` names.
    #[test]
    fn any_stretch_is_that_of_the_whole(
        samples in 0_usize..2000,
        rates in prop::sample::select(vec![(48e3, 12e3), (12e3, 48e3), (44.1e3, 48e3), (25.6e3, 12e3), (12e3, 12e3), (1000.0, 7.0)]),
        from in 0.0..1.0,
        share in 0.0..1.0,
    ) {
        let x: Vec<f64> = (0..samples).map(|i| ((i * 7919) % 1009) as f64 * 0.37 - 100.0).collect();
        let whole = resample(&x, rates.0, rates.1).unwrap();
        let resampler = Resampler::new(rates.0, rates.1).unwrap();
        prop_assert_eq!(resampler.output_len(samples).unwrap(), whole.len());
        let start = (from * whole.len() as f64) as usize;
        let outputs = start..start + (share * (whole.len() - start) as f64) as usize;
        let needed = resampler.input(outputs.clone(), samples);
        let found = resampler.stretch(&x[needed.clone()], needed.start, samples, outputs.clone());
        let bits = |x: &[f64]| x.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&found), bits(&whole[outputs]));
    }
}
