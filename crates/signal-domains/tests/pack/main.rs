//! A packed data set is the data set: the same recordings, labels and bits, in one file that others read too.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "parquet")]
mod parquet;
mod windows;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{data, folder, manifest};
use signal_domains::{
    Dataset, Error, Fractions, Item, OpenOptions, PackFormat, Part, RecordingEntry, SplitKind, SplitPlan,
    list_variables, pack, pack_as, split_target,
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

/// Runs a script of the fixtures on files, where there is a Python that has the modules; `PYTHON` names another than `python3`.
fn python(modules: &str, script: &str, files: &[&Path]) {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if !has.is_ok_and(|o| o.status.success()) {
        println!("skipped: no {modules}");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(script);
    let output = Command::new(&python).arg(script).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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

#[test]
fn h5py_reads_a_pack_by_its_names_and_attributes() {
    let folder = folder(&[
        ("rig/one.csv", "x [g],y\n1,0.5\n-0.0,nan\n3e300,1e-310\n"),
        ("rig_one.csv", "x,y\n1,5\n2,-32768\n3,32767\n4,0\n"),
        ("m.toml", LAB),
    ]);
    let out = folder.path().join("lab.h5");
    pack(&open(&folder.path().join("m.toml")), &out, &mut |_| {}).unwrap();
    python("h5py", "read_pack.py", &[&out]);
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
