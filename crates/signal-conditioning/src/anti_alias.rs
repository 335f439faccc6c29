use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::{Error, Result};

/// Taps on either side of the middle one, for each unit of `max(up, down)`.
///
/// With [`BETA`] this gives 80 dB from 1.1 times the cut-off on; Kaiser's estimate of the attenuation for 54
/// taps a unit and a transition of 0.2 of the cut-off is 2.285 * 0.2 pi * 54 + 7.95 = 85 dB.
const HALF_LENGTH: usize = 27;

/// Zeros of the sinc on either side that [`kaiser_sinc`] reaches.
pub(crate) const CUT_OFF_LOBES: usize = HALF_LENGTH;

/// Table entries between two zeros of the sinc: straight lines between them are off by at most
/// `pi^2 / 3 / (8 * 1024^2) = 4e-7`.
const TABLE_STEPS: usize = 1024;

/// Kaiser's shape parameter for 85 dB: 0.1102 (85 - 8.7).
const BETA: f64 = 8.4083;

/// Low-pass filter for resampling by `up / down`: taps of a Kaiser-windowed sinc, symmetric, `54 max(up,
/// down) + 1` of them.
///
/// The cut-off (gain 1/2) is the lower of the two Nyquist frequencies. Up to 0.9 of it the gain is within
/// 0.001 dB of 1; from 1.1 times it on the attenuation is at least 80 dB. Between 0.9 and 1 times the cut-off
/// the result is attenuated and holds aliases of what lay between 1 and 1.1 times.
///
/// `up` and `down` are reduced to lowest terms first, as [`resample_poly`](crate::resample_poly) does. The
/// taps sum to 1 (they do not hold the gain `up`). For 1/1 they are a low-pass too, which `resample_poly`
/// does not use. Zero is an error.
///
/// Source: J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", IEEE ISCAS
/// 1974.
pub fn anti_alias_taps(up: usize, down: usize) -> Result<Vec<f64>> {
    if up == 0 || down == 0 {
        return Err(Error::Ratio { up, down });
    }
    let wide = up.max(down) / greatest_common_divisor(up, down);
    let half = wide
        .checked_mul(HALF_LENGTH)
        .filter(|half| {
            half.checked_mul(2 * size_of::<f64>())
                .is_some_and(|bytes| bytes < isize::MAX as usize)
        })
        .ok_or(Error::TooLong {
            samples: HALF_LENGTH,
            up,
            down,
        })?;
    let side: Vec<f64> = (0..=half)
        .map(|k| {
            let position = k as f64 / half as f64;
            sinc(k as f64 / wide as f64) * bessel_i0(BETA * (1.0 - position * position).sqrt())
        })
        .collect();
    let sum = side[0] + 2.0 * side[1..].iter().rev().sum::<f64>();
    Ok(side[1..].iter().rev().chain(&side).map(|tap| tap / sum).collect())
}

pub(crate) fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The sinc with its zeros at whole numbers under the Kaiser window of [`anti_alias_taps`], which ends at
/// [`CUT_OFF_LOBES`]; from a table by straight lines, within 1e-6.
pub(crate) fn kaiser_sinc(x: f64) -> f64 {
    static TABLE: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let end = (CUT_OFF_LOBES * TABLE_STEPS) as f64;
        let scale = bessel_i0(BETA);
        (0..=CUT_OFF_LOBES * TABLE_STEPS + 1)
            .map(|k| {
                let position = (k as f64 / end).min(1.0);
                sinc(k as f64 / TABLE_STEPS as f64) * bessel_i0(BETA * (1.0 - position * position).sqrt()) / scale
            })
            .collect()
    });
    let at = x.abs() * TABLE_STEPS as f64;
    let k = at as usize;
    match TABLE.get(k..k + 2) {
        Some(pair) => pair[0] + (pair[1] - pair[0]) * (at - k as f64),
        None => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Modified Bessel function of the first kind and order 0, by its power series; for the arguments here (below
/// 9) 30 terms reach the last bit.
fn bessel_i0(x: f64) -> f64 {
    let quarter_square = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..=30 {
        term *= quarter_square / f64::from(k * k);
        sum += term;
    }
    sum
}
