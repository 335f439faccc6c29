//! Whether the times beside the samples are regular, and at what rate.

/// Follows a column of times, in seconds from its first row.
///
/// A row says that the spacing lies within its own last digit, divided by its number, of what was written: the spacings
/// that all rows allow are an interval. If none is left the times are irregular.
pub(super) struct Clock {
    rows: u64,
    first: f64,
    last: f64,
    /// The finest last digit so far.
    finest: f64,
    lowest: f64,
    highest: f64,
    increasing: bool,
    /// The first row, counted from 1, that fits no spacing that those before allow.
    stray: Option<u64>,
}

/// What a column of times says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// They do not grow from row to row, or there are fewer than two.
    None,
    /// Regular, at this rate in Hz.
    Regular(f64),
    /// Regular as far as their digits tell, about at this rate.
    About(f64),
    /// The first row (of data, counted from 1) off the regular times before it.
    Irregular(u64),
}

/// Relative error of times that were rounded to f32 before they were written.
const SINGLE: f64 = 1.0 / (1 << 23) as f64;
/// Relative difference from a whole rate that no other rate has by chance.
const EXACT: f64 = 1e-9;
/// Relative width of the interval below which its middle is a rate.
const SHARP: f64 = 1e-6;

impl Clock {
    pub fn new() -> Self {
        Self {
            rows: 0,
            first: 0.0,
            last: f64::NEG_INFINITY,
            finest: f64::INFINITY,
            lowest: 0.0,
            highest: f64::INFINITY,
            increasing: true,
            stray: None,
        }
    }

    /// The next row's time and the worth of its last digit.
    pub fn tick(&mut self, time: f64, resolution: f64) {
        self.rows += 1;
        self.finest = self.finest.min(resolution);
        // NaN grows from nothing
        self.increasing &= time > self.last;
        self.last = time;
        if self.rows == 1 {
            self.first = time;
            return;
        }
        let steps = (self.rows - 1) as f64;
        let passed = time - self.first;
        let slack = 0.5 * (resolution + self.finest) + SINGLE * passed.abs() + 4.0 * f64::EPSILON * time.abs();
        let (lowest, highest) = ((passed - slack) / steps, (passed + slack) / steps);
        if self.stray.is_none() {
            if lowest > self.highest || highest < self.lowest {
                self.stray = Some(self.rows);
            }
            self.lowest = self.lowest.max(lowest);
            self.highest = self.highest.min(highest);
        }
    }

    /// What all rows say; one unit of the column lasts `unit` seconds.
    pub fn pace(&self, unit: f64) -> Pace {
        if !self.increasing || self.rows < 2 {
            return Pace::None;
        }
        if let Some(row) = self.stray {
            return Pace::Irregular(row);
        }
        let middle = (self.last - self.first) / (self.rows - 1) as f64;
        let middle = middle.clamp(self.lowest, self.highest) * unit;
        let (slowest, fastest) = ((self.highest * unit).recip(), (self.lowest * unit).recip());
        let whole = middle.recip().round();
        let exact = (middle.recip() - whole).abs() <= EXACT * whole;
        if whole > 0.0 && (exact || fastest - slowest < 1.0 && (slowest..=fastest).contains(&whole)) {
            return Pace::Regular(whole);
        }
        if fastest - slowest <= SHARP * slowest {
            return Pace::Regular(middle.recip());
        }
        Pace::About(middle.recip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: f64, rows: u32, digits: usize, disturb: impl Fn(u32) -> f64) -> Pace {
        let mut clock = Clock::new();
        for i in 0..rows {
            let text = format!("{:.digits$}", f64::from(i) / rate + disturb(i));
            clock.tick(text.parse().unwrap(), 10f64.powi(-(digits as i32)));
        }
        clock.pace(1.0)
    }

    #[test]
    fn rounded_times_give_the_rate_that_they_were_made_with() {
        assert_eq!(pace(12_000.0, 1000, 6, |_| 0.0), Pace::Regular(12_000.0));
        assert_eq!(pace(25_600.0, 4000, 9, |_| 0.0), Pace::Regular(25_600.0));
        // milliseconds of 3 kHz
        assert_eq!(pace(300.0, 3000, 3, |_| 0.0), Pace::Regular(300.0));
        let Pace::Regular(rate) = pace(25_600.0 / 3.0, 100_000, 9, |_| 0.0) else {
            panic!("not regular");
        };
        assert!((rate * 3.0 / 25_600.0 - 1.0).abs() < 1e-6);
        assert!(matches!(pace(25_600.0 / 3.0, 10, 6, |_| 0.0), Pace::About(_)));
    }

    #[test]
    fn a_gap_a_drift_or_a_standstill_is_irregular() {
        let gap = |i: u32| if i >= 500 { 0.001 } else { 0.0 };
        assert_eq!(pace(12_000.0, 1000, 6, gap), Pace::Irregular(501));
        let drift = |i: u32| f64::from(i * i) * 1e-9;
        assert!(matches!(pace(1000.0, 1000, 6, drift), Pace::Irregular(_)));
        assert_eq!(pace(12_000.0, 1000, 3, |_| 0.0), Pace::None);
        assert_eq!(pace(1.0, 1, 3, |_| 0.0), Pace::None);
    }
}
