//! Features, gradients and running statistics equal those of the `PyTorch` definitions with the
//! same weights (`fixtures/make_fixtures.py`), in f64 and in f32.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_convnet1d::{BatchNormConfig, Extractor, Pass};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use candle_seresnext1d::{LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig};
use common::{Formula, formula, value, windows};

/// Largest difference allowed, as a share of the tensor's largest value.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-10,
        _ => 1e-5,
    }
}

fn free(vb: VarBuilder) -> Result<Box<dyn Extractor>> {
    let config = SeResNeXtConfig {
        in_channels: 2,
        stem: 6,
        blocks: vec![2, 2],
        widths: vec![4, 8],
        outputs: vec![8, 12],
        groups: 2,
        reduction: 4,
        min_reduced: 1,
        batch_norm: BatchNormConfig::default(),
    };
    Ok(Box::new(SeResNeXt::new(&config, vb)?))
}

fn identity(vb: VarBuilder) -> Result<Box<dyn Extractor>> {
    let config = SeResNeXtConfig {
        in_channels: 1,
        stem: 4,
        blocks: vec![1],
        widths: vec![6],
        outputs: vec![4],
        groups: 3,
        reduction: 2,
        min_reduced: 1,
        batch_norm: BatchNormConfig::default(),
    };
    Ok(Box::new(SeResNeXt::new(&config, vb)?))
}

fn small26(vb: VarBuilder) -> Result<Box<dyn Extractor>> {
    Ok(Box::new(SeResNeXt::new(&SeResNeXtConfig::small26(1), vb)?))
}

fn light_cnn<const CHANNELS: usize>(vb: VarBuilder) -> Result<Box<dyn Extractor>> {
    Ok(Box::new(LightCnn::new(&LightCnnConfig::new(CHANNELS), vb)?))
}

/// Tensors of one case of the fixture file, by what is left of their names.
fn fixture(case: &str) -> BTreeMap<String, Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let prefix = format!("{case}/");
    let case: BTreeMap<_, _> = tensors
        .iter()
        .filter_map(|(name, tensor)| {
            let values = tensor.flatten_all().and_then(|t| t.to_vec1()).unwrap();
            Some((name.strip_prefix(&prefix)?.to_owned(), values))
        })
        .collect();
    assert!(!case.is_empty());
    case
}

/// What the script calls `run`: everything by the fixture's names.
fn run(network: &dyn Extractor, store: &Formula, x: &Tensor) -> Result<BTreeMap<String, Vec<f64>>> {
    fn values(tensor: &Tensor) -> Result<Vec<f64>> {
        tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
    }
    let rows = [x.dim(0)?];
    let train = Pass::Train {
        seed: 0,
        step: 0,
        rows: &rows,
    };
    let x = Var::from_tensor(x)?;
    let mut found = BTreeMap::new();
    for (mode, pass) in [("eval", Pass::EVAL), ("train", train)] {
        let features = network.forward(&x, pass)?;
        let cotangent = value("cotangent", features.dims(), features.dtype())?;
        let gradients = (&features * cotangent)?.sum_all()?.backward()?;
        found.insert(format!("{mode}/features"), values(&features)?);
        let mut variables = store.trainable();
        variables.insert("windows".to_owned(), x.clone());
        for (name, variable) in variables {
            let Some(gradient) = gradients.get(&variable) else {
                candle_core::bail!("{name} has no gradient in {mode}");
            };
            found.insert(format!("{mode}/gradient/{name}"), values(gradient)?);
        }
    }
    for (name, variable) in store.variables() {
        if name.ends_with("running_mean") || name.ends_with("running_var") {
            found.insert(format!("train/after/{name}"), values(&variable)?);
        }
    }
    Ok(found)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0., |most, v| most.max(v.abs()))
}

/// What the fixture has of a tensor.
enum Kept {
    Whole(Vec<f64>),
    /// Evenly spaced elements, the largest magnitude, the inner product with `formula("projection")`.
    Reduced {
        sample: Vec<f64>,
        most: f64,
        product: f64,
    },
}

/// Compares one tensor with what the fixture kept of it; says what is wrong.
fn compare(found: &[f64], kept: &Kept, scale: f64, tolerance: f64) -> std::result::Result<(), String> {
    let near = |what: &str, found: f64, expected: f64, bound: f64| {
        // not `> bound`: a NaN must fail
        if (found - expected).abs() <= bound {
            Ok(())
        } else {
            Err(format!("{what} {found:e}, PyTorch {expected:e}, allowed {bound:e}"))
        }
    };
    let bound = tolerance * scale;
    match kept {
        Kept::Whole(expected) => {
            if found.len() != expected.len() {
                return Err(format!("{} elements, not {}", found.len(), expected.len()));
            }
            for (i, (f, e)) in found.iter().zip(expected).enumerate() {
                near(&format!("element {i}:"), *f, *e, bound)?;
            }
        }
        Kept::Reduced { sample, most, product } => {
            let stride = found.len() / sample.len();
            for (i, e) in sample.iter().enumerate() {
                near(&format!("element {}:", i * stride), found[i * stride], *e, bound)?;
            }
            near("largest magnitude:", largest(found), *most, bound)?;
            let vector = formula("projection", found.len());
            let inner = found.iter().zip(vector).map(|(f, v)| f * v).sum();
            // n errors of at most `bound` and either sign, against values of at most 1
            near("projection:", inner, *product, bound * (found.len() as f64).sqrt())?;
        }
    }
    Ok(())
}

fn check(case: &str, build: fn(VarBuilder) -> Result<Box<dyn Extractor>>, shape: (usize, usize, usize)) {
    let fixture = fixture(case);
    for dtype in [DType::F64, DType::F32] {
        let store = Formula::default();
        let network = build(store.builder(dtype)).unwrap();
        let found = run(&*network, &store, &windows(shape, dtype).unwrap()).unwrap();
        let mut wrong = Vec::new();
        let mut compared = BTreeSet::new();
        for (name, expected) in &fixture {
            let (name, kept) = match (name.strip_suffix("/reduced"), &expected[..]) {
                (Some(name), [sample @ .., most, product]) => {
                    let (sample, most, product) = (sample.to_vec(), *most, *product);
                    (name, Kept::Reduced { sample, most, product })
                }
                _ => (name.as_str(), Kept::Whole(expected.clone())),
            };
            compared.insert(name.to_owned());
            let Some(values) = found.get(name) else {
                wrong.push(format!("{name} is not in the network"));
                continue;
            };
            // A bias before a batch norm has no effect in training: its gradient is a sum that
            // cancels to rounding errors, in PyTorch too. Their size is that of what cancels,
            // which the gradient of the same convolution's weight tells.
            let cancels = case.starts_with("light-cnn")
                && name.starts_with("train/gradient/conv")
                && name.rsplit('.').next() == Some("bias");
            let scale = if cancels {
                largest(&found[&name.replace(".bias", ".weight")])
            } else {
                match &kept {
                    Kept::Whole(expected) => largest(expected),
                    Kept::Reduced { most, .. } => *most,
                }
            };
            if let Err(message) = compare(values, &kept, scale, tolerance(dtype)) {
                wrong.push(format!("{name}: {message}"));
            }
        }
        assert!(wrong.is_empty(), "{case} in {dtype:?}:\n{}", wrong.join("\n"));
        // a fixture that lists a gradient lists all of them
        if fixture.keys().any(|name| name.contains("/after/")) {
            let all: BTreeSet<_> = found.into_keys().collect();
            assert_eq!(compared, all, "{case}");
        }
    }
}

#[test]
fn se_resnext_with_stride_projection_and_groups_equals_pytorch() {
    check("free", free, (3, 2, 37));
}

#[test]
fn se_resnext_with_identity_shortcut_alone_equals_pytorch() {
    check("identity", identity, (2, 1, 9));
}

#[test]
fn seresnext26_small_equals_pytorch() {
    check("small26", small26, (4, 1, 97));
}

#[test]
fn light_cnn_equals_pytorch() {
    check("light-cnn", light_cnn::<2>, (3, 2, 61));
}

#[test]
fn light_cnn_on_its_shortest_window_equals_pytorch() {
    check("light-cnn-shortest", light_cnn::<1>, (8, 1, 26));
}
