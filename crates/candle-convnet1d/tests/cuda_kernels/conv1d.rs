use crate::common::Random;
use crate::host::{Host, Values};
use crate::programs::{Conv1d, Program};

const EPS: f64 = f32::EPSILON as f64;

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

    /// `2 n eps sum |a b|`
    fn bound(&self) -> f64 {
        2.0 * self.terms * EPS * self.magnitude
    }
}

struct Case {
    sizes: Conv1d,
    padding_after: usize,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Option<Vec<f32>>,
    dy: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, sizes: Conv1d, padding_after: usize) -> Self {
        let Conv1d {
            n,
            groups,
            c,
            o,
            l_in,
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = sizes;
        let reach = dilation * (kernel - 1) + 1;
        let l_out = (l_in + padding + padding_after - reach) / stride + 1;
        let mut values = |count: usize| (0..count).map(|_| random.value() as f32).collect::<Vec<_>>();
        let (x, w) = (values(n * groups * c * l_in), values(groups * o * c * kernel));
        let (dy, bias) = (values(n * groups * o * l_out), values(groups * o));
        Self {
            sizes: Conv1d { l_out, ..sizes },
            padding_after,
            x,
            w,
            bias: (random.between(0, 1) == 1).then_some(bias),
            dy,
        }
    }

    /// Any shape for which there is an output.
    fn any(random: &mut Random) -> Self {
        loop {
            let most = if random.between(0, 3) == 0 { 20 } else { 6 };
            let sizes = Conv1d {
                n: random.between(1, 4),
                groups: random.between(1, 4),
                c: random.between(1, most),
                o: random.between(1, most),
                l_in: random.between(1, 70),
                l_out: 0,
                kernel: [1, 1, 2, 3, 3, 5, 7, 15][random.between(0, 7)],
                stride: [1, 1, 2, 3, 5][random.between(0, 4)],
                padding: [0, 0, 1, 2, 3, 9, 17][random.between(0, 6)],
                dilation: random.between(1, 3),
            };
            let after = [0, 0, 1, 2, 3, 9, 17][random.between(0, 6)];
            if sizes.l_in + sizes.padding + after > sizes.dilation * (sizes.kernel - 1) {
                return Self::new(random, sizes, after);
            }
        }
    }

    /// y, dx, dw, db by the definition.
    fn definition(&self) -> [Vec<Sum>; 4] {
        let s = &self.sizes;
        let zeros = |count| vec![Sum::default(); count];
        let mut all = [
            zeros(self.dy.len()),
            zeros(self.x.len()),
            zeros(self.w.len()),
            zeros(s.groups * s.o),
        ];
        let [y, dx, dw, db] = &mut all;
        for (i, dy) in self.dy.iter().enumerate() {
            let channel = i / s.l_out % (s.groups * s.o);
            db[channel].add(f64::from(*dy));
            if let Some(bias) = &self.bias {
                y[i].add(f64::from(bias[channel]));
            }
        }
        for row in 0..s.n {
            for channel in 0..s.groups * s.o {
                for j in 0..s.l_out {
                    for ci in 0..s.c {
                        for t in 0..s.kernel {
                            let padded = j * s.stride + t * s.dilation;
                            if padded < s.padding || padded >= s.padding + s.l_in {
                                continue;
                            }
                            let yi = (row * s.groups * s.o + channel) * s.l_out + j;
                            let wi = (channel * s.c + ci) * s.kernel + t;
                            let xi = ((row * s.groups + channel / s.o) * s.c + ci) * s.l_in + padded - s.padding;
                            let [x, w, dy] = [self.x[xi], self.w[wi], self.dy[yi]].map(f64::from);
                            y[yi].add(w * x);
                            dx[xi].add(w * dy);
                            dw[wi].add(dy * x);
                        }
                    }
                }
            }
        }
        all
    }

    fn programs(&self) -> [(Program, Vec<Values>); 4] {
        let [x, w, dy] = [&self.x, &self.w, &self.dy].map(|values| Values::F32(values.clone()));
        let mut forward = vec![x.clone(), w.clone()];
        forward.extend(self.bias.clone().map(Values::F32));
        [
            (self.sizes.forward(self.bias.is_some()), forward),
            (self.sizes.input_gradient(), vec![w, dy.clone()]),
            (self.sizes.weight_gradient(), vec![x, dy.clone()]),
            (self.sizes.bias_gradient(), vec![dy]),
        ]
    }
}

#[track_caller]
fn check(random: &mut Random, host: &Host, cases: &[Case]) {
    let programs: Vec<_> = cases.iter().flat_map(Case::programs).collect();
    let results = host.run(random, &programs);
    for (case, found) in cases.iter().zip(results.chunks(4)) {
        for ((name, expected), found) in ["y", "dx", "dw", "db"].iter().zip(case.definition()).zip(found) {
            let found = found[0].f32();
            assert_eq!(found.len(), expected.len());
            for (i, (&found, sum)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (f64::from(found) - sum.value).abs() <= sum.bound(),
                    "{name}[{i}] of {:?}, {} zeros behind: {found}, expected {} +- {}",
                    case.sizes,
                    case.padding_after,
                    sum.value,
                    sum.bound()
                );
            }
        }
    }
}

#[test]
fn convolution_and_gradients_are_those_of_the_definition_for_random_shapes() {
    let Some(host) = Host::new("conv1d") else { return };
    let random = &mut Random(1);
    let cases: Vec<_> = (0..400).map(|_| Case::any(random)).collect();
    check(random, &host, &cases);
}

#[test]
fn convolution_and_gradients_are_those_of_the_definition_at_the_corners() {
    let Some(host) = Host::new("conv1d-corners") else {
        return;
    };
    let random = &mut Random(2);
    let one = Conv1d {
        n: 1,
        groups: 1,
        c: 1,
        o: 1,
        l_in: 1,
        l_out: 0,
        kernel: 1,
        stride: 1,
        padding: 0,
        dilation: 1,
    };
    let cases = [
        (one, 0),
        // nothing but zeros under some outputs, or under all but one
        (Conv1d { padding: 5, ..one }, 7),
        (
            Conv1d {
                padding: 9,
                stride: 9,
                ..one
            },
            0,
        ),
        // the last samples are never reached
        (
            Conv1d {
                l_in: 11,
                stride: 4,
                kernel: 2,
                ..one
            },
            0,
        ),
        // one output, by a kernel as long as the input and its zeros
        (
            Conv1d {
                l_in: 9,
                kernel: 12,
                padding: 1,
                ..one
            },
            2,
        ),
        (
            Conv1d {
                l_in: 8,
                kernel: 3,
                dilation: 50,
                padding: 47,
                ..one
            },
            46,
        ),
        // stride and dilation without a common divisor, more taps than samples
        (
            Conv1d {
                l_in: 5,
                kernel: 9,
                dilation: 2,
                stride: 3,
                padding: 8,
                ..one
            },
            8,
        ),
        // depthwise, one more than whole tiles of channels and positions
        (
            Conv1d {
                n: 2,
                groups: 17,
                l_in: 33,
                kernel: 3,
                padding: 1,
                ..one
            },
            1,
        ),
        (
            Conv1d {
                n: 3,
                c: 9,
                o: 5,
                l_in: 13,
                kernel: 3,
                padding: 1,
                ..one
            },
            1,
        ),
        // longer than the parts of a sum
        (
            Conv1d {
                n: 3,
                c: 2,
                o: 2,
                l_in: 1500,
                kernel: 3,
                padding: 1,
                ..one
            },
            1,
        ),
        (
            Conv1d {
                n: 700,
                c: 2,
                o: 3,
                l_in: 3,
                kernel: 3,
                padding: 1,
                ..one
            },
            1,
        ),
        // a stride as large as an address allows
        (
            Conv1d {
                l_in: 4,
                stride: usize::MAX / 2,
                ..one
            },
            0,
        ),
    ];
    let cases = cases.map(|(sizes, after)| Case::new(random, sizes, after));
    check(random, &host, &cases);
}
