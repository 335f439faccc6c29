use std::ops::Range;

use candle_core::Result;

use crate::Error;

/// The windows of a pool over one length: for each output the positions it looks at, padding
/// left out. No window is empty, and starts and ends never decrease.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    ranges: Vec<Range<usize>>,
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
        let ranges = (0..=(padded - kernel) / stride)
            .map(|i| {
                let start = i * stride;
                start.saturating_sub(padding)..(start + kernel - padding).min(length)
            })
            .collect();
        Ok(Self { ranges })
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
        Ok(Self { ranges })
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
}
