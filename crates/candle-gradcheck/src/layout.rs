//! Giving a contiguous tensor the strides of another one.

use candle_core::{Layout, Result, Tensor};

/// How to make a tensor of a given layout out of a contiguous one of the same shape, with ops that have a gradient:
/// order the dimensions as they lie in memory, pad each to the room it has there, then take the view back.
pub(crate) enum Arrangement {
    Contiguous,
    Strided {
        /// Dimensions from the largest stride to the smallest.
        order: Vec<usize>,
        /// Unused places before and after each of them.
        room: Vec<(usize, usize)>,
        /// Unused places before and after each element (a stride above 1 in the last of them).
        gap: (usize, usize),
    },
}

impl Arrangement {
    /// `None` where elements share memory.
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
        let (dims, strides) = (layout.dims(), layout.stride());
        if layout.shape().elem_count() == 0 || (layout.is_contiguous() && layout.start_offset() == 0) {
            return Some(Self::Contiguous);
        }
        // The stride of a dimension of size 1 says nothing; such dimensions go outermost, without room.
        let mut order: Vec<usize> = (0..dims.len()).collect();
        order.sort_by_key(|&d| (dims[d] > 1, std::cmp::Reverse(strides[d])));
        let ones = dims.iter().filter(|&&n| n == 1).count();

        let mut offset = layout.start_offset();
        let mut room = vec![(0, 0); ones];
        let mut outer: Option<usize> = None;
        for &d in &order[ones..] {
            let (n, stride) = (dims[d], strides[d]);
            if stride == 0 {
                return None;
            }
            let before = offset / stride;
            let places = match outer {
                None => before + n,
                Some(outer) if outer % stride == 0 => outer / stride,
                Some(_) => return None,
            };
            if places < n {
                return None;
            }
            let before = before.min(places - n);
            room.push((before, places - n - before));
            offset -= before * stride;
            outer = Some(stride);
        }
        let step = outer.unwrap_or(1 + offset);
        let before = offset.min(step - 1);
        Some(Self::Strided {
            order,
            room,
            gap: (before, step - 1 - before),
        })
    }

    /// The values of contiguous `x`, laid out so.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Self::Strided { order, room, gap } = self else {
            return Ok(x.clone());
        };
        let rank = order.len();
        let ordered = x.permute(order.clone())?.contiguous()?;
        let mut y = ordered.unsqueeze(rank)?.pad_with_zeros(rank, gap.0, gap.1)?;
        for (k, &(before, after)) in room.iter().enumerate() {
            y = y.pad_with_zeros(k, before, after)?;
        }
        for (k, &(before, _)) in room.iter().enumerate() {
            y = y.narrow(k, before, ordered.dim(k)?)?;
        }
        let mut back = vec![0; rank];
        for (k, &d) in order.iter().enumerate() {
            back[d] = k;
        }
        y.narrow(rank, gap.0, 1)?.squeeze(rank)?.permute(back)
    }
}
