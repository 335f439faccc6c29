//! Every layer returns the same bits, forwards and backwards, whatever the number of threads.

mod common;

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Dropout, Pass, SeGate, Statistics, adaptive_avg_pool1d, adaptive_max_pool1d,
    avg_pool1d, cross_entropy, max_pool1d, relu, softmax,
};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use common::{Random, bits, variables};

/// Bits of the result, of each input's gradient and of further tensors, of one run on `threads`.
fn run(threads: usize, f: &(impl Fn() -> Result<Vec<Tensor>> + Sync)) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool");
    let tensors = pool.install(f).expect("a run");
    tensors.iter().map(bits).collect()
}

fn holds(what: &str, f: impl Fn() -> Result<Vec<Tensor>> + Sync) {
    let expected = run(1, &f);
    for threads in [2, 3, 4] {
        assert!(run(threads, &f) == expected, "{what}: {threads} threads");
    }
}

/// The result and the gradient of `sum(y g)`.
fn both(x: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
    let x = Var::from_tensor(x)?;
    let y = f(&x)?;
    let g = Random(1).tensor(y.dims(), DType::F32)?;
    let dx = (&y * g)?.sum_all()?.backward()?.get(&x).expect("a gradient").clone();
    Ok(vec![y, dx])
}

#[test]
fn pools_relu_dropout_and_losses() -> Result<()> {
    let random = &mut Random(10);
    let x = &random.tensor(&[9, 40, 257], DType::F32)?;
    holds("relu", || both(x, relu));
    holds("max", || both(x, |x| max_pool1d(x, 3, 2, 1)));
    holds("avg", || both(x, |x| avg_pool1d(x, 3, 2, 1)));
    holds("adaptive max", || both(x, |x| adaptive_max_pool1d(x, 4)));
    holds("adaptive avg", || both(x, |x| adaptive_avg_pool1d(x, 4)));
    let dropout = Dropout::new(0.5, "d")?;
    holds("dropout", || {
        both(x, |x| {
            dropout.forward(
                x,
                Pass::Train {
                    seed: 1,
                    step: 1,
                    rows: &[],
                },
            )
        })
    });
    let logits = &random.tensor(&[5000, 10], DType::F32)?;
    let targets = &Tensor::from_vec((0..5000).map(|i| i % 10).collect::<Vec<u32>>(), 5000, &Device::Cpu)?;
    holds("cross entropy", || both(logits, |z| cross_entropy(z, targets)));
    holds("softmax", || both(logits, softmax));
    Ok(())
}

#[test]
fn batch_norm_with_its_parameters_and_running_statistics() -> Result<()> {
    let random = &mut Random(11);
    // long rows, short rows that tasks take side by side, and no length
    for shape in [vec![32, 40, 257], vec![64, 301, 5], vec![200, 301]] {
        let x = &(random.tensor(&shape, DType::F32)? + 2.0)?;
        let [weight, bias] = [
            random.tensor(&shape[1..2], DType::F32)?,
            random.tensor(&shape[1..2], DType::F32)?,
        ];
        for statistics in [Statistics::Joint, Statistics::PerDomain(2)] {
            let rows = [shape[0] / 3, shape[0] - shape[0] / 3];
            holds(&format!("{shape:?} {statistics:?}"), || {
                let buffers = [
                    "running_mean",
                    "running_var",
                    "domain.1.running_mean",
                    "domain.1.running_var",
                ];
                let mut named = vec![("weight", &weight), ("bias", &bias)];
                named.extend(buffers.map(|name| (name, &bias)));
                let (vars, vb) = variables(&named)?;
                let norm = BatchNorm1d::new(
                    shape[1],
                    BatchNormConfig {
                        statistics,
                        ..Default::default()
                    },
                    vb,
                )?;
                let x = Var::from_tensor(x)?;
                let y = norm.forward(
                    &x,
                    Pass::Train {
                        seed: 0,
                        step: 0,
                        rows: &rows,
                    },
                )?;
                let gradients = (&y * Random(1).tensor(&shape, DType::F32)?)?.sum_all()?.backward()?;
                let mut all = vec![y, norm.forward(&x, Pass::EVAL)?];
                for parameter in [&x, &vars["weight"], &vars["bias"]] {
                    all.push(gradients.get(parameter).expect("a gradient").clone());
                }
                all.extend(buffers.map(|name| vars[name].as_tensor().clone()));
                Ok(all)
            });
        }
    }
    Ok(())
}

#[test]
fn gate_with_its_parameters() -> Result<()> {
    let random = &mut Random(12);
    let x = &random.tensor(&[64, 256, 33], DType::F32)?;
    let map = candle_nn::VarMap::new();
    let gate = SeGate::new(256, 16, VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu))?;
    let mut vars: Vec<_> = map.data().lock().expect("the map").clone().into_iter().collect();
    vars.sort_by(|a, b| a.0.cmp(&b.0));
    holds("gate", || {
        let x = Var::from_tensor(x)?;
        let y = gate.forward(&x)?;
        let gradients = (&y * Random(1).tensor(y.dims(), DType::F32)?)?.sum_all()?.backward()?;
        let mut all = vec![y, gradients.get(&x).expect("a gradient").clone()];
        all.extend(
            vars.iter()
                .map(|(_, var)| gradients.get(var).expect("a gradient").clone()),
        );
        Ok(all)
    });
    Ok(())
}
