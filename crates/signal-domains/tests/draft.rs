//! A first manifest for a folder: it opens, its guesses are marked, and every problem stands in it.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use common::folder;
use signal_domains::{Dataset, OpenOptions, draft_manifest};

fn columns(header: &str, rows: usize) -> String {
    let width = header.split(',').count();
    (0..rows).fold(format!("{header}\n"), |mut s, i| {
        let cells: Vec<String> = (0..width).map(|c| format!("{}", (i * (c + 3)) % 11)).collect();
        let _ = writeln!(s, "{}", cells.join(","));
        s
    })
}

/// The draft as a data set.
fn open(text: &str, beside: &Path) -> Dataset {
    let path = beside.join("draft.toml");
    fs::write(&path, text).unwrap();
    let opened = Dataset::open(&path, &OpenOptions::default());
    fs::remove_file(&path).unwrap();
    opened.unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn a_folder_of_another_lab_becomes_a_data_set_and_every_problem_is_named() {
    let mut files: Vec<(String, String)> = Vec::new();
    for machine in ["pump", "fan"] {
        for class in ["good", "worn", "cracked"] {
            for load in [0, 50, 100] {
                files.push((format!("{machine}/{class}_load{load}.csv"), columns("acc,speed", 50)));
            }
        }
    }
    files.push(("pump/good_load50_second_try.csv".into(), columns("acc,speed", 50)));
    files.push(("fan/worn_load25.csv".into(), "acc,speed\n1,2\n3,oops,4\n".into()));
    files.push(("readme.md".into(), "Ask Ms Miller.".into()));
    let named: Vec<(&str, String)> = files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    let folder = folder(&named);
    let text = draft_manifest(folder.path(), ".").unwrap();
    for words in [
        "PROBLEM: no file states a sampling rate",
        "# CORRECT: rate_hz",
        "PROBLEM: `pattern` does not fit, so passed over (1):\n#     pump/good_load50_second_try.csv",
        "PROBLEM: cannot be read (1):\n#     ",
        "fan/worn_load25.csv",
        "PROBLEM: no .md file looked at can be read as a recording, so passed over (1):\n#     readme.md",
        "#   class: cracked, good, worn (a guess",
        "#   domain: fan, pump (a guess",
        "#   load: 0, 100, 25, 50 (a guess",
        "CORRECT: units",
        "files = ['**/*.csv']",
        "channels = [{ name = 'acc', key = 'acc' }, { name = 'speed', key = 'speed' }]",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(
        text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count() < 10,
        "{text}"
    );
    let dataset = open(&text, folder.path());
    assert_eq!(dataset.domains(), ["fan", "pump"]);
    assert_eq!(dataset.classes, ["cracked", "good", "worn"]);
    assert_eq!(dataset.recordings.len(), 19);
    assert_eq!(dataset.recordings[0].load().unwrap().channels.len(), 2);
    assert_eq!(
        dataset
            .select(&"load == 50 and class == 'worn'".parse().unwrap())
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn variables_whose_names_change_with_the_file_get_a_key_that_fits_all() {
    let folder = folder(&[
        ("105.csv", columns("X105_DE_time,X105_FE_time", 40)),
        ("106.csv", columns("X106_DE_time,X106_FE_time", 40)),
        ("it's 107.csv", columns("X107_DE_time,X107_FE_time", 40)),
    ]);
    let text = draft_manifest(folder.path(), ".").unwrap();
    assert!(
        text.contains(
            "channels = [{ name = 'X_DE_time', key = 'X*_DE_time' }, { name = 'X_FE_time', key = 'X*_FE_time' }]"
        ),
        "{text}"
    );
    assert!(
        text.contains("no classes were seen") && text.contains("[domain.all]"),
        "{text}"
    );
    let dataset = open(&text, folder.path());
    assert_eq!(dataset.recordings.len(), 2);
    assert!(dataset.recordings.iter().all(|r| r.load().is_ok()));
}

#[test]
fn a_rate_that_files_state_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a_1.wav", "b_1.wav", "a_2.wav", "b_2.wav"] {
        fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/i2.wav"),
            folder.path().join(name),
        )
        .unwrap();
    }
    let text = draft_manifest(folder.path(), ".").unwrap();
    assert!(
        text.contains("# every file looked at states its rate") && !text.contains("CORRECT: rate_hz"),
        "{text}"
    );
    open(&text, folder.path());
}

#[test]
fn what_is_no_folder_of_recordings_is_refused() {
    let folder = folder(&[("readme.md", "nothing")]);
    let message = |path: &Path| draft_manifest(path, ".").unwrap_err().to_string();
    assert!(message(folder.path()).contains("no file in it can be read as a recording (1 .md)"));
    assert!(message(&folder.path().join("readme.md")).contains("not a folder"));
    assert!(message(tempfile::tempdir().unwrap().path()).contains("it is empty"));
}

#[test]
fn drafts_of_real_folders_open_and_their_recordings_load() {
    let Some(data) = std::env::var_os("CROSSRIG_DATA").map(PathBuf::from) else {
        assert!(std::env::var_os("CROSSRIG_REQUIRE_DATA").is_none());
        return;
    };
    let beside = tempfile::tempdir().unwrap();
    for (set, least) in [
        ("cwru", 40),
        ("hit_sm", 18),
        ("gearbox", 8),
        ("mfpt", 4),
        ("ligo", 2),
        ("spoken_digits", 90),
    ] {
        let folder = data.join(set).canonicalize().unwrap();
        let text = draft_manifest(&folder, folder.to_str().unwrap()).unwrap();
        println!("{text}\n");
        let dataset = open(&text, beside.path());
        assert!(
            dataset.recordings.len() >= least,
            "{set}: {}\n{text}",
            dataset.recordings.len()
        );
        let loaded = dataset
            .recordings
            .iter()
            .step_by(7)
            .filter(|r| r.load().is_ok())
            .count();
        let all = dataset.recordings.len().div_ceil(7);
        // cwru's files have no variable in common, which the draft says
        let said = text.contains("no variable is in all files");
        assert!(
            loaded == all || said && 4 * loaded >= 3 * all,
            "{set}: {loaded} of {all}\n{text}"
        );
    }
}
