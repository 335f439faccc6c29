use std::fmt;

use serde::Serialize;

use super::DefectOrders;
use super::prominence::nearest;
use crate::DefectFamily;

/// From this level on a line is said to stand above the background, dB: four times the background's mean power.
///
/// The power of a bin of Gaussian noise is distributed exponentially, its mean over `b` bands as a gamma variable of
/// shape `b`: a bin of noise reaches this level 2 times in 100 in one band, 2 times in 100 000 in the mean of five.
pub const STANDING_DB: f64 = 6.0;

/// Limits of the level of a bin, dB, so that no power, or a background of none, gives a number.
const LOWEST_DB: f64 = -30.0;
const HIGHEST_DB: f64 = 60.0;

/// Sidebands nearer to their harmonic than this, in bins, lie in the main lobe of its Hann window.
const RESOLVED_BINS: f64 = 3.0;

/// What else has a line where a line was read, so that its level proves nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// A multiple of the shaft speed lies within a bin.
    Shaft,
    /// A harmonic of a family that scores higher lies within two bins.
    Family(DefectFamily),
}

/// One line of the envelope spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Line {
    /// frequency of the bin that was read, Hz
    pub hz: f64,
    /// level against the background, dB: noise lies near 0
    pub db: f64,
    /// what else lies there
    pub overlap: Option<Overlap>,
}

impl Line {
    /// Whether it stands above the background ([`STANDING_DB`]) and nothing else explains it.
    pub fn stands(&self) -> bool {
        self.db >= STANDING_DB && self.overlap.is_none()
    }
}

/// A harmonic of a defect frequency and its sidebands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Harmonic {
    /// 1 for the defect frequency itself
    pub number: usize,
    /// the line at the harmonic
    pub line: Line,
    /// the lower and the upper sideband; none where the window is too short to tell them from the harmonic, and
    /// only those within the spectrum
    pub sidebands: Vec<Line>,
}

/// How a defect's impacts grow and fade: what spaces the sidebands.
///
/// Source: R. B. Randall, J. Antoni, "Rolling element bearing diagnostics - a tutorial", Mech. Syst. Signal
/// Process. 25 (2011), section 2: a pit on the inner race passes the load zone once in each turn of the shaft, a
/// pit on a ball once in each turn of the cage. A pit on the outer race stays where it is and has no sidebands but
/// from an unbalanced load that turns with the shaft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modulation {
    /// At shaft speed: inner and outer race.
    Shaft,
    /// At the cage's speed: rolling elements.
    Cage,
}

/// What the envelope spectrum shows of one family; its words are what it displays as.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyEvidence {
    /// which part would be damaged
    pub family: DefectFamily,
    /// the defect frequency with slip, Hz
    pub hz: f64,
    /// the slip, as a fraction
    pub slip: f64,
    /// score above orders that mean nothing, nepers of power
    pub z: f64,
    /// the harmonics within the spectrum, at most as many as the score uses
    pub harmonics: Vec<Harmonic>,
    /// what spaces the sidebands
    pub modulation: Modulation,
}

impl FamilyEvidence {
    /// The harmonics that stand above the background and that nothing else explains.
    pub fn standing(&self) -> impl Iterator<Item = &Harmonic> {
        self.harmonics.iter().filter(|h| h.line.stands())
    }

    /// Their mean level, dB; `None` if none stands.
    pub fn harmonics_db(&self) -> Option<f64> {
        mean(self.standing().map(|h| h.line.db))
    }

    /// The mean level in dB of the sidebands of the standing harmonics that stand themselves, if these are more than
    /// half of those that can be read, and at least two.
    pub fn sidebands_db(&self) -> Option<f64> {
        let read = || {
            self.standing()
                .flat_map(|h| &h.sidebands)
                .filter(|l| l.overlap.is_none())
        };
        let standing = read().filter(|line| line.stands()).count();
        if standing < 2 || 2 * standing <= read().count() {
            return None;
        }
        mean(read().filter(|line| line.stands()).map(|line| line.db))
    }

    /// Numbers of the harmonics at which another cause has a line that stands.
    fn explained_by(&self, cause: Overlap) -> Vec<usize> {
        let explained = |h: &&Harmonic| h.line.overlap == Some(cause) && h.line.db >= STANDING_DB;
        self.harmonics.iter().filter(explained).map(|h| h.number).collect()
    }
}

impl fmt::Display for FamilyEvidence {
    /// For example `inner race: harmonics 1-4 stand 14 dB above background, sidebands at shaft speed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.family.part())?;
        let standing: Vec<usize> = self.standing().map(|h| h.number).collect();
        match (self.harmonics_db(), &standing[..]) {
            (Some(db), [one]) => write!(f, "harmonic {one} alone stands {db:.0} dB above background")?,
            (Some(db), many) => write!(f, "harmonics {} stand {db:.0} dB above background", Ranges(many))?,
            (None, _) => write!(f, "no harmonic of its own stands above background")?,
        }
        if self.sidebands_db().is_some() {
            match self.modulation {
                Modulation::Shaft => write!(f, ", sidebands at shaft speed")?,
                Modulation::Cage => write!(f, ", sidebands at cage speed")?,
            }
        }
        let causes = DefectFamily::ALL.map(Overlap::Family);
        for cause in [Overlap::Shaft].into_iter().chain(causes) {
            let numbers = self.explained_by(cause);
            let name = match cause {
                Overlap::Shaft => "shaft",
                Overlap::Family(family) => family.part(),
            };
            match &numbers[..] {
                [] => {}
                [one] => write!(f, "; {one} is also a line of the {name}")?,
                many => write!(f, "; {} are also lines of the {name}", Ranges(many))?,
            }
        }
        Ok(())
    }
}

/// The envelope spectrum of a window and the lines in it that speak for a defect: what to plot, and words.
///
/// It displays as one line of words for each family, the highest score first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// width of a bin of the spectrum, Hz
    pub bin_hz: f64,
    /// the envelope spectrum from 0 Hz on: level of each bin against its background, dB, -30 to 60; multiples of the
    /// shaft speed are left in
    pub spectrum_db: Vec<f64>,
    /// shaft speed, turns a second, Hz
    pub shaft_hz: f64,
    /// in the order of [`DefectFamily::ALL`]
    pub families: [FamilyEvidence; 3],
}

impl Evidence {
    /// What the spectrum shows of one family.
    pub fn get(&self, family: DefectFamily) -> &FamilyEvidence {
        &self.families[family.index()]
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut families: Vec<&FamilyEvidence> = self.families.iter().collect();
        families.sort_by(|a, b| b.z.total_cmp(&a.z));
        let words: Vec<String> = families.iter().map(ToString::to_string).collect();
        f.write_str(&words.join("\n"))
    }
}

impl DefectOrders {
    /// The evidence for each family: the harmonics that its score was computed from, against their background in
    /// dB, and the sidebands around them.
    ///
    /// Harmonic `h` is read at bin `round(h (1 + s) o f_r T)`, `s` the slip that the score found, its sidebands one
    /// shaft speed (rolling elements: one cage speed) below and above. The level of a bin is `10 log10` of the mean over
    /// the bands of `exp W`, the power over the background's mean power
    /// ([`DefectOrderAnalyser`](crate::DefectOrderAnalyser)), without shaft cut and clip. The mean of powers, not of
    /// logarithms as in the score: an impact that only one band carries is to be seen.
    ///
    /// The slip was chosen for the largest sum, so levels of a family without a defect are somewhat above noise
    /// too; the verdict is the rule's ([`RaceRule`](crate::RaceRule)), this explains it.
    pub fn evidence(&self) -> Evidence {
        let bands = self.bands() as f64;
        let mut spectrum_db = vec![0.0; self.bins];
        for row in self.whitened.chunks_exact(self.bins) {
            for (sum, nepers) in spectrum_db.iter_mut().zip(row) {
                *sum += nepers.exp() / bands;
            }
        }
        for level in &mut spectrum_db {
            *level = (10.0 * level.log10()).clamp(LOWEST_DB, HIGHEST_DB);
        }
        let families = DefectFamily::ALL.map(|family| self.family_evidence(family, &spectrum_db));
        Evidence {
            bin_hz: self.bin_hz(),
            spectrum_db,
            shaft_hz: self.shaft_hz,
            families,
        }
    }

    fn family_evidence(&self, family: DefectFamily, spectrum_db: &[f64]) -> FamilyEvidence {
        let score = self.scores.get(family);
        let hz = self.slipped_hz(family);
        let line = |hz: f64| {
            let bin = nearest(hz * self.seconds);
            Some(Line {
                hz: bin as f64 / self.seconds,
                db: *spectrum_db.get(bin)?,
                overlap: self.overlap(family, bin),
            })
        };
        let modulation = match family {
            DefectFamily::InnerRace | DefectFamily::OuterRace => Modulation::Shaft,
            DefectFamily::RollingElement => Modulation::Cage,
        };
        let spacing_hz = match modulation {
            Modulation::Shaft => self.shaft_hz,
            Modulation::Cage => self.cage_order * self.shaft_hz,
        };
        let sidebands = |hz: f64| {
            let resolved = spacing_hz * self.seconds >= RESOLVED_BINS && hz > spacing_hz;
            let both = if resolved { &[-1.0, 1.0][..] } else { &[] };
            both.iter().filter_map(|side| line(hz + side * spacing_hz)).collect()
        };
        let harmonics = (1..=self.harmonics)
            .filter_map(|number| {
                let hz = number as f64 * hz;
                Some(Harmonic {
                    number,
                    line: line(hz)?,
                    sidebands: sidebands(hz),
                })
            })
            .collect();
        FamilyEvidence {
            family,
            hz,
            slip: score.slip,
            z: score.z,
            harmonics,
            modulation,
        }
    }

    /// A family's frequency with the slip found, Hz.
    fn slipped_hz(&self, family: DefectFamily) -> f64 {
        let score = self.scores.get(family);
        (1.0 + score.slip) * score.order * self.shaft_hz
    }

    /// What besides `family` has a line where `bin` was read: the shaft within a bin, as far as its cut reaches, or a
    /// family within two, since the slips of both are known to a step.
    fn overlap(&self, family: DefectFamily, bin: usize) -> Option<Overlap> {
        let near = |hz: f64, bins: usize| {
            let number = (bin as f64 / self.seconds / hz).round();
            number >= 1.0 && nearest(number * hz * self.seconds).abs_diff(bin) <= bins
        };
        if near(self.shaft_hz, 1) {
            return Some(Overlap::Shaft);
        }
        let z = self.scores.get(family).z;
        let stronger = |other: &DefectFamily| self.scores.get(*other).z > z && near(self.slipped_hz(*other), 2);
        DefectFamily::ALL.into_iter().find(stronger).map(Overlap::Family)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), v| (count + 1, sum + v));
    (count > 0).then(|| sum / count as f64)
}

/// Numbers in order, neighbours joined: `1-4, 6`.
struct Ranges<'a>(&'a [usize]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| a + 1 == *b);
        let runs = runs.map(|run| match run {
            [one] => one.to_string(),
            // two neighbours are a list, not a range
            [a, b] => format!("{a}, {b}"),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        });
        f.write_str(&runs.collect::<Vec<_>>().join(", "))
    }
}
