//! The unit vectors along which a tensor is looked at: its axes, or random ones.

use crate::Place;

/// Unit vectors in the space of a tensor's elements.
pub(crate) enum Probes {
    /// Every axis of a tensor of so many elements.
    Axes(usize),
    /// Random directions.
    Random(Vec<Vec<f64>>),
}

impl Probes {
    pub(crate) fn new(elements: usize, most: usize, directions: usize, random: &mut SplitMix) -> Self {
        if elements <= most {
            Self::Axes(elements)
        } else {
            Self::Random((0..directions).map(|_| unit_vector(elements, random)).collect())
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Axes(n) => *n,
            Self::Random(vectors) => vectors.len(),
        }
    }

    /// Component `k` of `values` in this basis.
    pub(crate) fn dot(&self, k: usize, values: &[f64]) -> f64 {
        match self {
            Self::Axes(_) => values[k],
            Self::Random(vectors) => dot(&vectors[k], values),
        }
    }

    /// Vector `k`, written out.
    pub(crate) fn vector(&self, k: usize) -> Vec<f64> {
        match self {
            Self::Axes(n) => axis(*n, k),
            Self::Random(vectors) => vectors[k].clone(),
        }
    }

    pub(crate) fn place(&self, k: usize, dims: &[usize]) -> Place {
        match self {
            Self::Axes(_) => Place::Element(unravel(k, dims)),
            Self::Random(_) => Place::Random(k),
        }
    }
}

pub(crate) fn axis(elements: usize, k: usize) -> Vec<f64> {
    let mut vector = vec![0.0; elements];
    vector[k] = 1.0;
    vector
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Index in each dimension of element `flat` in row-major order.
pub(crate) fn unravel(mut flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (i, dim) in index.iter_mut().zip(dims).rev() {
        *i = flat % dim;
        flat /= dim;
    }
    index
}

/// Components of either sign whose sizes differ by at most a factor of 3: none is so small that an error in its element
/// stays unseen, and no two are so alike that equal errors cancel, as they would half of the time with signs alone.
fn unit_vector(elements: usize, random: &mut SplitMix) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..elements)
        .map(|_| {
            let uniform = random.uniform();
            if random.next() >> 63 == 0 {
                0.5 + uniform
            } else {
                -0.5 - uniform
            }
        })
        .collect();
    let length = dot(&vector, &vector).sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

/// `SplitMix64` (Steele, Lea and Flood 2014): enough for directions, and no dependency.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
