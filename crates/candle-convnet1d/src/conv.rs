//! 1-D convolution with a backward of its own.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Module, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder, init};

use crate::buffer::{Reader, for_float, has_kernels, output, values};
use crate::error::Error;
use crate::kernels::{self, Sizes};

/// Stride, padding, dilation and groups of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dParams {
    /// Samples from one output to the next.
    pub stride: usize,
    /// Zeros added at either end.
    pub padding: usize,
    /// Samples from one tap to the next.
    pub dilation: usize,
    /// Groups that the channels are cut into.
    pub groups: usize,
}

impl Default for Conv1dParams {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
        }
    }
}

/// How a [`Conv1d`] is made.
#[derive(Clone, Copy, Debug)]
pub struct Conv1dConfig {
    /// Samples from one output to the next.
    pub stride: usize,
    /// Zeros added at either end.
    pub padding: usize,
    /// Samples from one tap to the next.
    pub dilation: usize,
    /// Groups that the channels are cut into.
    pub groups: usize,
    /// Whether there is a bias, which starts at 0.
    pub bias: bool,
    /// How the weights start.
    pub init: Init,
}

impl Default for Conv1dConfig {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: 0,
            dilation: 1,
            groups: 1,
            bias: true,
            init: init::DEFAULT_KAIMING_NORMAL,
        }
    }
}

/// A convolution layer: weight `(c_out, c_in / groups, kernel)`, bias `(c_out,)`.
#[derive(Clone, Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Option<Tensor>,
    params: Conv1dParams,
}

impl Conv1d {
    /// A layer with parameters `weight` and `bias` of `vb`.
    pub fn new(c_in: usize, c_out: usize, kernel: usize, config: Conv1dConfig, vb: VarBuilder) -> Result<Self> {
        let Conv1dConfig {
            stride,
            padding,
            dilation,
            groups,
            bias,
            init,
        } = config;
        if groups == 0 || c_in % groups != 0 || c_out % groups != 0 {
            return Err(Error::Argument {
                layer: "conv1d",
                argument: "groups",
                expected: format!("a divisor of {c_in} input and {c_out} output channels"),
                found: groups.to_string(),
            }
            .into());
        }
        let weight = vb.get_with_hints((c_out, c_in / groups, kernel), "weight", init)?;
        let bias = if bias {
            Some(vb.get_with_hints(c_out, "bias", Init::Const(0.0))?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            params: Conv1dParams {
                stride,
                padding,
                dilation,
                groups,
            },
        })
    }

    /// The weight `(c_out, c_in / groups, kernel)`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `(c_out,)`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

impl Module for Conv1d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv1d(x, &self.weight, self.bias.as_ref(), self.params)
    }
}

/// Convolution (cross-correlation) of `x` `(n, c_in, l)` with `weight` `(c_out, c_in / groups, kernel)` to
/// `(n, c_out, l_out)`, `l_out = (l + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down.
///
/// # Errors
/// Shapes that do not go together, a stride, dilation or number of groups of 0, an input too short for one output.
pub fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, params: Conv1dParams) -> Result<Tensor> {
    let sizes = sizes(x, weight, bias, params)?;
    if !has_kernels(x) {
        return crate::composed::conv1d(x, weight, bias, params);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let op = Conv1dOp { sizes };
    match bias {
        Some(b) => x.apply_op3(&weight, &b.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// Checks what a convolution is given.
pub(crate) fn sizes(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, p: Conv1dParams) -> Result<Sizes> {
    let (n, c_in, l_in) = crate::pool::dims3("conv1d", x)?;
    let (c_out, per_group, kernel) = crate::pool::dims3("conv1d (weight)", weight)?;
    for (argument, value) in [
        ("stride", p.stride),
        ("dilation", p.dilation),
        ("groups", p.groups),
        ("kernel", kernel),
    ] {
        if value == 0 {
            return Err(Error::Argument {
                layer: "conv1d",
                argument,
                expected: "at least 1".into(),
                found: "0".into(),
            }
            .into());
        }
    }
    if c_in % p.groups != 0 || c_out % p.groups != 0 || per_group != c_in / p.groups {
        return Err(Error::Shape {
            layer: "conv1d",
            expected: format!(
                "a weight (c_out, {c_in} / {groups}, kernel), c_out a multiple of the {groups} groups, for an input of {c_in} channels",
                groups = p.groups
            ),
            found: weight.dims().to_vec(),
        }
        .into());
    }
    if let Some(b) = bias.filter(|b| b.dims() != [c_out]) {
        return Err(Error::Shape {
            layer: "conv1d",
            expected: format!("a bias ({c_out},)"),
            found: b.dims().to_vec(),
        }
        .into());
    }
    let reach = p.dilation * (kernel - 1) + 1;
    let Some(room) = (l_in + 2 * p.padding).checked_sub(reach) else {
        return Err(Error::Shape {
            layer: "conv1d",
            expected: format!(
                "a length of at least {} for kernel {kernel}",
                reach.saturating_sub(2 * p.padding)
            ),
            found: x.dims().to_vec(),
        }
        .into());
    };
    Ok(Sizes {
        n,
        c_in,
        c_out,
        l_in,
        l_out: room / p.stride + 1,
        kernel,
        stride: p.stride,
        padding: p.padding,
        dilation: p.dilation,
        groups: p.groups,
    })
}

#[derive(Clone, Copy)]
struct Conv1dOp {
    sizes: Sizes,
}

impl Conv1dOp {
    fn forward(
        &self,
        (x, lx): (&CpuStorage, &Layout),
        (w, lw): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let s = &self.sizes;
        for_float!(x.dtype(), T => {
            let bias = bias.map(|(b, lb)| values::<T>(b, lb)).transpose()?;
            let y = kernels::forward(s, values::<T>(x, lx)?, values::<T>(w, lw)?, bias);
            Ok(output::<T>(y, (s.n, s.c_out, s.l_out)))
        })
    }

    /// Gradients of input, weight and bias, each where something is derived from it.
    fn backward(&self, x: &Tensor, w: &Tensor, b: Option<&Tensor>, dy: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let dy = dy.contiguous()?;
        let (s, device) = (&self.sizes, x.device());
        let (xs, ws, dys) = (Reader::new(x), Reader::new(w), Reader::new(&dy));
        let wanted = |x: Option<&Tensor>| x.is_some_and(Tensor::track_op);
        for_float!(x.dtype(), T => {
            let (xs, ws, dys) = (xs.values::<T>()?, ws.values::<T>()?, dys.values::<T>()?);
            let dx = wanted(Some(x)).then(|| kernels::input_gradient(s, ws, dys));
            let dw = wanted(Some(w)).then(|| kernels::weight_gradient(s, xs, dys));
            let db = wanted(b).then(|| kernels::bias_gradient(s, dys));
            Ok([
                dx.map(|dx| Tensor::from_vec(dx, x.shape(), device)).transpose()?,
                dw.map(|dw| Tensor::from_vec(dw, w.shape(), device)).transpose()?,
                db.map(|db| Tensor::from_vec(db, s.c_out, device)).transpose()?,
            ])
        })
    }
}

impl CustomOp2 for Conv1dOp {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (w, lw), None)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.backward(x, w, None, dy)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Conv1dOp {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (w, lw), Some((b, lb)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.backward(x, w, Some(b), dy)?;
        Ok((dx, dw, db))
    }
}
