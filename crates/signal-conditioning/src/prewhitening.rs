use rustfft::FftPlanner;
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
    let mut planner = FftPlanner::new();
    let mut lines: Vec<Complex<f64>> = x.iter().map(|&x| Complex::new(x, 0.0)).collect();
    planner.plan_fft_forward(n).process(&mut lines);
    for line in &mut lines {
        let modulus = line.norm();
        *line = if modulus == 0.0 {
            Complex::ZERO
        } else {
            *line / (modulus * n as f64)
        };
    }
    planner.plan_fft_inverse(n).process(&mut lines);
    lines.iter().map(|z| z.re).collect()
}
