//! Labels and domains that a manifest derives: by a pattern over files' paths, by queries.

mod common;

use std::fs;

use signal_domains::{Attribute, Dataset, Error, OpenOptions};
use tempfile::TempDir;

fn lab(files: &[&str], manifest: &str) -> (TempDir, Result<Dataset, Error>) {
    let files: Vec<(&str, &str)> = files.iter().map(|file| (*file, "1\n2\n3\n")).collect();
    let folder = common::folder(&files);
    fs::write(folder.path().join("m.toml"), manifest).unwrap();
    let opened = Dataset::open(&folder.path().join("m.toml"), &OpenOptions::default());
    (folder, opened)
}

const GEARBOX: [&str; 5] = [
    "gears/h30hz0.csv",
    "gears/h30hz90.csv",
    "gears/b30hz0.csv",
    "gears/b30hz90.csv",
    "gears/notes.txt",
];

/// Domain, file and class of every recording.
fn rows(dataset: &Dataset) -> Vec<(&str, &str, Option<&str>)> {
    let class = |c: usize| dataset.classes[c].as_str();
    dataset
        .recordings
        .iter()
        .map(|r| (r.domain.as_str(), r.file.as_str(), r.class.map(class)))
        .collect()
}

#[test]
fn a_folder_becomes_a_data_set_by_one_pattern_and_a_few_queries() {
    let manifest = r#"
[dataset]
files = "**/*.csv"
pattern = '(?<code>[a-z]+)(?<drive>\d+)hz(?<load>\d+)'
rpm = 1800
[class.healthy]
where = 'code == "h"'
[class.broken]
where = 'code == "b"'
[domain.idle]
where = 'load == 0'
[domain.loaded]
where = 'load > 0'
"#;
    let (_folder, opened) = lab(&GEARBOX, manifest);
    let dataset = opened.unwrap();
    assert_eq!(
        rows(&dataset),
        [
            ("idle", "gears/b30hz0.csv", Some("broken")),
            ("idle", "gears/h30hz0.csv", Some("healthy")),
            ("loaded", "gears/b30hz90.csv", Some("broken")),
            ("loaded", "gears/h30hz90.csv", Some("healthy")),
        ]
    );
    let entry = &dataset.recordings[3];
    assert_eq!(entry.attributes["load"], Attribute::Number(90.0));
    assert_eq!(entry.attributes["code"], Attribute::Text("h".into()));
    assert_eq!(entry.rpm, Some(1800.0));
    assert_eq!(entry.load().unwrap().channels[0], [1.0, 2.0, 3.0]);
    assert_eq!(dataset.warnings, Vec::<String>::new());
}

#[test]
fn groups_named_as_keys_are_the_keys() {
    let manifest = r#"
[dataset]
files = ["**/*.csv", "!**/old/*"]
pattern = '(?<domain>rig\d)/(?<unit>(?<class>inner|outer)-[a-z])_(?<rpm>\d+)(_(?<rate_hz>\d+\.\d+))?'
"#;
    let files = [
        "rig1/inner-a_600_12000.5.csv",
        "rig1/outer-b_900.csv",
        "rig2/inner-c_900.csv",
        "rig2/old/inner-d_900.csv",
        "rig2/readme.csv",
    ];
    let (_folder, opened) = lab(&files, manifest);
    let dataset = opened.unwrap();
    assert_eq!(dataset.classes, ["inner", "outer"]);
    assert_eq!(dataset.domains(), ["rig1", "rig2"]);
    let first = &dataset.recordings[0];
    assert_eq!(first.unit.as_deref(), Some("inner-a"));
    assert_eq!((first.rpm, first.rate_hz), (Some(600.0), Some(12000.5)));
    assert_eq!(dataset.recordings[1].rate_hz, None);
    assert_eq!(dataset.recordings.len(), 3);
    assert!(
        dataset.warnings[0].contains("rig2/readme.csv") && dataset.warnings[0].contains("passed over"),
        "{:?}",
        dataset.warnings
    );
}

#[test]
fn what_is_stated_of_a_file_wins_over_its_name_and_files_that_do_not_fit_can_be_stated() {
    let manifest = r#"
[dataset]
files = "*/*.csv"
pattern = '(?<domain>rig\d)/(?<class>\w+?)_(?<rpm>\d+)'
[[recording]]
file = "good_600.csv"
rpm = 605
class = "worn"
attributes = { note = "mislabelled" }
[[recording]]
file = "rig1/monday.csv"
domain = "rig1"
"#;
    let (_folder, opened) = lab(&["rig1/good_600.csv", "rig1/good_900.csv", "rig1/monday.csv"], manifest);
    let dataset = opened.unwrap();
    assert_eq!(
        rows(&dataset),
        [
            ("rig1", "rig1/good_600.csv", Some("worn")),
            ("rig1", "rig1/good_900.csv", Some("good")),
            ("rig1", "rig1/monday.csv", None),
        ]
    );
    assert_eq!(dataset.recordings[0].rpm, Some(605.0));
    assert_eq!(
        dataset.recordings[0].attributes["note"],
        Attribute::Text("mislabelled".into())
    );
}

#[test]
fn one_set_of_recordings_gives_several_sets_of_domains() {
    let manifest = r#"
[dataset]
files = "**/*.csv"
pattern = '(?<rig>\w+)/(?<class>\w+)_(?<rpm>\d+)'
[domain.mfs]
where = 'rig == "mfs"'
[domain.fast]
where = 'rpm > 800'
[domain.mfs-fast]
where = 'rig == "mfs" and rpm > 800'
"#;
    let files = ["mfs/a_600.csv", "mfs/a_900.csv", "own/a_600.csv", "own/a_900.csv"];
    let (_folder, opened) = lab(&files, manifest);
    let dataset = opened.unwrap();
    let files = |domain| {
        dataset
            .domain(domain)
            .iter()
            .map(|r| r.file.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(files("mfs"), ["mfs/a_600.csv", "mfs/a_900.csv"]);
    assert_eq!(files("fast"), ["mfs/a_900.csv", "own/a_900.csv"]);
    assert_eq!(files("mfs-fast"), ["mfs/a_900.csv"]);
    assert!(dataset.warnings[0].contains("in no domain") && dataset.warnings[0].contains("own/a_600.csv"));
    let select = |text: &str| dataset.select(&text.parse().unwrap());
    assert_eq!(select("rpm == 900 and domain == 'fast'").unwrap(), [0, 1]);
    assert_eq!(select("class == 'a'").unwrap().len(), 5);
    let message = select("rmp == 900").unwrap_err().to_string();
    assert!(message.contains("did you mean \"rpm\"?"), "{message}");
}

#[test]
fn mistakes_of_patterns_and_queries_are_named_with_their_line() {
    let base = "[dataset]\nfiles = '**/*.csv'\n";
    for (text, line, words) in [
        ("pattern = '(?<class>[a-z'", 3, "unclosed character class"),
        ("pattern = '[a-z]+'", 3, "no named group"),
        ("pattern = '(?<file>.*)'", 3, "cannot come from a file's name"),
        (
            "pattern = '(?<domain>gears)/(?<rpm>[hb])'",
            3,
            "group \"rpm\" of gears/b30hz0.csv is \"b\", no number",
        ),
        ("pattern = '(?<class>[hb])'", 2, "gears/b30hz0.csv states no domain"),
        (
            "pattern = '(?<domain>gears)/(?<class>[hb])'\nclasses = ['h']",
            3,
            "unknown class \"b\"",
        ),
        (
            "pattern = '(?<code>[hb])'\n[domain.x]\nwhere = 'cod == \"h\"'",
            5,
            "did you mean \"code\"?",
        ),
        (
            "pattern = '(?<class>[hb])'\n[domain.x]\nwhere = 'class == \"h\"'",
            5,
            "a domain must not depend on a label",
        ),
        (
            "pattern = '(?<code>[hb])'\n[domain.x]\nwhere = 'code == \"q\"'",
            5,
            "domain \"x\" has no recording",
        ),
        (
            "pattern = '(?<code>[hb])'\n[domain.x]\nwhere = 'code == 3'",
            5,
            "line 1, column 6: values of different kinds",
        ),
        (
            "pattern = '(?<domain>gears)/(?<code>[hb])'\n[class.a]\nwhere = 'code == \"h\"'\n[class.b]\nwhere = 'true'",
            7,
            "a recording has one class",
        ),
        (
            "pattern = '(?<domain>gears)/(?<class>[hb])'\n[class.a]\nwhere = 'class == \"h\"'",
            5,
            "says which class it is",
        ),
        ("[domain.x]\nwhere = 'true' \nwher = 3", 5, "unknown field"),
    ] {
        let (_folder, opened) = lab(&GEARBOX, &format!("{base}{text}"));
        match opened {
            Err(Error::Manifest {
                line: Some(found),
                message,
                ..
            }) => {
                assert!(message.contains(words), "{text}: {message}");
                assert_eq!(found, line, "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let (_folder, opened) = lab(&GEARBOX, "[dataset]\nfiles = '*.csv'");
    let message = opened.unwrap_err().to_string();
    assert!(
        message.contains("line 2") && message.contains("no file below"),
        "{message}"
    );
}

#[test]
fn a_hidden_file_is_no_recording_and_digits_are_numbers() {
    let manifest = "[dataset]\nfiles='**/*'\npattern='(?<domain>d)/(?<size>[^_]+)_(?<kind>[^.]+)'";
    let (_folder, opened) = lab(
        &["d/007_a.csv", "d/0.5_1e5.csv", "d/.hidden_1.csv", "d/-3_nan.csv"],
        manifest,
    );
    let dataset = opened.unwrap();
    let values: Vec<(&Attribute, &Attribute)> = dataset
        .recordings
        .iter()
        .map(|r| (&r.attributes["size"], &r.attributes["kind"]))
        .collect();
    let text = |t: &str| Attribute::Text(t.into());
    assert_eq!(
        values,
        [
            (&Attribute::Number(-3.0), &text("nan")),
            (&Attribute::Number(0.5), &text("1e5")),
            (&Attribute::Number(7.0), &text("a")),
        ]
    );
}

/// Manifests of a few lines say of real folders what the committed ones say recording by recording.
#[test]
fn a_few_lines_describe_real_folders_as_the_listed_manifests_do() {
    let Some(data) = common::data() else { return };
    let gearbox = r#"
[dataset]
root = "gearbox"
files = "*.csv"
pattern = '(?<code>[hb])30hz(?<load>\d+)'
rpm = 1800
[class.broken]
where = 'code == "b"'
[class.healthy]
where = 'code == "h"'
[domain.load-0]
where = 'load == 0'
[domain.load-30]
where = 'load == 30'
[domain.load-60]
where = 'load == 60'
[domain.load-90]
where = 'load == 90'
"#;
    let digits = "[dataset]\nroot = 'spoken_digits'\nfiles = '**/*.wav'\npattern = '(?<class>\\d)_(?<domain>[a-z]+)_(?<take>\\d+)'\n";
    let rigs = r#"
[dataset]
root = "hit_sm"
files = "*/*.mat"
pattern = '(?<domain>mfs|self_built)/(?<code>Normal|IR|OR)\d*_(?<rpm>\d+)'
rate_hz = 51200
[class.inner]
where = 'code == "IR"'
[class.normal]
where = 'code == "Normal"'
[class.outer]
where = 'code == "OR"'
"#;
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("gearbox", gearbox), ("spoken-digits", digits), ("hit-sm", rigs)] {
        assert!(text.trim().lines().count() < 20);
        let path = folder.path().join("m.toml");
        fs::write(&path, text).unwrap();
        let short = Dataset::open(&path, &options).unwrap();
        let listed = common::manifest(&format!("{name}.toml"));
        let listed = Dataset::open(&listed, &options).unwrap();
        let told = |d: &Dataset| -> Vec<(String, std::path::PathBuf, Option<String>, Option<f64>)> {
            let class = |c: usize| d.classes[c].clone();
            let mut told: Vec<_> = d
                .recordings
                .iter()
                .map(|r| (r.domain.clone(), r.path.clone().unwrap(), r.class.map(class), r.rpm))
                .collect();
            told.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            told
        };
        assert_eq!(told(&short), told(&listed), "{name}");
    }
}

/// Domain, file, class and first channel of every recording.
fn read_all(dataset: &Dataset) -> Vec<(String, Option<String>, Vec<f64>)> {
    let class = |c: usize| dataset.classes[c].clone();
    dataset
        .recordings
        .iter()
        .map(|r| {
            (
                r.file.clone(),
                r.class.map(class),
                r.load().unwrap().channels.swap_remove(0),
            )
        })
        .collect()
}

const STATES: &str = "acc,state\n1,ok\n2,ok\n3,worn\n4,worn\n5,worn\n6,ok\n";

fn opened(files: &[(&str, &str)], manifest: &str) -> (TempDir, Result<Dataset, Error>) {
    let folder = common::folder(files);
    fs::write(folder.path().join("m.toml"), manifest).unwrap();
    let dataset = Dataset::open(&folder.path().join("m.toml"), &OpenOptions::default());
    (folder, dataset)
}

#[test]
fn a_column_of_words_cuts_a_table_into_stretches_of_one_label() {
    let manifest = "[dataset]\nfiles = '*.csv'\npattern = '(?<domain>rig\\d)'\nlabels = { key = 'state' }\n";
    let (_folder, dataset) = opened(&[("rig1.csv", STATES)], manifest);
    let dataset = dataset.unwrap();
    assert_eq!(dataset.classes, ["ok", "worn"]);
    let stretch =
        |file: &str, class: &str, samples: &[f64]| (file.to_owned(), Some(class.to_owned()), samples.to_vec());
    assert_eq!(
        read_all(&dataset),
        [
            stretch("rig1.csv[0..2]", "ok", &[1.0, 2.0]),
            stretch("rig1.csv[2..5]", "worn", &[3.0, 4.0, 5.0]),
            stretch("rig1.csv[5..6]", "ok", &[6.0]),
        ]
    );
    assert_eq!(dataset.warnings, Vec::<String>::new());
}

#[test]
fn a_column_of_numbers_gets_names_and_what_is_named_nothing_is_left_out() {
    let table = "x;y;class\n1;10;0\n2;20;0\n3;30;-1\n4;40;2\n5;50;2\n";
    let manifest = r#"
[dataset]
classes = ["good", "bad"]
channels = [{ name = "y", key = "y" }]
labels = { key = "class", names = { 0 = "good", 2 = "bad", -1 = "" } }
[class.bad]
family = "BPFO"
[[recording]]
file = "a.csv"
domain = "d"
[[recording]]
file = "b.csv"
domain = "d"
class = "good"
"#;
    let (_folder, dataset) = opened(&[("a.csv", table), ("b.csv", table)], manifest);
    let all = read_all(&dataset.unwrap());
    let files: Vec<(&str, Option<&str>, usize)> = all
        .iter()
        .map(|(f, c, s)| (f.as_str(), c.as_deref(), s.len()))
        .collect();
    assert_eq!(
        files,
        [
            ("a.csv[0..2]", Some("good"), 2),
            ("a.csv[3..5]", Some("bad"), 2),
            ("b.csv", Some("good"), 5)
        ],
        "a class that is stated holds for the whole file"
    );
    assert_eq!(all[1].2, [40.0, 50.0]);
}

#[test]
fn labels_of_a_data_set_in_the_file_are_those_of_its_samples_or_of_the_whole() {
    let folder = common::folder(&[(
        "m.toml",
        "[dataset]\nfiles = '*.h5'\npattern = '(?<domain>\\w)'\nchannels = [{ name = 'x', key = 'x' }]\nlabels = { key = '/state' }\n",
    )]);
    for name in ["labels_each.h5", "labels_text.h5", "labels_one.h5", "labels_short.h5"] {
        fs::copy(common::fixture(name), folder.path().join(&name[7..])).unwrap();
    }
    let dataset = Dataset::open(&folder.path().join("m.toml"), &OpenOptions::default()).unwrap();
    let class = |c: usize| dataset.classes[c].as_str();
    let told: Vec<(&str, Option<&str>)> = dataset
        .recordings
        .iter()
        .map(|r| (r.file.as_str(), r.class.map(class)))
        .collect();
    assert_eq!(
        told,
        [
            ("each.h5[0..20]", Some("3")),
            ("each.h5[20..50]", Some("4")),
            ("one.h5", Some("4")),
            ("short.h5[0..30]", Some("3")),
            ("text.h5", Some("inner")),
        ]
    );
    assert_eq!(
        dataset.recordings[1].load().unwrap().channels[0],
        common::ramp(false)[20..]
    );
    assert_eq!(dataset.recordings[4].load().unwrap().len(), 50);
    let message = dataset.recordings[3].load().unwrap_err().to_string();
    assert!(message.contains("30 labels for the 50 samples of x"), "{message}");
}

#[test]
fn labels_that_cannot_be_say_where_and_what_to_do() {
    let head = "[dataset]\nfiles = '*.csv'\npattern = '(?<domain>rig\\d)'\n";
    let (_folder, dataset) = opened(
        &[("rig1.csv", STATES)],
        &format!("{head}labels = {{ key = 'state', names = {{ ok = 'healthy' }} }}\n"),
    );
    let message = dataset.unwrap_err().to_string();
    assert!(
        message.contains("line 4") && message.contains("label \"worn\", named are ok"),
        "{message}"
    );
    // a file without labels stays, with the fault; it does not hide the others
    let other: String = "acc,state\n".to_owned() + &"1,2\n3,oops\n".repeat(2);
    let many = (0..400).fold("acc,state\n".to_owned(), |text, i| text + &format!("{i},{}\n", i * 3));
    let words = (0..400).fold("acc,state\n".to_owned(), |text, i| text + &format!("{i},w{i}\n"));
    let (_folder, dataset) = opened(
        &[
            ("rig1.csv", STATES),
            ("rig2.csv", "acc,label\n1,2\n"),
            ("rig3.csv", &other),
            ("rig4.csv", &many),
            ("rig5.csv", &words),
        ],
        &format!("{head}labels = {{ key = 'state' }}\n"),
    );
    let dataset = dataset.unwrap();
    assert_eq!(dataset.domains().len(), 5);
    for (domain, words) in [
        ("rig2", "no numeric variable \"state\"; present are acc"),
        ("rig3", "line 3, column 2: expected a number, found \"oops\""),
        ("rig4", "state (400 text) holds more than 256 different values"),
        ("rig5", "expected one of at most 256 short labels, found \"w256\""),
    ] {
        let [entry] = dataset.domain(domain)[..] else {
            panic!("{domain}")
        };
        let message = entry.load().unwrap_err().to_string();
        assert!(entry.class.is_none() && message.contains(words), "{message}");
        assert!(
            dataset.warnings.iter().any(|w| w.contains(words)),
            "{:?}",
            dataset.warnings
        );
    }
}
