//! Gradients of signals: what a layer leaves to the one before it, beside candle's graph.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result, Shape, Tensor};

use crate::buffer::{Reader, for_float, write_elements, write_row_iters};
use crate::conv_op::Conv1dOp;
use crate::pool::{MaxPool, Peaks};
use crate::values::Values;

/// The gradient of a signal, not always written in full.
pub(crate) enum Gradient {
    Scaled(Scaled),
    Pooled(Pooled),
    Convolved(Convolved),
    /// Of two readers of the signal.
    Sum([Tensor; 2]),
}

/// `values factor + shift`, factor and shift `(N, C)` where there are any.
pub(crate) struct Scaled {
    pub values: Tensor,
    pub factor: Option<Tensor>,
    pub shift: Option<Tensor>,
    /// For each row of `values` its sum, and that of its products with the distances of the input of the batch norm before it from
    /// the channel's mean, where whoever wrote the row knows them.
    pub sums: Option<Arc<Vec<[f64; 2]>>>,
}

/// What a pool of `x` with the results `y` hands back, given their gradient: mostly zeros.
pub(crate) struct Pooled {
    pub pool: Arc<MaxPool>,
    pub x: Values,
    pub y: Tensor,
    pub peaks: Option<Peaks>,
    pub dy: Tensor,
}

/// What a convolution hands back, given the gradient of its output.
pub(crate) struct Convolved {
    pub op: Conv1dOp,
    pub weight: Tensor,
    pub dy: Tensor,
}

impl From<Tensor> for Gradient {
    fn from(values: Tensor) -> Self {
        Self::Scaled(values.into())
    }
}

impl From<Tensor> for Scaled {
    fn from(values: Tensor) -> Self {
        Self {
            values,
            factor: None,
            shift: None,
            sums: None,
        }
    }
}

impl Gradient {
    /// In full, `(N, C, L)`.
    pub fn materialised(self) -> Result<Tensor> {
        match self {
            Self::Scaled(scaled) => scaled.materialised(),
            Self::Pooled(Pooled { pool, x, y, dy, .. }) => pool.gradient(&x, &y, &dy),
            Self::Convolved(Convolved { op, weight, dy }) => op.input_gradient(&weight, &dy),
            Self::Sum([a, b]) => sum(&a, &b),
        }
    }

    /// The same with convolutions and sums done.
    pub fn computed(self) -> Result<Self> {
        match self {
            Self::Convolved(_) | Self::Sum(_) => self.materialised().map(Into::into),
            other => Ok(other),
        }
    }

    /// What adds up to it.
    pub fn terms(self) -> Result<(Tensor, Option<Tensor>)> {
        match self {
            Self::Sum([a, b]) => Ok((a, Some(b))),
            other => Ok((other.materialised()?, None)),
        }
    }

    /// As it is read with a factor and a shift.
    fn scaled(self) -> Result<Scaled> {
        match self {
            Self::Scaled(scaled) => Ok(scaled),
            other => other.materialised().map(Into::into),
        }
    }
}

impl Scaled {
    fn materialised(self) -> Result<Tensor> {
        let Self {
            values, factor, shift, ..
        } = self;
        if factor.is_none() && shift.is_none() {
            return Ok(values);
        }
        let (n, c, length) = values.dims3()?;
        let reader = Reader::new(&values);
        let [factor, shift] = [&factor, &shift].map(|by_row| by_row.as_ref().map(Reader::new));
        for_float!(values.dtype(), T => {
            let all = reader.values::<T>()?;
            let factor = factor.as_ref().map(Reader::values::<T>).transpose()?;
            let shift = shift.as_ref().map(Reader::values::<T>).transpose()?;
            let full = write_row_iters(n * c, length, |row| {
                let factor = factor.map_or(1.0, |factor| factor[row]);
                let shift = shift.map_or(0.0, |shift| shift[row]);
                all[row * length..][..length].iter().map(move |&x| x * factor + shift)
            });
            Tensor::from_vec(full, (n, c, length), &Device::Cpu)
        })
    }
}

/// Where a gradient waits for the layer that its signal came from.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Gradient>>);

impl Slot {
    pub fn add(&self, more: Gradient) -> Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(match held.take() {
            None => more,
            Some(first) => Gradient::Sum([first.materialised()?, more.materialised()?]),
        });
        Ok(())
    }

    /// Adds a value for each row and channel, over the whole length of it. `shape`: of the signal.
    pub fn add_shift(&self, shift: Tensor, shape: &Shape) -> Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.take();
        *held = Some(match first {
            Some(first) => {
                let first = first.scaled()?;
                Gradient::Scaled(Scaled {
                    shift: Some(match first.shift {
                        None => shift,
                        Some(other) => (other + shift)?,
                    }),
                    ..first
                })
            }
            None => Gradient::from(repeated(&shift, shape)?),
        });
        Ok(())
    }

    pub fn take(&self) -> Option<Gradient> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What must be there.
    pub fn taken(&self) -> Result<Gradient> {
        self.take()
            .ok_or_else(|| candle_core::Error::Msg("a signal without a gradient in a backward pass".into()).bt())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Slot")
    }
}

fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let readers = [a, b].map(Reader::new);
    for_float!(a.dtype(), T => {
        let (x, y) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
        let sum = write_elements(x.len(), 1, |range| {
            x[range.clone()].iter().zip(&y[range]).map(|(&x, &y)| x + y)
        });
        Tensor::from_vec(sum, a.shape(), &Device::Cpu)
    })
}

/// Each value of `(N, C)` over the length of `shape` `(N, C, L)`.
fn repeated(by_row: &Tensor, shape: &Shape) -> Result<Tensor> {
    let (n, c, length) = shape.dims3()?;
    let reader = Reader::new(by_row);
    for_float!(by_row.dtype(), T => {
        let by_row = reader.values::<T>()?;
        let all = write_row_iters(n * c, length, |row| std::iter::repeat_n(by_row[row], length));
        Tensor::from_vec(all, shape, &Device::Cpu)
    })
}
