//! A disk that takes no more, or a folder that takes nothing, is a clear error of the machine and loses nothing.
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::{QUICK, Ran, files, ok, plant};

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |file: String| (file.clone(), fs::read(folder.join(file)).unwrap());
    files(folder).into_iter().map(read).collect()
}

#[test]
fn a_full_disk_is_exit_1_and_the_old_checkpoint_survives() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{QUICK} --out run"));
    let folder = dir.path().join("run/checkpoints/adapted");
    let before = contents(&folder);
    assert!(!before.is_empty());
    // the twin's checkpoints are gone, so resuming has to write them, on a disk that takes files of 64 blocks at most
    let program = env!("CARGO_BIN_EXE_crossrig");
    let script = "rm -f run/checkpoints/source-only/* run/model.safetensors; trap '' XFSZ; ulimit -f 64";
    let ran: Ran = Command::new("sh")
        .current_dir(dir.path())
        .arg("-c")
        .arg(format!("{script}; exec {program} train --resume --out run"))
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("checkpoints"), "{}", ran.stderr);
    assert!(contents(&folder) == before, "a checkpoint did not survive");
    assert!(
        !files(&dir.path().join("run")).iter().any(|f| f.contains("tmp")),
        "something half-written is left"
    );
    // with room again, the run goes on
    ok(dir.path(), "train --resume --out run");
}

/// Runs the program as a user whom permissions bind: nobody, where the test is run by root.
fn run_bound(folder: &Path, program: &Path, args: &str) -> Ran {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(args.split_whitespace())
        .env_remove("CROSSRIG_DATA");
    if fs::metadata(folder).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    command.output().unwrap().into()
}

#[test]
fn a_read_only_folder_is_exit_1_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{QUICK} --out run"));
    // nobody may not be let into the folder of the build
    let program = dir.path().join("crossrig");
    fs::copy(env!("CARGO_BIN_EXE_crossrig"), &program).unwrap();
    let folders = [
        "",
        "run",
        "run/checkpoints",
        "run/checkpoints/adapted",
        "run/checkpoints/source-only",
    ];
    let mode = |mode: u32| {
        for folder in folders {
            fs::set_permissions(dir.path().join(folder), Permissions::from_mode(mode)).unwrap();
        }
    };
    let before = contents(&dir.path().join("run"));
    mode(0o555);
    for (args, name) in [
        (format!("{QUICK} --out new/run"), "new"),
        ("train --resume --out run".to_owned(), "run/config.toml"),
    ] {
        let ran = run_bound(dir.path(), &program, &args);
        assert_eq!(ran.code, 1, "{args}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(name) && ran.stderr.contains("Permission denied"),
            "{args}: {}",
            ran.stderr
        );
    }
    mode(0o755);
    assert!(contents(&dir.path().join("run")) == before, "something changed");
    assert!(!dir.path().join("new").exists());
}
