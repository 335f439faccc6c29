//! Shaft speeds and verdicts on the CWRU recordings below `$CROSSRIG_DATA`.
use std::env;
use std::path::{Path, PathBuf};

use signal_conditioning::{
    DefectFamily, DefectOrderAnalyser, DefectOrderParameters, DefectOrderScores, Plateau, RaceRule, ShaftSpeed,
    Verdict, defect_orders, resample, shaft_speed,
};
use signal_domains::{Dataset, OpenOptions, RecordingEntry, load_file};

const RATE_HZ: f64 = 12_000.0;

/// The recordings of both bearings; `None` (said) where there are none and none are required.
fn bearings() -> Option<Dataset> {
    let Some(data) = env::var_os("CROSSRIG_DATA").map(PathBuf::from) else {
        assert!(
            env::var_os("CROSSRIG_REQUIRE_DATA").is_none_or(|v| v != "1"),
            "CROSSRIG_DATA is not set"
        );
        println!("skipped: no data");
        return None;
    };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/cwru-bearings.toml");
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    Some(Dataset::open(&manifest, &options).unwrap())
}

fn samples(entry: &RecordingEntry) -> Vec<f64> {
    entry.load().unwrap().channels.swap_remove(0)
}

fn entry<'a>(dataset: &'a Dataset, file: &str) -> &'a RecordingEntry {
    dataset.recordings.iter().find(|r| r.name() == file).unwrap()
}

#[test]
fn the_speed_of_279_is_1774_rpm_whatever_its_variable_says() {
    let Some(dataset) = bearings() else { return };
    let signal = samples(entry(&dataset, "279.mat"));
    // the load's nominal speed, and the wrong variable
    for nominal_rpm in [1772.0, 1732.0] {
        let ShaftSpeed::Trusted { hz, sum } = shaft_speed(&signal, RATE_HZ, nominal_rpm).unwrap() else {
            panic!("not trusted from {nominal_rpm} rpm")
        };
        assert!((hz * 60.0 - 1774.0).abs() < 1.0, "{} rpm from {nominal_rpm}", hz * 60.0);
        assert!(sum > 80.0);
    }
}

/// The speeds of the reference arrays, exact to the rounding of their grid.
#[test]
fn shaft_speeds_equal_the_reference() {
    let Some(dataset) = bearings() else { return };
    for (file, nominal_rpm, hz, sum) in [
        ("106.mat", 1772.0, 29.530666666666665, 97.0053209888299),
        ("224.mat", 1750.0, 29.201666666666664, 91.72642969669658),
        ("277.mat", 1730.0, 28.87833333333333, 87.9579155341028),
        ("315.mat", 1797.0, 29.921499999999998, 95.90972670221504),
    ] {
        let found = shaft_speed(&samples(entry(&dataset, file)), RATE_HZ, nominal_rpm).unwrap();
        assert!((found.trusted_hz().unwrap() - hz).abs() < 1e-12, "{file}: {found:?}");
        assert!((found.sum() - sum).abs() < 1e-9, "{file}: {found:?}");
    }
}

/// Scores of every 1 s window of a recording, with the speed of the signal or else the manifest's.
fn window_scores(entry: &RecordingEntry, analyser: &mut DefectOrderAnalyser) -> Vec<DefectOrderScores> {
    let signal = samples(entry);
    let nominal_rpm = entry.rpm.unwrap();
    let found = shaft_speed(&signal, RATE_HZ, nominal_rpm).unwrap();
    let shaft_hz = found.trusted_hz().unwrap_or(nominal_rpm / 60.0);
    // the speeds in the manifest are known to be right within 2.5 rpm
    assert!((shaft_hz * 60.0 - nominal_rpm).abs() < 2.5, "{}: {found:?}", entry.file);
    signal
        .chunks_exact(analyser.samples())
        .map(|window| {
            *analyser
                .analyse(window, shaft_hz, &entry.geometry.unwrap())
                .unwrap()
                .scores()
        })
        .collect()
}

/// Windows of a domain with their truth; a ball fault is none of a race.
fn domain(dataset: &Dataset, name: &str) -> Vec<(DefectOrderScores, Verdict)> {
    domain_without(dataset, name, &[])
}

/// The same without some recordings.
fn domain_without(dataset: &Dataset, name: &str, left_out: &[&str]) -> Vec<(DefectOrderScores, Verdict)> {
    let mut analyser = DefectOrderAnalyser::new(DefectOrderParameters::default(), RATE_HZ, 12_000).unwrap();
    let mut windows = Vec::new();
    for entry in dataset.domain(name) {
        if left_out.contains(&entry.name()) {
            continue;
        }
        let truth = match dataset.classes[entry.class.unwrap()].as_str() {
            "inner" => Verdict::InnerRace,
            "outer" => Verdict::OuterRace,
            _ => Verdict::NoRaceFault,
        };
        windows.extend(
            window_scores(entry, &mut analyser)
                .into_iter()
                .map(|scores| (scores, truth)),
        );
    }
    windows
}

/// Macro-F1 in percent of a rule over windows.
fn macro_f1(rule: RaceRule, windows: &[(DefectOrderScores, Verdict)]) -> f64 {
    let classes = [Verdict::InnerRace, Verdict::OuterRace, Verdict::NoRaceFault];
    let f1 = classes.map(|class| {
        let count = |hit: &dyn Fn(bool, bool) -> bool| {
            windows
                .iter()
                .filter(|(scores, truth)| hit(rule.decide(scores) == class, *truth == class))
                .count() as f64
        };
        2.0 * count(&|said, is| said && is) / (count(&|said, _| said) + count(&|_, is| is))
    });
    100.0 * f1.iter().sum::<f64>() / 3.0
}

#[test]
fn the_rule_carries_over_from_one_bearing_to_the_other_as_measured() {
    let Some(dataset) = bearings() else { return };
    let drive_end = domain(&dataset, "drive-end");
    let fan_end = domain(&dataset, "fan-end");
    println!("{} and {} windows", drive_end.len(), fan_end.len());
    // percent: threshold from the source, middle and lower edge of the plateau, and 0.30
    for (source, target, measured) in [
        (&drive_end, &fan_end, [83.4, 83.3, 83.1]),
        (&fan_end, &drive_end, [86.8, 84.5, 86.5]),
    ] {
        let plateau: Plateau = RaceRule::fit(source).unwrap();
        let rules = [plateau.middle(), plateau.lower_edge(), RaceRule::default()];
        let found = rules.map(|rule| macro_f1(rule, target));
        println!("{plateau:?}: {found:.2?}, measured {measured:?}");
        for (found, measured) in found.into_iter().zip(measured) {
            assert!((found - measured).abs() < 0.5, "{found}, measured {measured}");
        }
    }
}

#[test]
fn a_healthy_motor_raises_no_alarm() {
    let Some(dataset) = bearings() else { return };
    let healthy = entry(&dataset, "105.mat")
        .path
        .clone()
        .unwrap()
        .with_file_name("97.mat");
    let mut analyser = DefectOrderAnalyser::new(DefectOrderParameters::default(), RATE_HZ, 12_000).unwrap();
    let mut largest = f64::NEG_INFINITY;
    for (variable, like) in [("X097_DE_time", "105.mat"), ("X097_FE_time", "278.mat")] {
        // this one is of 48 kHz
        let signal = load_file(&healthy, &[variable.to_owned()])
            .unwrap()
            .channels
            .swap_remove(0);
        let signal = resample(&signal, 48_000.0, RATE_HZ).unwrap();
        let shaft_hz = shaft_speed(&signal, RATE_HZ, 1797.0).unwrap().trusted_hz().unwrap();
        assert!((shaft_hz * 60.0 - 1796.0).abs() < 1.0);
        for window in signal.chunks_exact(analyser.samples()) {
            let geometry = entry(&dataset, like).geometry.unwrap();
            let scores = analyser.analyse(window, shaft_hz, &geometry).unwrap().scores();
            assert_eq!(RaceRule::default().decide(scores), Verdict::NoRaceFault);
            let races = [DefectFamily::InnerRace, DefectFamily::OuterRace].map(|f| scores.get(f).z);
            largest = races.into_iter().fold(largest, f64::max);
        }
    }
    // measured with another low-pass: 0.22
    assert!((largest - 0.22).abs() < 0.05, "{largest}");
}

/// Single recordings of the data set that the manifest leaves out.
#[test]
fn a_recording_without_a_speed_variable_tells_it_and_one_too_short_does_not() {
    let Some(dataset) = bearings() else { return };
    let speed = |file: &str, variable: &str, rate_hz: f64, nominal_rpm: f64| {
        let path = entry(&dataset, "105.mat").path.clone().unwrap().with_file_name(file);
        let signal = load_file(&path, &[variable.to_owned()])
            .unwrap()
            .channels
            .swap_remove(0);
        shaft_speed(&signal, rate_hz, nominal_rpm).unwrap()
    };
    let found = speed("3001.mat", "X056_DE_time", RATE_HZ, 1797.0);
    assert!((found.trusted_hz().unwrap() * 60.0 - 1796.0).abs() < 1.0, "{found:?}");
    let found = speed("174.mat", "X173_DE_time", 48_000.0, 1796.0);
    assert!(matches!(found, ShaftSpeed::Untrusted { .. }), "{found:?}");
}

/// What an engineer reads of one second of a recording of each fault, and of the healthy motor.
#[test]
fn the_evidence_of_a_recording_names_the_damaged_race() {
    let Some(dataset) = bearings() else { return };
    let parameters = DefectOrderParameters::default();
    let evidence = |file: &str| {
        let entry = entry(&dataset, file);
        let signal = samples(entry);
        let speed = shaft_speed(&signal, RATE_HZ, entry.rpm.unwrap()).unwrap();
        let window = &signal[12_000..24_000];
        let geometry = &entry.geometry.unwrap();
        defect_orders(window, RATE_HZ, speed.trusted_hz().unwrap(), geometry, &parameters)
            .unwrap()
            .evidence()
    };
    for (file, family, sidebands) in [
        ("105.mat", DefectFamily::InnerRace, true),
        ("209.mat", DefectFamily::InnerRace, true),
        ("130.mat", DefectFamily::OuterRace, false),
        ("278.mat", DefectFamily::InnerRace, true),
        ("315.mat", DefectFamily::OuterRace, false),
    ] {
        let found = evidence(file);
        println!("{file}\n{found}\n");
        assert!(found.to_string().starts_with(family.part()), "{file}:\n{found}");
        let named = found.get(family);
        assert!(
            named.standing().count() >= 3 && named.harmonics_db().unwrap() > 8.0,
            "{file}:\n{found}"
        );
        assert!(named.sidebands_db().is_some() || !sidebands, "{file}:\n{found}");
    }
    // a damaged ball leaves no lines on the races
    let found = evidence("118.mat");
    println!("118.mat\n{found}");
    for family in [DefectFamily::InnerRace, DefectFamily::OuterRace] {
        assert!(found.get(family).standing().count() <= 1, "{found}");
    }
}

/// What verdicts are worth: how many that name a race are right, how many race faults that leave a signature are named
/// right, how many windows of a ball fault are called a race, and how many windows get a race at all.
///
/// Wanted are 97 % right, 96 % of the faults found and 2 % of balls called a race, both ways. 0.36 gives that. The middle of
/// the source's plateau falls short in one number each way: 96.5 % right from drive end to fan end, where the plateau is
/// 0.002 wide, and 3.3 % of balls from fan end to drive end.
#[test]
fn verdicts_that_name_a_race_are_right_as_often_as_measured() {
    let Some(dataset) = bearings() else { return };
    // no signature of the outer race in these
    let silent = [
        "197.mat", "198.mat", "199.mat", "200.mat", "298.mat", "299.mat", "300.mat", "301.mat", "302.mat", "305.mat",
        "306.mat", "307.mat",
    ];
    let drive_end = domain(&dataset, "drive-end");
    let fan_end = domain(&dataset, "fan-end");
    let audible = |name: &str| domain_without(&dataset, name, &silent);
    // percent: precision and coverage of race verdicts, race faults with a signature named right, balls called a race;
    // at the threshold of the source, and at 0.36, which the reference took for the first of both
    for (source, target, audible, measured) in [
        (
            &drive_end,
            &fan_end,
            audible("fan-end"),
            [[96.5, 57.6, 100.0, 0.0], [97.3, 57.0, 100.0, 0.0]],
        ),
        (
            &fan_end,
            &drive_end,
            audible("drive-end"),
            [[98.0, 55.6, 98.0, 3.3], [99.5, 54.2, 97.0, 0.8]],
        ),
    ] {
        let rules = [RaceRule::fit(source).unwrap().middle(), RaceRule::new(0.36).unwrap()];
        for (rule, measured) in rules.into_iter().zip(measured) {
            let found = worth(rule, target, &audible);
            println!("tau {:.4}: {found:.2?}, measured {measured:?}", rule.tau());
            assert!(found.into_iter().zip(measured).all(|(f, m)| (f - m).abs() < 0.5));
        }
    }
}

/// In percent: race verdicts that are right, windows that get one, race faults of `audible` that are named right, ball
/// faults that are called a race.
fn worth(
    rule: RaceRule,
    target: &[(DefectOrderScores, Verdict)],
    audible: &[(DefectOrderScores, Verdict)],
) -> [f64; 4] {
    type Window = (DefectOrderScores, Verdict);
    let share = |windows: &[Window], of: &dyn Fn(&Window) -> bool, hit: &dyn Fn(&Window) -> bool| {
        let of: Vec<&Window> = windows.iter().filter(|w| of(w)).collect();
        100.0 * of.iter().filter(|w| hit(w)).count() as f64 / of.len() as f64
    };
    let names_race = |w: &Window| rule.decide(&w.0) != Verdict::NoRaceFault;
    let right = |w: &Window| rule.decide(&w.0) == w.1;
    let race_fault = |w: &Window| w.1 != Verdict::NoRaceFault;
    [
        share(target, &names_race, &right),
        share(target, &|_| true, &names_race),
        share(audible, &race_fault, &right),
        share(target, &|w| !race_fault(w), &names_race),
    ]
}
