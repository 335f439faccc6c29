//! What a file may ask for.

/// The most samples that are handed out for one channel by default (2^28, 2 GiB as f64): a guard against files that
/// claim more than they are.
pub const MAX_SAMPLES: usize = 1 << 28;

/// No sound deflate stream inflates to more than this many times its size (zlib's technical notes give 1032).
const MOST_INFLATION: u64 = 1032;

/// What a file may ask of the machine before it is refused. Every reader checks sizes that a file declares against the
/// bytes that are there as well, whatever the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file in bytes.
    pub max_bytes: u64,
    /// Most bytes that are inflated for one call: opening, or reading one channel.
    pub max_inflated: u64,
    /// Most samples that are handed out for one channel at a time.
    pub max_samples: usize,
    /// Most structs, cells or groups inside each other.
    pub max_depth: usize,
    /// Most variables that are listed. Besides, a file of `n` bytes lists at most `2048 + n / 64`.
    pub max_variables: usize,
}

impl Default for Limits {
    /// 64 GiB a file, 4 GiB inflated, [`MAX_SAMPLES`], 32 levels, 65,536 variables.
    fn default() -> Self {
        Self {
            max_bytes: 1 << 36,
            max_inflated: 1 << 32,
            max_samples: MAX_SAMPLES,
            max_depth: 32,
            max_variables: 1 << 16,
        }
    }
}

impl Limits {
    /// Most variables of a file of `bytes`. A description in memory takes a few hundred bytes, one in a compressed file
    /// next to none: without this a small file could fill the memory with names.
    pub(crate) fn variables(&self, bytes: u64) -> usize {
        usize::try_from(bytes / 64)
            .unwrap_or(usize::MAX)
            .saturating_add(2048)
            .min(self.max_variables)
    }

    /// Most bytes that `compressed` bytes can inflate to.
    pub(crate) fn inflated(&self, compressed: u64) -> u64 {
        compressed
            .saturating_mul(MOST_INFLATION)
            .saturating_add(1024)
            .min(self.max_inflated)
    }
}
