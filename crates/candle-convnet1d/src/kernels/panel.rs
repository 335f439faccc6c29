//! How signals are laid out in scratch memory.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    _mm256_castps128_ps256, _mm256_insertf128_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps,
    _mm256_unpacklo_ps,
};

use super::tile::SLACK;
use crate::InstructionSet;
use crate::buffer::Float;
use crate::values::Input;

/// Padded rows of the channels of one group of one sample, such that every tap of a convolution is
/// a shift: row `(channel, residue)` holds the positions that are `residue` modulo the stride.
pub(super) struct Rows {
    pub channels: usize,
    pub length: usize,
    pub stride: usize,
    /// Residues that some tap needs, ascending.
    residues: Vec<usize>,
    /// The first shift, in strides.
    first: isize,
    /// Values of a row.
    row: usize,
}

impl Rows {
    /// Room for `outputs` outputs at a time: output j needs the positions `j stride + shift` of each of
    /// `shifts`, which may lie outside of `0..length`.
    pub fn new(
        channels: usize,
        length: usize,
        stride: usize,
        outputs: usize,
        shifts: impl Iterator<Item = isize> + Clone,
    ) -> Self {
        let in_strides = shifts.clone().map(|shift| shift.div_euclid(stride as isize));
        let first = in_strides.clone().min().unwrap_or(0);
        let last = in_strides.max().unwrap_or(0);
        let mut residues: Vec<usize> = shifts.map(|shift| shift.rem_euclid(stride as isize) as usize).collect();
        residues.sort_unstable();
        residues.dedup();
        // whole cache lines, and an odd number of them: rows a power of two apart would fall on
        // the same sets of the cache
        let lines = (outputs + (last - first) as usize).div_ceil(16);
        Self {
            channels,
            length,
            stride,
            residues,
            first,
            row: (lines | 1) * 16,
        }
    }

    /// How many residues some tap needs.
    pub fn residues(&self) -> usize {
        self.residues.len()
    }

    /// Values of the panel.
    pub fn size(&self) -> usize {
        self.channels * self.residues.len() * self.row + SLACK
    }

    /// From one channel's rows to those of the next.
    pub fn channel_stride(&self) -> usize {
        self.residues.len() * self.row
    }

    /// Where the values of a shift start in the rows of a channel.
    pub fn offset(&self, shift: isize) -> usize {
        let residue = shift.rem_euclid(self.stride as isize) as usize;
        let residue = self.residues.partition_point(|&r| r < residue);
        let ahead = shift.div_euclid(self.stride as isize) - self.first;
        residue * self.row + ahead as usize
    }

    /// Fills a panel from the rows from number `first` on, for the outputs from number `output` on.
    pub fn pack<T: Float>(&self, x: Input<'_, T>, first: usize, output: usize, panel: &mut [T]) {
        let mut rows = panel.chunks_exact_mut(self.row);
        for channel in 0..self.channels {
            for (&residue, row) in self.residues.iter().zip(&mut rows) {
                // position of the first value
                let start = (self.first + output as isize) * self.stride as isize + residue as isize;
                let before = (-start).max(0) as usize;
                let low = before.div_ceil(self.stride).min(self.row);
                let end = (self.length as isize - start).max(0) as usize;
                let high = end.div_ceil(self.stride).clamp(low, self.row);
                row[..low].fill(T::zero());
                row[high..].fill(T::zero());
                if low == high {
                    continue;
                }
                let from = (start + (low * self.stride) as isize) as usize;
                let middle = &mut row[low..high];
                if self.stride == 1 {
                    x.copy(first + channel, from, middle);
                } else {
                    x.copy_spaced(first + channel, from, self.stride, middle);
                }
            }
        }
    }
}

/// Where positions lie in a result of [`transpose`].
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// From one even position to the next.
    pub pair: usize,
    /// From an even position to the odd one behind it.
    pub odd: usize,
}

impl Steps {
    /// One behind the other, `width` values each.
    pub fn even(width: usize) -> Self {
        Self {
            pair: 2 * width,
            odd: width,
        }
    }

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn of(self, position: usize) -> usize {
        position / 2 * self.pair + position % 2 * self.odd
    }
}

/// `dst[steps.of(j) + r] = src[r * stride + j]` for the first `count` values of each of `rows` rows.
pub(super) fn transpose<T: Float>(
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(unused_variables, reason = "other processors have one path")
    )]
    isa: InstructionSet,
    src: &[T],
    stride: usize,
    (rows, count): (usize, usize),
    dst: &mut [T],
    steps: Steps,
) {
    if rows == 0 || count == 0 {
        return;
    }
    assert!((rows - 1) * stride + count <= src.len());
    assert!(steps.of(count - 1).max(steps.of(count.max(2) - 2)) + rows <= dst.len());
    #[cfg(target_arch = "x86_64")]
    if T::DTYPE == candle_core::DType::F32 && isa != InstructionSet::Scalar && is_x86_feature_detected!("avx") {
        let (src, dst) = (src.as_ptr().cast::<f32>(), dst.as_mut_ptr().cast::<f32>());
        // SAFETY: T is f32; the assertions above keep all indices inside the slices
        unsafe { transpose_avx(src, stride, (rows, count), dst, steps) };
        return;
    }
    for r in 0..rows {
        for (j, &value) in src[r * stride..r * stride + count].iter().enumerate() {
            dst[steps.of(j) + r] = value;
        }
    }
}

/// [`transpose`] in squares.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn transpose_avx(src: *const f32, stride: usize, (rows, count): (usize, usize), dst: *mut f32, steps: Steps) {
    /// Positions of a cache line: what is read of one row before the next.
    const LINE: usize = 16;
    /// How far ahead they are asked for.
    const AHEAD: usize = 4 * LINE;
    let by_8 = rows / 8 * 8;
    let by_4 = rows / 4 * 4;
    // SAFETY: rows stay below `rows` and positions below `count`, for which the caller vouches
    unsafe {
        let place = |row: usize, at: usize| (src.add(row * stride + at), dst.add(steps.of(at) + row));
        let single = |row: usize, at: usize| *dst.add(steps.of(at) + row) = *src.add(row * stride + at);
        for start in (0..count).step_by(LINE) {
            let end = (start + LINE).min(count);
            // so many rows at a time are more than the processor asks for by itself
            for row in 0..rows {
                crate::prefetch::to_read(src.wrapping_add(row * stride + start + AHEAD));
            }
            let whole = start + (end - start) / 8 * 8;
            for row in (0..by_8).step_by(8) {
                for at in (start..whole).step_by(8) {
                    let (src, dst) = place(row, at);
                    square_of_8(src, stride, dst, steps);
                }
            }
            for at in (start..whole).step_by(8) {
                if by_4 > by_8 {
                    let (src, dst) = place(by_8, at);
                    square_of_4(src, stride, dst, steps);
                    square_of_4(src.add(4), stride, dst.add(steps.of(4)), steps);
                }
                for row in by_4..rows {
                    (at..at + 8).for_each(|at| single(row, at));
                }
            }
            for row in 0..rows {
                (whole..end).for_each(|at| single(row, at));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx")]
unsafe fn square_of_8(src: *const f32, stride: usize, dst: *mut f32, steps: Steps) {
    // SAFETY: the caller vouches for 8 rows of 8 values on either side
    unsafe {
        // row r of the low half of the values, with row r + 4 beside it
        let pair = |r: usize, at: usize| {
            let low = _mm_loadu_ps(src.add(r * stride + at));
            let high = _mm_loadu_ps(src.add((r + 4) * stride + at));
            _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
        };
        for at in [0, 4] {
            let (a, b, c, d) = (pair(0, at), pair(1, at), pair(2, at), pair(3, at));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let dst = dst.add(steps.of(at));
            _mm256_storeu_ps(dst, _mm256_shuffle_ps::<0x44>(ab_low, cd_low));
            _mm256_storeu_ps(dst.add(steps.of(1)), _mm256_shuffle_ps::<0xee>(ab_low, cd_low));
            _mm256_storeu_ps(dst.add(steps.of(2)), _mm256_shuffle_ps::<0x44>(ab_high, cd_high));
            _mm256_storeu_ps(dst.add(steps.of(3)), _mm256_shuffle_ps::<0xee>(ab_high, cd_high));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx")]
unsafe fn square_of_4(src: *const f32, stride: usize, dst: *mut f32, steps: Steps) {
    // SAFETY: the caller vouches for 4 rows of 4 values on either side
    unsafe {
        let row = |r: usize| _mm_loadu_ps(src.add(r * stride));
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (ab_low, ab_high) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(dst, _mm_movelh_ps(ab_low, cd_low));
        _mm_storeu_ps(dst.add(steps.of(1)), _mm_movehl_ps(cd_low, ab_low));
        _mm_storeu_ps(dst.add(steps.of(2)), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(dst.add(steps.of(3)), _mm_movehl_ps(cd_high, ab_high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_moves_every_value_and_touches_no_other() {
        for (rows, count, width) in (0..=33).flat_map(|rows| (0..40).map(move |count| (rows, count, rows + count % 3)))
        {
            let stride = count + rows % 4;
            let src: Vec<f32> = (0..=rows * stride).map(|i| i as f32).collect();
            // positions one behind the other, and those of odd numbers on their own
            let apart = Steps {
                pair: width,
                odd: count.div_ceil(2) * width,
            };
            for (isa, steps) in InstructionSet::available().flat_map(|isa| [(isa, Steps::even(width)), (isa, apart)]) {
                let mut dst = vec![-1.0; count.next_multiple_of(2) * width];
                let mut expected = dst.clone();
                for (j, r) in (0..count).flat_map(|j| (0..rows).map(move |r| (j, r))) {
                    expected[j / 2 * steps.pair + j % 2 * steps.odd + r] = src[r * stride + j];
                }
                transpose(isa, &src, stride, (rows, count), &mut dst, steps);
                assert_eq!(dst, expected, "{isa}, {rows} rows of {count}");
            }
        }
    }
}
