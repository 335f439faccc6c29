//! Signals inside a network: what layers hand to each other without candle's bookkeeping of gradients.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor};

use crate::buffer::{Reader, for_float, has_kernels, write_elements, write_row_iters};
use crate::gate::scale_channels;
use crate::norm::Floor;
use crate::pool::{self, dims3};
use crate::{BatchNorm1d, Conv1d, Pass, SeGate, relu};

/// A batch of signals `(N, C, L)` between one layer of a network and the next.
///
/// [`enter`](Self::enter) makes one of a tensor, [`leave`](Self::leave) and [`mean`](Self::mean) make a tensor again;
/// in between, each method is the layer of the same name at the crate's root, with the same values and gradients.
///
/// # What it spares
/// candle adds every gradient of every operation to a tensor of zeros that it makes for it: four passes over memory on one
/// thread, for each activation. Where there are kernels, a signal takes part in candle's graph by a tensor of one element
/// only; its gradient goes from layer to layer beside the graph, is written once, and is added to another one only where
/// two meet. Gates leave theirs as a factor and a shift of each channel, which the batch norm before them applies as it
/// reads. Elsewhere (CUDA, other dtypes, second derivatives) a signal is the tensor itself.
///
/// # Limits
/// A backward pass that ended in an error must not be repeated on the same graph.
#[derive(Clone, Debug)]
pub struct Signal {
    /// A constant to candle where there is a link.
    values: Tensor,
    link: Option<Link>,
}

/// Place of a signal in candle's graph.
#[derive(Clone, Debug)]
struct Link {
    /// One element; tracked where a gradient is wanted.
    token: Tensor,
    gradient: Arc<Slot>,
}

/// The gradient of a signal, `values factor + shift`, factor and shift `(N, C)` where there are any.
pub(crate) struct Gradient {
    pub values: Tensor,
    pub factor: Option<Tensor>,
    pub shift: Option<Tensor>,
}

impl From<Tensor> for Gradient {
    fn from(values: Tensor) -> Self {
        Self {
            values,
            factor: None,
            shift: None,
        }
    }
}

impl Gradient {
    /// In full, `(N, C, L)`.
    pub fn materialised(self) -> Result<Tensor> {
        let Self { values, factor, shift } = self;
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
struct Slot(Mutex<Option<Gradient>>);

impl Slot {
    fn add(&self, more: Gradient) -> Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(match held.take() {
            None => more,
            Some(first) => sum(&first.materialised()?, &more.materialised()?)?.into(),
        });
        Ok(())
    }

    /// Adds a value for each row and channel, over the whole length of it. `shape`: of the signal.
    fn add_shift(&self, shift: Tensor, shape: &Shape) -> Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.take();
        *held = Some(match first {
            Some(first) => Gradient {
                shift: Some(match first.shift {
                    None => shift,
                    Some(other) => (other + shift)?,
                }),
                ..first
            },
            None => Gradient::from(repeated(&shift, shape)?),
        });
        Ok(())
    }

    fn take(&self) -> Result<Gradient> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
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
        let sum = write_elements(x.len(), |range| {
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

/// An operation of candle's graph whose first input, and perhaps another one, is a token. What it returns is known
/// beforehand.
struct Node<F> {
    name: &'static str,
    output: Tensor,
    /// From the gradient of the output and the inputs, those behind the first: gradients of these.
    backward: F,
}

impl<F: Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>>> Node<F> {
    fn forward(&self) -> Result<(CpuStorage, Shape)> {
        let (storage, layout) = self.output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, self.output.shape().clone())),
            _ => Err(candle_core::Error::Msg("expected a tensor on the CPU".into()).bt()),
        }
    }

    /// Gradients of the token, which only tells candle to go on, and of the others.
    fn gradients(
        &self,
        token: &Tensor,
        others: &[&Tensor],
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Vec<Option<Tensor>>)> {
        let others = (self.backward)(dy, others)?;
        Ok((Some(token.zeros_like()?), others))
    }
}

impl<F: Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>>> CustomOp1 for Node<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(&self, token: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.gradients(token, &[], dy)?.0)
    }
}

impl<F: Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>>> CustomOp2 for Node<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(&self, token: &Tensor, b: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dtoken, mut others) = self.gradients(token, &[b], dy)?;
        Ok((dtoken, others.pop().flatten()))
    }
}

impl<F: Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>>> CustomOp3 for Node<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(
        &self,
        token: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dtoken, mut others) = self.gradients(token, &[b, c], dy)?;
        let last = others.pop().flatten();
        Ok((dtoken, others.pop().flatten(), last))
    }
}

/// The output of a node on a token and up to two other tensors.
fn node<F>(name: &'static str, output: Tensor, token: &Tensor, others: &[&Tensor], backward: F) -> Result<Tensor>
where
    F: Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>> + Send + Sync + 'static,
{
    let node = Node { name, output, backward };
    match others {
        [] => token.apply_op1(node),
        [b] => token.apply_op2(b, node),
        [b, c] => token.apply_op3(b, c, node),
        _ => Err(candle_core::Error::Msg("more than two parameters".into()).bt()),
    }
}

fn one_element(like: &Tensor) -> Result<Tensor> {
    Tensor::zeros(1, like.dtype(), &Device::Cpu)
}

impl Signal {
    /// A tensor `(N, C, L)` as a signal.
    pub fn enter(x: &Tensor) -> Result<Self> {
        dims3("signal", x)?;
        if !has_kernels(x) {
            return Ok(Self {
                values: x.clone(),
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
            values,
            link: Some(Link { token, gradient }),
        })
    }

    /// The tensor `(N, C, L)` again.
    pub fn leave(&self) -> Result<Tensor> {
        match &self.link {
            Some(link) if link.token.track_op() => {
                let slot = link.gradient.clone();
                node("leave", self.values.clone(), &link.token, &[], move |dy, _| {
                    slot.add(dy.contiguous()?.into())?;
                    Ok(Vec::new())
                })
            }
            _ => Ok(self.values.clone()),
        }
    }

    /// L.
    pub fn length(&self) -> Result<usize> {
        self.values.dim(2)
    }

    /// The values alone. To candle they are constants where there are kernels.
    pub(crate) fn values(&self) -> &Tensor {
        &self.values
    }

    /// Whether a gradient is wanted.
    pub(crate) fn is_tracked(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.token.track_op())
    }

    /// The signal `values`, computed from this one and up to two parameters. `backward` turns its gradient and the
    /// parameters into the gradient of this signal and those of the parameters.
    pub(crate) fn then<F>(
        &self,
        name: &'static str,
        values: Tensor,
        parameters: &[&Tensor],
        backward: F,
    ) -> Result<Self>
    where
        F: Fn(Gradient, &[&Tensor]) -> Result<(Option<Tensor>, Vec<Option<Tensor>>)> + Send + Sync + 'static,
    {
        let Some(link) = &self.link else {
            return Err(candle_core::Error::Msg("a signal without kernels".into()).bt());
        };
        let gradient = Arc::<Slot>::default();
        let (input, output) = (link.gradient.clone(), gradient.clone());
        let token = node(
            name,
            one_element(&values)?,
            &link.token,
            parameters,
            move |_, parameters| {
                let (dx, others) = backward(output.take()?, parameters)?;
                if let Some(dx) = dx {
                    input.add(dx.into())?;
                }
                Ok(others)
            },
        )?;
        Ok(Self {
            values,
            link: Some(Link { token, gradient }),
        })
    }

    /// As [`then`](Self::then), by an operation of candle's graph on contiguous tensors.
    fn by_op<C: CustomOp1 + Send + Sync + 'static>(&self, op: C) -> Result<Self> {
        let x = self.values.clone();
        let y = x.apply_op1_no_bwd(&op)?;
        let result = y.clone();
        self.then(op.name(), y, &[], move |dy, _| {
            Ok((op.bwd(&x, &result, &dy.materialised()?)?, Vec::new()))
        })
    }

    fn tensor(values: Tensor) -> Self {
        Self { values, link: None }
    }

    /// A convolution layer.
    pub fn conv(&self, layer: &Conv1d) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self),
            None => candle_core::Module::forward(layer, &self.values).map(Self::tensor),
        }
    }

    /// A batch norm.
    pub fn norm(&self, layer: &BatchNorm1d, pass: Pass) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self, pass, false),
            None => layer.forward(&self.values, pass).map(Self::tensor),
        }
    }

    /// A batch norm and the [`relu`](crate::relu) of what it gives.
    pub fn norm_relu(&self, layer: &BatchNorm1d, pass: Pass) -> Result<Self> {
        match self.link {
            Some(_) => layer.forward_signal(self, pass, true),
            None => layer.forward_relu(&self.values, pass).map(Self::tensor),
        }
    }

    /// [`max_pool1d`](crate::max_pool1d).
    pub fn max_pool(&self, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        match self.link {
            Some(_) => self.by_op(pool::max_pool_op(&self.values, kernel, stride, padding)?),
            None => crate::max_pool1d(&self.values, kernel, stride, padding).map(Self::tensor),
        }
    }

    /// [`adaptive_max_pool1d`](crate::adaptive_max_pool1d).
    pub fn adaptive_max_pool(&self, outputs: usize) -> Result<Self> {
        match self.link {
            Some(_) => self.by_op(pool::adaptive_max_pool_op(&self.values, outputs)?),
            None => crate::adaptive_max_pool1d(&self.values, outputs).map(Self::tensor),
        }
    }

    /// [`global_avg_pool1d`](crate::global_avg_pool1d): the tensor `(N, C)`.
    pub fn mean(&self) -> Result<Tensor> {
        let Some(link) = &self.link else {
            return crate::global_avg_pool1d(&self.values);
        };
        let means = crate::global_avg_pool1d(&self.values)?;
        let (slot, shape) = (link.gradient.clone(), self.values.shape().clone());
        let length = shape.dims3()?.2 as f64;
        node("mean", means, &link.token, &[], move |dy, _| {
            slot.add_shift((dy.contiguous()? / length)?, &shape)?;
            Ok(Vec::new())
        })
    }

    /// The channels from `first` on, `count` of them.
    pub fn channels(&self, first: usize, count: usize) -> Result<Self> {
        if self.link.is_none() {
            return self.values.narrow(1, first, count).map(Self::tensor);
        }
        let (n, channels, length) = self.values.dims3()?;
        if (first, count) == (0, channels) {
            return Ok(self.clone());
        }
        let part = self.values.narrow(1, first, count)?.contiguous()?;
        self.then("channels", part, &[], move |dy, _| {
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
            Ok((Some(dx), Vec::new()))
        })
    }

    /// The sum with a signal of the same shape.
    pub fn plus(&self, other: &Self) -> Result<Self> {
        self.end(None, other, false)
    }

    /// The end of a residual block: [`relu`](crate::relu) of the sum with the shortcut.
    pub fn plus_relu(&self, shortcut: &Self) -> Result<Self> {
        self.end(None, shortcut, true)
    }

    /// A squeeze-and-excitation gate.
    pub fn gated(&self, gate: &SeGate) -> Result<Self> {
        let Some(link) = &self.link else {
            return gate.forward(&self.values).map(Self::tensor);
        };
        let scale = gate.scale(&self.mean()?)?;
        let y = scale_channels(&self.values, &scale.detach())?;
        let gradient = Arc::<Slot>::default();
        let (x, input, output) = (self.values.clone(), link.gradient.clone(), gradient.clone());
        let token = node("gate", one_element(&y)?, &link.token, &[&scale], move |_, others| {
            let dy = output.take()?.materialised()?;
            let dscale = gate_gradient(&x, &dy)?;
            input.add(Gradient {
                factor: Some(others[0].detach()),
                ..dy.into()
            })?;
            Ok(vec![Some(dscale)])
        })?;
        Ok(Self {
            values: y,
            link: Some(Link { token, gradient }),
        })
    }

    /// The end of a residual block with a gate: [`relu`](crate::relu) of the sum of the gated signal and the shortcut.
    pub fn gated_plus_relu(&self, gate: &SeGate, shortcut: &Self) -> Result<Self> {
        match self.link {
            Some(_) => self.end(Some(gate.scale(&self.mean()?)?), shortcut, true),
            None => relu(&(gate.forward(&self.values)? + &shortcut.values)?).map(Self::tensor),
        }
    }

    /// `self scale + shortcut`, with or without a `ReLU`.
    fn end(&self, scale: Option<Tensor>, shortcut: &Self, relu_behind: bool) -> Result<Self> {
        let (Some(link), Some(other)) = (&self.link, &shortcut.link) else {
            let sum = (&self.values + &shortcut.values)?;
            return Ok(Self::tensor(if relu_behind { relu(&sum)? } else { sum }));
        };
        let out = end_values(&self.values, scale.as_ref(), &shortcut.values, relu_behind)?;
        let gradient = Arc::<Slot>::default();
        let (slots, output) = ([link.gradient.clone(), other.gradient.clone()], gradient.clone());
        let tracked = [link.token.track_op(), other.token.track_op()];
        let (x, y, gated) = (self.values.clone(), out.clone(), scale.is_some());
        let mut others: Vec<&Tensor> = scale.iter().collect();
        others.push(&other.token);
        let token = node(
            "residual",
            one_element(&out)?,
            &link.token,
            &others,
            move |_, others| {
                let dy = output.take()?.materialised()?;
                let (dy, dscale) = match (relu_behind, gated) {
                    (false, false) => (dy, None),
                    (false, true) => {
                        let dscale = gate_gradient(&x, &dy)?;
                        (dy, Some(dscale))
                    }
                    (true, gated) => end_gradients(&y, gated.then_some(&x), &dy)?,
                };
                if tracked[0] {
                    let factor = gated.then(|| others[0].detach());
                    slots[0].add(Gradient {
                        factor,
                        ..dy.clone().into()
                    })?;
                }
                if tracked[1] {
                    slots[1].add(dy.into())?;
                }
                let mut gradients = Vec::with_capacity(2);
                if gated {
                    gradients.push(dscale);
                }
                gradients.push(Some(one_element(&y)?));
                Ok(gradients)
            },
        )?;
        Ok(Self {
            values: out,
            link: Some(Link { token, gradient }),
        })
    }
}

/// The entrance: its gradient is what the first layers left.
struct Enter {
    token: Tensor,
    slot: Arc<Slot>,
}

impl CustomOp1 for Enter {
    fn name(&self) -> &'static str {
        "enter"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        for_float!(storage.dtype(), T => Ok(crate::buffer::output::<T>(vec![0.0], self.token.shape())))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, _dy: &Tensor) -> Result<Option<Tensor>> {
        self.slot.take()?.materialised().map(Some)
    }
}

/// For each row of `x` `(N, C, L)` its product with `dy`: `(N, C)`.
fn gate_gradient(x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    let readers = [x, dy].map(Reader::new);
    for_float!(x.dtype(), T => {
        let (x, dy) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
        let dots = write_elements(n * c, |rows| {
            rows.map(|row| crate::lanes::dot(&dy[row * length..][..length], &x[row * length..][..length]) as T)
        });
        Tensor::from_vec(dots, (n, c), &Device::Cpu)
    })
}

fn end_values(x: &Tensor, scale: Option<&Tensor>, shortcut: &Tensor, relu: bool) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    if shortcut.dims() != x.dims() {
        return x.add(shortcut); // the error
    }
    let scale = scale.map(Tensor::contiguous).transpose()?;
    let readers = [x, shortcut].map(Reader::new);
    let scale = scale.as_ref().map(Reader::new);
    for_float!(x.dtype(), T => {
        let (x, shortcut) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
        let scale = scale.as_ref().map(Reader::values::<T>).transpose()?;
        let floor = Floor::<T>::new(relu);
        let y = write_row_iters(n * c, length, |row| {
            let scale = scale.map_or(1.0, |scale| scale[row]);
            let (x, shortcut) = (&x[row * length..][..length], &shortcut[row * length..][..length]);
            x.iter().zip(shortcut).map(move |(&x, &s)| floor.of(x * scale + s))
        });
        Tensor::from_vec(y, (n, c, length), &Device::Cpu)
    })
}

/// The gradient in front of a `ReLU` with results `y`, and its product with `x`, row by row, where a gate was.
fn end_gradients(y: &Tensor, x: Option<&Tensor>, dy: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let (n, c, length) = y.dims3()?;
    let readers = [y, dy].map(Reader::new);
    let x = x.map(Reader::new);
    for_float!(y.dtype(), T => {
        let (y, dy) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
        let x = x.as_ref().map(Reader::values::<T>).transpose()?;
        let (before, dots) = crate::buffer::write_rows_and(n * c, length, length, |row, before, dot: &mut T| {
            let range = row * length..(row + 1) * length;
            for (before, (&y, &dy)) in before.iter_mut().zip(y[range.clone()].iter().zip(&dy[range.clone()])) {
                *before = if y <= 0.0 { 0.0 } else { dy };
            }
            if let Some(x) = x {
                *dot = crate::lanes::dot(before, &x[range]) as T;
            }
        });
        let before = Tensor::from_vec(before, (n, c, length), &Device::Cpu)?;
        let dots = x.is_some().then(|| Tensor::from_vec(dots, (n, c), &Device::Cpu)).transpose()?;
        Ok((before, dots))
    })
}
