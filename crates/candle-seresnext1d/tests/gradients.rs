//! Finite differences of whole networks, layers put together as they are used, at random configurations and shapes.
//!
//! `ReLU` and max pool have kinks, where the two sides of a difference disagree and no gradient is right. Points are drawn until
//! every input of a `ReLU` and every two largest values of a window are at least [`CLEAR`] from one: a hundred steps of a
//! difference, more than a network of these sizes magnifies one. `common::margin` measures that.
//!
//! `CROSSRIG_PROPTEST_CASES` sets the number of networks of each kind.

mod common;

use std::collections::HashMap;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass, Statistics};
use candle_core::{DType, Device, Result, Tensor};
use candle_gradcheck::GradCheck;
use candle_nn::VarBuilder;
use candle_seresnext1d::{
    Grouping, LightCnn, LightCnnConfig, Pooling, SeResNeXt, SeResNeXtConfig, SeedNet, SeedNetConfig,
};
use common::{Formula, Numbers, cases, margin};

const CLEAR: f64 = 1e-4;

/// Central differences err by eps^2 and by 1e-16 / eps: a hundred times that.
const ATOL: f64 = 1e-8;

/// The article's networks are some twenty layers deep, and rounding adds up: their features are off by up to a hundred units in the
/// last place, which makes 1e-8 when divided by eps.
const ATOL_DEEP: f64 = 1e-7;

/// Networks of each kind, the quick ones; of the others a third.
const USUAL: usize = 24;

type Variables = HashMap<String, Tensor>;
type Build<'a> = &'a dyn Fn(VarBuilder) -> Result<Box<dyn Extractor>>;
type Measure<'a> = &'a dyn Fn(&Tensor, VarBuilder) -> Result<(Tensor, f64)>;

fn builder(variables: Variables) -> VarBuilder<'static> {
    VarBuilder::from_tensors(variables, DType::F64, &Device::Cpu)
}

/// The variables of a network and windows for it, clear of kinks.
fn point(seed: usize, shape: [usize; 3], build: Build, measure: Measure) -> Result<(Tensor, Variables)> {
    let store = Formula::default();
    build(store.builder(DType::F64))?;
    for attempt in 0..100 {
        let name = |name: &str| format!("{seed}.{attempt}.{name}");
        let x = (common::value(&name("windows"), &shape, DType::F64)? * 1.7)?;
        let mut variables = Variables::new();
        for (variable, start) in store.variables() {
            // a count of batches stays what it is
            let value = if variable.ends_with("batches") {
                start.as_detached_tensor()
            } else {
                common::value(&name(&variable), start.dims(), DType::F64)?
            };
            variables.insert(variable, value);
        }
        // the running values are moved in place: of copies
        let copies = variables.iter().map(|(name, x)| Ok((name.clone(), x.copy()?)));
        let (_, distance) = measure(&x, builder(copies.collect::<Result<_>>()?))?;
        if distance > CLEAR {
            return Ok((x, variables));
        }
    }
    candle_core::bail!("no point of network {seed} is clear of kinks")
}

/// Checks the gradient of the features by the windows and by every trained variable.
fn check(
    atol: f64,
    what: &str,
    seed: usize,
    shape: [usize; 3],
    pass: Pass,
    build: Build,
    measure: Measure,
) -> Result<()> {
    let (x, variables) = point(seed, shape, build, measure)?;
    let (features, _) = measure(&x, builder(variables.clone()))?;
    let found = build(builder(variables.clone()))?.forward(&x, pass)?;
    // what was measured is this network, but for the order in which sums are taken
    let off = (&found - &features)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    let size = features.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    assert!(off <= 1e-10 * size, "{what}: {found} is not {features}");

    let mut names: Vec<&String> = variables.keys().filter(|name| common::trainable(name)).collect();
    names.sort();
    let mut inputs = vec![x];
    inputs.extend(names.iter().map(|name| variables[*name].clone()));
    let check = GradCheck {
        // a direction through all elements is worth as much as each of them, and costs one run
        max_elements: 16,
        max_outputs: 4,
        directions: 3,
        atol,
        rtol: 1e-6,
        ..GradCheck::default()
    };
    let report = check
        .check(&inputs, |inputs| {
            let mut variables = variables.clone();
            for (name, input) in names.iter().zip(&inputs[1..]) {
                variables.insert((*name).clone(), input.clone());
            }
            build(builder(variables))?.forward(&inputs[0], pass)
        })
        .unwrap_or_else(|error| panic!("{what}\n{names:?}\n{error}"));
    assert!(report.checked > inputs.len());
    Ok(())
}

/// Training or inference of a batch, with statistics of all rows or of each domain.
fn any_pass(numbers: &mut Numbers, rows: usize) -> (BatchNormConfig, Vec<usize>, bool) {
    let statistics = numbers.pick(&[Statistics::Joint, Statistics::PerDomain(2)]);
    let first = numbers.between(0, rows);
    // a domain without rows, or with enough of them for a variance
    let first = if first == 1 || first + 1 == rows { 0 } else { first };
    let config = BatchNormConfig {
        statistics,
        ..BatchNormConfig::default()
    };
    (config, vec![first, rows - first], numbers.between(0, 2) > 0)
}

fn pass(rows: &[usize], train: bool) -> Pass<'_> {
    if train {
        Pass::Train { seed: 0, step: 0, rows }
    } else {
        Pass::Eval { domain: Some(1) }
    }
}

#[test]
fn se_resnexts_have_the_gradient_of_their_forward_pass() -> Result<()> {
    for seed in 0..cases(USUAL) {
        let numbers = &mut Numbers::new(&format!("se-resnext {seed}"));
        let n = numbers.between(2, 4);
        let (batch_norm, rows, train) = any_pass(numbers, n);
        let groups = numbers.between(1, 3);
        let stages = numbers.between(1, 2);
        let per_stage = |numbers: &mut Numbers, most: usize| -> Vec<usize> {
            (0..stages).map(|_| numbers.between(1, most)).collect()
        };
        let stem = numbers.between(1, 4);
        let mut outputs = per_stage(numbers, 5);
        if numbers.between(0, 1) == 1 {
            // an identity shortcut
            outputs[0] = stem;
        }
        let config = SeResNeXtConfig {
            in_channels: numbers.between(1, 3),
            stem,
            blocks: per_stage(numbers, 2),
            widths: per_stage(numbers, 2).iter().map(|width| width * groups).collect(),
            outputs,
            groups,
            reduction: numbers.between(1, 4),
            min_reduced: numbers.between(1, 2),
            batch_norm,
        };
        let shape = [n, config.in_channels, numbers.between(1, 40)];
        let pass = pass(&rows, train);
        check(
            ATOL,
            &format!("{config:?}, {shape:?}, {pass:?}"),
            seed,
            shape,
            pass,
            &|vb| Ok(Box::new(SeResNeXt::new(&config, vb)?)),
            &|x, vb| margin::se_resnext(x, &config, pass, &vb),
        )?;
    }
    Ok(())
}

#[test]
fn light_cnns_have_the_gradient_of_their_forward_pass() -> Result<()> {
    for seed in 0..cases(USUAL / 3) {
        let numbers = &mut Numbers::new(&format!("light-cnn {seed}"));
        let n = numbers.between(2, 4);
        let (batch_norm, rows, train) = any_pass(numbers, n);
        let config = LightCnnConfig {
            in_channels: numbers.between(1, 2),
            batch_norm,
            bins: numbers.between(1, 6),
        };
        let shape = [n, config.in_channels, numbers.between(LightCnn::MIN_LENGTH, 40)];
        let pass = pass(&rows, train);
        check(
            ATOL,
            &format!("{config:?}, {shape:?}, {pass:?}"),
            seed,
            shape,
            pass,
            &|vb| Ok(Box::new(LightCnn::new(&config, vb)?)),
            &|x, vb| margin::light_cnn(x, &config, pass, &vb),
        )?;
    }
    Ok(())
}

#[test]
fn the_articles_networks_have_the_gradient_of_their_forward_pass() -> Result<()> {
    for seed in 0..cases(USUAL / 3) {
        let numbers = &mut Numbers::new(&format!("article {seed}"));
        let n = numbers.between(2, 4);
        let (batch_norm, rows, train) = any_pass(numbers, n);
        let (filters, cardinality) = numbers.pick(&[(1, 1), (2, 1), (2, 2), (3, 3), (4, 2)]);
        let config = SeedNetConfig {
            in_channels: numbers.between(1, 2),
            blocks: [0; 4].map(|_| numbers.pick(&[1, 1, 2])),
            filters,
            cardinality,
            ratio: numbers.between(1, 5),
            grouping: numbers.pick(&[Grouping::OwnGroup, Grouping::LastGroup]),
            pooling: numbers.pick(&[Pooling::Average, Pooling::Maximum, Pooling::Flatten]),
            dropout: 0.0,
            batch_norm: BatchNormConfig {
                // some twenty layers deep and on a few values each, a smaller one lets every layer magnify what comes in:
                // derivatives of several hundreds, and steps of 1e-6 that reach the next kink
                eps: 0.1,
                statistics: batch_norm.statistics,
                ..SeedNetConfig::BATCH_NORM
            },
        };
        let shape = [n, config.in_channels, numbers.between(24, 70)];
        let pass = pass(&rows, train);
        check(
            ATOL_DEEP,
            &format!("{config:?}, {shape:?}, {pass:?}"),
            seed,
            shape,
            pass,
            &|vb| Ok(Box::new(SeedNet::new(&config, vb)?)),
            &|x, vb| margin::seed_net(x, &config, pass, &vb),
        )?;
    }
    Ok(())
}
