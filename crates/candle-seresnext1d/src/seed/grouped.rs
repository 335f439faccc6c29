use candle_convnet1d::{BatchNorm1d, Conv1dConfig, Pass, Signal};
use candle_core::Result;
use candle_nn::VarBuilder;

use super::block::conv_config;
use super::config::{Grouping, SeedNetConfig};
use crate::conv_norm::ConvNorm;

/// The grouped part of a block: `(N, c_in, L) -> (N, filters, L)`.
///
/// Each of C branches reads g = filters / C channels, widens them to `filters` (1x1) and narrows them to g (k3), each
/// with batch norm and `ReLU`; the branches' outputs side by side go through one more batch norm and `ReLU`. The
/// branches are the groups of two grouped convolutions here. Only the first `filters` input channels are read at all.
/// With one branch all input channels are read, and there is no batch norm at the end.
///
/// # Memory
/// Between the two convolutions lie C `filters` channels, by far the most of the network. Training writes them nowhere where g is at
/// most 16 (see [`Signal::conv_norm_relu`]); inference has those of as many rows as it runs at a time.
#[derive(Debug)]
pub(super) struct Grouped {
    /// First input channel that is read, and how many.
    read: (usize, usize),
    widen: ConvNorm,
    narrow: ConvNorm,
    merge: Option<BatchNorm1d>,
}

impl Grouped {
    pub(super) fn new(c_in: usize, filters: usize, config: &SeedNetConfig, vb: &VarBuilder) -> Result<Self> {
        let branches = config.cardinality;
        let group = filters / branches;
        // the first convolution has a group for each branch, or one input for all of them
        let (read, groups) = match config.grouping {
            _ if branches == 1 => ((0, c_in), 1),
            Grouping::OwnGroup => ((0, filters), branches),
            Grouping::LastGroup => (((branches - 1) * group, group), 1),
        };
        let layer = |name: &str, channels, kernel, groups| {
            let conv = Conv1dConfig {
                groups,
                ..conv_config(1)
            };
            let vb = vb.pp(name);
            ConvNorm::new(channels, kernel, conv, config.batch_norm, vb.pp("conv"), vb.pp("norm"))
        };
        Ok(Self {
            read,
            widen: layer("widen", (read.1, branches * filters), 1, groups)?,
            narrow: layer("narrow", (branches * filters, filters), 3, branches)?,
            merge: (branches > 1)
                .then(|| BatchNorm1d::new(filters, config.batch_norm, vb.pp("merge")))
                .transpose()?,
        })
    }

    pub(super) fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        let (first, count) = self.read;
        let x = x.channels(first, count)?;
        let wide = self.widen.forward_relu(&x, pass)?;
        let y = self.narrow.forward_relu(&wide, pass)?;
        match &self.merge {
            None => Ok(y),
            Some(norm) => y.norm_relu(norm, pass),
        }
    }
}
