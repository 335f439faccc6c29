use candle_convnet1d::{BatchNorm1d, BatchNormConfig, Conv1d, Conv1dConfig, Padding, Pass, Signal};
use candle_core::Result;
use candle_nn::{Init, VarBuilder};

/// A convolution and the batch norm after it: `(N, c_in, L) -> (N, c_out, L')`.
#[derive(Debug)]
pub(crate) struct ConvNorm {
    conv: Conv1d,
    norm: BatchNorm1d,
}

impl ConvNorm {
    pub(crate) fn new(
        (c_in, c_out): (usize, usize),
        kernel: usize,
        conv: Conv1dConfig,
        norm: BatchNormConfig,
        conv_vb: VarBuilder,
        norm_vb: VarBuilder,
    ) -> Result<Self> {
        Ok(Self {
            conv: Conv1d::new(c_in, c_out, kernel, conv, conv_vb)?,
            norm: BatchNorm1d::new(c_out, norm, norm_vb)?,
        })
    }

    /// One behind the other, `conv1` and `norm1` first: each width and kernel a layer, convolution weights as `PyTorch`'s default,
    /// uniform in +-1/sqrt(fan-in).
    pub(crate) fn chain(
        mut c_in: usize,
        layers: impl IntoIterator<Item = (usize, usize)>,
        padding: Padding,
        norm: BatchNormConfig,
        vb: &VarBuilder,
    ) -> Result<Vec<Self>> {
        let mut chain = Vec::new();
        for (index, (c_out, kernel)) in layers.into_iter().enumerate() {
            let bound = 1. / ((c_in * kernel) as f64).sqrt();
            let conv = Conv1dConfig {
                padding,
                init: Init::Uniform { lo: -bound, up: bound },
                ..Conv1dConfig::default()
            };
            let part = |name: &str| vb.pp(format!("{name}{}", index + 1));
            chain.push(Self::new(
                (c_in, c_out),
                kernel,
                conv,
                norm,
                part("conv"),
                part("norm"),
            )?);
            c_in = c_out;
        }
        Ok(chain)
    }

    pub(crate) fn forward(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        x.conv_norm(&self.conv, &self.norm, pass)
    }

    /// [`relu`](candle_convnet1d::relu) of [`forward`](Self::forward).
    pub(crate) fn forward_relu(&self, x: &Signal, pass: Pass) -> Result<Signal> {
        x.conv_norm_relu(&self.conv, &self.norm, pass)
    }
}
