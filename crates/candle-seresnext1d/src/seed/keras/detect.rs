//! What network weights are of.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::layers::{First, layer};
use super::{Heads, KerasModel};
use crate::seed::{Grouping, Pooling, SeedNetConfig};
use crate::{Error, input};

type Weights<'a> = BTreeMap<&'a str, &'a Tensor>;

/// Shapes of the kernels of one kind of layer.
struct Kernels<'a> {
    weights: &'a Weights<'a>,
    kind: &'static str,
    first: usize,
}

impl<'a> Kernels<'a> {
    fn new(weights: &'a Weights<'a>, kind: &'static str) -> Result<Self, Error> {
        let first = weights.keys().filter_map(|name| number(name, kind)).min();
        let first = first.ok_or_else(|| unknown(format!("there is no layer {kind}")))?;
        Ok(Self { weights, kind, first })
    }

    fn name(&self, number: usize) -> String {
        layer(self.kind, self.first + number)
    }

    /// Of the layer of that number, counted from the first, if there is such a layer.
    fn get<const N: usize>(&self, number: usize) -> Option<[usize; N]> {
        dims(self.weights, &self.name(number))
    }

    fn need<const N: usize>(&self, number: usize) -> Result<[usize; N], Error> {
        self.get(number).ok_or_else(|| {
            let name = self.name(number);
            unknown(format!("{name}/kernel is missing or has other than {N} dimensions"))
        })
    }
}

/// The number in `kind_number/weight`.
fn number(name: &str, kind: &str) -> Option<usize> {
    let (layer, _) = name.split_once('/')?;
    match layer.strip_prefix(kind)? {
        "" => Some(0),
        rest => rest.strip_prefix('_')?.parse().ok(),
    }
}

fn dims<const N: usize>(weights: &Weights, layer: &str) -> Option<[usize; N]> {
    weights.get(format!("{layer}/kernel").as_str())?.dims().try_into().ok()
}

fn unknown(found: String) -> Error {
    Error::KerasNetwork { found }
}

pub(super) fn model(weights: &Weights) -> Result<KerasModel, Error> {
    let convs = Kernels::new(weights, "conv1d")?;
    let [kernel, in_channels, filters] = convs.need(0)?;
    let [_, group, widened] = convs.need(2)?;
    input::check_channels(super::super::NETWORK, in_channels)?;
    if kernel != 7 {
        return Err(unknown(format!("a first convolution of kernel {kernel}, not 7")));
    }
    if group == 0 || widened != filters || !filters.is_multiple_of(group) {
        return Err(unknown(format!(
            "a first branch from {group} to {widened} channels where the stem has {filters}"
        )));
    }
    let cardinality = filters / group;
    let blocks = blocks(&convs, cardinality)?;
    let denses = Kernels::new(weights, "dense")?;
    let count: usize = blocks.iter().sum();
    let mut network = SeedNetConfig {
        in_channels,
        blocks,
        filters,
        cardinality,
        ratio: ratio(&denses, filters, blocks)?,
        grouping: Grouping::LastGroup,
        pooling: Pooling::Average,
        dropout: 0.0,
        batch_norm: SeedNetConfig::BATCH_NORM,
    };
    let (heads, features) = heads(weights, &denses, 2 * count)?;
    let features = features.unwrap_or(16 * filters);
    if features != 16 * filters {
        network.pooling = Pooling::Flatten;
    }
    let first = First {
        conv1d: convs.first,
        batch_normalization: Kernels::new(weights, "batch_normalization")?.first,
        dense: denses.first,
    };
    Ok(KerasModel {
        network,
        heads,
        features,
        first,
    })
}

/// Blocks of each stage: a block begins with a kernel of one sample, what leads to the next stage with one of three.
fn blocks(convs: &Kernels, cardinality: usize) -> Result<[usize; 4], Error> {
    let mut blocks = [0; 4];
    let mut at = 1;
    for (stage, blocks) in blocks.iter_mut().enumerate() {
        while let Some([1, _, _]) = convs.get(at) {
            *blocks += 1;
            at += 2 + 2 * cardinality;
        }
        if *blocks == 0 {
            return Err(unknown(format!(
                "{} does not begin a block of stage {stage}",
                convs.name(at)
            )));
        }
        at += 2;
    }
    Ok(blocks)
}

/// The smallest ratio with the gates' widths.
fn ratio(denses: &Kernels, filters: usize, blocks: [usize; 4]) -> Result<usize, Error> {
    let mut reduced = [0; 4];
    let mut block = 0;
    for (reduced, blocks) in reduced.iter_mut().zip(blocks) {
        [_, *reduced] = denses.need(2 * block)?;
        block += blocks;
    }
    let widths = [1, 2, 4, 8].map(|factor| factor * filters);
    (1..=8 * filters + 1)
        .find(|ratio| widths.map(|width| width / ratio) == reduced)
        .ok_or_else(|| unknown(format!("gates of {reduced:?} hidden units for {widths:?} channels")))
}

/// The heads behind `gates` dense layers, and the features that they take.
fn heads(weights: &Weights, denses: &Kernels, gates: usize) -> Result<(Heads, Option<usize>), Error> {
    let [label, domain] = ["label_predict", "domain_predict"].map(|name| dims::<2>(weights, name));
    let (label, domain) = match (label, domain) {
        (Some(label), Some(domain)) => (label, domain),
        (None, None) => {
            return Ok(match denses.get(gates) {
                None => (Heads::None, None),
                Some([features, outputs]) => (Heads::Top { outputs }, Some(features)),
            });
        }
        _ => {
            return Err(unknown(
                "one of label_predict and domain_predict without the other".into(),
            ));
        }
    };
    let (projection, hidden) = match (denses.get::<2>(gates + 1), denses.get::<2>(gates + 2)) {
        (Some(only), None) if label[0] != domain[0] => (None, Some(only)),
        (first, second) => (first, second),
    };
    let heads = Heads::Dann {
        projection: projection.map(|[_, width]| width),
        hidden: hidden.map(|[_, width]| width),
        labels: label[1],
        domains: domain[1],
    };
    Ok((heads, Some(projection.map_or(domain[0], |[features, _]| features))))
}
