use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;

/// Cepstral pre-whitening: every line of the spectrum gets the magnitude 1 and keeps its phase.
///
/// What a resonance or a gear amplifies no longer stands out, so that repeated impacts show in the squared envelope of the
/// whole band and no band has to be chosen. The name comes from the real cepstrum, all of which but its value at zero is set to
/// zero by it. Equal to `numpy.fft.irfft(X / abs(X), n)` with `X` the transform; a line that is exactly zero stays zero (a signal of
/// zeros therefore stays one). The result has no unit and a root mean square of at most `1 / sqrt(n)`. The window is
/// taken as one period of a periodic signal. NaN or infinity anywhere spoils all; empty stays empty.
///
/// Source: P. Borghesani, P. Pennacchi, R. B. Randall, N. Sawalhi, R. Ricci, "Application of cepstrum pre-whitening for the
/// diagnosis of bearing faults under variable speed conditions", Mech. Syst. Signal Process. 36 (2013), equation 7.
pub fn cepstral_prewhitening(x: &[f64]) -> Vec<f64> {
    let n = x.len();
    if n == 0 {
        return Vec::new();
    }
    let mut planner = RealFftPlanner::new();
    let (forward, inverse) = (planner.plan_fft_forward(n), planner.plan_fft_inverse(n));
    let mut samples = x.to_vec();
    let mut lines = forward.make_output_vec();
    forward
        .process(&mut samples, &mut lines)
        .expect("both buffers were made for this transform");
    for line in &mut lines {
        let modulus = line.norm();
        *line = if modulus == 0.0 {
            Complex::ZERO
        } else {
            *line / (modulus * n as f64)
        };
    }
    // the mean and half the rate are real; their imaginary parts are exact zeros, which the inverse insists on
    lines[0].im = 0.0;
    if n.is_multiple_of(2) {
        lines[n / 2].im = 0.0;
    }
    inverse
        .process(&mut lines, &mut samples)
        .expect("both buffers were made for this transform");
    samples
}
