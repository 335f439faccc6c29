//! Two features of a vibration signal that need no learning.

/// Root mean square of a signal, in the signal's unit. Of an empty one NaN.
///
/// Squares neither overflow nor underflow: the signal is scaled by its largest value first.
pub fn rms(x: &[f64]) -> f64 {
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if x.is_empty() || x.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    largest * mean(x.iter().map(|v| (v / largest).powi(2))).sqrt()
}

/// Kurtosis of a signal: fourth central moment / variance squared, no unit. Of an empty one NaN.
///
/// 3 for Gaussian noise, 1.5 for a sine, large for rare impacts, never below 1; scipy's `kurtosis(x, fisher=False)`
/// (biased moments). A constant signal has no spread to speak of and gets 0, a value that no other signal has.
pub fn kurtosis(x: &[f64]) -> f64 {
    if x.is_empty() || x.iter().any(|v| !v.is_finite()) {
        return f64::NAN;
    }
    // by comparison, not by variance: the mean of equal values may round to another one
    if x.iter().all(|v| *v == x[0]) {
        return 0.0;
    }
    // scaled before and after centring, so that neither sums nor fourth powers overflow or underflow
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let centre = mean(x.iter().map(|v| v / largest));
    let deviation = |v: &f64| v / largest - centre;
    let widest = x.iter().map(|v| deviation(v).abs()).fold(0.0, f64::max);
    if widest == 0.0 {
        return 0.0;
    }
    let moment = |power| mean(x.iter().map(|v| (deviation(v) / widest).powi(power)));
    moment(4) / moment(2).powi(2)
}

fn mean(x: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = x.len() as f64;
    x.sum::<f64>() / n
}
