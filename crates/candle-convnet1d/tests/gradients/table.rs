//! The operations and layers, each with where to check it. A new one needs a row here and nothing else.

use std::collections::HashMap;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Dropout, Pass, SeGate, Statistics, adaptive_avg_pool1d, adaptive_max_pool1d,
    avg_pool1d, composed, cross_entropy, cross_entropy_rows, cross_entropy_smoothed, global_avg_pool1d,
    global_max_pool1d, linear, max_pool1d, relu, softmax,
};
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::common::convolution::{Case, Inputs, convolve};
use crate::common::flat;
use crate::common::paths::Path;
use crate::problem::{Draw, Problem};

pub struct Row {
    pub name: &'static str,
    /// Whether there is a composition of its own.
    pub composed: bool,
    pub problem: fn(&mut Draw, Path) -> Result<Problem>,
}

pub fn table() -> Vec<Row> {
    let both = |name, problem| Row {
        name,
        composed: true,
        problem,
    };
    let one = |name, problem| Row {
        name,
        composed: false,
        problem,
    };
    vec![
        both("convolution", convolution),
        // candle's matrix product on either route
        one("linear", linear_layer),
        both("batch norm, training", batch_norm_of_the_batch),
        both("batch norm, inference", batch_norm_given),
        both("batch norm of rows without a length", batch_norm_of_rows),
        both("squeeze-and-excitation gate", gate),
        both("relu", |draw, path| {
            let shape = draw.signals();
            pointwise(draw, path, &shape, "", relu, composed::relu)
        }),
        both("max pool", |draw, path| {
            window(draw, path, max_pool1d, composed::max_pool1d)
        }),
        both("average pool", |draw, path| {
            window(draw, path, avg_pool1d, composed::avg_pool1d)
        }),
        both("adaptive max pool", |draw, path| {
            bins(draw, path, adaptive_max_pool1d, composed::adaptive_max_pool1d)
        }),
        both("adaptive average pool", |draw, path| {
            bins(draw, path, adaptive_avg_pool1d, composed::adaptive_avg_pool1d)
        }),
        both("global max pool", |draw, path| {
            let shape = draw.signals();
            pointwise(draw, path, &shape, "", global_max_pool1d, |x| {
                composed::adaptive_max_pool1d(x, 1)?.squeeze(D::Minus1)
            })
        }),
        both("global average pool", |draw, path| {
            let shape = draw.signals();
            pointwise(draw, path, &shape, "", global_avg_pool1d, |x| x.mean(D::Minus1))
        }),
        // off the kernels' dtypes and devices it is one product with the same factors
        one("dropout", dropout),
        both("softmax", |draw, path| {
            let shape = [draw.batch(), draw.size(12)];
            pointwise(draw, path, &shape, "", softmax, composed::softmax)
        }),
        both("cross-entropy of rows", |draw, path| {
            losses(draw, path, cross_entropy_rows, composed::cross_entropy_rows)
        }),
        both("cross-entropy", |draw, path| {
            losses(draw, path, cross_entropy, |logits, targets| {
                composed::cross_entropy_rows(logits, targets)?.mean_all()
            })
        }),
        both("cross-entropy with smoothed labels", |draw, path| {
            losses(
                draw,
                path,
                |logits, targets| cross_entropy_smoothed(logits, targets, 0.1),
                |logits, targets| composed::cross_entropy_smoothed_rows(logits, targets, 0.1)?.mean_all(),
            )
        }),
    ]
}

/// A function of one tensor.
fn pointwise(
    draw: &mut Draw,
    path: Path,
    shape: &[usize],
    what: &str,
    kernels: impl Fn(&Tensor) -> Result<Tensor> + 'static,
    composed: impl Fn(&Tensor) -> Result<Tensor> + 'static,
) -> Result<Problem> {
    let x = draw.apart(shape)?;
    Ok(Problem::new(format!("{what}{shape:?}"), vec![x], move |inputs| {
        path.run(|| kernels(&inputs[0]), || composed(&inputs[0]))
    }))
}

type Window = fn(&Tensor, usize, usize, usize) -> Result<Tensor>;

fn window(draw: &mut Draw, path: Path, kernels: Window, composed: Window) -> Result<Problem> {
    let [length, kernel, stride, padding] = draw.window();
    let shape = [draw.batch(), draw.size(3), length];
    pointwise(
        draw,
        path,
        &shape,
        &format!("kernel {kernel}, stride {stride}, padding {padding}, "),
        move |x| kernels(x, kernel, stride, padding),
        move |x| composed(x, kernel, stride, padding),
    )
}

type Bins = fn(&Tensor, usize) -> Result<Tensor>;

fn bins(draw: &mut Draw, path: Path, kernels: Bins, composed: Bins) -> Result<Problem> {
    let shape = draw.signals();
    // also more bins than samples
    let outputs = draw.size(shape[2] + 4);
    pointwise(
        draw,
        path,
        &shape,
        &format!("{outputs} bins of "),
        move |x| kernels(x, outputs),
        move |x| composed(x, outputs),
    )
}

fn convolution(draw: &mut Draw, path: Path) -> Result<Problem> {
    let case = Case::any(draw.random, draw.corner, 9, 12);
    let Inputs { x, weight, bias, .. } = case.inputs(draw.random, DType::F64)?;
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    Ok(Problem::new(format!("{case:?}"), inputs, move |t| {
        convolve(path, &t[0], &t[1], t.get(2), case.p)
    }))
}

fn linear_layer(draw: &mut Draw, _: Path) -> Result<Problem> {
    let (n, width, outputs) = (draw.batch(), draw.size(20), draw.size(9));
    let mut inputs = vec![draw.tensor(&[n, width])?, draw.tensor(&[outputs, width])?];
    if draw.size(2) == 1 {
        inputs.push(draw.tensor(&[outputs])?);
    }
    let what = format!("{n} rows, {width} to {outputs}");
    Ok(Problem::new(what, inputs, |t| linear(&t[0], &t[1], t.get(2))))
}

/// A layer's parameters, whose gradients are wanted, and new buffers for each run.
fn builder(named: &[(&str, &Tensor)]) -> VarBuilder<'static> {
    let tensors = named.iter().map(|(name, x)| ((*name).to_owned(), (*x).clone()));
    VarBuilder::from_tensors(tensors.collect::<HashMap<_, _>>(), DType::F64, &Device::Cpu)
}

/// Values of each channel apart from one another: the variance of any two is far from 0, where the third derivative is large.
fn spread(draw: &mut Draw, [n, c, l]: [usize; 3]) -> Result<Tensor> {
    let channels = (0..c).map(|_| draw.apart(&[n, 1, l])).collect::<Result<Vec<_>>>()?;
    // not centred
    Tensor::cat(&channels, 1)? + 0.7
}

const EPS: [f64; 3] = [1e-5, 1e-3, 0.1];

fn batch_norm_of_the_batch(draw: &mut Draw, path: Path) -> Result<Problem> {
    let [n, c, mut l] = draw.signals();
    // a single value has no variance
    l += usize::from(n * l == 1);
    let x = spread(draw, [n, c, l])?;
    batch_norm_in_training(draw, path, x)
}

fn batch_norm_of_rows(draw: &mut Draw, path: Path) -> Result<Problem> {
    let (n, c) = (draw.size(5) + 1, draw.size(5));
    // with a length of 1 in between, since the rows of a matrix may be one row again and again
    let x = spread(draw, [n, c, 1])?;
    let Problem { what, inputs, function } = batch_norm_in_training(draw, path, x)?;
    Ok(Problem::new(what, inputs, move |t| {
        let rows = t[0].squeeze(2)?;
        function(&[rows, t[1].clone(), t[2].clone()])
    }))
}

fn batch_norm_in_training(draw: &mut Draw, path: Path, x: Tensor) -> Result<Problem> {
    let (n, c, l) = x.dims3()?;
    let (weight, bias) = (draw.tensor(&[c])?, draw.tensor(&[c])?);
    let eps = draw.random.pick(&EPS);
    // one domain, or three of which one has no rows and none has a single value
    let least = if l == 1 { 2 } else { 1 };
    let per_domain = n >= 2 * least && draw.size(2) == 1;
    let (statistics, rows) = if per_domain {
        let first = draw.random.between(least, n - least);
        (Statistics::PerDomain(3), vec![first, 0, n - first])
    } else {
        (Statistics::Joint, vec![n])
    };
    let config = BatchNormConfig {
        eps,
        statistics,
        ..Default::default()
    };
    let what = format!("{:?}, eps {eps}, {statistics:?} {rows:?}", x.dims());
    Ok(Problem::new(what, vec![x, weight, bias], move |t| {
        let (zeros, ones) = (t[1].zeros_like()?.detach(), t[1].ones_like()?.detach());
        let count = zeros.narrow(0, 0, 1)?;
        let mut named = vec![("weight", &t[1]), ("bias", &t[2])];
        named.extend([("running_mean", &zeros), ("running_var", &ones)]);
        let domains = ["0", "1", "2"]
            .map(|k| ["running_mean", "running_var", "batches"].map(|buffer| format!("domain.{k}.{buffer}")));
        for [mean, var, batches] in &domains {
            named.extend([(mean.as_str(), &zeros), (var, &ones), (batches, &count)]);
        }
        let norm = BatchNorm1d::new(c, config, builder(&named))?;
        let pass = Pass::Train {
            seed: 0,
            step: 0,
            rows: &rows,
        };
        path.run(|| norm.forward(&t[0], pass), || norm.forward_composed(&t[0], pass))
    }))
}

fn batch_norm_given(draw: &mut Draw, path: Path) -> Result<Problem> {
    let shape = draw.signals();
    let c = shape[1];
    let inputs = vec![draw.apart(&shape)?, draw.tensor(&[c])?, draw.tensor(&[c])?];
    let mean = draw.tensor(&[c])?;
    // between 0.5 and 2.5
    let var = (draw.tensor(&[c])? + 1.5)?;
    let eps = draw.random.pick(&EPS);
    Ok(Problem::new(format!("{shape:?}, eps {eps}"), inputs, move |t| {
        let named = [
            ("weight", &t[1]),
            ("bias", &t[2]),
            ("running_mean", &mean),
            ("running_var", &var),
        ];
        let config = BatchNormConfig {
            eps,
            ..Default::default()
        };
        let norm = BatchNorm1d::new(c, config, builder(&named))?;
        path.run(
            || norm.forward(&t[0], Pass::EVAL),
            || norm.forward_composed(&t[0], Pass::EVAL),
        )
    }))
}

/// Its hidden units are away from the kink of their `ReLU`.
fn gate(draw: &mut Draw, path: Path) -> Result<Problem> {
    let [n, c, l] = draw.signals();
    let reduced = draw.size(4);
    let x = draw.apart(&[n, c, l])?;
    let weight = draw.tensor(&[reduced, c, 1])?;
    let expand = [draw.tensor(&[c, reduced, 1])?, draw.tensor(&[c])?];
    let bias = loop {
        let bias = draw.tensor(&[reduced])?;
        // broadcasting repeats the first channel and the first bias
        let repeated = [
            x.narrow(1, 0, 1)?.broadcast_as(x.shape())?,
            weight.narrow(1, 0, 1)?.broadcast_as(weight.shape())?,
        ];
        let first = bias.narrow(0, 0, 1)?.broadcast_as(reduced)?;
        let hidden = [hidden(&x, &weight, &bias)?, hidden(&repeated[0], &repeated[1], &first)?];
        if hidden.iter().flatten().all(|value| value.abs() > 0.01) {
            break bias;
        }
    };
    let [expand_weight, expand_bias] = expand;
    let inputs = vec![x, weight, bias, expand_weight, expand_bias];
    Ok(Problem::new(
        format!("{:?}, {reduced} hidden", [n, c, l]),
        inputs,
        move |t| {
            let named = [
                ("reduce.weight", &t[1]),
                ("reduce.bias", &t[2]),
                ("expand.weight", &t[3]),
                ("expand.bias", &t[4]),
            ];
            let gate = SeGate::new(c, reduced, builder(&named))?;
            path.run(|| gate.forward(&t[0]), || gate.forward_composed(&t[0]))
        },
    ))
}

fn hidden(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Vec<f64>> {
    let means = x.mean(2)?;
    let weight = weight.squeeze(2)?.t()?.contiguous()?;
    Ok(flat(&means.matmul(&weight)?.broadcast_add(bias)?))
}

fn dropout(draw: &mut Draw, path: Path) -> Result<Problem> {
    let (shape, step, p) = (
        draw.signals(),
        draw.size(100) as u64,
        draw.random.pick(&[0.1, 0.5, 0.8]),
    );
    let layer = Dropout::new(p, "d")?;
    let forward = move |x: &Tensor| {
        layer.forward(
            x,
            Pass::Train {
                seed: 3,
                step,
                rows: &[],
            },
        )
    };
    pointwise(draw, path, &shape, &format!("p {p}, "), forward.clone(), forward)
}

type Loss = fn(&Tensor, &Tensor) -> Result<Tensor>;

fn losses(draw: &mut Draw, path: Path, kernels: Loss, composed: Loss) -> Result<Problem> {
    let (n, classes) = (draw.batch(), draw.size(9));
    let targets: Vec<u32> = (0..n).map(|_| draw.random.between(0, classes - 1) as u32).collect();
    let what = format!("targets {targets:?} of ");
    let targets = Tensor::from_vec(targets, n, &Device::Cpu)?;
    let again = targets.clone();
    pointwise(
        draw,
        path,
        &[n, classes],
        &what,
        move |logits| kernels(logits, &targets),
        move |logits| composed(logits, &again),
    )
}
