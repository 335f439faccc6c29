//! Real recordings below `$CROSSRIG_DATA`, and the committed manifests.

mod common;

use std::path::PathBuf;

use common::{data, manifest};
use signal_domains::{
    Attribute, Dataset, Family, Fractions, Item, LabelledItem, OpenOptions, Part, ReadOptions, SignalFile, SplitKind,
    SplitPlan, list_variables, load_file, split_source, split_target,
};

fn open(name: &str, data_root: Option<PathBuf>) -> Dataset {
    Dataset::open(
        &manifest(name),
        &OpenOptions {
            data_root,
            ..OpenOptions::default()
        },
    )
    .unwrap()
}

#[test]
fn the_committed_manifests_are_well_formed_without_any_data() {
    let cwru = open("cwru.toml", None);
    assert_eq!(cwru.domains(), ["load0", "load1", "load2", "load3"]);
    assert_eq!((cwru.classes.len(), cwru.recordings.len()), (10, 40));
    assert_eq!(
        cwru.families[..4],
        [
            Some(Family::Healthy),
            Some(Family::InnerRace),
            Some(Family::RollingElement),
            Some(Family::OuterRace)
        ]
    );
    for r in &cwru.recordings {
        let normal = r.class == Some(0);
        assert_eq!(r.rate_hz, Some(if normal { 48000.0 } else { 12000.0 }));
        assert_eq!(
            r.unit.as_deref(),
            r.class.map(|c| &*cwru.classes[c]),
            "one bearing a class, for all loads"
        );
        assert!(r.geometry.is_some_and(|g| (g.bsf - 2.3567).abs() < 1e-3));
        assert_eq!(r.sha256.is_empty(), ["98.mat", "99.mat", "100.mat"].contains(&r.name()));
    }
    let bearings = open("cwru-bearings.toml", None);
    assert_eq!(
        (bearings.domains(), bearings.classes.join(" ")),
        (vec!["drive-end", "fan-end"], "ball inner outer".into())
    );
    let count = |d: &str| bearings.class_counts(d).into_values().collect::<Vec<_>>();
    assert_eq!(
        (count("drive-end"), count("fan-end")),
        (vec![12, 12, 12], vec![12, 12, 21])
    );
}

#[test]
fn every_recording_of_the_manifests_that_is_there_is_the_one_stated_and_reads() {
    let Some(data) = data() else { return };
    for (name, present) in [("cwru.toml", 37), ("cwru-bearings.toml", 81)] {
        let dataset = open(name, Some(data.clone()));
        assert_eq!(dataset.warnings, Vec::<String>::new());
        let there: Vec<_> = dataset.recordings.iter().filter(|r| r.path.is_some()).collect();
        assert_eq!(there.len(), present);
        for entry in there {
            let recording = entry.load().unwrap();
            let scan = recording.scan();
            assert_eq!((scan.fault(), scan.remark()), (None, None), "{}", entry.file);
            assert!((120_000..244_000).contains(&recording.len()) && recording.channels.len() == 1);
            let end = if entry.domain == "fan-end" {
                "_FE_time"
            } else {
                "_DE_time"
            };
            assert!(recording.names[0].ends_with(end));
        }
    }
}

/// Rate, lengths and number of channels of each manifest's recordings, all of which are there.
#[test]
fn every_other_committed_manifest_loads_whole() {
    let Some(data) = data() else { return };
    for (name, rate, recordings, samples, channels) in [
        ("cwru-instances.toml", Some(12_000.0), 36, 120_000..124_000, 1),
        ("hit-sm.toml", Some(51_200.0), 18, 65_536..65_537, 1),
        ("hit-sm-speeds.toml", Some(51_200.0), 18, 65_536..65_537, 1),
        ("mfpt.toml", Some(48_828.0), 4, 146_484..146_485, 1),
        ("gearbox.toml", None, 8, 24_576..24_577, 4),
        ("ligo.toml", Some(4096.0), 2, 131_072..131_073, 1),
        ("spoken-digits.toml", Some(8000.0), 90, 1556..6624, 1),
    ] {
        let dataset = open(name, Some(data.clone()));
        assert_eq!(dataset.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(dataset.recordings.len(), recordings, "{name}");
        for entry in &dataset.recordings {
            assert!(!entry.sha256.is_empty(), "{}", entry.file);
            let recording = entry.load().unwrap();
            assert_eq!(recording.scan().fault(), None, "{}", entry.file);
            assert_eq!(
                (recording.rate_hz, recording.channels.len()),
                (rate, channels),
                "{}",
                entry.file
            );
            assert!(samples.contains(&recording.len()), "{} {}", entry.file, recording.len());
        }
    }
    let count = |name: &str| {
        let dataset = open(name, None);
        let domains: Vec<String> = dataset.domains().iter().map(|d| (*d).to_owned()).collect();
        let counts: Vec<Vec<usize>> = domains
            .iter()
            .map(|d| dataset.class_counts(d).into_values().collect())
            .collect();
        (domains.join(" "), counts)
    };
    let three = |n| vec![vec![n; 3]; 3];
    assert_eq!(
        count("cwru-instances.toml"),
        ("size-007 size-014 size-021".into(), three(4))
    );
    assert_eq!(count("hit-sm.toml"), ("mfs self_built".into(), vec![vec![3; 3]; 2]));
    let (speeds, counts) = count("hit-sm-speeds.toml");
    assert_eq!((speeds.split(' ').count(), counts), (3, three(2)));
    assert_eq!(count("spoken-digits.toml").1, vec![vec![3; 10]; 3]);
}

/// Of the struct in MFPT's files: what the file says beside the signal.
#[test]
fn the_text_in_a_struct_is_shown_and_its_signal_is_what_the_struct_states() {
    let Some(data) = data() else { return };
    let path = data.join("mfpt/InnerRaceFault_vload_7.mat");
    let variables = list_variables(&path).unwrap();
    let load = variables.iter().find(|v| v.name == "bearing.load").unwrap();
    assert_eq!(load.attributes["text"], Attribute::Text("300".into()));
    let read = |key: &str| load_file(&path, &[key.to_owned()]).unwrap().channels.swap_remove(0);
    assert_eq!((read("bearing.sr"), read("bearing.rate")), (vec![48_828.0], vec![25.0]));
    // the standard deviation that the data's description gives
    let gs = read("bearing.gs");
    let mean = gs.iter().sum::<f64>() / gs.len() as f64;
    let variance = gs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / gs.len() as f64;
    assert!((variance.sqrt() - 1.9590).abs() < 1e-4, "{}", variance.sqrt());
}

/// Values as MATLAB shows them are not at hand; `SciPy`'s of 97.mat, plain MAT, and 118.mat, compressed, are.
#[test]
fn samples_of_official_and_trimmed_files_equal_scipys() {
    let Some(data) = data() else { return };
    for (file, key, expected) in [
        ("original/97.mat", "X097_DE_time", SCIPY_97),
        ("drive_end_12k/118.mat", "*_FE_time", SCIPY_118),
        ("fan_end_12k/270.mat", "*", SCIPY_270),
    ] {
        let recording = load_file(&data.join("cwru").join(file), &[key.to_owned()]).unwrap();
        let x = &recording.channels[0];
        assert_eq!((x.len(), x[0], x[x.len() / 2], x[x.len() - 1]), expected, "{file}");
    }
}

#[test]
fn variables_of_an_official_file_are_listed() {
    let Some(data) = data() else { return };
    let listed: Vec<String> = list_variables(&data.join("cwru/original/278.mat"))
        .unwrap()
        .iter()
        .map(|v| format!("{} {:?} {}", v.name, v.shape, v.kind))
        .collect();
    // arrays of doubles all, though MATLAB stored `i` and the speed as 16-bit integers
    let expected = [
        "i [1, 10000] float64",
        "X278_DE_time [121535, 1] float64",
        "X278_FE_time [121535, 1] float64",
        "X278_BA_time [121535, 1] float64",
        "X278RPM [1, 1] float64",
    ];
    assert_eq!(listed, expected);
}

#[test]
fn other_instruments_files_are_read() {
    let Some(data) = data() else { return };
    let gearbox = load_file(&data.join("gearbox/h30hz0.csv"), &["a1".into(), "a4".into()]).unwrap();
    assert_eq!((gearbox.channels.len(), gearbox.len()), (2, 24_576));
    let dialect = gearbox.dialect.unwrap().to_string();
    assert_eq!(dialect, "read as 4 columns set apart by commas, a header line");
    let strain = load_file(
        &data.join("ligo/H-H1_LOSC_4_V2-1126259446-32.hdf5"),
        &["strain/Strain".into()],
    )
    .unwrap();
    assert_eq!((strain.len(), strain.scan().fault()), (131_072, None));
    let rig = load_file(&data.join("hit_sm/mfs/IR5_600.mat"), &[]).unwrap();
    assert_eq!((rig.len(), &*rig.names[0]), (65_536, "z10_2"));
    let nested = list_variables(&data.join("mfpt/InnerRaceFault_vload_1.mat")).unwrap();
    assert!(nested.iter().any(|v| v.kind == "struct" && !v.numeric), "{nested:?}");
}

/// The windows on which the published numbers stand: 119 of 1024 a recording, four fifths for training.
#[test]
fn splits_of_a_load_have_the_windows_of_the_published_comparison() {
    let Some(data) = data() else { return };
    let dataset = open("cwru.toml", Some(data));
    let faults: Vec<_> = dataset
        .domain("load3")
        .into_iter()
        .filter(|r| r.class != Some(0))
        .collect();
    let lengths: Vec<usize> = faults.iter().map(|r| r.load().unwrap().len()).collect();
    let item = |i: usize| Item {
        file: &faults[i].file,
        unit: faults[i].unit.as_deref(),
        samples: lengths[i],
        windows: None,
    };
    let labelled: Vec<LabelledItem<'_>> = (0..faults.len())
        .map(|i| LabelledItem {
            item: item(i),
            class: faults[i].class.unwrap(),
        })
        .collect();
    let fractions = Fractions::new(0.8, 0.0, 0.2).unwrap();
    let plan = SplitPlan {
        kind: SplitKind::Windows,
        fractions,
        window: 1024,
        hop: 1024,
        seed: 0,
    };
    let split = split_source("load3", &labelled, &plan).unwrap();
    assert_eq!(split.all().len(), lengths.iter().map(|n| n / 1024).sum::<usize>());
    let items: Vec<Item<'_>> = (0..faults.len()).map(item).collect();
    let test = split_target("load3", &items, &plan).unwrap().count(Part::Test);
    // one window is 0.47 points there: about 213 test windows
    assert!((205..=220).contains(&test), "{test}");
    // a recording a class and load: only blocks and windows can split them
    let plan = SplitPlan {
        kind: SplitKind::Recordings,
        ..plan
    };
    assert!(
        split_source("load3", &labelled, &plan)
            .unwrap_err()
            .to_string()
            .contains("blocks")
    );
}

#[rustfmt::skip]
const SCIPY_97: (usize, f64, f64, f64) = (243938, 0.05319692307692307, -0.02586830769230769, 0.04693846153846153);

#[rustfmt::skip]
const SCIPY_118: (usize, f64, f64, f64) = (122571, -0.24716181818181818, -0.11731454545454545, -0.16806181818181817);

#[rustfmt::skip]
const SCIPY_270: (usize, f64, f64, f64) = (121168, 0.7731254545454544, -0.25784545454545454, -0.40906);

#[test]
fn real_tdms_files_are_read_as_nptdms_reads_them_and_the_broken_one_is_an_error_with_its_place() {
    let Some(data) = data() else { return };
    // channels, samples, and the sum over all of sample i times (i mod 97) + 1, by npTDMS 1.13 in this order
    for (name, channels, samples, sum) in [
        ("good_tdms_1.tdms", 8, 144_000, -821.292_830_067_429_9),
        ("good_tdms_2.tdms", 24, 120_391, 4_134_716.553_869_66),
    ] {
        let file = SignalFile::open(&data.join("tdms").join(name), &ReadOptions::default()).unwrap();
        let (mut found, mut total) = ((0, 0), 0.0);
        for (index, variable) in file.variables().iter().enumerate().filter(|(_, v)| v.numeric) {
            let values = file.read(index).unwrap().swap_remove(0);
            found = (found.0 + 1, found.1 + values.len());
            for (i, v) in values.iter().enumerate() {
                total += v * (i % 97 + 1) as f64;
            }
            if variable.name.starts_with("acceleration/") {
                let rate = if name == "good_tdms_1.tdms" { 30.0 } else { 250.0 };
                assert_eq!((variable.rate_hz, variable.unit.as_deref()), (Some(rate), Some("g")));
            }
        }
        assert_eq!((found, total), ((channels, samples), sum), "{name}");
    }
    for entry in &open("tdms.toml", Some(data.clone())).recordings {
        let recording = entry.load().unwrap();
        let (rate, samples) = if entry.domain == "tower" {
            (30.0, 18_000)
        } else {
            (250.0, 15_000)
        };
        assert_eq!(
            (recording.rate_hz, recording.len()),
            (Some(rate), samples),
            "{}",
            entry.file
        );
    }
    let message = list_variables(&data.join("tdms/faulty_tdms_01.tdms"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("byte ") && message.contains("expected 54 44 53 6d"),
        "{message}"
    );
}
