use std::f64::consts::LN_2;

use crate::running_median::SortedWindow;

/// Added to a whitened power before its logarithm: `ln(S ln 2 / M + 0.001)`.
pub const WHITENING_FLOOR: f64 = 1e-3;

/// The logarithm of a power spectrum over its background: `ln(S ln 2 / M + 0.001)`, `M` the
/// [`running_median`](crate::running_median) over `half` bins to each side.
///
/// The median of exponentially distributed power (a bin of Gaussian noise) is `ln 2` times its mean, so noise
/// comes out with mean power 1, whatever its colour, and a narrow line keeps its height: unit nepers of power,
/// -6.9 for no power. The constant is [`WHITENING_FLOOR`]. Where the background is 0 the value is infinite, or
/// -6.9 if the power is 0 too. Powers that are negative or NaN have no meaning here.
///
/// The factor is the median of the exponential distribution with mean 1.
pub fn whiten(power: &[f64], half: usize) -> Vec<f64> {
    let mut whitened = vec![0.0; power.len()];
    whiten_into(power, half, &mut SortedWindow::default(), &mut whitened);
    whitened
}

/// [`whiten`] into a slice as long as `power`.
pub(super) fn whiten_into(power: &[f64], half: usize, window: &mut SortedWindow, whitened: &mut [f64]) {
    window.medians(power, half, whitened);
    for (value, power) in whitened.iter_mut().zip(power) {
        let background = *value;
        // 0 / 0: no power over no background
        let relative = if *power == 0.0 { 0.0 } else { power * LN_2 / background };
        *value = (relative + WHITENING_FLOOR).ln();
    }
}
