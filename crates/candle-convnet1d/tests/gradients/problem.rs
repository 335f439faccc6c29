//! One thing to check: a function, and where.

use candle_core::{DType, Result, Tensor};

use crate::common::Random;
use crate::common::corners::Corner;

pub type Function = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// A function of f64 tensors, and the point at which its gradient is checked.
pub struct Problem {
    /// Sizes, for the message.
    pub what: String,
    pub inputs: Vec<Tensor>,
    pub function: Function,
}

/// How the tensors of a problem lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    Contiguous,
    /// Inputs with their first and last dimension exchanged, and so the gradient of the result.
    Transposed,
    /// Inputs that are part of larger tensors, in every dimension.
    Narrowed,
    /// Inputs of which one slice is seen again and again; the gradient of the result is one, too.
    Broadcast,
}

impl Arrangement {
    pub const ALL: [Self; 4] = [Self::Contiguous, Self::Transposed, Self::Narrowed, Self::Broadcast];
}

fn turned(x: &Tensor) -> Result<Tensor> {
    match x.rank() {
        0 | 1 => Ok(x.clone()),
        rank => x.transpose(0, rank - 1),
    }
}

impl Problem {
    pub fn new(
        what: impl Into<String>,
        inputs: Vec<Tensor>,
        function: impl Fn(&[Tensor]) -> Result<Tensor> + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            inputs,
            function: Box::new(function),
        }
    }

    /// The same function of tensors that lie otherwise.
    pub fn arranged(self, arrangement: Arrangement) -> Result<Self> {
        let Self { what, inputs, function } = self;
        let (inputs, function): (Vec<Tensor>, Function) = match arrangement {
            Arrangement::Contiguous => (inputs, function),
            Arrangement::Transposed => {
                let inputs = inputs.iter().map(|x| turned(&turned(x)?.contiguous()?));
                (
                    inputs.collect::<Result<_>>()?,
                    Box::new(move |inputs| turned(&function(inputs)?)),
                )
            }
            Arrangement::Narrowed => {
                let within = |x: &Tensor| -> Result<Tensor> {
                    let mut inner = x.clone();
                    for (dim, &size) in x.dims().iter().enumerate() {
                        inner = inner.pad_with_zeros(dim, 2, 1)?.contiguous()?;
                        debug_assert_eq!(inner.dim(dim)?, size + 3);
                    }
                    x.dims()
                        .iter()
                        .enumerate()
                        .try_fold(inner, |inner, (dim, &size)| inner.narrow(dim, 2, size))
                };
                (inputs.iter().map(within).collect::<Result<_>>()?, function)
            }
            Arrangement::Broadcast => {
                // along channels where there is a batch before them and along the first dimension else: along the
                // length, maxima would tie
                let along = |x: &Tensor| usize::from(x.rank() > 1 && x.dims()[0] > 0 && x.rank() == 3);
                let shapes: Vec<_> = inputs.iter().map(|x| x.shape().clone()).collect();
                let once = inputs.iter().map(|x| match x.rank() {
                    0 => Ok(x.clone()),
                    _ => x.narrow(along(x), 0, 1)?.contiguous(),
                });
                let again = move |inputs: &[Tensor]| -> Result<Tensor> {
                    let inputs = inputs.iter().zip(&shapes).map(|(x, shape)| x.broadcast_as(shape));
                    let y = function(&inputs.collect::<Result<Vec<_>>>()?)?;
                    // of order 1 as its terms are, so that the tolerances mean the same
                    match y.rank() {
                        0 => Ok(y),
                        _ => y.mean(0),
                    }
                };
                (once.collect::<Result<_>>()?, Box::new(again))
            }
        };
        Ok(Self { what, inputs, function })
    }
}

/// Sizes and values of problems at a corner.
pub struct Draw<'a> {
    pub random: &'a mut Random,
    pub corner: Corner,
}

impl Draw<'_> {
    pub fn size(&mut self, most: usize) -> usize {
        self.random.between(1, most)
    }

    pub fn batch(&mut self) -> usize {
        self.corner.batch(self.random)
    }

    /// Mostly short; one in four with room for vectors of 16, and some of them long enough to be reduced in lanes.
    pub fn length(&mut self) -> usize {
        let most = self.random.pick(&[6, 12, 12, 70]);
        self.corner.length(self.random, most)
    }

    /// `(N, C, L)`
    pub fn signals(&mut self) -> [usize; 3] {
        [self.batch(), self.size(5), self.length()]
    }

    /// Length, kernel, stride and padding of a pool. Padding is at most half the kernel, so none is longer than it.
    pub fn window(&mut self) -> [usize; 4] {
        loop {
            let (length, kernel) = match self.corner {
                Corner::ShorterThanKernel => {
                    let kernel = self.random.between(2, 9);
                    (self.random.between(1, kernel - 1), kernel)
                }
                // the pools that networks begin with have paths of their own
                _ => (self.length(), self.random.pick(&[1, 2, 2, 3, 3, 4, 5, 7, 33])),
            };
            let stride = match self.corner {
                Corner::StrideBeyondKernel => kernel + self.size(3),
                _ => self.random.pick(&[1, 2, 2, 3, 5]),
            };
            let padding = self.random.between(0, kernel / 2);
            if kernel <= length + 2 * padding {
                return [length, kernel, stride, padding];
            }
        }
    }

    /// Values between -1 and 1.
    pub fn tensor(&mut self, shape: &[usize]) -> Result<Tensor> {
        self.random.tensor(shape, DType::F64)
    }

    /// See [`Random::apart`].
    pub fn apart(&mut self, shape: &[usize]) -> Result<Tensor> {
        self.random.apart(shape)
    }
}
