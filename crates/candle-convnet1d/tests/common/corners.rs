//! The shapes at which code goes wrong first. Every property is tried on each of them before any random shape.

use super::{Random, cases};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corner {
    /// No corner: any shape.
    None,
    BatchOne,
    LengthOne,
    ShorterThanKernel,
    PaddingBeyondKernel,
    StrideBeyondKernel,
    Dilated,
    /// As many groups as input channels.
    Depthwise,
}

impl Corner {
    pub const ALL: [Self; 7] = [
        Self::BatchOne,
        Self::LengthOne,
        Self::ShorterThanKernel,
        Self::PaddingBeyondKernel,
        Self::StrideBeyondKernel,
        Self::Dilated,
        Self::Depthwise,
    ];

    /// All corners, then none for each of `random` cases (or what `CROSSRIG_PROPTEST_CASES` says).
    pub fn then_random(random: usize) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .chain(std::iter::repeat_n(Self::None, cases(random)))
    }

    pub fn batch(self, random: &mut Random) -> usize {
        if self == Self::BatchOne {
            1
        } else {
            random.between(1, 4)
        }
    }

    pub fn length(self, random: &mut Random, most: usize) -> usize {
        if self == Self::LengthOne {
            1
        } else {
            random.between(1, most)
        }
    }
}
