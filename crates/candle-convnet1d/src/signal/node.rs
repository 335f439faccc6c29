//! Signals in candle's graph: operations on tokens, whose only task is to be called in the order of the backward pass.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor};

use super::gradient::Slot;
use crate::buffer::for_float;

/// An operation of candle's graph whose first input, and perhaps another one, is a token. What it returns is known
/// beforehand.
struct Node {
    name: &'static str,
    output: Tensor,
    backward: Backward,
}

/// From the gradient of the output and the inputs, those behind the first: gradients of these.
type Backward = Box<dyn Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>> + Send + Sync>;

impl Node {
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

impl CustomOp1 for Node {
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

impl CustomOp2 for Node {
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

impl CustomOp3 for Node {
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

/// The output of a node on a token and other tensors.
pub(super) fn node(
    name: &'static str,
    output: Tensor,
    token: &Tensor,
    others: &[&Tensor],
    backward: impl Fn(&Tensor, &[&Tensor]) -> Result<Vec<Option<Tensor>>> + Send + Sync + 'static,
) -> Result<Tensor> {
    boxed(name, output, token, others, Box::new(backward))
}

fn boxed(name: &'static str, output: Tensor, token: &Tensor, others: &[&Tensor], backward: Backward) -> Result<Tensor> {
    match others {
        [] => token.apply_op1(Node { name, output, backward }),
        [b] => token.apply_op2(b, Node { name, output, backward }),
        [b, c] => token.apply_op3(b, c, Node { name, output, backward }),
        [first @ .., b, c] => {
            // candle's operations have three inputs at most: a node before this one hands out what this one computed for it
            let waiting = Arc::new(Mutex::new(Vec::new()));
            let left = waiting.clone();
            let take = move |_: &Tensor, _: &[&Tensor]| {
                Ok(std::mem::take(
                    &mut *left.lock().unwrap_or_else(PoisonError::into_inner),
                ))
            };
            let before = boxed(name, output.clone(), token, first, Box::new(take))?;
            let first: Vec<Tensor> = first.iter().map(|&tensor| tensor.clone()).collect();
            let last = move |dy: &Tensor, last: &[&Tensor]| {
                let all: Vec<&Tensor> = first.iter().chain(last.iter().copied()).collect();
                let mut gradients = backward(dy, &all)?;
                let of_last = gradients.split_off(first.len());
                *waiting.lock().unwrap_or_else(PoisonError::into_inner) = gradients;
                Ok(of_last)
            };
            before.apply_op3(
                b,
                c,
                Node {
                    name,
                    output,
                    backward: Box::new(last),
                },
            )
        }
    }
}

pub(super) fn one_element(like: &Tensor) -> Result<Tensor> {
    Tensor::zeros(1, like.dtype(), &Device::Cpu)
}

/// The entrance: its gradient is what the first layers left.
pub(super) struct Enter {
    pub token: Tensor,
    pub slot: Arc<Slot>,
}

impl CustomOp1 for Enter {
    fn name(&self) -> &'static str {
        "enter"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        for_float!(storage.dtype(), T => Ok(crate::buffer::output::<T>(vec![0.0], self.token.shape())))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, _dy: &Tensor) -> Result<Option<Tensor>> {
        self.slot.taken()?.materialised().map(Some)
    }
}
