//! How far a network is from the nearest kink: the networks once more, out of the public layers, with a look at what goes into
//! each `ReLU` and each max pool.

use candle_convnet1d::{
    BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Padding, Pass, SeGate, Signal, adaptive_max_pool1d,
    global_avg_pool1d, global_max_pool1d, max_pool1d, relu,
};
use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_seresnext1d::{Grouping, LightCnnConfig, Pooling, SeResNeXtConfig, SeedNetConfig};

/// The distance so far.
pub struct Margin<'a> {
    pub distance: f64,
    pass: Pass<'a>,
    norm: BatchNormConfig,
}

impl<'a> Margin<'a> {
    fn new(pass: Pass<'a>, norm: BatchNormConfig) -> Self {
        Self {
            distance: f64::INFINITY,
            pass,
            norm,
        }
    }

    fn relu(&mut self, x: &Tensor) -> Result<Tensor> {
        for value in x.flatten_all()?.to_vec1::<f64>()? {
            self.distance = self.distance.min(value.abs());
        }
        relu(x)
    }

    /// Windows of rectified values: one whose largest is 0 stays at 0 as far as its `ReLU` is from the kink.
    fn max_pool(&mut self, x: &Tensor, windows: impl Iterator<Item = std::ops::Range<usize>> + Clone) -> Result<()> {
        for row in x.flatten(0, 1)?.to_vec2::<f64>()? {
            for window in windows.clone() {
                let mut values = row[window].to_vec();
                values.sort_by(|a, b| b.total_cmp(a));
                if let [first, second, ..] = values[..]
                    && first > 0.0
                {
                    self.distance = self.distance.min(first - second);
                }
            }
        }
        Ok(())
    }

    /// As one layer, whose rounding in inference is not that of the two.
    fn conv_norm(
        &self,
        x: &Tensor,
        (c_out, kernel): (usize, usize),
        conv: Conv1dConfig,
        (conv_vb, norm_vb): (VarBuilder, VarBuilder),
    ) -> Result<Tensor> {
        let conv = Conv1d::new(x.dim(1)?, c_out, kernel, conv, conv_vb)?;
        let norm = BatchNorm1d::new(c_out, self.norm, norm_vb)?;
        Signal::enter(x)?.conv_norm(&conv, &norm, self.pass)?.leave()
    }

    /// As the two layers, one after the other.
    fn conv_then_norm(
        &self,
        x: &Tensor,
        (c_out, kernel): (usize, usize),
        conv: Conv1dConfig,
        (conv_vb, norm_vb): (VarBuilder, VarBuilder),
    ) -> Result<Tensor> {
        let x = Conv1d::new(x.dim(1)?, c_out, kernel, conv, conv_vb)?.forward(x)?;
        BatchNorm1d::new(c_out, self.norm, norm_vb)?.forward(&x, self.pass)
    }

    fn gate(&mut self, x: &Tensor, reduced: usize, vb: VarBuilder) -> Result<Tensor> {
        let c = x.dim(1)?;
        let weight = vb.get((reduced, c, 1), "reduce.weight")?.squeeze(2)?;
        let hidden = global_avg_pool1d(x)?.matmul(&weight.t()?)?;
        self.relu(&hidden.broadcast_add(&vb.get(reduced, "reduce.bias")?)?)?;
        SeGate::new(c, reduced, vb)?.forward(x)
    }
}

/// Features of a light CNN, and the distance.
pub fn light_cnn(x: &Tensor, config: &LightCnnConfig, pass: Pass, vb: &VarBuilder) -> Result<(Tensor, f64)> {
    let mut margin = Margin::new(pass, config.batch_norm);
    let mut x = x.clone();
    for (number, (c_out, kernel)) in [(16, 15), (32, 3), (64, 3), (128, 3)].into_iter().enumerate() {
        let vb = ["conv", "norm"].map(|kind| vb.pp(format!("{kind}{}", number + 1)));
        let [conv, norm] = vb;
        x = margin.conv_norm(&x, (c_out, kernel), Conv1dConfig::default(), (conv, norm))?;
        x = margin.relu(&x)?;
        if number == 1 {
            margin.max_pool(&x, (0..x.dim(2)? / 2).map(|i| 2 * i..2 * i + 2))?;
            x = max_pool1d(&x, 2, 2, 0)?;
        }
    }
    let (l, bins) = (x.dim(2)?, config.bins);
    margin.max_pool(&x, (0..bins).map(|i| i * l / bins..((i + 1) * l).div_ceil(bins)))?;
    Ok((adaptive_max_pool1d(&x, bins)?.flatten_from(1)?, margin.distance))
}

/// Features of an SE-ResNeXt in the papers' form, and the distance.
pub fn se_resnext(x: &Tensor, config: &SeResNeXtConfig, pass: Pass, vb: &VarBuilder) -> Result<(Tensor, f64)> {
    let conv = |stride: usize, padding: usize, groups: usize| Conv1dConfig {
        stride,
        padding: padding.into(),
        groups,
        bias: false,
        ..Conv1dConfig::default()
    };
    let mut margin = Margin::new(pass, config.batch_norm);
    let stem = (vb.pp("stem.conv"), vb.pp("stem.norm"));
    let mut x = margin.conv_norm(x, (config.stem, 7), conv(2, 3, 1), stem)?;
    x = margin.relu(&x)?;
    let l = x.dim(2)?;
    let window = |i: usize| (2 * i).saturating_sub(1)..(2 * i + 2).min(l);
    margin.max_pool(&x, (0..l.div_ceil(2)).map(window))?;
    x = max_pool1d(&x, 3, 2, 1)?;
    for (s, &blocks) in config.blocks.iter().enumerate() {
        for b in 0..blocks {
            let vb = vb.pp(format!("stages.{s}.blocks.{b}"));
            let names = |number: usize| (vb.pp(format!("conv{number}")), vb.pp(format!("norm{number}")));
            let stride = if s > 0 && b == 0 { 2 } else { 1 };
            let (width, c_out) = (config.widths[s], config.outputs[s]);
            let y = margin.conv_norm(&x, (width, 1), conv(1, 0, 1), names(1))?;
            let y = margin.relu(&y)?;
            let y = margin.conv_norm(&y, (width, 3), conv(stride, 1, config.groups), names(2))?;
            let y = margin.relu(&y)?;
            let y = margin.conv_norm(&y, (c_out, 1), conv(1, 0, 1), names(3))?;

            let reduced = (c_out / config.reduction).max(config.min_reduced);
            let y = margin.gate(&y, reduced, vb.pp("gate"))?;

            let shortcut = if stride == 1 && x.dim(1)? == c_out {
                x
            } else {
                let vb = vb.pp("shortcut");
                margin.conv_norm(&x, (c_out, 1), conv(stride, 0, 1), (vb.pp("conv"), vb.pp("norm")))?
            };
            x = margin.relu(&(y + shortcut)?)?;
        }
    }
    Ok((global_avg_pool1d(&x)?, margin.distance))
}

/// Features of the article's network without dropout, and the distance.
pub fn seed_net(x: &Tensor, config: &SeedNetConfig, pass: Pass, vb: &VarBuilder) -> Result<(Tensor, f64)> {
    let mut margin = Margin::new(pass, config.batch_norm);
    let layer = |margin: &mut Margin, x: &Tensor, sizes, (stride, groups, together), vb: VarBuilder| {
        let conv = Conv1dConfig {
            stride,
            groups,
            padding: Padding::Same,
            ..Conv1dConfig::default()
        };
        let names = (vb.pp("conv"), vb.pp("norm"));
        let x = if together {
            margin.conv_norm(x, sizes, conv, names)?
        } else {
            margin.conv_then_norm(x, sizes, conv, names)?
        };
        margin.relu(&x)
    };
    let mut x = layer(&mut margin, x, (config.filters, 7), (2, 1, true), vb.pp("stem"))?;
    // two positions or one are not pooled, but every other one dropped
    let (l, kernel) = (x.dim(2)?, if x.dim(2)? <= 2 { 1 } else { 2 });
    margin.max_pool(&x, (0..=(l - kernel) / 2).map(|i| 2 * i..2 * i + kernel))?;
    x = max_pool1d(&x, kernel, 2, 0)?;
    for (s, &blocks) in config.blocks.iter().enumerate() {
        let (filters, branches) = (config.filters << s, config.cardinality);
        let stage = vb.pp(format!("stages.{s}"));
        for b in 0..blocks {
            let vb = stage.pp(format!("blocks.{b}"));
            let shortcut = layer(&mut margin, &x, (2 * filters, 1), (1, 1, true), vb.pp("shortcut"))?;
            let group = filters / branches;
            let (seen, groups) = match config.grouping {
                _ if branches == 1 => (x, 1),
                Grouping::OwnGroup => (x.narrow(1, 0, filters)?, branches),
                Grouping::LastGroup => (x.narrow(1, filters - group, group)?, 1),
            };
            // in inference the branches of the grouped part take turns, on tensors
            let wide = layer(
                &mut margin,
                &seen,
                (branches * filters, 1),
                (1, groups, false),
                vb.pp("widen"),
            )?;
            let mut y = layer(&mut margin, &wide, (filters, 3), (1, branches, false), vb.pp("narrow"))?;
            if branches > 1 {
                let merged = BatchNorm1d::new(filters, config.batch_norm, vb.pp("merge"))?.forward(&y, pass)?;
                y = margin.relu(&merged)?;
            }
            let gate = vb.pp("gate");
            y = match filters / config.ratio {
                0 => {
                    let bias = gate.get(filters, "expand.bias")?.reshape((1, (), 1))?;
                    y.broadcast_mul(&candle_nn::ops::sigmoid(&bias)?)?
                }
                reduced => margin.gate(&y, reduced, gate)?,
            };
            x = (layer(&mut margin, &y, (2 * filters, 1), (1, 1, true), vb.pp("output"))? + shortcut)?;
        }
        if s + 1 < config.blocks.len() {
            for (k, stride) in [2, 1].into_iter().enumerate() {
                let vb = stage.pp(format!("down.{k}"));
                x = layer(&mut margin, &x, (2 * filters, 3), (stride, 1, true), vb)?;
            }
        }
    }
    let features = match config.pooling {
        Pooling::Average => global_avg_pool1d(&x)?,
        Pooling::Maximum => {
            margin.max_pool(&x, std::iter::once(0..x.dim(2)?))?;
            global_max_pool1d(&x)?
        }
        Pooling::Flatten => x.transpose(1, 2)?.contiguous()?.flatten_from(1)?,
    };
    Ok((features, margin.distance))
}
