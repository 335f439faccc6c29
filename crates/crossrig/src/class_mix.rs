//! Statistics for a target that may show another mix of classes than the source, without its labels.
//!
//! Statistics of a domain's own windows take out what sets its machine apart, but only where domains show the same mix: a monitored
//! machine shows one condition, and that one, standardised by itself, looks like all of them. Here a target's windows are brought
//! not to mean 0 and variance 1, which the source has with all its classes, but to the mean and the variance that the source has
//! with the classes that the target seems to show; which those are is predicted with these statistics, in turns, until
//! it stays. A model that says something else of many windows afterwards did not know what they show: then the source's statistics
//! are kept.

use adaptation_metrics::LogisticRegression;
use serde::{Deserialize, Serialize};
use signal_conditioning::Standardiser;

use crate::error::{Error, Result};
use crate::options::Input;
use crate::preprocess::Represented;

/// Windows of a domain that the estimate uses, evenly spread over it.
const WINDOWS: usize = 4_000;

/// Below this spread windows show few classes, whatever a model predicts.
const NARROW: f64 = 0.25;
/// Below this one they do if the predictions say so too.
const RATHER_NARROW: f64 = 0.5;
/// Predictions that differ in more than this share of the windows do.
const OTHER_HISTOGRAM: f64 = 0.5;
/// A mix differs if more than this share of the windows would have to change class.
const OTHER_MIX: f64 = 0.25;
/// Statistics are not matched where that changes the predicted class of more than this share of the windows.
const UNSURE: f64 = 1.0 / 3.0;

/// What is estimated of a target's class mix (`class_mix` of `metrics.json`).
///
/// The mix differs if more than a quarter of the windows would have to change class for it to be the source's. Statistics are not
/// matched, and the source's serve, where matching changes the predicted class of more than a third of the windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMix {
    /// The target.
    pub target: String,
    /// Share of each class among the source's windows.
    pub source: Vec<f64>,
    /// Share of each class among the target's windows, predicted with the source's statistics.
    pub by_source_statistics: Vec<f64>,
    /// The same, predicted with the statistics that are matched to it.
    pub matched: Vec<f64>,
    /// Share of the windows whose predicted class matching changes.
    pub changed: f64,
    /// Whether the mix differs.
    pub differs: bool,
    /// What statistics prepare the target: `matched`, `source` or `reference`.
    pub statistics: String,
}

impl ClassMix {
    /// One sentence where the mix differs, or where that is not clear.
    pub fn words(&self) -> Option<String> {
        let by = match self.statistics.as_str() {
            "reference" => "its statistics are those by the reference recording",
            "source" => {
                return Some(format!(
                    "which classes `{}` shows is not clear (matching its statistics to them changes the class of {:.0} % of its \
                     windows): the source's statistics are used",
                    self.target,
                    100.0 * self.changed
                ));
            }
            _ => "its statistics are matched to the predicted mix",
        };
        self.differs.then(|| {
            format!(
                "the class mix of `{}` seems to differ from the source's ({:.0} % of its windows would have to change class): {by}",
                self.target,
                100.0 * distance(&self.source, &self.matched)
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
            if let Some((n, own)) = of_class(rows, classes, class, input)? {
                within += n as f64 / classes.len() as f64 * sum_of_squares(own.std());
            }
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

/// How many of the windows are of a class, and their statistics; `None` of none.
fn of_class(
    rows: &Represented,
    classes: &[usize],
    class: usize,
    input: Input,
) -> Result<Option<(usize, Standardiser)>> {
    let numbers: Vec<usize> = (0..classes.len()).filter(|&i| classes[i] == class).collect();
    if numbers.is_empty() {
        return Ok(None);
    }
    let own = Represented::statistics(&[&rows.select(&numbers)], input)?;
    Ok(Some((numbers.len(), own)))
}

/// Whether windows show few of the classes that a model knows: below a spread of 0.25, or below 0.5 where the classes
/// predicted with the source's statistics and with their own differ in more than half of the windows. With `k` of `K` equally
/// frequent classes the spread is about `(1 - 1/k) / (1 - 1/K)`: 0 for one class, 0.56 for two of nine.
pub fn mix_differs(spread: f64, by_source_statistics: &[f64], by_own_statistics: &[f64]) -> bool {
    spread < NARROW || (spread < RATHER_NARROW && distance(by_source_statistics, by_own_statistics) > OTHER_HISTOGRAM)
}

/// The source that targets are held against.
pub struct Guard {
    regression: LogisticRegression,
    moments: Vec<Moments>,
    mix: Vec<f64>,
    input: Input,
    /// Statistics of all sources together.
    pub joint: Standardiser,
}

/// First and second moments of a class's windows, standardised by their own domain, one for each group of values.
#[derive(Clone, Default)]
struct Moments {
    mean: Vec<f64>,
    square: Vec<f64>,
}

/// Rounds of prediction and matching at most; they end where the predicted mix repeats itself.
const ROUNDS: usize = 20;

impl Guard {
    /// From the labelled training windows of all sources, not yet standardised.
    pub fn new(sources: &[&Represented], labels: &[Vec<usize>], classes: usize, input: Input) -> Result<Self> {
        let joint = Represented::statistics(sources, input)?;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for (rows, labels) in sources.iter().zip(labels) {
            let chosen = evenly(rows.windows);
            let mut part = rows.select(&chosen);
            part.standardise(&Represented::statistics(&[rows], input)?)?;
            x.extend(part.values);
            y.extend(chosen.iter().map(|&r| labels[r]));
        }
        let regression = LogisticRegression::fit(&x, &y, classes, &crate::logistic::config())
            .map_err(|e| Error::Machine(e.to_string()))?;
        let all = Represented {
            values: x,
            windows: y.len(),
            ..*sources[0]
        };
        let moments = (0..classes)
            .map(|class| {
                let Some((_, own)) = of_class(&all, &y, class, input)? else {
                    return Ok(Moments::default());
                };
                let square = own.mean().iter().zip(own.std()).map(|(m, s)| m * m + s * s);
                Ok(Moments {
                    square: square.collect(),
                    mean: own.mean().to_vec(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            regression,
            moments,
            mix: histogram(&y, classes),
            input,
            joint,
        })
    }

    /// The estimate for a target's training windows, not yet standardised, and the statistics by which to standardise them.
    pub fn look_at(&self, target: &str, rows: &Represented) -> Result<(ClassMix, Standardiser)> {
        let own = Represented::statistics(&[rows], self.input)?;
        let part = rows.select(&evenly(rows.windows));
        let by = |statistics: &Standardiser| -> Result<Vec<usize>> {
            let mut part = part.clone();
            part.standardise(statistics)?;
            let labels = self.regression.predict(&part.values);
            labels.map_err(|e| Error::Machine(e.to_string()))
        };
        let mix_of = |labels: &[usize]| histogram(labels, self.moments.len());
        let first = by(&self.joint)?;
        let (mut mixes, mut labels) = (vec![mix_of(&first)], first.clone());
        let mut statistics = self.joint.clone();
        for _ in 0..ROUNDS {
            statistics = self.matched(&own, &mixes[mixes.len() - 1])?;
            labels = by(&statistics)?;
            let mix = mix_of(&labels);
            let repeats = mixes.contains(&mix);
            mixes.push(mix);
            if repeats {
                break;
            }
        }
        let changed = changed(&first, &labels);
        let sure = changed <= UNSURE;
        let matched = mixes.pop().unwrap_or_default();
        let mix = ClassMix {
            target: target.to_owned(),
            source: self.mix.clone(),
            by_source_statistics: mix_of(&first),
            changed,
            differs: distance(&self.mix, &matched) > OTHER_MIX,
            matched,
            statistics: if sure { "matched" } else { "source" }.to_owned(),
        };
        Ok((mix, if sure { statistics } else { self.joint.clone() }))
    }

    /// The statistics with which windows whose own are `own` get the mean and the variance of the source's windows in the
    /// proportions of `mix`.
    fn matched(&self, own: &Standardiser, mix: &[f64]) -> Result<Standardiser> {
        let groups = own.mean().len();
        let (mut mean, mut std) = (Vec::with_capacity(groups), Vec::with_capacity(groups));
        for group in 0..groups {
            let of = |moment: fn(&Moments) -> &Vec<f64>| -> f64 {
                let present = mix.iter().zip(&self.moments).filter(|(share, _)| **share > 0.0);
                present.map(|(share, m)| share * moment(m)[group]).sum()
            };
            let (first, second) = (of(|m| &m.mean), of(|m| &m.square));
            let wanted = (second - first * first).max(0.0).sqrt();
            // a value that is constant in these classes of the source tells no scale
            let scale = if wanted > 1e-6 {
                own.std()[group] / wanted
            } else {
                self.joint.std()[group]
            };
            mean.push(own.mean()[group] - scale * first);
            std.push(scale);
        }
        Standardiser::new(own.grouping(), mean, std).map_err(machine)
    }
}

/// Share of each class among labels.
pub fn histogram(labels: &[usize], classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; classes];
    for &label in labels {
        counts[label] += 1;
    }
    counts.iter().map(|&n| n as f64 / labels.len().max(1) as f64).collect()
}

/// Share of windows whose class is another one.
fn changed(before: &[usize], after: &[usize]) -> f64 {
    let changed = before.iter().zip(after).filter(|(a, b)| a != b).count();
    changed as f64 / before.len().max(1) as f64
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
    fn whatever_classes_a_target_shows_it_gets_the_statistics_that_it_would_have_with_all() {
        let labels = of(&[0, 1, 2, 3]);
        let source = rows(&labels, 0.0);
        let guard = Guard::new(&[&source], &[labels], 4, Input::LogSpectrum).unwrap();
        for shift in [0.0, 0.7] {
            let own =
                |classes: &[usize]| Represented::statistics(&[&rows(&of(classes), shift)], Input::LogSpectrum).unwrap();
            let apart = |a: &Standardiser, b: &Standardiser| {
                let pairs = a.mean().iter().zip(b.mean()).chain(a.std().iter().zip(b.std()));
                pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
            };
            let whole = own(&[0, 1, 2, 3]);
            let mixes: [&[usize]; 7] = [&[0, 1, 2, 3], &[0], &[1], &[2], &[3], &[0, 2], &[1, 2, 3]];
            for present in mixes {
                let (mix, statistics) = guard.look_at("plant", &rows(&of(present), shift)).unwrap();
                for class in 0..4 {
                    let share = f64::from(u8::from(present.contains(&class))) / present.len() as f64;
                    assert!((mix.matched[class] - share).abs() < 1e-12, "{present:?}: {mix:?}");
                }
                assert_eq!(mix.statistics, "matched");
                let far = apart(&statistics, &whole);
                assert!(far < 0.25, "{present:?}: {far}");
                // three of four classes are just a quarter away
                if present.len() != 3 {
                    assert_eq!(mix.differs, present.len() < 3, "{present:?}: {mix:?}");
                }
                assert_eq!(mix.words().is_some(), mix.differs);
                if present.len() < 4 {
                    assert!(apart(&own(present), &whole) > 0.5, "{present:?}");
                }
            }
        }
    }

    #[test]
    fn statistics_are_matched_while_at_most_a_third_of_the_windows_change_their_class() {
        let before = [0, 0, 1, 1, 2, 2];
        assert_eq!(changed(&before, &before), 0.0);
        assert!(changed(&before, &[0, 0, 1, 1, 1, 1]) <= UNSURE);
        assert!(changed(&before, &[0, 0, 0, 1, 1, 1]) > UNSURE);
        let mix = ClassMix {
            target: "plant".into(),
            source: vec![0.5, 0.5],
            by_source_statistics: vec![0.4, 0.6],
            matched: vec![0.0, 1.0],
            changed: 0.4,
            differs: true,
            statistics: "source".into(),
        };
        assert!(mix.words().unwrap().contains("not clear"));
        let matched = ClassMix {
            statistics: "matched".into(),
            ..mix
        };
        assert!(matched.words().unwrap().contains("50 % of its windows"));
    }

    #[test]
    fn predictions_are_asked_only_where_the_spread_leaves_it_open() {
        let (same, other) = ([0.5, 0.5, 0.0], [0.0, 0.2, 0.8]);
        assert!(mix_differs(0.2, &same, &same));
        assert!(!mix_differs(0.4, &same, &same) && mix_differs(0.4, &same, &other));
        assert!(!mix_differs(0.6, &same, &other));
    }
}
