//! t-SNE against its definition and scikit-learn, and accuracy against coverage.

use adaptation_metrics::{CoveragePoint, Tsne, TsneConfig, accuracy_against_coverage};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tsne.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Equations 1 to 4 as they stand: each precision by plain halving, sums over all pairs.
fn divergence(x: &[f64], rows: usize, perplexity: f64, points: &[[f64; 2]]) -> f64 {
    let d = x.len() / rows;
    let squared = |i: usize, j: usize| -> f64 { (0..d).map(|k| (x[i * d + k] - x[j * d + k]).powi(2)).sum() };
    let conditional: Vec<Vec<f64>> = (0..rows)
        .map(|i| {
            let at = |beta: f64| {
                let w: Vec<f64> = (0..rows)
                    .map(|j| if j == i { 0.0 } else { (-beta * squared(i, j)).exp() })
                    .collect();
                let sum: f64 = w.iter().sum();
                let p: Vec<f64> = w.iter().map(|w| w / sum).collect();
                let entropy: f64 = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
                (p, entropy)
            };
            let (mut low, mut high) = (0.0, 50.0);
            for _ in 0..200 {
                let middle = f64::midpoint(low, high);
                if at(middle).1 > perplexity.ln() {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            at(low).0
        })
        .collect();
    let close = |i: usize, j: usize| 1.0 / (1.0 + (0..2).map(|k| (points[i][k] - points[j][k]).powi(2)).sum::<f64>());
    let pairs = || (0..rows).flat_map(|i| (0..rows).filter(move |&j| j != i).map(move |j| (i, j)));
    let total: f64 = pairs().map(|(i, j)| close(i, j)).sum();
    pairs()
        .map(|(i, j)| {
            let p = (conditional[i][j] + conditional[j][i]) / (2.0 * rows as f64);
            if p > 0.0 {
                p * (p * total / close(i, j)).ln()
            } else {
                0.0
            }
        })
        .sum()
}

#[test]
fn the_divergence_is_that_of_the_definition_and_near_scikit_learns() {
    let case = fixture();
    let (x, rows) = (numbers(&case["x"]), case["rows"].as_u64().unwrap() as usize);
    let perplexity = case["perplexity"].as_f64().unwrap();
    let config = TsneConfig {
        perplexity,
        iterations: 1000,
    };
    let found = Tsne::fit(&x, rows, &config).unwrap();
    let expected = divergence(&x, rows, perplexity, &found.points);
    assert!(
        (found.divergence - expected).abs() < 1e-8,
        "{} and {expected}",
        found.divergence
    );
    // neither finds the lowest of many minima: a fifth apart is usual from one start to another
    let peer = case["divergence"].as_f64().unwrap();
    assert!(
        found.divergence < 1.2 * peer,
        "{} where scikit-learn reaches {peer}",
        found.divergence
    );
    assert_eq!(found, Tsne::fit(&x, rows, &config).unwrap(), "the same bits each time");
}

/// Three groups in ten dimensions stay three groups: the nearest neighbour in the picture is of the own group.
#[test]
fn groups_stay_together() {
    let case = fixture();
    let (x, rows) = (numbers(&case["x"]), case["rows"].as_u64().unwrap() as usize);
    let group = |row: usize| row % 3;
    let points = Tsne::fit(
        &x,
        rows,
        &TsneConfig {
            perplexity: 10.0,
            ..Default::default()
        },
    )
    .unwrap()
    .points;
    for i in 0..rows {
        let distance = |j: usize| (points[i][0] - points[j][0]).hypot(points[i][1] - points[j][1]);
        let nearest = (0..rows)
            .filter(|&j| j != i)
            .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
            .unwrap();
        assert_eq!(group(nearest), group(i), "row {i}");
    }
}

#[test]
fn rows_that_are_alike_or_huge_are_no_trouble() {
    for x in [
        vec![3.0; 40],
        (0..40).map(|i| f64::from(i) * 1e100).collect(),
        (0..40).map(|i| f64::from(i / 20)).collect(),
    ] {
        for rows in [40, 20] {
            let found = Tsne::fit(
                &x,
                rows,
                &TsneConfig {
                    perplexity: 5.0,
                    iterations: 100,
                },
            )
            .unwrap();
            assert!(found.points.iter().flatten().all(|v| v.is_finite()));
            assert!(found.divergence.is_finite());
        }
    }
}

#[test]
fn what_cannot_be_laid_out_is_refused() {
    let fit = |x: &[f64], rows, perplexity| {
        Tsne::fit(
            x,
            rows,
            &TsneConfig {
                perplexity,
                ..Default::default()
            },
        )
    };
    assert!(fit(&[1.0, 2.0], 2, 1.0).unwrap_err().to_string().contains("at least 3"));
    assert!(
        fit(&[1.0, 2.0, 3.0], 3, 3.0)
            .unwrap_err()
            .to_string()
            .contains("below the 3 rows")
    );
    assert!(fit(&[1.0, 2.0, 3.0], 3, f64::NAN).is_err());
    assert!(fit(&[1.0, f64::NAN, 3.0], 3, 2.0).is_err());
    assert!(fit(&[], 3, 2.0).is_err());
}

#[test]
fn coverage_rises_from_the_surest_and_ties_come_in_together() {
    let point = |threshold, coverage, accuracy| CoveragePoint {
        threshold,
        coverage,
        accuracy,
    };
    let found = accuracy_against_coverage(&[0.5, 0.9, 0.5, 0.7], &[false, true, true, true]).unwrap();
    assert_eq!(
        found,
        [point(0.9, 0.25, 1.0), point(0.7, 0.5, 1.0), point(0.5, 1.0, 0.75)]
    );
    assert!(accuracy_against_coverage(&[], &[]).is_err());
    assert!(accuracy_against_coverage(&[0.5], &[]).is_err());
    assert!(accuracy_against_coverage(&[f64::NAN], &[true]).is_err());
}
