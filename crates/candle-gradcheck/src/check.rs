//! The comparison itself.

use crate::layout::Arrangement;
use crate::probe::{Probes, SplitMix, dot, unravel};
use crate::{Error, Place, Report, Worst};
use candle_core::{DType, Device, Shape, Tensor, Var};

/// Settings of a check; `GradCheck::default()` has those of `torch.autograd.gradcheck`.
///
/// ```
/// # use candle_gradcheck::GradCheck;
/// let strict = GradCheck { atol: 1e-8, rtol: 1e-6, ..GradCheck::default() };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GradCheck {
    /// Half of the distance between the two points of a difference; default 1e-6.
    pub eps: f64,
    /// Relative tolerance, times the numeric derivative; default 1e-3.
    pub rtol: f64,
    /// Absolute tolerance; default 1e-5.
    pub atol: f64,
    /// An input with more elements is moved along random directions instead of element by element; default 1024.
    pub max_elements: usize,
    /// An output with more elements is multiplied by random cotangents instead of being checked element by element;
    /// default 128. Each costs one backward pass.
    pub max_outputs: usize,
    /// Random directions per large input, and random cotangents for a large output; default 8.
    pub directions: usize,
    /// Seed of the random directions; default 0.
    pub seed: u64,
    /// Take an input without a gradient as one whose gradient is zero, and compare that; default false: an error.
    pub allow_missing: bool,
}

impl Default for GradCheck {
    fn default() -> Self {
        Self {
            eps: 1e-6,
            rtol: 1e-3,
            atol: 1e-5,
            max_elements: 1024,
            max_outputs: 128,
            directions: 8,
            seed: 0,
            allow_missing: false,
        }
    }
}

impl GradCheck {
    /// Compares the gradient of `f` at `inputs` with central differences.
    ///
    /// `inputs` are `f64` tensors of any shape, on any device, of any layout whose elements do not share memory; `f` is
    /// called with tensors of the same layout. Its result is an `f64` tensor of any shape. `f` runs `2 n + 2` times,
    /// where `n` is the number of input elements (or directions), and its gradient is taken once per output element (or
    /// cotangent), and once more.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with the [`Report`] when a derivative is beyond tolerance; [`Error::MissingGradient`] for an input
    /// without one; the other variants of [`Error`] for calls and functions that cannot be checked.
    pub fn check(
        &self,
        inputs: &[Tensor],
        f: impl Fn(&[Tensor]) -> candle_core::Result<Tensor>,
    ) -> Result<Report, Error> {
        self.validate()?;
        let inputs = inputs
            .iter()
            .enumerate()
            .map(|(i, x)| Input::new(i, x))
            .collect::<Result<Vec<_>, _>>()?;
        Check::new(self, inputs, f)?.run()
    }

    fn validate(&self) -> Result<(), Error> {
        let setting = |name, value: String, expected| Err(Error::Setting { name, value, expected });
        if !(self.eps.is_finite() && self.eps > 0.0) {
            return setting("eps", self.eps.to_string(), "a finite number above 0");
        }
        for (name, value) in [("atol", self.atol), ("rtol", self.rtol)] {
            if !(value.is_finite() && value >= 0.0) {
                return setting(name, value.to_string(), "a finite number, at least 0");
            }
        }
        if self.directions == 0 {
            return setting("directions", "0".to_owned(), "at least 1");
        }
        Ok(())
    }
}

/// One input: its values in row-major order, and how they lie in memory.
struct Input {
    values: Vec<f64>,
    shape: Shape,
    arrangement: Arrangement,
    device: Device,
}

impl Input {
    fn new(input: usize, x: &Tensor) -> Result<Self, Error> {
        if x.dtype() != DType::F64 {
            return Err(Error::InputDType {
                input,
                dtype: x.dtype(),
            });
        }
        let arrangement = Arrangement::of(x.layout()).ok_or_else(|| Error::Overlapping {
            input,
            shape: x.shape().clone(),
            strides: x.stride().to_vec(),
        })?;
        let values = values(x)?;
        Ok(Self {
            values,
            shape: x.shape().clone(),
            arrangement,
            device: x.device().clone(),
        })
    }

    fn tensor(&self, values: Vec<f64>) -> candle_core::Result<Tensor> {
        self.arrangement
            .apply(&Tensor::from_vec(values, self.shape.clone(), &self.device)?)
    }
}

/// Elements in row-major order.
fn values(x: &Tensor) -> candle_core::Result<Vec<f64>> {
    x.flatten_all()?.to_vec1()
}

struct Check<'a, F> {
    settings: &'a GradCheck,
    f: F,
    inputs: Vec<Input>,
    /// The inputs as given: what stays still while one of them moves.
    still: Vec<Tensor>,
    /// Values and shape of the output there.
    output: Vec<f64>,
    output_shape: Shape,
}

impl<'a, F: Fn(&[Tensor]) -> candle_core::Result<Tensor>> Check<'a, F> {
    fn new(settings: &'a GradCheck, inputs: Vec<Input>, f: F) -> Result<Self, Error> {
        let still = inputs
            .iter()
            .map(|x| x.tensor(x.values.clone()))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let y = f(&still)?;
        if y.dtype() != DType::F64 {
            return Err(Error::OutputDType { dtype: y.dtype() });
        }
        let elements = inputs.iter().map(|x| x.values.len()).sum();
        if elements == 0 || y.elem_count() == 0 {
            return Err(Error::Nothing {
                inputs: elements,
                outputs: y.elem_count(),
            });
        }
        Ok(Self {
            settings,
            f,
            inputs,
            still,
            output: values(&y)?,
            output_shape: y.shape().clone(),
        })
    }

    fn run(&self) -> Result<Report, Error> {
        let GradCheck {
            max_elements,
            max_outputs,
            directions,
            seed,
            ..
        } = *self.settings;
        let mut random = SplitMix(seed);
        let outputs = Probes::new(self.output.len(), max_outputs, directions, &mut random);
        let analytic = self.analytic(&outputs)?;

        let mut report = None;
        let mut misled: Option<Misled> = None;
        for (number, input) in self.inputs.iter().enumerate() {
            let probes = Probes::new(input.values.len(), max_elements, directions, &mut random);
            for p in 0..probes.len() {
                let difference = self.difference(number, &probes, p)?;
                for (o, gradients) in analytic.iter().enumerate() {
                    let found = Worst::compare(
                        (number, probes.place(p, input.shape.dims())),
                        outputs.place(o, self.output_shape.dims()),
                        (difference.along(&gradients[number]), outputs.dot(o, &difference.output)),
                        (self.settings.atol, self.settings.rtol),
                    );
                    let failed = !found.passes();
                    let severity = found.severity();
                    Report::add(&mut report, found);
                    if failed
                        && matches!(probes, Probes::Random(_))
                        && misled.as_ref().is_none_or(|m| severity > m.severity)
                    {
                        misled = Some(Misled {
                            severity,
                            input: number,
                            direction: probes.vector(p),
                            output: o,
                        });
                    }
                }
            }
        }
        // `Check::new` has seen to it that there is something to compare
        let mut report = report.ok_or(Error::Nothing { inputs: 0, outputs: 0 })?;
        if let Some(misled) = misled
            && matches!(report.worst.index, Place::Random(_))
            && let Some(element) = self.bisect(&misled, &outputs, &analytic)?
        {
            report.worst = element;
        }
        if report.failed == 0 {
            Ok(report)
        } else {
            Err(Error::Mismatch(Box::new(report)))
        }
    }

    /// Gradient of each input for each cotangent.
    fn analytic(&self, outputs: &Probes) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        let leaves = self
            .inputs
            .iter()
            .map(|x| Var::from_vec(x.values.clone(), x.shape.clone(), &x.device))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let tracked = leaves
            .iter()
            .zip(&self.inputs)
            .map(|(leaf, x)| x.arrangement.apply(leaf))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let y = (self.f)(&tracked)?;
        self.same_shape(&y)?;
        same("the output", &self.output, &values(&y)?, &self.output_shape)?;

        let mut rows = Vec::with_capacity(outputs.len());
        for o in 0..outputs.len() {
            rows.push(self.gradients(&y, &leaves, outputs.vector(o))?);
        }
        let again = self.gradients(&y, &leaves, outputs.vector(0))?;
        for (number, (first, second)) in rows[0].iter().zip(&again).enumerate() {
            same(
                &format!("the gradient of input {number}"),
                first,
                second,
                &self.inputs[number].shape,
            )?;
        }
        Ok(rows)
    }

    fn gradients(&self, y: &Tensor, leaves: &[Var], cotangent: Vec<f64>) -> Result<Vec<Vec<f64>>, Error> {
        let cotangent = Tensor::from_vec(cotangent, y.shape().clone(), y.device())?;
        let store = y.mul(&cotangent)?.sum_all()?.backward()?;
        leaves
            .iter()
            .enumerate()
            .map(|(input, leaf)| match store.get(leaf) {
                Some(gradient) if gradient.shape() != leaf.shape() => Err(Error::GradientShape {
                    input,
                    expected: leaf.shape().clone(),
                    got: gradient.shape().clone(),
                }),
                Some(gradient) => Ok(values(gradient)?),
                None if self.settings.allow_missing => Ok(vec![0.0; leaf.elem_count()]),
                None => Err(Error::MissingGradient { input }),
            })
            .collect()
    }

    /// What the output does when one input moves along a unit vector.
    fn difference(&self, input: usize, probes: &Probes, p: usize) -> Result<Difference, Error> {
        let eps = self.settings.eps;
        let (mut up, mut down) = (self.inputs[input].values.clone(), self.inputs[input].values.clone());
        // What was really moved, since x + eps is rounded: at x = 1e4 the step is off by up to 1e-6 of itself.
        let step = match probes {
            Probes::Axes(_) => {
                up[p] += eps;
                down[p] -= eps;
                Step::Axis(p)
            }
            Probes::Random(vectors) => {
                for (k, u) in vectors[p].iter().enumerate() {
                    up[k] += eps * u;
                    down[k] -= eps * u;
                }
                Step::Direction(up.iter().zip(&down).map(|(a, b)| (a - b) / (2.0 * eps)).collect())
            }
        };
        let width = if let Step::Axis(k) = step {
            up[k] - down[k]
        } else {
            2.0 * eps
        };
        let (above, below) = (self.at(input, up)?, self.at(input, down)?);
        let output = above.iter().zip(&below).map(|(a, b)| (a - b) / width).collect();
        Ok(Difference { step, output })
    }

    fn at(&self, input: usize, moved: Vec<f64>) -> Result<Vec<f64>, Error> {
        let mut inputs = self.still.clone();
        inputs[input] = self.inputs[input].tensor(moved)?;
        let y = (self.f)(&inputs)?;
        self.same_shape(&y)?;
        Ok(values(&y)?)
    }

    fn same_shape(&self, y: &Tensor) -> Result<(), Error> {
        if y.shape() == &self.output_shape {
            Ok(())
        } else {
            Err(Error::OutputShape {
                expected: self.output_shape.clone(),
                got: y.shape().clone(),
            })
        }
    }

    /// From a direction that disagrees to an element that does: the half of the direction with the larger error, again and
    /// again. `None` where no single element is beyond tolerance.
    fn bisect(&self, misled: &Misled, outputs: &Probes, analytic: &[Vec<Vec<f64>>]) -> Result<Option<Worst>, Error> {
        let gradient = &analytic[misled.output][misled.input];
        let shape = &self.inputs[misled.input].shape;
        let n = gradient.len();
        let (mut start, mut end) = (0, n);
        while end - start > 1 {
            let middle = start.midpoint(end);
            let mut errors = [0.0; 2];
            for (error, range) in errors.iter_mut().zip([start..middle, middle..end]) {
                let mut part = vec![0.0; n];
                part[range.clone()].copy_from_slice(&misled.direction[range]);
                let moved = self.difference(misled.input, &Probes::Random(vec![part]), 0)?;
                *error = (moved.along(gradient) - outputs.dot(misled.output, &moved.output)).abs();
            }
            // NaN is as wrong as can be
            if errors[0] >= errors[1] || errors[0].is_nan() {
                end = middle;
            } else {
                start = middle;
            }
        }
        let moved = self.difference(misled.input, &Probes::Axes(n), start)?;
        let found = Worst::compare(
            (misled.input, Place::Element(unravel(start, shape.dims()))),
            outputs.place(misled.output, self.output_shape.dims()),
            (moved.along(gradient), outputs.dot(misled.output, &moved.output)),
            (self.settings.atol, self.settings.rtol),
        );
        Ok((!found.passes()).then_some(found))
    }
}

/// The worst disagreement along a random direction.
struct Misled {
    severity: f64,
    input: usize,
    direction: Vec<f64>,
    output: usize,
}

/// A central difference: the step, and the output's change per unit of it.
struct Difference {
    step: Step,
    output: Vec<f64>,
}

enum Step {
    Axis(usize),
    Direction(Vec<f64>),
}

impl Difference {
    /// What the gradient says about this step.
    fn along(&self, gradient: &[f64]) -> f64 {
        match &self.step {
            Step::Axis(k) => gradient[*k],
            Step::Direction(step) => dot(step, gradient),
        }
    }
}

/// Errs where two runs that should be equal are not, bit for bit but for NaN.
fn same(what: &str, first: &[f64], second: &[f64], shape: &Shape) -> Result<(), Error> {
    let differs = |(a, b): (&f64, &f64)| a != b && !(a.is_nan() && b.is_nan());
    match first.iter().zip(second).position(differs) {
        None => Ok(()),
        Some(k) => Err(Error::NotDeterministic {
            what: what.to_owned(),
            index: unravel(k, shape.dims()),
            first: first[k],
            second: second[k],
        }),
    }
}
