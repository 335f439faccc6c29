//! Known answers, corner cases and errors.

use adaptation_metrics::{
    Confusion, Error, LogisticConfig, LogisticRegression, NearestCentroid, Pca, expected_calibration_error, kurtosis,
    proxy_a_distance, rms,
};

/// Pseudo-random values in [-1, 1) that need no generator: the fractional parts of multiples of the golden ratio.
fn scattered(n: usize, start: usize) -> Vec<f64> {
    (start..start + n)
        .map(|i| (i as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0)
        .collect()
}

#[test]
fn a_confusion_matrix_has_the_truth_in_its_rows() {
    let confusion = Confusion::new(&[0, 0, 1], &[0, 1, 1], 2).unwrap();
    assert_eq!(confusion.counts(), [[1, 1], [0, 1]]);
    assert_eq!(confusion.recall(), [Some(0.5), Some(1.0)]);
    assert_eq!(confusion.f1(), [Some(2.0 / 3.0), Some(2.0 / 3.0)]);
}

#[test]
fn labels_that_do_not_fit_are_named_in_the_error() {
    assert_eq!(Confusion::new(&[], &[], 2), Err(Error::Empty { what: "truth" }));
    assert_eq!(
        Confusion::new(&[0], &[], 2),
        Err(Error::Length {
            what: "predicted",
            found: 0,
            expected: 1
        })
    );
    let error = Confusion::new(&[0, 1], &[0, 5], 2).unwrap_err();
    assert_eq!(
        error,
        Error::Label {
            what: "predicted",
            index: 1,
            label: 5,
            classes: 2
        }
    );
    assert_eq!(error.to_string(), "predicted 1 is 5, but there are 2 classes (0..2)");
}

#[test]
fn overconfidence_is_the_calibration_error() {
    // four times sure of class 0 with 0.9, right once: |0.25 - 0.9|
    let p = [0.9, 0.1].repeat(4);
    let error = expected_calibration_error(&p, &[0, 1, 1, 1], 2, 15).unwrap();
    assert!((error - 0.65).abs() < 1e-12);
}

#[test]
fn logits_are_refused_as_probabilities() {
    let refused = |p: &[f64]| {
        matches!(
            expected_calibration_error(p, &[0], 2, 15),
            Err(Error::Probabilities { row: 0, .. })
        )
    };
    assert!(refused(&[3.0, -2.0]));
    assert!(refused(&[0.5, 0.6]));
    assert!(refused(&[f64::NAN, 0.5]));
    assert!(matches!(
        expected_calibration_error(&[0.5], &[0], 2, 15),
        Err(Error::Length { expected: 2, .. })
    ));
    assert!(matches!(
        expected_calibration_error(&[0.5, 0.5], &[0], 2, 0),
        Err(Error::Setting { name: "bins", .. })
    ));
}

#[test]
fn moments_of_extreme_signals_neither_overflow_nor_underflow() {
    for unit in [1e-300, 1.0, 1e300] {
        let x = [0.0, 0.0, 0.0, unit];
        assert!((rms(&x) / unit - 0.5).abs() < 1e-15);
        // mean 1/4: fourth moment (3 + 81) / 1024, variance 3/16
        assert!((kurtosis(&x) - 7.0 / 3.0).abs() < 1e-12);
    }
    assert_eq!(kurtosis(&[f64::MAX, -f64::MAX]), 1.0);
    assert_eq!(rms(&[0.0; 8]), 0.0);
    assert!(rms(&[]).is_nan() && kurtosis(&[]).is_nan());
    assert!(rms(&[1.0, f64::NAN]).is_nan() && kurtosis(&[1.0, f64::NAN]).is_nan());
}

#[test]
fn a_sine_has_kurtosis_three_halves() {
    let sine: Vec<f64> = (0..1000)
        .map(|i| (f64::from(i) * std::f64::consts::TAU / 100.0).sin())
        .collect();
    assert!((kurtosis(&sine) - 1.5).abs() < 1e-12);
}

#[test]
fn separable_classes_converge_and_are_told_apart() {
    let x = [-2.0, -1.0, 1.0, 2.0];
    let model = LogisticRegression::fit(
        &x,
        &[0, 0, 1, 1],
        2,
        &LogisticConfig {
            c: 1e6,
            ..Default::default()
        },
    )
    .unwrap();
    assert!(model.converged());
    assert_eq!(model.predict(&[-0.1, 0.1]).unwrap(), [0, 1]);
    // far outside the exponentials must not overflow
    let p = model.predict_proba(&[1e6, -1e6]).unwrap();
    assert_eq!(p, [0.0, 1.0, 1.0, 0.0]);
}

#[test]
fn a_fit_cut_short_says_that_it_did_not_converge() {
    let config = LogisticConfig {
        max_iter: 1,
        ..Default::default()
    };
    let model = LogisticRegression::fit(&scattered(60, 0), &[0, 1, 2].repeat(10), 3, &config).unwrap();
    assert!(!model.converged());
    assert_eq!(model.iterations(), 1);
}

#[test]
fn features_of_unlike_scale_still_converge() {
    let mut x = scattered(200, 3);
    for row in x.chunks_mut(2) {
        row[1] = row[1] * 1e3 + 5e3;
    }
    let y: Vec<usize> = x
        .chunks(2)
        .enumerate()
        .map(|(i, row)| usize::from(row[0] > 0.3) + usize::from(i % 5 == 0))
        .collect();
    let model = LogisticRegression::fit(
        &x,
        &y,
        3,
        &LogisticConfig {
            tol: 1e-5,
            ..Default::default()
        },
    )
    .unwrap();
    assert!(model.converged(), "{}", model.iterations());
}

#[test]
fn training_data_without_two_classes_or_with_nan_is_refused() {
    let fit = |x: &[f64], y: &[usize]| LogisticRegression::fit(x, y, 3, &LogisticConfig::default()).unwrap_err();
    assert_eq!(fit(&[1.0, 2.0], &[1, 1]), Error::OneClass { class: 1 });
    assert_eq!(fit(&[], &[]), Error::Empty { what: "x" });
    assert!(matches!(
        fit(&[1.0, 2.0, 3.0], &[0, 1]),
        Error::Table {
            values: 3,
            rows: Some(2),
            ..
        }
    ));
    assert!(matches!(
        fit(&[1.0, 2.0, f64::NAN, 4.0], &[0, 1]),
        Error::NotFinite {
            what: "x",
            row: 1,
            column: 0,
            ..
        }
    ));
    assert!(matches!(
        fit(&[1.0, 2.0], &[0, 3]),
        Error::Label {
            index: 1,
            label: 3,
            classes: 3,
            ..
        }
    ));
    let config = LogisticConfig {
        c: 0.0,
        ..Default::default()
    };
    let error = LogisticRegression::fit(&[1.0, 2.0], &[0, 1], 2, &config).unwrap_err();
    assert_eq!(error.to_string(), "c is 0, expected a number above 0");
    assert!(matches!(
        NearestCentroid::fit(&[1.0], &[7], 2),
        Err(Error::Label { label: 7, .. })
    ));
}

#[test]
fn a_table_of_another_width_is_refused_in_prediction() {
    let model = LogisticRegression::fit(&[0.0, 1.0, 2.0, 3.0], &[0, 1], 2, &LogisticConfig::default()).unwrap();
    assert!(matches!(
        model.predict(&[1.0; 3]),
        Err(Error::Table { columns: Some(2), .. })
    ));
    assert_eq!(model.predict(&[]).unwrap(), Vec::<usize>::new());
}

#[test]
fn one_sample_of_each_class_predicts_its_own_neighbourhood() {
    let model = NearestCentroid::fit(&[0.0, 0.0, 10.0, 10.0], &[0, 2], 3).unwrap();
    assert_eq!(model.predict(&[1.0, 0.0, 9.0, 12.0, 5.0, 5.0]).unwrap(), [0, 2, 0]);
    assert_eq!(model.centroids(), [Some(vec![0.0, 0.0]), None, Some(vec![10.0, 10.0])]);
}

#[test]
fn equal_variances_in_every_direction_are_all_found() {
    // corners of a cross-polytope: variance 2/7 along each of four axes, so no direction is preferred
    let mut x = vec![0.0; 8 * 4];
    for i in 0..4 {
        x[2 * i * 4 + i] = 1.0;
        x[(2 * i + 1) * 4 + i] = -1.0;
    }
    let pca = Pca::fit(&x, 8, 4, 4).unwrap();
    for variance in pca.explained_variance() {
        assert!((variance - 2.0 / 7.0).abs() < 1e-12);
    }
}

#[test]
fn equal_rows_have_no_variance_and_no_nan() {
    let pca = Pca::fit(&[0.1; 12], 4, 3, 2).unwrap();
    assert!(pca.explained_variance().iter().all(|v| *v < 1e-30));
    assert!(pca.transform(&[0.1; 12]).unwrap().iter().all(|v| v.abs() < 1e-15));
    assert!(pca.explained_variance_ratio().iter().all(|v| v.is_finite()));
}

#[test]
fn two_strong_directions_are_found_among_many_features() {
    // more features than the Krylov basis has vectors; a large mean must not leak into the components
    let (rows, columns) = (200, 150);
    let noise = scattered(rows * columns, 11);
    let x: Vec<f64> = (0..rows * columns)
        .map(|k| {
            let (i, j) = (k / columns, k % columns);
            let first = 5.0 * (i as f64).sin() * f64::from(u8::from(j < 20));
            let second = 3.0 * (i as f64 * 1.7).cos() * f64::from(u8::from((20..40).contains(&j)));
            1000.0 + first + second + 0.1 * noise[k]
        })
        .collect();
    let pca = Pca::fit(&x, rows, columns, 2).unwrap();
    for (component, block) in pca.components().iter().zip([0..20, 20..40]) {
        let inside: f64 = component[block].iter().map(|c| c * c).sum();
        assert!(inside > 0.99, "{inside}");
    }
    assert_eq!(pca, Pca::fit(&x, rows, columns, 2).unwrap());
}

#[test]
fn components_of_noise_are_eigenvectors_in_falling_order() {
    // hardly any gap between the variances, so the search restarts beside components it has already found
    let (rows, columns) = (500, 200);
    let mut state = 1_u64;
    let x: Vec<f64> = (0..rows * columns)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as f64 / 2f64.powi(31)
        })
        .collect();
    let pca = Pca::fit(&x, rows, columns, 4).unwrap();
    assert!(
        pca.explained_variance().is_sorted_by(|a, b| a >= b),
        "{:?}",
        pca.explained_variance()
    );
    let coordinates = pca.transform(&x).unwrap();
    for (number, (component, variance)) in pca.components().iter().zip(pca.explained_variance()).enumerate() {
        // covariance times component, by the definition
        for j in 0..columns {
            let sum: f64 = (0..rows)
                .map(|i| coordinates[i * 4 + number] * (x[i * columns + j] - pca.mean()[j]))
                .sum();
            assert!((sum / (rows - 1) as f64 - variance * component[j]).abs() < 1e-10);
        }
    }
}

#[test]
fn more_components_than_the_data_can_have_are_refused() {
    assert!(matches!(
        Pca::fit(&[0.0; 6], 2, 3, 3),
        Err(Error::Setting { name: "components", .. })
    ));
    assert!(matches!(
        Pca::fit(&[0.0; 6], 2, 3, 0),
        Err(Error::Setting { name: "components", .. })
    ));
    assert!(matches!(
        Pca::fit(&[0.0; 6], 2, 2, 1),
        Err(Error::Length {
            found: 6,
            expected: 4,
            ..
        })
    ));
}

#[test]
fn domains_far_apart_have_distance_2_and_equal_ones_about_0() {
    let a = scattered(400, 0);
    let far: Vec<f64> = scattered(300, 1000).iter().map(|v| v + 5.0).collect();
    assert_eq!(proxy_a_distance(&a, &far, 2, 0).unwrap().value, 2.0);
    let near = proxy_a_distance(&a, &scattered(400, 7777), 2, 0).unwrap();
    assert!(near.value < 0.5, "{near:?}");
}

#[test]
fn a_domain_of_another_size_is_not_another_domain() {
    // a classifier that always names the larger domain would be right nine times of ten
    let distance = proxy_a_distance(&scattered(1800, 0), &scattered(200, 5000), 1, 1).unwrap();
    assert!((distance.error - 0.5).abs() < 0.2, "{distance:?}");
}

#[test]
fn a_domain_with_one_row_has_no_distance() {
    assert!(matches!(
        proxy_a_distance(&[1.0], &[1.0, 2.0], 1, 0),
        Err(Error::Setting { .. })
    ));
    assert!(matches!(
        proxy_a_distance(&[1.0; 3], &[1.0; 4], 2, 0),
        Err(Error::Table { .. })
    ));
    assert!(matches!(
        proxy_a_distance(&[1.0; 4], &[1.0; 4], 0, 0),
        Err(Error::Setting { .. })
    ));
    // features without any spread tell nothing apart, and give no NaN
    assert!(proxy_a_distance(&[1.0; 8], &[1.0; 8], 2, 0).unwrap().value <= 2.0);
}

#[test]
fn a_logistic_regression_is_the_same_after_its_parts_were_stored() {
    let x = scattered(60, 3);
    // class 1 of four has no sample
    let y: Vec<usize> = (0..20).map(|i| [0, 2, 3][i % 3]).collect();
    let fitted = LogisticRegression::fit(&x, &y, 4, &LogisticConfig::default()).unwrap();
    let parts = |present: &[usize], weights: &[f64], intercepts: &[f64]| {
        LogisticRegression::from_parts(4, present.to_vec(), weights.to_vec(), intercepts.to_vec())
    };
    let again = parts(fitted.present(), fitted.weights(), fitted.intercepts()).unwrap();
    assert_eq!((again.columns(), again.present()), (3, &[0, 2, 3][..]));
    assert_eq!(again.predict_proba(&x), fitted.predict_proba(&x));
    let (w, b) = (fitted.weights(), fitted.intercepts());
    assert!(parts(&[0], w, b).is_err());
    assert!(parts(&[0, 2, 4], w, b).is_err(), "a class that is none");
    assert!(parts(&[0, 3, 2], w, b).is_err(), "out of order");
    assert!(parts(&[0, 2, 3], &w[1..], b).is_err());
    assert!(parts(&[0, 2, 3], w, &b[1..]).is_err());
    assert!(parts(&[0, 2, 3], w, &[0.0, 0.0, f64::NAN]).is_err());
}
