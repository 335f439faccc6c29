//! The convolution and its gradients are those of its definition, on either route, for any shape.

mod common;

use candle_convnet1d::{Conv1dParams, Padding, composed, conv1d};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_gradcheck::GradCheck;
use common::{Random, bits, flat, strided};

/// Random shapes of each test; more by `CONV_CASES`.
fn cases() -> usize {
    std::env::var("CONV_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(150)
}

/// A convolution of `(n, c_in, l)`.
#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    c_in: usize,
    c_out: usize,
    l: usize,
    kernel: usize,
    p: Conv1dParams,
    bias: bool,
}

impl Case {
    fn reach(&self) -> usize {
        self.p.dilation * (self.kernel - 1) + 1
    }

    fn l_out(&self) -> usize {
        match self.p.padding {
            Padding::Zeros { left, right } => (self.l + left + right - self.reach()) / self.p.stride + 1,
            Padding::Same => self.l.div_ceil(self.p.stride),
        }
    }

    /// Zeros before the first sample.
    fn left(&self) -> usize {
        match self.p.padding {
            Padding::Zeros { left, .. } => left,
            Padding::Same => ((self.l_out() - 1) * self.p.stride + self.reach()).saturating_sub(self.l) / 2,
        }
    }

    /// Any shape for which there is an output, up to the given numbers of channels and length.
    fn any(random: &mut Random, channels: usize, length: usize) -> Self {
        loop {
            let groups = random.between(1, 4);
            // often more than a block, a vector or a tile of channels
            let per_group = |random: &mut Random| {
                let most = if random.between(0, 2) == 0 { channels } else { 9 };
                random.between(1, most)
            };
            let case = Self {
                n: random.between(1, 4),
                c_in: groups * per_group(random),
                c_out: groups * per_group(random),
                l: random.between(1, length),
                kernel: [1, 1, 2, 3, 3, 5, 7, 15][random.between(0, 7)],
                p: Conv1dParams {
                    stride: [1, 1, 2, 3, 5][random.between(0, 4)],
                    padding: Self::any_padding(random),
                    dilation: random.between(1, 3),
                    groups,
                },
                bias: random.between(0, 1) == 1,
            };
            let padded = match case.p.padding {
                Padding::Zeros { left, right } => case.l + left + right,
                Padding::Same => return case,
            };
            if padded >= case.reach() {
                return case;
            }
        }
    }

    fn any_padding(random: &mut Random) -> Padding {
        let side = |random: &mut Random| [0, 0, 1, 2, 3, 9, 17][random.between(0, 6)];
        match random.between(0, 3) {
            0 => Padding::Same,
            1 => Padding::Zeros {
                left: side(random),
                right: side(random),
            },
            _ => side(random).into(),
        }
    }

    fn tensors(&self, random: &mut Random, dtype: DType) -> Result<Inputs> {
        let weight = [self.c_out, self.c_in / self.p.groups, self.kernel];
        Ok(Inputs {
            x: random.tensor(&[self.n, self.c_in, self.l], dtype)?,
            weight: random.tensor(&weight, dtype)?,
            bias: self.bias.then(|| random.tensor(&[self.c_out], dtype)).transpose()?,
            dy: random.tensor(&[self.n, self.c_out, self.l_out()], dtype)?,
        })
    }

    /// Calls `f(y, x, w)` with the positions of output, input and weight of every product.
    fn each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (c, o) = (self.c_in / self.p.groups, self.c_out / self.p.groups);
        for n in 0..self.n {
            for co in 0..self.c_out {
                for j in 0..self.l_out() {
                    for ci in 0..c {
                        for t in 0..self.kernel {
                            let padded = j * self.p.stride + t * self.p.dilation;
                            if padded >= self.left() && padded < self.left() + self.l {
                                f(
                                    (n * self.c_out + co) * self.l_out() + j,
                                    (n * self.c_in + co / o * c + ci) * self.l + padded - self.left(),
                                    (co * c + ci) * self.kernel + t,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

struct Inputs {
    x: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    dy: Tensor,
}

/// A sum of products, with what bounds its rounding error.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
    terms: f64,
}

impl Sum {
    fn add(&mut self, product: f64) {
        self.value += product;
        self.magnitude += product.abs();
        self.terms += 1.0;
    }
}

/// Result and gradients by the definition: y, dx, dw, db.
fn definition(case: &Case, inputs: &Inputs) -> [Vec<Sum>; 4] {
    let (x, w, dy) = (flat(&inputs.x), flat(&inputs.weight), flat(&inputs.dy));
    let zeros = |count| vec![Sum::default(); count];
    let [mut y, mut dx, mut dw, mut db] = [zeros(dy.len()), zeros(x.len()), zeros(w.len()), zeros(0)];
    if let Some(bias) = &inputs.bias {
        db = zeros(case.c_out);
        let bias = flat(bias);
        for (i, y) in y.iter_mut().enumerate() {
            let channel = i / case.l_out() % case.c_out;
            y.add(bias[channel]);
            db[channel].add(dy[i]);
        }
    }
    case.each_product(|yi, xi, wi| {
        y[yi].add(x[xi] * w[wi]);
        dx[xi].add(dy[yi] * w[wi]);
        dw[wi].add(dy[yi] * x[xi]);
    });
    [y, dx, dw, db]
}

type Route = fn(&Tensor, &Tensor, Option<&Tensor>, Conv1dParams) -> Result<Tensor>;

/// y, dx, dw and db, if there is a bias.
fn computed(case: &Case, inputs: &Inputs, route: Route) -> Result<Vec<Tensor>> {
    let var = |tensor: &Tensor| Var::from_tensor(tensor);
    let (x, weight) = (var(&inputs.x)?, var(&inputs.weight)?);
    let bias = inputs.bias.as_ref().map(var).transpose()?;
    let y = route(&x, &weight, bias.as_ref().map(Var::as_tensor), case.p)?;
    let gradients = (&y * &inputs.dy)?.sum_all()?.backward()?;
    let mut all = vec![y];
    for variable in [Some(&x), Some(&weight), bias.as_ref()].into_iter().flatten() {
        all.push(gradients.get(variable).expect("a gradient").clone());
    }
    Ok(all)
}

/// Every element within `2 n eps sum |a b|` of the definition, n the number of its products.
#[track_caller]
fn assert_within_bound(case: &Case, inputs: &Inputs, found: &[Tensor]) {
    let eps = if inputs.x.dtype() == DType::F32 {
        f64::from(f32::EPSILON)
    } else {
        f64::EPSILON
    };
    for ((name, expected), found) in ["y", "dx", "dw", "db"].iter().zip(definition(case, inputs)).zip(found) {
        let found = flat(found);
        assert_eq!(found.len(), expected.len(), "{name} of {case:?}");
        for (i, (found, sum)) in found.iter().zip(&expected).enumerate() {
            let bound = 2.0 * sum.terms * eps * sum.magnitude;
            let off = (found - sum.value).abs();
            assert!(
                off <= bound,
                "{name}[{i}] of {case:?}: {found}, expected {} +- {bound}",
                sum.value
            );
        }
    }
}

const ROUTES: [(&str, Route); 2] = [("kernels", conv1d), ("composed", composed::conv1d)];

#[test]
fn gradients_worked_by_hand() -> Result<()> {
    // candle's own conv1d returns [6, 18] and [4, 6, 8, 10] in these cases
    let tensor = |values: &[f64], shape: [usize; 3]| Tensor::from_slice(values, &shape, &Device::Cpu);
    let case = |c_in, c_out, l| Case {
        n: 2,
        c_in,
        c_out,
        l,
        kernel: 1,
        p: Conv1dParams::default(),
        bias: false,
    };
    let inputs = |x, weight, dy| Inputs {
        x,
        weight,
        bias: None,
        dy,
    };
    let weight = (
        case(1, 2, 3),
        inputs(
            tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 1, 3])?,
            tensor(&[1.0, 1.0], [2, 1, 1])?,
            tensor(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [2, 2, 3])?,
        ),
        ("dw", 2, vec![7.0, 17.0]),
    );
    let input = (
        case(1, 2, 2),
        inputs(
            tensor(&[0.0; 4], [2, 1, 2])?,
            tensor(&[1.0, 1.0], [2, 1, 1])?,
            tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [2, 2, 2])?,
        ),
        ("dx", 1, vec![4.0, 6.0, 12.0, 14.0]),
    );
    for (case, inputs, (name, which, expected)) in [weight, input] {
        let by_definition: Vec<f64> = definition(&case, &inputs)[which].iter().map(|sum| sum.value).collect();
        assert_eq!(by_definition, expected, "{name}");
        for (route, f) in ROUTES {
            assert_eq!(flat(&computed(&case, &inputs, f)?[which]), expected, "{name}, {route}");
        }
    }
    Ok(())
}

#[test]
fn any_shape_is_the_definition_in_f64_and_f32() -> Result<()> {
    let random = &mut Random(1);
    for number in 0..cases() {
        let case = Case::any(random, 40, 70);
        let dtype = [DType::F64, DType::F32][number % 2];
        let inputs = case.tensors(random, dtype)?;
        for (_, route) in ROUTES {
            assert_within_bound(&case, &inputs, &computed(&case, &inputs, route)?);
        }
    }
    Ok(())
}

#[test]
fn same_padding_is_tensorflows() -> Result<()> {
    // of a kernel of ones on ones, that is, how many samples each output sees: by hand from TensorFlow's
    // rule, by which an odd zero goes to the right
    let same = |l: usize, k: usize, stride, dilation| -> Result<[Vec<f64>; 2]> {
        let (x, w) = (
            Tensor::ones((1, 1, l), DType::F64, &Device::Cpu)?,
            Tensor::ones((1, 1, k), DType::F64, &Device::Cpu)?,
        );
        let params = Conv1dParams {
            stride,
            padding: Padding::Same,
            dilation,
            groups: 1,
        };
        Ok([
            flat(&conv1d(&x, &w, None, params)?),
            flat(&composed::conv1d(&x, &w, None, params)?),
        ])
    };
    for ((l, k, stride, dilation), expected) in [
        ((6, 7, 2, 1), vec![5.0, 6.0, 4.0]),
        ((7, 7, 2, 1), vec![4.0, 6.0, 6.0, 4.0]),
        ((6, 3, 2, 1), vec![3.0, 3.0, 2.0]),
        ((5, 3, 2, 1), vec![2.0, 3.0, 2.0]),
        ((4, 3, 1, 1), vec![2.0, 3.0, 3.0, 2.0]),
        ((4, 2, 1, 1), vec![2.0, 2.0, 2.0, 1.0]),
        ((5, 1, 3, 1), vec![1.0, 1.0]),
        ((2, 7, 2, 1), vec![2.0]),
        ((1, 7, 2, 1), vec![1.0]),
        ((5, 3, 1, 2), vec![2.0, 2.0, 3.0, 2.0, 2.0]),
    ] {
        for found in same(l, k, stride, dilation)? {
            assert_eq!(
                found, expected,
                "length {l}, kernel {k}, stride {stride}, dilation {dilation}"
            );
        }
    }
    let message = same(0, 3, 1, 1).unwrap_err().to_string();
    assert!(
        message.contains("of length 1 or more") && message.contains("padding same"),
        "{message}"
    );
    Ok(())
}

#[test]
fn long_signals_many_channels_and_long_strides_are_the_definition() -> Result<()> {
    let random = &mut Random(2);
    let plain = Conv1dParams::default();
    let case = |n, c_in, c_out, l, kernel, p| Case {
        n,
        c_in,
        c_out,
        l,
        kernel,
        p,
        bias: true,
    };
    for case in [
        case(3, 1, 16, 1024, 15, plain),
        case(
            2,
            1,
            10,
            1025,
            7,
            Conv1dParams {
                stride: 2,
                padding: 3.into(),
                ..plain
            },
        ),
        case(9, 16, 24, 601, 3, plain),
        case(
            11,
            70,
            66,
            33,
            3,
            Conv1dParams {
                padding: 1.into(),
                ..plain
            },
        ),
        case(5, 64, 264, 7, 1, plain),
        case(4, 48, 33, 300, 1, Conv1dParams { stride: 2, ..plain }),
        case(
            3,
            64,
            64,
            63,
            3,
            Conv1dParams {
                stride: 2,
                padding: 1.into(),
                groups: 16,
                ..plain
            },
        ),
        case(
            3,
            256,
            256,
            9,
            3,
            Conv1dParams {
                padding: 1.into(),
                groups: 8,
                ..plain
            },
        ),
        case(
            19,
            130,
            140,
            5,
            3,
            Conv1dParams {
                padding: 1.into(),
                ..plain
            },
        ),
        case(
            2,
            40,
            40,
            530,
            5,
            Conv1dParams {
                padding: 4.into(),
                dilation: 3,
                ..plain
            },
        ),
        case(
            2,
            3,
            5,
            9,
            3,
            Conv1dParams {
                stride: 8,
                padding: 1.into(),
                ..plain
            },
        ),
        case(
            2,
            3,
            5,
            9,
            3,
            Conv1dParams {
                stride: 1 << 40,
                padding: 1.into(),
                ..plain
            },
        ),
        case(
            2,
            3,
            5,
            9,
            2,
            Conv1dParams {
                stride: usize::MAX,
                dilation: 3,
                padding: 40.into(),
                ..plain
            },
        ),
    ] {
        let inputs = case.tensors(random, DType::F32)?;
        for (_, route) in ROUTES {
            assert_within_bound(&case, &inputs, &computed(&case, &inputs, route)?);
        }
    }
    Ok(())
}

#[test]
fn finite_differences_agree_with_the_gradients() -> Result<()> {
    let random = &mut Random(3);
    let check = GradCheck::default();
    for _ in 0..cases() / 5 {
        let case = Case {
            n: random.between(2, 3),
            ..Case::any(random, 9, 11)
        };
        let inputs = case.tensors(random, DType::F64)?;
        let mut all = vec![strided(&inputs.x)?, inputs.weight];
        all.extend(inputs.bias);
        for (name, route) in ROUTES {
            let verdict = check.check(&all, |t| route(&t[0], &t[1], t.get(2), case.p));
            assert!(verdict.is_ok(), "{name}, {case:?}: {verdict:?}");
        }
    }
    Ok(())
}

#[test]
fn strides_and_offsets_of_tensors_do_not_matter() -> Result<()> {
    let random = &mut Random(4);
    for _ in 0..cases() / 5 {
        let case = Case {
            bias: true,
            ..Case::any(random, 40, 40)
        };
        let inputs = case.tensors(random, DType::F32)?;
        let bias = inputs.bias.as_ref().expect("a bias");
        // the same values behind others
        let behind = |t: &Tensor| Tensor::cat(&[t, t], 0)?.narrow(0, t.dim(0)?, t.dim(0)?);
        let expected = computed(&case, &inputs, conv1d)?;
        let route: Route = |x, weight, bias, p| {
            let behind = |t: &Tensor| Tensor::cat(&[t, t], 0)?.narrow(0, t.dim(0)?, t.dim(0)?);
            conv1d(
                &strided(x)?,
                &strided(weight)?,
                bias.map(behind).transpose()?.as_ref(),
                p,
            )
        };
        for (found, expected) in computed(&case, &inputs, route)?.iter().zip(&expected) {
            assert_eq!(bits(found), bits(expected), "{case:?}");
        }
        let found = conv1d(
            &behind(&inputs.x)?,
            &behind(&inputs.weight)?,
            Some(&behind(bias)?),
            case.p,
        )?;
        assert_eq!(bits(&found), bits(&expected[0]), "{case:?}");
        let dy = Var::from_tensor(&inputs.x)?;
        let y = strided(&conv1d(&dy, &inputs.weight, Some(bias), case.p)?)?;
        let dx = (&y * &inputs.dy)?
            .sum_all()?
            .backward()?
            .get(&dy)
            .expect("a gradient")
            .clone();
        assert_eq!(bits(&dx), bits(&expected[1]), "{case:?}");
    }
    Ok(())
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() -> Result<()> {
    let random = &mut Random(5);
    let plain = Conv1dParams::default();
    let case = |n, c_in, c_out, l, kernel, p| Case {
        n,
        c_in,
        c_out,
        l,
        kernel,
        p,
        bias: true,
    };
    for case in [
        case(13, 1, 16, 1024, 15, plain),
        case(13, 16, 32, 515, 3, plain),
        case(
            13,
            64,
            64,
            63,
            3,
            Conv1dParams {
                stride: 2,
                padding: 1.into(),
                groups: 16,
                ..plain
            },
        ),
        case(
            13,
            96,
            160,
            31,
            3,
            Conv1dParams {
                padding: 1.into(),
                ..plain
            },
        ),
        case(13, 96, 320, 31, 1, plain),
        case(13, 32, 64, 64, 1, Conv1dParams { stride: 2, ..plain }),
    ] {
        let inputs = case.tensors(random, DType::F32)?;
        let run = |threads| -> Vec<Vec<u32>> {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            let all = pool.install(|| computed(&case, &inputs, conv1d)).expect("a run");
            all.iter().map(bits).collect()
        };
        let expected = run(1);
        for threads in [2, 3, 4] {
            assert!(run(threads) == expected, "{threads} threads, {case:?}");
        }
    }
    Ok(())
}

#[test]
fn data_gets_no_gradient_and_parameters_do() -> Result<()> {
    let random = &mut Random(6);
    let x = random.tensor(&[2, 3, 9], DType::F32)?;
    let weight = Var::from_tensor(&random.tensor(&[4, 3, 3], DType::F32)?)?;
    let bias = random.tensor(&[4], DType::F32)?;
    let gradients = conv1d(&x, &weight, Some(&bias), Conv1dParams::default())?
        .sum_all()?
        .backward()?;
    assert!(gradients.get(&weight).is_some());
    assert!(gradients.get(&x).is_none() && gradients.get(&bias).is_none());
    Ok(())
}

#[test]
fn frozen_weights_pass_the_gradient_on() -> Result<()> {
    let random = &mut Random(7);
    let x = Var::from_tensor(&random.tensor(&[2, 3, 9], DType::F64)?)?;
    let weight = random.tensor(&[4, 3, 3], DType::F64)?;
    let gradients = conv1d(&x, &weight, None, Conv1dParams::default())?
        .sum_all()?
        .backward()?;
    let expected = composed::conv1d(&x, &weight, None, Conv1dParams::default())?
        .sum_all()?
        .backward()?;
    let (found, expected) = (
        gradients.get(&x).expect("a gradient"),
        expected.get(&x).expect("a gradient"),
    );
    common::assert_close(found, expected, 1e-14, "dx");
    Ok(())
}

#[test]
fn candle_gets_the_same_forward_pass() -> Result<()> {
    // candle's own is right forwards, with contiguous tensors
    let random = &mut Random(8);
    for _ in 0..cases() / 5 {
        let mut case = Case::any(random, 20, 40);
        // candle pads on both sides alike
        let padding = case.left().max(case.reach().saturating_sub(case.l).div_ceil(2));
        case.p.padding = padding.into();
        let inputs = case.tensors(random, DType::F64)?;
        let Conv1dParams {
            stride,
            dilation,
            groups,
            ..
        } = case.p;
        let expected = inputs.x.conv1d(&inputs.weight, padding, stride, dilation, groups)?;
        common::assert_close(
            &conv1d(&inputs.x, &inputs.weight, None, case.p)?,
            &expected,
            1e-13,
            &format!("{case:?}"),
        );
    }
    Ok(())
}

#[test]
fn half_precision_takes_the_composition() -> Result<()> {
    let random = &mut Random(9);
    let case = Case {
        n: 2,
        c_in: 4,
        c_out: 6,
        l: 9,
        kernel: 3,
        p: Conv1dParams {
            padding: 1.into(),
            groups: 2,
            ..Conv1dParams::default()
        },
        bias: true,
    };
    let inputs = case.tensors(random, DType::BF16)?;
    let y = conv1d(&inputs.x, &inputs.weight, inputs.bias.as_ref(), case.p)?;
    assert_eq!(y.dtype(), DType::BF16);
    let wide = |t: &Tensor| t.to_dtype(DType::F64);
    let expected = conv1d(
        &wide(&inputs.x)?,
        &wide(&inputs.weight)?,
        inputs.bias.as_ref().map(wide).transpose()?.as_ref(),
        case.p,
    )?;
    // 7 products and sums of bf16
    common::assert_close(&y, &expected, 8.0 / 256.0, "y");
    Ok(())
}

#[test]
fn nothing_in_gives_nothing_out() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let padded = Conv1dParams {
        padding: 2.into(),
        ..Conv1dParams::default()
    };
    for (_, route) in ROUTES {
        assert_eq!(
            route(&zeros(&[0, 3, 9])?, &zeros(&[4, 3, 3])?, None, padded)?.dims(),
            [0, 4, 11]
        );
    }
    let weight = Var::from_tensor(&zeros(&[4, 3, 3])?)?;
    let y = conv1d(&zeros(&[0, 3, 9])?, &weight, None, padded)?;
    let dw = y.sum_all()?.backward()?.get(&weight).expect("a gradient").clone();
    assert_eq!(flat(&dw), [0.0; 36]);
    // only padding
    let bias = Tensor::new(&[1f32, 2.0], &Device::Cpu)?;
    let y = conv1d(&zeros(&[1, 3, 0])?, &zeros(&[2, 3, 3])?, Some(&bias), padded)?;
    assert_eq!(flat(&y), [1.0, 1.0, 2.0, 2.0]);
    Ok(())
}
