//! Leave one out, and splits by queries.

use std::fs;

use signal_domains::{Dataset, Item, LeaveOut, OpenOptions, Part, PartQueries, SplitKind, SplitPlan, split_by_parts};

const RECORDINGS: [(&str, &str, &str, &str, u32); 6] = [
    ("a0", "load0", "inner", "bearing 1", 0),
    ("b0", "load0", "outer", "bearing 2", 0),
    ("a1", "load1", "inner", "bearing 1", 1),
    ("b1", "load1", "outer", "bearing 2", 1),
    ("a2", "load2", "inner", "bearing 3", 2),
    ("c2", "load2", "ball", "bearing 4", 2),
];

fn dataset(extra: &str) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let tables = RECORDINGS.map(|(file, domain, class, unit, load)| {
        format!(
            "[[recording]]\nfile='{file}'\ndomain='{domain}'\nclass='{class}'\nunit='{unit}'\nattributes={{load={load}}}\n"
        )
    });
    fs::write(&path, format!("[dataset]\nname = 'six'\n{extra}\n{}", tables.concat())).unwrap();
    Dataset::open(&path, &OpenOptions::default()).unwrap()
}

#[test]
fn a_fold_says_what_it_is() {
    let folds = dataset("").folds(LeaveOut::Domain).unwrap();
    let words: Vec<String> = folds.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "without domain load0: train on 4 recordings, test on 2; units ON BOTH SIDES (2): bearing 1, bearing 2",
            "without domain load1: train on 4 recordings, test on 2; units ON BOTH SIDES (2): bearing 1, bearing 2",
            "without domain load2: train on 4 recordings, test on 2; no unit on both sides; not trained: ball",
        ]
    );
    let folds = dataset("").folds(LeaveOut::Unit).unwrap();
    assert_eq!(folds.len(), 4);
    assert_eq!(
        folds[0].to_string(),
        "without unit bearing 1: train on 4 recordings, test on 2; no unit on both sides"
    );
}

#[test]
fn a_recording_of_several_domains_leaves_training_with_the_one_left_out() {
    let dataset = dataset("[domain.light]\nwhere = 'load < 2'");
    let folds = dataset.folds(LeaveOut::Domain).unwrap();
    let light = folds.iter().find(|f| f.name == "light").unwrap();
    let trained: Vec<&str> = light
        .train
        .iter()
        .map(|&i| dataset.recordings[i].domain.as_str())
        .collect();
    assert_eq!(trained, ["load2", "load2"], "load0 and load1 are the same files");
}

#[test]
fn what_cannot_be_left_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let open = |text: &str| {
        fs::write(&path, text).unwrap();
        Dataset::open(&path, &OpenOptions::default()).unwrap()
    };
    let one = open("[dataset]\n[[recording]]\nfile='a'\ndomain='x'\n[[recording]]\nfile='b'\ndomain='x'\nunit='u'");
    let message = |leave_out| one.folds(leave_out).unwrap_err().to_string();
    assert!(message(LeaveOut::Domain).contains("at least two"));
    assert!(message(LeaveOut::Unit).contains("a of domain x states no unit"));
    let covered = open(
        "[dataset]\n[domain.all]\nwhere='true'\n[domain.one]\nwhere='file == \"a\"'\n[[recording]]\nfile='a'\n[[recording]]\nfile='b'",
    );
    let message = covered.folds(LeaveOut::Domain).unwrap_err().to_string();
    assert!(message.contains("without domain all nothing is left"), "{message}");
}

#[test]
fn a_split_by_queries_puts_whole_recordings_where_they_are_asked_for() {
    let dataset = dataset("");
    let queries = |train: &str, validation: Option<&str>, test: &str| PartQueries {
        train: train.parse().unwrap(),
        validation: validation.map(|v| v.parse().unwrap()),
        test: test.parse().unwrap(),
    };
    let parts = queries("load == 0", Some("load == 1"), "load == 2 and unit == 'bearing 3'")
        .parts(&dataset)
        .unwrap();
    let (train, validation, test) = (Some(Part::Train), Some(Part::Validation), Some(Part::Test));
    assert_eq!(parts, [train, train, validation, validation, test, None]);
    for (queries, words) in [
        (
            queries("load < 2", None, "load > 0"),
            "a1 of domain load1 is in two parts, training and test",
        ),
        (
            queries("load < 2", None, "load > 5"),
            "no recording is in the test part",
        ),
        (
            queries("class == 'inner'", None, "load > 0"),
            "must not depend on labels",
        ),
        (queries("laod < 2", None, "load > 1"), "did you mean \"load\"?"),
    ] {
        let message = queries.parts(&dataset).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }

    let mut plan = SplitPlan {
        kind: SplitKind::Recordings,
        fractions: signal_domains::Fractions::default(),
        window: 10,
        hop: 10,
        seed: 0,
    };
    let items: Vec<Item<'_>> = dataset
        .recordings
        .iter()
        .map(|r| Item {
            file: &r.file,
            unit: r.unit.as_deref(),
            samples: 35,
            windows: None,
        })
        .collect();
    let split = split_by_parts("all", &items, &parts, &plan).unwrap();
    assert_eq!(split.windows(Part::Test), [(4, 0), (4, 10), (4, 20)]);
    assert_eq!(split.count(Part::Train), 6);
    assert!(split.recordings[5].part(Part::Test).is_empty());
    plan.kind = SplitKind::Units;
    let message = split_by_parts("all", &items, &parts, &plan).unwrap_err().to_string();
    assert!(
        message.contains("unit bearing 1 is in two parts, training and validation"),
        "{message}"
    );
    assert!(split_by_parts("all", &items, &parts[1..], &plan).is_err());
    assert!(split_by_parts("all", &[items[0], items[0]], &parts[..2], &plan).is_err());
}
