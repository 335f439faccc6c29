//! How often the recommendation was right, where labels of the target can tell: in this run, and in those on record.

use serde::Serialize;

/// How far below the best method of a run, in macro-F1, a recommendation still counts as right: 2 points.
pub const TOLERANCE: f64 = 0.02;

/// What the labels of a target say of a recommendation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByLabels {
    /// The method with the best macro-F1, the first of equals.
    pub best: String,
    /// Macro-F1 of the best less that of the recommended one.
    pub behind: f64,
    /// Whether that is at most [`TOLERANCE`].
    pub right: bool,
}

impl ByLabels {
    /// Of a recommended method among the macro-F1 of all methods on the same windows; `None` where it is not among them, or alone.
    pub fn new<'a>(which: &str, scores: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Self> {
        let all: Vec<(&str, f64)> = scores.into_iter().collect();
        let own = all.iter().find(|(name, _)| *name == which)?.1;
        let first = *all.first().filter(|_| all.len() > 1)?;
        let (best, most) = all.iter().fold(first, |best, s| if s.1 > best.1 { *s } else { best });
        Some(Self {
            best: best.to_owned(),
            behind: most - own,
            right: most - own <= TOLERANCE,
        })
    }

    /// The end of a sentence that names the recommended method.
    pub fn words(&self, which: &str) -> String {
        let points = 100.0 * self.behind;
        if self.best == which || self.behind <= 0.0 {
            "by the labels no other is better".to_owned()
        } else if self.right {
            format!(
                "by the labels {} is better by {points:.1} points of macro-F1, within the 2 that count as right",
                self.best
            )
        } else {
            format!(
                "by the labels {} is better by {points:.1} points of macro-F1",
                self.best
            )
        }
    }
}

/// Labelled runs in which the same rule recommended a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrackRecord {
    /// Runs in which it was right.
    pub right: usize,
    /// All of them.
    pub of: usize,
    /// Where in this project they are described.
    pub source: &'static str,
    /// Where their scores are.
    pub runs: [&'static str; 2],
}

/// The runs on record; a test counts them again from their files.
pub const TRACK_RECORD: TrackRecord = TrackRecord {
    right: 57,
    of: 73,
    source: "benches/runs/2026-11-26-2core-avx512/bearings.md",
    runs: [
        "benches/runs/2026-11-26-2core-avx512/bearings/runs.json",
        "benches/runs/2026-11-26-2core-avx512/defect-orders/families.json",
    ],
};

impl TrackRecord {
    /// For a sentence about a recommendation.
    pub fn words(&self) -> String {
        format!(
            "on record: best, or at most 2 points below, in {} of {} labelled runs, {}",
            self.right, self.of, self.source
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recommendation_is_right_where_it_is_best_or_at_most_two_points_below() {
        let scores = [("a", 0.5), ("b", 0.7), ("c", 0.681)];
        let of = |which| ByLabels::new(which, scores).unwrap();
        assert!(of("b").right && of("b").words("b").contains("no other is better"));
        let near = of("c");
        assert!(
            near.right && near.best == "b" && near.words("c").contains("1.9 points"),
            "{near:?}"
        );
        let far = of("a");
        assert!(!far.right && far.words("a") == "by the labels b is better by 20.0 points of macro-F1");
        assert_eq!(ByLabels::new("d", scores), None);
        assert_eq!(ByLabels::new("a", [("a", 0.5)]), None, "with nothing to compare");
    }
}
