//! A convolution of one tap that makes many channels of few, and the batch norm behind it, are one layer in training, of which nothing
//! between the two is written. It is the same function as the two one after the other, which other tests hold to finite
//! differences and to PyTorch.

mod common;

use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Pass, Signal, Statistics};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use common::{Random, assert_close, bits, flat};

/// What reads the output of the layer.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Nothing,
    /// A convolution with the same groups, of so many taps, stride.
    Conv(usize, usize),
    /// One of all channels.
    Dense,
    /// Two convolutions.
    Two,
    Pool,
    /// Another batch norm and a mean.
    Norm,
}

const BEHIND: [Behind; 8] = [
    Behind::Nothing,
    Behind::Conv(3, 1),
    Behind::Conv(3, 2),
    Behind::Conv(1, 1),
    Behind::Dense,
    Behind::Two,
    Behind::Pool,
    Behind::Norm,
];

#[derive(Clone, Debug)]
struct Case {
    n: usize,
    groups: usize,
    /// Channels of a group.
    inputs: usize,
    outputs: usize,
    length: usize,
    bias: bool,
    relu: bool,
    rows: Vec<usize>,
}

struct Network {
    widen: Conv1d,
    norm: BatchNorm1d,
    behind: [Conv1d; 2],
    dense: Conv1d,
    last: BatchNorm1d,
    map: VarMap,
}

impl Network {
    fn new(case: &Case, of: Behind, dtype: DType) -> Result<Self> {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, dtype, &Device::Cpu);
        let norm = BatchNormConfig {
            statistics: match case.rows.len() {
                1 => Statistics::Joint,
                domains => Statistics::PerDomain(domains),
            },
            ..Default::default()
        };
        let conv = |groups, kernel: usize, stride, bias| Conv1dConfig {
            groups,
            stride,
            padding: (kernel / 2).into(),
            bias,
            ..Default::default()
        };
        let (kernel, stride) = if let Behind::Conv(kernel, stride) = of {
            (kernel, stride)
        } else {
            (3, 1)
        };
        let wide = case.groups * case.outputs;
        let of_groups = |name: &str| {
            Conv1d::new(
                wide,
                2 * case.groups,
                kernel,
                conv(case.groups, kernel, stride, true),
                vb.pp(name),
            )
        };
        Ok(Self {
            widen: Conv1d::new(
                case.groups * case.inputs,
                wide,
                1,
                conv(case.groups, 1, 1, case.bias),
                vb.pp("widen"),
            )?,
            norm: BatchNorm1d::new(wide, norm, vb.pp("norm"))?,
            behind: [of_groups("behind")?, of_groups("second")?],
            dense: Conv1d::new(wide, 3, 3, conv(1, 3, 1, false), vb.pp("dense"))?,
            last: BatchNorm1d::new(wide, norm, vb.pp("last"))?,
            map,
        })
    }

    fn forward(&self, x: &Tensor, case: &Case, of: Behind, together: bool) -> Result<Tensor> {
        let pass = Pass::Train {
            seed: 1,
            step: 0,
            rows: &case.rows,
        };
        let x = Signal::enter(x)?;
        let y = match (together, case.relu) {
            (true, true) => x.conv_norm_relu(&self.widen, &self.norm, pass)?,
            (true, false) => x.conv_norm(&self.widen, &self.norm, pass)?,
            (false, true) => x.conv(&self.widen)?.norm_relu(&self.norm, pass)?,
            (false, false) => x.conv(&self.widen)?.norm(&self.norm, pass)?,
        };
        match of {
            Behind::Nothing => y.leave(),
            Behind::Conv(..) => y.conv(&self.behind[0])?.leave(),
            Behind::Dense => y.conv(&self.dense)?.leave(),
            Behind::Two => y.conv(&self.behind[0])?.plus(&y.conv(&self.behind[1])?)?.leave(),
            Behind::Pool => y.max_pool(2, 1, 1)?.leave(),
            Behind::Norm => y.norm(&self.last, pass)?.mean(),
        }
    }

    /// By name.
    fn variables(&self) -> Vec<(String, Var)> {
        let data = self.map.data().lock().expect("no panic before");
        let mut all: Vec<_> = data.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The result, the gradients of the input and of all parameters, and the running statistics afterwards.
    fn run(&self, x: &Tensor, case: &Case, of: Behind, together: bool) -> Result<Vec<(String, Tensor)>> {
        let before: Vec<_> = self
            .variables()
            .iter()
            .map(|(_, var)| var.copy())
            .collect::<Result<_>>()?;
        let x = Var::from_tensor(x)?;
        let y = self.forward(&x, case, of, together)?;
        let weights = Random(9).tensor(y.dims(), y.dtype())?;
        let gradients: GradStore = (&y * weights)?.sum_all()?.backward()?;
        let mut all = vec![("y".into(), y.detach())];
        all.push(("x".into(), gradients.get(&x).expect("a gradient").clone()));
        for ((name, var), before) in self.variables().into_iter().zip(before) {
            if let Some(gradient) = gradients.get(&var) {
                all.push((format!("gradient of {name}"), gradient.clone()));
            }
            all.push((name, var.as_detached_tensor().copy()?));
            var.set(&before)?;
        }
        Ok(all)
    }
}

fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (groups, inputs, outputs, length) in [
        (1, 1, 4, 1),
        (1, 2, 9, 15),
        (2, 3, 12, 16),
        (4, 1, 6, 17),
        (3, 4, 16, 33),
        (2, 16, 64, 94),
        (8, 2, 16, 150),
        (1, 5, 21, 64),
    ] {
        let n = random.between(2, 5);
        for rows in [vec![n], vec![1, n - 1]] {
            cases.push(Case {
                n,
                groups,
                inputs,
                outputs,
                // a single value has no variance
                length: length.max(rows.len()),
                bias: random.between(0, 1) == 0,
                relu: random.between(0, 3) > 0,
                rows,
            });
        }
    }
    cases
}

fn network(case: &Case, of: Behind, dtype: DType, random: &mut Random) -> Result<Network> {
    let network = Network::new(case, of, dtype)?;
    for (name, var) in network.variables() {
        let values = random.tensor(var.dims(), dtype)?;
        let above = name.ends_with("var") || name.ends_with("batches");
        var.set(&if above { (values.abs()? + 0.5)? } else { values })?;
    }
    Ok(network)
}

/// Holds both ways to each other.
fn holds(dtype: DType, eps: f64, off: f64) -> Result<()> {
    let random = &mut Random(40);
    for case in cases(random) {
        for of in BEHIND {
            let network = network(&case, of, dtype, random)?;
            let x = (random.tensor(&[case.n, case.groups * case.inputs, case.length], dtype)? + off)?;
            let [found, expected] = [true, false].map(|together| network.run(&x, &case, of, together));
            let (found, expected) = (found?, expected?);
            assert_eq!(found.len(), expected.len(), "{case:?} {of:?}");
            for ((name, found), (other, expected)) in found.iter().zip(&expected) {
                assert_eq!(name, other);
                if name == "gradient of widen.bias" {
                    // the mean takes it along: one by one there is rounding left
                    assert!(flat(found).iter().all(|&value| value == 0.0), "{case:?}, {of:?}");
                    continue;
                }
                assert_close(found, expected, eps, &format!("{case:?}, {of:?}: {name}"));
            }
        }
    }
    Ok(())
}

#[test]
fn it_is_the_convolution_and_the_batch_norm() -> Result<()> {
    holds(DType::F64, 1e-11, 0.0)
}

#[test]
fn an_input_far_from_0_drowns_nothing() -> Result<()> {
    holds(DType::F64, 1e-8, 100.0)
}

#[test]
fn in_f32_it_differs_by_rounding_alone() -> Result<()> {
    holds(DType::F32, 2e-4, 0.5)
}

#[test]
fn weights_of_0_have_their_gradients() -> Result<()> {
    let random = &mut Random(41);
    for case in cases(random) {
        let of = Behind::Conv(3, 1);
        let network = network(&case, of, DType::F64, random)?;
        network.norm_weight().set(&network.norm_weight().zeros_like()?)?;
        let x = random.tensor(&[case.n, case.groups * case.inputs, case.length], DType::F64)?;
        let [found, expected] = [true, false].map(|together| network.run(&x, &case, of, together));
        let (found, expected) = (found?, expected?);
        assert_eq!(found.len(), expected.len());
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            assert_close(found, expected, 1e-11, &format!("{case:?}: {name}"));
        }
    }
    Ok(())
}

impl Network {
    fn norm_weight(&self) -> Var {
        let mut all = self.variables().into_iter();
        all.find(|(name, _)| name == "norm.weight").expect("a weight").1
    }
}

#[test]
fn its_bits_do_not_depend_on_the_number_of_threads() -> Result<()> {
    let random = &mut Random(42);
    for case in cases(random) {
        for of in [Behind::Nothing, Behind::Conv(3, 1), Behind::Two] {
            let network = network(&case, of, DType::F32, random)?;
            let x = random.tensor(&[case.n, case.groups * case.inputs, case.length], DType::F32)?;
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .expect("a pool");
                let all = pool.install(|| network.run(&x, &case, of, true)).expect("a run");
                all.iter().map(|(_, tensor)| bits(tensor)).collect::<Vec<_>>()
            };
            let expected = on(1);
            for threads in [2, 3] {
                assert!(on(threads) == expected, "{case:?}, {of:?}: {threads} threads");
            }
        }
    }
    Ok(())
}

/// Three convolutions whose weights are no variables, of an input that is none, each with a batch norm that learns.
#[test]
fn what_is_not_tracked_gets_no_gradient_whatever_its_shape() -> Result<()> {
    let random = &mut Random(43);
    let x = random.tensor(&[3, 2, 20], DType::F64)?;
    for outputs in [[8, 16, 24], [24, 16, 8], [2, 3, 5], [5, 3, 2]] {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F64, &Device::Cpu);
        let entered = Signal::enter(&x)?;
        let pass = Pass::Train {
            seed: 0,
            step: 0,
            rows: &[3],
        };
        let mut loss = Tensor::zeros((), DType::F64, &Device::Cpu)?;
        for (number, c_out) in outputs.into_iter().enumerate() {
            let tensors = [
                ("weight".to_string(), random.tensor(&[c_out, 2, 1], DType::F64)?),
                ("bias".to_string(), random.tensor(&[c_out], DType::F64)?),
            ];
            let frozen = VarBuilder::from_tensors(tensors.into(), DType::F64, &Device::Cpu);
            let conv = Conv1d::new(2, c_out, 1, Conv1dConfig::default(), frozen)?;
            let norm = BatchNorm1d::new(c_out, BatchNormConfig::default(), vb.pp(number))?;
            let y = entered.conv_norm_relu(&conv, &norm, pass)?.leave()?;
            loss = (loss + y.sqr()?.sum_all()?)?;
        }
        let gradients = loss.backward()?;
        let variables = map.data().lock().expect("no panic before").clone();
        for (name, var) in variables.iter().filter(|(name, _)| name.ends_with("weight")) {
            let gradient = flat(gradients.get(var).expect("a gradient"));
            assert!(gradient.iter().all(|value| value.abs() > 1e-9), "{name}: {gradient:?}");
        }
    }
    Ok(())
}
