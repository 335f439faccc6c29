//! Signals in candle's graph: operations on tokens, whose only task is to be called in the order of the backward pass.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor};

use super::gradient::Slot;
use crate::buffer::for_float;

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
pub(super) fn node<F>(
    name: &'static str,
    output: Tensor,
    token: &Tensor,
    others: &[&Tensor],
    backward: F,
) -> Result<Tensor>
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
