//! Layers on signals have the values and gradients of the layers on tensors, which `gradients` holds to finite differences.

mod common;

use std::collections::BTreeMap;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Pass, SeGate, Signal, Statistics, adaptive_max_pool1d,
    global_avg_pool1d, max_pool1d, relu,
};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, flat};

/// A network with every method of a signal: a residual block with a gate, one without, parts of channels, pools.
struct Network {
    stem: Conv1d,
    stem_norm: BatchNorm1d,
    inner: Conv1d,
    inner_norm: BatchNorm1d,
    gate: SeGate,
    second_gate: SeGate,
    projection: Conv1d,
    map: VarMap,
}

const CHANNELS: usize = 4;

impl Network {
    fn new(c_in: usize, statistics: Statistics, dtype: DType) -> Result<Self> {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, dtype, &Device::Cpu);
        let conv = |groups, stride, bias| Conv1dConfig {
            groups,
            stride,
            padding: 1.into(),
            bias,
            ..Default::default()
        };
        let norm = BatchNormConfig {
            statistics,
            ..Default::default()
        };
        Ok(Self {
            stem: Conv1d::new(c_in, CHANNELS, 3, conv(1, 2, true), vb.pp("stem"))?,
            stem_norm: BatchNorm1d::new(CHANNELS, norm, vb.pp("stem_norm"))?,
            inner: Conv1d::new(CHANNELS, CHANNELS, 3, conv(2, 1, false), vb.pp("inner"))?,
            inner_norm: BatchNorm1d::new(CHANNELS, norm, vb.pp("inner_norm"))?,
            gate: SeGate::new(CHANNELS, 2, vb.pp("gate"))?,
            second_gate: SeGate::new(CHANNELS, 3, vb.pp("second_gate"))?,
            projection: Conv1d::new(2, CHANNELS, 3, conv(1, 1, true), vb.pp("projection"))?,
            map,
        })
    }

    /// `together`: each convolution and the batch norm behind it as one layer.
    fn by_signals(&self, x: &Tensor, pass: Pass, together: bool) -> Result<[Tensor; 2]> {
        let x = Signal::enter(x)?;
        let (stem, inner) = (&self.stem, &self.inner);
        let x = if together {
            x.conv_norm_relu(stem, &self.stem_norm, pass)?
        } else {
            x.conv(stem)?.norm_relu(&self.stem_norm, pass)?
        };
        let x = x.max_pool(3, 1, 1)?;
        let y = if together {
            x.conv_norm(inner, &self.inner_norm, pass)?
        } else {
            x.conv(inner)?.norm(&self.inner_norm, pass)?
        };
        let y = y.gated_plus_relu(&self.gate, &x)?;
        let part = y.channels(1, 2)?.conv(&self.projection)?;
        let y = y.gated(&self.second_gate)?.plus(&part)?.plus_relu(&x)?;
        Ok([y.adaptive_max_pool(2)?.leave()?, y.mean()?])
    }

    fn by_tensors(&self, x: &Tensor, pass: Pass) -> Result<[Tensor; 2]> {
        let x = relu(&self.stem_norm.forward(&self.stem.forward(x)?, pass)?)?;
        let x = max_pool1d(&x, 3, 1, 1)?;
        let y = self.inner_norm.forward(&self.inner.forward(&x)?, pass)?;
        let y = relu(&(self.gate.forward(&y)? + &x)?)?;
        let part = self.projection.forward(&y.narrow(1, 1, 2)?)?;
        let y = relu(&((self.second_gate.forward(&y)? + part)? + &x)?)?;
        Ok([adaptive_max_pool1d(&y, 2)?, global_avg_pool1d(&y)?])
    }

    /// Parameters and running statistics by name.
    fn variables(&self) -> BTreeMap<String, Var> {
        let data = self.map.data().lock().expect("no panic before");
        data.iter().map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    /// Gives the batch norms weights, biases and running statistics that are not those of a new layer.
    fn vary(&self, random: &mut Random) -> Result<()> {
        for (name, var) in self.variables() {
            if name.contains("norm") {
                let values = random.tensor(var.dims(), var.dtype())?;
                // variances, weights and counts above 0
                let above = !name.ends_with("bias") && !name.ends_with("mean");
                var.set(&if above { (values.abs()? + 0.5)? } else { values })?;
            }
        }
        Ok(())
    }

    fn copy(&self, c_in: usize, statistics: Statistics) -> Result<Self> {
        let copy = Self::new(c_in, statistics, self.stem.weight().dtype())?;
        for (name, var) in self.variables() {
            copy.variables()[&name].set(&var.as_detached_tensor().copy()?)?;
        }
        Ok(copy)
    }
}

/// A scalar that depends on every value of both outputs in another way.
fn loss([pooled, mean]: &[Tensor; 2]) -> Result<Tensor> {
    let weights = |x: &Tensor| {
        let weights: Vec<f64> = (0..x.elem_count())
            .map(|i| ((i * 37 + 11) % 17) as f64 / 8.0 - 1.0)
            .collect();
        Tensor::from_vec(weights, x.shape(), &Device::Cpu)?.to_dtype(x.dtype())
    };
    (pooled * weights(pooled)?)?.sum_all()? + (mean.sqr()? * weights(mean)?)?.sum_all()?
}

fn close(found: &[f64], expected: &[f64], eps: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= eps * scale, "{what}, element {i}: {a}, not {b}");
    }
}

fn gradient(gradients: &GradStore, x: &Tensor) -> Vec<f64> {
    flat(gradients.get(x).expect("a gradient"))
}

fn cases() -> impl Iterator<Item = (usize, usize, usize, Statistics, Vec<usize>)> {
    let shapes = [(2, 1, 16), (5, 2, 33), (3, 3, 100), (7, 1, 9)];
    shapes.into_iter().flat_map(|(n, c, l)| {
        let split = vec![1, n - 1];
        [(Statistics::Joint, vec![n]), (Statistics::PerDomain(2), split)]
            .map(|(statistics, rows)| (n, c, l, statistics, rows))
    })
}

#[test]
fn a_network_of_signals_has_the_values_gradients_and_buffers_of_the_layers() -> Result<()> {
    let random = &mut Random(5);
    for (n, c, l, statistics, rows) in cases() {
        let train = Pass::Train {
            seed: 0,
            step: 0,
            rows: &rows,
        };
        for (pass, together) in [(train, false), (train, true), (Pass::EVAL, false), (Pass::EVAL, true)] {
            let what = format!("{n} x {c} x {l}, {statistics:?}, {pass:?}, {together}");
            let network = Network::new(c, statistics, DType::F64)?;
            network.vary(random)?;
            let other = network.copy(c, statistics)?;
            let x = Var::from_tensor(&random.tensor(&[n, c, l], DType::F64)?)?;
            let signals = network.by_signals(&x, pass, together)?;
            let tensors = other.by_tensors(&x, pass)?;
            for (signals, tensors) in signals.iter().zip(&tensors) {
                close(&flat(signals), &flat(tensors), 1e-12, &what);
            }
            // parameters as well, which nothing changes
            for ((name, found), (_, expected)) in network.variables().iter().zip(&other.variables()) {
                close(&flat(found), &flat(expected), 1e-12, &format!("{what}: {name}"));
            }
            let (by_signals, by_tensors) = (loss(&signals)?.backward()?, loss(&tensors)?.backward()?);
            close(&gradient(&by_signals, &x), &gradient(&by_tensors, &x), 1e-10, &what);
            for ((name, var), (_, same)) in network.variables().iter().zip(&other.variables()) {
                if !name.contains("running") && !name.contains("batches") {
                    let (found, expected) = (gradient(&by_signals, var), gradient(&by_tensors, same));
                    close(&found, &expected, 1e-10, &format!("{what}: {name}"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_signal_that_no_gradient_is_wanted_of_gets_none_and_a_second_backward_pass_gives_the_same() -> Result<()> {
    let network = Network::new(2, Statistics::Joint, DType::F32)?;
    let x = Random(9).tensor(&[4, 2, 40], DType::F32)?;
    let train = Pass::Train {
        seed: 0,
        step: 0,
        rows: &[4],
    };
    let loss = loss(&network.by_signals(&x, train, true)?)?;
    let (first, second) = (loss.backward()?, loss.backward()?);
    assert!(first.get(&x).is_none());
    for name in [
        "stem.weight",
        "inner_norm.bias",
        "gate.reduce.weight",
        "projection.bias",
    ] {
        let var = &network.variables()[name];
        let values = gradient(&first, var);
        assert!(values.iter().any(|&x| x != 0.0), "{name}");
        assert_eq!(values, gradient(&second, var), "{name}");
    }
    Ok(())
}

#[test]
fn batch_norm_with_relu_is_relu_of_batch_norm_forwards_and_backwards() -> Result<()> {
    let random = &mut Random(3);
    for (n, c, l, statistics, rows) in cases() {
        for train in [true, false] {
            let pass = if train {
                Pass::Train {
                    seed: 0,
                    step: 0,
                    rows: &rows,
                }
            } else {
                Pass::EVAL
            };
            let network = Network::new(c, statistics, DType::F64)?;
            let x = Var::from_tensor(&random.tensor(&[n, CHANNELS, l], DType::F64)?)?;
            let fused = network.stem_norm.forward_relu(&x, pass)?;
            let apart = network.copy(c, statistics)?.stem_norm;
            let expected = relu(&apart.forward(&x, pass)?)?;
            let what = format!("{n} x {c} x {l}, {statistics:?}, training {train}");
            assert_eq!(flat(&fused), flat(&expected), "{what}");
            let composed = relu(&network.copy(c, statistics)?.stem_norm.forward_composed(&x, pass)?)?;
            close(&flat(&fused), &flat(&composed), 1e-12, &what);
            let weights = random.tensor(&[n, CHANNELS, l], DType::F64)?;
            let dx = |y: Tensor| Ok::<_, candle_core::Error>(gradient(&(y * &weights)?.sum_all()?.backward()?, &x));
            let found = dx(fused)?;
            close(&found, &dx(expected)?, 1e-12, &what);
            close(&found, &dx(composed)?, 1e-11, &what);
        }
    }
    Ok(())
}

#[test]
fn gradients_from_a_given_gradient_are_those_of_its_weighted_sum() -> Result<()> {
    let random = &mut Random(21);
    let train = Pass::Train {
        seed: 0,
        step: 0,
        rows: &[3],
    };
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        let network = Network::new(2, Statistics::Joint, dtype)?;
        let through = |x: &Signal| match dtype {
            DType::BF16 => x.conv(&network.stem)?.max_pool(3, 1, 1),
            _ => x
                .conv_norm_relu(&network.stem, &network.stem_norm, train)?
                .max_pool(3, 1, 1),
        };
        let x = Var::from_tensor(&random.tensor(&[3, 2, 40], dtype)?)?;
        let watched = Signal::watched(&x)?;
        let y = through(&watched)?;
        let by_candle = through(&Signal::enter(&x)?)?.leave()?;
        let dy = random.tensor(by_candle.dims(), dtype)?;
        let expected = (by_candle * &dy)?.sum_all()?.backward()?;
        // twice: nothing is left behind by the first time
        for _ in 0..2 {
            let (dx, all) = y.gradients(&dy, &watched)?;
            assert_eq!(flat(&dx), gradient(&expected, &x), "{dtype:?}");
            for parameter in [network.stem.weight(), network.stem.bias().expect("a bias")] {
                assert_eq!(gradient(&all, parameter), gradient(&expected, parameter), "{dtype:?}");
            }
        }

        let error = |found: Result<(Tensor, GradStore)>| found.expect_err("refused").to_string();
        let short = dy.narrow(2, 0, 1)?;
        assert!(error(y.gradients(&short, &watched)).contains("a gradient of shape [3, 4, 1] for a signal of shape"));
        for (y, x) in [
            (&y, &Signal::watched(&x)?),
            (&y, &Signal::enter(&x)?),
            (&through(&Signal::enter(&x.as_detached_tensor())?)?, &watched),
        ] {
            assert!(error(y.gradients(&dy, x)).contains("does not depend on"), "{dtype:?}");
        }
        // what was refused has left nothing behind either
        assert_eq!(
            flat(&y.gradients(&dy, &watched)?.0),
            gradient(&expected, &x),
            "{dtype:?}"
        );
    }
    Ok(())
}
