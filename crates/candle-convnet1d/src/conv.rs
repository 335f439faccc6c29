//! The convolution: the layer, the function and its place in candle's graph.

use std::sync::{Arc, OnceLock};

use candle_core::{Device, Module, Result, Tensor};
use candle_nn::{Init, VarBuilder, init};

use crate::InstructionSet;
use crate::buffer::{Reader, for_float, has_cuda_kernels, has_kernels};
use crate::composed;
use crate::conv_op::{Applied, Conv1dOp};
use crate::error::Error;
use crate::kernels::{self, Sizes};
use crate::padding::Padding;
use crate::pool::dims3;
use crate::values::Values;

/// Stride, padding, dilation and groups of a convolution. The default is 1, 0, 1, 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dParams {
    /// Samples from one output to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Samples from one tap of the kernel to the next.
    pub dilation: usize,
    /// Groups that the channels are cut into: output channels see the inputs of their own group.
    pub groups: usize,
}

impl Default for Conv1dParams {
    fn default() -> Self {
        Self {
            stride: 1,
            padding: Padding::default(),
            dilation: 1,
            groups: 1,
        }
    }
}

/// How a [`Conv1d`] is made. The default is stride 1, no padding, dilation 1, one group, a bias,
/// and weights after He et al. 2015 (normal, by fan-in).
#[derive(Clone, Copy, Debug)]
pub struct Conv1dConfig {
    /// Samples from one output to the next.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Samples from one tap of the kernel to the next.
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
        let Conv1dParams {
            stride,
            padding,
            dilation,
            groups,
        } = Conv1dParams::default();
        Self {
            stride,
            padding,
            dilation,
            groups,
            bias: true,
            init: init::DEFAULT_KAIMING_NORMAL,
        }
    }
}

/// A convolution layer: `(N, c_in, L)` to `(N, c_out, L_out)`, see [`conv1d`].
///
/// Where its parameters come as plain tensors, not as variables, it has copies of them, and its weights are laid out for
/// the kernels once.
#[derive(Clone, Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv1dConfig,
    /// Of weights that never change: as the kernels read them, from the first pass on.
    packed: Option<Arc<OnceLock<Tensor>>>,
}

impl Conv1d {
    /// A layer with the parameters `weight` `(c_out, c_in / groups, kernel)` and, if the
    /// configuration has a bias, `bias` `(c_out,)` of `vb`.
    ///
    /// Errors: groups that do not divide both numbers of channels; a kernel, stride, dilation or
    /// number of groups of 0; what `vb` reports.
    #[allow(clippy::needless_pass_by_value, reason = "candle passes variable builders by value")]
    pub fn new(c_in: usize, c_out: usize, kernel: usize, config: Conv1dConfig, vb: VarBuilder) -> Result<Self> {
        let Conv1dConfig {
            stride,
            dilation,
            groups,
            ..
        } = config;
        at_least_one(&[
            ("kernel", kernel),
            ("stride", stride),
            ("dilation", dilation),
            ("groups", groups),
        ])?;
        if !c_in.is_multiple_of(groups) || !c_out.is_multiple_of(groups) {
            return Err(Error::Argument {
                layer: LAYER,
                argument: "groups",
                expected: format!("a divisor of {c_in} input and of {c_out} output channels"),
                found: groups.to_string(),
            }
            .into());
        }
        let weight = vb.get_with_hints((c_out, c_in / groups, kernel), "weight", config.init)?;
        let bias = config
            .bias
            .then(|| vb.get_with_hints(c_out, "bias", Init::Const(0.0)))
            .transpose()?;
        let (weight, constant) = own(weight)?;
        let packed = (constant && has_kernels(&weight)).then(Arc::default);
        Ok(Self {
            weight,
            bias: bias.map(|bias| own(bias).map(|(bias, _)| bias)).transpose()?,
            config,
            packed,
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

    /// What the layer was made from.
    pub fn config(&self) -> &Conv1dConfig {
        &self.config
    }
}

impl Module for Conv1d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv1d(x, &self.weight, self.bias.as_ref(), self.params())
    }
}

/// A parameter as a layer keeps it, and whether it never changes.
///
/// Variables change. So does a tensor that shares its memory with one (`Var::as_detached_tensor`) or that is handed to an
/// operation in place: a layer that computes something of its parameters once needs a copy that is its own.
pub(crate) fn own(parameter: Tensor) -> Result<(Tensor, bool)> {
    if parameter.track_op() {
        return Ok((parameter, false));
    }
    Ok((parameter.force_contiguous()?, true))
}

/// 1-D convolution (cross-correlation, as everywhere in this field) of `x` `(N, c_in, L)` with
/// `weight` `(c_out, c_in / groups, kernel)` and `bias` `(c_out,)`, to `(N, c_out, L_out)`:
///
/// `y[n, o, j] = bias[o] + sum over c, t of weight[o, c, t] x[n, first(o) + c, j stride + t dilation - left]`,
///
/// `x` being 0 outside, `first(o)` the first input channel of the group of `o`, `left` and `right` the
/// [`Padding`], and `L_out = (L + left + right - dilation (kernel - 1) - 1) / stride + 1`, rounded down. Any
/// layout in memory. There are kernels for f32 and f64 on the CPU and for f32 on CUDA devices; everything else
/// takes [`composed::conv1d`].
/// Gradients go to `x`, `weight` and `bias` where they are tracked.
///
/// Errors: shapes, dtypes or devices that do not go together; a stride, dilation, kernel or number
/// of groups of 0; an input that is too short for one output; an instruction set that is not there
/// (see [`InstructionSet`]).
pub fn conv1d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, params: Conv1dParams) -> Result<Tensor> {
    let sizes = sizes(x, weight, bias, params)?;
    let by_kernels = has_kernels(x) || (has_cuda_kernels(x) && weight.elem_count() > 0);
    if !by_kernels {
        return composed::conv1d(x, weight, bias, params);
    }
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let op = Conv1dOp {
        sizes,
        isa: InstructionSet::in_use()?,
    };
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

impl Conv1d {
    /// The layer on a tensor that has kernels.
    pub(crate) fn applied(&self, x: &Values) -> Result<Applied> {
        let bias = self.bias.as_ref();
        Ok(Applied {
            op: Conv1dOp {
                sizes: sizes(x.like(), &self.weight, bias, self.params())?,
                isa: InstructionSet::in_use()?,
            },
            x: x.clone(),
            weight: self.weight.contiguous()?,
            bias: bias.map(Tensor::contiguous).transpose()?,
            packed: self.packed()?,
        })
    }

    /// The weights as the kernels read them, where they never change.
    fn packed(&self) -> Result<Option<Tensor>> {
        let Some(cell) = &self.packed else {
            return Ok(None);
        };
        if let Some(packed) = cell.get() {
            return Ok(Some(packed.clone()));
        }
        let reader = Reader::new(&self.weight);
        let isa = InstructionSet::in_use()?;
        let Conv1dConfig {
            stride,
            dilation,
            groups,
            ..
        } = self.config;
        let packed = for_float!(self.weight.dtype(), T => {
            let packed = kernels::packed::<T>(isa, reader.values()?, self.weight.dims3()?, (stride, dilation, groups));
            let count = packed.len();
            Tensor::from_vec(packed, count, &Device::Cpu)?
        });
        Ok(Some(cell.get_or_init(|| packed).clone()))
    }

    fn params(&self) -> Conv1dParams {
        let Conv1dConfig {
            stride,
            padding,
            dilation,
            groups,
            ..
        } = self.config;
        Conv1dParams {
            stride,
            padding,
            dilation,
            groups,
        }
    }
}

pub(crate) const LAYER: &str = "conv1d";

fn at_least_one(arguments: &[(&'static str, usize)]) -> Result<()> {
    match arguments.iter().find(|(_, value)| *value == 0) {
        None => Ok(()),
        Some((argument, _)) => Err(Error::Argument {
            layer: LAYER,
            argument,
            expected: "1 or more".into(),
            found: "0".into(),
        }
        .into()),
    }
}

/// Checks what a convolution is given.
pub(crate) fn sizes(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, params: Conv1dParams) -> Result<Sizes> {
    let Conv1dParams {
        stride,
        padding,
        dilation,
        groups,
    } = params;
    let shape = |expected: String, found: &Tensor| -> candle_core::Error {
        Error::Shape {
            layer: LAYER,
            expected,
            found: found.dims().to_vec(),
        }
        .into()
    };
    let (n, c_in, l_in) = dims3(LAYER, x)?;
    let (c_out, per_group, kernel) = weight
        .dims3()
        .map_err(|_| shape("a weight (c_out, c_in / groups, kernel)".into(), weight))?;
    at_least_one(&[
        ("kernel", kernel),
        ("stride", stride),
        ("dilation", dilation),
        ("groups", groups),
    ])?;
    if !c_out.is_multiple_of(groups) || per_group * groups != c_in {
        let expected = format!(
            "a weight (c_out, {c_in} / {groups}, kernel), c_out a multiple of {groups}, for an input of {c_in} \
             channels in {groups} group(s)"
        );
        return Err(shape(expected, weight));
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [c_out]) {
        return Err(shape(
            format!("a bias ({c_out},) for a weight of {c_out} output channels"),
            bias,
        ));
    }
    for (argument, other) in [("the weight", Some(weight)), ("the bias", bias)] {
        same_kind(argument, x, other)?;
    }
    let reach = dilation.checked_mul(kernel - 1).and_then(|reach| reach.checked_add(1));
    let sides = reach.map(|reach| (reach, padding.sides(l_in, reach, stride)));
    let padded = sides.and_then(|(_, (left, right))| left.checked_add(right)?.checked_add(l_in));
    let (Some((reach, (left, _))), Some(padded)) = (sides, padded.filter(|&padded| isize::try_from(padded).is_ok()))
    else {
        return Err(Error::Argument {
            layer: LAYER,
            argument: "padding and dilation",
            expected: "small enough to count positions with".into(),
            found: format!("padding {padding}, dilation {dilation}"),
        }
        .into());
    };
    if padded < reach || l_in < padding.least_length(reach) {
        let expected = format!(
            "an input of length {} or more (kernel {kernel}, dilation {dilation}, padding {padding})",
            padding.least_length(reach)
        );
        return Err(shape(expected, x));
    }
    Ok(Sizes {
        n,
        c_in,
        c_out,
        l_in,
        l_out: (padded - reach) / stride + 1,
        kernel,
        // the first output alone does not depend on it; what is more than 1 stays so, as weights may be packed by it
        stride: stride.min((padded - reach + 1).max(2)),
        padding: left,
        dilation,
        groups,
    })
}

/// Refuses a parameter of another dtype or device than the input.
fn same_kind(argument: &'static str, x: &Tensor, parameter: Option<&Tensor>) -> Result<()> {
    let kind = |x: &Tensor| format!("{} on {:?}", x.dtype().as_str(), x.device().location());
    match parameter.filter(|&parameter| kind(parameter) != kind(x)) {
        None => Ok(()),
        Some(parameter) => Err(Error::Argument {
            layer: LAYER,
            argument,
            expected: format!("{} as the input is", kind(x)),
            found: kind(parameter),
        }
        .into()),
    }
}
