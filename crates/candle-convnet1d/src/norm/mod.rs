//! Batch normalisation, jointly over a batch or domain by domain.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Init, VarBuilder};

use crate::buffer::has_kernels;
use crate::conv::own;
use crate::moments::Moment;
use crate::signal::Signal;
use crate::{Error, Pass, composed, relu};

mod backward;
mod behind;
mod kernels;
mod op;
mod spread;
mod widened;

use behind::Kept;
use kernels::Plan;
use op::BatchNorm;

/// Which variance of a batch enters the running one. The batch itself is always normalised with
/// the biased variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningVariance {
    /// Sum of squares over `n`, as Keras.
    Biased,
    /// Sum of squares over `n - 1`, as `PyTorch`.
    Unbiased,
}

/// Over what statistics are taken in training and kept for inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// All rows of a batch together.
    Joint,
    /// Each of so many domains for itself; weight and bias are shared.
    PerDomain(usize),
}

/// Settings of a [`BatchNorm1d`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormConfig {
    /// Added to the variance, at least 0.
    pub eps: f64,
    /// Weight of the new value in the running statistics, 0 to 1 (`PyTorch`'s convention; Keras
    /// states the weight of the old one).
    pub momentum: f64,
    /// Which variance enters the running one.
    pub running_variance: RunningVariance,
    /// Joint or per-domain statistics.
    pub statistics: Statistics,
}

impl Default for BatchNormConfig {
    /// `PyTorch`'s: eps 1e-5, momentum 0.1, unbiased running variance, joint statistics.
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
            running_variance: RunningVariance::Unbiased,
            statistics: Statistics::Joint,
        }
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015) of `(N, C, L)` or `(N, C)`:
/// `y = (x - mean) / sqrt(var + eps) weight + bias`, channel by channel.
///
/// In training, mean and biased variance are those of the batch (over rows and positions), and
/// the running statistics move towards them by `momentum`. With [`Statistics::PerDomain`], each
/// domain's rows, as [`Pass::Train`] counts them, are normalised by their own statistics; a
/// domain without rows is left as it was. A single value per channel has no variance: an error.
///
/// In inference the running statistics are constants. Per domain, those of the domain that
/// [`Pass::Eval`] names are used, or those of domain 0 where that one was never trained on.
///
/// Parameters: `weight` (1 at first), `bias` (0). Buffers: `running_mean` (0) and `running_var`
/// (1); per domain `domain.{k}.running_mean`, `domain.{k}.running_var` and
/// `domain.{k}.batches`, one element that counts training batches. Buffers are taken from the
/// `VarBuilder` like parameters. Where it hands out variables, as a `VarMap` does, the layer
/// updates those in place, so that they are saved with the rest; do not give them to an optimiser.
#[derive(Clone, Debug)]
pub struct BatchNorm1d {
    channels: usize,
    config: BatchNormConfig,
    weight: Tensor,
    bias: Tensor,
    /// One, or one for each domain.
    running: Vec<Running>,
}

#[derive(Clone, Debug)]
struct Running {
    mean: Var,
    var: Var,
    /// Training batches so far; not kept for joint statistics.
    batches: Option<Var>,
    /// Where neither they nor weight and bias can change but by a training step of the layer.
    kept: Option<Arc<Kept>>,
}

impl Running {
    /// `constant`: whether weight and bias never change.
    fn new(channels: usize, constant: bool, vb: &VarBuilder) -> Result<Self> {
        let buffer = |name, value| vb.get_with_hints(channels, name, Init::Const(value));
        let (mean, var) = (buffer("running_mean", 0.0)?, buffer("running_var", 1.0)?);
        Ok(Self {
            kept: (constant && !mean.is_variable() && !var.is_variable()).then(Arc::default),
            // what is no variable is copied
            mean: Var::from_tensor(&mean)?,
            var: Var::from_tensor(&var)?,
            batches: None,
        })
    }

    fn of_domain(channels: usize, constant: bool, vb: &VarBuilder) -> Result<Self> {
        let batches = vb.get_with_hints(1, "batches", Init::Const(0.0))?;
        Ok(Self {
            batches: Some(Var::from_tensor(&batches)?),
            ..Self::new(channels, constant, vb)?
        })
    }

    fn moments(&self) -> Moments {
        Moments {
            mean: self.mean.as_detached_tensor(),
            var: self.var.as_detached_tensor(),
        }
    }

    fn is_trained(&self) -> Result<bool> {
        match &self.batches {
            None => Ok(true),
            Some(batches) => Ok(batches
                .to_dtype(DType::F64)?
                .to_vec1::<f64>()?
                .iter()
                .any(|&count| count > 0.0)),
        }
    }

    /// Moves the statistics towards those of a batch with `values` values per channel.
    fn update(&self, batch: &Moments, values: usize, config: &BatchNormConfig) -> Result<()> {
        let momentum = config.momentum;
        let correction = match config.running_variance {
            RunningVariance::Biased => 1.0,
            RunningVariance::Unbiased => values as f64 / (values - 1) as f64,
        };
        let towards = |running: &Var, new: &Tensor, factor: f64| {
            let moved =
                (running.as_detached_tensor().affine(1.0 - momentum, 0.0)? + new.affine(momentum * factor, 0.0)?)?;
            running.set(&moved)
        };
        towards(&self.mean, &batch.mean, 1.0)?;
        towards(&self.var, &batch.var, correction)?;
        if let Some(batches) = &self.batches {
            batches.set(&batches.as_detached_tensor().affine(1.0, 1.0)?)?;
        }
        if let Some(kept) = &self.kept {
            kept.forget();
        }
        Ok(())
    }
}

/// Mean and biased variance of each channel, both `(C,)`, constants.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub mean: Tensor,
    pub var: Tensor,
}

impl Moments {
    fn from_values(values: &[Moment], dtype: DType) -> Result<Self> {
        let tensor = |values: Vec<f64>| Tensor::new(values, &Device::Cpu)?.to_dtype(dtype);
        Ok(Self {
            mean: tensor(values.iter().map(|moment| moment.mean).collect())?,
            var: tensor(values.iter().map(|moment| moment.var).collect())?,
        })
    }

    fn to_values(&self) -> Result<Vec<Moment>> {
        let values = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
        let pairs = values(&self.mean)?.into_iter().zip(values(&self.var)?);
        Ok(pairs.map(|(mean, var)| Moment { mean, var }).collect())
    }
}

#[derive(Clone, Copy)]
enum Route {
    Kernels,
    #[cfg(feature = "cuda")]
    Cuda,
    Composed,
}

impl Route {
    fn of(x: &Tensor) -> Self {
        match x {
            x if has_kernels(x) => Self::Kernels,
            #[cfg(feature = "cuda")]
            x if crate::buffer::has_cuda_kernels(x) => Self::Cuda,
            _ => Self::Composed,
        }
    }
}

impl BatchNorm1d {
    /// A layer for `channels` channels.
    ///
    /// Errors: `eps` negative, `momentum` outside 0 to 1, no domains.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "layers of candle take a VarBuilder by value"
    )]
    pub fn new(channels: usize, config: BatchNormConfig, vb: VarBuilder) -> Result<Self> {
        let check = |ok: bool, argument: &'static str, expected: &str, found: f64| {
            if ok {
                Ok(())
            } else {
                Err(Error::Argument {
                    layer: "batch_norm",
                    argument,
                    expected: expected.into(),
                    found: found.to_string(),
                })
            }
        };
        let BatchNormConfig { eps, momentum, .. } = config;
        check(eps >= 0.0 && eps.is_finite(), "eps", "0 or more", eps)?;
        check((0.0..=1.0).contains(&momentum), "momentum", "between 0 and 1", momentum)?;
        let (weight, constant_weight) = own(vb.get_with_hints(channels, "weight", Init::Const(1.0))?)?;
        let (bias, constant_bias) = own(vb.get_with_hints(channels, "bias", Init::Const(0.0))?)?;
        let constant = constant_weight && constant_bias;
        let running = match config.statistics {
            Statistics::Joint => vec![Running::new(channels, constant, &vb)?],
            Statistics::PerDomain(domains) => {
                check(domains > 0, "the number of domains", "1 or more", 0.0)?;
                (0..domains)
                    .map(|k| Running::of_domain(channels, constant, &vb.pp("domain").pp(k)))
                    .collect::<Result<_>>()?
            }
        };
        Ok(Self {
            channels,
            config,
            weight,
            bias,
            running,
        })
    }

    /// The settings.
    pub fn config(&self) -> &BatchNormConfig {
        &self.config
    }

    /// `(N, C, L) -> (N, C, L)` or `(N, C) -> (N, C)`.
    ///
    /// Errors: another shape; in training also a single value per channel (`N L = 1`, or that in
    /// one domain), or `rows` that do not fit the batch or the number of domains.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.forward_by(Route::of(x), x, pass, false)
    }

    /// [`relu`] of [`forward`](Self::forward), with the same errors. The two are one operation where there are kernels.
    pub fn forward_relu(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.forward_by(Route::of(x), x, pass, true)
    }

    /// The same as [`forward`](Self::forward) out of candle's own operations, as on devices without kernels of this crate.
    pub fn forward_composed(&self, x: &Tensor, pass: Pass) -> Result<Tensor> {
        self.forward_by(Route::Composed, x, pass, false)
    }

    /// The same of a signal that has kernels.
    pub(crate) fn forward_signal(&self, x: &Signal, pass: Pass, relu: bool) -> Result<Signal> {
        let like = x.values().like();
        match like.dims() {
            [_, channels, _] if *channels == self.channels => {
                self.by_kernels(like, pass, relu, |norm| norm.of_signal(x, &self.weight, &self.bias))
            }
            dims => Err(self.unfit(dims)),
        }
    }

    fn unfit(&self, dims: &[usize]) -> candle_core::Error {
        Error::Shape {
            layer: "batch_norm",
            expected: format!("(N, {0}, L) or (N, {0})", self.channels),
            found: dims.to_vec(),
        }
        .into()
    }

    fn forward_by(&self, route: Route, x: &Tensor, pass: Pass, relu: bool) -> Result<Tensor> {
        match x.dims() {
            [_, channels, _] if *channels == self.channels => self.forward3(route, x, pass, relu),
            [_, channels] if *channels == self.channels => {
                self.forward3(route, &x.unsqueeze(2)?, pass, relu)?.squeeze(2)
            }
            dims => Err(self.unfit(dims)),
        }
    }

    fn forward3(&self, route: Route, x: &Tensor, pass: Pass, relu_behind: bool) -> Result<Tensor> {
        let relu_of = |y: Tensor| if relu_behind { relu(&y) } else { Ok(y) };
        match route {
            Route::Kernels => self.by_kernels(x, pass, relu_behind, |norm| norm.of_tensor(x, &self.weight, &self.bias)),
            #[cfg(feature = "cuda")]
            Route::Cuda => self.elsewhere(
                x,
                pass,
                |ranges| {
                    crate::cuda::batch_norm_train(x, &self.weight, &self.bias, ranges, self.config.eps, relu_behind)
                },
                |moments| {
                    crate::cuda::batch_norm_eval(x, &self.weight, &self.bias, moments, self.config.eps, relu_behind)
                },
            ),
            Route::Composed => relu_of(self.elsewhere(
                x,
                pass,
                |ranges| composed::batch_norm_train(x, &self.weight, &self.bias, ranges, self.config.eps),
                |moments| composed::batch_norm_eval(x, &self.weight, &self.bias, moments, self.config.eps),
            )?),
        }
    }

    /// What `apply` makes of the operation on `(N, C, L)` `x`.
    fn by_kernels<Y>(
        &self,
        x: &Tensor,
        pass: Pass,
        relu: bool,
        apply: impl FnOnce(BatchNorm) -> Result<Y>,
    ) -> Result<Y> {
        let (batch, _, length) = x.dims3()?;
        let eps = self.config.eps;
        match pass {
            Pass::Train { rows, .. } => {
                let domains = self.domains_of(batch, length, rows)?;
                let ranges = domains.iter().map(|(_, range)| range.clone()).collect();
                let (norm, moments) = BatchNorm::of_batch(Plan::new(x, ranges)?, eps, relu);
                let y = apply(norm)?;
                let moments = moments.get().map_or(&[][..], Vec::as_slice);
                let moments = moments
                    .chunks(self.channels.max(1))
                    .map(|values| Moments::from_values(values, x.dtype()));
                self.update(&domains, &moments.collect::<Result<Vec<_>>>()?, length)?;
                Ok(y)
            }
            Pass::Eval { domain } => {
                let constants = self.constants(x.dtype(), domain)?;
                apply(self.fixed(&constants, x.dims3()?, relu))
            }
        }
    }

    /// By a function for training, which is handed the rows that share statistics, and one for inference.
    fn elsewhere(
        &self,
        x: &Tensor,
        pass: Pass,
        train: impl FnOnce(&[Range<usize>]) -> Result<(Tensor, Vec<Moments>)>,
        eval: impl FnOnce(&Moments) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (batch, _, length) = x.dims3()?;
        match pass {
            Pass::Train { rows, .. } => {
                let domains = self.domains_of(batch, length, rows)?;
                let ranges: Vec<_> = domains.iter().map(|(_, range)| range.clone()).collect();
                let (y, moments) = train(&ranges)?;
                self.update(&domains, &moments, length)?;
                Ok(y)
            }
            Pass::Eval { domain } => eval(&self.running_of(domain)?.moments()),
        }
    }

    /// Moves the running statistics of domains towards the moments of their rows.
    fn update(&self, domains: &[(usize, Range<usize>)], moments: &[Moments], length: usize) -> Result<()> {
        for ((k, range), moments) in domains.iter().zip(moments) {
            self.running[*k].update(moments, range.len() * length, &self.config)?;
        }
        Ok(())
    }

    /// The running statistics for inference on a domain.
    fn running_of(&self, domain: Option<usize>) -> Result<&Running> {
        match domain.and_then(|k| self.running.get(k)) {
            Some(running) if running.is_trained()? => Ok(running),
            _ => Ok(&self.running[0]),
        }
    }

    /// The rows that share statistics, with the number of their running statistics.
    fn domains_of(&self, batch: usize, length: usize, rows: &[usize]) -> Result<Vec<(usize, Range<usize>)>> {
        let domains = match self.config.statistics {
            Statistics::Joint => vec![(0, 0..batch)],
            Statistics::PerDomain(domains) => {
                if rows.len() > domains || rows.iter().sum::<usize>() != batch {
                    return Err(Error::Argument {
                        layer: "batch_norm",
                        argument: "the rows of each domain",
                        expected: format!("at most {domains} counts that add up to the batch of {batch}"),
                        found: format!("{rows:?}"),
                    }
                    .into());
                }
                let mut end = 0;
                rows.iter()
                    .enumerate()
                    .map(|(k, count)| {
                        end += count;
                        (k, end - count..end)
                    })
                    .filter(|(_, range)| !range.is_empty())
                    .collect()
            }
        };
        match domains.iter().find(|(_, range)| range.len() * length < 2) {
            None => Ok(domains),
            Some((k, range)) => Err(Error::TooFewValues {
                rows: range.len(),
                length,
                domain: *k,
            }
            .into()),
        }
    }
}
