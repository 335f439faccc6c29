//! What layers keep between passes is never out of date, and sharing a batch out changes no bit.

mod common;

use std::collections::HashMap;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Extractor, InstructionSet, Pass, SeGate, Signal, Statistics,
    on_instruction_set,
};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, bits, flat};
use rayon::prelude::*;

/// One layer of each kind that keeps something: a wide 1x1, a dense k3, a k3 in groups, a gate.
struct Network {
    wide: Conv1d,
    wide_norm: BatchNorm1d,
    dense: Conv1d,
    dense_norm: BatchNorm1d,
    grouped: Conv1d,
    grouped_norm: BatchNorm1d,
    gate: SeGate,
}

const CHANNELS: usize = 64;

impl Network {
    fn new(vb: VarBuilder) -> Result<Self> {
        let norm = BatchNormConfig {
            statistics: Statistics::PerDomain(2),
            ..Default::default()
        };
        let conv = |groups, padding: usize, bias| Conv1dConfig {
            groups,
            padding: padding.into(),
            bias,
            ..Default::default()
        };
        Ok(Self {
            wide: Conv1d::new(6, CHANNELS, 1, conv(1, 0, true), vb.pp("wide"))?,
            wide_norm: BatchNorm1d::new(CHANNELS, norm, vb.pp("wide_norm"))?,
            dense: Conv1d::new(CHANNELS, CHANNELS, 3, conv(1, 1, true), vb.pp("dense"))?,
            dense_norm: BatchNorm1d::new(CHANNELS, norm, vb.pp("dense_norm"))?,
            grouped: Conv1d::new(CHANNELS, CHANNELS, 3, conv(4, 1, false), vb.pp("grouped"))?,
            grouped_norm: BatchNorm1d::new(CHANNELS, norm, vb.pp("grouped_norm"))?,
            gate: SeGate::new(CHANNELS, 5, vb.pp("gate"))?,
        })
    }
}

impl Extractor for Network {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let x = Signal::enter(x)?.conv_norm_relu(&self.wide, &self.wide_norm, pass)?;
        let x = x.conv_norm_relu(&self.dense, &self.dense_norm, pass)?;
        let y = x.conv_norm(&self.grouped, &self.grouped_norm, pass)?;
        y.gated_plus_relu(&self.gate, &x)?.mean()
    }

    fn feature_len(&self, _length: usize) -> usize {
        CHANNELS
    }
}

/// A network on variables, and these.
fn trainable() -> Result<(Network, HashMap<String, Var>)> {
    let map = VarMap::new();
    let network = Network::new(VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
    let vars = map.data().lock().expect("the map").clone();
    Ok((network, vars))
}

/// A network that only infers, with the values that the variables have now.
fn constant(vars: &HashMap<String, Var>) -> Result<Network> {
    let tensors = vars.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor()));
    Network::new(VarBuilder::from_tensors(tensors.collect(), DType::F32, &Device::Cpu))
}

fn train(network: &Network, random: &mut Random) -> Result<Tensor> {
    let x = random.tensor(&[6, 6, 20], DType::F32)?;
    let pass = Pass::Train {
        seed: 0,
        step: 0,
        rows: &[4, 2],
    };
    network.forward(&x, pass)
}

#[test]
fn a_network_that_is_trained_between_passes_infers_by_its_present_values() -> Result<()> {
    let random = &mut Random(3);
    let (network, vars) = trainable()?;
    let x = random.tensor(&[1, 6, 33], DType::F32)?;
    let mut before = Vec::new();
    train(&network, random)?;
    for _ in 0..3 {
        for domain in [None, Some(1)] {
            let pass = Pass::Eval { domain };
            let found = bits(&network.forward(&x, pass)?);
            assert!(!before.contains(&found), "something moved, the result did not");
            // one that never saw the values before
            let fresh = constant(&vars)?.forward(&x, pass)?;
            let close = flat(&network.forward(&x, pass)?.to_dtype(DType::F64)?)
                .into_iter()
                .zip(flat(&fresh.to_dtype(DType::F64)?))
                .all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + a.abs()));
            assert!(close, "{domain:?}");
            before.push(found);
        }
        // statistics by the layer itself, parameters as an optimiser sets them
        train(&network, random)?;
        for (name, var) in &vars {
            if !name.contains("running") && !name.contains("batches") {
                var.set(&(var.as_tensor() * 1.1)?.detach())?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_network_of_plain_tensors_keeps_the_values_that_it_was_made_of() -> Result<()> {
    let random = &mut Random(4);
    let (_, vars) = trainable()?;
    let x = random.tensor(&[1, 6, 33], DType::F32)?;
    // one has packed its weights when the variables move, the other has not
    let (used, unused) = (constant(&vars)?, constant(&vars)?);
    let first = bits(&used.forward(&x, Pass::EVAL)?);
    for var in vars.values() {
        var.set(&(var.as_tensor() * 1.5)?.detach())?;
    }
    assert_eq!(bits(&used.forward(&x, Pass::EVAL)?), first);
    assert_eq!(bits(&unused.forward(&x, Pass::EVAL)?), first);
    Ok(())
}

#[test]
fn statistics_that_a_constant_batch_norm_moves_in_training_are_those_it_infers_by() -> Result<()> {
    let random = &mut Random(5);
    let (_, vars) = trainable()?;
    let network = constant(&vars)?;
    let x = random.tensor(&[2, 6, 33], DType::F32)?;
    let first = bits(&network.forward(&x, Pass::Eval { domain: Some(1) })?);
    train(&network, random)?;
    let second = bits(&network.forward(&x, Pass::Eval { domain: Some(1) })?);
    assert_ne!(first, second, "domain 1 has statistics now");
    train(&network, random)?;
    assert_ne!(bits(&network.forward(&x, Pass::Eval { domain: Some(1) })?), second);
    Ok(())
}

#[test]
fn infer_has_the_bits_of_forward_for_any_batch_and_number_of_threads() -> Result<()> {
    let random = &mut Random(6);
    let (_, vars) = trainable()?;
    let network = constant(&vars)?;
    for length in [33, 64, 300] {
        for rows in [1, 2, 3, 5, 9, 17] {
            let x = random.tensor(&[rows, 6, length], DType::F32)?;
            for isa in InstructionSet::available() {
                let run = |threads: usize, infer: bool| -> Result<Vec<u32>> {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .expect("a pool");
                    let y = pool.install(|| {
                        on_instruction_set(isa, || {
                            if infer {
                                network.infer(&x, Some(1))
                            } else {
                                network.forward(&x, Pass::Eval { domain: Some(1) })
                            }
                        })
                    });
                    Ok(bits(&y??))
                };
                let expected = run(1, false)?;
                for threads in 1..=4 {
                    assert_eq!(
                        run(threads, true)?,
                        expected,
                        "{rows} rows of {length}, {threads} threads, {isa}"
                    );
                    assert_eq!(
                        run(threads, false)?,
                        expected,
                        "{rows} rows of {length}, {threads} threads, {isa}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn infer_reports_the_error_of_forward() -> Result<()> {
    let (network, _) = trainable()?;
    for shape in [vec![3, 5, 33], vec![3, 6], vec![]] {
        let x = Tensor::zeros(shape.as_slice(), DType::F32, &Device::Cpu)?;
        let expected = network.forward(&x, Pass::EVAL).expect_err("an error").to_string();
        let found = network.infer(&x, None).expect_err("an error").to_string();
        assert_eq!(found.lines().next(), expected.lines().next(), "{shape:?}");
    }
    Ok(())
}

#[test]
fn a_gradient_passes_through_infer() -> Result<()> {
    let random = &mut Random(7);
    let (network, vars) = trainable()?;
    let x = random.tensor(&[7, 6, 20], DType::F32)?;
    let gradient = |y: Tensor| -> Result<Vec<f64>> {
        let gradients = y.sqr()?.sum_all()?.backward()?;
        Ok(flat(
            &gradients
                .get(&vars["wide.weight"])
                .expect("a gradient")
                .to_dtype(DType::F64)?,
        ))
    };
    let (found, expected) = (
        gradient(network.infer(&x, None)?)?,
        gradient(network.forward(&x, Pass::EVAL)?)?,
    );
    let scale = expected.iter().fold(0f64, |largest, x| largest.max(x.abs()));
    assert!(scale > 0.0);
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * scale));
    Ok(())
}

#[test]
fn single_windows_are_inferred_from_any_thread_and_many_at_once() -> Result<()> {
    let random = &mut Random(77);
    let (network, vars) = trainable()?;
    train(&network, random)?;
    let network = &constant(&vars)?;
    let x = &random.tensor(&[1, 6, 20], DType::F32)?;
    let expected = &bits(&network.infer(x, Some(0))?);
    let holds = || (0..20).all(|_| network.infer(x, Some(0)).is_ok_and(|y| bits(&y) == *expected));
    for threads in [1, 2, 4] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        // inside the pool, one within the other's waiting
        let inside: Vec<bool> = pool.install(|| (0..8).into_par_iter().map(|_| holds()).collect());
        assert!(inside.iter().all(|&held| held), "{threads} threads");
    }
    // outside of any pool
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(holds)).collect();
        assert!(all.into_iter().all(|thread| thread.join().expect("a thread")));
    });
    Ok(())
}

#[test]
fn a_panic_in_a_network_keeps_no_thread_of_the_pool() -> Result<()> {
    struct Panics;
    impl Extractor for Panics {
        fn forward(&self, _x: &Tensor, _pass: Pass) -> Result<Tensor> {
            panic!("as asked for")
        }
        fn feature_len(&self, _length: usize) -> usize {
            0
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("a pool");
    let x = Random(78).tensor(&[1, 1, 4], DType::F32)?;
    for _ in 0..5 {
        let run = std::panic::AssertUnwindSafe(|| pool.install(|| Panics.infer(&x, None)));
        assert!(std::panic::catch_unwind(run).is_err());
    }
    assert_eq!(pool.install(|| (0..1000).into_par_iter().sum::<usize>()), 499_500);
    Ok(())
}
