//! From a unit on a machine to samples.
use std::f64::consts::TAU;

use crate::constants::{
    BALL_ON_INNER, JITTER, PATH_BALL, PATH_INNER, PATH_OUTER, REFERENCE_WIDTH_MM, STRENGTH_JITTER, UNLOADED,
};
use crate::random::{Purpose, Random};
use crate::{Defect, Machine, Mode, Unit};

/// Time before the recording begins, seconds, so that modes and sensor have settled: ten time constants of
/// the slowest.
const SETTLE: f64 = 0.1;

pub(crate) fn record(unit: &Unit, machine: &Machine, samples: usize) -> Vec<f64> {
    let rate = machine.rate_hz();
    let settle = (SETTLE * rate) as usize;
    let mut structure = Structure::new(unit, machine);
    let background = structure.force_for(machine.background_g * unit.background);
    let mut impacts = Impacts::new(unit, machine);
    let mut next = impacts.next();
    let shaft = Shaft::new(unit, machine);
    let mut sensor = Sensor::new(machine);
    let mut random = unit.key.stream(Purpose::Background);

    let mut recording = Vec::with_capacity(samples);
    for i in 0..settle + samples {
        // the recording's first sample is at time 0
        let time = (i as f64 - settle as f64) / rate;
        structure.advance();
        structure.push(background * random.normal());
        while let Some(impact) = next.as_ref().filter(|impact| impact.time <= time) {
            structure.strike(impact.strength, time - impact.time);
            next = impacts.next();
        }
        let sample = sensor.sample(structure.acceleration() + shaft.acceleration(time), random.normal());
        if i >= settle {
            recording.push(sample);
        }
    }
    recording
}

struct Impact {
    time: f64,
    /// g
    strength: f64,
}

/// The impacts on a pit, in order of time, from `SETTLE` before the recording on and without end; none for a
/// healthy bearing.
struct Impacts<'a> {
    unit: &'a Unit,
    machine: &'a Machine,
    /// mean time between two impacts, seconds
    period: f64,
    time: f64,
    count: u64,
    random: Random,
}

impl<'a> Impacts<'a> {
    fn new(unit: &'a Unit, machine: &'a Machine) -> Self {
        let mut random = unit.key.stream(Purpose::Impacts);
        let period = unit.impact_hz(machine).map_or(f64::INFINITY, |hz| 1.0 / hz);
        let time = if period.is_finite() {
            random.uniform(0.0, period) - SETTLE
        } else {
            0.0
        };
        Self {
            unit,
            machine,
            period,
            time,
            count: 0,
            random,
        }
    }

    /// How strong the impact at this moment is for where it happens.
    fn place(&self) -> f64 {
        let Self { unit, machine, .. } = self;
        let shaft = machine.shaft_hz();
        let share = |angle: f64| UNLOADED + (1.0 - UNLOADED) * machine.load_share(angle);
        match unit.defect {
            Defect::None => 0.0,
            Defect::Outer => PATH_OUTER * share(unit.pit_angle),
            Defect::Inner => PATH_INNER * share(TAU * shaft * self.time + unit.start_angle),
            Defect::Ball => {
                let cage = machine.geometry.ftf * (1.0 + unit.cage_slip) * shaft;
                let race = if self.count.is_multiple_of(2) {
                    1.0
                } else {
                    BALL_ON_INNER
                };
                PATH_BALL * race * share(TAU * cage * self.time + unit.start_angle)
            }
        }
    }
}

impl Iterator for Impacts<'_> {
    type Item = Impact;

    fn next(&mut self) -> Option<Impact> {
        if self.period.is_infinite() {
            return None;
        }
        let width = self.unit.width_mm / REFERENCE_WIDTH_MM;
        let scatter = 1.0 + STRENGTH_JITTER * self.random.normal();
        let strength = self.machine.impact_strength() * self.unit.severity * width * self.place() * scatter;
        let impact = Impact {
            time: self.time,
            strength,
        };
        // a step of slip is never so large that time runs backwards: 100 standard deviations
        self.time += self.period * (1.0 + JITTER * self.random.normal());
        self.count += 1;
        Some(impact)
    }
}

/// The modes of a structure, each a damped oscillation carried from sample to sample as a complex number
/// whose imaginary part is heard.
struct Structure {
    modes: Vec<Oscillator>,
}

struct Oscillator {
    gain: f64,
    /// decay, 1/s
    decay: f64,
    /// damped angular frequency, 1/s
    omega: f64,
    /// what one sample multiplies the state by
    step: (f64, f64),
    state: (f64, f64),
}

impl Structure {
    fn new(unit: &Unit, machine: &Machine) -> Self {
        let oscillator = |(mode, &(hz, gain)): (&Mode, &(f64, f64))| {
            let natural = TAU * mode.hz * hz;
            let decay = mode.damping * natural;
            let omega = natural * (1.0 - mode.damping * mode.damping).sqrt();
            let step = rotation(decay, omega, 1.0 / machine.rate_hz());
            Oscillator {
                gain: mode.gain * gain,
                decay,
                omega,
                step,
                state: (0.0, 0.0),
            }
        };
        Self {
            modes: machine.modes.iter().zip(&unit.modes).map(oscillator).collect(),
        }
    }

    /// The standard deviation of white force, a sample, whose answer has this standard deviation.
    ///
    /// A mode's answer to an impulse is `gain r^k sin(k theta)`, whose squares sum to `gain^2 / (2 (1 -
    /// r^2))` up to a term that averages out over a turn of theta; modes are taken as independent.
    fn force_for(&self, standard_deviation: f64) -> f64 {
        let power: f64 = self
            .modes
            .iter()
            .map(|mode| {
                let (re, im) = mode.step;
                mode.gain * mode.gain / (2.0 * (1.0 - re * re - im * im))
            })
            .sum();
        standard_deviation / power.sqrt()
    }

    /// Goes on by one sample.
    fn advance(&mut self) {
        for mode in &mut self.modes {
            mode.state = product(mode.state, mode.step);
        }
    }

    /// Adds a force at this sample.
    fn push(&mut self, force: f64) {
        for mode in &mut self.modes {
            mode.state.0 += mode.gain * force;
        }
    }

    /// Adds an impact that came `ago` seconds (less than a sample) before this sample.
    fn strike(&mut self, strength: f64, ago: f64) {
        for mode in &mut self.modes {
            let (re, im) = rotation(mode.decay, mode.omega, ago);
            mode.state.0 += mode.gain * strength * re;
            mode.state.1 += mode.gain * strength * im;
        }
    }

    fn acceleration(&self) -> f64 {
        self.modes.iter().map(|mode| mode.state.1).sum()
    }
}

/// `exp((-decay + i omega) time)`.
fn rotation(decay: f64, omega: f64, time: f64) -> (f64, f64) {
    let (sin, cos) = (omega * time).sin_cos();
    let size = (-decay * time).exp();
    (size * cos, size * sin)
}

fn product(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

/// What the shaft itself adds at multiples of its speed: unbalance, misalignment, a rotor that is not round.
struct Shaft {
    /// angular frequency, amplitude in g and phase of each harmonic
    harmonics: Vec<(f64, f64, f64)>,
}

impl Shaft {
    fn new(unit: &Unit, machine: &Machine) -> Self {
        // sines of amplitude a have a variance of a^2 / 2
        let variance: f64 = unit
            .harmonics
            .iter()
            .map(|(amplitude, _)| amplitude * amplitude / 2.0)
            .sum();
        let scale = machine.harmonics_g * unit.background / variance.sqrt();
        let harmonic = |(k, &(amplitude, phase)): (usize, &(f64, f64))| {
            (TAU * machine.shaft_hz() * (k + 1) as f64, scale * amplitude, phase)
        };
        Self {
            harmonics: unit.harmonics.iter().enumerate().map(harmonic).collect(),
        }
    }

    fn acceleration(&self, time: f64) -> f64 {
        self.harmonics
            .iter()
            .map(|(omega, amplitude, phase)| amplitude * (omega * time + phase).cos())
            .sum()
    }
}

/// The sensor on its mounting: a low-pass of first order, a gain, and noise of its own.
struct Sensor {
    /// share of the new value in a sample
    follow: f64,
    held: f64,
    gain: f64,
    noise: f64,
}

impl Sensor {
    fn new(machine: &Machine) -> Self {
        let follow = 1.0 - (-TAU * machine.sensor_corner_hz / machine.rate_hz()).exp();
        Self {
            follow,
            held: 0.0,
            gain: machine.sensor_gain,
            noise: machine.sensor_noise_g,
        }
    }

    fn sample(&mut self, acceleration: f64, normal: f64) -> f64 {
        self.held += self.follow * (acceleration - self.held);
        self.gain * self.held + self.noise * normal
    }
}

#[cfg(test)]
mod tests;
