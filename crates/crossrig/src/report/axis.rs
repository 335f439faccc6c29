//! From data to drawing: a linear scale with ticks at round numbers.

/// A linear axis.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    low: f64,
    high: f64,
    /// Drawing coordinates of `low` and `high`.
    from: f64,
    to: f64,
}

impl Axis {
    /// Maps `low..=high` to `from..=to`; an empty or infinite range becomes one around its middle.
    pub fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let ordered = low.is_finite() && high.is_finite();
        let (low, high) = match (ordered, high > low) {
            (false, _) => (0.0, 1.0),
            (true, true) => (low, high),
            (true, false) => (low - 0.5, low + 0.5),
        };
        Self { low, high, from, to }
    }

    /// The drawing coordinate of a value.
    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About `count` round numbers inside the range, with their texts.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / count.max(1) as f64);
        self.multiples(step)
    }

    /// As [`ticks`](Self::ticks), whole numbers only.
    pub fn whole_ticks(&self, count: usize) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / count.max(1) as f64).ceil().max(1.0);
        self.multiples(step)
    }

    fn multiples(&self, step: f64) -> Vec<(f64, String)> {
        let decimals = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
        // half of 1, 2.5 and their like needs one digit more than its size says
        let decimals = decimals + usize::from((step * 10f64.powi(decimals as i32)).fract() > 1e-6);
        let slack = 1e-9 * (self.high - self.low);
        let first = ((self.low - slack) / step).ceil() as i64;
        let last = ((self.high + slack) / step).floor() as i64;
        (first..=last.min(first + 100))
            .map(|i| {
                let value = i as f64 * step;
                (value, format!("{value:.decimals$}").replace('-', "\u{2212}"))
            })
            .collect()
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|s| *s >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// The smallest and largest finite value.
pub fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|v| v.is_finite()).fold(None, |r, v| match r {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}
