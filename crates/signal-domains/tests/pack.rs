//! A packed data set is the data set: the same recordings, labels and bits, in one file that others read too.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{data, folder, manifest};
use signal_domains::{
    Cut, Dataset, Error, Fractions, Item, OpenOptions, PackFormat, Part, RecordingEntry, SplitKind, SplitPlan,
    list_variables, pack, pack_as, pack_windows, split_target,
};

fn open(path: &Path) -> Dataset {
    Dataset::open(path, &OpenOptions::default()).unwrap()
}

/// Everything that is said of a recording, but where it is and how its file is read.
fn told(dataset: &Dataset, r: &RecordingEntry) -> String {
    let class = r.class.map(|c| (dataset.classes[c].as_str(), dataset.families[c]));
    let channels: Vec<&str> = r.channels.iter().map(|c| c.name.as_str()).collect();
    format!(
        "{} {} {class:?} {:?} {:?} {:?} {:?} {channels:?} {}",
        r.domain,
        r.file,
        r.unit,
        r.rpm,
        r.geometry,
        r.attributes,
        r.name()
    )
}

fn bits(channels: &[Vec<f64>]) -> Vec<Vec<u64>> {
    channels
        .iter()
        .map(|c| c.iter().map(|x| x.to_bits()).collect())
        .collect()
}

/// Both say and hold the same.
fn assert_same(original: &Dataset, packed: &Dataset) {
    assert_eq!(
        (&original.name, &original.source, &original.licence, &original.classes),
        (&packed.name, &packed.source, &packed.licence, &packed.classes)
    );
    assert_eq!(original.recordings.len(), packed.recordings.len());
    for (a, b) in original.recordings.iter().zip(&packed.recordings) {
        assert_eq!(told(original, a), told(packed, b));
        let (a, b) = (a.load().unwrap(), b.load().unwrap());
        assert_eq!(bits(&a.channels), bits(&b.channels), "{:?}", a.names);
        assert_eq!(
            (&a.names, &a.units, a.rate_hz, a.rpm, &a.sha256),
            (&b.names, &b.units, b.rate_hz, b.rpm, &b.sha256)
        );
    }
}

const LAB: &str = r#"
[dataset]
name = "Lab"
source = "bench 3"
licence = "CC0"
rate_hz = 1000
classes = ["worn", "good", "unseen"]
channels = [{ name = "a/x", key = "x*" }, { name = "y", key = "y" }]
[class.worn]
family = "BPFI"
[geometry.small]
bpfi = 5.4152
bpfo = 3.5848
bsf = 2.3567
ftf = 0.39828
[[recording]]
file = "rig/one.csv"
domain = "p"
class = "good"
unit = "bearing 3"
rpm = 1797
geometry = "small"
attributes = { size = 0.007, new = true, used = false, note = "Größe" }
[[recording]]
file = "rig_one.csv"
domain = "p"
[[recording]]
file = "rig/one.csv"
domain = "q/r"
class = "worn"
channels = [{ name = "*", key = "y" }]
"#;

#[test]
fn every_key_class_channel_and_bit_of_a_data_set_comes_back() {
    let folder = folder(&[
        ("rig/one.csv", "x [g],y\n1,0.1\n-0.0,nan\n3e300,1e-310\n"),
        ("rig_one.csv", "x,y\n1,5\n2,-32768\n3,32767\n4,0\n"),
        ("m.toml", LAB),
    ]);
    let original = open(&folder.path().join("m.toml"));
    let out = folder.path().join("lab.h5");
    let mut counts = Vec::new();
    let packed = pack(&original, &out, &mut |done| counts.push(done)).unwrap();
    assert_eq!((packed.recordings, packed.samples), (3, 3 * 2 + 4 * 2 + 3));
    assert_eq!(packed.bytes, fs::metadata(&out).unwrap().len());
    assert_eq!(counts, [1, 2, 3]);
    assert_same(&original, &open(&out));
    // in the narrowest type that loses nothing, under names that people can read
    let kinds: Vec<(String, String)> = list_variables(&out)
        .unwrap()
        .into_iter()
        .filter(|v| v.numeric)
        .map(|v| (v.name, v.kind))
        .collect();
    let kind = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    assert_eq!(
        kinds,
        [
            kind("recordings/p/rig_one.csv/a_x", "float64"),
            kind("recordings/p/rig_one.csv/y", "float64"),
            kind("recordings/p/rig_one.csv~2/a_x", "int16"),
            kind("recordings/p/rig_one.csv~2/y", "int16"),
            kind("recordings/q_r/rig_one.csv/y", "float64"),
        ]
    );
    // channels are chosen as from the original
    let options = OpenOptions {
        channels: Some(vec!["y".into()]),
        ..OpenOptions::default()
    };
    let chosen = Dataset::open(&out, &options).unwrap();
    assert_eq!(
        chosen.recordings[1].load().unwrap().channels,
        [[5.0, -32768.0, 32767.0, 0.0]]
    );
    assert!(
        chosen.recordings[2]
            .load()
            .unwrap_err()
            .to_string()
            .contains("no channel \"y\"")
    );
}

#[test]
fn a_failed_pack_leaves_nothing_and_a_file_that_is_there_is_kept() {
    let folder = folder(&[("p/good/1.csv", "1\n2\n3\n"), ("p/good/2.csv", "a,b\n1,2\n3,oops,4\n")]);
    let mut dataset = open(folder.path());
    let out = folder.path().join("out.h5");
    assert!(pack(&dataset, &out, &mut |_| {}).is_err());
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["p"], "neither the file nor a part of it");
    dataset.recordings.truncate(1);
    fs::write(&out, "precious").unwrap();
    let message = pack(&dataset, &out, &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("is there already"), "{message}");
    assert_eq!(fs::read(&out).unwrap(), b"precious");
    dataset.recordings[0]
        .attributes
        .insert("essay".into(), signal_domains::Attribute::Text("x".repeat(513)));
    let message = pack(&dataset, &folder.path().join("b.h5"), &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("attributes.essay is a text of more than 512"),
        "{message}"
    );
    dataset.recordings.clear();
    assert!(matches!(
        pack(&dataset, &out.with_extension("new"), &mut |_| {}),
        Err(Error::Argument(_))
    ));
}

#[test]
fn hdf5_files_that_are_no_data_set_say_what_to_do() {
    let path = common::fixture("numbers.h5");
    let message = Dataset::open(&path, &OpenOptions::default()).unwrap_err().to_string();
    assert!(
        message.contains("none that `pack` wrote") && message.contains("manifest"),
        "{message}"
    );
    let folder = folder(&[("p/good/1.csv", "1\n2\n3\n")]);
    let out = folder.path().join("out.h5");
    pack(&open(folder.path()), &out, &mut |_| {}).unwrap();
    for options in [
        OpenOptions {
            key: Some("x".into()),
            ..OpenOptions::default()
        },
        OpenOptions {
            root: Some(folder.path().into()),
            ..OpenOptions::default()
        },
    ] {
        let message = Dataset::open(&out, &options).unwrap_err().to_string();
        assert!(message.contains("neither a root nor a key"), "{message}");
    }
    // a rate for those that have none is taken
    let options = OpenOptions {
        rate_hz: Some(50.0),
        ..OpenOptions::default()
    };
    let entry = Dataset::open(&out, &options).unwrap().recordings.remove(0);
    assert_eq!((entry.rate_hz, entry.load().unwrap().rate_hz), (Some(50.0), Some(50.0)));
}

/// Any change is an error or changes what is read; none is a panic. Samples are under a checksum.
#[test]
fn a_damaged_pack_is_an_error_and_no_panic() {
    let folder = folder(&[("p/good/1.csv", "1.5\n2\n3\n"), ("p/worn/2.csv", "4\n5\n6\n")]);
    let out = folder.path().join("out.h5");
    pack(&open(folder.path()), &out, &mut |_| {}).unwrap();
    damage(&out, 600);
}

/// Changes bytes of a pack, some `times` of them, alone and at its new end: each must be an error or be read.
fn damage(pack: &Path, times: usize) {
    let sound = fs::read(pack).unwrap();
    let path = pack.with_file_name("damaged");
    let mut read = 0;
    for at in (0..sound.len()).step_by(sound.len() / times + 1) {
        for cut in [false, true] {
            let mut bytes = sound.clone();
            bytes[at] ^= 0xff;
            if cut {
                bytes.truncate(at);
            }
            fs::write(&path, bytes).unwrap();
            if let Ok(dataset) = Dataset::open(&path, &OpenOptions::default()) {
                read += dataset.recordings.iter().filter(|r| r.load().is_ok()).count();
            }
        }
    }
    assert!(read > 0, "bytes that mean nothing change nothing");
}

#[test]
fn cwru_packed_gives_bit_equal_windows() {
    let Some(data) = data() else { return };
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    let mut original = Dataset::open(&manifest("cwru.toml"), &options).unwrap();
    original
        .recordings
        .retain(|r| r.path.is_some() && r.domain != "load1" && r.domain != "load2");
    assert_eq!(original.recordings.len(), 19);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cwru.h5");
    let report = pack(&original, &out, &mut |_| {}).unwrap();
    println!("{report:?}");
    let packed = open(&out);
    assert_same(&original, &packed);
    let windows = |dataset: &Dataset| {
        let entries = dataset.domain("load3");
        let recordings: Vec<_> = entries.iter().map(|e| e.load().unwrap()).collect();
        let items: Vec<Item> = entries
            .iter()
            .zip(&recordings)
            .map(|(entry, recording)| Item {
                file: &entry.file,
                unit: entry.unit.as_deref(),
                samples: recording.len(),
                windows: None,
            })
            .collect();
        let plan = SplitPlan {
            kind: SplitKind::Blocks,
            fractions: Fractions::default(),
            window: 1024,
            hop: 1024,
            seed: 7,
        };
        let split = split_target("load3", &items, &plan).unwrap();
        let windows: Vec<Vec<u64>> = split
            .windows(Part::Train)
            .into_iter()
            .map(|(item, start)| {
                let window = &recordings[item].channels[0][start..start + 1024];
                window.iter().map(|x| x.to_bits()).collect()
            })
            .collect();
        windows
    };
    let found = windows(&packed);
    assert!(found.len() > 500, "{}", found.len());
    assert!(found == windows(&original));
}

/// h5py is asked where there is a Python that has it; `PYTHON` names another than `python3`.
#[test]
fn h5py_reads_a_pack_by_its_names_and_attributes() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import h5py"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        println!("skipped: no h5py");
        return;
    }
    let folder = folder(&[
        ("rig/one.csv", "x [g],y\n1,0.5\n-0.0,nan\n3e300,1e-310\n"),
        ("rig_one.csv", "x,y\n1,5\n2,-32768\n3,32767\n4,0\n"),
        ("m.toml", LAB),
    ]);
    let out = folder.path().join("lab.h5");
    pack(&open(&folder.path().join("m.toml")), &out, &mut |_| {}).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/read_pack.py");
    let output = Command::new(&python).arg(script).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Two channels of 11, 7 and 3 samples, of several widths.
fn three_lengths() -> tempfile::TempDir {
    let rows = |n: i32, scale: f64| {
        let row = |i| format!("{},{}\n", f64::from(i) * scale, f64::from(100 + i) * scale);
        let rows: Vec<String> = (0..n).map(row).collect();
        format!("a,b\n{}", rows.concat())
    };
    let manifest = r#"
[dataset]
name = "Plant"
classes = ["worn", "good"]
channels = [{ name = "x", key = "a" }, { name = "y", key = "b" }]
rate_hz = 1000
[[recording]]
file = "eleven.csv"
domain = "p"
class = "good"
unit = "pump 2"
attributes = { size = 0.007, new = true }
[[recording]]
file = "seven.csv"
domain = "q"
unit = "pump 1"
rpm = 1800
[[recording]]
file = "three.csv"
domain = "p"
class = "worn"
"#;
    folder(&[
        ("eleven.csv", rows(11, 1.0)),
        ("seven.csv", rows(7, 0.5)),
        ("three.csv", rows(3, 1.0)),
        ("m.toml", manifest.to_owned()),
    ])
}

/// `original` with its recordings cut to what windows cover.
fn assert_covered(original: &Dataset, packed: &Dataset, cut: Cut) {
    assert_eq!(original.recordings.len(), packed.recordings.len());
    for (a, b) in original.recordings.iter().zip(&packed.recordings) {
        assert_eq!(told(original, a), told(packed, b));
        let (mut whole, covered) = (a.load().unwrap(), b.load().unwrap());
        let windows = (whole.len() + cut.hop).saturating_sub(cut.window) / cut.hop;
        let len = if windows == 0 {
            0
        } else {
            (windows - 1) * cut.hop + cut.window
        };
        whole.channels.iter_mut().for_each(|c| c.truncate(len));
        assert_eq!(bits(&whole.channels), bits(&covered.channels), "{}", a.file);
        assert_eq!(
            (&whole.names, &whole.units, whole.rate_hz, whole.rpm, &whole.sha256),
            (
                &covered.names,
                &covered.units,
                covered.rate_hz,
                covered.rpm,
                &covered.sha256
            )
        );
    }
}

#[test]
fn a_pack_of_windows_opens_as_its_recordings_up_to_their_ends() {
    let folder = three_lengths();
    let original = open(&folder.path().join("m.toml"));
    for (cut, windows, left_out) in [
        (Cut { window: 4, hop: 4 }, 3, 2 * (3 + 3 + 3)),
        (Cut { window: 4, hop: 3 }, 3 + 2, 2 * (1 + 3)),
        (Cut { window: 5, hop: 1 }, 7 + 3, 2 * 3),
        (Cut { window: 11, hop: 2 }, 1, 2 * (7 + 3)),
        (Cut { window: 1, hop: 1 }, 21, 0),
    ] {
        let out = folder.path().join(format!("{}-{}.h5", cut.window, cut.hop));
        let packed = pack_windows(PackFormat::Hdf5, &original, cut, &out, &mut |_| {}).unwrap();
        assert_eq!((packed.windows, packed.left_out), (windows, left_out), "{cut:?}");
        assert_eq!(packed.samples, (windows * cut.window * 2) as u64);
        let opened = open(&out);
        assert!(Dataset::is_packed(&out));
        assert_covered(&original, &opened, cut);
        // any piece of any channels is that of the whole
        let entry = opened
            .recordings
            .iter()
            .max_by_key(|r| r.load().unwrap().len())
            .unwrap();
        let (recording, whole) = (entry.open().unwrap(), entry.load().unwrap());
        for start in 0..whole.len() {
            for len in 0..=whole.len() - start {
                let piece: Vec<&[f64]> = whole.channels.iter().map(|c| &c[start..start + len]).collect();
                assert_eq!(recording.read(start, len).unwrap(), piece, "{cut:?} {start} {len}");
            }
        }
        let options = OpenOptions {
            channels: Some(vec!["y".into()]),
            ..OpenOptions::default()
        };
        let chosen = Dataset::open(&out, &options).unwrap().recordings.remove(0);
        assert_eq!(
            chosen.load().unwrap().channels,
            open(&out).recordings[0].load().unwrap().channels[1..]
        );
    }
}

#[test]
fn windows_are_stored_one_a_chunk_in_the_narrowest_type_that_loses_nothing() {
    let folder = three_lengths();
    let mut original = open(&folder.path().join("m.toml"));
    let stored = |dataset: &Dataset, name: &str| {
        let out = folder.path().join(name);
        pack_windows(PackFormat::Hdf5, dataset, Cut { window: 2, hop: 2 }, &out, &mut |_| {}).unwrap();
        let all = list_variables(&out).unwrap();
        let x = all.into_iter().find(|v| v.name == "x").unwrap();
        (x.kind, x.shape)
    };
    // halves
    assert_eq!(stored(&original, "a.h5"), ("float32".into(), vec![5 + 3 + 1, 2, 2]));
    original.recordings.retain(|r| r.file != "seven.csv");
    assert_eq!(stored(&original, "b.h5"), ("int16".into(), vec![6, 2, 2]));
    // a sample in no window widens nothing
    fs::write(folder.path().join("three.csv"), "a,b\n1,2\n3,4\n0.1,0.1\n").unwrap();
    assert_eq!(stored(&original, "c.h5"), ("int16".into(), vec![6, 2, 2]));
    fs::write(folder.path().join("three.csv"), "a,b\n1,2\n3,0.1\n").unwrap();
    assert_eq!(stored(&original, "d.h5"), ("float64".into(), vec![6, 2, 2]));
}

#[test]
fn windows_that_cannot_be_are_refused_and_leave_nothing() {
    let folder = three_lengths();
    let original = open(&folder.path().join("m.toml"));
    let files = fs::read_dir(folder.path()).unwrap().count();
    let out = folder.path().join("out.h5");
    let refused = |dataset: &Dataset, window, hop| {
        pack_windows(PackFormat::Hdf5, dataset, Cut { window, hop }, &out, &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    for (window, hop) in [(0, 0), (4, 0), (0, 4), (4, 5)] {
        let message = refused(&original, window, hop);
        assert!(message.contains("no gaps between windows"), "{message}");
    }
    let message = refused(&original, 12, 12);
    assert!(
        message.contains("no recording is as long as a window of 12"),
        "{message}"
    );
    let mut other = original.clone();
    other.recordings[1].channels.pop();
    let message = refused(&other, 4, 4);
    assert!(message.contains("windows have the same"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files);
}

/// A pack of overlapping windows must not be a way around the guard gap.
#[test]
fn splits_of_packed_windows_that_overlap_are_those_of_the_recordings() {
    let samples: Vec<String> = (0..6000).map(|i| (i * 7919 % 1009).to_string()).collect();
    let samples = samples.join("\n");
    let folder = folder(&[("lab/p/good/1.csv", samples.clone()), ("lab/p/good/2.csv", samples)]);
    let original = open(&folder.path().join("lab"));
    let out = folder.path().join("lab.h5");
    pack_windows(
        PackFormat::Hdf5,
        &original,
        Cut { window: 512, hop: 64 },
        &out,
        &mut |_| {},
    )
    .unwrap();
    let split = |dataset: &Dataset, kind| {
        let lengths: Vec<usize> = dataset.recordings.iter().map(|r| r.load().unwrap().len()).collect();
        let items: Vec<Item> = (dataset.recordings.iter().zip(lengths))
            .map(|(entry, samples)| Item {
                file: &entry.file,
                unit: None,
                samples,
                windows: None,
            })
            .collect();
        let plan = SplitPlan {
            kind,
            fractions: Fractions::new(0.5, 0.0, 0.5).unwrap(),
            window: 512,
            hop: 64,
            seed: 3,
        };
        split_target("p", &items, &plan).unwrap()
    };
    let packed = open(&out);
    // two recordings, not two hundred windows that might be told apart
    assert_eq!(packed.recordings.len(), 2);
    let found = split(&packed, SplitKind::Recordings);
    assert!(found.recordings.iter().all(|r| r.train.is_empty() != r.test.is_empty()));
    let found = split(&packed, SplitKind::Blocks);
    for r in &found.recordings {
        let (last, first) = (r.train.last().unwrap(), r.test.first().unwrap());
        assert!(
            last + 512 + 512 <= *first,
            "a window of guard between {last} and {first}"
        );
    }
}

/// Any change is an error or changes what is read; none is a panic. Windows are under a checksum.
#[test]
fn a_damaged_pack_of_windows_is_an_error_and_no_panic() {
    let folder = three_lengths();
    let out = folder.path().join("out.h5");
    let original = open(&folder.path().join("m.toml"));
    pack_windows(
        PackFormat::Hdf5,
        &original,
        Cut { window: 4, hop: 2 },
        &out,
        &mut |_| {},
    )
    .unwrap();
    damage(&out, 600);
}

/// h5py is asked where there is a Python that has it; `PYTHON` names another than `python3`.
#[test]
fn h5py_reads_windows_by_number_and_their_classes() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import h5py"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        println!("skipped: no h5py");
        return;
    }
    let folder = three_lengths();
    let out = folder.path().join("windows.h5");
    let original = open(&folder.path().join("m.toml"));
    pack_windows(
        PackFormat::Hdf5,
        &original,
        Cut { window: 4, hop: 3 },
        &out,
        &mut |_| {},
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/read_windows.py");
    let output = Command::new(&python).arg(script).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn cwru_packed_as_windows_gives_bit_equal_windows() {
    let Some(data) = data() else { return };
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    let mut original = Dataset::open(&manifest("cwru.toml"), &options).unwrap();
    original.recordings.retain(|r| r.path.is_some() && r.domain == "load3");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cwru.h5");
    let cut = Cut {
        window: 1024,
        hop: 1024,
    };
    let report = pack_windows(PackFormat::Hdf5, &original, cut, &out, &mut |_| {}).unwrap();
    println!("{report:?}");
    assert_covered(&original, &open(&out), cut);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_that_does_not_write_or_read_parquet_names_the_feature_and_leaves_nothing() {
    let folder = folder(&[("lab/p/good/1.csv", "1\n2\n3\n"), ("x.parquet", "PAR1PAR1")]);
    let out = folder.path().join("out.parquet");
    let packed = pack_as(
        PackFormat::Parquet,
        &open(&folder.path().join("lab")),
        &out,
        &mut |_| {},
    );
    let opened = Dataset::open(&folder.path().join("x.parquet"), &OpenOptions::default());
    for error in [packed.unwrap_err(), opened.unwrap_err()] {
        assert!(error.to_string().contains("--features parquet"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(feature = "parquet")]
mod parquet {
    use signal_domains::{Attribute, ReadOptions, SignalFile};

    use super::*;

    fn pack_parquet(dataset: &Dataset, out: &Path) -> Result<signal_domains::Packed, Error> {
        pack_as(PackFormat::Parquet, dataset, out, &mut |_| {})
    }

    const FILES: [(&str, &str); 4] = [
        ("rig/one.csv", "x [g],y\n1,0.1\n-0.0,nan\n3e300,1e-310\n"),
        ("rig_one.csv", "x,y\n1,5\n2,-32768\n3,32767\n4,0\n"),
        ("rig/none.csv", "x,y\n"),
        ("m.toml", LAB),
    ];

    #[test]
    fn every_key_class_channel_and_bit_comes_back_from_parquet_too() {
        let folder = folder(&FILES);
        let original = open(&folder.path().join("m.toml"));
        let out = folder.path().join("lab.parquet");
        let packed = pack_parquet(&original, &out).unwrap();
        assert_eq!((packed.recordings, packed.samples), (3, 3 * 2 + 4 * 2 + 3));
        assert!(Dataset::is_packed(&out));
        assert_same(&original, &open(&out));
        let options = OpenOptions {
            channels: Some(vec!["y".into()]),
            ..OpenOptions::default()
        };
        let chosen = Dataset::open(&out, &options).unwrap();
        assert_eq!(
            chosen.recordings[1].load().unwrap().channels,
            [[5.0, -32768.0, 32767.0, 0.0]]
        );
    }

    #[test]
    fn long_recordings_are_read_in_pieces_that_are_those_of_the_whole() {
        let samples: Vec<String> = (0..50_000).map(|i| (i * 7919 % 65_536 - 32_768).to_string()).collect();
        let folder = folder(&[
            ("lab/p/good/1.csv", samples.join("\n")),
            ("lab/p/good/2.csv", "5\n6\n".to_owned()),
        ]);
        let original = open(&folder.path().join("lab"));
        let out = folder.path().join("lab.parquet");
        let packed = pack_parquet(&original, &out).unwrap();
        // as small as 16-bit integers, though each sample is a 64-bit float
        assert!(packed.bytes < 2 * 50_000 + 8_000, "{packed:?}");
        let packed = open(&out);
        assert_same(&original, &packed);
        let entry = packed.recordings[0].open().unwrap();
        let whole = entry.read(0, 50_000).unwrap();
        for start in [0, 1, 16_383, 16_384, 16_385, 32_000, 49_000] {
            for len in [1, 1000] {
                assert_eq!(
                    entry.read(start, len).unwrap()[0],
                    whole[0][start..start + len],
                    "{start}"
                );
            }
        }
    }

    #[test]
    fn an_attribute_of_two_types_is_refused_for_a_table_and_says_why() {
        let text = LAB.replace(
            "[[recording]]\nfile = \"rig_one.csv\"",
            "[[recording]]\nattributes = { size = \"big\" }\nfile = \"rig_one.csv\"",
        );
        let folder = folder(&[FILES[0], FILES[1], ("m.toml", &text)]);
        let out = folder.path().join("lab.parquet");
        let message = pack_parquet(&open(&folder.path().join("m.toml")), &out)
            .unwrap_err()
            .to_string();
        assert!(message.contains("attribute size is of another type"), "{message}");
        assert!(!out.exists());
    }

    #[test]
    fn a_parquet_file_that_is_no_data_set_says_what_to_do() {
        let path = common::fixture("polars.parquet");
        let message = Dataset::open(&path, &OpenOptions::default()).unwrap_err().to_string();
        assert!(
            message.contains("none that `pack` wrote") && message.contains("manifest"),
            "{message}"
        );
        assert!(!Dataset::is_packed(&path));
    }

    /// Any change is an error or changes what is read; none is a panic. Samples are under a checksum.
    #[test]
    fn a_damaged_table_is_an_error_and_no_panic() {
        let folder = folder(&FILES);
        let out = folder.path().join("lab.parquet");
        pack_parquet(&open(&folder.path().join("m.toml")), &out).unwrap();
        damage(&out, 2000);
    }

    #[test]
    fn cwru_packed_gives_the_same_bits() {
        let Some(data) = data() else { return };
        let options = OpenOptions {
            data_root: Some(data),
            ..OpenOptions::default()
        };
        let mut original = Dataset::open(&manifest("cwru.toml"), &options).unwrap();
        original.recordings.retain(|r| r.path.is_some() && r.domain == "load3");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("cwru.parquet");
        let report = pack_parquet(&original, &out).unwrap();
        println!("{report:?}");
        assert_same(&original, &open(&out));
    }

    #[test]
    fn windows_in_a_table_are_a_row_each_with_what_is_said_of_their_recording() {
        let folder = three_lengths();
        let original = open(&folder.path().join("m.toml"));
        let out = folder.path().join("windows.parquet");
        let cut = Cut { window: 4, hop: 3 };
        let packed = pack_windows(PackFormat::Parquet, &original, cut, &out, &mut |_| {}).unwrap();
        assert_eq!(packed.windows, 5);
        let file = SignalFile::open(&out, &ReadOptions::default()).unwrap();
        let mut row = 0;
        for (number, entry) in original.recordings.iter().enumerate() {
            let whole = entry.load().unwrap();
            for start in (0..whole.len()).step_by(3).take_while(|start| start + 4 <= whole.len()) {
                let variable = &file.variables()[file.find(&format!("samples{{{}}}", row + 1)).unwrap().0];
                let samples = file.read_range(file.find(&variable.name).unwrap().0, 0, 0, 8).unwrap();
                let expected: Vec<f64> = whole
                    .channels
                    .iter()
                    .flat_map(|c| c[start..start + 4].to_vec())
                    .collect();
                assert_eq!(samples, expected);
                let stated = |key: &str| variable.attributes.get(key).cloned();
                let text = |text: &str| Some(Attribute::Text(text.into()));
                assert_eq!(stated("start"), Some(Attribute::Number(start as f64)));
                assert_eq!(stated("recording"), Some(Attribute::Number(number as f64)));
                assert_eq!(
                    (stated("domain"), stated("file")),
                    (text(&entry.domain), text(&entry.file))
                );
                assert_eq!(stated("class"), entry.class.and_then(|c| text(&original.classes[c])));
                assert_eq!(stated("unit_id"), entry.unit.as_deref().and_then(text));
                assert_eq!(stated("attributes.new"), entry.attributes.get("new").cloned());
                assert_eq!((stated("variable"), variable.rate_hz), (text("a,b"), Some(1000.0)));
                row += 1;
            }
        }
        assert_eq!((row, file.find("samples{6}").is_err()), (5, true));
        let message = Dataset::open(&out, &OpenOptions::default()).unwrap_err().to_string();
        assert!(
            message.contains("windows in a Parquet file") && message.contains("HDF5"),
            "{message}"
        );
    }

    /// More windows than a page, pages than a row group.
    #[test]
    fn many_windows_in_a_table_are_those_of_the_recording() {
        // of which no byte can be guessed: a file lists no more rows than its size allows
        let samples: Vec<String> = (0..300_000)
            .map(|i| (0.7391 * f64::from(i)).sin().to_string())
            .collect();
        let folder = folder(&[("lab/p/good/1.csv", samples.join("\n"))]);
        let original = open(&folder.path().join("lab"));
        let whole = original.recordings[0].load().unwrap();
        for cut in [
            Cut { window: 700, hop: 150 },
            Cut {
                window: 40_000,
                hop: 20_000,
            },
        ] {
            let out = folder.path().join(format!("{}.parquet", cut.window));
            let packed = pack_windows(PackFormat::Parquet, &original, cut, &out, &mut |_| {}).unwrap();
            let file = SignalFile::open(&out, &ReadOptions::default()).unwrap();
            for row in 0..packed.windows {
                let (index, _) = file.find(&format!("samples{{{}}}", row + 1)).unwrap();
                let window = &whole.channels[0][row * cut.hop..][..cut.window];
                assert!(
                    file.read_range(index, 0, 0, cut.window).unwrap() == window,
                    "{cut:?} {row}"
                );
            }
        }
    }

    /// pandas and polars are asked where there is a Python that has them; `PYTHON` names another than `python3`.
    #[test]
    fn pandas_and_polars_read_a_pack_by_its_columns() {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let has = Command::new(&python)
            .args(["-c", "import pandas, polars, pyarrow"])
            .output();
        if !has.is_ok_and(|o| o.status.success()) {
            println!("skipped: no pandas, polars and pyarrow");
            return;
        }
        let folder = folder(&FILES);
        let out = folder.path().join("lab.parquet");
        pack_parquet(&open(&folder.path().join("m.toml")), &out).unwrap();
        let windows = folder.path().join("windows.parquet");
        let lengths = three_lengths();
        let original = open(&lengths.path().join("m.toml"));
        pack_windows(
            PackFormat::Parquet,
            &original,
            Cut { window: 4, hop: 3 },
            &windows,
            &mut |_| {},
        )
        .unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/read_pack_table.py");
        let output = Command::new(&python)
            .arg(script)
            .args([&out, &windows])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
