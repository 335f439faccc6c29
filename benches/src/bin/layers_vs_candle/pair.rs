//! One layer twice, as this project and as a user of stock candle writes it, with the same parameters.

use candle_convnet1d as ours;
use candle_core::{Device, Module, Result, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};

use crate::layers::{Case, Layer};

type Function = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

/// A layer twice, and the input for both.
pub struct Pair {
    pub input: Tensor,
    pub ours: Function,
    pub candle: Function,
    /// Why the results of the two may not be compared, if so.
    pub differs: Option<&'static str>,
    /// Why stock candle has no backward, if so.
    pub no_backward: Option<&'static str>,
}

/// What `Pass` batch norm and dropout get; joint batch norm does not read `rows`.
const TRAIN: ours::Pass = ours::Pass::Train {
    seed: 0,
    step: 0,
    rows: &[],
};

impl Pair {
    /// Both forms of a layer on the CPU in f32.
    pub fn new(case: &Case) -> Result<Self> {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, candle_core::DType::F32, &Device::Cpu);
        let (ours, candle) = functions(case, &vb)?;
        Ok(Self {
            input: input(case)?,
            ours,
            candle,
            differs: matches!(case.layer, Layer::Dropout).then_some("each draws its own mask"),
            no_backward: match case.layer {
                Layer::MaxPool { kernel, stride, .. } if kernel != stride => {
                    Some("stock candle has no backward for overlapping windows")
                }
                _ => None,
            },
        })
    }
}

fn input(case: &Case) -> Result<Tensor> {
    let x = Tensor::randn(0f32, 1., case.input.as_slice(), &Device::Cpu)?;
    let x = match case.layer {
        // after a ReLU, as in the networks: zeros as padding are then as good as minus infinity
        Layer::MaxPool { .. } | Layer::AdaptiveMaxPool { .. } => x.relu()?,
        _ => x,
    };
    // one channel: the window itself, which needs no gradient
    if case.input[1] == 1 {
        return Ok(x);
    }
    Ok(Var::from_tensor(&x)?.into_inner())
}

fn functions(case: &Case, vb: &VarBuilder) -> Result<(Function, Function)> {
    let channels = case.input[1];
    Ok(match case.layer {
        Layer::Conv1d { .. } => convolutions(case, vb)?,
        Layer::BatchNorm => {
            let a = ours::BatchNorm1d::new(channels, ours::BatchNormConfig::default(), vb.clone())?;
            let b = candle_nn::batch_norm(channels, candle_nn::BatchNormConfig::default(), vb.clone())?;
            (
                Box::new(move |x| a.forward(x, TRAIN)),
                Box::new(move |x| b.forward_train(x)),
            )
        }
        Layer::Relu => (Box::new(ours::relu), Box::new(Tensor::relu)),
        Layer::MaxPool {
            kernel,
            stride,
            padding,
        } => (
            Box::new(move |x| ours::max_pool1d(x, kernel, stride, padding)),
            // candle pools in two dimensions only, without padding
            Box::new(move |x| {
                let x = if padding > 0 {
                    x.pad_with_zeros(2, padding, padding)?
                } else {
                    x.clone()
                };
                x.unsqueeze(2)?
                    .max_pool2d_with_stride((1, kernel), (1, stride))?
                    .squeeze(2)
            }),
        ),
        Layer::AdaptiveMaxPool { outputs } => (
            Box::new(move |x| ours::adaptive_max_pool1d(x, outputs)),
            // candle has none; where the outputs divide the length, this is the same
            Box::new(move |x| {
                let (n, c, l) = x.dims3()?;
                x.reshape((n, c, outputs, l / outputs))?.max(3)
            }),
        ),
        Layer::GlobalAvgPool => (Box::new(ours::global_avg_pool1d), Box::new(|x| x.mean(2))),
        Layer::SeGate { reduced } => gates(channels, reduced, vb)?,
        Layer::Linear { outputs } => {
            let a = ours::Linear::new(channels, outputs, vb.clone())?;
            let b = candle_nn::linear(channels, outputs, vb.clone())?;
            (Box::new(move |x| a.forward(x)), Box::new(move |x| b.forward(x)))
        }
        Layer::Dropout => {
            let a = ours::Dropout::new(0.5, "dropout")?;
            let b = candle_nn::Dropout::new(0.5);
            (
                Box::new(move |x| a.forward(x, TRAIN)),
                Box::new(move |x| b.forward(x, true)),
            )
        }
    })
}

fn convolutions(case: &Case, vb: &VarBuilder) -> Result<(Function, Function)> {
    let Layer::Conv1d {
        c_out,
        kernel,
        stride,
        padding,
        groups,
        bias,
    } = case.layer
    else {
        candle_core::bail!("{} is no convolution", case.layer)
    };
    let c_in = case.input[1];
    let config = ours::Conv1dConfig {
        stride,
        padding: padding.into(),
        groups,
        bias,
        ..ours::Conv1dConfig::default()
    };
    let a = ours::Conv1d::new(c_in, c_out, kernel, config, vb.clone())?;
    let config = candle_nn::Conv1dConfig {
        stride,
        padding,
        groups,
        ..candle_nn::Conv1dConfig::default()
    };
    let b = if bias {
        candle_nn::conv1d(c_in, c_out, kernel, config, vb.clone())?
    } else {
        candle_nn::conv1d_no_bias(c_in, c_out, kernel, config, vb.clone())?
    };
    Ok((Box::new(move |x| a.forward(x)), Box::new(move |x| b.forward(x))))
}

fn gates(channels: usize, reduced: usize, vb: &VarBuilder) -> Result<(Function, Function)> {
    let a = ours::SeGate::new(channels, reduced, vb.clone())?;
    let config = candle_nn::Conv1dConfig::default();
    let reduce = candle_nn::conv1d(channels, reduced, 1, config, vb.pp("reduce"))?;
    let expand = candle_nn::conv1d(reduced, channels, 1, config, vb.pp("expand"))?;
    Ok((
        Box::new(move |x| a.forward(x)),
        Box::new(move |x| {
            let hidden = reduce.forward(&x.mean_keepdim(2)?)?.relu()?;
            x.broadcast_mul(&candle_nn::ops::sigmoid(&expand.forward(&hidden)?)?)
        }),
    ))
}
