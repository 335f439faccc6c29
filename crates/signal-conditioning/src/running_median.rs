/// Median of the `2 half + 1` values around each position, the first and the last value repeated beyond the ends.
///
/// Equal to `scipy.ndimage.median_filter(x, size=2 * half + 1, mode="nearest")`. `half` 0 copies. NaN sorts
/// above infinity (below minus infinity if its sign is set).
pub fn running_median(x: &[f64], half: usize) -> Vec<f64> {
    let mut medians = vec![0.0; x.len()];
    SortedWindow::default().medians(x, half, &mut medians);
    medians
}

/// The values of a sliding window in order; kept between calls so that nothing is allocated again.
#[derive(Debug, Clone, Default)]
pub(crate) struct SortedWindow {
    sorted: Vec<f64>,
}

impl SortedWindow {
    /// [`running_median`] into a slice as long as `x`.
    pub(crate) fn medians(&mut self, x: &[f64], half: usize, medians: &mut [f64]) {
        let Some(last) = x.len().checked_sub(1) else { return };
        // a half width of n sees the whole slice from everywhere; a larger one adds as many first values as last ones,
        // which moves no median
        let half = half.min(x.len());
        let at = |i: usize| x[i.saturating_sub(half).min(last)];
        self.sorted.clear();
        self.sorted.extend((0..=2 * half).map(at));
        self.sorted.sort_unstable_by(f64::total_cmp);
        medians[0] = self.sorted[half];
        for (i, median) in medians.iter_mut().enumerate().skip(1) {
            self.replace(at(i - 1), at(i + 2 * half));
            *median = self.sorted[half];
        }
    }

    /// Takes one value out and another in, moving only what lies between them.
    fn replace(&mut self, out: f64, new: f64) {
        let sorted = &mut self.sorted[..];
        let mut hole = sorted.partition_point(|v| v.total_cmp(&out).is_lt());
        while hole + 1 < sorted.len() && sorted[hole + 1].total_cmp(&new).is_lt() {
            sorted[hole] = sorted[hole + 1];
            hole += 1;
        }
        while hole > 0 && sorted[hole - 1].total_cmp(&new).is_gt() {
            sorted[hole] = sorted[hole - 1];
            hole -= 1;
        }
        sorted[hole] = new;
    }
}
