//! In training the output of a batch norm is not written: whoever reads it normalises. It is the same function as if it were.

mod common;

use std::collections::BTreeMap;

use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Pass, SeGate, Signal, Statistics};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, assert_close, bits, cases, flat, tolerance};

/// Every reader of what a batch norm gives: convolutions (grouped, strided, wide), pools of both kinds, gates, sums on either
/// side, parts of channels, another batch norm, the mean.
struct Network {
    convs: Vec<Conv1d>,
    norms: Vec<BatchNorm1d>,
    gates: [SeGate; 2],
    map: VarMap,
}

const CHANNELS: usize = 8;

impl Network {
    fn new(c_in: usize, statistics: Statistics, dtype: DType) -> Result<Self> {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, dtype, &Device::Cpu);
        let shapes = [
            (c_in, 5, 1, 1, true),
            (CHANNELS, 3, 2, 2, false),
            (CHANNELS, 3, 1, 1, true),
            (CHANNELS, 1, 1, 1, false),
            (CHANNELS, 1, 2, 4, true),
            (CHANNELS / 2, 3, 1, 1, false),
        ];
        let conv = |(i, (c_in, kernel, stride, groups, bias)): (usize, (usize, usize, usize, usize, bool))| {
            let config = Conv1dConfig {
                groups,
                stride,
                padding: (kernel / 2).into(),
                bias,
                ..Default::default()
            };
            Conv1d::new(c_in, CHANNELS, kernel, config, vb.pp(format!("conv{i}")))
        };
        let norm = BatchNormConfig {
            statistics,
            ..Default::default()
        };
        Ok(Self {
            convs: shapes.into_iter().enumerate().map(conv).collect::<Result<_>>()?,
            norms: (0..7)
                .map(|i| BatchNorm1d::new(CHANNELS, norm, vb.pp(format!("norm{i}"))))
                .collect::<Result<_>>()?,
            gates: [
                SeGate::new(CHANNELS, 2, vb.pp("gate0"))?,
                SeGate::new(CHANNELS, 3, vb.pp("gate1"))?,
            ],
            map,
        })
    }

    /// `hold` sees every signal that a batch norm gives.
    fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
        gated: bool,
        hold: impl Fn(Signal) -> Result<Signal>,
    ) -> Result<[Tensor; 2]> {
        let step = |x: &Signal, i: usize| hold(x.conv_norm(&self.convs[i], &self.norms[i], pass)?);
        let step_relu = |x: &Signal, i: usize| hold(x.conv_norm_relu(&self.convs[i], &self.norms[i], pass)?);
        let x = step_relu(&Signal::enter(x)?, 0)?.max_pool(3, 2, 1)?;
        let y = step_relu(&step_relu(&x, 1)?, 2)?;
        let y = step(&y, 3)?;
        let shortcut = step(&x, 4)?;
        let y = if gated {
            y.gated_plus_relu(&self.gates[0], &shortcut)?
        } else {
            y.plus_relu(&shortcut)?
        };
        let part = step_relu(&y, 2)?.channels(2, CHANNELS / 2)?;
        let again = hold(step_relu(&part, 5)?.norm_relu(&self.norms[6], pass)?)?;
        let again = if gated { again.gated(&self.gates[1])? } else { again };
        let y = again.plus(&step_relu(&y, 3)?)?;
        let y = step_relu(&y, 2)?;
        Ok([
            y.max_pool(2, 2, 0)?.adaptive_max_pool(2)?.leave()?,
            if gated { step(&y, 3)? } else { step_relu(&y, 3)? }.mean()?,
        ])
    }

    fn variables(&self) -> BTreeMap<String, Var> {
        let data = self.map.data().lock().expect("no panic before");
        data.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }
}

/// Outputs, running statistics and all gradients of one step of a new network with the parameters of `from`.
fn step(
    from: &Network,
    x: &Tensor,
    statistics: Statistics,
    rows: &[usize],
    gated: bool,
    written: bool,
) -> Result<Vec<Tensor>> {
    let network = Network::new(x.dim(1)?, statistics, x.dtype())?;
    for (name, var) in from.variables() {
        network.variables()[&name].set(&var.as_detached_tensor().copy()?)?;
    }
    let x = Var::from_tensor(x)?;
    let pass = Pass::Train { seed: 0, step: 0, rows };
    let hold = |y: Signal| if written { Signal::enter(&y.leave()?) } else { Ok(y) };
    let [pooled, mean] = network.forward(&x, pass, gated, hold)?;
    let weights = |x: &Tensor| Random(7).tensor(x.dims(), x.dtype());
    let loss = ((&pooled * weights(&pooled)?)?.sum_all()? + (mean.sqr()? * weights(&mean)?)?.sum_all()?)?;
    let gradients = loss.backward()?;
    let mut all = vec![pooled, mean, gradients.get(&x).expect("a gradient").clone()];
    for var in network.variables().values() {
        all.push(var.as_detached_tensor());
        all.extend(gradients.get(var).cloned());
    }
    Ok(all)
}

#[test]
fn values_left_to_their_readers_are_those_of_written_ones_and_so_are_all_gradients() -> Result<()> {
    let random = &mut Random(31);
    for case in 0..cases(24) {
        // gates and means without a ReLU before them take their sums where rows are made, in another order, and in f32 a bias before a batch norm has
        // rounding for a gradient; everything else is the same number in either type
        let (dtype, gated) = [(DType::F32, false), (DType::F64, false), (DType::F64, true)][case % 3];
        let (n, c_in, length) = (random.between(2, 9), random.between(1, 3), random.between(9, 300));
        let (statistics, rows) = match case / 3 % 2 {
            0 => (Statistics::Joint, vec![n]),
            _ => (Statistics::PerDomain(2), vec![1, n - 1]),
        };
        let network = Network::new(c_in, statistics, dtype)?;
        for (name, var) in network.variables() {
            if name.contains("norm") && (name.ends_with("weight") || name.ends_with("bias")) {
                var.set(&random.tensor(var.dims(), dtype)?)?; // some weights below 0
            }
        }
        let x = random.tensor(&[n, c_in, length], dtype)?;
        let [pending, written] = [false, true].map(|written| step(&network, &x, statistics, &rows, gated, written));
        for (number, (pending, written)) in pending?.iter().zip(&written?).enumerate() {
            let what = format!("{n} x {c_in} x {length}, {statistics:?}, {dtype:?}, gates {gated}, tensor {number}");
            if gated {
                assert_close(pending, written, 100.0 * tolerance(dtype), &what);
            } else {
                // as numbers: candle's own sum of gradients makes 0 of -0
                assert_eq!(flat(pending), flat(written), "{what}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_step_has_the_same_bits_for_any_number_of_threads() -> Result<()> {
    let random = &mut Random(32);
    for (n, length) in [(3, 257), (16, 1030), (37, 64)] {
        let network = Network::new(2, Statistics::Joint, DType::F32)?;
        let x = random.tensor(&[n, 2, length], DType::F32)?;
        let run = |threads: usize| -> Result<Vec<Vec<u32>>> {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            let tensors = pool.install(|| step(&network, &x, Statistics::Joint, &[n], true, false))?;
            Ok(tensors.iter().map(bits).collect())
        };
        let expected = run(1)?;
        for threads in [2, 3, 4] {
            assert!(run(threads)? == expected, "{n} x {length}: {threads} threads");
        }
    }
    Ok(())
}

#[test]
fn statistics_behind_a_convolution_are_exact_where_the_mean_is_ten_thousand_deviations() -> Result<()> {
    let random = &mut Random(33);
    // rows of all kinds: many samples and few, long and short
    for (n, length) in [(2, 700), (5, 1500), (8, 31), (64, 5)] {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let conv = Conv1d::new(2, 3, 1, Conv1dConfig::default(), vb.pp("conv"))?;
        let norm = BatchNormConfig {
            momentum: 1.0,
            ..Default::default()
        };
        let norm = BatchNorm1d::new(3, norm, vb.pp("norm"))?;
        let variable = |name: &str| map.data().lock().expect("the map")[name].clone();
        variable("conv.bias").set(&Tensor::new(&[1e4f32, -1e4, 3e4], &Device::Cpu)?)?;
        let x = random.tensor(&[n, 2, length], DType::F32)?;
        let between = flat(&Signal::enter(&x)?.conv(&conv)?.leave()?);
        let pass = Pass::Train {
            seed: 0,
            step: 0,
            rows: &[n],
        };
        Signal::enter(&x)?.conv_norm(&conv, &norm, pass)?;
        let (means, variances) = (
            flat(&variable("norm.running_mean")),
            flat(&variable("norm.running_var")),
        );
        for channel in 0..3 {
            let of_channel = || {
                let rows = between.chunks(length).enumerate();
                rows.filter(|(row, _)| row % 3 == channel).flat_map(|(_, row)| row)
            };
            let count = (n * length) as f64;
            let mean = of_channel().sum::<f64>() / count;
            let variance = of_channel().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
            let what = format!("{n} rows of {length}, channel {channel}");
            // what is kept is an f32
            assert!(
                (means[channel] - mean).abs() <= 1e-7 * mean.abs(),
                "{what}: mean {mean}"
            );
            assert!(
                (variances[channel] - variance).abs() <= 3e-6 * variance,
                "{what}: variance {}, not {variance}",
                variances[channel]
            );
        }
    }
    Ok(())
}
