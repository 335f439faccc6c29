//! Convolutions: any shape, and result and gradients by the definition.

use candle_convnet1d::{Conv1dParams, Padding, composed, conv1d};
use candle_core::{DType, Result, Tensor, Var};

use super::bounds::{Sum, assert_within};
use super::corners::Corner;
use super::paths::Path;
use super::{Random, flat};

/// A convolution of `(n, c_in, l)`.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub n: usize,
    pub c_in: usize,
    pub c_out: usize,
    pub l: usize,
    pub kernel: usize,
    pub p: Conv1dParams,
    pub bias: bool,
}

impl Case {
    /// With a bias, stride 1, no padding, one group.
    pub fn new(n: usize, (c_in, c_out): (usize, usize), l: usize, kernel: usize) -> Self {
        Self {
            n,
            c_in,
            c_out,
            l,
            kernel,
            p: Conv1dParams::default(),
            bias: true,
        }
    }

    pub fn stride(mut self, stride: usize) -> Self {
        self.p.stride = stride;
        self
    }

    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.p.padding = padding.into();
        self
    }

    pub fn dilation(mut self, dilation: usize) -> Self {
        self.p.dilation = dilation;
        self
    }

    pub fn groups(mut self, groups: usize) -> Self {
        self.p.groups = groups;
        self
    }

    /// Any shape at a corner for which there is an output, up to the given numbers of channels in a group and of samples.
    pub fn any(random: &mut Random, corner: Corner, channels: usize, length: usize) -> Self {
        loop {
            let groups = random.between(1, 4);
            // often more than a block, a vector or a tile of channels
            let per_group = |random: &mut Random| {
                let most = if random.between(0, 2) == 0 { channels } else { 9 };
                random.between(1, most.min(channels))
            };
            let (c_in, c_out) = (groups * per_group(random), groups * per_group(random));
            let kernel = random.pick(&[1, 1, 2, 3, 3, 5, 7, 15]);
            let mut case = Self {
                bias: random.between(0, 1) == 1,
                ..Self::new(
                    corner.batch(random),
                    (c_in, c_out),
                    corner.length(random, length),
                    kernel,
                )
            }
            .stride(random.pick(&[1, 1, 2, 3, 5]))
            .padding(any_padding(random))
            .dilation(random.between(1, 3))
            .groups(groups);
            match corner {
                Corner::ShorterThanKernel => case.l = random.between(1, kernel),
                Corner::PaddingBeyondKernel => {
                    let beyond = |random: &mut Random| kernel + random.between(1, 5);
                    case.p.padding = Padding::Zeros {
                        left: beyond(random),
                        right: beyond(random),
                    };
                }
                Corner::StrideBeyondKernel => case.p.stride = kernel + random.between(1, 4),
                Corner::Dilated => case.p.dilation = random.between(2, 5),
                Corner::Depthwise => (case.c_in, case.c_out) = (groups, groups * random.between(1, 3)),
                _ => {}
            }
            let at_corner = match corner {
                Corner::ShorterThanKernel => case.l < kernel,
                Corner::Dilated => kernel > 1,
                _ => true,
            };
            let has_output = match case.p.padding {
                Padding::Zeros { left, right } => case.l + left + right >= case.reach(),
                Padding::Same => true,
            };
            if at_corner && has_output {
                return case;
            }
        }
    }

    pub fn reach(&self) -> usize {
        self.p.dilation * (self.kernel - 1) + 1
    }

    pub fn l_out(&self) -> usize {
        match self.p.padding {
            Padding::Zeros { left, right } => (self.l + left + right - self.reach()) / self.p.stride + 1,
            Padding::Same => self.l.div_ceil(self.p.stride),
        }
    }

    /// Zeros before the first sample.
    pub fn left(&self) -> usize {
        match self.p.padding {
            Padding::Zeros { left, .. } => left,
            Padding::Same => ((self.l_out() - 1) * self.p.stride + self.reach()).saturating_sub(self.l) / 2,
        }
    }

    pub fn weight_shape(&self) -> [usize; 3] {
        [self.c_out, self.c_in / self.p.groups, self.kernel]
    }

    pub fn inputs(&self, random: &mut Random, dtype: DType) -> Result<Inputs> {
        Ok(Inputs {
            x: random.tensor(&[self.n, self.c_in, self.l], dtype)?,
            weight: random.tensor(&self.weight_shape(), dtype)?,
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

fn any_padding(random: &mut Random) -> Padding {
    let side = |random: &mut Random| random.pick(&[0, 0, 1, 2, 3, 9, 17]);
    match random.between(0, 3) {
        0 => Padding::Same,
        1 => Padding::Zeros {
            left: side(random),
            right: side(random),
        },
        _ => side(random).into(),
    }
}

/// What a convolution is given, and the gradient of its result.
pub struct Inputs {
    pub x: Tensor,
    pub weight: Tensor,
    pub bias: Option<Tensor>,
    pub dy: Tensor,
}

/// Result and gradients by the definition: y, dx, dw, db.
pub fn definition(case: &Case, inputs: &Inputs) -> [Vec<Sum>; 4] {
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

/// The convolution on a path.
pub fn convolve(
    path: Path,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    params: Conv1dParams,
) -> Result<Tensor> {
    path.run(
        || conv1d(x, weight, bias, params),
        || composed::conv1d(x, weight, bias, params),
    )
}

/// y, dx, dw and db, if there is a bias, by a function of x, weight and bias.
pub fn with_gradients(
    inputs: &Inputs,
    f: impl Fn(&Tensor, &Tensor, Option<&Tensor>) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let (x, weight) = (Var::from_tensor(&inputs.x)?, Var::from_tensor(&inputs.weight)?);
    let bias = inputs.bias.as_ref().map(Var::from_tensor).transpose()?;
    let y = f(&x, &weight, bias.as_ref().map(Var::as_tensor))?;
    let gradients = (&y * &inputs.dy)?.sum_all()?.backward()?;
    let mut all = vec![y];
    for variable in [Some(&x), Some(&weight), bias.as_ref()].into_iter().flatten() {
        all.push(gradients.get(variable).expect("a gradient").clone());
    }
    Ok(all)
}

/// Result and gradients on a path.
pub fn computed(case: &Case, inputs: &Inputs, path: Path) -> Result<Vec<Tensor>> {
    with_gradients(inputs, |x, weight, bias| convolve(path, x, weight, bias, case.p))
}

/// Result and gradients on each path are within what rounding allows of the definition.
#[track_caller]
pub fn assert_definition(case: &Case, inputs: &Inputs, paths: &[Path]) {
    let expected = definition(case, inputs);
    for &path in paths {
        let found = computed(case, inputs, path).expect("a convolution");
        for ((name, expected), found) in ["y", "dx", "dw", "db"].iter().zip(&expected).zip(&found) {
            assert_within(found, expected, &format!("{name} of {case:?}, {path}"));
        }
    }
}
