use signal_conditioning::Verdict;
use signal_domains::Family;

use crate::error::{Error, Result};

/// What is said where the rule finds no fault of a race. It is no class: the bearing may be healthy, a ball may be damaged,
/// or a fault may leave no trace.
pub const ABSTENTION: &str = "no race fault found";

/// Which class each verdict of the rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Class of a damaged inner race.
    pub inner: Option<usize>,
    /// Class of a damaged outer race.
    pub outer: Option<usize>,
    /// The only class that is no fault of a race (a ball's, or healthy); `None` where there is none, or several, which the
    /// rule cannot tell apart.
    pub neither: Option<usize>,
}

impl Roles {
    /// From the families of the classes.
    ///
    /// # Errors
    /// A class whose family is not stated, two classes of one race, no class of a race.
    pub fn new(classes: &[String], families: &[Option<Family>]) -> Result<Self> {
        let hint = "state what each class damages: `[class.NAME]` with `family = \"BPFI\"`, \"BPFO\", \"BSF\", \"FTF\" or \"none\"";
        if let Some((class, _)) = classes.iter().zip(families).find(|(_, f)| f.is_none()) {
            let message = format!("the rule needs to know what is damaged, and the class `{class}` has no family");
            return Err(Error::input_with_hint(message, hint));
        }
        let of = |wanted: &dyn Fn(Family) -> bool| -> Vec<usize> {
            (0..families.len())
                .filter(|&c| families[c].is_some_and(wanted))
                .collect()
        };
        let race = |family: Family| match of(&|f| f == family)[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            [a, b, ..] => Err(Error::input_with_hint(
                format!(
                    "`{}` and `{}` damage the same race: the rule cannot tell them apart",
                    classes[a], classes[b]
                ),
                "leave all but one of them out with --classes '!NAME'",
            )),
        };
        let (inner, outer) = (race(Family::InnerRace)?, race(Family::OuterRace)?);
        if inner.is_none() && outer.is_none() {
            return Err(Error::input_with_hint(
                "no class is a fault of a race, which is all that the rule can find",
                hint,
            ));
        }
        let neither = match of(&|f| !matches!(f, Family::InnerRace | Family::OuterRace))[..] {
            [one] => Some(one),
            _ => None,
        };
        Ok(Self { inner, outer, neither })
    }

    /// What is true of a recording of a class, as far as the rule can say it.
    pub fn verdict(&self, class: usize) -> Verdict {
        match Some(class) {
            c if c == self.inner => Verdict::InnerRace,
            c if c == self.outer => Verdict::OuterRace,
            _ => Verdict::NoRaceFault,
        }
    }

    /// The class that a verdict counts as; `None` where none of the classes is meant.
    pub fn class(&self, verdict: Verdict) -> Option<usize> {
        match verdict {
            Verdict::InnerRace => self.inner,
            Verdict::OuterRace => self.outer,
            Verdict::NoRaceFault => self.neither,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(families: &[Option<Family>]) -> Result<Roles> {
        let names: Vec<String> = (0..families.len()).map(|i| format!("class-{i}")).collect();
        Roles::new(&names, families)
    }

    #[test]
    fn the_only_class_besides_the_races_is_what_an_abstention_counts_as() {
        let three = roles(&[
            Some(Family::RollingElement),
            Some(Family::InnerRace),
            Some(Family::OuterRace),
        ])
        .unwrap();
        assert_eq!((three.neither, three.inner, three.outer), (Some(0), Some(1), Some(2)));
        let verdicts = [0, 1, 2].map(|c| three.verdict(c));
        assert_eq!(verdicts, [Verdict::NoRaceFault, Verdict::InnerRace, Verdict::OuterRace]);
        // a ball's fault and none at all cannot be told apart
        let four = roles(&[
            Some(Family::RollingElement),
            Some(Family::InnerRace),
            Some(Family::OuterRace),
            Some(Family::Healthy),
        ])
        .unwrap();
        assert_eq!(four.class(Verdict::NoRaceFault), None);
    }

    #[test]
    fn classes_that_the_rule_cannot_name_are_refused_by_name() {
        let message = |families: &[Option<Family>]| roles(families).unwrap_err().to_string();
        assert!(message(&[Some(Family::InnerRace), None]).contains("`class-1`"));
        assert!(message(&[Some(Family::InnerRace), Some(Family::InnerRace)]).contains("same race"));
        assert!(message(&[Some(Family::Healthy), Some(Family::Cage)]).contains("no class is a fault of a race"));
    }
}
