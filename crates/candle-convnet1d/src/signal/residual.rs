//! The end of a residual block: sums of signals, gates before them, a `ReLU` behind.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::gradient::{Gradient, Scaled, Slot};
use super::node::{node, one_element};
use super::{Link, Signal};
use crate::buffer::{Places, Reader, for_float, rows_per_task, write_channels, write_elements};
use crate::gate::scale_values;
use crate::lanes::{dot, fold3};
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
                let dy = output.taken()?.materialised()?;
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
                    slots[0].add(Gradient::Scaled(Scaled {
                        factor,
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

vectorised! {
    /// Rows of the gradient in front of a `ReLU` with results `y`.
    fn rows_before<T>(y: &[T], dy: &[T], length: usize, places: Places<'_, T>) {
        let floor = Floor::new(true);
        for (_, row, place) in places {
            let range = row * length..(row + 1) * length;
            place.fill(&y[range.clone()], &dy[range], |y, dy| floor.gradient(y, dy));
        }
    }
}

vectorised! {
    /// The product of a row of that gradient with `x`.
    fn dot_before<T>(y: &[T], dy: &[T], x: &[T]) -> f64 {
        let floor = Floor::new(true);
        fold3(y, dy, x, |y, dy, x| floor.gradient(y, dy) * x)
    }
}

/// The gradient in front of a `ReLU` with results `y`, and its product with `x`, row by row, where a gate was.
fn end_gradients(y: &Tensor, x: Option<&Values>, dy: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let (n, c, length) = y.dims3()?;
    let readers = [y, dy].map(Reader::new);
    let opened = x.map(Values::open);
    for_float!(y.dtype(), T => {
        let (y, dy) = (readers[0].values::<T>()?, readers[1].values::<T>()?);
        let input = opened.as_ref().map(Opened::input::<T>).transpose()?;
        let dots = |rows: Range<usize>, x: Input<'_, T>| {
            let mut scratch = Scratch::new();
            let scratch = scratch.take(x.room());
            let of_row = |row: usize| {
                let range = row * length..(row + 1) * length;
                dot_before(&y[range.clone()], &dy[range], x.row(row, scratch)) as T
            };
            rows.map(of_row).collect()
        };
        let (before, dots) = write_channels(
            (1, n * c, length),
            rows_per_task(length),
            // few enough rows to be in a cache when they are written
            |rows| input.map_or_else(Vec::new, |x| dots(rows, x)),
            |dots, places| {
                rows_before(y, dy, length, places);
                dots
            },
        );
        let before = Tensor::from_vec(before, (n, c, length), &Device::Cpu)?;
        let dots = x.map(|_| Tensor::from_vec(dots.concat(), (n, c), &Device::Cpu)).transpose()?;
        Ok((before, dots))
    })
}
