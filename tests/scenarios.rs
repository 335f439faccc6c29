//! The scenarios of `datasets/scenarios/` are configs that run on the real recordings, and mean what their table says.

mod common;

use std::fs;

use common::{crossrig, project, real_data};

fn scenarios() -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(project().join("datasets/scenarios"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_is_ready_to_train() {
    let Some(data) = real_data() else { return };
    let files = scenarios();
    assert_eq!(files.len(), 5);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let ran: common::Ran = crossrig(&project())
            .env("CROSSRIG_DATA", &data)
            .args(["train", "--dry-run", "--out", "target/never-written", "--config"])
            .arg(&file)
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.code, 0, "{name}\n{}\n{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("source") && ran.stdout.contains("target"),
            "{name}\n{}",
            ran.stdout
        );
        assert!(!project().join("target/never-written").exists());
    }
}

#[test]
fn the_table_names_every_scenario() {
    let table = fs::read_to_string(project().join("datasets/scenarios/README.md")).unwrap();
    for file in scenarios() {
        let link = format!("({})", file.file_name().unwrap().to_str().unwrap());
        assert!(table.contains(&link), "{link}");
    }
}
