//! Laws that hold for any input.

use adaptation_metrics::{
    Confusion, LogisticConfig, LogisticRegression, NearestCentroid, Pca, expected_calibration_error, kurtosis,
    proxy_a_distance, rms,
};
use proptest::collection::vec;
use proptest::prelude::*;

const CLASSES: usize = 4;

/// Truth and prediction of some samples.
fn outcomes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    vec((0..CLASSES, 0..CLASSES), 1..60).prop_map(|pairs| pairs.into_iter().unzip())
}

/// A table with its numbers of rows and columns.
fn table(
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> impl Strategy<Value = (Vec<f64>, usize, usize)> {
    (rows, columns).prop_flat_map(|(n, d)| (vec(-3.0..3.0, n * d), Just(n), Just(d)))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256)
    ))]

    #[test]
    fn scores_lie_between_0_and_1_and_do_not_depend_on_the_order_of_samples((truth, predicted) in outcomes()) {
        let confusion = Confusion::new(&truth, &predicted, CLASSES).unwrap();
        prop_assert_eq!(confusion.total(), truth.len() as u64);
        for score in [confusion.accuracy(), confusion.macro_f1()] {
            prop_assert!((0.0..=1.0).contains(&score));
        }
        for (class, recall) in confusion.recall().iter().enumerate() {
            prop_assert_eq!(recall.is_some(), truth.contains(&class));
        }
        let (mut t, mut p) = (truth.clone(), predicted.clone());
        t.reverse();
        p.reverse();
        prop_assert_eq!(Confusion::new(&t, &p, CLASSES).unwrap(), confusion);
    }

    #[test]
    fn renaming_classes_renames_recalls_and_keeps_the_scores((truth, predicted) in outcomes()) {
        let rename = |labels: &[usize]| -> Vec<usize> { labels.iter().map(|l| (l + 1) % CLASSES).collect() };
        let a = Confusion::new(&truth, &predicted, CLASSES).unwrap();
        let b = Confusion::new(&rename(&truth), &rename(&predicted), CLASSES).unwrap();
        prop_assert_eq!(a.accuracy(), b.accuracy());
        // a sum of four terms in another order
        prop_assert!((a.macro_f1() - b.macro_f1()).abs() <= 4.0 * f64::EPSILON);
        let mut recall = a.recall();
        recall.rotate_right(1);
        prop_assert_eq!(recall, b.recall());
    }

    #[test]
    fn truth_predicted_with_certainty_is_perfect(truth in vec(0..CLASSES, 1..40)) {
        let certain: Vec<f64> = truth.iter().flat_map(|&t| (0..CLASSES).map(move |k| f64::from(u8::from(k == t)))).collect();
        prop_assert_eq!(expected_calibration_error(&certain, &truth, CLASSES, 15).unwrap(), 0.0);
        let confusion = Confusion::new(&truth, &truth, CLASSES).unwrap();
        prop_assert_eq!((confusion.accuracy(), confusion.macro_f1()), (1.0, 1.0));
    }

    #[test]
    fn one_bin_makes_the_calibration_error_the_gap_of_the_means(
        rows in vec((vec(0.01..1.0, CLASSES), 0..CLASSES), 1..40)
    ) {
        let (mut p, mut truth, mut gap) = (Vec::new(), Vec::new(), 0.0);
        for (row, label) in &rows {
            let sum: f64 = row.iter().sum();
            let row: Vec<f64> = row.iter().map(|v| v / sum).collect();
            let top = row.iter().copied().fold(0.0, f64::max);
            gap += f64::from(u8::from(row.iter().position(|v| *v == top) == Some(*label))) - top;
            p.extend(row);
            truth.push(*label);
        }
        let one = expected_calibration_error(&p, &truth, CLASSES, 1).unwrap();
        let many = expected_calibration_error(&p, &truth, CLASSES, 15).unwrap();
        prop_assert!((one - gap.abs() / truth.len() as f64).abs() < 1e-12);
        // splitting a bin can only reveal gaps that cancelled
        prop_assert!(many >= one - 1e-12);
        prop_assert!(many <= 1.0);
    }

    #[test]
    fn moments_scale_as_their_units_say(x in vec(-10.0..10.0, 3..50), factor in 0.01..100.0_f64, offset in -5.0..5.0_f64) {
        let scaled: Vec<f64> = x.iter().map(|v| v * factor).collect();
        prop_assert!((rms(&scaled) - factor * rms(&x)).abs() <= 1e-12 * rms(&scaled));
        let moved: Vec<f64> = x.iter().map(|v| v * factor + offset).collect();
        let k = kurtosis(&x);
        prop_assert!(k >= 1.0 - 1e-12 && k <= x.len() as f64);
        // the offset costs digits of the spread: at most 5 / (0.01 spread)
        let spread = x.iter().fold(f64::MIN, |m, v| m.max(*v)) - x.iter().fold(f64::MAX, |m, v| m.min(*v));
        prop_assume!(spread > 0.1);
        prop_assert!((kurtosis(&moved) - k).abs() < 1e-7 * k);
    }

    #[test]
    fn a_constant_signal_has_kurtosis_0(value in -1e6..1e6_f64, n in 1..50_usize) {
        prop_assert_eq!(kurtosis(&vec![value; n]), 0.0);
    }

    #[test]
    fn the_gradient_of_the_penalised_likelihood_vanishes_at_the_fit(
        (x, n, d) in table(4..30, 1..6), c in 0.05..20.0_f64, shift in 0..CLASSES
    ) {
        // an independent, slow statement of the optimum: (p - y)' x + w / C = 0 and sum of (p - y) = 0
        let classes = 3;
        let y: Vec<usize> = (0..n).map(|i| (i + shift) % classes).collect();
        let model = LogisticRegression::fit(&x, &y, classes, &LogisticConfig { c, ..LogisticConfig::default() }).unwrap();
        let p = model.predict_proba(&x).unwrap();
        for k in 0..classes {
            let residual: Vec<f64> = (0..n).map(|i| p[i * classes + k] - f64::from(u8::from(y[i] == k))).collect();
            prop_assert!(residual.iter().sum::<f64>().abs() < 1e-6 * n as f64);
            for j in 0..d {
                let column: Vec<f64> = (0..n).map(|i| x[i * d + j]).collect();
                let g = dot(&residual, &column) + model.weights()[k * d + j] / c;
                prop_assert!(g.abs() < 1e-6 * n as f64, "{g}");
            }
        }
        prop_assert_eq!(model.intercepts().len(), classes);
        for row in p.chunks(classes) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_order_of_classes_does_not_matter_to_logistic_regression((x, n, d) in table(6..20, 1..4)) {
        let y: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let renamed: Vec<usize> = y.iter().map(|l| 2 - l).collect();
        let a = LogisticRegression::fit(&x, &y, 3, &LogisticConfig::default()).unwrap();
        let b = LogisticRegression::fit(&x, &renamed, 3, &LogisticConfig::default()).unwrap();
        for k in 0..3 {
            for j in 0..d {
                prop_assert!((a.weights()[k * d + j] - b.weights()[(2 - k) * d + j]).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn no_other_centroid_is_nearer_than_that_of_the_predicted_class((x, n, d) in table(2..30, 1..4)) {
        let y: Vec<usize> = (0..n).map(|i| i % 2 + 1).collect(); // class 0 has no sample
        let model = NearestCentroid::fit(&x, &y, 3).unwrap();
        prop_assert!(model.centroids()[0].is_none());
        for (row, class) in x.chunks(d).zip(model.predict(&x).unwrap()) {
            let distance = |k: usize| -> f64 {
                let c = model.centroids()[k].as_ref().unwrap();
                row.iter().zip(c).map(|(a, b)| (a - b).powi(2)).sum()
            };
            prop_assert!(class != 0);
            prop_assert!(distance(class) <= distance(3 - class));
        }
    }

    #[test]
    fn principal_components_are_orthonormal_eigenvectors((x, n, d) in table(2..25, 1..8)) {
        let count = n.min(d);
        let pca = Pca::fit(&x, n, d, count).unwrap();
        let t = pca.transform(&x).unwrap();
        for (a, u) in pca.components().iter().enumerate() {
            for (b, v) in pca.components().iter().enumerate() {
                prop_assert!((dot(u, v) - f64::from(u8::from(a == b))).abs() < 1e-10);
                // coordinates along different components are uncorrelated, and their variance is the one stated
                let covariance = (0..n).map(|i| t[i * count + a] * t[i * count + b]).sum::<f64>() / (n - 1).max(1) as f64;
                let expected = if a == b { pca.explained_variance()[a] } else { 0.0 };
                prop_assert!((covariance - expected).abs() < 1e-9, "{covariance} {expected}");
            }
            let largest = u.iter().copied().fold(0.0, |m: f64, v| if v.abs() > m.abs() { v } else { m });
            prop_assert!(largest > 0.0);
        }
        for pair in pca.explained_variance().windows(2) {
            prop_assert!(pair[0] >= pair[1] - 1e-9);
        }
        // all components together hold all the variance that n rows can have
        if n > d {
            prop_assert!((pca.explained_variance_ratio().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_a_distance_lies_between_0_and_2_whatever_the_scale(
        (x, n, d) in table(4..20, 1..4), factor in 1e-3..1e3_f64, seed in any::<u64>()
    ) {
        let (a, b) = x.split_at(n / 2 * d);
        let distance = proxy_a_distance(a, b, d, seed).unwrap();
        prop_assert!((0.0..=2.0).contains(&distance.value) && (0.0..=1.0).contains(&distance.error));
        prop_assert_eq!(distance, proxy_a_distance(a, b, d, seed).unwrap());
        // by a power of two, so that standardising meets the same digits
        let factor = 2.0_f64.powi(factor.log2() as i32);
        let scaled: Vec<f64> = x.iter().map(|v| v * factor).collect();
        let (a, b) = scaled.split_at(n / 2 * d);
        prop_assert_eq!(distance, proxy_a_distance(a, b, d, seed).unwrap());
    }
}
