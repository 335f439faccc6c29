//! The end of a residual block: sums of signals, gates before them, a `ReLU` behind.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, WithDType};

use super::gradient::{Gradient, Scaled, Slot};
use super::node::{node, one_element};
use super::{Link, Signal};
use crate::buffer::{Places, Reader, for_float, rows_per_task, write_channels, write_elements};
use crate::gate::scale_values;
use crate::lanes::{RowSums, dot};
use crate::scratch::Scratch;
use crate::values::{Floor, Input, Opened, Values};
use crate::vectorised::vectorised;
use crate::{SeGate, relu};

impl Signal {
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
            return gate.forward(self.values.like()).map(Self::tensor);
        };
        let scale = gate.scale(&self.mean()?)?;
        let y = scale_values(&self.values, &scale.detach())?;
        if !link.token.track_op() && !scale.track_op() {
            return Ok(self.untracked(y.into()));
        }
        let gradient = Arc::<Slot>::default();
        let (x, input, output) = (self.values.clone(), link.gradient.clone(), gradient.clone());
        let token = node("gate", one_element(&y)?, &link.token, &[&scale], move |_, others| {
            let dy = output.taken()?.materialised()?;
            let dscale = gate_gradient(&x, &dy)?;
            input.add(Gradient::Scaled(Scaled {
                factor: Some(others[0].detach()),
                ..dy.into()
            }))?;
            Ok(vec![Some(dscale)])
        })?;
        Ok(Self {
            values: y.into(),
            link: Some(Link { token, gradient }),
        })
    }

    /// The end of a residual block with a gate: [`relu`](crate::relu) of the sum of the gated signal and the shortcut.
    pub fn gated_plus_relu(&self, gate: &SeGate, shortcut: &Self) -> Result<Self> {
        match self.link {
            Some(_) => self.end(Some(gate.scale(&self.mean()?)?), shortcut, true),
            None => relu(&(gate.forward(self.values.like())? + shortcut.values.like())?).map(Self::tensor),
        }
    }

    /// `self scale + shortcut`, with or without a `ReLU`.
    fn end(&self, scale: Option<Tensor>, shortcut: &Self, relu_behind: bool) -> Result<Self> {
        let (Some(link), Some(other)) = (&self.link, &shortcut.link) else {
            let sum = (self.values.like() + shortcut.values.like())?;
            return Ok(Self::tensor(if relu_behind { relu(&sum)? } else { sum }));
        };
        let out = end_values(&self.values, scale.as_ref(), &shortcut.values, relu_behind)?;
        let tracked = [link.token.track_op(), other.token.track_op()];
        if !(tracked[0] || tracked[1] || scale.as_ref().is_some_and(Tensor::track_op)) {
            return Ok(self.untracked(out.into()));
        }
        let gradient = Arc::<Slot>::default();
        let (slots, output) = ([link.gradient.clone(), other.gradient.clone()], gradient.clone());
        let (x, y, gated) = (self.values.clone(), out.clone(), scale.is_some());
        let mut others: Vec<&Tensor> = scale.iter().collect();
        others.push(&other.token);
        let token = node(
            "residual",
            one_element(&out)?,
            &link.token,
            &others,
            move |_, others| {
                let dy = output.taken()?;
                let Before { dy, dscale, sums } = match (relu_behind, gated) {
                    (false, false) => dy.materialised()?.into(),
                    (false, true) => {
                        let dy = dy.materialised()?;
                        Before {
                            dscale: Some(gate_gradient(&x, &dy)?),
                            ..dy.into()
                        }
                    }
                    (true, gated) => Before::of_relu(&y, gated.then_some(&x), dy)?,
                };
                if tracked[0] {
                    let factor = gated.then(|| others[0].detach());
                    slots[0].add(Gradient::Scaled(Scaled {
                        factor,
                        sums,
                        ..dy.clone().into()
                    }))?;
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
            values: out.into(),
            link: Some(Link { token, gradient }),
        })
    }
}

/// For each row of `x` `(N, C, L)` its product with `dy`: `(N, C)`.
fn gate_gradient(x: &Values, dy: &Tensor) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    let (opened, dy) = (x.open(), Reader::new(dy));
    for_float!(x.dtype(), T => {
        let (x, dy) = (opened.input::<T>()?, dy.values::<T>()?);
        let dots = write_elements(n * c, length, |rows| {
            let mut scratch = Scratch::new();
            rows.map(move |row| dot(&dy[row * length..][..length], x.row(row, scratch.take(x.room()))) as T)
        });
        Tensor::from_vec(dots, (n, c), &Device::Cpu)
    })
}

vectorised! {
    /// Rows of `x scale + shortcut`, with or without a `ReLU`.
    fn end_rows<T>(
        x: Input<'_, T>,
        scale: Option<&[T]>,
        shortcut: Input<'_, T>,
        floor: Floor<T>,
        places: Places<'_, T>,
    ) {
        let mut scratch = [(); 2].map(|()| Scratch::new());
        let [x_scratch, shortcut_scratch] = &mut scratch;
        let (x_scratch, shortcut_scratch) = (x_scratch.take(x.room()), shortcut_scratch.take(shortcut.room()));
        for (_, row, place) in places {
            let scale = scale.map_or(T::one(), |scale| scale[row]);
            let (x, shortcut) = (x.row(row, x_scratch), shortcut.row(row, shortcut_scratch));
            place.fill(x, shortcut, |x, s| floor.of(x * scale + s));
        }
    }
}

fn end_values(x: &Values, scale: Option<&Tensor>, shortcut: &Values, relu: bool) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    if shortcut.like().dims() != x.like().dims() {
        return x.like().add(shortcut.like()); // the error
    }
    let scale = scale.map(Tensor::contiguous).transpose()?;
    let opened = [x, shortcut].map(Values::open);
    let scale = scale.as_ref().map(Reader::new);
    for_float!(x.dtype(), T => {
        let (x, shortcut) = (opened[0].input::<T>()?, opened[1].input::<T>()?);
        let scale = scale.as_ref().map(Reader::values::<T>).transpose()?;
        let floor = Floor::<T>::new(relu);
        let (y, _) = write_channels((1, n * c, length), rows_per_task(length), |_| (), |(), places| {
            end_rows(x, scale, shortcut, floor, places);
        });
        Tensor::from_vec(y, (n, c, length), &Device::Cpu)
    })
}

/// The gradient of the sum.
struct Before {
    dy: Tensor,
    /// That of the gate's factors.
    dscale: Option<Tensor>,
    /// See [`Scaled::sums`].
    sums: Option<Arc<Vec<[f64; 2]>>>,
}

impl From<Tensor> for Before {
    fn from(dy: Tensor) -> Self {
        Self {
            dy,
            dscale: None,
            sums: None,
        }
    }
}

vectorised! {
    /// Rows of the gradient in front of a `ReLU` with results `y`, behind which there are one or two; and for each the sums of it and of its
    /// products with what `x` is made of, or with `x`.
    fn rows_before<T>(
        y: &[T],
        dy: &[T],
        more: Option<&[T]>,
        x: Option<Input<'_, T>>,
        length: usize,
        places: Places<'_, T>,
        sums: &mut Vec<[f64; 2]>,
    ) {
        let floor = Floor::new(true);
        let mut scratch = Scratch::new();
        let scratch = scratch.take(x.map_or(0, |x| x.room()));
        for (_, row, place) in places {
            let range = row * length..(row + 1) * length;
            let (y, dy) = (&y[range.clone()], &dy[range.clone()]);
            let before = match more {
                None => place.fill(y, dy, |y, dy| floor.gradient(y, dy)),
                Some(more) => place.fill3(y, dy, &more[range], |y, dy, more| floor.gradient(y, dy + more)),
            };
            let Some(x) = x else { continue };
            let mut of_row = RowSums::new();
            match x.linear_row(row) {
                Some((x, affine)) => of_row.add(before, x, |g, x| (g, g * (x - affine.mean))),
                None => of_row.add(before, x.row(row, scratch), |g, x| (g, g * x)),
            }
            let (alone, with_x) = of_row.totals();
            sums.push([alone, with_x]);
        }
    }
}

impl Before {
    /// In front of a `ReLU` with results `y`, with the gate's if it was `x` that went through one.
    fn of_relu(y: &Tensor, x: Option<&Values>, dy: Gradient) -> Result<Self> {
        let (n, c, length) = y.dims3()?;
        let (dy, more) = dy.terms()?;
        let readers = [y, &dy].map(Reader::new);
        let more = more.as_ref().map(Reader::new);
        let opened = x.map(Values::open);
        for_float!(y.dtype(), T => {
            let (y, dy) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
            let more = more.as_ref().map(Reader::values::<T>).transpose()?;
            let x = opened.as_ref().map(Opened::input::<T>).transpose()?;
            let (before, sums) = write_channels(
                (1, n * c, length),
                rows_per_task(length),
                |_| (),
                |(), places| {
                    let mut sums = Vec::with_capacity(rows_per_task(length));
                    rows_before(y, dy, more, x, length, places, &mut sums);
                    sums
                },
            );
            let before = Tensor::from_vec(before, (n, c, length), &Device::Cpu)?;
            let Some(x) = x else { return Ok(before.into()) };
            let sums = sums.concat();
            let linear = sums.is_empty() || x.linear_row(0).is_some();
            let of_row = |(row, &[alone, with_x]): (usize, &[f64; 2])| {
                let dot = x.linear_row(row).map_or(with_x, |(_, affine)| {
                    with_x * affine.scale.to_f64() + alone * affine.bias.to_f64()
                });
                T::from_f64(dot)
            };
            let dots: Vec<T> = sums.iter().enumerate().map(of_row).collect();
            Ok(Self {
                dy: before,
                dscale: Some(Tensor::from_vec(dots, (n, c), &Device::Cpu)?),
                sums: linear.then(|| Arc::new(sums)),
            })
        })
    }
}
