use super::parameters::DefectOrderParameters;
use super::prominence::{DefectOrderScores, nearest};
use super::whitening::whiten_into;
use crate::DefectFamily;
use crate::running_median::SortedWindow;

/// Order bins of a row of the order map.
pub const ORDER_MAP_BINS: usize = 128;

/// Points in each order bin, of which the largest is kept.
const MAP_FINE: usize = 4;

/// The map's first and last order, in units of the family's.
const MAP_ORDERS: (f64, f64) = (0.5, 8.5);

/// What the map's values are at least, nepers of power.
const MAP_LOWEST: f64 = -1.0;

/// Harmonics of the shaft nearer to the end of the spectrum than this are not cut.
const CUT_MARGIN_HZ: f64 = 10.0;

/// The defect-order representation of one window; see [`DefectOrderAnalyser`](super::DefectOrderAnalyser) for the definitions.
#[derive(Debug, Clone, PartialEq)]
pub struct DefectOrders {
    pub(super) scores: DefectOrderScores,
    pub(super) shaft_hz: f64,
    pub(super) seconds: f64,
    pub(super) clip: f64,
    pub(super) harmonics: usize,
    /// turns of the cage for each turn of the shaft
    pub(super) cage_order: f64,
    pub(super) bins: usize,
    pub(super) power: Vec<f64>,
    pub(super) whitened: Vec<f64>,
    pub(super) cut: Vec<f64>,
    pub(super) prominence: Vec<f64>,
}

impl DefectOrders {
    /// Room for a window that is still to be analysed.
    pub(super) fn blank(seconds: f64, parameters: &DefectOrderParameters, bins: usize) -> Self {
        let rows = vec![0.0; bins * parameters.bands().len()];
        Self {
            scores: DefectOrderScores::blank(),
            shaft_hz: 0.0,
            seconds,
            clip: parameters.clip(),
            harmonics: parameters.harmonics(),
            cage_order: 0.0,
            bins,
            power: rows.clone(),
            whitened: rows.clone(),
            cut: rows,
            prominence: vec![0.0; bins],
        }
    }

    /// Score and slip of each family.
    pub fn scores(&self) -> &DefectOrderScores {
        &self.scores
    }

    /// Width of a bin of the spectra, Hz: one over the length of the window in seconds.
    pub fn bin_hz(&self) -> f64 {
        1.0 / self.seconds
    }

    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.power.len() / self.bins
    }

    /// Power of a band's standardised envelope at `0, bin_hz, 2 bin_hz ..`. An unknown band is a panic.
    pub fn envelope_spectrum(&self, band: usize) -> &[f64] {
        &self.power[band * self.bins..][..self.bins]
    }

    /// The same, whitened: nepers of power above the background, shaft lines not yet cut. An unknown band is a panic.
    pub fn whitened(&self, band: usize) -> &[f64] {
        &self.whitened[band * self.bins..][..self.bins]
    }

    /// `P`: shaft lines cut, clipped, mean over bands; nepers of power above the background.
    pub fn prominence_spectrum(&self) -> &[f64] {
        &self.prominence
    }

    /// Values of [`order_map`](Self::order_map): families x bands x [`ORDER_MAP_BINS`].
    pub fn order_map_len(&self) -> usize {
        DefectFamily::ALL.len() * self.bands() * ORDER_MAP_BINS
    }

    /// The whitened, cut spectra along orders in units of each family's own, slipped order: family (BPFI, BPFO,
    /// 2BSF) by band by 128 order bins from 0.5 to 8.5, flattened in this order.
    ///
    /// Harmonic `h` of the family lies on the edge between bins `16 h - 9` and `16 h - 8`. Each bin holds the
    /// largest of four linearly interpolated points, limited to -1 ..= clip, nepers of power. Points beyond the
    /// end of the spectrum take its last value but one.
    ///
    /// For plots and explanations: a network on this map did worse than the formula of the scores on every pair
    /// of bearings measured.
    pub fn order_map(&self) -> Vec<f64> {
        let mut map = Vec::with_capacity(self.order_map_len());
        let points = (ORDER_MAP_BINS * MAP_FINE) as f64;
        for score in &self.scores.families {
            for row in self.cut.chunks_exact(self.bins) {
                map.extend((0..ORDER_MAP_BINS).map(|bin| {
                    let value = |point: usize| {
                        let order = MAP_ORDERS.0 + (point as f64 + 0.5) * ((MAP_ORDERS.1 - MAP_ORDERS.0) / points);
                        let position = order * (1.0 + score.slip) * score.order * self.shaft_hz * self.seconds;
                        interpolated(row, position).clamp(MAP_LOWEST, self.clip)
                    };
                    (bin * MAP_FINE..(bin + 1) * MAP_FINE)
                        .map(value)
                        .fold(MAP_LOWEST, f64::max)
                }));
            }
        }
        map
    }

    pub(super) fn whiten(&mut self, half: usize, sorted: &mut SortedWindow) {
        let rows = self.power.chunks_exact(self.bins);
        for (power, whitened) in rows.zip(self.whitened.chunks_exact_mut(self.bins)) {
            whiten_into(power, half, sorted, whitened);
        }
    }

    pub(super) fn keep_shaft_lines(&mut self) {
        self.cut.copy_from_slice(&self.whitened);
    }

    pub(super) fn cut_shaft_lines(&mut self, max_hz: f64) {
        self.keep_shaft_lines();
        // the speed was checked to be at least a turn in the window, so this is at most one step a bin
        let lines = (1..)
            .map(|k| f64::from(k) * self.shaft_hz)
            .take_while(|hz| *hz <= max_hz - CUT_MARGIN_HZ);
        for hz in lines {
            let bin = nearest(hz * self.seconds);
            let near = bin - 1..(bin + 2).min(self.bins);
            for row in self.cut.chunks_exact_mut(self.bins) {
                for value in &mut row[near.clone()] {
                    *value = value.min(0.0);
                }
            }
        }
    }

    pub(super) fn average_bands(&mut self) {
        let (clip, bands) = (self.clip, self.bands() as f64);
        self.prominence.fill(0.0);
        for row in self.cut.chunks_exact(self.bins) {
            for (sum, value) in self.prominence.iter_mut().zip(row) {
                *sum += value.clamp(0.0, clip);
            }
        }
        for sum in &mut self.prominence {
            *sum /= bands;
        }
    }
}

/// Linear interpolation between bins; past the last but one it stays there.
fn interpolated(row: &[f64], position: f64) -> f64 {
    let position = position.min((row.len() - 2) as f64);
    let below = position.floor();
    let t = position - below;
    let below = below as usize;
    row[below] * (1.0 - t) + row[below + 1] * t
}
