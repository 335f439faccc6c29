//! What must get stronger, faster or different when a cause does.
use bearing_simulator::{Defect, Machine, Unit, simulate};
use proptest::prelude::*;
use signal_conditioning::spectrum;

mod common;
use common::{kurtosis, level};

const DEFECTS: [Defect; 3] = [Defect::Inner, Defect::Ball, Defect::Outer];

#[test]
fn a_wider_pit_is_louder_and_more_impulsive() {
    for machine in [Machine::a(), Machine::b()] {
        for defect in DEFECTS {
            for number in 0..4 {
                let mut unit = Unit::draw(&machine, defect, number, 1);
                let mut of_width = |width_mm| {
                    unit.width_mm = width_mm;
                    unit.record(&machine, 2.0).unwrap()
                };
                let recordings = [0.0, 0.1, 0.2, 0.4, 0.8].map(&mut of_width);
                for pair in recordings.windows(2) {
                    assert!(level(&pair[1]) > level(&pair[0]));
                    assert!(kurtosis(&pair[1]) > kurtosis(&pair[0]));
                }
                assert!(
                    (kurtosis(&recordings[0]) - 3.0).abs() < 0.5,
                    "a pit of no width is none"
                );
            }
        }
    }
}

#[test]
fn a_healthy_machine_has_the_level_of_its_constants() {
    // background, harmonics and noise of src/constants.rs, through the sensor's gain; B's sensor also takes some background
    for (machine, low, high) in [(Machine::a(), 0.063, 0.078), (Machine::b(), 0.070, 0.095)] {
        let mut unit = Unit::draw(&machine, Defect::None, 0, 0);
        unit.background = 1.0;
        let found = level(&unit.record(&machine, 4.0).unwrap());
        assert!(found > low && found < high, "machine {}: {found}", machine.name());
    }
}

#[test]
fn impacts_ring_the_machines_own_modes() {
    for machine in [Machine::a(), Machine::b()] {
        for number in 0..4 {
            let mut unit = Unit::draw(&machine, Defect::Outer, number, 0);
            unit.severity = 10.0;
            // averaged over windows of 128 samples, 94 Hz wide, which do not resolve the impacts' harmonics
            let recording = unit.record(&machine, 2.0).unwrap();
            let mut power = vec![0.0; 64];
            for window in recording.chunks_exact(128) {
                for (sum, bin) in power.iter_mut().zip(spectrum(window)) {
                    *sum += bin * bin;
                }
            }
            let peak = (0..64).max_by(|&a, &b| power[a].total_cmp(&power[b])).unwrap();
            let hz = (peak + 1) as f64 * 12_000.0 / 128.0;
            let nearest = machine
                .modes()
                .iter()
                .map(|mode| (mode.hz / hz).ln().abs())
                .fold(1.0, f64::min);
            // four standard deviations of a mode's scatter and half a bin at 1 kHz
            assert!(nearest < 0.1, "machine {}: {hz} Hz", machine.name());
        }
    }
}

#[test]
fn load_slows_the_shaft_and_strengthens_impacts_a_little() {
    let (idle, full) = (Machine::a().at_load(0.0).unwrap(), Machine::a().at_load(1.0).unwrap());
    assert!((idle.shaft_hz() * 60.0 - 1797.0).abs() < 1e-9 && (full.shaft_hz() * 60.0 - 1730.0).abs() < 1e-9);
    let at = |machine| level(&simulate(machine, Defect::Outer, 0, 4.0, 0).unwrap());
    let change = at(&full) / at(&idle);
    assert!(change > 1.0 && change < 1.3, "{change}");
}

#[test]
fn load_is_shared_as_stribeck_says() {
    let a = Machine::a();
    assert_eq!(a.load_share(0.0), 1.0);
    assert_eq!(a.load_share(1.0), a.load_share(-1.0));
    assert_eq!(a.load_share(std::f64::consts::PI), 0.0);
    // the zone ends where 1 - cos angle = 2 e
    assert!(a.load_share(1.47) > 0.0 && a.load_share(1.4707) < 1e-3 && a.load_share(1.48) == 0.0);
    assert!(
        Machine::b().load_share(1.0) < a.load_share(1.0),
        "more clearance, a narrower zone"
    );
}

#[test]
fn the_machines_have_the_orders_published_for_their_bearings() {
    // CWRU's table for SKF 6205-2RS and 6203-2RS: BPFI, BPFO, FTF, twice BSF
    for (machine, orders) in [
        (Machine::a(), [5.4152, 3.5848, 0.3983, 4.7135]),
        (Machine::b(), [4.9469, 3.0530, 0.3817, 3.9874]),
    ] {
        let g = machine.geometry();
        for (found, published) in [g.bpfi, g.bpfo, g.ftf, 2.0 * g.bsf].into_iter().zip(orders) {
            assert!((found - published).abs() < 4e-4, "{found} {published}");
        }
    }
}

#[test]
fn the_path_leads_from_a_to_b() {
    let (a, start, b) = (Machine::a(), Machine::between(0.0).unwrap(), Machine::b());
    assert_eq!(Machine::between(1.0).unwrap(), b);
    assert_eq!(
        (start.geometry(), start.shaft_hz(), start.modes()),
        (a.geometry(), a.shaft_hz(), a.modes())
    );
    assert_eq!(start.name(), "B");
    // the same number is another bearing, of the same make
    let of = |machine| simulate(machine, Defect::None, 0, 0.1, 0).unwrap();
    assert_ne!(of(&a), of(&start));
    let steps: Vec<Machine> = (0..=4).map(|k| Machine::between(f64::from(k) / 4.0).unwrap()).collect();
    for pair in steps.windows(2) {
        assert!(pair[1].shaft_hz() < pair[0].shaft_hz());
        assert!(pair[1].geometry().bpfi < pair[0].geometry().bpfi);
        assert!(pair[1].modes()[3].hz < pair[0].modes()[3].hz);
        assert_eq!(
            Unit::draw(&pair[0], Defect::Ball, 3, 7),
            Unit::draw(&pair[1], Defect::Ball, 3, 7)
        );
    }
}

#[test]
fn a_recording_is_a_function_of_its_arguments() {
    let machine = Machine::b();
    let of = |defect, unit, seed| simulate(&machine, defect, unit, 0.5, seed).unwrap();
    let first = of(Defect::Inner, 5, 9);
    assert_eq!(first, of(Defect::Inner, 5, 9));
    for other in [
        of(Defect::Ball, 5, 9),
        of(Defect::Inner, 6, 9),
        of(Defect::Inner, 5, 10),
        of(Defect::Inner, 9, 5),
    ] {
        assert!(other.iter().zip(&first).filter(|(a, b)| a == b).count() < 10);
    }
    let longer = simulate(&machine, Defect::Inner, 5, 1.0, 9).unwrap();
    assert_eq!(
        longer[..first.len()],
        first,
        "a longer recording begins with the shorter one"
    );
}

#[test]
fn what_cannot_be_is_an_error() {
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Machine::between(bad).is_err());
        assert!(Machine::a().at_load(bad).is_err());
    }
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 3601.0] {
        let error = simulate(&Machine::a(), Defect::None, 0, seconds, 0).unwrap_err();
        assert!(error.to_string().contains("duration"), "{error}");
    }
    let breaks: [fn(&mut Unit); 5] = [
        |unit| unit.width_mm = f64::NAN,
        |unit| unit.width_mm = -1.0,
        |unit| unit.cage_slip = 1.0,
        |unit| unit.severity = f64::INFINITY,
        |unit| unit.background = f64::NAN,
    ];
    for break_it in breaks {
        let mut unit = Unit::draw(&Machine::a(), Defect::Inner, 0, 0);
        break_it(&mut unit);
        assert!(unit.record(&Machine::a(), 0.1).is_err());
    }
}

#[test]
fn names_of_defects_read_back() {
    for defect in Defect::ALL {
        assert_eq!(defect.to_string().parse(), Ok(defect));
    }
    assert!("roller".parse::<Defect>().unwrap_err().to_string().contains("ball"));
}

proptest! {
    #[test]
    fn every_recording_is_finite_and_of_the_length_asked_for(
        shift in 0.0..=1.0_f64, load in 0.0..=1.0_f64, defect in 0_usize..4, unit in any::<u64>(), seed in any::<u64>(), seconds in 0.001..0.3_f64,
    ) {
        let machine = Machine::between(shift).unwrap().at_load(load).unwrap();
        let recording = simulate(&machine, Defect::ALL[defect], unit, seconds, seed).unwrap();
        prop_assert_eq!(recording.len(), (seconds * 12_000.0).round() as usize);
        prop_assert!(recording.iter().all(|v| v.is_finite() && v.abs() < 1000.0));
    }
}
