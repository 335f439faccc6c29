use crate::constants::{LOAD_STRENGTH, MODES, RATE_HZ, REFERENCE_SHAFT_HZ, machine_a, machine_b};
use crate::error::in_range;
use crate::{Geometry, Result};

/// A mode of a structure: it rings at `hz`, decays as `exp(-damping 2 pi hz t)`, and is heard at the sensor
/// as loud as `gain`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    /// undamped natural frequency, Hz
    pub hz: f64,
    /// damping ratio, below 1
    pub damping: f64,
    /// amplitude at the sensor for an impact of 1 g
    pub gain: f64,
}

/// A machine: bearing, speed, load, structure, background and sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    pub(crate) name: &'static str,
    /// what tells its units from those of another machine
    pub(crate) stream: u64,
    pub(crate) geometry: Geometry,
    pub(crate) no_load_hz: f64,
    /// loss of speed from no load to full load, as a share
    pub(crate) droop: f64,
    pub(crate) load: f64,
    /// how far the load zone reaches: 0.5 without clearance, less with it
    pub(crate) load_factor: f64,
    pub(crate) modes: [Mode; MODES],
    /// strength of an impact of reference width and speed, g
    pub(crate) impact_g: f64,
    /// standard deviation of the structure's answer to the background force, g
    pub(crate) background_g: f64,
    /// standard deviation of the shaft's harmonics together, g
    pub(crate) harmonics_g: f64,
    pub(crate) sensor_gain: f64,
    /// frequency at which the sensor's mounting has lost 3 dB, Hz
    pub(crate) sensor_corner_hz: f64,
    pub(crate) sensor_noise_g: f64,
}

impl Machine {
    /// Machine A: a motor at 29.4 Hz on a bearing SKF 6205, sensor on a stud.
    pub fn a() -> Self {
        machine_a()
    }

    /// Machine B: a slower motor on a smaller bearing (SKF 6203), another structure with more background, a
    /// wider clearance, and a sensor on a magnet.
    pub fn b() -> Self {
        machine_b()
    }

    /// A machine on the way from A to B, with B's units: at 0 it is built like A, at 1 it is B.
    ///
    /// Defect orders move linearly, frequencies, damping and levels in equal ratios. Between the ends the
    /// bearing is none that can be bought (its orders belong to 8.5 balls half way); the path is there to
    /// turn the strength of the shift. A shift outside 0 to 1 is an error.
    pub fn between(shift: f64) -> Result<Self> {
        in_range("the shift between the machines", shift, 0.0, 1.0)?;
        let (a, b) = (Self::a(), Self::b());
        let linear = |from: f64, to: f64| from + (to - from) * shift;
        // equal ends give exactly the end, not a rounding of it
        let ratio = |from: f64, to: f64| {
            if shift == 1.0 {
                to
            } else {
                from * (to / from).powf(shift)
            }
        };
        let mode = |k: usize| Mode {
            hz: ratio(a.modes[k].hz, b.modes[k].hz),
            damping: ratio(a.modes[k].damping, b.modes[k].damping),
            gain: ratio(a.modes[k].gain, b.modes[k].gain),
        };
        let geometry = if shift == 1.0 {
            b.geometry
        } else {
            Geometry {
                bpfi: linear(a.geometry.bpfi, b.geometry.bpfi),
                bpfo: linear(a.geometry.bpfo, b.geometry.bpfo),
                bsf: linear(a.geometry.bsf, b.geometry.bsf),
                ftf: linear(a.geometry.ftf, b.geometry.ftf),
            }
        };
        Ok(Self {
            name: b.name,
            stream: b.stream,
            geometry,
            no_load_hz: ratio(a.no_load_hz, b.no_load_hz),
            droop: ratio(a.droop, b.droop),
            load: ratio(a.load, b.load),
            load_factor: ratio(a.load_factor, b.load_factor),
            modes: std::array::from_fn(mode),
            impact_g: ratio(a.impact_g, b.impact_g),
            background_g: ratio(a.background_g, b.background_g),
            harmonics_g: ratio(a.harmonics_g, b.harmonics_g),
            sensor_gain: ratio(a.sensor_gain, b.sensor_gain),
            sensor_corner_hz: ratio(a.sensor_corner_hz, b.sensor_corner_hz),
            sensor_noise_g: ratio(a.sensor_noise_g, b.sensor_noise_g),
        })
    }

    /// The same machine at another load, 0 (none) to 1 (full); machines are built at 0.5. More load turns the
    /// shaft a little slower and makes impacts a little stronger. A load outside 0 to 1 is an error.
    pub fn at_load(self, load: f64) -> Result<Self> {
        in_range("the load", load, 0.0, 1.0)?;
        Ok(Self { load, ..self })
    }

    /// Whose units it has: `A` or `B`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Samples a second, Hz.
    pub fn rate_hz(&self) -> f64 {
        RATE_HZ
    }

    /// Turns of the shaft a second at the machine's load, Hz.
    pub fn shaft_hz(&self) -> f64 {
        self.no_load_hz * (1.0 - self.droop * self.load)
    }

    /// Load, 0 to 1.
    pub fn load(&self) -> f64 {
        self.load
    }

    /// Defect orders of the bearing.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Modes of the structure, by frequency.
    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// Share of the load that a contact carries `angle` (radians) away from the middle of the load zone, 1
    /// there: Stribeck's distribution for balls, `(1 - (1 - cos angle) / (2 e))^1.5`, `e` the load factor,
    /// and 0 outside the zone.
    ///
    /// Source: McFadden and Smith 1984, after Stribeck.
    pub fn load_share(&self, angle: f64) -> f64 {
        (1.0 - (1.0 - angle.cos()) / (2.0 * self.load_factor))
            .max(0.0)
            .powf(1.5)
    }

    /// Strength of an impact on a pit of the reference width in the middle of the load zone, g.
    pub(crate) fn impact_strength(&self) -> f64 {
        let (unloaded, added) = LOAD_STRENGTH;
        self.impact_g * (unloaded + added * self.load) * self.shaft_hz() / REFERENCE_SHAFT_HZ
    }
}
