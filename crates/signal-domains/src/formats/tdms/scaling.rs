//! How the raw values of a converter become physical ones, as a channel's properties say.

use std::collections::BTreeMap;

use crate::dataset::Attribute;

/// The source of a scale that takes the values as they are stored.
const RAW: f64 = u32::MAX as f64;
/// Most scales after each other, and most coefficients of a polynomial.
const MOST: usize = 64;

/// Polynomials that are applied one after the other, each from its constant term up.
#[derive(Debug, PartialEq)]
pub(super) struct Scaling(Vec<Vec<f64>>);

impl Scaling {
    /// From the properties of a channel; `scaler` is the number of the scale that stands for the values of a DAQmx
    /// channel. `None` where values are stored as they are meant.
    pub fn of(properties: &BTreeMap<String, Attribute>, scaler: Option<u32>) -> Result<Option<Self>, String> {
        if properties.get("NI_Scaling_Status") == Some(&Attribute::Text("scaled".into())) {
            return Ok(None);
        }
        let number = |name: &str| match properties.get(name) {
            Some(Attribute::Number(value)) => Some(*value),
            _ => None,
        };
        let scales = match number("NI_Number_Of_Scales") {
            Some(n) if (0.0..=MOST as f64).contains(&n) => n as usize,
            Some(n) => return Err(format!("{n} scales, applied are at most {MOST}")),
            None => (0..MOST)
                .rfind(|i| properties.contains_key(&format!("NI_Scale[{i}]_Scale_Type")))
                .map_or(0, |i| i + 1),
        };
        let mut steps = Vec::new();
        // from the last scale, whose result is meant, back to the stored values
        let mut next = scales.checked_sub(1);
        while let Some(i) = next {
            let name = format!("NI_Scale[{i}]");
            let kind = match properties.get(&format!("{name}_Scale_Type")) {
                Some(Attribute::Text(kind)) => kind.as_str(),
                _ if scaler == Some(i as u32) => break,
                _ => return Err(format!("scale {i} is not stated")),
            };
            let wanted = |what: &str| {
                let name = format!("{name}_{kind}_{what}");
                number(&name).ok_or_else(|| format!("property {name} is missing"))
            };
            match kind {
                "Linear" => steps.push(vec![wanted("Y_Intercept")?, wanted("Slope")?]),
                "Polynomial" => {
                    let terms = wanted("Coefficients_Size").unwrap_or(4.0);
                    if !(0.0..=MOST as f64).contains(&terms) {
                        return Err(format!("a polynomial of {terms} terms"));
                    }
                    let terms = 0..terms as usize;
                    steps.push(
                        terms
                            .map(|k| wanted(&format!("Coefficients[{k}]")))
                            .collect::<Result<_, _>>()?,
                    );
                }
                "AdvancedAPI" => {}
                other => return Err(format!("a scale of kind {other:?}; applied are Linear and Polynomial")),
            }
            let source = wanted("Input_Source").unwrap_or(RAW);
            next = match source {
                RAW if scaler.is_none() => None,
                // sources come before, or scales would go round in circles
                s if s >= 0.0 && s < i as f64 => Some(s as usize),
                _ => return Err(format!("scale {i} has the source {source}, which is not before it")),
            };
        }
        steps.reverse();
        Ok((!steps.is_empty()).then_some(Self(steps)))
    }

    pub fn apply(&self, values: &mut [f64]) {
        for terms in &self.0 {
            for value in &mut *values {
                *value = terms.iter().rev().fold(0.0, |sum, term| sum * *value + term);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(list: &[(&str, f64)], kinds: &[(usize, &str)]) -> BTreeMap<String, Attribute> {
        let numbers = list
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Attribute::Number(*value)));
        let kinds = kinds
            .iter()
            .map(|(i, kind)| (format!("NI_Scale[{i}]_Scale_Type"), Attribute::Text((*kind).into())));
        numbers.chain(kinds).collect()
    }

    #[test]
    fn scales_are_applied_from_the_stored_values_to_the_last() {
        let both = properties(
            &[
                ("NI_Number_Of_Scales", 3.0),
                ("NI_Scale[1]_Polynomial_Coefficients_Size", 3.0),
                ("NI_Scale[1]_Polynomial_Coefficients[0]", 1.0),
                ("NI_Scale[1]_Polynomial_Coefficients[1]", 2.0),
                ("NI_Scale[1]_Polynomial_Coefficients[2]", 3.0),
                ("NI_Scale[1]_Polynomial_Input_Source", 0.0),
                ("NI_Scale[2]_Linear_Slope", 10.0),
                ("NI_Scale[2]_Linear_Y_Intercept", 5.0),
                ("NI_Scale[2]_Linear_Input_Source", 1.0),
            ],
            &[(1, "Polynomial"), (2, "Linear")],
        );
        let scaling = Scaling::of(&both, Some(0)).unwrap().unwrap();
        let mut values = [0.0, 2.0];
        scaling.apply(&mut values);
        // 10 (1 + 2 x + 3 x^2) + 5
        assert_eq!(values, [15.0, 175.0]);
        assert!(Scaling::of(&both, None).unwrap_err().contains("scale 0 is not stated"));
    }

    #[test]
    fn scales_in_a_circle_and_of_other_kinds_are_refused() {
        let circle = properties(
            &[
                ("NI_Scale[0]_Linear_Slope", 1.0),
                ("NI_Scale[0]_Linear_Y_Intercept", 0.0),
                ("NI_Scale[0]_Linear_Input_Source", 0.0),
            ],
            &[(0, "Linear")],
        );
        assert!(Scaling::of(&circle, None).unwrap_err().contains("not before it"));
        let other = properties(&[], &[(0, "Thermocouple")]);
        assert!(Scaling::of(&other, None).unwrap_err().contains("Thermocouple"));
        assert_eq!(Scaling::of(&BTreeMap::new(), None), Ok(None));
    }
}
