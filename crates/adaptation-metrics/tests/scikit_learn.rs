//! The numbers of scikit-learn, scipy and numpy (`fixtures/scikit_learn.py`).

use adaptation_metrics::{
    Confusion, LogisticConfig, LogisticRegression, NearestCentroid, Pca, expected_calibration_error, kurtosis, rms,
};
use serde_json::Value;

/// Rounding of some hundred f64 operations on values of order 1.
const ROUNDING: f64 = 1e-12;

fn cases(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("fixtures/scikit_learn.json")).expect("the fixture is JSON");
    all[name].as_array().expect("a list of cases").clone()
}

fn floats(v: &Value) -> Vec<f64> {
    v.as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_f64().expect("a number"))
        .collect()
}

fn optional(v: &Value) -> Vec<Option<f64>> {
    v.as_array().expect("a list").iter().map(Value::as_f64).collect()
}

fn integers(v: &Value) -> Vec<usize> {
    v.as_array().expect("a list").iter().map(integer).collect()
}

fn integer(v: &Value) -> usize {
    v.as_u64().expect("a count") as usize
}

fn float(v: &Value) -> f64 {
    v.as_f64().expect("a number")
}

#[track_caller]
fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "at {i}: {a} instead of {b}");
    }
}

#[test]
fn scores_are_those_of_scikit_learn() {
    for case in cases("scores") {
        let confusion = Confusion::new(
            &integers(&case["truth"]),
            &integers(&case["predicted"]),
            integer(&case["classes"]),
        )
        .unwrap();
        assert!((confusion.accuracy() - float(&case["accuracy"])).abs() <= ROUNDING);
        assert!((confusion.macro_f1() - float(&case["macro_f1"])).abs() <= ROUNDING);
        for (found, expected) in [(confusion.recall(), &case["recall"]), (confusion.f1(), &case["f1"])] {
            let expected = optional(expected);
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(&expected) {
                match (f, e) {
                    (Some(f), Some(e)) => assert!((f - e).abs() <= ROUNDING, "{f} instead of {e}"),
                    _ => assert_eq!(f, e),
                }
            }
        }
    }
}

#[test]
fn calibration_error_is_that_of_its_definition_in_numpy() {
    for case in cases("calibration") {
        let p = floats(&case["probabilities"]);
        let error = expected_calibration_error(
            &p,
            &integers(&case["truth"]),
            integer(&case["classes"]),
            integer(&case["bins"]),
        );
        assert!((error.unwrap() - float(&case["error"])).abs() <= ROUNDING);
    }
}

#[test]
fn moments_are_those_of_scipy() {
    for case in cases("moments") {
        let x = floats(&case["x"]);
        assert!((rms(&x) - float(&case["rms"])).abs() <= ROUNDING * float(&case["rms"]));
        // centring a signal whose mean is 5,000 times its spread costs four of the sixteen digits, squares double it
        assert!((kurtosis(&x) - float(&case["kurtosis"])).abs() <= 1e-9);
    }
}

#[test]
fn nearest_centroid_predicts_as_scikit_learn() {
    for case in cases("centroid") {
        let model =
            NearestCentroid::fit(&floats(&case["x"]), &integers(&case["y"]), integer(&case["classes"])).unwrap();
        for (found, expected) in model.centroids().iter().zip(case["centroids"].as_array().unwrap()) {
            close(
                found.as_ref().expect("every class has samples"),
                &floats(expected),
                ROUNDING,
            );
        }
        assert_eq!(
            model.predict(&floats(&case["fresh"])).unwrap(),
            integers(&case["predicted"])
        );
    }
}

#[test]
fn logistic_regression_has_the_minimum_of_scikit_learn() {
    for case in cases("logistic") {
        let config = LogisticConfig {
            c: float(&case["c"]),
            ..LogisticConfig::default()
        };
        let y = integers(&case["y"]);
        let model = LogisticRegression::fit(&floats(&case["x"]), &y, integer(&case["classes"]), &config).unwrap();
        assert!(model.converged(), "{} steps", model.iterations());
        // the penalty makes the objective per sample 1/(C n)-convex: the distance to the minimum is at most C n times
        // the gradient, here 100 * 40 * 1e-9 for the largest C, plus what scikit-learn itself is off
        close(model.weights(), &floats(&case["weights"]), 1e-4);
        close(model.intercepts(), &floats(&case["intercepts"]), 1e-4);
        let fresh = floats(&case["fresh"]);
        close(
            &model.predict_proba(&fresh).unwrap(),
            &floats(&case["probabilities"]),
            1e-4,
        );
        assert_eq!(model.predict(&fresh).unwrap(), integers(&case["predicted"]));
    }
}

#[test]
fn principal_components_are_those_of_scikit_learn() {
    for case in cases("pca") {
        let (x, rows) = (floats(&case["x"]), integer(&case["rows"]));
        let components = case["components"].as_array().unwrap();
        let pca = Pca::fit(&x, rows, x.len() / rows, components.len()).unwrap();
        close(pca.explained_variance(), &floats(&case["explained_variance"]), 1e-9);
        close(
            &pca.explained_variance_ratio(),
            &floats(&case["explained_variance_ratio"]),
            1e-9,
        );
        for (found, expected) in pca.components().iter().zip(components) {
            close(found, &floats(expected), 1e-6);
        }
        close(&pca.transform(&x).unwrap(), &floats(&case["transformed"]), 1e-6);
    }
}
