//! What rounding allows.
//!
//! A sum of n products, computed in any order with or without fused multiplication, is off by at most
//! `gamma(n) sum |a b|`, `gamma(n) = n u / (1 - n u)` and `u` half of eps (Higham 2002, "Accuracy and Stability of Numerical
//! Algorithms", section 3.1). `2 n eps sum |a b|` is four times that: room for the reference's own rounding in f64 and for
//! sums of partial sums, and three orders below what a wrong or missing term does.

use candle_core::{DType, Tensor};

use super::flat;

/// A sum of products in f64, with what bounds the rounding error of computing it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub value: f64,
    /// Sum of the products' sizes.
    pub magnitude: f64,
    /// Number of the products.
    pub terms: f64,
}

impl Sum {
    pub fn add(&mut self, product: f64) {
        self.value += product;
        self.magnitude += product.abs();
        self.terms += 1.0;
    }
}

/// Fails unless every element of `found` is within `2 n eps sum |a b|` of its sum.
#[track_caller]
pub fn assert_within(found: &Tensor, expected: &[Sum], what: &str) {
    let eps = match found.dtype() {
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::EPSILON,
    };
    let found = flat(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, sum)) in found.iter().zip(expected).enumerate() {
        let bound = 2.0 * sum.terms * eps * sum.magnitude;
        // not `>`, which NaN passes
        assert!(
            (found - sum.value).abs() <= bound,
            "{what}, element {i}: {found}, expected {} +- {bound:e} ({} products)",
            sum.value,
            sum.terms
        );
    }
}
