//! Kinds of split, parts and their shares.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a split keeps together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Whole recordings.
    Recordings,
    /// Whole units: all recordings of one physical bearing or machine.
    Units,
    /// Stretches of each recording in time order: train, guard, validation, guard, test; a guard is one window long
    /// and used for nothing.
    Blocks,
    /// Single windows at random. Leaky: test windows lie between training windows of the same recording.
    Windows,
}

impl SplitKind {
    /// All kinds, in the order from the strictest on.
    pub const ALL: [Self; 4] = [Self::Units, Self::Recordings, Self::Blocks, Self::Windows];

    /// Whether windows of different parts may overlap or touch in time, so that scores come out too good.
    pub fn leaky(self) -> bool {
        self == Self::Windows
    }

    fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Units => "units",
            Self::Blocks => "blocks",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for SplitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SplitKind {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::Argument(format!("split {s:?}: expected recordings, units, blocks or windows")))
    }
}

/// A part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What weights and statistics are made from.
    Train,
    /// What choices are made by.
    Validation,
    /// What is scored.
    Test,
}

impl Part {
    /// All parts, in time order of a split by blocks.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Shares of training, validation and test; they sum to 1. Default 0.6, 0.2, 0.2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 3]", into = "[f64; 3]")]
pub struct Fractions([f64; 3]);

impl Fractions {
    /// Checked shares: each finite and not negative, training above 0, sum 1 within 1e-6.
    pub fn new(train: f64, validation: f64, test: f64) -> Result<Self> {
        let all = [train, validation, test];
        if all.iter().any(|f| !f.is_finite() || *f < 0.0)
            || (all.iter().sum::<f64>() - 1.0).abs() > 1e-6
            || train <= 0.0
        {
            return Err(Error::Argument(format!(
                "fractions {train}, {validation}, {test}: expected three numbers of at least 0 that sum to 1, the first \
                 (training) above 0, for example 0.6,0.2,0.2"
            )));
        }
        Ok(Self(all))
    }

    /// The share of one part.
    pub fn of(&self, part: Part) -> f64 {
        self.0[part as usize]
    }

    /// How many parts have a share.
    pub fn parts(&self) -> usize {
        self.0.iter().filter(|f| **f > 0.0).count()
    }

    pub(super) fn all(&self) -> [f64; 3] {
        self.0
    }
}

impl Default for Fractions {
    fn default() -> Self {
        Self([0.6, 0.2, 0.2])
    }
}

impl TryFrom<[f64; 3]> for Fractions {
    type Error = Error;

    fn try_from([train, validation, test]: [f64; 3]) -> Result<Self> {
        Self::new(train, validation, test)
    }
}

impl From<Fractions> for [f64; 3] {
    fn from(fractions: Fractions) -> Self {
        fractions.0
    }
}

impl fmt::Display for Fractions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.0[0], self.0[1], self.0[2])
    }
}

impl FromStr for Fractions {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let numbers: Option<Vec<f64>> = s.split(',').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[train, validation, test]) => Self::new(train, validation, test),
            _ => Err(Error::Argument(format!(
                "fractions {s:?}: expected three numbers, for example 0.6,0.2,0.2"
            ))),
        }
    }
}
