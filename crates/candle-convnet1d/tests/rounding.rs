//! What are sums of products other than the convolution (which has its own tests): linear layers, means, and the gradients of
//! both, in f32 and f64, are within rounding of the definition, for any shape.

mod common;

use std::ops::Range;

use candle_convnet1d::{adaptive_avg_pool1d, avg_pool1d, composed, global_avg_pool1d, linear};
use candle_core::{DType, Result, Tensor};
use common::bounds::{Sum, assert_within};
use common::corners::Corner;
use common::paths::Path;
use common::{Random, flat, with_gradient};

/// Random shapes of each function.
const USUAL: usize = 500;

const DTYPES: [DType; 2] = [DType::F32, DType::F64];

#[test]
fn linear_layers_and_their_gradients() -> Result<()> {
    let random = &mut Random(31);
    for (number, corner) in Corner::then_random(USUAL).enumerate() {
        let (n, inputs, outputs) = (
            corner.batch(random) * 4,
            corner.length(random, 90),
            random.between(1, 40),
        );
        let dtype = DTYPES[number % 2];
        let x = random.tensor(&[n, inputs], dtype)?;
        let weight = random.tensor(&[outputs, inputs], dtype)?;
        let bias = random.tensor(&[outputs], dtype)?;
        let dy = random.tensor(&[n, outputs], dtype)?;
        let zeros = |count| vec![Sum::default(); count];
        let [mut y, mut dx, mut dw, mut db] = [
            zeros(n * outputs),
            zeros(n * inputs),
            zeros(outputs * inputs),
            zeros(outputs),
        ];
        let [xs, ws, bs, dys] = [&x, &weight, &bias, &dy].map(flat);
        for row in 0..n {
            for o in 0..outputs {
                let gradient = dys[row * outputs + o];
                y[row * outputs + o].add(bs[o]);
                db[o].add(gradient);
                for i in 0..inputs {
                    let (x, w) = (xs[row * inputs + i], ws[o * inputs + i]);
                    y[row * outputs + o].add(x * w);
                    dx[row * inputs + i].add(gradient * w);
                    dw[o * inputs + i].add(gradient * x);
                }
            }
        }
        let what = format!("{n} rows, {inputs} to {outputs}, {dtype:?}");
        let (found, gradient) = with_gradient(&x, &dy, |x| linear(x, &weight, Some(&bias)))?;
        assert_within(&found, &y, &format!("y of {what}"));
        assert_within(&gradient, &dx, &format!("dx of {what}"));
        let (_, gradient) = with_gradient(&weight, &dy, |weight| linear(&x, weight, Some(&bias)))?;
        assert_within(&gradient, &dw, &format!("dw of {what}"));
        let (_, gradient) = with_gradient(&bias, &dy, |bias| linear(&x, &weight, Some(bias)))?;
        assert_within(&gradient, &db, &format!("db of {what}"));
    }
    Ok(())
}

/// Means over windows, each with its divisor, by the definition: the result, and the gradient.
fn means(x: &Tensor, dy: &Tensor, windows: impl Iterator<Item = (Range<usize>, f64)> + Clone) -> Result<[Vec<Sum>; 2]> {
    let (n, c, l) = x.dims3()?;
    let (xs, dys) = (flat(x), flat(dy));
    let mut y = Vec::with_capacity(dys.len());
    let mut dx = vec![Sum::default(); xs.len()];
    for row in 0..n * c {
        for (window, divisor) in windows.clone() {
            let dy = dys[y.len()];
            let mut sum = Sum::default();
            for position in window {
                sum.add(xs[row * l + position] / divisor);
                dx[row * l + position].add(dy / divisor);
            }
            // the division is one more rounding
            sum.terms += 1.0;
            y.push(sum);
        }
    }
    for sum in &mut dx {
        sum.terms += 1.0;
    }
    Ok([y, dx])
}

#[test]
fn means_over_windows_and_their_gradients() -> Result<()> {
    let random = &mut Random(32);
    for (number, corner) in Corner::then_random(USUAL).enumerate() {
        let (n, c) = (corner.batch(random), random.between(1, 9));
        let most = random.pick(&[9, 40, 300, 1500]);
        let l = corner.length(random, most);
        let x = random.tensor(&[n, c, l], DTYPES[number % 2])?;

        let kernel = random.between(1, l + 2);
        let (stride, padding) = (random.between(1, kernel + 2), random.between(0, kernel / 2));
        if kernel <= l + 2 * padding {
            let count = (l + 2 * padding - kernel) / stride + 1;
            let windows = (0..count).map(|i| {
                let start = i * stride;
                let window = start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(l);
                (window, kernel as f64)
            });
            let what = format!("kernel {kernel}, stride {stride}, padding {padding}");
            hold(random, &x, windows, &what, |path, x| {
                path.run(
                    || avg_pool1d(x, kernel, stride, padding),
                    || composed::avg_pool1d(x, kernel, stride, padding),
                )
            })?;
        }

        let outputs = random.between(1, l + 3);
        let bins = (0..outputs).map(|i| {
            let bin = i * l / outputs..((i + 1) * l).div_ceil(outputs);
            (bin.clone(), bin.len() as f64)
        });
        hold(random, &x, bins, &format!("{outputs} bins"), |path, x| {
            path.run(
                || adaptive_avg_pool1d(x, outputs),
                || composed::adaptive_avg_pool1d(x, outputs),
            )
        })?;

        let whole = std::iter::once((0..l, l as f64));
        hold(random, &x, whole, "the whole length", |path, x| {
            path.run(|| global_avg_pool1d(x)?.unsqueeze(2), || x.mean_keepdim(2))
        })?;
    }
    Ok(())
}

#[track_caller]
fn hold(
    random: &mut Random,
    x: &Tensor,
    windows: impl Iterator<Item = (Range<usize>, f64)> + Clone,
    what: &str,
    f: impl Fn(Path, &Tensor) -> Result<Tensor>,
) -> Result<()> {
    let (n, c, _) = x.dims3()?;
    let dy = random.tensor(&[n, c, windows.clone().count()], x.dtype())?;
    let [y, dx] = means(x, &dy, windows)?;
    for path in Path::all() {
        let what = format!("{what} of {:?} in {:?}, {path}", x.dims(), x.dtype());
        let (found, gradient) = with_gradient(x, &dy, |x| f(path, x))?;
        assert_within(&found, &y, &format!("y, {what}"));
        assert_within(&gradient, &dx, &format!("dx, {what}"));
    }
    Ok(())
}
