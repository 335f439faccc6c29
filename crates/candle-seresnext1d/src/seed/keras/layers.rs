//! The map: every layer of the original in the order of its creation.

use candle_core::{Result, Tensor};

use super::{Heads, KerasModel, Parameter};

/// A weight in Keras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `layer/weight`, for example `conv1d_3/kernel`.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
}

/// How a weight is laid out in Keras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Vector,
    /// `(k, in, out)`, here `(out, in, k)`.
    Convolution,
    /// `(in, out)`, here a convolution `(out, in, 1)`.
    Gate,
    /// `(in, out)`, here `(out, in)`.
    Dense,
}

impl Layout {
    /// From Keras' layout into ours.
    pub(super) fn turn(self, tensor: &Tensor) -> Result<Tensor> {
        match self {
            Self::Vector => Ok(tensor.clone()),
            Self::Convolution => tensor.permute((2, 1, 0)),
            Self::Gate => tensor.t()?.unsqueeze(2),
            Self::Dense => tensor.t(),
        }
    }
}

/// Numbers of the first layer of each kind: above 0 where other models were made before in the same session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct First {
    pub(super) conv1d: usize,
    pub(super) batch_normalization: usize,
    pub(super) dense: usize,
}

/// The name of layer `number` of a kind.
pub(super) fn layer(kind: &str, number: usize) -> String {
    match number {
        0 => kind.to_owned(),
        _ => format!("{kind}_{number}"),
    }
}

/// Goes through the layers as the original makes them.
struct Walk {
    /// Numbers of the next layers.
    next: First,
    parameters: Vec<Parameter>,
}

impl Walk {
    /// A parameter out of the same weight of some layers, which all have that shape.
    fn add(&mut self, name: String, layout: Layout, layers: &[String], weight: &str, shape: &[usize]) {
        let sources = layers.iter().map(|layer| Source {
            name: format!("{layer}/{weight}"),
            shape: shape.to_vec(),
        });
        self.parameters.push(Parameter {
            name,
            sources: sources.collect(),
            layout,
        });
    }

    /// The convolutions with these numbers, counted from the next one.
    fn conv(&mut self, path: &str, numbers: &[usize], [kernel, c_in, c_out]: [usize; 3]) {
        let layers: Vec<_> = numbers
            .iter()
            .map(|number| layer("conv1d", self.next.conv1d + number))
            .collect();
        let weight = format!("{path}.weight");
        self.add(weight, Layout::Convolution, &layers, "kernel", &[kernel, c_in, c_out]);
        self.add(format!("{path}.bias"), Layout::Vector, &layers, "bias", &[c_out]);
    }

    /// The batch norms with these numbers, counted from the next one.
    fn norm(&mut self, path: &str, numbers: &[usize], channels: usize) {
        let layers: Vec<_> = numbers
            .iter()
            .map(|number| layer("batch_normalization", self.next.batch_normalization + number))
            .collect();
        for (here, there) in [
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ] {
            self.add(format!("{path}.{here}"), Layout::Vector, &layers, there, &[channels]);
        }
    }

    /// A convolution and its batch norm, each the next one.
    fn conv_norm(&mut self, path: &str, shape: [usize; 3]) {
        self.conv(&format!("{path}.conv"), &[0], shape);
        self.norm(&format!("{path}.norm"), &[0], shape[2]);
        self.next.conv1d += 1;
        self.next.batch_normalization += 1;
    }

    /// C branches of two convolutions with batch norm, branch after branch.
    fn branches(&mut self, path: &str, branches: usize, c_in: usize, filters: usize) {
        let group = filters / branches;
        for (which, name, shape) in [(0, "widen", [1, c_in, filters]), (1, "narrow", [3, filters, group])] {
            let numbers: Vec<_> = (0..branches).map(|branch| 2 * branch + which).collect();
            self.conv(&format!("{path}.{name}.conv"), &numbers, shape);
            self.norm(&format!("{path}.{name}.norm"), &numbers, shape[2]);
        }
        self.next.conv1d += 2 * branches;
        self.next.batch_normalization += 2 * branches;
    }

    /// The dense layer of that name.
    fn dense(&mut self, path: &str, layer: String, layout: Layout, [inputs, outputs]: [usize; 2]) {
        let layers = [layer];
        self.add(format!("{path}.weight"), layout, &layers, "kernel", &[inputs, outputs]);
        self.add(format!("{path}.bias"), Layout::Vector, &layers, "bias", &[outputs]);
    }

    fn next_dense(&mut self) -> String {
        self.next.dense += 1;
        layer("dense", self.next.dense - 1)
    }
}

pub(super) fn parameters(model: &KerasModel) -> Vec<Parameter> {
    let (config, f) = (&model.network, model.network.filters);
    let mut walk = Walk {
        next: model.first,
        parameters: Vec::new(),
    };
    walk.conv_norm("extractor.stem", [7, config.in_channels, f]);
    for (stage, filters) in config.stage_filters().into_iter().enumerate() {
        for block in 0..config.blocks[stage] {
            let path = format!("extractor.stages.{stage}.blocks.{block}");
            let c_in = if block == 0 { filters } else { 2 * filters };
            walk.conv_norm(&format!("{path}.shortcut"), [1, c_in, 2 * filters]);
            if config.cardinality == 1 {
                walk.branches(&path, 1, c_in, filters);
            } else {
                walk.branches(&path, config.cardinality, filters / config.cardinality, filters);
                walk.norm(&format!("{path}.merge"), &[0], filters);
                walk.next.batch_normalization += 1;
            }
            let reduced = config.reduced(filters);
            for (name, shape) in [("reduce", [filters, reduced]), ("expand", [reduced, filters])] {
                let layer = walk.next_dense();
                walk.dense(&format!("{path}.gate.{name}"), layer, Layout::Gate, shape);
            }
            walk.conv_norm(&format!("{path}.output"), [1, filters, 2 * filters]);
        }
        for k in 0..if stage < 3 { 2 } else { 0 } {
            let path = format!("extractor.stages.{stage}.down.{k}");
            walk.conv_norm(&path, [3, 2 * filters, 2 * filters]);
        }
    }
    heads(&mut walk, model);
    walk.parameters
}

fn heads(walk: &mut Walk, model: &KerasModel) {
    // the original makes its own top in any case, also where another model cuts it off
    let top = walk.next_dense();
    match model.heads {
        Heads::None => (),
        Heads::Top { outputs } => walk.dense("label_head.output", top, Layout::Dense, [model.features, outputs]),
        Heads::Dann {
            projection,
            hidden,
            labels,
            domains,
        } => {
            let mut features = model.features;
            if let Some(width) = projection {
                let layer = walk.next_dense();
                walk.dense("projection", layer, Layout::Dense, [features, width]);
                features = width;
            }
            let mut before = features;
            if let Some(width) = hidden {
                let layer = walk.next_dense();
                walk.dense("label_head.hidden", layer, Layout::Dense, [features, width]);
                before = width;
            }
            let dense = Layout::Dense;
            walk.dense("label_head.output", "label_predict".into(), dense, [before, labels]);
            walk.dense(
                "domain_head.output",
                "domain_predict".into(),
                dense,
                [features, domains],
            );
        }
    }
}
