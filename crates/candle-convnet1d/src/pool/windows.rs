use std::ops::Range;

use candle_core::Result;

use crate::Error;

/// The windows of a pool over one length: for each output the positions it looks at, padding
/// left out. No window is empty, and starts and ends never decrease.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    ranges: Vec<Range<usize>>,
    /// Kernel and stride of windows that slide; bins have none.
    kernel_and_stride: Option<(usize, usize)>,
    /// Of windows that slide, the outputs that see no padding.
    whole: Range<usize>,
}

impl Windows {
    /// Windows of `kernel` positions, `stride` apart, the first one beginning `padding` before
    /// the first position.
    pub fn sliding(layer: &'static str, length: usize, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        let check = |ok: bool, argument: &'static str, expected: &str, found: usize| {
            if ok {
                Ok(())
            } else {
                Err(Error::Argument {
                    layer,
                    argument,
                    expected: expected.into(),
                    found: found.to_string(),
                })
            }
        };
        check(kernel > 0, "kernel", "1 or more", kernel)?;
        check(stride > 0, "stride", "1 or more", stride)?;
        check(
            padding <= kernel / 2,
            "padding",
            &format!("at most half the kernel of {kernel}"),
            padding,
        )?;
        check(length > 0, "the input's length", "1 or more", length)?;
        let padded = length + 2 * padding;
        check(
            kernel <= padded,
            "kernel",
            &format!("at most the padded length {padded}"),
            kernel,
        )?;
        let ranges: Vec<_> = (0..=(padded - kernel) / stride)
            .map(|i| {
                let start = i * stride;
                start.saturating_sub(padding)..(start + kernel - padding).min(length)
            })
            .collect();
        let is_whole = |range: &Range<usize>| range.len() == kernel;
        let first = ranges.iter().position(is_whole).unwrap_or(ranges.len());
        let count = ranges[first..].iter().take_while(|range| is_whole(range)).count();
        Ok(Self {
            ranges,
            kernel_and_stride: Some((kernel, stride)),
            whole: first..first + count,
        })
    }

    /// `outputs` bins that cover the length, with `PyTorch`'s edges.
    pub fn adaptive(layer: &'static str, length: usize, outputs: usize) -> Result<Self> {
        for (argument, found) in [("the input's length", length), ("outputs", outputs)] {
            if found == 0 {
                return Err(Error::Argument {
                    layer,
                    argument,
                    expected: "1 or more".into(),
                    found: "0".into(),
                }
                .into());
            }
        }
        let ranges = (0..outputs)
            .map(|i| i * length / outputs..((i + 1) * length).div_ceil(outputs))
            .collect();
        Ok(Self {
            ranges,
            kernel_and_stride: None,
            whole: 0..0,
        })
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Positions in each window.
    pub fn sizes(&self) -> Vec<f64> {
        self.iter().map(|window| window.len() as f64).collect()
    }

    /// Positions in the widest window.
    pub fn widest(&self) -> usize {
        self.ranges.iter().map(Range::len).max().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Range<usize>> {
        self.ranges.iter()
    }

    pub fn range(&self, output: usize) -> Range<usize> {
        self.ranges[output].clone()
    }

    pub fn kernel_and_stride(&self) -> Option<(usize, usize)> {
        self.kernel_and_stride
    }

    /// Of windows that slide, the outputs that see no padding.
    pub fn whole(&self) -> Range<usize> {
        self.whole.clone()
    }

    /// The values in the windows of [`Windows::whole`], whose kernel and stride these are.
    pub fn whole_of<'a, T, const KERNEL: usize, const STRIDE: usize>(
        &self,
        x: &'a [T],
    ) -> impl Iterator<Item = &'a [T; KERNEL]> {
        let seen = match &self.ranges[self.whole()] {
            [] => &[],
            [only] => &x[only.clone()],
            [first, .., last] => &x[first.start..last.end],
        };
        (0..self.whole.len()).map_while(move |i| seen[i * STRIDE..].first_chunk())
    }
}
