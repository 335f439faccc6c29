use super::analyser::with_analyser;
use super::parameters::DefectOrderParameters;
use super::prominence::nearest;
use super::representation::DefectOrders;
use crate::error::positive;
use crate::{DefectFamily, Error, Geometry, Result};

/// Cells of the envelope spectrum as a model sees it: 1 to 1500 Hz, 1 Hz wide.
pub(crate) const ENVELOPE_CELLS: usize = 1500;

/// Width of those cells, Hz.
const CELL_HZ: f64 = 1.0;

/// Cells of the order spectrum as a model sees it: 1/16 to 32 orders, 1/16 wide.
pub(crate) const ORDER_CELLS: usize = 512;

/// Width of those cells, turns of the shaft.
const CELL_ORDERS: f64 = 1.0 / 16.0;

/// Slips to each side of a family's own in a profile, in steps of 0.1 %.
const PROFILE_HALF: i16 = 16;

/// Slips of a profile: 16 steps of 0.1 % to each side of the family's own.
pub const PROFILE_SLIPS: usize = 2 * PROFILE_HALF as usize + 1;

impl DefectOrders {
    /// How far the harmonics of each family stand out as the slip moves away from the family's own, band by band: family
    /// (BPFI, BPFO, 2BSF) by band by [`PROFILE_SLIPS`] slips from -1.6 % to +1.6 % of the own one in steps of 0.1 %, flattened
    /// in this order. Nepers of power above what decoy orders reach.
    ///
    /// A value is the mean over the harmonics of the clipped (`0 ..= clip`), cut spectrum of the band, less the decoys' median. So
    /// the mean over bands of the middle column is the family's score `z`: whatever a rule on the scores can decide, a model
    /// of these values can, and harmonics are pooled by the formula, not by the model. A line that is there leaves a peak in
    /// the middle; chance leaves ripples.
    pub fn slip_profiles(&self) -> Vec<f64> {
        let last = self.bins - 1;
        let mut profiles = Vec::with_capacity(DefectFamily::ALL.len() * self.bands() * PROFILE_SLIPS);
        for family in &self.scores.families {
            let turn = family.order * self.shaft_hz * self.seconds;
            for row in self.cut.chunks_exact(self.bins) {
                profiles.extend((-PROFILE_HALF..=PROFILE_HALF).map(|step| {
                    let stretch = 1.0 + (family.slip + f64::from(step) / 1000.0);
                    let sum: f64 = (1..=self.harmonics)
                        .map(|h| row[nearest(stretch * h as f64 * turn).min(last)].clamp(0.0, self.clip))
                        .sum();
                    sum / self.harmonics as f64 - self.scores.decoy_median
                }));
            }
        }
        profiles
    }
}

/// [`DefectOrders::slip_profiles`] of a window, by the default parameters.
pub(crate) fn slip_profiles(window: &[f64], rate_hz: f64, shaft_hz: f64, geometry: &Geometry) -> Result<Vec<f64>> {
    with_analyser(&DefectOrderParameters::default(), rate_hz, window.len(), |analyser| {
        Ok(analyser.analyse(window, shaft_hz, geometry)?.slip_profiles())
    })
}

/// The envelope spectrum of a window in cells of 1 Hz, by the default parameters.
pub(crate) fn envelope_cells(window: &[f64], rate_hz: f64) -> Result<Vec<f64>> {
    in_cells(window, rate_hz, CELL_HZ, ENVELOPE_CELLS)
}

/// The envelope spectrum of a window in cells of 1/16 of the shaft's speed, by the default parameters.
pub(crate) fn order_cells(window: &[f64], rate_hz: f64, shaft_hz: f64) -> Result<Vec<f64>> {
    positive("shaft_hz", shaft_hz)?;
    let least = rate_hz / window.len() as f64;
    if shaft_hz < least {
        return Err(Error::Argument {
            name: "shaft_hz",
            found: shaft_hz.to_string(),
            expected: format!("at least {least}, a turn in the window"),
        });
    }
    in_cells(window, rate_hz, CELL_ORDERS * shaft_hz, ORDER_CELLS)
}

/// The envelope spectrum in cells of `width_hz`, the first one around `width_hz`.
fn in_cells(window: &[f64], rate_hz: f64, width_hz: f64, cells: usize) -> Result<Vec<f64>> {
    let width = width_hz * (window.len() as f64 / rate_hz);
    with_analyser(&DefectOrderParameters::default(), rate_hz, window.len(), |analyser| {
        Ok(cells_of(analyser.envelope_spectrum(window)?, width, cells))
    })
}

/// The largest value of each cell: of the bins within it, and of the spectrum interpolated in its middle, which is all where
/// cells are narrower than bins. Cells beyond the end of the spectrum are background, 0.
fn cells_of(row: &[f64], width: f64, cells: usize) -> Vec<f64> {
    let last = row.len() - 1;
    (1..=cells)
        .map(|cell| {
            let middle = cell as f64 * width;
            if middle > last as f64 {
                return 0.0;
            }
            let below = middle.floor();
            let t = middle - below;
            let below = below as usize;
            let interpolated = row[below] * (1.0 - t) + row[(below + 1).min(last)] * t;
            let first = (middle - width / 2.0).ceil() as usize;
            let end = ((middle + width / 2.0).ceil() as usize).min(last + 1);
            row[first.min(end)..end].iter().copied().fold(interpolated, f64::max)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_in_the_cell_of_its_frequency_whatever_the_width_of_cells_and_bins() {
        let mut row = vec![0.0; 100];
        row[60] = 2.0;
        // as wide as bins
        assert_eq!(cells_of(&row, 1.0, 80)[59], 2.0);
        // four bins to a cell: cell 15 reaches from 58 to 62
        let wide = cells_of(&row, 4.0, 30);
        assert_eq!((wide[13], wide[14], wide[15]), (0.0, 2.0, 0.0));
        // two cells to a bin: half of the line in the neighbours
        let narrow = cells_of(&row, 0.5, 150);
        assert_eq!(narrow[117..122], [0.0, 1.0, 2.0, 1.0, 0.0]);
        // nothing is known beyond the end
        assert_eq!(wide[24..], [0.0; 6]);
    }
}
