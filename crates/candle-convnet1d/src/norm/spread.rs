//! Statistics of what a convolution of one tap makes of channels, from theirs.

use std::ops::Range;

use rayon::prelude::*;

use crate::buffer::Float;
use crate::kernels::Sizes;
use crate::lanes;
use crate::moments::Moment;
use crate::scratch::Scratch;
use crate::vectorised::vectorised;

/// Distances of the channels of `x` from their means, over the samples of a range.
pub(super) struct Spread {
    /// By channel.
    pub means: Vec<f64>,
    /// Sums of products of two channels of a group: group, channel, channel.
    pub products: Vec<f64>,
}

/// Of each range: by the rows' own means and products first, so that means far from 0 drown nothing.
pub(super) fn spreads<T: Float>(sizes: &Sizes, x: &[T], ranges: &[Range<usize>]) -> Vec<Spread> {
    let (inputs, length) = (sizes.group().0, sizes.l_in);
    let of_sample = |centred: &mut Scratch<T>, x: &[T]| {
        let centred = centred.take(inputs * length);
        let mut means = Vec::with_capacity(sizes.c_in);
        let mut products = Vec::with_capacity(sizes.c_in * inputs);
        for x in x.chunks_exact(inputs * length) {
            for (x, place) in x.chunks_exact(length).zip(centred.chunks_exact_mut(length)) {
                let mean = lanes::sum(x) / length as f64;
                means.push(mean);
                distances(x, T::from_f64(mean), place);
            }
            let row = |i: usize| &centred[i * length..][..length];
            let first = products.len();
            for (i, j) in (0..inputs).flat_map(|i| (0..inputs).map(move |j| (i, j))) {
                let product = if j < i {
                    products[first + j * inputs + i]
                } else {
                    lanes::dot(row(i), row(j))
                };
                products.push(product);
            }
        }
        Spread { means, products }
    };
    let samples: Vec<_> = x
        .par_chunks_exact(sizes.c_in * length)
        .map_init(Scratch::new, of_sample)
        .collect();
    let of_range = |range: &Range<usize>| {
        let samples = &samples[range.clone()];
        let mut means = vec![0.0; sizes.c_in];
        for sample in samples {
            means
                .iter_mut()
                .zip(&sample.means)
                .for_each(|(mean, of_sample)| *mean += of_sample / samples.len() as f64);
        }
        let mut products = vec![0.0; sizes.c_in * inputs];
        for sample in samples {
            let off = |channel: usize| sample.means[channel] - means[channel];
            for (number, product) in products.iter_mut().enumerate() {
                let (channel, j) = (number / inputs, number % inputs);
                let other = channel / inputs * inputs + j;
                *product += sample.products[number] + off(channel) * off(other) * length as f64;
            }
        }
        Spread { means, products }
    };
    ranges.iter().map(of_range).collect()
}

/// Mean and variance of each channel that the weights make of channels with this spread.
pub(super) fn moments<T: Float>(sizes: &Sizes, w: &[T], spread: &Spread, samples: &Range<usize>) -> Vec<Moment> {
    let (inputs, outputs) = sizes.group();
    let values = (samples.len() * sizes.l_in) as f64;
    let of_channel = |(channel, w): (usize, &[T])| {
        let group = channel / outputs;
        let means = &spread.means[group * inputs..][..inputs];
        let mean = w.iter().zip(means).map(|(w, mean)| w.to_f64() * mean).sum();
        let w: Vec<f64> = w.iter().map(|w| w.to_f64()).collect();
        let products = spread.products[group * inputs * inputs..].chunks_exact(inputs);
        let along = |products: &[f64]| w.iter().zip(products).map(|(w, product)| w * product).sum::<f64>();
        let var = w
            .iter()
            .zip(products)
            .map(|(w, products)| w * along(products))
            .sum::<f64>()
            / values;
        Moment {
            mean,
            // NaN stays
            var: if var < 0.0 { 0.0 } else { var },
        }
    };
    w.par_chunks_exact(inputs)
        .with_min_len(32)
        .enumerate()
        .map(of_channel)
        .collect()
}

vectorised! {
    pub(super) fn distances<T>(x: &[T], centre: T, to: &mut [T]) {
        distances_of(x, centre, to);
    }
}

#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
pub(super) fn distances_of<T: Float>(x: &[T], centre: T, to: &mut [T]) {
    for (to, &x) in to.iter_mut().zip(x) {
        *to = x - centre;
    }
}
