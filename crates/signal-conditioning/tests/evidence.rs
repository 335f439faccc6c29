//! The evidence names the lines that were put into a signal, and no others.
use signal_conditioning::{
    DefectFamily, DefectOrderParameters, Evidence, Geometry, Modulation, Overlap, STANDING_DB, defect_orders,
};

mod common;
use common::noise;

const RATE_HZ: f64 = 12_000.0;
const SHAFT_HZ: f64 = 29.53;

fn geometry_6205() -> Geometry {
    Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap()
}

/// Impacts `impact_hz` times a second on a 3 kHz resonance, their strength `1 + depth cos` of the phase at
/// `modulation_hz`, in noise of standard deviation `noise_level`.
fn impacts(impact_hz: f64, modulation_hz: f64, depth: f64, noise_level: f64, seed: u64) -> Vec<f64> {
    let mut signal = noise(12_000, seed);
    for value in &mut signal {
        *value *= noise_level;
    }
    let count = impact_hz.floor() as usize;
    for impact in 0..count {
        let at = impact as f64 / impact_hz;
        let strength = 1.0 + depth * (std::f64::consts::TAU * modulation_hz * at).cos();
        let first = (at * RATE_HZ).ceil() as usize;
        for (i, value) in signal.iter_mut().enumerate().skip(first).take(120) {
            let since = i as f64 / RATE_HZ - at;
            *value += strength * (-since / 0.001).exp() * (std::f64::consts::TAU * 3000.0 * since).sin();
        }
    }
    signal
}

fn evidence(signal: &[f64], geometry: &Geometry) -> Evidence {
    let parameters = DefectOrderParameters::default();
    defect_orders(signal, RATE_HZ, SHAFT_HZ, geometry, &parameters)
        .unwrap()
        .evidence()
}

#[test]
fn an_inner_race_fault_shows_its_harmonics_and_sidebands_at_shaft_speed() {
    let geometry = geometry_6205();
    let impact_hz = 0.99 * geometry.bpfi * SHAFT_HZ;
    let found = evidence(&impacts(impact_hz, SHAFT_HZ, 0.9, 0.1, 1), &geometry);
    let inner = found.get(DefectFamily::InnerRace);
    println!("{found}");
    assert!((inner.hz - impact_hz).abs() < 0.002 * impact_hz);
    assert!(inner.standing().map(|h| h.number).take(3).eq(1..=3) && inner.standing().count() >= 6);
    for (harmonic, number) in inner.harmonics.iter().zip(1..) {
        let hz = f64::from(number) * impact_hz;
        assert!((harmonic.line.hz - hz).abs() <= 0.001 * hz + 1.0, "{harmonic:?}");
        let spacings = harmonic.sidebands.iter().map(|s| (s.hz - harmonic.line.hz).abs());
        assert!(spacings.into_iter().all(|spacing| (spacing - SHAFT_HZ).abs() <= 1.0));
    }
    assert!(inner.sidebands_db().unwrap() > STANDING_DB);
    let words = inner.to_string();
    let start = "inner race: harmonics 1-";
    assert!(
        words.starts_with(start) && words.contains(" dB above background, sidebands at shaft speed"),
        "{words}"
    );
    // the highest score speaks first
    assert!(found.to_string().starts_with(start));
}

#[test]
fn impacts_of_equal_strength_show_no_sidebands() {
    let geometry = geometry_6205();
    let found = evidence(&impacts(geometry.bpfo * SHAFT_HZ, SHAFT_HZ, 0.0, 0.1, 2), &geometry);
    let outer = found.get(DefectFamily::OuterRace);
    println!("{found}");
    assert!(outer.standing().count() >= 6 && outer.sidebands_db().is_none());
    assert!(outer.to_string().starts_with("outer race: harmonics 1-"));
    assert!(!outer.to_string().contains("sidebands"));
}

#[test]
fn a_fault_of_a_rolling_element_shows_sidebands_at_cage_speed() {
    let geometry = geometry_6205();
    let cage_hz = geometry.ftf * SHAFT_HZ;
    let signal = impacts(geometry.ball_impact() * SHAFT_HZ, cage_hz, 0.9, 0.03, 3);
    let found = evidence(&signal, &geometry);
    let ball = found.get(DefectFamily::RollingElement);
    println!("{found}");
    assert_eq!(ball.modulation, Modulation::Cage);
    assert!(ball.sidebands_db().unwrap() > STANDING_DB);
    assert!(ball.to_string().contains(", sidebands at cage speed"));
}

/// At a slip of -1.7 % the even harmonics of the inner race of a 6205 lie on every third of the outer race.
#[test]
fn lines_of_the_family_that_scores_higher_are_not_claimed_by_another() {
    let geometry = geometry_6205();
    let signal = impacts(0.99 * geometry.bpfo * SHAFT_HZ, SHAFT_HZ, 0.0, 0.1, 4);
    let found = evidence(&signal, &geometry);
    println!("{found}");
    let inner = found.get(DefectFamily::InnerRace);
    assert!(inner.z > 0.3, "the case must be there to be tested: {}", inner.z);
    let shared = inner
        .harmonics
        .iter()
        .filter(|h| h.line.overlap == Some(Overlap::Family(DefectFamily::OuterRace)));
    assert!(shared.count() >= 2);
    assert_eq!(inner.standing().count(), 0);
    let words = inner.to_string();
    assert!(
        words.contains("no harmonic of its own") && words.contains("also lines of the outer race"),
        "{words}"
    );
    assert!(
        found
            .get(DefectFamily::OuterRace)
            .harmonics
            .iter()
            .all(|h| !matches!(h.line.overlap, Some(Overlap::Family(_))))
    );
}

#[test]
fn a_line_on_a_multiple_of_the_shaft_speed_is_not_counted() {
    // first harmonic of the inner race on the fifth of the shaft
    let geometry = Geometry::from_factors(5.0, 3.31, 1.873, 0.38).unwrap();
    let found = evidence(&impacts(5.0 * SHAFT_HZ, SHAFT_HZ, 0.0, 0.1, 5), &geometry);
    let inner = found.get(DefectFamily::InnerRace);
    println!("{found}");
    // at slip 0 they all lie on the shaft's; the score looks beside them, where nothing is
    let own = inner.harmonics.iter().filter(|h| h.line.db > 15.0);
    assert!(own.into_iter().all(|h| h.line.overlap == Some(Overlap::Shaft)));
    // the lines are there to be seen in the plot
    let bin = (5.0 * SHAFT_HZ / found.bin_hz).round() as usize;
    assert!(found.spectrum_db[bin] > 15.0);
}

#[test]
fn noise_shows_next_to_nothing() {
    let geometry = geometry_6205();
    let mut standing = 0;
    for seed in 0..20 {
        let found = evidence(&noise(12_000, 100 + seed), &geometry);
        for family in &found.families {
            standing += family.standing().count();
            assert!(family.sidebands_db().is_none());
        }
        let powers = found.spectrum_db.iter().map(|db| 10f64.powf(db / 10.0));
        let mean = powers.sum::<f64>() / found.spectrum_db.len() as f64;
        assert!((mean - 1.0).abs() < 0.1, "{mean} of the background's power");
    }
    // of 20 x 3 x 8 harmonics, each a bin of noise but for the search over slips
    assert!(standing <= 1, "{standing}");
}

/// Windows so short that a sideband lies in the main lobe of its harmonic read none.
#[test]
fn sidebands_that_cannot_be_resolved_are_left_out() {
    let geometry = geometry_6205();
    let signal = impacts(geometry.bpfi * SHAFT_HZ, SHAFT_HZ, 0.9, 0.1, 6);
    let parameters = DefectOrderParameters::default();
    let short = defect_orders(&signal[..1000], RATE_HZ, SHAFT_HZ, &geometry, &parameters).unwrap();
    let found = short.evidence();
    let sidebands = |family| {
        found
            .get(family)
            .harmonics
            .iter()
            .map(|h| h.sidebands.len())
            .sum::<usize>()
    };
    assert_eq!(sidebands(DefectFamily::InnerRace), 0);
    assert_eq!(found.spectrum_db.len(), 126);
}
