//! A pool of few maxima behind a batch norm hands back where they lie, and nothing else is read of its gradient. It is the same
//! function as the layers one after the other.

mod common;

use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Pass, Signal, Statistics, adaptive_max_pool1d, max_pool1d};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, assert_close};

#[derive(Clone, Copy, Debug)]
enum Pool {
    Bins(usize),
    /// Kernel, stride, padding; windows may overlap and share a maximum.
    Sliding(usize, usize, usize),
}

const POOLS: [Pool; 6] = [
    Pool::Bins(1),
    Pool::Bins(4),
    Pool::Bins(7),
    Pool::Sliding(20, 9, 0),
    Pool::Sliding(33, 8, 16),
    // not few
    Pool::Sliding(9, 3, 4),
];

const CHANNELS: usize = 3;
const LENGTH: usize = 75;

/// The result, its gradients with respect to `x` and the parameters, by signals or by tensors.
fn run(x: &Tensor, pool: Pool, relu: bool, statistics: Statistics, by_signals: bool) -> Result<Vec<Tensor>> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, x.dtype(), &Device::Cpu);
    let config = BatchNormConfig {
        statistics,
        ..Default::default()
    };
    let norm = BatchNorm1d::new(CHANNELS, config, vb)?;
    let random = &mut Random(3);
    let parameters = ["weight", "bias"].map(|name| map.data().lock().expect("no panic before")[name].clone());
    for parameter in &parameters {
        parameter.set(&random.tensor(&[CHANNELS], x.dtype())?)?;
    }
    let rows = match statistics {
        Statistics::Joint => vec![x.dim(0)?],
        Statistics::PerDomain(_) => vec![1, x.dim(0)? - 1],
    };
    let pass = Pass::Train {
        seed: 0,
        step: 0,
        rows: &rows,
    };
    let x = Var::from_tensor(x)?;
    let y = if by_signals {
        let x = Signal::enter(&x)?;
        let y = if relu {
            x.norm_relu(&norm, pass)?
        } else {
            x.norm(&norm, pass)?
        };
        match pool {
            Pool::Bins(bins) => y.adaptive_max_pool(bins)?,
            Pool::Sliding(kernel, stride, padding) => y.max_pool(kernel, stride, padding)?,
        }
        .leave()?
    } else {
        let y = if relu {
            norm.forward_relu(&x, pass)?
        } else {
            norm.forward(&x, pass)?
        };
        match pool {
            Pool::Bins(bins) => adaptive_max_pool1d(&y, bins)?,
            Pool::Sliding(kernel, stride, padding) => max_pool1d(&y, kernel, stride, padding)?,
        }
    };
    let weights = random.tensor(y.dims(), y.dtype())?;
    let gradients = (&y * weights)?.sum_all()?.backward()?;
    let of = |x: &Tensor| gradients.get(x).expect("a gradient").clone();
    Ok(vec![y.detach(), of(&x), of(&parameters[0]), of(&parameters[1])])
}

fn holds(x: &Tensor, eps: f64) -> Result<()> {
    for pool in POOLS {
        for relu in [true, false] {
            for statistics in [Statistics::Joint, Statistics::PerDomain(2)] {
                let [found, expected] = [true, false].map(|by_signals| run(x, pool, relu, statistics, by_signals));
                for (i, (found, expected)) in found?.iter().zip(&expected?).enumerate() {
                    let what = format!("{pool:?}, ReLU {relu}, {statistics:?}, tensor {i}");
                    assert_close(found, expected, eps, &what);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn it_is_the_batch_norm_and_the_pool() -> Result<()> {
    let random = &mut Random(1);
    holds(&random.tensor(&[5, CHANNELS, LENGTH], DType::F64)?, 1e-12)?;
    holds(&random.tensor(&[5, CHANNELS, LENGTH], DType::F32)?, 1e-5)
}

#[test]
fn of_equal_maxima_the_first_has_the_gradient() -> Result<()> {
    holds(&Random(2).ties(&[4, CHANNELS, LENGTH], DType::F64)?, 1e-12)
}

#[test]
fn of_several_nan_the_last_has_the_gradient() -> Result<()> {
    let mut values = vec![0.5; 2 * CHANNELS * LENGTH];
    for (i, value) in values.iter_mut().enumerate() {
        *value = if i % 29 == 3 { f64::NAN } else { (i * 7 % 13) as f64 };
    }
    holds(&Tensor::from_vec(values, (2, CHANNELS, LENGTH), &Device::Cpu)?, 1e-12)
}
