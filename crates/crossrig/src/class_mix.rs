//! Whether a target shows the same mix of classes as the source, without its labels: statistics of its own windows are right
//! only then. A monitored machine shows one condition; standardised by itself, that one looks like all of them.

use adaptation_metrics::LogisticRegression;
use serde::{Deserialize, Serialize};
use signal_conditioning::{Standardiser, StandardiserBuilder};

use crate::error::{Error, Result};
use crate::options::Input;
use crate::preprocess::Represented;

/// Windows of a domain that the estimate uses, evenly spread over it.
const WINDOWS: usize = 4_000;

/// Below this spread the target shows few classes, whatever a model predicts.
const NARROW: f64 = 0.25;
/// Below this one it does if the predictions say so too.
const RATHER_NARROW: f64 = 0.5;
/// Predictions that differ in more than this share of the windows do.
const OTHER_HISTOGRAM: f64 = 0.5;

/// What is estimated of a target's class mix (`class_mix` of `metrics.json`).
///
/// **The rule**, fixed before any target was scored with it: the mix differs if the spread is below 0.25, or if it is below 0.5
/// and the two histograms differ in more than half of the windows. With `k` of `K` equally frequent classes the spread is
/// about `(1 - 1/k) / (1 - 1/K)`: 0 for one class, 0.56 for two of nine, 0.75 for three of nine or two of three. So the rule
/// is meant to find targets that show one class, or two that are much alike; with more, statistics of the target's own were
/// better than the source's in the reference measurements even where classes were missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMix {
    /// The target.
    pub target: String,
    /// How much of the variance between the source's classes is seen between the target's windows: 1 as in the source, 0 no
    /// more than within one class.
    pub spread: f64,
    /// Share of each class among its windows, predicted with the source's statistics.
    pub by_source_statistics: Vec<f64>,
    /// The same with statistics of the target's own.
    pub by_own_statistics: Vec<f64>,
    /// Whether the mix differs.
    pub differs: bool,
    /// Whose statistics prepare the target: `own`, `source` or `reference`.
    pub statistics: String,
}

impl ClassMix {
    /// One sentence where the mix differs.
    pub fn words(&self) -> Option<String> {
        let instead = match self.statistics.as_str() {
            "source" => "the source's statistics are used",
            "reference" => "statistics by the reference recording are used",
            _ => "its own statistics are not to be trusted",
        };
        self.differs.then(|| {
            format!(
                "the class mix of `{}` seems to differ from the source's (spread {:.2} of 1; predictions with source and own \
                 statistics differ in {:.0} % of the windows): {instead}",
                self.target,
                self.spread,
                100.0 * distance(&self.by_source_statistics, &self.by_own_statistics)
            )
        })
    }
}

/// Variances of a labelled source that a target's are held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    /// Sum over bins of the variance.
    pub total: f64,
    /// Sum over bins of the mean variance within classes.
    pub within: f64,
}

impl Variance {
    /// Of labelled windows; `classes` holds the class of each.
    pub fn of_source(rows: &Represented, classes: &[usize], input: Input) -> Result<Self> {
        let count = classes.iter().max().map_or(0, |c| c + 1);
        let mut within = 0.0;
        for class in 0..count {
            let n = classes.iter().filter(|c| **c == class).count();
            if n == 0 {
                continue;
            }
            let (grouping, groups) = rows.grouping(input);
            let mut builder = StandardiserBuilder::new(groups, grouping);
            for (row, _) in rows.rows().zip(classes).filter(|(_, c)| **c == class) {
                builder.push(row).map_err(machine)?;
            }
            let own = builder.finish().map_err(machine)?;
            within += n as f64 / classes.len() as f64 * sum_of_squares(own.std());
        }
        let all = Represented::statistics(&[rows], input)?;
        Ok(Self {
            total: sum_of_squares(all.std()),
            within,
        })
    }

    /// The spread of windows with those statistics; 1 where classes do not differ in the source either, so that nothing can be
    /// said.
    pub fn spread(self, target: &Standardiser) -> f64 {
        let between = self.total - self.within;
        if between <= 1e-6 * self.total {
            return 1.0;
        }
        (sum_of_squares(target.std()) - self.within) / between
    }
}

/// Whether the rule says that the mix differs.
pub fn mix_differs(spread: f64, by_source_statistics: &[f64], by_own_statistics: &[f64]) -> bool {
    spread < NARROW || (spread < RATHER_NARROW && distance(by_source_statistics, by_own_statistics) > OTHER_HISTOGRAM)
}

/// The source that targets are held against.
pub struct Guard {
    variance: Variance,
    regression: LogisticRegression,
    classes: usize,
    input: Input,
    /// Statistics of all sources together.
    pub joint: Standardiser,
}

impl Guard {
    /// From the labelled training windows of all sources, not yet standardised, and the variances of each.
    pub fn new(
        sources: &[&Represented],
        labels: &[Vec<usize>],
        variances: &[Variance],
        classes: usize,
        input: Input,
    ) -> Result<Self> {
        let joint = Represented::statistics(sources, input)?;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let mean = |of: fn(&Variance) -> f64| variances.iter().map(of).sum::<f64>() / variances.len() as f64;
        let variance = Variance {
            total: mean(|v| v.total),
            within: mean(|v| v.within),
        };
        for (rows, labels) in sources.iter().zip(labels) {
            let chosen = evenly(rows.windows);
            let mut part = rows.select(&chosen);
            part.standardise(&Represented::statistics(&[rows], input)?)?;
            x.extend(part.values);
            y.extend(chosen.iter().map(|&r| labels[r]));
        }
        let regression = LogisticRegression::fit(&x, &y, classes, &crate::logistic::config())
            .map_err(|e| Error::Machine(e.to_string()))?;
        Ok(Self {
            variance,
            regression,
            classes,
            input,
            joint,
        })
    }

    /// The estimate for a target's training windows, not yet standardised.
    pub fn look_at(&self, target: &str, rows: &Represented) -> Result<ClassMix> {
        let own = Represented::statistics(&[rows], self.input)?;
        let part = rows.select(&evenly(rows.windows));
        let by = |statistics: &Standardiser| -> Result<Vec<f64>> {
            let mut part = part.clone();
            part.standardise(statistics)?;
            let labels = self
                .regression
                .predict(&part.values)
                .map_err(|e| Error::Machine(e.to_string()))?;
            Ok(histogram(&labels, self.classes))
        };
        let (by_source_statistics, by_own_statistics) = (by(&self.joint)?, by(&own)?);
        let spread = self.variance.spread(&own);
        let differs = mix_differs(spread, &by_source_statistics, &by_own_statistics);
        Ok(ClassMix {
            target: target.to_owned(),
            spread,
            by_source_statistics,
            by_own_statistics,
            differs,
            statistics: if differs { "source" } else { "own" }.to_owned(),
        })
    }
}

/// Share of each class among labels.
pub fn histogram(labels: &[usize], classes: usize) -> Vec<f64> {
    let mut shares = vec![0.0; classes];
    for &label in labels {
        shares[label] += 1.0 / labels.len() as f64;
    }
    shares
}

/// Share of windows that would have to change their class: total variation.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

fn evenly(rows: usize) -> Vec<usize> {
    let every = rows.div_ceil(WINDOWS).max(1);
    (0..rows).step_by(every).collect()
}

fn sum_of_squares(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum()
}

fn machine(e: signal_conditioning::Error) -> Error {
    Error::Machine(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of 40 values: a level for each class in its own ten bins, a shift of the machine, and ripples.
    fn rows(classes: &[usize], shift: f64) -> Represented {
        let mut values = Vec::new();
        for (i, class) in classes.iter().enumerate() {
            for bin in 0..40_usize {
                let ripple = ((i * 7919 + bin * 104_729) as f64 * 0.618_033_988_75).fract() - 0.5;
                values.push(shift + ripple + if bin / 10 == *class { 3.0 } else { 0.0 });
            }
        }
        Represented {
            values,
            windows: classes.len(),
            channels: 1,
            length: 40,
        }
    }

    fn of(present: &[usize]) -> Vec<usize> {
        (0..120).map(|i| present[i % present.len()]).collect()
    }

    #[test]
    fn a_target_of_one_class_is_told_from_one_of_all_whatever_its_gain() {
        let labels = of(&[0, 1, 2, 3]);
        let source = rows(&labels, 0.0);
        let variance = Variance::of_source(&source, &labels, Input::LogSpectrum).unwrap();
        let guard = Guard::new(&[&source], &[labels], &[variance], 4, Input::LogSpectrum).unwrap();
        for shift in [0.0, 0.7] {
            let all = guard.look_at("all", &rows(&of(&[0, 1, 2, 3]), shift)).unwrap();
            assert!(!all.differs && (all.spread - 1.0).abs() < 0.1, "{all:?}");
            assert_eq!((all.words(), all.statistics.as_str()), (None, "own"));
            for class in 0..4 {
                let one = guard.look_at("one", &rows(&of(&[class]), shift)).unwrap();
                assert!(one.differs && one.spread.abs() < 0.1, "{one:?}");
                assert!(one.words().unwrap().contains("source's statistics"));
            }
            // (1 - 1/2) / (1 - 1/4)
            let two = guard.look_at("two", &rows(&of(&[0, 2]), shift)).unwrap();
            assert!(!two.differs && (two.spread - 2.0 / 3.0).abs() < 0.1, "{two:?}");
        }
    }

    #[test]
    fn the_rule_asks_the_predictions_only_where_the_spread_leaves_it_open() {
        let (same, other) = ([0.5, 0.5, 0.0], [0.0, 0.2, 0.8]);
        assert!(mix_differs(0.2, &same, &same));
        assert!(!mix_differs(0.4, &same, &same) && mix_differs(0.4, &same, &other));
        assert!(!mix_differs(0.6, &same, &other));
    }
}
