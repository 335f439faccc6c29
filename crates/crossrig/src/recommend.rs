//! Which model to use on the target, by what can be known without a label of it.

use serde::Serialize;

use crate::metrics::{DomainAccuracy, Scores};
use crate::track_record::{ByLabels, TrackRecord};

/// A domain head is outrun where its loss is so many times that of guessing.
pub const OUTRUN: f64 = 1.25;

/// What is known of a run without target labels (`signs` of `metrics.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Signs {
    /// The rule on defect orders, where bearings and speeds are known: its name among the scores.
    pub rule: Option<String>,
    /// Whether the three conditions of `--input auto` hold: the target's bearings are other ones, and known.
    pub other_bearings: bool,
    /// Whether the class mix of a target seems to differ from the source's; false where it was not estimated.
    pub mix_differs: bool,
    /// The adapted network.
    pub adapted: Option<NetworkSigns>,
    /// The source-only network.
    pub source_only: Option<NetworkSigns>,
    /// The logistic regression that was asked for.
    pub logistic: bool,
    /// Accuracy of the baseline, logistic regression on the log-spectrum, on the source's validation windows.
    pub baseline_validation: Option<f64>,
    /// Mean domain loss of the last epoch over that of guessing; of the adapted network.
    pub domain_loss_over_guessing: Option<f64>,
    /// Accuracy of the domain head and its chance level.
    pub domain_accuracy: Option<DomainAccuracy>,
    /// Share of the target's windows on which adapted and source-only network agree.
    pub adapted_agrees_with_source_only: Option<f64>,
}

/// What is known of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NetworkSigns {
    /// Accuracy on the source's validation windows.
    pub source_validation: Option<f64>,
    /// Proxy A-distance between source and target features.
    pub a_distance: Option<f64>,
    /// Share of the target's windows on which it agrees with the baseline.
    pub agrees_with_baseline: Option<f64>,
    /// Share of the target's pieces on which it agrees with the rule.
    pub agrees_with_rule: Option<f64>,
}

/// The recommended model (`recommended` of `metrics.json`).
#[derive(Clone, Debug, Serialize)]
pub struct Recommended {
    /// Its name among the scores: `adapted`, `source-only`, or a simple method's.
    pub which: String,
    /// Why.
    pub rule: String,
    /// Its scores; for a rule on pieces of 1 s, those on the pieces.
    pub result: Scores,
    /// Whether the labels of the target bear it out, on the same windows for all methods (pieces of 1 s where the run has them); null
    /// without labels, or with nothing to compare.
    pub by_labels: Option<ByLabels>,
    /// How often this rule was right in the labelled runs on record.
    pub record: TrackRecord,
}

/// The name and the reason of the model to use, by a rule that was **fixed before any target score was looked at**:
///
/// 1. Other bearings, and known ones: the rule on defect orders (networks were near chance there in every measurement).
/// 2. A class mix that differs: the rule on defect orders, which depends on no mix; without one the source-only network, since
///    alignment takes the mixes for equal.
/// 3. Adapted against source-only: the adapted one, unless two or more of five signs speak against it
///    ([`signs_against`]), or one does and the two disagree on much of the target: what is warned of
///    ([`negative_transfer`]) is not recommended. (This came later, for a run in which it was; of fifteen on record it changes that one.)
/// 4. The network so chosen against the baseline: the baseline where it is better on the source's validation windows by more
///    than 2 points and the class mix does not differ (its statistics are the target's own).
/// 5. Without a network: the method that was asked for.
///
/// `None` where nothing was trained.
pub fn recommend(signs: &Signs) -> Option<(String, String)> {
    let chose = |which: &str, why: String| Some((which.to_owned(), why));
    if let Some(rule) = signs.rule.as_ref().filter(|_| signs.other_bearings) {
        return chose(
            rule,
            "the target's bearings are other ones, and known: physics before learning".into(),
        );
    }
    if let Some(rule) = signs.rule.as_ref().filter(|_| signs.mix_differs) {
        return chose(
            rule,
            "the target's class mix seems to differ: physics, which depends on no mix".into(),
        );
    }
    let (name, network, why) = match (&signs.adapted, &signs.source_only) {
        (Some(_), Some(source_only)) if signs.mix_differs => {
            let why = "the target's class mix seems to differ, and alignment takes the mixes for equal".to_owned();
            ("source-only", source_only, why)
        }
        (Some(adapted), Some(source_only)) => {
            let against = signs_against(signs);
            let list = if against.is_empty() {
                String::new()
            } else {
                format!(": {}", against.join("; "))
            };
            let why = format!("{} of 5 signs speak against the adaptation{list}", against.len());
            if against.len() >= 2 {
                ("source-only", source_only, why)
            } else if negative_transfer(signs).is_some() {
                (
                    "source-only",
                    source_only,
                    why + ", and the two networks disagree on much of the target",
                )
            } else {
                ("adapted", adapted, why)
            }
        }
        (Some(adapted), None) => (
            "adapted",
            adapted,
            "there is no source-only twin to compare with".into(),
        ),
        (None, Some(source_only)) => (
            "source-only",
            source_only,
            "it is the network that was asked for".into(),
        ),
        (None, None) => {
            let asked = if signs.logistic {
                Some(crate::logistic::LOGISTIC.to_owned())
            } else {
                signs.rule.clone()
            };
            return asked.map(|which| (which, "it is the method that was asked for".to_owned()));
        }
    };
    if let (Some(own), Some(baseline)) = (network.source_validation, signs.baseline_validation)
        && baseline > own + 0.02
        && !signs.mix_differs
    {
        return chose(
            crate::baselines::LOG_SPECTRUM,
            format!(
                "on the source's validation windows it has {:.1} %, the {name} network {:.1} %",
                100.0 * baseline,
                100.0 * own
            ),
        );
    }
    chose(name, why)
}

/// The signs that speak against the adapted network:
///
/// - the domain head is outrun: its loss is above 1.25 times that of guessing;
/// - the domain head still tells the domains apart: its accuracy is more than half of the way from chance to 1;
/// - the A-distance is not smaller than the source-only network's;
/// - the accuracy on the source's validation windows is more than 2 points below the source-only network's;
/// - it agrees with the baseline on 5 points less of the target than the source-only network does.
pub fn signs_against(signs: &Signs) -> Vec<String> {
    let mut against = Vec::new();
    let (Some(adapted), Some(twin)) = (&signs.adapted, &signs.source_only) else {
        return against;
    };
    let percent = |x: f64| 100.0 * x;
    if let Some(x) = signs.domain_loss_over_guessing.filter(|x| *x > OUTRUN) {
        against.push(format!("domain loss {x:.2} times that of guessing"));
    }
    if let Some(d) = signs
        .domain_accuracy
        .filter(|d| d.value > d.chance + 0.5 * (1.0 - d.chance))
    {
        against.push(format!("the domain head still names {:.0} % right", percent(d.value)));
    }
    if let (Some(a), Some(b)) = (adapted.a_distance, twin.a_distance)
        && a >= b
    {
        against.push(format!("A-distance {a:.2}, without adaptation {b:.2}"));
    }
    if let (Some(a), Some(b)) = (adapted.source_validation, twin.source_validation)
        && a < b - 0.02
    {
        against.push(format!(
            "source validation {:.1} %, without adaptation {:.1} %",
            percent(a),
            percent(b)
        ));
    }
    if let (Some(a), Some(b)) = (adapted.agrees_with_baseline, twin.agrees_with_baseline)
        && a < b - 0.05
    {
        against.push(format!(
            "agrees with the baseline on {:.0} % of the target, without adaptation on {:.0} %",
            percent(a),
            percent(b)
        ));
    }
    against
}

/// A warning where adapted and source-only network disagree on more than a fifth of the target and a sign speaks against the
/// adaptation.
pub fn negative_transfer(signs: &Signs) -> Option<String> {
    let against = signs_against(signs);
    let agree = signs.adapted_agrees_with_source_only?;
    (agree < 0.8 && !against.is_empty()).then(|| {
        format!(
            "negative transfer is possible: adapted and source-only network disagree on {:.0} % of the target, and {}",
            100.0 * (1.0 - agree),
            against.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(adapted_distance: f64, adapted_validation: f64) -> Signs {
        let twin = NetworkSigns {
            source_validation: Some(0.98),
            a_distance: Some(1.5),
            agrees_with_baseline: Some(0.7),
            agrees_with_rule: None,
        };
        Signs {
            adapted: Some(NetworkSigns {
                source_validation: Some(adapted_validation),
                a_distance: Some(adapted_distance),
                ..twin
            }),
            source_only: Some(twin),
            baseline_validation: Some(0.97),
            adapted_agrees_with_source_only: Some(0.7),
            ..Signs::default()
        }
    }

    fn which(signs: &Signs) -> String {
        recommend(signs).unwrap().0
    }

    #[test]
    fn one_sign_against_the_adaptation_is_borne_and_two_are_not() {
        assert_eq!(which(&networks(1.0, 0.98)), "adapted");
        let agreeing = |signs| Signs {
            adapted_agrees_with_source_only: Some(0.95),
            ..signs
        };
        assert_eq!(which(&agreeing(networks(1.7, 0.98))), "adapted");
        assert_eq!(which(&agreeing(networks(1.7, 0.90))), "source-only");
        // what is warned of is not recommended
        assert_eq!(which(&networks(1.7, 0.98)), "source-only");
        assert!(negative_transfer(&networks(1.7, 0.98)).is_some());
        assert_eq!(negative_transfer(&networks(1.0, 0.98)), None);
        let warning = negative_transfer(&networks(1.7, 0.90)).unwrap();
        assert!(
            warning.contains("disagree on 30 %") && warning.contains("A-distance 1.70"),
            "{warning}"
        );
        assert_eq!(negative_transfer(&agreeing(networks(1.7, 0.90))), None);
    }

    #[test]
    fn each_of_the_five_signs_counts() {
        let mut signs = networks(1.7, 0.90);
        assert_eq!(signs_against(&signs).len(), 2);
        signs.domain_loss_over_guessing = Some(2.0);
        signs.domain_accuracy = Some(DomainAccuracy {
            value: 0.9,
            chance: 0.5,
        });
        signs.adapted.as_mut().unwrap().agrees_with_baseline = Some(0.5);
        assert_eq!(signs_against(&signs).len(), 5);
        signs.domain_accuracy = Some(DomainAccuracy {
            value: 0.7,
            chance: 0.5,
        });
        assert_eq!(signs_against(&signs).len(), 4, "alive, but not able to tell");
    }

    #[test]
    fn physics_comes_first_on_other_bearings_and_on_another_mix_which_forbids_alignment() {
        let mut signs = networks(1.0, 0.98);
        signs.rule = Some("rule-source".into());
        assert_eq!(which(&signs), "adapted", "the same bearing");
        signs.other_bearings = true;
        assert_eq!(which(&signs), "rule-source");
        signs.other_bearings = false;
        signs.mix_differs = true;
        assert_eq!(which(&signs), "rule-source", "no mix matters to it");
        signs.rule = None;
        assert_eq!(which(&signs), "source-only");
        // statistics of the baseline are the target's own
        signs.baseline_validation = Some(1.1);
        assert_eq!(which(&signs), "source-only");
        signs.mix_differs = false;
        assert_eq!(which(&signs), crate::baselines::LOG_SPECTRUM);
    }

    #[test]
    fn without_a_network_it_is_what_was_asked_for() {
        assert!(recommend(&Signs::default()).is_none());
        let logistic = Signs {
            logistic: true,
            ..Signs::default()
        };
        assert_eq!(which(&logistic), "logistic");
        let rule = Signs {
            rule: Some("rule-given".into()),
            ..Signs::default()
        };
        assert_eq!(which(&rule), "rule-given");
    }
}
