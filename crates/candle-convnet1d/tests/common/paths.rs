//! The ways in which this crate computes one and the same thing.

use std::fmt;

use candle_convnet1d::{InstructionSet, on_instruction_set};
use candle_core::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The kernels, on one instruction set.
    Kernels(InstructionSet),
    /// The composition of candle's operations.
    Composed,
}

impl Path {
    /// The kernels on every instruction set of this machine. Says which ones it lacks.
    pub fn kernels() -> Vec<Self> {
        let has = |set: &InstructionSet| {
            let has = set.is_available();
            if !has {
                println!("{set}: skipped, this machine lacks it");
            }
            has
        };
        InstructionSet::ALL.into_iter().filter(has).map(Self::Kernels).collect()
    }

    /// Those, and the composition.
    pub fn all() -> Vec<Self> {
        let mut all = Self::kernels();
        all.push(Self::Composed);
        all
    }

    /// One of the two on this path: `kernels` on its instruction set, or `composed`.
    pub fn run<T>(self, kernels: impl FnOnce() -> Result<T>, composed: impl FnOnce() -> Result<T>) -> Result<T> {
        match self {
            Self::Kernels(set) => on_instruction_set(set, kernels)?,
            Self::Composed => composed(),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Kernels(set) => write!(f, "{set} kernels"),
            Self::Composed => f.write_str("composed"),
        }
    }
}
