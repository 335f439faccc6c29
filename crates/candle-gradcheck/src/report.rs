//! What a check found.

use std::fmt;

/// Outcome of a check: how much was compared, and what was furthest off.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Derivatives compared.
    pub checked: usize,
    /// Derivatives beyond their tolerance; 0 in a report that is returned as `Ok`.
    pub failed: usize,
    /// The derivative with the largest difference in units of its tolerance.
    pub worst: Worst,
}

/// One derivative, both ways.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Worst {
    /// Number of the input, from 0.
    pub input: usize,
    /// The element of that input, or the random direction it was moved along.
    pub index: Place,
    /// The element of the output, or the random cotangent it was multiplied by.
    pub output: Place,
    /// Derivative by `backward`.
    pub analytic: f64,
    /// Derivative by central differences.
    pub numeric: f64,
    /// `|analytic - numeric|`; 0 for equal infinities.
    pub difference: f64,
    /// `atol + rtol * |numeric|`.
    pub tolerance: f64,
}

/// Where in a tensor: an element, or a random combination of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One element, by its index in each dimension.
    Element(Vec<usize>),
    /// The random unit vector of this number, from 0.
    Random(usize),
}

impl Worst {
    pub(crate) fn compare(
        (input, index): (usize, Place),
        output: Place,
        (analytic, numeric): (f64, f64),
        (atol, rtol): (f64, f64),
    ) -> Self {
        // equal infinities agree, though their difference is NaN
        let difference = if analytic == numeric {
            0.0
        } else {
            (analytic - numeric).abs()
        };
        let tolerance = atol + rtol * numeric.abs();
        Self {
            input,
            index,
            output,
            analytic,
            numeric,
            difference,
            tolerance,
        }
    }

    /// Whether the two derivatives agree.
    pub fn passes(&self) -> bool {
        // an infinite numeric derivative has an infinite tolerance; only an equal analytic one agrees
        self.difference == 0.0 || (self.difference.is_finite() && self.difference <= self.tolerance)
    }

    /// Difference in units of the tolerance; infinite where NaN or infinity took part.
    pub(crate) fn severity(&self) -> f64 {
        if self.difference == 0.0 {
            0.0
        } else if self.difference.is_finite() {
            self.difference / self.tolerance
        } else {
            f64::INFINITY
        }
    }
}

impl Report {
    /// An empty list of comparisons has no worst one, hence no report.
    pub(crate) fn add(report: &mut Option<Self>, found: Worst) {
        let failed = usize::from(!found.passes());
        match report {
            None => {
                *report = Some(Self {
                    checked: 1,
                    failed,
                    worst: found,
                });
            }
            Some(report) => {
                report.checked += 1;
                report.failed += failed;
                if found.severity() > report.worst.severity() {
                    report.worst = found;
                }
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(index) => write!(f, "element {index:?}"),
            Self::Random(number) => write!(f, "random direction {number}"),
        }
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "derivative of output {} by input {} {}: analytic {:e}, numeric {:e}, difference {:e}, tolerance {:e}",
            self.output, self.input, self.index, self.analytic, self.numeric, self.difference, self.tolerance
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} derivatives beyond tolerance; worst: {}",
            self.failed, self.checked, self.worst
        )
    }
}
