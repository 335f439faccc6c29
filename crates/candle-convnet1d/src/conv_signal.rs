//! The convolution layer on a signal, alone or with a batch norm in inference behind it.

use candle_core::{Device, Result, Tensor};

use crate::buffer::{Reader, for_float};
use crate::conv::LAYER;
use crate::conv_op::Applied;
use crate::kernels::{self, Finish, Weights};
use crate::signal::{Convolved, Gradient, Signal};
use crate::values::Values;
use crate::{BatchNorm1d, Conv1d};

/// A batch norm by constants: `(start + sum) scale + shift`, the sum being a convolution's without its bias. Three tensors
/// `(C,)`.
pub(crate) struct Behind {
    pub start: Tensor,
    pub scale: Tensor,
    pub shift: Tensor,
    pub relu: bool,
}

impl Applied {
    /// The output, `(N, c_out, L_out)`; if `counted`, with the moments of its rows.
    fn values(&self, behind: Option<&Behind>, counted: bool) -> Result<Values> {
        let s = &self.op.sizes;
        let (x, weights) = (self.x.open(), Reader::new(self.packed.as_ref().unwrap_or(&self.weight)));
        let bias = self.bias.as_ref().map(Reader::new);
        let behind_readers = behind.map(|behind| [&behind.start, &behind.scale, &behind.shift].map(Reader::new));
        for_float!(self.x.dtype(), T => {
            let finish = match (behind, &behind_readers) {
                (Some(behind), Some([start, scale, shift])) => Finish {
                    bias: start.values::<T>()?,
                    scale: scale.values()?,
                    shift: shift.values()?,
                    relu: behind.relu,
                },
                _ => Finish::bias(bias.as_ref().map(Reader::values::<T>).transpose()?),
            };
            let weights = match self.packed {
                Some(_) => Weights::Packed(weights.values()?),
                None => Weights::Plain(weights.values()?),
            };
            let (y, moments) = kernels::forward(s, self.op.isa, x.input()?, weights, finish, counted);
            let y = Tensor::from_vec(y, (s.n, s.c_out, s.l_out), &Device::Cpu)?;
            Ok(if counted { Values::with_moments(y, moments) } else { y.into() })
        })
    }

    /// The signal `values`, which this convolution of `x` makes, alone or with something behind it that has a place of its
    /// own in the graph.
    fn signal(self, x: &Signal, values: Values) -> Result<Signal> {
        let Self {
            op,
            x: input,
            weight,
            bias,
            packed: _,
        } = self;
        let tracked = x.is_tracked();
        let left = tracked && input.takes_convolved(&op.sizes);
        let mut all = vec![&weight];
        all.extend(&bias);
        x.then(LAYER, values, &all, move |dy, parameters| {
            let (weight, bias) = (parameters[0], parameters.get(1).copied());
            let dy = dy.materialised()?;
            let wanted = [tracked && !left, weight.track_op(), bias.is_some_and(Tensor::track_op)];
            let [dx, dw, db] = op.backward(&input, weight, bias, &dy, wanted)?;
            let convolved = left.then(|| {
                Gradient::Convolved(Convolved {
                    op,
                    weight: weight.detach(),
                    dy,
                })
            });
            let gradients = std::iter::once(dw).chain(bias.map(|_| db)).collect();
            Ok((convolved.or(dx.map(Into::into)), gradients))
        })
    }

    /// The same tensors, constants to candle.
    fn detached(&self) -> Self {
        Self {
            op: self.op,
            x: self.x.detach(),
            weight: self.weight.detach(),
            bias: self.bias.as_ref().map(Tensor::detach),
            packed: self.packed.clone(),
        }
    }

    /// Whether the backward pass has anything to do.
    fn is_tracked(&self) -> bool {
        self.weight.track_op() || self.bias.as_ref().is_some_and(Tensor::track_op)
    }
}

impl Conv1d {
    /// The layer on a signal that has kernels; if `counted`, the moments of its rows are at hand for a batch norm behind it.
    pub(crate) fn forward_signal(&self, x: &Signal, counted: bool) -> Result<Signal> {
        let applied = self.applied(x.values())?;
        let y = applied.values(None, counted)?;
        applied.signal(x, y)
    }

    /// The same with a batch norm in inference behind it, and perhaps a `ReLU`: one pass over memory. A backward pass
    /// computes once more what lies between the two.
    pub(crate) fn forward_signal_with(
        &self,
        x: &Signal,
        norm: &BatchNorm1d,
        domain: Option<usize>,
        relu: bool,
    ) -> Result<Signal> {
        let applied = self.applied(x.values())?;
        let sizes = applied.op.sizes;
        let shape = (sizes.n, sizes.c_out, sizes.l_out);
        let constants = norm.constants(x.values().dtype(), domain)?;
        let behind = norm.behind(&constants, applied.bias.as_ref(), shape, relu)?;
        let y = applied.values(Some(&behind), false)?;
        if !(x.is_tracked() || applied.is_tracked() || norm.is_tracked()) {
            return Ok(x.untracked(y));
        }
        let between = applied.detached();
        let inner = applied.signal(x, y.clone())?;
        norm.signal(norm.fixed(&constants, shape, relu), &inner, y, move || {
            between.values(None, false)?.written()
        })
    }
}
