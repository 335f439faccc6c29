//! Batch norm, with or without the `ReLU` behind it, as an operation of candle's graph or of a [`Signal`]: inputs `x`
//! `(N, C, L)`, weight and bias `(C,)`.

use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

use super::backward::{self, Passed};
use super::kernels::{self, Plan};
use crate::buffer::{Float, Reader, for_float, output, values};
use crate::moments::{self, Moment, RowMoment};
use crate::pool::{MaxPool, Peaks};
use crate::signal::{Gradient, Pooled, Scaled, Signal};
use crate::values::{Opened, Values};

/// Where the moments come from.
enum Source {
    /// From the batch: set by the forward pass, read by the backward pass and by the layer.
    Batch(Arc<OnceLock<Vec<Moment>>>),
    /// From outside: constants.
    Given(Vec<Moment>),
}

/// A batch norm of one batch.
pub(crate) struct BatchNorm {
    pub(super) plan: Plan,
    pub(super) eps: f64,
    pub(super) relu: bool,
    source: Source,
}

impl BatchNorm {
    /// By the batch's own statistics, which come to lie in what is returned beside it, by range, then channel.
    pub(super) fn of_batch(plan: Plan, eps: f64, relu: bool) -> (Self, Arc<OnceLock<Vec<Moment>>>) {
        let moments = Arc::new(OnceLock::new());
        let source = Source::Batch(moments.clone());
        let norm = Self {
            plan,
            eps,
            relu,
            source,
        };
        (norm, moments)
    }

    /// By given statistics.
    pub(super) fn given(plan: Plan, moments: Vec<Moment>, eps: f64, relu: bool) -> Self {
        Self {
            plan,
            eps,
            relu,
            source: Source::Given(moments),
        }
    }

    /// Leaves the batch's statistics to the layer, by range, then channel.
    pub(super) fn set_moments(&self, moments: Vec<Moment>) {
        if let Source::Batch(saved) = &self.source {
            // a second forward pass would find the same
            let _ = saved.set(moments);
        }
    }

    pub fn of_tensor(self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        x.contiguous()?
            .apply_op3(&weight.contiguous()?, &bias.contiguous()?, self)
    }

    /// By the batch's statistics it is left to whoever reads it.
    pub fn of_signal(self, x: &Signal, weight: &Tensor, bias: &Tensor) -> Result<Signal> {
        let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
        let input = x.values().written()?;
        let y = match &self.source {
            Source::Given(_) => input.apply_op3_no_bwd(&weight, &bias, &self)?.into(),
            Source::Batch(saved) => self.pending(&input, x.values().moments(), (&weight, &bias), saved)?,
        };
        self.signal(x, y, (&weight, &bias), move || Ok(input.clone()))
    }

    /// What comes of `x`, not written. `of_rows`: the moments of the rows of `x`, if they are at hand.
    fn pending(
        &self,
        x: &Tensor,
        of_rows: Option<Arc<Vec<RowMoment>>>,
        (weight, bias): (&Tensor, &Tensor),
        saved: &OnceLock<Vec<Moment>>,
    ) -> Result<Values> {
        let readers = [x, weight, bias].map(Reader::new);
        for_float!(x.dtype(), T => {
            let [x_values, weight, bias] = [readers[0].values::<T>()?, readers[1].values::<T>()?, readers[2].values::<T>()?];
            let plan = &self.plan;
            let of_rows = of_rows.unwrap_or_else(|| Arc::new(moments::of_all(x_values, plan.length)));
            let moments = saved.get_or_init(|| plan.moments_of_rows(&of_rows));
            let channels = (0..self.plan.channels).cycle();
            let affines: Vec<_> = moments
                .iter()
                .zip(channels)
                .map(|(&moment, c)| kernels::affine(moment, self.eps, weight[c], bias[c]))
                .collect();
            Values::pending(x.clone(), None, &affines, self.plan.range_of_row(), self.relu, Some(of_rows))
        })
    }

    /// The signal `y`, which this makes of `x`. `input` gives the values of `x` to the backward pass.
    pub fn signal(
        self,
        x: &Signal,
        y: Values,
        (weight, bias): (&Tensor, &Tensor),
        input: impl Fn() -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Signal> {
        let of_rows = y.moments_before();
        x.then(self.name(), y, &[weight, bias], move |dy, parameters| {
            let dy = dy.computed()?;
            let parameters = (parameters[0], parameters[1]);
            let (dx, dweight, dbias) = self.backward(&input()?, parameters, &dy, of_rows.as_deref())?;
            Ok((Some(dx.into()), vec![Some(dweight), Some(dbias)]))
        })
    }

    /// Gradients of input, weight and bias. `of_rows`: the moments of the rows of `x`, if they are at hand.
    fn backward(
        &self,
        x: &Tensor,
        (weight, bias): (&Tensor, &Tensor),
        dy: &Gradient,
        of_rows: Option<&Vec<RowMoment>>,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (moments, through_statistics) = match &self.source {
            Source::Given(moments) => (moments.as_slice(), false),
            Source::Batch(saved) => (saved.get().map_or(&[][..], Vec::as_slice), true),
        };
        let passed = Passed {
            plan: &self.plan,
            moments,
            of_rows: of_rows.map(Vec::as_slice),
            eps: self.eps,
            through_statistics,
            relu: self.relu,
        };
        let readers = [x, weight, bias].map(Reader::new);
        for_float!(x.dtype(), T => {
            let opened = OpenedGradient::new(dy)?;
            let dy = opened.gradient::<T>()?;
            let parameters = (readers[1].values::<T>()?, readers[2].values::<T>()?);
            let gradients = backward::backward::<T>(readers[0].values()?, parameters, dy, passed);
            let channels = self.plan.channels;
            Ok((
                Tensor::from_vec(gradients.x, x.shape(), &Device::Cpu)?,
                Tensor::from_vec(gradients.weight, channels, &Device::Cpu)?,
                Tensor::from_vec(gradients.bias, channels, &Device::Cpu)?,
            ))
        })
    }
}

/// A gradient opened for reading.
enum OpenedGradient<'a> {
    Scaled {
        values: Reader<'a>,
        factor: Option<Reader<'a>>,
        shift: Option<Reader<'a>>,
        sums: Option<&'a [[f64; 2]]>,
    },
    Pooled {
        pool: &'a MaxPool,
        x: Opened<'a>,
        y: Reader<'a>,
        dy: Reader<'a>,
    },
    Peaks {
        positions: &'a [u32],
        x: Reader<'a>,
        dy: Reader<'a>,
    },
}

impl<'a> OpenedGradient<'a> {
    fn new(gradient: &'a Gradient) -> Result<Self> {
        Ok(match gradient {
            Gradient::Scaled(Scaled {
                values,
                factor,
                shift,
                sums,
            }) => Self::Scaled {
                values: Reader::new(values),
                factor: factor.as_ref().map(Reader::new),
                shift: shift.as_ref().map(Reader::new),
                sums: sums.as_ref().map(|sums| &sums[..]),
            },
            Gradient::Pooled(Pooled {
                peaks: Some(Peaks { positions, x }),
                dy,
                ..
            }) => Self::Peaks {
                positions,
                x: Reader::new(x),
                dy: Reader::new(dy),
            },
            Gradient::Pooled(Pooled { pool, x, y, dy, .. }) => Self::Pooled {
                pool,
                x: x.open(),
                y: Reader::new(y),
                dy: Reader::new(dy),
            },
            Gradient::Convolved(_) | Gradient::Sum(_) => {
                return Err(candle_core::Error::Msg("a gradient that is not computed yet".into()).bt());
            }
        })
    }

    fn gradient<T: Float>(&self) -> Result<backward::Gradient<'_, T>> {
        Ok(match self {
            Self::Scaled {
                values,
                factor,
                shift,
                sums,
            } => backward::Gradient::Scaled(backward::Scaled {
                values: values.values()?,
                factor: factor.as_ref().map(Reader::values).transpose()?,
                shift: shift.as_ref().map(Reader::values).transpose()?,
                sums: *sums,
            }),
            Self::Pooled { pool, x, y, dy } => backward::Gradient::Pooled(backward::Pooled {
                pool,
                x: x.input()?,
                y: y.values()?,
                dy: dy.values()?,
            }),
            Self::Peaks { positions, x, dy } => backward::Gradient::Peaks(backward::Peaks {
                positions,
                x: x.values()?,
                dy: dy.values()?,
            }),
        })
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm1d"
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
        for_float!(x.dtype(), T => {
            let x = values::<T>(x, x_layout)?;
            let weight = values::<T>(weight, weight_layout)?;
            let bias = values::<T>(bias, bias_layout)?;
            let y = match &self.source {
                Source::Given(moments) => {
                    kernels::forward_eval(x, weight, bias, &self.plan, moments, self.eps, self.relu)
                }
                Source::Batch(saved) => {
                    let (y, moments) =
                        kernels::forward_train(x, weight, bias, &self.plan, self.eps, self.relu);
                    // a second forward pass would find the same
                    let _ = saved.set(moments);
                    y
                }
            };
            Ok(output(y, x_layout.shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = Gradient::from(dy.contiguous()?);
        let (dx, dweight, dbias) = self.backward(x, (weight, bias), &dy, None)?;
        Ok((Some(dx), Some(dweight), Some(dbias)))
    }
}
