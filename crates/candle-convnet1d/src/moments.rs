//! Mean and variance, of rows and of the channels made up of them.
//!
//! Statistics of a batch are those of its rows, put together: so a convolution can take them of what it has just written and
//! what still lies in a cache, and whoever needs them later has the same bits as if it took them itself.

use std::ops::Range;

use rayon::prelude::*;

use crate::buffer::Float;
use crate::lanes;
use crate::shares::threads;
use crate::vectorised::vectorised;

/// Mean and biased variance of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub mean: f64,
    pub var: f64,
}

/// Mean of one row, and the sum of squares of the distances from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowMoment {
    pub mean: f64,
    squares: f64,
}

vectorised! {
    /// Of rows that lie one behind the other.
    fn of_rows<T>(x: &[T], length: usize, moments: &mut [RowMoment]) {
        for (row, moment) in x.chunks_exact(length).zip(moments) {
            let (found, off) = about(row, near_mean(row));
            // squares about a centre that is much further off than the deviation would drown the variance
            *moment = if off * off * row.len() as f64 > FAR * found.squares {
                about(row, T::from_f64(found.mean)).0
            } else {
                found
            };
        }
    }
}

/// Variances that the square of a centre's distance from the mean may be worth.
const FAR: f64 = 4.0;

/// A value near the mean: that of four.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn near_mean<T: Float>(row: &[T]) -> T {
    let quarter = T::from_f64(0.25);
    let at = |part: usize| row[part * row.len() / 4] * quarter;
    (at(0) + at(1)) + (at(2) + at(3))
}

/// The moments of a row by the distances from a centre, and how far off from the mean that is.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn about<T: Float>(row: &[T], centre: T) -> (RowMoment, f64) {
    let count = row.len() as f64;
    let (off, squares) = lanes::distances(row, centre);
    let off = off / count;
    let squares = squares - off * off * count;
    let moment = RowMoment {
        mean: centre.to_f64() + off,
        // NaN stays
        squares: if squares < 0.0 { 0.0 } else { squares },
    };
    (moment, off)
}

/// The moments of rows of `length` values, one behind the other, by this thread.
pub(crate) fn of_near<T: Float>(x: &[T], length: usize) -> Vec<RowMoment> {
    let length = length.max(1);
    let mut moments = vec![RowMoment::default(); x.len() / length];
    of_rows(x, length, &mut moments);
    moments
}

/// Rows of a task.
const ROWS: usize = 64;

/// The moments of all rows of `length` values.
pub(crate) fn of_all<T: Float>(x: &[T], length: usize) -> Vec<RowMoment> {
    if threads() == 1 {
        return of_near(x, length);
    }
    let parts = x.par_chunks(ROWS * length.max(1));
    parts.map(|x| of_near(x, length)).collect::<Vec<_>>().concat()
}

/// The moments of each of `channels` channels over some samples, whose rows have `length` values and lie sample by sample.
pub(crate) fn of_channels(
    rows: &[RowMoment],
    channels: usize,
    samples: Range<usize>,
    length: usize,
) -> impl Iterator<Item = Moment> {
    let count = samples.len() as f64;
    let rows = &rows[samples.start * channels..samples.end * channels];
    (0..channels).map(move |channel| {
        let of_channel = || rows[channel..].iter().step_by(channels);
        let mean = of_channel().map(|row| row.mean).sum::<f64>() / count;
        let squares = |row: &RowMoment| row.squares + (row.mean - mean) * (row.mean - mean) * length as f64;
        Moment {
            mean,
            var: of_channel().map(squares).sum::<f64>() / (count * length as f64),
        }
    })
}
