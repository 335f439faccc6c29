//! The layers of four networks, with the input that each gets in training.

use std::fmt;

/// A kind of layer with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Conv1d {
        c_out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        groups: usize,
        bias: bool,
    },
    BatchNorm,
    Relu,
    MaxPool {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    AdaptiveMaxPool {
        outputs: usize,
    },
    GlobalAvgPool,
    SeGate {
        reduced: usize,
    },
    Linear {
        outputs: usize,
    },
    Dropout,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conv1d {
                c_out,
                kernel,
                stride,
                padding,
                groups,
                bias,
            } => {
                write!(f, "conv1d to {c_out} k{kernel} s{stride} p{padding} g{groups}")?;
                f.write_str(if *bias { " bias" } else { "" })
            }
            Self::BatchNorm => f.write_str("batch norm"),
            Self::Relu => f.write_str("relu"),
            Self::MaxPool {
                kernel,
                stride,
                padding,
            } => write!(f, "max pool k{kernel} s{stride} p{padding}"),
            Self::AdaptiveMaxPool { outputs } => write!(f, "adaptive max pool to {outputs}"),
            Self::GlobalAvgPool => f.write_str("global average pool"),
            Self::SeGate { reduced } => write!(f, "se gate r{reduced}"),
            Self::Linear { outputs } => write!(f, "linear to {outputs}"),
            Self::Dropout => f.write_str("dropout 0.5"),
        }
    }
}

/// A layer, its input `(batch, channels[, length])`, and how often each network has it.
#[derive(Clone, Debug)]
pub struct Case {
    pub layer: Layer,
    pub input: Vec<usize>,
    pub uses: Vec<(char, usize)>,
}

/// Every distinct layer of the four networks on windows of 1024 samples, in the networks' order, with their training
/// batches or one batch for all. The sums of the residual blocks are candle's own on either side and left out.
///
/// A: SE-ResNeXt-50 (32x4d), C: the light CNN, D: the small SE-ResNeXt-26, E: a dense ResNet-18; with classifiers.
pub fn cases(batch: Option<usize>) -> Vec<Case> {
    let networks = [
        se_resnext('A', batch.unwrap_or(64), 64, [3, 4, 6, 3], 128, 32),
        light_cnn('C', batch.unwrap_or(128)),
        se_resnext('D', batch.unwrap_or(128), 32, [2, 2, 2, 2], 32, 8),
        resnet18('E', batch.unwrap_or(64)),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for network in networks {
        for (layer, input) in network.layers {
            let at = cases.iter().position(|c| c.layer == layer && c.input == input);
            let at = at.unwrap_or_else(|| {
                cases.push(Case {
                    layer,
                    input,
                    uses: Vec::new(),
                });
                cases.len() - 1
            });
            match cases[at].uses.iter_mut().find(|(letter, _)| *letter == network.letter) {
                Some((_, count)) => *count += 1,
                None => cases[at].uses.push((network.letter, 1)),
            }
        }
    }
    cases
}

/// A network on the way from its input to its output.
struct Network {
    letter: char,
    /// Shape of what the layers so far give.
    shape: Vec<usize>,
    layers: Vec<(Layer, Vec<usize>)>,
}

impl Network {
    fn new(letter: char, batch: usize) -> Self {
        Self {
            letter,
            shape: vec![batch, 1, 1024],
            layers: Vec::new(),
        }
    }

    fn then(&mut self, layer: Layer) -> &mut Self {
        self.layers.push((layer, self.shape.clone()));
        match layer {
            Layer::Conv1d {
                c_out,
                kernel,
                stride,
                padding,
                ..
            } => {
                self.shape[1] = c_out;
                self.shape[2] = (self.shape[2] + 2 * padding - kernel) / stride + 1;
            }
            Layer::MaxPool {
                kernel,
                stride,
                padding,
            } => self.shape[2] = (self.shape[2] + 2 * padding - kernel) / stride + 1,
            Layer::AdaptiveMaxPool { outputs } => self.shape[2] = outputs,
            Layer::GlobalAvgPool => self.shape.truncate(2),
            Layer::Linear { outputs } => self.shape[1] = outputs,
            Layer::BatchNorm | Layer::Relu | Layer::SeGate { .. } | Layer::Dropout => {}
        }
        self
    }

    fn conv_norm(&mut self, c_out: usize, kernel: usize, stride: usize, groups: usize) -> &mut Self {
        let conv = Layer::Conv1d {
            c_out,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
            bias: false,
        };
        self.then(conv).then(Layer::BatchNorm)
    }

    /// A residual block: `body`, a projection where the shape changes, and the rectified sum.
    fn block(&mut self, c_out: usize, stride: usize, body: impl FnOnce(&mut Self)) {
        let input = self.shape.clone();
        body(self);
        if self.shape != input {
            self.shape = input;
            self.conv_norm(c_out, 1, stride, 1);
        }
        self.then(Layer::Relu);
    }

    fn stem(&mut self, width: usize) {
        let pool = Layer::MaxPool {
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        self.conv_norm(width, 7, 2, 1).then(Layer::Relu).then(pool);
    }

    fn flatten(&mut self) -> &mut Self {
        self.shape = vec![self.shape[0], self.shape[1..].iter().product()];
        self
    }
}

/// Stages of doubling width; the blocks' outputs are twice as wide as their grouped convolutions.
fn se_resnext(
    letter: char,
    batch: usize,
    stem: usize,
    blocks: [usize; 4],
    first_width: usize,
    groups: usize,
) -> Network {
    let mut network = Network::new(letter, batch);
    network.stem(stem);
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = first_width << stage;
        let c_out = 2 * width;
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            network.block(c_out, stride, |block| {
                block.conv_norm(width, 1, 1, 1).then(Layer::Relu);
                block.conv_norm(width, 3, stride, groups).then(Layer::Relu);
                let gate = Layer::SeGate {
                    reduced: (c_out / 16).max(4),
                };
                block.conv_norm(c_out, 1, 1, 1).then(gate);
            });
        }
    }
    network.then(Layer::GlobalAvgPool).then(Layer::Linear { outputs: 10 });
    network
}

fn resnet18(letter: char, batch: usize) -> Network {
    let mut network = Network::new(letter, batch);
    network.stem(64);
    for stage in 0..4 {
        let width = 64 << stage;
        for index in 0..2 {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            network.block(width, stride, |block| {
                block.conv_norm(width, 3, stride, 1).then(Layer::Relu);
                block.conv_norm(width, 3, 1, 1);
            });
        }
    }
    network.then(Layer::GlobalAvgPool).then(Layer::Linear { outputs: 10 });
    network
}

fn light_cnn(letter: char, batch: usize) -> Network {
    let mut network = Network::new(letter, batch);
    for (c_out, kernel) in [(16, 15), (32, 3), (64, 3), (128, 3)] {
        let conv = Layer::Conv1d {
            c_out,
            kernel,
            stride: 1,
            padding: 0,
            groups: 1,
            bias: true,
        };
        network.then(conv).then(Layer::BatchNorm).then(Layer::Relu);
        if c_out == 32 {
            network.then(Layer::MaxPool {
                kernel: 2,
                stride: 2,
                padding: 0,
            });
        }
    }
    network.then(Layer::AdaptiveMaxPool { outputs: 4 }).flatten();
    network.then(Layer::Linear { outputs: 256 }).then(Layer::Relu);
    network.then(Layer::Dropout).then(Layer::Linear { outputs: 10 });
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(case: &Case) -> usize {
        let channels = case.input[1];
        match case.layer {
            Layer::Conv1d {
                c_out,
                kernel,
                groups,
                bias,
                ..
            } => c_out * (channels / groups * kernel + usize::from(bias)),
            Layer::BatchNorm => 2 * channels,
            Layer::SeGate { reduced } => 2 * channels * reduced + reduced + channels,
            Layer::Linear { outputs } => (channels + 1) * outputs,
            _ => 0,
        }
    }

    #[test]
    fn the_layers_have_the_parameters_of_the_published_networks() {
        let cases = cases(None);
        for (letter, expected) in [('A', 24_579_322), ('C', 167_114), ('D', 952_738), ('E', 3_849_034)] {
            let of_network = |case: &Case| case.uses.iter().find(|u| u.0 == letter).map_or(0, |u| u.1);
            let found: usize = cases.iter().map(|case| of_network(case) * parameters(case)).sum();
            assert_eq!(found, expected, "network {letter}");
        }
    }
}
