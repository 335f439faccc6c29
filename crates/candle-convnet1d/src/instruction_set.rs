//! Which instructions the kernels run on.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

use crate::Error;

/// The environment variable that pins the instruction set.
const VARIABLE: &str = "CROSSRIG_ISA";

/// Instructions that the convolution's kernels are compiled for.
///
/// The best set that the processor has is used, unless the environment variable `CROSSRIG_ISA` pins one: `avx512`, `avx2`, `neon`
/// or `scalar`. It is read once, by the first convolution of the process; a value that is unknown, or that this
/// processor lacks, makes every convolution return [`Error::InstructionSet`]. Sets differ in the last bits of their
/// results, since they add in another order: pin one to compare runs of different machines.
///
/// Everything else that this crate computes in its own kernels has the same bits on each of them. What candle computes does not depend on it
/// either: `gemm`, the matrix product behind [`linear`](crate::linear) and the compositions, picks
/// its own instructions, which nothing pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512F: vectors of 16 f32.
    Avx512,
    /// AVX2 and FMA: vectors of 8 f32.
    Avx2,
    /// NEON of 64-bit Arm: vectors of 4 f32.
    Neon,
    /// What the compiler makes of plain code for the baseline of the target.
    Scalar,
}

thread_local! {
    /// What [`on_instruction_set`] asks for.
    static ASKED_FOR: Cell<Option<InstructionSet>> = const { Cell::new(None) };
}

impl InstructionSet {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];

    /// The name that `CROSSRIG_ISA` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(not(target_arch = "aarch64"))]
            Self::Neon => false,
            Self::Scalar => true,
        }
    }

    /// What this machine has, best first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }

    /// What the kernels use in this process.
    ///
    /// # Errors
    /// [`Error::InstructionSet`] where `CROSSRIG_ISA` is not the name of one that this machine has.
    pub fn in_use() -> Result<Self, Error> {
        static PINNED: OnceLock<Result<InstructionSet, String>> = OnceLock::new();
        if let Some(set) = ASKED_FOR.get() {
            return Ok(set);
        }
        let pinned = PINNED.get_or_init(|| match std::env::var_os(VARIABLE) {
            None => Ok(Self::available().next().unwrap_or(Self::Scalar)),
            Some(name) => Self::available()
                .find(|set| name == set.name())
                .ok_or_else(|| name.to_string_lossy().into_owned()),
        });
        pinned.clone().map_err(|found| Self::refused(&found))
    }

    fn refused(found: &str) -> Error {
        let names: Vec<_> = Self::available().map(Self::name).collect();
        Error::InstructionSet {
            found: found.into(),
            available: names.join(", "),
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Runs `f` with the kernels of layers that it calls (on this thread, and in the backward pass of what they return) on
/// `set`: for tests that compare the paths of one machine.
#[doc(hidden)]
pub fn on_instruction_set<R>(set: InstructionSet, f: impl FnOnce() -> R) -> Result<R, Error> {
    /// Puts back what was asked for before, also when `f` panics.
    struct Before(Option<InstructionSet>);
    impl Drop for Before {
        fn drop(&mut self) {
            ASKED_FOR.set(self.0);
        }
    }
    if !set.is_available() {
        return Err(InstructionSet::refused(set.name()));
    }
    let _before = Before(ASKED_FOR.replace(Some(set)));
    Ok(f())
}
