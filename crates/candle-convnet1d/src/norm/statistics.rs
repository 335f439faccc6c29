//! Statistics of the channels of a batch.

use std::ops::Range;

use super::kernels::Plan;
use crate::buffer::Float;
use crate::lanes::RowSums;
use crate::vectorised::vectorised;

/// Mean and biased variance of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub mean: f64,
    pub var: f64,
}

vectorised! {
    /// Adds to the sum of each of some channels the values of some rows, row by row, as they lie.
    fn add_values<T>(x: &[T], plan: &Plan, rows: Range<usize>, first: usize, sums: &mut [RowSums<T>]) {
        for row in rows {
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = plan.row(x, row, first + i);
                sum.add(x, x, |x, _| (x, T::zero()));
            }
        }
    }
}

vectorised! {
    /// The same of distances from the channels' centres, and of their squares.
    fn add_distances<T>(
        x: &[T],
        plan: &Plan,
        rows: Range<usize>,
        first: usize,
        centres: &[T],
        sums: &mut [RowSums<T>],
    ) {
        for row in rows {
            for (i, (sum, &centre)) in sums.iter_mut().zip(centres).enumerate() {
                let x = plan.row(x, row, first + i);
                sum.add(x, x, |x, _| (x - centre, (x - centre) * (x - centre)));
            }
        }
    }
}

/// Moments of some channels over some rows: one pass about the mean of the first row, which lies near that of all rows. Where
/// it does not, squares about it would drown the variance, and a second pass goes about the mean that the first one found.
pub(super) fn moments<T: Float>(x: &[T], plan: &Plan, rows: &Range<usize>, channels: &Range<usize>) -> Vec<Moment> {
    let first_row = rows.start..rows.start + 1;
    let mut sums = vec![RowSums::new(); channels.len()];
    add_values(x, plan, first_row, channels.start, &mut sums);
    let row_mean = |sums: RowSums<T>| T::from_f64(sums.totals().0 / plan.length as f64);
    let mut centres: Vec<T> = sums.into_iter().map(row_mean).collect();
    let about = |centres: &[T]| -> Vec<(Moment, f64)> {
        let count = (rows.len() * plan.length) as f64;
        let mut sums = vec![RowSums::new(); channels.len()];
        add_distances(x, plan, rows.clone(), channels.start, centres, &mut sums);
        let of_channel = |(sums, centre): (RowSums<T>, &T)| {
            let (off, squares) = sums.totals();
            let off = off / count;
            let var = squares / count - off * off;
            let moment = Moment {
                mean: centre.to_f64() + off,
                // NaN stays
                var: if var < 0.0 { 0.0 } else { var },
            };
            (moment, off)
        };
        sums.into_iter().zip(centres).map(of_channel).collect()
    };
    let mut found = about(&centres);
    if found.iter().any(|(moment, off)| off * off > moment.var) {
        for (centre, (moment, _)) in centres.iter_mut().zip(&found) {
            *centre = T::from_f64(moment.mean);
        }
        found = about(&centres);
    }
    found.into_iter().map(|(moment, _)| moment).collect()
}
