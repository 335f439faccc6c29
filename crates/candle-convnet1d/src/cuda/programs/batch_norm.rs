use std::ops::Range;

use super::Kind::{F32, F64};
use super::{Module, Place, Program, lanes, tiles};

/// Batch norm of contiguous `(rows, channels, length)`, none of which is 0. Each range of rows has moments
/// `(2, channels)` in f64, means and biased variances; those of all ranges stand one after the other.
#[derive(Clone, Debug)]
pub(crate) struct BatchNorm {
    pub rows: usize,
    pub channels: usize,
    pub length: usize,
    /// Rows that share moments; together all rows, in order, none empty.
    pub ranges: Vec<Range<usize>>,
    pub eps: f64,
    /// Whether a `ReLU` follows.
    pub relu: bool,
}

impl BatchNorm {
    fn elements(&self) -> usize {
        self.rows * self.channels * self.length
    }

    fn moments_len(&self) -> usize {
        self.ranges.len() * 2 * self.channels
    }

    /// The rows of a range inside a buffer of all.
    fn rows_of(&self, all: Place, range: &Range<usize>) -> Place {
        all.plus(range.start * self.channels * self.length)
    }

    fn lanes(&self, range: &Range<usize>) -> usize {
        lanes(self.channels, range.len() * self.length)
    }

    /// Of `x`: the moments.
    pub fn moments(&self) -> Program {
        let c = self.channels;
        let mut program = Program::default();
        let all = program.input(F32, self.elements());
        let moments = program.result(F64, self.moments_len());
        for (number, range) in self.ranges.iter().enumerate() {
            let (x, lanes) = (self.rows_of(all, range), self.lanes(range));
            let partial = program.buffer(F64, lanes * c);
            let mean = moments.plus(number * 2 * c);
            let sizes = [lanes, range.len(), c, self.length].map(Into::into);
            let [lanes_arg, rows, channels, length] = sizes;
            program.launch(
                Module::Sums,
                "channel_sums",
                c * lanes,
                [x.into(), partial.into(), lanes_arg, rows, channels, length],
            );
            let values = range.len() * self.length;
            let mean_of = |to: Place| [partial.into(), to.into(), lanes_arg, channels, values.into()];
            program.launch(Module::Sums, "mean_lanes", c, mean_of(mean));
            program.launch(
                Module::Sums,
                "channel_squares",
                c * lanes,
                [x.into(), mean.into(), partial.into(), lanes_arg, rows, channels, length],
            );
            program.launch(Module::Sums, "mean_lanes", c, mean_of(mean.plus(c)));
        }
        program
    }

    /// Of `x`, weight, bias and moments: `y`.
    pub fn apply(&self) -> Program {
        let c = self.channels;
        let mut program = Program::default();
        let x = program.input(F32, self.elements());
        let weight = program.input(F32, c);
        let bias = program.input(F32, c);
        let moments = program.input(F64, self.moments_len());
        let y = program.result(F32, self.elements());
        for (number, range) in self.ranges.iter().enumerate() {
            let lines = self.lines(&mut program, moments.plus(number * 2 * c), weight);
            program.launch(
                Module::BatchNorm,
                "batch_norm_apply",
                range.len() * c * tiles(self.length),
                [
                    self.rows_of(x, range).into(),
                    lines.into(),
                    bias.into(),
                    self.rows_of(y, range).into(),
                    range.len().into(),
                    c.into(),
                    self.length.into(),
                    self.relu.into(),
                ],
            );
        }
        program
    }

    /// Of `x`, `dy`, weight, bias and moments: `dx`, and `(2, channels)`, the gradients of weight and bias.
    /// `through_statistics`: the moments were taken from `x` and depend on it.
    pub fn gradients(&self, through_statistics: bool) -> Program {
        let (c, count) = (self.channels, self.ranges.len());
        let mut program = Program::default();
        let x = program.input(F32, self.elements());
        let dy = program.input(F32, self.elements());
        let weight = program.input(F32, c);
        let bias = program.input(F32, c);
        let moments = program.input(F64, self.moments_len());
        let dx = program.result(F32, self.elements());
        let parameters = program.result(F32, 2 * c);
        let sums = program.buffer(F64, self.moments_len());
        for (number, range) in self.ranges.iter().enumerate() {
            let own = |place: Place| place.plus(number * 2 * c);
            let (x, dy, dx) = (self.rows_of(x, range), self.rows_of(dy, range), self.rows_of(dx, range));
            let lines = self.lines(&mut program, own(moments), weight);
            let lanes = self.lanes(range);
            let partial = program.buffer(F64, lanes * 2 * c);
            program.launch(
                Module::BatchNorm,
                "batch_norm_gradient_sums",
                c * lanes,
                [
                    x.into(),
                    dy.into(),
                    lines.into(),
                    bias.into(),
                    partial.into(),
                    lanes.into(),
                    range.len().into(),
                    c.into(),
                    self.length.into(),
                    self.relu.into(),
                ],
            );
            let values = if through_statistics {
                range.len() * self.length
            } else {
                0
            };
            program.launch(
                Module::BatchNorm,
                "batch_norm_gradient_lines",
                c,
                [
                    partial.into(),
                    own(moments).into(),
                    own(sums).into(),
                    lines.into(),
                    self.eps.into(),
                    lanes.into(),
                    c.into(),
                    values.into(),
                ],
            );
            program.launch(
                Module::BatchNorm,
                "batch_norm_input_gradient",
                range.len() * c * tiles(self.length),
                [
                    x.into(),
                    dy.into(),
                    lines.into(),
                    bias.into(),
                    dx.into(),
                    range.len().into(),
                    c.into(),
                    self.length.into(),
                    self.relu.into(),
                ],
            );
        }
        // the ranges are the parts of these sums
        program.launch(
            Module::Sums,
            "sum_lanes_f64",
            2 * c,
            [sums.into(), parameters.into(), count.into(), (2 * c).into()],
        );
        program
    }

    /// Mean and scale of each channel, with room for offset and slope.
    fn lines(&self, program: &mut Program, moments: Place, weight: Place) -> Place {
        let lines = program.buffer(F32, 4 * self.channels);
        program.launch(
            Module::BatchNorm,
            "batch_norm_lines",
            self.channels,
            [
                moments.into(),
                weight.into(),
                lines.into(),
                self.eps.into(),
                self.channels.into(),
            ],
        );
        lines
    }
}
