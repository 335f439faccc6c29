use crate::anti_alias::{CUT_OFF_LOBES, kaiser_sinc};
use crate::error::{all_finite, positive};
use crate::{Error, Result};

/// The turns of a shaft over time, from a tachometer's pulses or a column of speeds.
///
/// Between the times given, a cubic: it never runs backwards, and its slope, the speed, has no steps.
#[derive(Debug, Clone, PartialEq)]
pub struct ShaftAngle {
    knots: Vec<Knot>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Knot {
    time_s: f64,
    turns: f64,
    turns_per_s: f64,
}

impl ShaftAngle {
    /// From the times of a tachometer's pulses, in seconds, `pulses_per_turn` of them a turn, evenly spaced on the shaft.
    ///
    /// The first pulse is turn 0. Between pulses the piecewise cubic of Fritsch and Butland, which keeps the angle rising (as
    /// `scipy.interpolate.PchipInterpolator`). Fewer than two pulses, times that do not rise or are not finite, and no pulse a turn are
    /// errors.
    ///
    /// Source: F. N. Fritsch, J. Butland, "A method for constructing local monotone piecewise cubic interpolants", SIAM J. Sci. Stat.
    /// Comput. 5 (1984); order tracking from pulses: K. R. Fyfe, E. D. S. Munck, "Analysis of computed order tracking", Mech. Syst.
    /// Signal Process. 11 (1997).
    pub fn from_pulses(times_s: &[f64], pulses_per_turn: u32) -> Result<Self> {
        rising(times_s, "pulses")?;
        positive("pulses_per_turn", f64::from(pulses_per_turn))?;
        let step = 1.0 / f64::from(pulses_per_turn);
        let speeds: Vec<f64> = times_s.windows(2).map(|pair| step / (pair[1] - pair[0])).collect();
        let intervals: Vec<f64> = times_s.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let last = speeds.len() - 1;
        let slope = |i: usize| match i {
            _ if last == 0 => speeds[0],
            0 => end_slope(intervals[0], intervals[1], speeds[0], speeds[1]),
            i if i == last + 1 => end_slope(intervals[last], intervals[last - 1], speeds[last], speeds[last - 1]),
            i => {
                let (before, after) = (
                    2.0 * intervals[i] + intervals[i - 1],
                    intervals[i] + 2.0 * intervals[i - 1],
                );
                (before + after) / (before / speeds[i - 1] + after / speeds[i])
            }
        };
        let knots = times_s.iter().enumerate().map(|(i, &time_s)| Knot {
            time_s,
            turns: step * i as f64,
            turns_per_s: slope(i),
        });
        Ok(Self { knots: knots.collect() })
    }

    /// From speeds at times: seconds, and turns a second (rpm / 60). Between them the speed is a straight line.
    ///
    /// The first time is turn 0. Fewer than two times, another number of speeds than of times, times that do not rise, and speeds
    /// that are not positive and finite are errors: a shaft that stands still has no orders.
    pub fn from_speeds(times_s: &[f64], shaft_hz: &[f64]) -> Result<Self> {
        rising(times_s, "times of speeds")?;
        if shaft_hz.len() != times_s.len() {
            return Err(Error::Argument {
                name: "number of speeds",
                found: shaft_hz.len().to_string(),
                expected: format!("{}, one for each time", times_s.len()),
            });
        }
        for &speed in shaft_hz {
            positive("shaft_hz", speed)?;
        }
        let mut turns = 0.0;
        let knots = (0..times_s.len()).map(|i| {
            if i > 0 {
                turns += (times_s[i] - times_s[i - 1]) * f64::midpoint(shaft_hz[i], shaft_hz[i - 1]);
            }
            Knot {
                time_s: times_s[i],
                turns,
                turns_per_s: shaft_hz[i],
            }
        });
        Ok(Self { knots: knots.collect() })
    }

    /// First and last time at which the angle is known, seconds.
    pub fn span_s(&self) -> (f64, f64) {
        (self.knots[0].time_s, self.knots[self.knots.len() - 1].time_s)
    }

    /// Turns since the first time given; `None` outside [`span_s`](Self::span_s).
    pub fn turns_at(&self, time_s: f64) -> Option<f64> {
        let (first, last) = self.span_s();
        if !(first..=last).contains(&time_s) {
            return None;
        }
        let i = self
            .knots
            .partition_point(|knot| knot.time_s <= time_s)
            .clamp(1, self.knots.len() - 1);
        let segment = Segment::new(self.knots[i - 1], self.knots[i]);
        Some(segment.turns((time_s - segment.from.time_s) / segment.duration()))
    }
}

/// The cubic between two knots, over `u` from 0 to 1.
struct Segment {
    from: Knot,
    to: Knot,
}

impl Segment {
    fn new(from: Knot, to: Knot) -> Self {
        Self { from, to }
    }

    fn duration(&self) -> f64 {
        self.to.time_s - self.from.time_s
    }

    /// Hermite's cubic.
    fn turns(&self, u: f64) -> f64 {
        let (from, to, rise) = self.parts();
        self.from.turns + u * (from + u * (3.0 * rise - 2.0 * from - to + u * (from + to - 2.0 * rise)))
    }

    /// Its slope, turns for all of `u`.
    fn slope(&self, u: f64) -> f64 {
        let (from, to, rise) = self.parts();
        from + u * (2.0 * (3.0 * rise - 2.0 * from - to) + 3.0 * u * (from + to - 2.0 * rise))
    }

    fn parts(&self) -> (f64, f64, f64) {
        let duration = self.duration();
        (
            self.from.turns_per_s * duration,
            self.to.turns_per_s * duration,
            self.to.turns - self.from.turns,
        )
    }

    /// Where the cubic reaches `turns`, which lies between its ends: Newton's steps, halving where one leaves the bracket.
    fn reach(&self, turns: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        let mut u = (turns - self.from.turns) / (self.to.turns - self.from.turns);
        for _ in 0..60 {
            let miss = self.turns(u) - turns;
            if miss > 0.0 {
                high = u;
            } else {
                low = u;
            }
            let step = u - miss / self.slope(u);
            let next = if step > low && step < high {
                step
            } else {
                f64::midpoint(low, high)
            };
            if (next - u).abs() < 1e-15 {
                return next;
            }
            u = next;
        }
        u
    }
}

/// Resamples a recording to equal steps of the shaft's angle: `samples_per_turn` of them a turn, however the speed changes.
///
/// Sample `i` of the recording lies at `i / rate_hz` seconds on the clock of `angle`. The first result lies at the first sample or the
/// first known angle, whichever is later; the last at or before the last of both. Lines at orders of the shaft become lines of the
/// spectrum, with `samples_per_turn / n` orders a bin, and a window of a number of turns is one of a number of samples.
///
/// Each result is a sum over the samples around it with the Kaiser-windowed sinc of [`anti_alias_taps`](crate::anti_alias_taps), whose
/// cut-off is the lower of half the rate and `samples_per_turn / 2` orders at the speed of that moment: within 0.001 dB up to 0.9 of
/// it, 80 dB down from 1.1 times it. Before the first and after the last sample it takes zeros.
///
/// A rate that is not positive and finite, a sample that is not finite, fewer than 2 samples a turn, an angle that is not
/// known anywhere in the recording, and more than 16 results for each sample are errors; an empty recording stays empty.
///
/// Source: K. R. Fyfe, E. D. S. Munck, "Analysis of computed order tracking", Mech. Syst. Signal Process. 11 (1997).
pub fn order_track(x: &[f64], rate_hz: f64, angle: &ShaftAngle, samples_per_turn: usize) -> Result<Vec<f64>> {
    positive("rate_hz", rate_hz)?;
    all_finite(x)?;
    if samples_per_turn < 2 {
        return Err(Error::Argument {
            name: "samples_per_turn",
            found: samples_per_turn.to_string(),
            expected: "at least 2".to_owned(),
        });
    }
    if x.is_empty() {
        return Ok(Vec::new());
    }
    let (first_s, last_s) = angle.span_s();
    let recorded_s = (x.len() - 1) as f64 / rate_hz;
    let bounds = (first_s.max(0.0), last_s.min(recorded_s));
    let (Some(first), Some(last)) = (angle.turns_at(bounds.0), angle.turns_at(bounds.1)) else {
        return Err(Error::Argument {
            name: "time of known angles, s,",
            found: format!("{first_s} to {last_s}"),
            expected: format!("some of 0 to {recorded_s}, the recording's"),
        });
    };
    let step = 1.0 / samples_per_turn as f64;
    let results = ((last - first) / step).floor().max(0.0);
    if results > 16.0 * x.len() as f64 {
        return Err(Error::Argument {
            name: "samples_per_turn",
            found: samples_per_turn.to_string(),
            expected: format!(
                "at most {:.0}: 16 results for each of {} samples",
                16.0 * x.len() as f64 / (last - first),
                x.len()
            ),
        });
    }

    let mut tracked = Vec::with_capacity(results as usize + 1);
    let mut i = 1;
    for k in 0..=results as usize {
        let turns = (first + step * k as f64).min(last);
        while angle.knots[i].turns < turns && i + 1 < angle.knots.len() {
            i += 1;
        }
        let segment = Segment::new(angle.knots[i - 1], angle.knots[i]);
        let u = segment.reach(turns);
        let mean_speed = segment.to.turns - segment.from.turns;
        // the cubic may touch zero at an end of its pulses, where no filter would be long enough
        let speed = segment.slope(u).max(0.1 * mean_speed) / segment.duration();
        let position = (segment.from.time_s + u * segment.duration()) * rate_hz;
        let cut_off = (speed * samples_per_turn as f64 / rate_hz).min(1.0);
        tracked.push(interpolate(x, position, cut_off));
    }
    Ok(tracked)
}

/// The signal at a position between samples, low-passed at `cut_off` times half the rate.
fn interpolate(x: &[f64], position: f64, cut_off: f64) -> f64 {
    let reach = CUT_OFF_LOBES as f64 / cut_off;
    let from = (position - reach).ceil().max(0.0) as usize;
    let to = ((position + reach).floor().max(0.0) as usize).min(x.len() - 1);
    let sum: f64 = (from..=to)
        .map(|i| x[i] * kaiser_sinc((i as f64 - position) * cut_off))
        .sum();
    sum * cut_off
}

/// At least two times, finite and each later than the last.
fn rising(times_s: &[f64], what: &'static str) -> Result<()> {
    if times_s.len() < 2 {
        return Err(Error::Argument {
            name: what,
            found: times_s.len().to_string(),
            expected: "at least two".to_owned(),
        });
    }
    all_finite(times_s)?;
    match times_s.windows(2).find(|pair| pair[1] <= pair[0]) {
        Some(pair) => Err(Error::Argument {
            name: what,
            found: format!("at {} s, then {} s", pair[0], pair[1]),
            expected: "rising times".to_owned(),
        }),
        None => Ok(()),
    }
}

/// One-sided slope at an end, three points, kept from turning back: that of `scipy.interpolate.PchipInterpolator`.
fn end_slope(near: f64, far: f64, near_speed: f64, far_speed: f64) -> f64 {
    let slope = ((2.0 * near + far) * near_speed - near * far_speed) / (near + far);
    slope.max(0.0)
}
