//! Manifests and folders.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::folder;
use signal_domains::{Attribute, Dataset, Error, Family, OpenOptions, RecordingEntry};

const FULL: &str = r#"
[dataset]
name = "Rig"
source = "bench 3"
licence = "CC0"
root = "rec"
rate_hz = 12000
classes = ["healthy", "inner"]
channels = [{ name = "acc", key = "a*" }]

[class.inner]
family = "BPFI"
[class.healthy]
family = "none"

[geometry.6205]
balls = 9
ball_diameter = 0.3126
pitch_diameter = 1.537
contact_angle_deg = 0
[geometry.printed]
bpfi = 5.4
bpfo = 3.6
bsf = 2.36
ftf = 0.4

[[recording]]
file = "b.csv"
domain = "day"
class = "inner"
rate_hz = 48000.5
rpm = 1797
geometry = "6205"
unit = "bearing 2"
sha256 = "8B3CDA7F64B86A2F0E8F8F1C1B0A5B0B1C3F8F4A9E1D2C3B4A5968778695A4B3"
bytes = [11, 12]
attributes = { size = 0.007, position = 6, rig = "A", new = true }

[[recording]]
file = "a.csv"
domain = "day"
class = "healthy"
geometry = "printed"
channels = [{ name = "acc", key = "b" }]

[[recording]]
file = "c.csv"
domain = "alone"
"#;

const TABLE: &str = "a,b\n1,2\n3,4\n";

fn open(folder: &Path, options: &OpenOptions) -> Result<Dataset, Error> {
    Dataset::open(&folder.join("rig.toml"), options)
}

fn entry<'a>(dataset: &'a Dataset, file: &str) -> &'a RecordingEntry {
    dataset.recordings.iter().find(|r| r.file == file).unwrap()
}

#[test]
fn every_key_of_a_manifest_arrives() {
    let folder = folder(&[("rig.toml", FULL), ("rec/a.csv", TABLE), ("rec/deep/b.csv", TABLE)]);
    let dataset = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(
        (&*dataset.name, dataset.source.as_deref(), dataset.licence.as_deref()),
        ("Rig", Some("bench 3"), Some("CC0"))
    );
    assert_eq!(dataset.classes, ["healthy", "inner"]);
    assert_eq!(dataset.families, [Some(Family::Healthy), Some(Family::InnerRace)]);
    assert_eq!(dataset.domains(), ["alone", "day"]);
    let order: Vec<&str> = dataset.recordings.iter().map(|r| &*r.file).collect();
    assert_eq!(order, ["c.csv", "a.csv", "b.csv"]);
    let (a, b, c) = (
        entry(&dataset, "a.csv"),
        entry(&dataset, "b.csv"),
        entry(&dataset, "c.csv"),
    );
    assert_eq!(
        (b.class, b.rate_hz, b.rpm, b.unit.as_deref()),
        (Some(1), Some(48000.5), Some(1797.0), Some("bearing 2"))
    );
    assert_eq!(b.bytes, [11, 12]);
    assert!(b.sha256[0].starts_with("8b3cda7f"));
    assert_eq!(b.attributes["size"], Attribute::Number(0.007));
    assert_eq!(b.attributes["position"], Attribute::Number(6.0));
    assert_eq!(b.attributes["rig"], Attribute::Text("A".into()));
    assert_eq!(b.attributes["new"], Attribute::Flag(true));
    assert_eq!(b.path.as_deref(), Some(&*folder.path().join("rec/deep/b.csv")));
    assert!((b.geometry.unwrap().bpfi - 5.4152).abs() < 1e-4);
    assert_eq!(
        (a.class, a.rate_hz, a.geometry.unwrap().bpfi),
        (Some(0), Some(12000.0), 5.4)
    );
    assert_eq!((c.class, c.path.is_none()), (None, true));
    assert_eq!(a.load().unwrap().channels, [[2.0, 4.0]]);
    assert_eq!(
        (a.channel_keys(), a.load().unwrap().rate_hz),
        (vec!["b".to_owned()], Some(12000.0))
    );
    assert_eq!(dataset.absent().len(), 1);
    let message = c.load().unwrap_err().to_string();
    assert!(
        message.contains("c.csv") && message.contains("no file of that name"),
        "{message}"
    );
    assert_eq!(Dataset::lowest_rate([a, b]), Some(12000.0));
    assert_eq!(
        dataset.class_counts("day"),
        BTreeMap::from([(Some(0), 1), (Some(1), 1)])
    );
    let compared = dataset.compare_classes(&["day"], &["alone"]);
    assert_eq!((compared.first_only, compared.unlabelled), (vec![0, 1], 1));
}

#[test]
fn a_file_that_is_not_the_stated_one_is_an_error_with_both_values() {
    let folder = folder(&[("rig.toml", FULL), ("rec/b.csv", TABLE)]);
    let dataset = open(folder.path(), &OpenOptions::default()).unwrap();
    let message = entry(&dataset, "b.csv").load().unwrap_err().to_string();
    assert!(
        message.contains("b.csv: SHA-256 is ") && message.contains("8b3cda7f"),
        "{message}"
    );
    fs::write(folder.path().join("rec/b.csv"), "a\n1\n2\n").unwrap();
    let message = entry(&dataset, "b.csv").load().unwrap_err().to_string();
    assert!(
        message.contains("size in bytes is 6") && message.contains("11 or 12"),
        "{message}"
    );
    let found = signal_domains::load_file(&folder.path().join("rec/b.csv"), &[])
        .unwrap()
        .sha256;
    let stated = FULL
        .replace(
            "8B3CDA7F64B86A2F0E8F8F1C1B0A5B0B1C3F8F4A9E1D2C3B4A5968778695A4B3",
            &found,
        )
        .replace("[11, 12]", "6");
    fs::write(folder.path().join("rig.toml"), stated).unwrap();
    let dataset = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(entry(&dataset, "b.csv").load().unwrap().channels, [[1.0, 2.0]]);
}

#[test]
fn faults_of_a_manifest_are_named_with_their_line() {
    let line_of = |needle: &str| FULL.lines().position(|l| l.contains(needle)).unwrap() + 1;
    let b = line_of("b.csv");
    for (from, to, line, words) in [
        ("rate_hz = 12000\n", "rat_hz = 12000\n", 7, "unknown field `rat_hz`"),
        ("rate_hz = 12000\n", "rat_hz = 12000\n", 7, "did you mean `rate_hz`?"),
        ("class = \"inner\"", "clas = \"inner\"", b + 2, "did you mean `class`?"),
        (
            "[[recording]]\nfile = \"b",
            "[[recordings]]\nfile = \"b",
            b - 1,
            "did you mean `recording`?",
        ),
        (
            "class = \"inner\"",
            "class = \"iner\"",
            b + 2,
            "unknown class \"iner\"; did you mean \"inner\"?",
        ),
        (
            "class = \"inner\"",
            "class = \"rotor crack\"",
            b + 2,
            "expected one of healthy, inner",
        ),
        (
            "[class.inner]",
            "[class.innner]",
            line_of("[class.inner]"),
            "unknown class \"innner\"",
        ),
        ("\"BPFI\"", "\"BPFJ\"", line_of("BPFI"), "did you mean `BPFI`?"),
        (
            "geometry = \"6205\"",
            "geometry = \"6250\"",
            b + 5,
            "unknown geometry \"6250\"; did you mean \"6205\"?",
        ),
        ("48000.5", "0", b + 3, "rate_hz is 0"),
        ("48000.5", "nan", b + 3, "rate_hz is NaN"),
        ("rpm = 1797", "rpm = -3", b + 4, "rpm is -3"),
        ("8B3CDA", "XYZ", b + 7, "64 hexadecimal digits"),
        (
            "\"a.csv\"",
            "\"b.csv\"",
            line_of("a.csv"),
            "b.csv is listed twice in domain day",
        ),
        (
            "[{ name = \"acc\", key = \"b\" }]",
            "[]",
            line_of("key = \"b\""),
            "at least one",
        ),
        ("balls = 9", "balls = 0", line_of("balls = 9") - 1, "0 balls"),
        (
            "domain = \"alone\"",
            "domain = \"\"",
            line_of("alone"),
            "domain is empty",
        ),
        ("classes = [\"healthy\"", "classes = [\"inner\"", 8, "listed twice"),
        ("name = \"Rig\"", "name = Rig", 3, ""),
        ("file = \"c.csv\"\n", "", line_of("c.csv") - 1, "missing field `file`"),
        (
            "bytes = [11, 12]",
            "bytes = \"many\"",
            b + 8,
            "a number of bytes, or a list of them",
        ),
    ] {
        let folder = folder(&[("rig.toml", &FULL.replacen(from, to, 1))]);
        let message = open(folder.path(), &OpenOptions::default()).unwrap_err().to_string();
        assert!(
            message.contains(&format!("rig.toml, line {line}:")) && message.contains(words),
            "{to}: line {line}: {message}"
        );
    }
    let folder = folder(&[("rig.toml", "[dataset]\n")]);
    assert!(
        open(folder.path(), &OpenOptions::default())
            .unwrap_err()
            .to_string()
            .contains("no [[recording]]")
    );
}

#[test]
fn the_base_folder_is_the_given_root_else_below_the_data_folder_else_beside_the_manifest() {
    let folder = folder(&[
        ("rig.toml", FULL),
        ("rec/a.csv", TABLE),
        ("data/rec/a.csv", TABLE),
        ("other/a.csv", TABLE),
    ]);
    let at = |name: &str| folder.path().join(name);
    let path = |options: &OpenOptions| {
        let dataset = open(folder.path(), options).unwrap();
        entry(&dataset, "a.csv").path.clone().unwrap()
    };
    let mut options = OpenOptions::default();
    assert_eq!(path(&options), at("rec/a.csv"));
    options.data_root = Some(at("nowhere"));
    assert_eq!(path(&options), at("rec/a.csv"));
    options.data_root = Some(at("data"));
    assert_eq!(path(&options), at("data/rec/a.csv"));
    options.root = Some(at("other"));
    assert_eq!(path(&options), at("other/a.csv"));
    options.root = Some(at("nowhere"));
    assert!(matches!(open(folder.path(), &options), Err(Error::Missing { .. })));
}

#[test]
fn two_files_of_a_name_are_not_guessed_between() {
    let folder = folder(&[("rig.toml", FULL), ("rec/x/a.csv", TABLE), ("rec/y/a.csv", TABLE)]);
    let dataset = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(entry(&dataset, "a.csv").path, None);
    assert!(
        dataset
            .warnings
            .iter()
            .any(|w| w.contains("a.csv: 2 files of that name")),
        "{:?}",
        dataset.warnings
    );
    assert!(
        entry(&dataset, "a.csv")
            .load()
            .unwrap_err()
            .to_string()
            .contains("2 files of that name")
    );
}

#[test]
fn the_order_of_a_manifest_does_not_matter() {
    let (head, list) = FULL.split_at(FULL.find("[[recording]]").unwrap());
    let mut tables: Vec<&str> = list.split("[[recording]]").skip(1).collect();
    tables.reverse();
    let reversed = [head, "[[recording]]", &tables.join("[[recording]]")].concat();
    let folder = folder(&[("rig.toml", FULL), ("rec/a.csv", TABLE)]);
    let first = open(folder.path(), &OpenOptions::default()).unwrap();
    fs::write(folder.path().join("rig.toml"), reversed).unwrap();
    let second = open(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(first.recordings, second.recordings);
}

#[test]
fn channels_and_keys_are_chosen_by_the_options() {
    let text = FULL.replace("sha256 =", "#").replace("bytes =", "#").replace(
        r#"[{ name = "acc", key = "a*" }]"#,
        r#"[{ name = "x", key = "a" }, { name = "y", key = "b" }]"#,
    );
    let folder = folder(&[("rig.toml", text.as_str()), ("rec/a.csv", TABLE), ("rec/b.csv", TABLE)]);
    let keys = |key: Option<&str>, channels: &[&str]| {
        let channels = (!channels.is_empty()).then(|| channels.iter().map(|c| (*c).to_owned()).collect());
        let options = OpenOptions {
            key: key.map(str::to_owned),
            channels,
            ..OpenOptions::default()
        };
        entry(&open(folder.path(), &options).unwrap(), "b.csv").channel_keys()
    };
    assert_eq!(keys(None, &[]), ["a", "b"]);
    assert_eq!(keys(None, &["y"]), ["b"]);
    assert_eq!(keys(None, &["2", "1"]), ["b", "a"]);
    // a.csv has channels of its own, so y is no channel of it; that matters when it is read
    let options = OpenOptions {
        channels: Some(vec!["y".into()]),
        ..OpenOptions::default()
    };
    let dataset = open(folder.path(), &options).unwrap();
    assert_eq!(entry(&dataset, "b.csv").load().unwrap().channels, [[2.0, 4.0]]);
    let message = entry(&dataset, "a.csv").load().unwrap_err().to_string();
    assert!(
        message.contains("a.csv: no channel \"y\"") && message.contains("acc"),
        "{message}"
    );
    assert_eq!(keys(Some("b*"), &[]), ["b*"]);
    assert_eq!(keys(Some("b*"), &["2"]), ["b*#2"]);
    assert_eq!(keys(Some("b*"), &["bx"]), ["bx"]);
}

#[test]
fn a_folder_is_read_by_its_layout() {
    let folder = folder(&[
        ("plant/old/inner/1.csv", TABLE),
        ("plant/old/inner/2.csv", TABLE),
        ("plant/old/healthy/3.csv", TABLE),
        ("plant/new/7.txt", TABLE),
        ("plant/new/notes.md", "hello"),
        ("plant/readme.txt", "hello"),
        ("plant/.hidden/x.csv", TABLE),
        ("plant/old/inner/deeper/x.csv", TABLE),
    ]);
    let options = OpenOptions {
        rate_hz: Some(1000.0),
        channels: Some(vec!["2".into()]),
        ..OpenOptions::default()
    };
    let dataset = Dataset::open(&folder.path().join("plant"), &options).unwrap();
    assert_eq!((&*dataset.name, dataset.domains()), ("plant", vec!["new", "old"]));
    assert_eq!(dataset.classes, ["healthy", "inner"]);
    let listed: Vec<(&str, Option<usize>)> = dataset.recordings.iter().map(|r| (&*r.file, r.class)).collect();
    let expected = [
        ("7.txt", None),
        ("1.csv", Some(1)),
        ("2.csv", Some(1)),
        ("3.csv", Some(0)),
    ];
    assert_eq!(listed, expected);
    assert_eq!(dataset.recordings[0].name(), "7.txt");
    let recording = dataset.recordings[0].load().unwrap();
    assert_eq!(
        (recording.channels, recording.rate_hz),
        (vec![vec![2.0, 4.0]], Some(1000.0))
    );
    assert_eq!(dataset.warnings.len(), 3, "{:?}", dataset.warnings);
    let empty = tempfile::tempdir().unwrap();
    let message = Dataset::open(empty.path(), &OpenOptions::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("FOLDER/<domain>/<class>/<files>"), "{message}");
}

#[test]
fn the_folder_of_a_class_is_no_part_of_a_recordings_name() {
    let other = "a,b\n5,6\n7,8\n";
    let files = |files: &[(&str, &str)]| -> Vec<String> {
        let folder = folder(files);
        let dataset = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
        dataset.recordings.iter().map(|r| r.file.clone()).collect()
    };
    let labelled = files(&[
        ("d/inner/1.csv", TABLE),
        ("d/healthy/1.csv", other),
        ("d/healthy/2.csv", other),
    ]);
    let permuted = files(&[
        ("d/healthy/1.csv", TABLE),
        ("d/inner/1.csv", other),
        ("d/inner/2.csv", other),
    ]);
    assert_eq!(labelled, permuted);
    assert!(labelled[0].starts_with("1.csv~") && labelled[1].starts_with("1.csv~") && labelled[0] != labelled[1]);
    assert_eq!(labelled[2], "2.csv");
}

#[test]
fn a_recording_is_brought_to_another_rate_only_if_it_has_one() {
    let samples = (0..100)
        .map(|i| f64::from(i).sin().to_string())
        .collect::<Vec<_>>()
        .join("\n");
    let folder = folder(&[("plant/a/x.csv", &samples)]);
    let load = |rate_hz| {
        let options = OpenOptions {
            rate_hz,
            ..OpenOptions::default()
        };
        Dataset::open(&folder.path().join("plant"), &options)
            .unwrap()
            .recordings[0]
            .load()
            .unwrap()
    };
    let halved = load(Some(1000.0)).resampled(500.0).unwrap();
    assert_eq!((halved.len(), halved.rate_hz), (50, Some(500.0)));
    assert!(
        load(None)
            .resampled(500.0)
            .unwrap_err()
            .to_string()
            .contains("without a rate")
    );
}
