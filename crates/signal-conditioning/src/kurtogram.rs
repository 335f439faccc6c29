use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use crate::error::{all_finite, positive};
use crate::{Band, Error, Result};

/// Into how many equal bands [`kurtogram`] divides the range from zero to half the rate: octaves and thirds of octaves
/// of width, from half the range to a sixty-fourth.
pub const KURTOGRAM_DIVISIONS: [usize; 11] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

/// Bins that a band needs at least: the kurtosis of fewer is chance.
const FEWEST_BINS: usize = 32;

/// How impulsive a signal is in one band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandKurtosis {
    /// the band
    pub band: Band,
    /// spectral kurtosis: 0 in stationary noise, -1 for one line, large for rare impacts; no unit
    pub kurtosis: f64,
}

/// The spectral kurtosis of every band of [`KURTOGRAM_DIVISIONS`], coarse to fine and low to high; bands of fewer than 32 bins are
/// left out.
///
/// For each band `mean |z|^4 / (mean |z|^2)^2 - 2`, `z` the analytic signal in the band, as [`band_envelope`](crate::band_envelope)
/// makes it (the mean removed, no transition at the edges). It needs no label and no geometry: the band where it is largest
/// ([`most_impulsive_band`]) is where impacts stand out most. A single knock, such as a dropped tool, stands out too.
///
/// A rate that is not positive and finite, a sample that is not finite, a window that is too short for the coarsest division, and
/// a window without variation are errors.
///
/// Source: J. Antoni, "Fast computation of the kurtogram for the detection of transient faults", Mech. Syst. Signal Process. 21
/// (2007), equations 5 and 6 and the 1/3-binary tree of section 3.3; the filters here are ideal.
pub fn kurtogram(x: &[f64], rate_hz: f64) -> Result<Vec<BandKurtosis>> {
    positive("rate_hz", rate_hz)?;
    all_finite(x)?;
    let needed = 2 * (KURTOGRAM_DIVISIONS[0] * FEWEST_BINS + 1);
    if x.len() < needed {
        return Err(Error::WindowTooShort {
            found: x.len(),
            needed,
            kind: "kurtogram",
        });
    }
    let n = x.len();
    let mean = x.iter().sum::<f64>() / n as f64;
    let mut planner = FftPlanner::new();
    let mut spectrum: Vec<Complex<f64>> = x.iter().map(|x| Complex::new(x - mean, 0.0)).collect();
    planner.plan_fft_forward(n).process(&mut spectrum);

    let mut found = Vec::new();
    let mut z = Vec::new();
    for divisions in KURTOGRAM_DIVISIONS {
        let width = rate_hz / 2.0 / divisions as f64;
        for i in 0..divisions {
            let high = if i + 1 == divisions {
                rate_hz / 2.0
            } else {
                width * (i + 1) as f64
            };
            let band = Band::new(width * i as f64, high)?;
            let bins = band.bins(n, rate_hz)?;
            if bins.len() < FEWEST_BINS {
                continue;
            }
            // A shift of the band to zero leaves |z| alone. |z|^2 holds differences of bins, below `bins.len()` either way; twice
            // as many samples of z as bins therefore give the mean of its square without aliasing, the whole window's exactly.
            z.clear();
            z.extend_from_slice(&spectrum[bins]);
            z.resize(2 * z.len(), Complex::ZERO);
            planner.plan_fft_inverse(z.len()).process(&mut z);
            let (second, fourth) = z
                .iter()
                .map(Complex::norm_sqr)
                .fold((0.0, 0.0), |(s, f), p| (s + p, f + p * p));
            if second > 0.0 {
                let kurtosis = fourth * z.len() as f64 / (second * second) - 2.0;
                found.push(BandKurtosis { band, kurtosis });
            }
        }
    }
    if found.is_empty() {
        return Err(Error::Still {
            low_hz: 0.0,
            high_hz: rate_hz / 2.0,
        });
    }
    Ok(found)
}

/// The band of the [`kurtogram`] with the largest spectral kurtosis, of equal ones the first; errors as there.
pub fn most_impulsive_band(x: &[f64], rate_hz: f64) -> Result<BandKurtosis> {
    let bands = kurtogram(x, rate_hz)?;
    let mut best = bands[0];
    for band in bands {
        if band.kurtosis > best.kurtosis {
            best = band;
        }
    }
    Ok(best)
}
