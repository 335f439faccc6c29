//! Signals inside a network: what layers hand to each other without candle's bookkeeping of gradients.

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

use crate::buffer::{Reader, for_float, has_kernels, write_row_iters};
use crate::pool::{self, MaxPool, dims3};
use crate::values::Values;
use crate::{BatchNorm1d, Conv1d, Pass};

mod gradient;
mod node;
mod residual;

use gradient::Slot;
pub(crate) use gradient::{Convolved, Gradient, Pooled, Scaled};
use node::{Enter, node, one_element};

/// A batch of signals `(N, C, L)` between one layer of a network and the next.
///
/// [`enter`](Self::enter) makes one of a tensor, [`leave`](Self::leave) and [`mean`](Self::mean) make a tensor again;
/// in between, each method is the layer of the same name at the crate's root, with the same values and gradients.
///
/// # What it spares
/// candle adds every gradient of every operation to a tensor of zeros that it makes for it: four passes over memory on one
/// thread, for each activation. Where there are kernels, a signal takes part in candle's graph by a tensor of one element
/// only; its gradient goes from layer to layer beside the graph, is written once, and is added to another one only where
/// two meet. Gates leave theirs as a factor and a shift of each channel, and pools of maxima theirs as it is, mostly zeros not
/// written, which the batch norm before them applies as it reads.
///
/// In training what a batch norm gives is not written either: it is a few operations away from what it got, which its
/// backward pass keeps anyhow, and every layer that reads it, forwards and backwards, applies them to a row at a time. A
/// convolution with a batch norm behind it takes the statistics of each row while that lies in a cache. Elsewhere (CUDA, other dtypes, second derivatives) a signal is the tensor itself.
///
/// # Limits
/// A backward pass that ended in an error must not be repeated on the same graph.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Constants to candle where there is a link; else a tensor.
    values: Values,
    link: Option<Link>,
}

/// Place of a signal in candle's graph.
#[derive(Clone, Debug)]
struct Link {
    /// One element; tracked where a gradient is wanted.
    token: Tensor,
    gradient: Arc<Slot>,
}

impl Signal {
    /// A tensor `(N, C, L)` as a signal.
    pub fn enter(x: &Tensor) -> Result<Self> {
        dims3("signal", x)?;
        if !has_kernels(x) {
            return Ok(Self {
                values: x.clone().into(),
                link: None,
            });
        }
        let x = x.contiguous()?;
        let values = x.detach();
        let gradient = Arc::<Slot>::default();
        let token = if x.track_op() {
            let slot = gradient.clone();
            x.apply_op1(Enter {
                token: one_element(&x)?,
                slot,
            })?
        } else {
            one_element(&x)?
        };
        Ok(Self {
            values: values.into(),
            link: Some(Link { token, gradient }),
        })
    }

    /// The tensor `(N, C, L)` again.
    pub fn leave(&self) -> Result<Tensor> {
        match &self.link {
            Some(link) if link.token.track_op() => {
                let slot = link.gradient.clone();
                node("leave", self.values.written()?, &link.token, &[], move |dy, _| {
                    slot.add(dy.contiguous()?.into())?;
                    Ok(Vec::new())
                })
            }
            _ => self.values.written(),
        }
    }

    /// A tensor `(N, C, L)` as a signal whose gradient [`gradients`](Self::gradients) returns.
    pub fn watched(x: &Tensor) -> Result<Self> {
        if !has_kernels(x) {
            return Self::enter(Var::from_tensor(&x.detach())?.as_tensor());
        }
        let Self { values, link } = Self::enter(&x.detach())?;
        let link = link.map(|link| {
            Var::from_tensor(&link.token).map(|token| Link {
                token: token.into_inner(),
                ..link
            })
        });
        Ok(Self {
            values,
            link: link.transpose()?,
        })
    }

    /// The gradients of the sum of `dy` times this signal, shaped alike: that of `x`, a [`watched`](Self::watched) signal from
    /// which this one was computed, and those of the parameters on the way. With no pass over memory but the layers' own,
    /// while candle's backward pass starts from ones that it makes, and adds the gradient of a variable to zeros.
    ///
    /// # Errors
    /// Where the shapes differ or this signal does not depend on `x`.
    pub fn gradients(&self, dy: &Tensor, x: &Self) -> Result<(Tensor, GradStore)> {
        let like = self.values.like();
        if dy.shape() != like.shape() {
            let (dy, y) = (dy.shape(), like.shape());
            return Err(
                candle_core::Error::Msg(format!("a gradient of shape {dy:?} for a signal of shape {y:?}")).bt(),
            );
        }
        let (Some(from), Some(to)) = (&self.link, &x.link) else {
            let mut all = (like * dy)?.sum_all()?.backward()?;
            let dx = all.remove(x.values.like()).ok_or_else(independent)?;
            return Ok((dx, all));
        };
        if !(from.token.track_op() && to.token.is_variable()) {
            return Err(independent());
        }
        // what a backward pass of candle's through `x` may have left
        to.gradient.take();
        from.gradient.add(dy.contiguous()?.into())?;
        let all = from.token.backward()?;
        let dx = to.gradient.take().ok_or_else(independent)?.materialised()?;
        Ok((dx, all))
    }

    /// L.
    pub fn length(&self) -> Result<usize> {
        self.values.like().dim(2)
    }

    /// The values alone. To candle they are constants where there are kernels.
    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// Whether a gradient is wanted.
    pub(crate) fn is_tracked(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.token.track_op())
    }

    /// The signal `values`, computed from this one, of which no gradient is wanted, and from constants.
    pub(crate) fn untracked(&self, values: Values) -> Self {
        // what is not tracked gets no gradient, so that it may share this one's place
        Self {
            values,
            link: self.link.clone(),
        }
    }

    /// The signal `values`, computed from this one and parameters. `backward` turns its gradient and the
    /// parameters into the gradient of this signal and those of the parameters.
    pub(crate) fn then<F>(
        &self,
        name: &'static str,
        values: Values,
        parameters: &[&Tensor],
        backward: F,
    ) -> Result<Self>
    where
        F: Fn(Gradient, &[&Tensor]) -> Result<(Option<Gradient>, Vec<Option<Tensor>>)> + Send + Sync + 'static,
    {
        let Some(link) = &self.link else {
            return Err(candle_core::Error::Msg("a signal without kernels".into()).bt());
        };
        if !link.token.track_op() && !parameters.iter().any(|parameter| parameter.track_op()) {
            return Ok(self.untracked(values));
        }
        let gradient = Arc::<Slot>::default();
        // what is not tracked shares the place of something else
        let input = link.token.track_op().then(|| link.gradient.clone());
        let output = gradient.clone();
        let token = node(
            name,
            one_element(values.like())?,
            &link.token,
            parameters,
            move |_, parameters| {
                let (dx, others) = backward(output.taken()?, parameters)?;
                if let (Some(input), Some(dx)) = (&input, dx) {
                    input.add(dx)?;
                }
                Ok(others)
            },
        )?;
        Ok(Self {
            values,
            link: Some(Link { token, gradient }),
        })
    }

    /// A pool of maxima.
    fn pool(&self, pool: MaxPool) -> Result<Self> {
        let (x, pool) = (self.values.clone(), Arc::new(pool));
        let (y, peaks) = pool.of_values(&x)?;
        let result = y.clone();
        self.then("max_pool1d", y.into(), &[], move |dy, _| {
            let pooled = Pooled {
                pool: pool.clone(),
                x: x.clone(),
                y: result.clone(),
                peaks: peaks.clone(),
                dy: dy.materialised()?,
            };
            Ok((Some(Gradient::Pooled(pooled)), Vec::new()))
        })
    }

    fn tensor(values: Tensor) -> Self {
        Self {
            values: values.into(),
            link: None,
        }
    }

    /// A convolution layer.
    pub fn conv(&self, layer: &Conv1d) -> Result<Self> {
        self.conv_for(layer, false)
    }

    /// [`conv`](Self::conv), `counted` if a batch norm will want the batch's statistics.
    fn conv_for(&self, layer: &Conv1d, counted: bool) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self, counted),
            None => candle_core::Module::forward(layer, self.values.like()).map(Self::tensor),
        }
    }

    /// A batch norm.
    pub fn norm(&self, layer: &BatchNorm1d, pass: Pass) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self, pass, false),
            None => layer.forward(self.values.like(), pass).map(Self::tensor),
        }
    }

    /// A batch norm and the [`relu`](crate::relu) of what it gives.
    pub fn norm_relu(&self, layer: &BatchNorm1d, pass: Pass) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self, pass, true),
            None => layer.forward_relu(self.values.like(), pass).map(Self::tensor),
        }
    }

    /// A convolution layer and the batch norm behind it: [`conv`](Self::conv), then [`norm`](Self::norm). In inference the
    /// two are one pass. In training a convolution of one tap that makes four channels or more of each of at most 16 of a group is
    /// made where it is read, and the gradient of its bias is 0, which the batch norm's mean takes along.
    pub fn conv_norm(&self, conv: &Conv1d, norm: &BatchNorm1d, pass: Pass) -> Result<Self> {
        self.conv_then_norm(conv, norm, pass, false)
    }

    /// [`conv_norm`](Self::conv_norm) and the [`relu`](crate::relu) of what it gives.
    pub fn conv_norm_relu(&self, conv: &Conv1d, norm: &BatchNorm1d, pass: Pass) -> Result<Self> {
        self.conv_then_norm(conv, norm, pass, true)
    }

    fn conv_then_norm(&self, conv: &Conv1d, norm: &BatchNorm1d, pass: Pass, relu: bool) -> Result<Self> {
        match (pass, &self.link) {
            (Pass::Eval { domain }, Some(_)) => conv.forward_signal_with(self, norm, domain, relu),
            (_, Some(_)) if norm.widens(conv) && self.values.like().elem_count() > 0 => {
                norm.forward_widening(conv, self, pass, relu)
            }
            _ => {
                let between = self.conv_for(conv, pass.is_train())?;
                if relu {
                    between.norm_relu(norm, pass)
                } else {
                    between.norm(norm, pass)
                }
            }
        }
    }

    /// [`max_pool1d`](crate::max_pool1d).
    pub fn max_pool(&self, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        match self.link {
            Some(_) => self.pool(pool::max_pool_op(self.values.like(), kernel, stride, padding)?),
            None => crate::max_pool1d(self.values.like(), kernel, stride, padding).map(Self::tensor),
        }
    }

    /// [`adaptive_max_pool1d`](crate::adaptive_max_pool1d).
    pub fn adaptive_max_pool(&self, outputs: usize) -> Result<Self> {
        match self.link {
            Some(_) => self.pool(pool::adaptive_max_pool_op(self.values.like(), outputs)?),
            None => crate::adaptive_max_pool1d(self.values.like(), outputs).map(Self::tensor),
        }
    }

    /// [`global_avg_pool1d`](crate::global_avg_pool1d): the tensor `(N, C)`.
    pub fn mean(&self) -> Result<Tensor> {
        let Some(link) = &self.link else {
            return crate::global_avg_pool1d(self.values.like());
        };
        let means = pool::row_means(&self.values)?;
        if !link.token.track_op() {
            return Ok(means);
        }
        let (slot, shape) = (link.gradient.clone(), self.values.like().shape().clone());
        let length = shape.dims3()?.2 as f64;
        node("mean", means, &link.token, &[], move |dy, _| {
            slot.add_shift((dy.contiguous()? / length)?, &shape)?;
            Ok(Vec::new())
        })
    }

    /// The channels from `first` on, `count` of them.
    pub fn channels(&self, first: usize, count: usize) -> Result<Self> {
        if self.link.is_none() {
            return self.values.like().narrow(1, first, count).map(Self::tensor);
        }
        let (n, channels, length) = self.values.dims3()?;
        if (first, count) == (0, channels) {
            return Ok(self.clone());
        }
        let part = self.values.written()?.narrow(1, first, count)?.contiguous()?;
        self.then("channels", part.into(), &[], move |dy, _| {
            let dy = dy.materialised()?;
            let reader = Reader::new(&dy);
            let dx = for_float!(dy.dtype(), T => {
                let dy = reader.values::<T>()?;
                // what is not written is 0
                let dx = write_row_iters(n * channels, length, |row| {
                    let (sample, channel) = (row / channels, row % channels);
                    let within = (first..first + count).contains(&channel);
                    let from = if within { (sample * count + channel - first) * length } else { 0 };
                    dy[from..][..if within { length } else { 0 }].iter().copied()
                });
                Tensor::from_vec(dx, (n, channels, length), &Device::Cpu)?
            });
            Ok((Some(dx.into()), Vec::new()))
        })
    }
}

fn independent() -> candle_core::Error {
    candle_core::Error::Msg("gradient of a watched signal that the result does not depend on".into()).bt()
}
