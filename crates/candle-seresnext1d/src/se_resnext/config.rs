use candle_convnet1d::BatchNormConfig;
use candle_core::Result;

use super::NETWORK;
use crate::{Error, input};

/// Shape of a [`SeResNeXt`](crate::SeResNeXt): a preset, or any numbers that fit each other.
///
/// ```
/// use candle_seresnext1d::SeResNeXtConfig;
///
/// // SE-ResNeXt-50 with 8 groups instead of 32 ("8x4d"), for two-channel windows
/// let config = SeResNeXtConfig {
///     groups: 8,
///     widths: vec![32, 64, 128, 256],
///     ..SeResNeXtConfig::depth(50, 2)?
/// };
/// assert_eq!(config.feature_len(), 2048);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeResNeXtConfig {
    /// Channels of a window.
    pub in_channels: usize,
    /// Channels after the stem.
    pub stem: usize,
    /// Residual blocks in each stage. Every stage but the first halves the length.
    pub blocks: Vec<usize>,
    /// Width of the grouped convolutions in each stage, over all groups; a multiple of `groups`.
    pub widths: Vec<usize>,
    /// Output channels of each stage. The last is the number of features.
    pub outputs: Vec<usize>,
    /// Groups of the grouped convolutions (`ResNeXt`'s cardinality).
    pub groups: usize,
    /// The squeeze-and-excitation gate of c channels has a hidden layer of c / `reduction`
    /// (rounded down) ...
    pub reduction: usize,
    /// ... but of at least `min_reduced`.
    pub min_reduced: usize,
    /// Batch norm after each convolution.
    pub batch_norm: BatchNormConfig,
}

impl SeResNeXtConfig {
    /// The papers' network (32x4d, reduction 16) of that depth: 26, 50, 101 or 152.
    ///
    /// `ResNeXt`: Xie et al. 2017, arXiv:1611.05431, table 1. Gates: Hu et al. 2018,
    /// arXiv:1709.01507, table 1 (SE-ResNeXt-50). Depth 26 (two blocks a stage) is common
    /// practice and in neither paper. 2048 features.
    ///
    /// # Errors
    /// Another depth.
    pub fn depth(depth: usize, in_channels: usize) -> Result<Self> {
        let blocks = match depth {
            26 => [2, 2, 2, 2],
            50 => [3, 4, 6, 3],
            101 => [3, 4, 23, 3],
            152 => [3, 8, 36, 3],
            _ => {
                return Err(Error::UnknownDepth {
                    network: NETWORK,
                    depth,
                    known: "26, 50, 101 and 152",
                }
                .into());
            }
        };
        Ok(Self {
            in_channels,
            stem: 64,
            blocks: blocks.into(),
            widths: vec![128, 256, 512, 1024],
            outputs: vec![256, 512, 1024, 2048],
            groups: 32,
            reduction: 16,
            min_reduced: 4,
            batch_norm: BatchNormConfig::default(),
        })
    }

    /// A narrow SE-ResNeXt-26 for small data: 8 groups, 512 features, 1/15 of the parameters.
    pub fn small26(in_channels: usize) -> Self {
        Self {
            in_channels,
            stem: 32,
            blocks: vec![2, 2, 2, 2],
            widths: vec![32, 64, 128, 256],
            outputs: vec![64, 128, 256, 512],
            groups: 8,
            reduction: 16,
            min_reduced: 4,
            batch_norm: BatchNormConfig::default(),
        }
    }

    /// Number of features: the channels of the last stage, at any window length.
    /// 0 for a configuration without stages, which no network can be built from.
    pub fn feature_len(&self) -> usize {
        self.outputs.last().copied().unwrap_or(0)
    }

    /// Whether a network can be built. The batch norm is checked by its own layer.
    ///
    /// # Errors
    /// The first field that is zero, does not fit the others, or is not divisible by `groups`.
    pub fn validate(&self) -> Result<()> {
        input::check_channels(NETWORK, self.in_channels)?;
        for (field, value) in [
            ("stem", self.stem),
            ("groups", self.groups),
            ("reduction", self.reduction),
            ("min_reduced", self.min_reduced),
        ] {
            at_least_one(field, value)?;
        }
        if self.blocks.is_empty() {
            return Err(wrong("blocks", "empty", "the blocks of at least one stage").into());
        }
        let stages = self.blocks.len();
        for (field, values) in [
            ("blocks", &self.blocks),
            ("widths", &self.widths),
            ("outputs", &self.outputs),
        ] {
            if values.len() != stages {
                let found = format!("{values:?} ({} stages)", values.len());
                let expected = format!("{stages} values, one a stage, as blocks has");
                return Err(wrong(field, found, expected).into());
            }
            for (stage, &value) in values.iter().enumerate() {
                at_least_one(&format!("{field}[{stage}]"), value)?;
            }
        }
        for (stage, &width) in self.widths.iter().enumerate() {
            if width % self.groups != 0 {
                let expected = format!("a multiple of groups = {}", self.groups);
                return Err(wrong(&format!("widths[{stage}]"), width.to_string(), expected).into());
            }
        }
        Ok(())
    }

    /// Width of the hidden layer of a gate of that many channels.
    pub(super) fn reduced(&self, channels: usize) -> usize {
        (channels / self.reduction).max(self.min_reduced)
    }
}

fn at_least_one(field: &str, value: usize) -> std::result::Result<(), Error> {
    match value {
        0 => Err(wrong(field, "0", "at least 1")),
        _ => Ok(()),
    }
}

fn wrong(field: &str, found: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::Config {
        network: NETWORK,
        field: field.to_owned(),
        found: found.into(),
        expected: expected.into(),
    }
}
