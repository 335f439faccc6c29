use super::Kind::{F32, F64};
use super::{Module, Program, TILE, lanes, tiles};

/// A convolution of contiguous `(n, groups c, l_in)` to `(n, groups o, l_out)`; no size is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv1d {
    pub n: usize,
    pub groups: usize,
    /// Input and output channels of a group.
    pub c: usize,
    pub o: usize,
    pub l_in: usize,
    pub l_out: usize,
    pub kernel: usize,
    pub stride: usize,
    /// In front of the first sample; what follows the last one is in `l_out`.
    pub padding: usize,
    pub dilation: usize,
}

impl Conv1d {
    fn input(&self) -> usize {
        self.n * self.groups * self.c * self.l_in
    }

    fn weight(&self) -> usize {
        self.groups * self.o * self.c * self.kernel
    }

    fn output(&self) -> usize {
        self.n * self.groups * self.o * self.l_out
    }

    /// Of `x`, `w` and, if there is one, the bias: `y`.
    pub fn forward(&self, has_bias: bool) -> Program {
        let mut program = Program::default();
        let x = program.input(F32, self.input());
        let w = program.input(F32, self.weight());
        let bias = if has_bias {
            program.input(F32, self.groups * self.o)
        } else {
            w
        };
        let y = program.result(F32, self.output());
        program.launch(
            Module::Conv1d,
            "conv1d_forward",
            self.n * self.groups * tiles(self.o) * tiles(self.l_out),
            [
                x.into(),
                w.into(),
                bias.into(),
                y.into(),
                has_bias.into(),
                self.n.into(),
                self.groups.into(),
                self.c.into(),
                self.o.into(),
                self.l_in.into(),
                self.l_out.into(),
                self.kernel.into(),
                self.stride.into(),
                self.padding.into(),
                self.dilation.into(),
            ],
        );
        program
    }

    /// Of `w` and `dy`: `dx`.
    pub fn input_gradient(&self) -> Program {
        let mut program = Program::default();
        let w = program.input(F32, self.weight());
        let dy = program.input(F32, self.output());
        let dx = program.result(F32, self.input());
        program.launch(
            Module::Conv1d,
            "conv1d_input_gradient",
            self.n * self.groups * tiles(self.c) * tiles(self.l_in),
            [
                w.into(),
                dy.into(),
                dx.into(),
                self.n.into(),
                self.groups.into(),
                self.c.into(),
                self.o.into(),
                self.l_in.into(),
                self.l_out.into(),
                self.kernel.into(),
                self.stride.into(),
                self.padding.into(),
                self.dilation.into(),
            ],
        );
        program
    }

    /// Of `x` and `dy`: `dw`.
    pub fn weight_gradient(&self) -> Program {
        let mut program = Program::default();
        let x = program.input(F32, self.input());
        let dy = program.input(F32, self.output());
        let threads = self.groups * tiles(self.o) * tiles(self.c * self.kernel);
        let lanes = lanes(threads, (self.n * self.l_out).div_ceil(TILE));
        let partial = program.buffer(F32, lanes * self.weight());
        let dw = program.result(F32, self.weight());
        program.launch(
            Module::Conv1d,
            "conv1d_weight_partials",
            threads * lanes,
            [
                x.into(),
                dy.into(),
                partial.into(),
                lanes.into(),
                self.n.into(),
                self.groups.into(),
                self.c.into(),
                self.o.into(),
                self.l_in.into(),
                self.l_out.into(),
                self.kernel.into(),
                self.stride.into(),
                self.padding.into(),
                self.dilation.into(),
            ],
        );
        program.launch(
            Module::Sums,
            "sum_lanes_f32",
            self.weight(),
            [partial.into(), dw.into(), lanes.into(), self.weight().into()],
        );
        program
    }

    /// Of `dy`: the gradient of the bias.
    pub fn bias_gradient(&self) -> Program {
        let channels = self.groups * self.o;
        let lanes = lanes(channels, self.n * self.l_out);
        let mut program = Program::default();
        let dy = program.input(F32, self.output());
        let partial = program.buffer(F64, lanes * channels);
        let db = program.result(F32, channels);
        program.launch(
            Module::Sums,
            "channel_sums",
            channels * lanes,
            [
                dy.into(),
                partial.into(),
                lanes.into(),
                self.n.into(),
                channels.into(),
                self.l_out.into(),
            ],
        );
        program.launch(
            Module::Sums,
            "sum_lanes_f64",
            channels,
            [partial.into(), db.into(), lanes.into(), channels.into()],
        );
        program
    }
}
