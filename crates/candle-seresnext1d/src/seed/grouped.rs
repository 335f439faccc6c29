use candle_convnet1d::{BatchNorm1d, Conv1dConfig, Pass, Signal, relu};
use candle_core::{Result, Tensor};
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
/// Between the two convolutions lie C `filters` channels, by far the most of the network. In inference the branches run
/// one after the other, so that there are `filters` of them at a time (candle keeps them all the same where it records
/// operations on variables; parameters that are plain tensors avoid that). In training the backward pass needs them all.
#[derive(Debug)]
pub(super) struct Grouped {
    /// First input channel that is read, and how many.
    read: (usize, usize),
    branches: usize,
    /// How many parts of what is read the branches share out: one for each, or one for all.
    widen_groups: usize,
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
            branches,
            widen_groups: groups,
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
        let y = match pass {
            Pass::Train { .. } => {
                let wide = self.widen.forward_relu(&x, pass)?;
                self.narrow.forward_relu(&wide, pass)?
            }
            Pass::Eval { domain } => {
                let x = x.leave()?;
                let branches = (0..self.branches).map(|branch| self.eval_branch(&x, branch, domain));
                Signal::enter(&Tensor::cat(&branches.collect::<Result<Vec<_>>>()?, 1)?)?
            }
        };
        match &self.merge {
            None => Ok(y),
            Some(norm) => y.norm_relu(norm, pass),
        }
    }

    /// One branch in inference: `(N, read, L) -> (N, g, L)`.
    fn eval_branch(&self, x: &Tensor, branch: usize, domain: Option<usize>) -> Result<Tensor> {
        let group = x.dim(1)? / self.widen_groups;
        // with one group, all branches read it
        let x = x.narrow(1, (branch % self.widen_groups) * group, group)?;
        let wide = relu(&self.widen.eval_group(&x, branch, self.branches, domain)?)?;
        relu(&self.narrow.eval_group(&wide, branch, self.branches, domain)?)
    }
}
