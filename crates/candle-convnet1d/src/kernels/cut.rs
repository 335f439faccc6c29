//! How the work of a convolution is shared out between threads.

use super::tile::TALL;
use crate::shares;

/// How the work is shared out.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// By samples: so many to a task.
    Samples(usize),
    /// So few samples that each group of each is cut too: into pieces of so many rows of outputs and so many positions.
    Pieces { rows: usize, positions: usize },
}

/// Bytes of weights that stay in the second-level cache beside a panel. More are used for several
/// samples at a time.
const RESIDENT: usize = 256 * 1024;
/// Positions that make reading all the weights worth while.
const POSITIONS: usize = 256;
/// Below so many tasks, the outputs of a sample are shared out as well.
const FEW: usize = 4;
/// Products that are not worth a second thread.
pub(super) const SMALL: usize = 256 * 1024;
/// Positions of a piece are a multiple of this: whole tiles.
const TILES: usize = 32;

impl Cut {
    /// For `samples` samples of `groups` groups, each of them `outputs` rows of `length` positions and `terms` products
    /// for each. `together`: whether all positions of a row are computed alike. Every cut gives the same bits.
    pub fn new<T>(
        samples: usize,
        groups: usize,
        (outputs, length, terms): (usize, usize, usize),
        inputs: usize,
        together: bool,
    ) -> Self {
        let heavy = outputs * terms * size_of::<T>() > RESIDENT;
        let batch = if heavy { (POSITIONS / length.max(1)).max(1) } else { 1 };
        if samples.div_ceil(batch) >= FEW {
            return Self::Samples(batch);
        }
        let parts = shares::threads().div_ceil((samples * groups).max(1));
        let whole = Self::Pieces {
            rows: outputs,
            positions: length,
        };
        if parts < 2 || outputs * length * terms < SMALL {
            return whole;
        }
        // a piece reads all its weights, or all of its input: the smaller of the two
        if together && outputs * terms <= inputs && length >= parts * TILES {
            Self::Pieces {
                rows: outputs,
                positions: length.div_ceil(parts).next_multiple_of(TILES),
            }
        } else {
            Self::Pieces {
                rows: outputs.div_ceil(TALL).div_ceil(parts) * TALL,
                positions: length,
            }
        }
    }
}
