//! Outputs, gradients and running statistics equal those of the original Keras networks with the same weights.

mod common;
#[path = "common/original.rs"]
mod original;

use std::collections::BTreeMap;
use std::path::Path;

use candle_convnet1d::{Extractor, Linear, Pass, cross_entropy, relu, softmax};
use candle_core::{DType, Module, Result, Tensor, Var};
use candle_gradient_reversal::GradientReversal;
use candle_nn::VarBuilder;
use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Pooling, SeedNet, SeedNetConfig};
use common::Given;
use original::{Case, Tensors, committed, flat, largest, reference};

/// Largest differences allowed, as shares of a tensor's largest value.
struct Tolerance {
    eval: f64,
    train: f64,
    running: f64,
    gradient: f64,
    /// Absolute, of what cancels to rounding errors.
    cancelling: f64,
}

fn tolerance(dtype: DType) -> Tolerance {
    match dtype {
        // outputs are stored in f64, gradients and running statistics in f32
        DType::F64 => Tolerance {
            eval: 1e-10,
            train: 1e-10,
            running: 1e-6,
            gradient: 1e-6,
            cancelling: 1e-6,
        },
        // what the original in f32 itself differs from the original in f64
        _ => Tolerance {
            eval: 2e-5,
            train: 1e-4,
            running: 1e-4,
            gradient: 1e-3,
            cancelling: 5e-5,
        },
    }
}

/// An extractor with the heads of either form.
struct Dann {
    extractor: SeedNet,
    projection: Option<Linear>,
    hidden: Option<Linear>,
    label: Linear,
    domain: Linear,
    reversal: GradientReversal,
    variables: BTreeMap<String, Var>,
}

/// What feeds the heads, and their logits.
struct Outputs {
    features: Tensor,
    label: Tensor,
    domain: Tensor,
}

impl Dann {
    fn new(model: &KerasModel, weights: &Tensors, dtype: DType) -> Result<Self> {
        let store = Given::new(model.import(weights)?, dtype)?;
        let vb: VarBuilder = store.builder(dtype);
        let Heads::Dann {
            projection,
            hidden,
            labels,
            domains,
        } = model.heads
        else {
            candle_core::bail!("{:?}", model.heads)
        };
        let extractor = SeedNet::new(&model.network, vb.pp("extractor"))?;
        let features = 16 * model.network.filters;
        let layer = |from, width: Option<usize>, name| width.map(|w| Linear::new(from, w, vb.pp(name))).transpose();
        let shared = projection.unwrap_or(features);
        Ok(Self {
            extractor,
            projection: layer(features, projection, "projection")?,
            hidden: layer(shared, hidden, "label_head.hidden")?,
            label: Linear::new(hidden.unwrap_or(shared), labels, vb.pp("label_head.output"))?,
            domain: Linear::new(shared, domains, vb.pp("domain_head.output"))?,
            // the original keeps its constant in f32
            reversal: GradientReversal::from_signed(f64::from(-0.8f32)).map_err(candle_core::Error::wrap)?,
            variables: store.variables(),
        })
    }

    /// What feeds the heads.
    fn features(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let features = self.extractor.forward(x, pass)?;
        match &self.projection {
            None => Ok(features),
            Some(layer) => layer.forward(&features),
        }
    }

    fn heads(&self, features: &Tensor) -> Result<Outputs> {
        let hidden = match &self.hidden {
            None => features.clone(),
            Some(layer) => relu(&layer.forward(features)?)?,
        };
        Ok(Outputs {
            features: features.clone(),
            label: self.label.forward(&hidden)?,
            domain: self.domain.forward(&self.reversal.forward(features)?)?,
        })
    }
}

/// Collects differences, to report them together.
#[derive(Default)]
struct Comparison {
    compared: usize,
    wrong: Vec<String>,
}

impl Comparison {
    fn within(&mut self, what: &str, found: &Tensor, expected: &Tensor, bound: f64) {
        assert_eq!(found.dims(), expected.dims(), "{what}");
        self.compared += 1;
        let difference = flat(found).into_iter().zip(flat(expected)).map(|(f, e)| f - e);
        // `max` would drop a NaN
        let off = difference.fold(0.0f64, |most, d| {
            if most >= d.abs() || most.is_nan() {
                most
            } else {
                d.abs()
            }
        });
        if off.is_nan() || off > bound {
            self.wrong.push(format!("{what}: {off:e} off, allowed {bound:e}"));
        }
    }

    fn relative(&mut self, what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
        let bound = tolerance * largest(&flat(expected));
        self.within(what, found, expected, bound);
    }

    #[track_caller]
    fn finish(self, case: &str) {
        assert!(self.compared > 0);
        let wrong = self.wrong;
        assert!(wrong.is_empty(), "{case}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// Whether a parameter is the bias of a convolution before a batch norm.
fn cancels(name: &str) -> bool {
    name.ends_with(".conv.bias")
}

/// The parts of a parameter that one weight in Keras each became.
fn parts(model: &KerasModel, name: &str, tensor: &Tensor) -> Vec<(String, Tensor)> {
    let parameters = model.parameters();
    let parameter = parameters.iter().find(|parameter| parameter.name == name).unwrap();
    let pieces = tensor.chunk(parameter.sources.len(), 0).unwrap();
    let names = parameter.sources.iter().map(|source| source.name.clone());
    names.zip(pieces).collect()
}

fn inference(case: &Case, variant: &str, model: &KerasModel, dtype: DType, compare: &mut Comparison) -> Result<()> {
    let allowed = tolerance(dtype).eval;
    let dann = Dann::new(model, &case.weights, dtype)?;
    let expected = |what: &str| case.io.get(&format!("{variant}.{what}.f64"));
    let x = case.windows(dtype)?;
    let features = dann.extractor.forward(&x, Pass::EVAL)?;
    let outputs = dann.heads(&dann.features(&x, Pass::EVAL)?)?;
    for (what, found) in [
        ("eval.features", &features),
        ("eval.label_prob", &softmax(&outputs.label)?),
        ("eval.domain_prob", &softmax(&outputs.domain)?),
    ] {
        compare.relative(what, found, expected(what).unwrap(), allowed);
    }
    for length in [256, 300, 33, 5, 4] {
        let what = format!("eval_len{length}.features");
        if let Some(expected) = expected(&what) {
            let whole = x.dim(2)?;
            let x = if length <= whole {
                x.narrow(2, 0, length)?
            } else {
                Tensor::cat(&[&x, &x.narrow(2, 0, length - whole)?], 2)?
            };
            compare.relative(&what, &dann.extractor.forward(&x, Pass::EVAL)?, expected, allowed);
        }
    }
    for (pooling, what) in [(Pooling::Maximum, "max"), (Pooling::Flatten, "none")] {
        let what = format!("eval_pool_{what}.features");
        if let Some(expected) = expected(&what) {
            let network = SeedNetConfig {
                pooling,
                ..model.network.clone()
            };
            let tensors = model.import(&case.weights)?;
            let vb = Given::new(tensors, dtype)?.builder(dtype);
            let network = SeedNet::new(&network, vb.pp("extractor"))?;
            compare.relative(&what, &network.forward(&x, Pass::EVAL)?, expected, allowed);
        }
    }
    Ok(())
}

fn training(case: &Case, variant: &str, model: &KerasModel, dtype: DType, compare: &mut Comparison) -> Result<()> {
    let allowed = tolerance(dtype);
    let dann = Dann::new(model, &case.weights, dtype)?;
    let expected = |what: &str| &case.io[&format!("{variant}.train.{what}.f64")];
    let x = case.windows(dtype)?;
    let rows = [x.dim(0)?];
    let pass = Pass::Train {
        seed: 0,
        step: 0,
        rows: &rows,
    };
    let (labels, domains) = (case.classes("label_true"), case.classes("domain_true"));
    let losses = |outputs: &Outputs| -> Result<(Tensor, Tensor)> {
        let label = cross_entropy(&outputs.label, &labels)?;
        Ok((label, cross_entropy(&outputs.domain, &domains)?))
    };
    let outputs = dann.heads(&dann.features(&x, pass)?)?;
    let (label, domain) = losses(&outputs)?;
    let total = (&label + &domain)?;
    let together = Tensor::stack(&[&label, &domain, &total], 0)?;
    for (what, found) in [
        ("features", &outputs.features),
        ("label_prob", &softmax(&outputs.label)?),
        ("domain_prob", &softmax(&outputs.domain)?),
        ("loss", &together),
    ] {
        compare.relative(&format!("train.{what}"), found, expected(what), allowed.train);
    }

    // gradients at the features: those of a graph that begins there
    let features = Var::from_tensor(&outputs.features.detach())?;
    let (at_label, at_domain) = losses(&dann.heads(&features)?)?;
    for (what, loss) in [("grad_feature_label", at_label), ("grad_feature_domain", at_domain)] {
        let gradients = loss.backward()?;
        let found = gradients.get(&features).unwrap();
        compare.relative(&format!("train.{what}"), found, expected(what), allowed.gradient);
    }

    let trained = case.trained(variant);
    let of_kind = |kind: &str| -> Tensors {
        let named = trained.iter();
        named
            .filter_map(|(name, tensor)| Some((name.strip_prefix(kind)?.to_owned(), tensor.clone())))
            .collect()
    };
    let (all, only, after) = (of_kind("total/"), of_kind("domain_only/"), of_kind("after/"));
    assert!(!only.is_empty() && all.len() + after.len() == case.weights.len());
    let most = all.values().map(|tensor| largest(&flat(tensor))).fold(0.0, f64::max);
    let imported = model.import(&all.iter().chain(&after).map(|(n, t)| (n.clone(), t.clone())).collect())?;
    let imported_only = model.import(&{
        let mut tensors: Tensors = case.weights.clone();
        tensors.extend(only.clone());
        tensors
    })?;

    let (of_total, of_domain) = (total.backward()?, domain.backward()?);
    for (name, variable) in &dann.variables {
        if !common::trainable(name) {
            for ((source, found), (_, expected)) in
                parts(model, name, variable)
                    .into_iter()
                    .zip(parts(model, name, &imported[name]))
            {
                compare.relative(&format!("after {source}"), &found, &expected, allowed.running);
            }
            continue;
        }
        let Some(gradient) = of_total.get(variable) else {
            candle_core::bail!("{name} has no gradient");
        };
        let bound = |expected: &Tensor| {
            if cancels(name) {
                allowed.cancelling
            } else {
                allowed.gradient * (largest(&flat(expected)) + 1e-3 * most)
            }
        };
        for ((source, found), (_, expected)) in
            parts(model, name, gradient)
                .into_iter()
                .zip(parts(model, name, &imported[name]))
        {
            compare.within(&format!("gradient {source}"), &found, &expected, bound(&expected));
        }
        for (part, (source, expected)) in parts(model, name, &imported_only[name]).into_iter().enumerate() {
            if only.contains_key(&source) {
                // no path from the domain loss: no entry in candle's store
                let found = match of_domain.get(variable) {
                    None => expected.zeros_like()?,
                    Some(gradient) => parts(model, name, gradient)[part].1.clone(),
                };
                compare.within(
                    &format!("domain gradient {source}"),
                    &found,
                    &expected,
                    bound(&expected),
                );
            }
        }
    }
    Ok(())
}

fn check(folder: &Path, name: &'static str) {
    let case = Case::load(folder, name);
    for (variant, grouping) in case.variants() {
        let mut model = case.described();
        model.network.grouping = grouping;
        for dtype in [DType::F64, DType::F32] {
            let mut compare = Comparison::default();
            inference(&case, variant, &model, dtype, &mut compare).unwrap();
            training(&case, variant, &model, dtype, &mut compare).unwrap();
            compare.finish(&format!("{name} {variant} in {dtype:?}"));
        }
    }
}

#[test]
fn one_branch_at_depth_18_equals_the_original() {
    check(&committed(), "d18_f4_c1");
}

#[test]
fn four_branches_at_depth_18_equal_the_original() {
    if let Some(folder) = reference() {
        check(&folder, "d18_f8_c4");
    }
}

#[test]
fn one_channel_a_branch_at_depth_50_equals_the_original() {
    if let Some(folder) = reference() {
        check(&folder, "d50_f4_c4");
    }
}

#[test]
fn the_later_form_with_projection_equals_the_original() {
    if let Some(folder) = reference() {
        check(&folder, "d18_f4_c2_late");
    }
}

#[test]
fn a_gate_that_is_off_for_the_whole_batch_has_a_gradient_of_exactly_zero() {
    let case = Case::load(&committed(), "d18_f4_c1");
    let model = case.described();
    for dtype in [DType::F64, DType::F32] {
        let dann = Dann::new(&model, &case.weights, dtype).unwrap();
        let pass = Pass::Train {
            seed: 0,
            step: 0,
            rows: &[6],
        };
        let features = dann.features(&case.windows(dtype).unwrap(), pass).unwrap();
        let gradients = features.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = |name: &str| {
            let name = format!("extractor.stages.0.blocks.0.gate.{name}");
            flat(gradients.get(&dann.variables[&name]).unwrap())
        };
        for name in ["reduce.weight", "reduce.bias", "expand.weight"] {
            assert_eq!(largest(&gradient(name)), 0.0, "{name}");
        }
        assert!(largest(&gradient("expand.bias")) > 0.0);
    }
}
