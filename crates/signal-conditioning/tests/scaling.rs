//! Scaling and standardising, against numpy and scipy and against the laws they follow.
use proptest::prelude::*;
use serde_json::Value;
use signal_conditioning::{Error, Grouping, ScaleBy, Scaling, Standardiser, StandardiserBuilder, scale};

mod common;
use common::{assert_close, fixture, numbers};

const ALL: [ScaleBy; 3] = [ScaleBy::MeanStd, ScaleBy::MinMax, ScaleBy::Robust];

fn scaled(x: &[f64], by: ScaleBy) -> Vec<f64> {
    let mut x = x.to_vec();
    scale(&mut x, by);
    x
}

fn standardiser(windows: &[Vec<f64>], groups: usize, grouping: Grouping) -> Standardiser {
    let mut builder = StandardiserBuilder::new(groups, grouping);
    for window in windows {
        builder.push(window).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn scaling_equals_numpy_and_scipy() {
    for case in fixture("scale.json")["cases"].as_array().unwrap() {
        for by in ALL {
            // a few roundings of numbers below 10
            assert_close(
                &scaled(&numbers(&case["x"]), by),
                &numbers(&case[by.to_string()]),
                1e-14,
            );
        }
    }
}

#[test]
fn statistics_equal_numpy() {
    let fixture = fixture("scale.json");
    let windows: Vec<Vec<f64>> = fixture["windows"].as_array().unwrap().iter().map(numbers).collect();
    for (grouping, groups, name) in [(Grouping::PerBin, 6, "bin"), (Grouping::PerChannel, 2, "channel")] {
        let statistics = standardiser(&windows, groups, grouping);
        assert_close(statistics.mean(), &numbers(&fixture[format!("{name}_mean")]), 1e-14);
        assert_close(statistics.std(), &numbers(&fixture[format!("{name}_std")]), 1e-14);
    }
}

#[test]
fn zero_spread_gives_zeros() {
    for by in ALL {
        // 0.1 summed a thousand times is not 100: the mean must still be 0.1
        assert_eq!(scaled(&[0.1; 1000], by), [0.0; 1000]);
    }
    let mut mostly_equal = [2.0; 9];
    mostly_equal[4] = 7.0;
    assert_eq!(scaled(&mostly_equal, ScaleBy::Robust), [0.0; 9]);
    for (grouping, groups) in [(Grouping::PerBin, 3), (Grouping::PerChannel, 1)] {
        let mut window = [5.0, 0.1, -3.0];
        standardiser(&vec![vec![0.1; 3]; 77], groups, grouping)
            .apply(&mut window)
            .unwrap();
        assert_eq!(window, [0.0; 3]);
    }
}

#[test]
fn scaling_a_sample_that_is_not_finite_makes_every_sample_nan() {
    for by in ALL {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(scaled(&[1.0, bad, 3.0], by).iter().all(|v| v.is_nan()));
        }
        assert!(scaled(&[], by).is_empty());
    }
}

#[test]
fn statistics_refuse_what_is_not_finite_and_stay_as_they_were() {
    let mut builder = StandardiserBuilder::new(2, Grouping::PerBin);
    builder.push(&[1.0, 2.0]).unwrap();
    assert!(matches!(
        builder.push(&[0.0, f64::NAN]),
        Err(Error::NotFinite { index: 1, .. })
    ));
    assert!(matches!(
        builder.push(&[0.0]),
        Err(Error::Length {
            found: 1,
            groups: 2,
            ..
        })
    ));
    assert_eq!(
        builder.finish().unwrap(),
        standardiser(&[vec![1.0, 2.0]], 2, Grouping::PerBin)
    );
}

#[test]
fn statistics_of_nothing_and_windows_that_do_not_fit_are_errors() {
    assert_eq!(
        StandardiserBuilder::new(2, Grouping::PerBin).finish(),
        Err(Error::NoWindows)
    );
    assert!(StandardiserBuilder::new(0, Grouping::PerBin).push(&[]).is_err());
    assert!(StandardiserBuilder::new(0, Grouping::PerChannel).push(&[1.0]).is_err());
    assert!(StandardiserBuilder::new(2, Grouping::PerChannel).push(&[]).is_err());
    let per_channel = standardiser(&[vec![1.0, 2.0, 3.0, 4.0]], 2, Grouping::PerChannel);
    let mut odd = [1.0, 2.0, 3.0];
    assert!(matches!(per_channel.apply(&mut odd), Err(Error::Length { .. })));
    assert_eq!(odd, [1.0, 2.0, 3.0]);
    let mut huge = StandardiserBuilder::new(1, Grouping::PerBin);
    huge.push(&[1e300]).unwrap();
    huge.push(&[-1e300]).unwrap();
    assert!(matches!(huge.finish(), Err(Error::Stored { .. })));
}

#[test]
fn the_stored_form_of_statistics_is_pinned_and_checked() {
    let text = r#"{"grouping":"per-bin","mean":[1.5,2.0],"std":[0.5,0.0]}"#;
    let statistics = standardiser(&[vec![1.0, 2.0], vec![2.0, 2.0]], 2, Grouping::PerBin);
    assert_eq!(serde_json::to_string(&statistics).unwrap(), text);
    assert_eq!(serde_json::from_str::<Standardiser>(text).unwrap(), statistics);
    for broken in [
        r#"{"grouping":"per-bin","mean":[1.5],"std":[0.5,0.0]}"#,
        r#"{"grouping":"per-bin","mean":[],"std":[]}"#,
        r#"{"grouping":"per-bin","mean":[1.5],"std":[-0.5]}"#,
        r#"{"grouping":"per-ear","mean":[1.5],"std":[0.5]}"#,
        r#"{"grouping":"per-bin","mean":[1.5],"std":[0.5],"median":[1.0]}"#,
    ] {
        assert!(serde_json::from_str::<Standardiser>(broken).is_err(), "{broken}");
    }
}

#[test]
fn names_of_scalings_read_back() {
    for by in ALL {
        assert_eq!(by.to_string().parse(), Ok(by));
        assert_eq!(serde_json::to_value(by).unwrap(), Value::String(by.to_string()));
    }
    let message = "max-min".parse::<ScaleBy>().unwrap_err().to_string();
    assert_eq!(
        message,
        "unknown scaling \"max-min\": expected one of mean-std, min-max, robust"
    );
}

/// The definition by sorting, straight from the text books.
fn slow_median(x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    f64::midpoint(x[(x.len() - 1) / 2], x[x.len() / 2])
}

proptest! {
    #[test]
    fn robust_scaling_equals_its_definition_by_sorting(x in prop::collection::vec(-100.0..100.0_f64, 1..60)) {
        let centre = slow_median(&x);
        let mad = slow_median(&x.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>());
        let expected: Vec<f64> =
            x.iter().map(|v| if mad == 0.0 { 0.0 } else { (v - centre) / (1.4826 * mad) }).collect();
        prop_assert_eq!(scaled(&x, ScaleBy::Robust), expected);
    }

    /// Samples, gain and offset are multiples of 1/64 of few digits, so that moving them does not round.
    #[test]
    fn gain_and_offset_do_not_matter(
        x in prop::collection::vec(-64..64_i32, 2..60), gain in 1..200_i32, offset in -1000..1000_i32,
    ) {
        let still: Vec<f64> = x.iter().map(|&v| f64::from(v) / 64.0).collect();
        let moved: Vec<f64> = still.iter().map(|v| v * f64::from(gain) + f64::from(offset)).collect();
        for by in ALL {
            let (a, b) = (scaled(&still, by), scaled(&moved, by));
            for (a, b) in a.iter().zip(&b) {
                // the mean and the variance round at 1e-16 of values up to 1200, a spread is at least 1/64/sqrt(60)
                prop_assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()), "{by}: {a} {b}");
            }
        }
    }

    #[test]
    fn mean_std_scaling_gives_mean_zero_and_standard_deviation_one(x in prop::collection::vec(-100.0..100.0_f64, 2..200)) {
        prop_assume!(x.iter().any(|v| (v - x[0]).abs() > 1e-3));
        let y = scaled(&x, ScaleBy::MeanStd);
        let n = y.len() as f64;
        let mean = y.iter().sum::<f64>() / n;
        let std = (y.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
        // offsets of up to 1e5 spreads take 5 of the 16 digits
        prop_assert!(mean.abs() < 1e-10 && (std - 1.0).abs() < 1e-10);
    }

    /// The oracle gathers the values of each group and takes two passes.
    #[test]
    fn statistics_equal_two_passes_over_all_values(
        windows in prop::collection::vec(prop::collection::vec(-5.0..5.0_f64, 12), 1..30), by_channel in any::<bool>(),
    ) {
        let (groups, width, grouping) =
            if by_channel { (3, 4, Grouping::PerChannel) } else { (12, 1, Grouping::PerBin) };
        let statistics = standardiser(&windows, groups, grouping);
        for group in 0..groups {
            let values: Vec<f64> = windows.iter().flat_map(|w| w[group * width..(group + 1) * width].to_vec()).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
            prop_assert!((statistics.mean()[group] - mean).abs() < 1e-13);
            prop_assert!((statistics.std()[group].powi(2) - variance).abs() < 1e-12);
        }
    }
}

proptest! {
    #[test]
    fn scaling_in_pieces_is_scaling_to_the_bit(
        x in prop::collection::vec(prop_oneof![-9.0..9.0, Just(0.5), Just(-0.0), Just(0.0), -1e-300..1e300], 0..60),
        piece in 1_usize..20,
    ) {
        for by in ALL {
            let scaling = Scaling::of_pieces(by, |take| -> Result<(), ()> {
                x.chunks(piece).for_each(take);
                Ok(())
            })
            .unwrap();
            let bits = |v: f64| v.to_bits();
            let here: Vec<u64> = x.iter().map(|&v| bits(scaling.apply(v))).collect();
            let there: Vec<u64> = scaled(&x, by).into_iter().map(bits).collect();
            prop_assert_eq!(here, there, "{}", by);
        }
    }
}

#[test]
fn a_pass_that_fails_gives_its_error() {
    for by in ALL {
        assert_eq!(Scaling::of_pieces(by, |_| Err("torn")), Err("torn"));
    }
}
