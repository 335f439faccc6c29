//! The original's weights under the names and layouts of this crate.
//!
//! Keras has convolution kernels `(k, in, out)`, dense kernels `(in, out)` and numbers layers of a kind in the order of
//! their creation (`conv1d`, `conv1d_1`, ...). [`KerasModel`] maps them; tensors go in and come out, files are the
//! caller's:
//!
//! ```no_run
//! # use candle_core::{DType, Device};
//! # use candle_nn::VarBuilder;
//! use candle_seresnext1d::{SeedNet, keras::KerasModel};
//!
//! let weights = candle_core::safetensors::load("weights.safetensors", &Device::Cpu)?;
//! let model = KerasModel::detect(&weights)?;
//! let tensors = model.import(&weights)?;
//! let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
//! let extractor = SeedNet::new(&model.network, vb.pp("extractor"))?;
//! # Ok::<(), candle_core::Error>(())
//! ```
//!
//! What comes out is named as candle-dann names a whole model: `extractor.*`, `projection.*`, `label_head.hidden.*`,
//! `label_head.output.*`, `domain_head.output.*`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use candle_core::{Result, Tensor};

use super::SeedNetConfig;
use crate::Error;

mod detect;
mod layers;

pub use layers::Source;
use layers::{First, Layout};

/// The dense layers behind the extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heads {
    /// The extractor alone.
    None,
    /// The top of the stand-alone network, the next dense layer after the gates'. It becomes `label_head.output`.
    Top {
        /// Classes.
        outputs: usize,
    },
    /// A domain-adversarial model: `label_predict` and `domain_predict`, in its later form with more before them.
    Dann {
        /// Width of the linear layer before both heads.
        projection: Option<usize>,
        /// Width of the `ReLU` layer in the label head.
        hidden: Option<usize>,
        /// Classes.
        labels: usize,
        /// Domains.
        domains: usize,
    },
}

/// A Keras model of the original: the network and what stands on it.
#[derive(Clone, Debug, PartialEq)]
pub struct KerasModel {
    /// The extractor.
    pub network: SeedNetConfig,
    /// Its heads.
    pub heads: Heads,
    /// Width of the features that the heads take.
    features: usize,
    first: First,
}

/// Where a parameter comes from: the Keras weights that make it up, one after the other along its first dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name here.
    pub name: String,
    /// The weights in Keras. Several are the branches of a grouped convolution.
    pub sources: Vec<Source>,
    layout: Layout,
}

impl Parameter {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        let each = self.sources.iter().map(|source| source.shape.iter().product::<usize>());
        each.sum()
    }
}

impl KerasModel {
    /// A model whose layers are numbered from the first on, for windows of `length` samples (which matters where the
    /// features keep their positions).
    ///
    /// # Errors
    /// A network that does not [validate](SeedNetConfig::validate).
    pub fn new(network: SeedNetConfig, heads: Heads, length: usize) -> Result<Self> {
        network.validate()?;
        Ok(Self {
            features: network.feature_len(length),
            network,
            heads,
            first: First::default(),
        })
    }

    /// Finds out what the weights are of: channels, blocks, filters, cardinality, ratio and heads, from shapes and
    /// numbers alone.
    ///
    /// Weights do not tell everything. [`Grouping::LastGroup`](super::Grouping::LastGroup) is assumed, as the original
    /// runs; average pooling where the heads take as many features as the network has channels, else none; no dropout.
    /// Of several ratios with the same layers it is the smallest.
    ///
    /// # Errors
    /// Weights of something else.
    pub fn detect(weights: &HashMap<String, Tensor>) -> Result<Self> {
        detect::model(&by_name(weights)).map_err(Into::into)
    }

    /// Every parameter, in the order in which Keras makes them, and where it comes from.
    pub fn parameters(&self) -> Vec<Parameter> {
        layers::parameters(self)
    }

    /// The weights under this crate's names, in its layouts and in the dtype they came in.
    ///
    /// Names may carry the path of a file (`conv1d_1/conv1d_1/kernel:0`): their last two parts count.
    ///
    /// # Errors
    /// All that is missing, left over or of another shape than this model has.
    pub fn import(&self, weights: &HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>> {
        let weights = by_name(weights);
        let parameters = self.parameters();
        let mut left: BTreeSet<&str> = weights.keys().copied().collect();
        let (mut missing, mut shapes) = (Vec::new(), Vec::new());
        for source in parameters.iter().flat_map(|parameter| &parameter.sources) {
            left.remove(source.name.as_str());
            match weights.get(source.name.as_str()) {
                None => missing.push(source.name.clone()),
                Some(found) if found.dims() != source.shape => {
                    shapes.push(format!("{} {:?}, not {:?}", source.name, found.dims(), source.shape));
                }
                Some(_) => (),
            }
        }
        if !(missing.is_empty() && left.is_empty() && shapes.is_empty()) {
            return Err(Error::KerasWeights {
                missing,
                left_over: left.into_iter().map(str::to_owned).collect(),
                shapes,
            }
            .into());
        }
        let mut tensors = HashMap::new();
        // a gate without a hidden layer has weights without elements in Keras, and none here
        for parameter in parameters.iter().filter(|parameter| parameter.elements() > 0) {
            let parts = parameter.sources.iter().map(|source| {
                let tensor = weights[source.name.as_str()];
                parameter.layout.turn(tensor)
            });
            let parts = parts.collect::<Result<Vec<_>>>()?;
            tensors.insert(parameter.name.clone(), Tensor::cat(&parts, 0)?.contiguous()?);
        }
        Ok(tensors)
    }
}

/// Weights by the last two parts of their names, `layer/weight`.
fn by_name(weights: &HashMap<String, Tensor>) -> BTreeMap<&str, &Tensor> {
    weights
        .iter()
        .map(|(name, tensor)| {
            let name = name.split_once(':').map_or(name.as_str(), |(name, _)| name);
            let second_slash = name.rmatch_indices('/').nth(1);
            (second_slash.map_or(name, |(at, _)| &name[at + 1..]), tensor)
        })
        .collect()
}
