use candle_convnet1d::{BatchNormConfig, RunningVariance, Statistics};
use candle_core::Result;

use super::NETWORK;
use crate::{Error, input};

/// Which input channels each branch of the grouped part reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Branch c reads group c, as intended.
    #[default]
    OwnGroup,
    /// Every branch reads the last group, as the original's code runs: its slice is a closure over the loop variable,
    /// which has its last value whenever the network is called. Weights that were trained there want this form.
    LastGroup,
}

/// What becomes of the length after the last stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Mean over the length: 16 F features.
    #[default]
    Average,
    /// Maximum over the length: 16 F features.
    Maximum,
    /// None: 16 F features at each position of the last stage, all of the first position first.
    Flatten,
}

/// Shape of a [`SeedNet`](crate::SeedNet): a preset, or any numbers that fit each other.
///
/// ```
/// use candle_seresnext1d::{Pooling, SeedNetConfig};
///
/// // depth 18 with half the filters, for two-channel windows, positions kept
/// let config = SeedNetConfig {
///     filters: 8,
///     pooling: Pooling::Flatten,
///     ..SeedNetConfig::depth(18, 2)?
/// };
/// assert_eq!(config.feature_len(257), 128 * 8);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SeedNetConfig {
    /// Channels of a window.
    pub in_channels: usize,
    /// Residual blocks in each stage.
    pub blocks: [usize; 4],
    /// F: channels after the stem. The stages have N = F, 2 F, 4 F, 8 F filters and put out 2 N channels.
    pub filters: usize,
    /// C: branches of the grouped part, a divisor of F. With 1 there is no slicing.
    pub cardinality: usize,
    /// r: the gate of N channels has a hidden layer of N / r, rounded down. With none left it is a learnt constant.
    pub ratio: usize,
    /// Which input channels each branch reads.
    pub grouping: Grouping,
    /// What becomes of the length at the end.
    pub pooling: Pooling,
    /// Probability of dropout on the features in training, at least 0 and below 1.
    pub dropout: f64,
    /// Batch norm after each convolution and after each concatenation of branches.
    pub batch_norm: BatchNormConfig,
}

impl SeedNetConfig {
    /// The original's batch norm: epsilon 0.001, momentum 0.99 in Keras' sense (0.01 of the new value), biased
    /// running variance.
    pub const BATCH_NORM: BatchNormConfig = BatchNormConfig {
        eps: 1e-3,
        momentum: 0.01,
        running_variance: RunningVariance::Biased,
        statistics: Statistics::Joint,
    };

    /// The network of that depth (18, 34, 50, 101 or 152) with what the article's example sets: F = 16, C = 8,
    /// ratio 4, average pooling; no dropout. 34 and 50 are the same network.
    ///
    /// # Errors
    /// Another depth.
    pub fn depth(depth: usize, in_channels: usize) -> Result<Self> {
        Ok(Self {
            in_channels,
            blocks: Self::blocks_of(depth).ok_or(Error::UnknownDepth {
                network: NETWORK,
                depth,
                known: "18, 34, 50, 101 and 152",
            })?,
            filters: 16,
            cardinality: 8,
            ratio: 4,
            grouping: Grouping::OwnGroup,
            pooling: Pooling::Average,
            dropout: 0.0,
            batch_norm: Self::BATCH_NORM,
        })
    }

    fn blocks_of(depth: usize) -> Option<[usize; 4]> {
        match depth {
            18 => Some([2, 1, 1, 1]),
            // the papers' 50 with one block fewer in the last three stages, where a connector stands before each;
            // the original has no other block for 34
            34 | 50 => Some([3, 3, 5, 2]),
            101 => Some([3, 3, 22, 2]),
            152 => Some([3, 7, 35, 2]),
            _ => None,
        }
    }

    /// The depth that has these blocks; for 34 and 50 it is 50.
    pub fn depth_of(blocks: [usize; 4]) -> Option<usize> {
        [18, 50, 101, 152]
            .into_iter()
            .find(|&depth| Self::blocks_of(depth) == Some(blocks))
    }

    /// N of each stage.
    pub(super) fn stage_filters(&self) -> [usize; 4] {
        [1, 2, 4, 8].map(|factor| factor * self.filters)
    }

    /// Width of the hidden layer of a gate of that many channels.
    pub(super) fn reduced(&self, channels: usize) -> usize {
        channels / self.ratio
    }

    /// Length of a window of `length` samples in each stage.
    pub fn lengths(&self, length: usize) -> [usize; 4] {
        let stem = length.div_ceil(2);
        let (window, stride) = stem_pool(stem);
        let first = if stem == 0 { 0 } else { (stem - window) / stride + 1 };
        let mut lengths = [first; 4];
        for stage in 1..4 {
            lengths[stage] = lengths[stage - 1].div_ceil(2);
        }
        lengths
    }

    /// Number of features of a window of `length` samples.
    pub fn feature_len(&self, length: usize) -> usize {
        let positions = match self.pooling {
            Pooling::Average | Pooling::Maximum => 1,
            Pooling::Flatten => self.lengths(length)[3],
        };
        16 * self.filters * positions
    }

    /// Whether a network can be built. The batch norm is checked by its own layer.
    ///
    /// # Errors
    /// The first field that is impossible. Where the original fails too (C that does not divide F), so does this.
    pub fn validate(&self) -> Result<()> {
        input::check_channels(NETWORK, self.in_channels)?;
        for (field, value) in [
            ("filters", self.filters),
            ("cardinality", self.cardinality),
            ("ratio", self.ratio),
            ("blocks[0]", self.blocks[0]),
            ("blocks[1]", self.blocks[1]),
            ("blocks[2]", self.blocks[2]),
            ("blocks[3]", self.blocks[3]),
        ] {
            if value == 0 {
                return Err(wrong(field, "0", "at least 1".into()).into());
            }
        }
        if !self.filters.is_multiple_of(self.cardinality) {
            let expected = format!(
                "a divisor of filters = {}: the branches' outputs, side by side, must be as many as the filters",
                self.filters
            );
            return Err(wrong("cardinality", self.cardinality, expected).into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(wrong("dropout", self.dropout, "at least 0 and below 1".into()).into());
        }
        Ok(())
    }
}

/// Window and stride of the max pool behind the stem, which leaves `length` samples.
pub(super) fn stem_pool(length: usize) -> (usize, usize) {
    (if length <= 2 { 1 } else { 2 }, 2)
}

fn wrong(field: &str, found: impl ToString, expected: String) -> Error {
    Error::Config {
        network: NETWORK,
        field: field.to_owned(),
        found: found.to_string(),
        expected,
    }
}
