use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::buffer::{
    Float, Places, Reader, for_float, has_kernels, output, rows_per_task, values, write_channels, write_rows_and,
};
use crate::conv::own;
use crate::scratch::Scratch;
use crate::values::{Input, Values};
use crate::vectorised::vectorised;
use crate::{composed, global_avg_pool1d, lanes, relu};

/// Squeeze-and-excitation gate (Hu et al. 2018): each channel times a factor between 0 and 1
/// that a small network computes from the means of all channels.
///
/// `scale = sigmoid(expand(relu(reduce(mean over L))))`, `y = x scale`, on `(N, C, L)`.
/// `reduce` and `expand` are 1x1 convolutions with bias: parameters `reduce.weight`
/// `(reduced, C, 1)`, `reduce.bias`, `expand.weight` `(C, reduced, 1)`, `expand.bias`.
#[derive(Clone, Debug)]
pub struct SeGate {
    reduce: Pointwise,
    expand: Pointwise,
}

impl SeGate {
    /// A gate for `channels` channels with `reduced` hidden ones. Weights start He normal by fan-in, biases at 0.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "layers of candle take a VarBuilder by value"
    )]
    pub fn new(channels: usize, reduced: usize, vb: VarBuilder) -> Result<Self> {
        Self::with_init(channels, reduced, candle_nn::init::DEFAULT_KAIMING_NORMAL, vb)
    }

    /// As [`new`](Self::new), with weights that start otherwise.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "layers of candle take a VarBuilder by value"
    )]
    pub fn with_init(channels: usize, reduced: usize, init: Init, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            reduce: Pointwise::new(channels, reduced, init, vb.pp("reduce"))?,
            expand: Pointwise::new(reduced, channels, init, vb.pp("expand"))?,
        })
    }

    /// `(N, C, L) -> (N, C, L)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        scale_channels(x, &self.scale(&global_avg_pool1d(x)?)?)
    }

    /// The same out of candle's own operations, as on devices without kernels of this crate.
    pub fn forward_composed(&self, x: &Tensor) -> Result<Tensor> {
        composed::scale_channels(x, &self.scale(&x.mean(2)?)?)
    }

    /// The factor of each channel, `(N, C)`, by the means of all.
    pub(crate) fn scale(&self, means: &Tensor) -> Result<Tensor> {
        let tracked = means.track_op() || [&self.reduce, &self.expand].iter().any(|layer| layer.is_tracked());
        if has_kernels(means) && !tracked {
            return self.constant_scale(means);
        }
        let hidden = relu(&self.reduce.forward(means)?)?;
        candle_nn::ops::sigmoid(&self.expand.forward(&hidden)?)
    }

    /// [`scale`](Self::scale) without a place in candle's graph, in one go.
    fn constant_scale(&self, means: &Tensor) -> Result<Tensor> {
        let (n, channels) = means.dims2()?;
        let reduced = self.reduce.weight.dim(0)?;
        let means = means.contiguous()?;
        if self.reduce.weight.dim(1)? != channels {
            return self.reduce.forward(&means); // the error
        }
        let parameters = [&self.reduce, &self.expand].map(|layer| [layer.weight.contiguous(), layer.bias.contiguous()]);
        let [[w1, b1], [w2, b2]] = parameters;
        let (w1, b1, w2, b2) = (w1?, b1?, w2?, b2?);
        let readers = [&means, &w1, &b1, &w2, &b2].map(Reader::new);
        for_float!(means.dtype(), T => {
            let [x, w1, b1, w2, b2] = [
                readers[0].values::<T>()?,
                readers[1].values::<T>()?,
                readers[2].values::<T>()?,
                readers[3].values::<T>()?,
                readers[4].values::<T>()?,
            ];
            let work = 2 * channels * reduced;
            let (scale, _) = write_rows_and(n, channels, work, |row, scale, (): &mut ()| {
                let mut hidden = vec![0.0 as T; reduced];
                affine(w1, b1, &x[row * channels..][..channels], &mut hidden);
                for h in &mut hidden {
                    *h = if *h <= 0.0 { 0.0 } else { *h };
                }
                affine(w2, b2, &hidden, scale);
                for s in scale {
                    *s = 1.0 / (1.0 + (-*s).exp());
                }
            });
            Tensor::from_vec(scale, (n, channels), &Device::Cpu)
        })
    }
}

impl candle_core::Module for SeGate {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        SeGate::forward(self, x)
    }
}

/// A 1x1 convolution of signals of length 1, that is, a linear layer on `(N, C)`.
#[derive(Clone, Debug)]
struct Pointwise {
    weight: Tensor,
    bias: Tensor,
}

impl Pointwise {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "layers of candle take a VarBuilder by value"
    )]
    fn new(c_in: usize, c_out: usize, init: Init, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            weight: own(vb.get_with_hints((c_out, c_in, 1), "weight", init)?)?.0,
            bias: own(vb.get_with_hints(c_out, "bias", Init::Const(0.0))?)?.0,
        })
    }

    fn is_tracked(&self) -> bool {
        self.weight.track_op() || self.bias.track_op()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.squeeze(2)?;
        if has_kernels(x) && x.dims().get(1) == Some(&weight.dim(1)?) {
            return x
                .contiguous()?
                .apply_op3(&weight.contiguous()?, &self.bias.contiguous()?, Affine);
        }
        x.contiguous()?
            .matmul(&weight.t()?.contiguous()?)?
            .broadcast_add(&self.bias)
    }
}

/// `x weight^T + bias` of `x` `(N, inputs)`, `weight` `(outputs, inputs)` and `bias` `(outputs,)`, with the bits that it has
/// outside of candle's graph.
struct Affine;

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, inputs) = x_layout.shape().dims2()?;
        let outputs = weight_layout.dims()[0];
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, x_layout)?;
            let weight = values::<T>(weight, weight_layout)?;
            let bias = values::<T>(bias, bias_layout)?;
            let (y, _) = write_rows_and(n, outputs, inputs * outputs, |row, y, (): &mut ()| {
                affine(weight, bias, &x[row * inputs..][..inputs], y);
            });
            Ok(output::<T>(y, (n, outputs)))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok((Some(dy.matmul(weight)?), Some(dy.t()?.matmul(x)?), Some(dy.sum(0)?)))
    }
}

vectorised! {
    /// `weight x + bias`, row by row of the weight.
    fn affine<T>(weight: &[T], bias: &[T], x: &[T], y: &mut [T]) {
        if x.is_empty() {
            return y.copy_from_slice(bias);
        }
        for ((y, &bias), row) in y.iter_mut().zip(bias).zip(weight.chunks_exact(x.len())) {
            *y = bias + T::from_f64(lanes::fold3(row, x, x, |w, x, _| w * x));
        }
    }
}

/// Each channel of each row of `x` `(N, C, L)` times its own `scale` `(N, C)`.
pub(crate) fn scale_channels(x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    if has_kernels(x) {
        x.contiguous()?.apply_op2(&scale.contiguous()?, ScaleChannels)
    } else {
        composed::scale_channels(x, scale)
    }
}

/// The same of values, which are constants to candle.
pub(crate) fn scale_values(x: &Values, scale: &Tensor) -> Result<Tensor> {
    let (n, c, length) = x.dims3()?;
    let scale = scale.contiguous()?;
    let (opened, scale) = (x.open(), Reader::new(&scale));
    for_float!(x.dtype(), T => {
        let y = all_scaled::<T>(opened.input()?, scale.values()?, length);
        Tensor::from_vec(y, (n, c, length), &Device::Cpu)
    })
}

fn all_scaled<T: Float>(x: Input<'_, T>, scale: &[T], length: usize) -> Vec<T> {
    let rows = rows_per_task(length);
    write_channels(
        (1, scale.len(), length),
        rows,
        |_| (),
        |(), places| scaled(x, scale, places),
    )
    .0
}

struct ScaleChannels;

vectorised! {
    /// Rows of `x`, each times its own factor.
    fn scaled<T>(x: Input<'_, T>, scale: &[T], places: Places<'_, T>) {
        let mut scratch = Scratch::new();
        let scratch = scratch.take(x.room());
        for (_, row, place) in places {
            let x = x.row(row, scratch);
            place.fill(x, x, |x, _| x * scale[row]);
        }
    }
}

impl CustomOp2 for ScaleChannels {
    fn name(&self) -> &'static str {
        "scale_channels"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, length) = x_layout.shape().dims3()?;
        for_float!(x.dtype(), T => {
            let x = Input::written(values::<T>(x, x_layout)?, length);
            Ok(output::<T>(all_scaled(x, values::<T>(scale, scale_layout)?, length), x_layout.shape()))
        })
    }

    fn bwd(&self, x: &Tensor, scale: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, _, length) = x.dims3()?;
        let dy = dy.contiguous()?;
        let readers = [Reader::new(x), Reader::new(scale), Reader::new(&dy)];
        for_float!(x.dtype(), T => {
            let [x_values, factors, dy] = [
                readers[0].values::<T>()?,
                readers[1].values::<T>()?,
                readers[2].values::<T>()?,
            ];
            let (dx, dscale) =
                write_rows_and(factors.len(), length, length, |row, dx, dscale: &mut T| {
                    let x = &x_values[row * length..][..length];
                    let dy = &dy[row * length..][..length];
                    for (dx, &dy) in dx.iter_mut().zip(dy) {
                        *dx = dy * factors[row];
                    }
                    *dscale = lanes::dot(dy, x) as T;
                });
            Ok((
                Some(Tensor::from_vec(dx, x.shape(), &Device::Cpu)?),
                Some(Tensor::from_vec(dscale, scale.shape(), &Device::Cpu)?),
            ))
        })
    }
}
