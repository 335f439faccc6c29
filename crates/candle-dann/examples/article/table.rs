//! The layers of a network in the order of the data, with what each puts out and holds.
use candle_dann::{DannConfig, Head};
use candle_seresnext1d::SeedNetConfig;
use candle_trainer::ParameterStore;

/// One layer, or a convolution with its batch norm and `ReLU`.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name: that of its parameters, where it has any.
    pub layer: String,
    /// What it does.
    pub does: String,
    /// Shape of its output for one window.
    pub output: Vec<usize>,
    /// Numbers that are trained.
    pub trainable: usize,
    /// Running statistics of batch norm.
    pub running: usize,
}

/// The extractor for windows of `length` samples.
pub fn extractor(config: &SeedNetConfig, length: usize, store: &ParameterStore) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |layer: &str, does: &str, output: &[usize]| {
        rows.push(row(&format!("extractor.{layer}"), does.into(), output, store));
    };
    let (f, c) = (config.filters, config.cardinality);
    let lengths = config.lengths(length);
    add("stem", "conv 7, stride 2", &[f, length.div_ceil(2)]);
    add("max pool", "window 2, stride 2", &[f, lengths[0]]);
    for (s, &blocks) in config.blocks.iter().enumerate() {
        let (n, length) = (f << s, lengths[s]);
        for b in 0..blocks {
            let mut add = |part: &str, does: &str, channels: usize| {
                add(&format!("stages.{s}.blocks.{b}.{part}"), does, &[channels, length]);
            };
            add("shortcut", "conv 1", 2 * n);
            add("widen", &format!("conv 1, {c} groups"), c * n);
            add("narrow", &format!("conv 3, {c} groups"), n);
            if c > 1 {
                add("merge", "batch norm", n);
            }
            add("gate", &format!("dense {}, dense {n}", n / config.ratio), n);
            add("output", "conv 1, plus shortcut", 2 * n);
        }
        // behind every stage but the last
        if let Some(&shorter) = lengths.get(s + 1) {
            add(&format!("stages.{s}.down.0"), "conv 3, stride 2", &[2 * n, shorter]);
            add(&format!("stages.{s}.down.1"), "conv 3", &[2 * n, shorter]);
        }
    }
    let features = [config.feature_len(length)];
    add("pool", "mean over the length", &features);
    add("dropout", &format!("{} in training", config.dropout), &features);
    rows
}

/// The heads, with the signed lambda of the reversal.
pub fn heads(config: &DannConfig, lambda: f64, store: &ParameterStore) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |layer: &str, does: &str, output: usize| {
        rows.push(row(layer, does.into(), &[output], store));
    };
    let shared = config.projection.unwrap_or(config.feature_len);
    if config.projection.is_some() {
        add("projection", "dense, linear", shared);
    }
    let heads = [
        ("label_head", config.label_head, config.labels.outputs()),
        ("domain_head", config.domain_head, config.domains),
    ];
    for (name, head, outputs) in heads {
        if name == "domain_head" {
            add("reversal", &format!("gradient times {lambda}"), shared);
        }
        if let Head::Hidden { width, .. } = head {
            add(&format!("{name}.hidden"), "dense, ReLU", width);
        }
        add(&format!("{name}.output"), "dense, softmax", outputs);
    }
    rows
}

fn row(layer: &str, does: String, output: &[usize], store: &ParameterStore) -> Row {
    let count = |variables: std::collections::BTreeMap<String, candle_core::Var>| -> usize {
        let own = variables
            .into_iter()
            .filter(|(name, _)| name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.')));
        own.map(|(_, variable)| variable.elem_count()).sum()
    };
    Row {
        layer: layer.to_owned(),
        does,
        // one window
        output: [&[1], output].concat(),
        trainable: count(store.trainable()),
        running: count(store.buffers()),
    }
}
