use crate::{DefectFamily, Geometry, SlipRange};

/// What was found at one defect order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FamilyScore {
    /// which part would be damaged
    pub family: DefectFamily,
    /// the kinematic order, impacts a turn
    pub order: f64,
    /// the slip at which the harmonics stand out most, as a fraction of the order
    pub slip: f64,
    /// mean over the harmonics at that slip of the prominence spectrum, nepers of power, 0 to the clip
    pub prominence: f64,
    /// `z`: the prominence above what orders that mean nothing reach, nepers of power; 0 is background
    pub z: f64,
    /// how many of the harmonics lie within the envelope spectrum at that slip; the others all read its last bin
    pub harmonics_within: usize,
}

/// The scores of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DefectOrderScores {
    /// in the order of [`DefectFamily::ALL`]
    pub families: [FamilyScore; 3],
    /// median of the prominence of the decoy orders, nepers of power: what every `z` is measured from
    pub decoy_median: f64,
}

impl DefectOrderScores {
    /// What stands in a representation before its first window.
    pub(super) fn blank() -> Self {
        Self {
            families: DefectFamily::ALL.map(|family| FamilyScore {
                family,
                order: 0.0,
                slip: 0.0,
                prominence: 0.0,
                z: 0.0,
                harmonics_within: 0,
            }),
            decoy_median: 0.0,
        }
    }

    /// The score of one family.
    pub fn get(&self, family: DefectFamily) -> &FamilyScore {
        &self.families[family.index()]
    }
}

/// Nearest whole number, halves upwards.
pub(super) fn nearest(x: f64) -> usize {
    (x + 0.5).floor() as usize
}

/// Where a comb of harmonics is searched.
pub(super) struct Comb<'a> {
    /// mean over bands of the clipped, whitened spectrum
    pub spectrum: &'a [f64],
    /// bins for one turn of the shaft a second: length of the window in seconds
    pub seconds: f64,
    pub shaft_hz: f64,
    pub harmonics: usize,
    pub slip: SlipRange,
}

impl Comb<'_> {
    /// The largest mean over harmonics of an order, and the first slip that reaches it.
    fn prominence(&self, order: f64) -> (f64, f64) {
        let last = self.spectrum.len() - 1;
        let bins = order * self.shaft_hz * self.seconds;
        let mut best = (f64::NEG_INFINITY, 0.0);
        for slip in self.slip.steps() {
            let stretch = 1.0 + slip;
            let sum: f64 = (1..=self.harmonics)
                .map(|h| self.spectrum[nearest(stretch * h as f64 * bins).min(last)])
                .sum();
            if sum > best.0 {
                best = (sum, slip);
            }
        }
        (best.0 / self.harmonics as f64, best.1)
    }

    /// The scores of a bearing's families.
    pub(super) fn scores(&self, geometry: &Geometry) -> DefectOrderScores {
        let mut decoys = Decoys::of(geometry);
        for decoy in decoys.used() {
            *decoy = self.prominence(*decoy).0;
        }
        let decoy_median = crate::scale::median(decoys.used());
        let families = DefectFamily::ALL.map(|family| {
            let order = family.order(geometry);
            let (prominence, slip) = self.prominence(order);
            let last = self.spectrum.len() - 1;
            let within = |h: &usize| nearest((1.0 + slip) * *h as f64 * (order * self.shaft_hz * self.seconds)) <= last;
            FamilyScore {
                family,
                order,
                slip,
                prominence,
                z: prominence - decoy_median,
                harmonics_within: (1..=self.harmonics).filter(within).count(),
            }
        });
        DefectOrderScores { families, decoy_median }
    }
}

/// The orders 2.30, 2.35 .. 6.20 that lie near no defect order and no harmonic of the shaft.
struct Decoys {
    orders: [f64; Self::GRID],
    count: usize,
}

/// The highest decoy order.
pub(super) const HIGHEST_DECOY: f64 = 6.2;

impl Decoys {
    const GRID: usize = 79;

    /// Left out: within 4 % of BPFI, BPFO, 2 BSF or BSF, or within 0.06 of a whole number. Some always remain: 4 %
    /// around four orders and 0.06 around whole numbers cannot cover the range.
    fn of(geometry: &Geometry) -> Self {
        let near = [geometry.bpfi, geometry.bpfo, geometry.ball_impact(), geometry.bsf];
        let mut decoys = Self {
            orders: [0.0; Self::GRID],
            count: 0,
        };
        for i in 0..Self::GRID {
            let order = (230 + 5 * i) as f64 / 100.0;
            let apart = near.iter().all(|o| (order / o - 1.0).abs() > 0.04);
            if apart && (order - order.round()).abs() > 0.06 {
                decoys.orders[decoys.count] = order;
                decoys.count += 1;
            }
        }
        decoys
    }

    fn used(&mut self) -> &mut [f64] {
        &mut self.orders[..self.count]
    }
}
