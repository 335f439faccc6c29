//! The envelope spectrum says what the geometry says.
use bearing_simulator::{Defect, Machine, Unit};

mod common;
use common::Envelope;

const SECONDS: f64 = 8.0;
const UNITS: u64 = 6;

fn machines() -> [Machine; 3] {
    [Machine::a(), Machine::between(0.5).unwrap(), Machine::b()]
}

fn order(machine: &Machine, defect: Defect) -> f64 {
    let geometry = machine.geometry();
    match defect {
        Defect::None => unreachable!("healthy bearings have no order"),
        Defect::Inner => geometry.bpfi,
        Defect::Ball => 2.0 * geometry.bsf,
        Defect::Outer => geometry.bpfo,
    }
}

#[test]
fn the_strongest_envelope_line_between_2_and_7_orders_is_the_defects() {
    for machine in machines() {
        for defect in [Defect::Inner, Defect::Ball, Defect::Outer] {
            for number in 0..UNITS {
                let unit = Unit::draw(&machine, defect, number, 0);
                let envelope = Envelope::of(&unit.record(&machine, SECONDS).unwrap(), &machine);
                let shaft = machine.shaft_hz();
                let peak = envelope.peak(2.1 * shaft, 7.0 * shaft);
                // the mean of some 600 steps of 1 % jitter is good to 0.04 %; four times that, and a bin
                let actual = unit.impact_hz(&machine).unwrap();
                let found = format!("machine {}, {defect}, unit {number}: {peak} Hz", machine.name());
                assert!(
                    (peak - actual).abs() < 0.0016 * actual + envelope.hz_per_bin(),
                    "{found}, unit's {actual}"
                );
                // and within the slip of what the geometry alone says
                let kinematic = order(&machine, defect) * shaft;
                assert!(
                    (peak / kinematic - 1.0).abs() < 0.0066 + envelope.hz_per_bin() / kinematic,
                    "{found}, geometry's {kinematic}"
                );
            }
        }
    }
}

#[test]
fn a_healthy_bearing_shows_no_defect_line() {
    for machine in machines() {
        for number in 0..UNITS {
            let unit = Unit::draw(&machine, Defect::None, number, 0);
            let envelope = Envelope::of(&unit.record(&machine, SECONDS).unwrap(), &machine);
            for defect in [Defect::Inner, Defect::Ball, Defect::Outer] {
                let prominence = envelope.prominence(order(&machine, defect) * machine.shaft_hz());
                // the largest of some 30 bins of noise; a defect's line is 20 to several 100
                assert!(prominence < 6.0, "{}: {prominence} at {defect}", machine.name());
            }
        }
    }
}

#[test]
fn an_inner_race_defect_has_side_bands_at_the_shafts_speed_and_a_balls_at_the_cages() {
    for machine in [Machine::a(), Machine::b()] {
        let (shaft, cage) = (machine.shaft_hz(), machine.geometry().ftf * machine.shaft_hz());
        let side_bands = |defect: Defect, spacing: f64| {
            let mut unit = Unit::draw(&machine, defect, 0, 0);
            unit.severity = 3.0;
            let envelope = Envelope::of(&unit.record(&machine, SECONDS).unwrap(), &machine);
            let carrier = unit.impact_hz(&machine).unwrap();
            envelope
                .prominence(carrier - spacing)
                .min(envelope.prominence(carrier + spacing))
        };
        assert!(side_bands(Defect::Inner, shaft) > 10.0);
        assert!(side_bands(Defect::Ball, cage) > 10.0);
        assert!(side_bands(Defect::Outer, shaft) < 10.0);
        assert!(side_bands(Defect::Outer, cage) < 10.0);
    }
}
