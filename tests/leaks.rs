//! `inspect --split`, `inspect --folds`, `inspect --where` and `init`, as the real program.

mod common;

use std::fs;

use common::{csv, ok, run, samples};
use tempfile::tempdir;

const MANIFEST: &str = r#"
[dataset]
files = "rec/*.csv"
pattern = '(?<unit>(?<class>[a-z]+)\d)_(?<load>\d+)'
[domain.idle]
where = 'load == 0'
[domain.loaded]
where = 'load > 0'
"#;

/// A folder with two units of two classes at two loads.
fn lab() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("rec")).unwrap();
    for (class, name) in ["good", "worn"].into_iter().enumerate() {
        for unit in 0..2 {
            for load in 0..2 {
                let text = csv(&samples(class, unit, load, 3000));
                fs::write(folder.path().join(format!("rec/{name}{unit}_{load}.csv")), text).unwrap();
            }
        }
    }
    fs::write(folder.path().join("m.toml"), MANIFEST).unwrap();
    folder
}

#[test]
fn a_split_that_leaks_ends_with_1_an_honest_one_with_0_and_a_wrong_list_with_2() {
    let folder = lab();
    let f = folder.path();
    let write = |text: &str| fs::write(f.join("s.json"), text).unwrap();
    write(r#"[["rec/good0_0.csv", 0, 1000, "train"], ["rec/good0_0.csv", 999, 1000, "test"]]"#);
    let ran = run(f, "inspect --split s.json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("pieces of test that overlap train or lie too near: 1"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("leaks in s.json: 1"), "{}", ran.stderr);

    write(r#"{"root": "rec", "pieces": [["good0_0.csv", 0, 1000, "train"], ["good0_0.csv", 1000, 1000, "test"]]}"#);
    let honest = ok(f, "inspect --split s.json");
    assert!(
        honest.stdout.contains("nothing leaks that was looked for"),
        "{}",
        honest.stdout
    );
    assert!(honest.stdout.contains("units are not stated"), "{}", honest.stdout);
    assert_eq!(run(f, "inspect --split s.json --gap 100").code, 1);

    // with the manifest the units are known
    let ran = run(f, "inspect m.toml --split s.json --json");
    assert_eq!(ran.code, 1);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["report"]["leaks"][0]["unit"], "good0");
    assert_eq!(json["report"]["units_known"], true);

    for (text, words) in [
        ("[", "EOF while parsing"),
        ("3", "neither a list nor an object"),
        (
            r#"[{"file": "a", "part": "train", "lenght": 3}]"#,
            "piece 1: unknown field `lenght`",
        ),
        (r#"[["rec/good0_0.csv", -1, 1000, "train"]]"#, "piece 1: invalid value"),
        (r#"{"pieces": [], "rooot": "x"}"#, "and nothing else"),
        (r#"[["rec/good0_0.csv", 0, 1000, "train"]]"#, "at least two parts"),
        (
            r#"[["rec/good0_0.csv", 0, 9000, "train"], ["rec/good1_0.csv", 0, 1, "test"]]"#,
            "the file has 3000",
        ),
        (
            r#"[["gone.csv", 0, 9000, "train"], ["rec/good1_0.csv", 0, 1, "test"]]"#,
            "could not be looked into: 1 file",
        ),
    ] {
        write(text);
        let ran = run(f, "inspect --split s.json");
        assert_eq!(ran.code, 2, "{text}\n{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{text}\n{}", ran.stderr);
    }
    // the last of these is fine by name
    assert!(
        ok(f, "inspect --split s.json --names-only")
            .stdout
            .contains("copies: --names-only")
    );
}

#[test]
fn a_copy_with_another_gain_is_found_by_the_program() {
    let folder = lab();
    let louder: Vec<f64> = samples(0, 0, 0, 3000).iter().map(|v| -2.5 * v).collect();
    fs::write(folder.path().join("rec/renamed.txt"), csv(&louder)).unwrap();
    let list = r#"[["rec/good0_0.csv", 0, 3000, "train"], ["rec/renamed.txt", 0, 3000, "test"], ["rec/good1_1.csv", 0, 9, "test"]]"#;
    fs::write(folder.path().join("s.json"), list).unwrap();
    let ran = run(folder.path(), "inspect --split s.json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("rec/good0_0.csv is a copy of rec/renamed.txt") && ran.stdout.contains("times -2.5000"),
        "{}",
        ran.stdout
    );
}

#[test]
fn folds_say_what_they_are_and_queries_choose_what_is_shown() {
    let folder = lab();
    let domains = ok(folder.path(), "inspect m.toml --folds domain").stdout;
    assert!(
        domains.contains("without domain idle: train on 4 recordings, test on 4; units ON BOTH SIDES (4)"),
        "{domains}"
    );
    let units = ok(folder.path(), "inspect m.toml --folds unit --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&units).unwrap();
    assert_eq!(json["folds"].as_array().unwrap().len(), 4);
    assert_eq!(json["folds"][0]["test"][1]["file"], "rec/good0_1.csv");
    let query = |text: &str| -> common::Ran {
        let mut command = common::crossrig(folder.path());
        command
            .args(["inspect", "m.toml", "--where", text])
            .output()
            .unwrap()
            .into()
    };
    let shown = query("class == 'good' and load == 1");
    assert!(
        shown.code == 0 && shown.stdout.contains("2 recordings, 2 here"),
        "{}",
        shown.stdout
    );
    for (text, words) in [
        ("class = 'good'", "line 1, column 7"),
        ("lod == 1", "did you mean \"load\"?"),
        ("load == 7", "of no recording is load == 7 true"),
    ] {
        let ran = query(text);
        assert_eq!(ran.code, 2, "{text}");
        assert!(ran.stderr.contains(words), "{text}\n{}", ran.stderr);
    }
    assert_eq!(run(folder.path(), "inspect").code, 2);
}

#[test]
fn a_drafted_manifest_can_be_inspected_and_is_never_written_over_another() {
    let folder = lab();
    let f = folder.path();
    ok(f, "init rec --out new.toml");
    let text = fs::read_to_string(f.join("new.toml")).unwrap();
    assert!(
        text.contains("root = 'rec'") && text.contains("PROBLEM: no file states a sampling rate"),
        "{text}"
    );
    ok(f, "inspect new.toml");
    let again = run(f, "init rec --out new.toml");
    assert!(
        again.code == 2 && again.stderr.contains("is not overwritten"),
        "{}",
        again.stderr
    );
    assert_eq!(fs::read_to_string(f.join("new.toml")).unwrap(), text);
    assert_eq!(ok(f, "init rec").stdout, text);
    assert_eq!(run(f, "init gone").code, 2);
}

/// What `data/README.md` lists, as far as a program can see it.
#[test]
fn inspect_names_the_oddities_of_the_real_sets() {
    let Some(data) = common::real_data() else { return };
    let folder = tempdir().unwrap();
    let originals = "[dataset]\nrate_hz = 12000\nfiles = '*.mat'\nchannels = [{ name = 'drive-end', key = '*_DE_time' }]\n\
                     [domain.originals]\nwhere = 'rate_hz > 0'\n";
    fs::write(folder.path().join("originals.toml"), originals).unwrap();
    let inspect = |manifest: std::path::PathBuf, root: Option<&str>| {
        let mut command = common::crossrig(folder.path());
        command
            .env("CROSSRIG_DATA", &data)
            .arg("inspect")
            .arg(manifest)
            .arg("--json");
        if let Some(root) = root {
            command.arg("--root").arg(data.join(root));
        }
        let ran: common::Ran = command.output().unwrap().into();
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let remarks = json["remarks"].as_array().unwrap().iter();
        remarks.map(|r| r.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let committed = |name: &str| inspect(common::project().join("datasets").join(name), None);
    let originals = inspect(folder.path().join("originals.toml"), Some("cwru/original"));
    for (remarks, wanted) in [
        (
            committed("cwru.toml"),
            &["97.mat: at 48000 Hz, most others at 12000 Hz"][..],
        ),
        (
            committed("cwru-bearings.toml"),
            &["279.mat: X279RPM says 1732 rpm, the data set 1774, the signal shows 177"],
        ),
        (
            originals,
            &[
                "3001.mat: its variable is X056_DE_time; most others carry the number of their file",
                "174.mat: its variable is X173_DE_time",
                "3001.mat: without X#RPM",
                "278.mat: holds i,",
            ],
        ),
        (
            committed("hit-sm.toml"),
            &[
                "another gain or unit? the level alone tells these classes apart",
                "normal of self_built is 3",
                "variables are named differently from file to file",
            ],
        ),
        (committed("gearbox.toml"), &["some recordings have no sampling rate"]),
        (committed("ligo.toml"), &["whose square is 0 in 32 bits"]),
        (
            committed("tdms.toml"),
            &[
                "at 250 Hz, others at another rate",
                "stands at 0.96",
                "the unit \"Â°\" is not",
            ],
        ),
    ] {
        for words in wanted {
            assert!(remarks.iter().any(|r| r.contains(words)), "{words}: {remarks:#?}");
        }
    }
}
