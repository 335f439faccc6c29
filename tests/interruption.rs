//! A run that is stopped goes on as if nothing had happened; a full disk loses nothing.
#![cfg(unix)]

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{crossrig, files, ok, plant, run, weights};

const TRAIN: &str =
    "train --data plant --source machine-a --target machine-b --window 128 --batch 8 --epochs 40 --warmup-epochs 5";

#[test]
fn a_run_that_was_interrupted_resumes_to_the_same_bits() {
    resumes_to_the_same_bits("dann");
}

#[test]
fn an_alternating_run_that_was_interrupted_resumes_to_the_same_bits() {
    resumes_to_the_same_bits("dann-alternating --domain-steps 2");
}

fn resumes_to_the_same_bits(method: &str) {
    let train = format!("{TRAIN} --method {method}");
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    ok(dir.path(), &format!("{train} --out whole"));

    let mut child = crossrig(dir.path())
        .args(format!("{train} --out broken").split_whitespace())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // past the first epochs, somewhere in the adversarial part
    let checkpoints = dir.path().join("broken/checkpoints/adapted");
    let patience = Instant::now();
    while !files(&checkpoints)
        .iter()
        .any(|f| f.starts_with("step-") && f.ends_with(".safetensors"))
    {
        assert!(patience.elapsed() < Duration::from_secs(60), "no checkpoint appears");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "interrupted");
    assert!(!dir.path().join("broken/model.safetensors").exists());

    ok(dir.path(), "train --resume --out broken");
    for model in ["model.safetensors", "source_only.safetensors"] {
        assert!(
            weights(&dir.path().join("whole").join(model)) == weights(&dir.path().join("broken").join(model)),
            "{model} differs after the resume"
        );
    }
}

#[test]
fn a_run_is_not_resumed_with_other_settings() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{} --out run", common::QUICK));
    let r = run(dir.path(), "train --resume --out run --lr 0.01");
    assert_eq!(r.code, 2, "{}", r.stderr);
    assert!(r.stderr.contains("other settings"), "{}", r.stderr);
}

#[test]
fn a_full_disk_is_exit_1_and_the_old_checkpoint_survives() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{} --out run", common::QUICK));
    let folder = dir.path().join("run/checkpoints/adapted");
    let before: Vec<(String, Vec<u8>)> = files(&folder)
        .into_iter()
        .map(|f| (f.clone(), std::fs::read(folder.join(f)).unwrap()))
        .collect();
    assert!(!before.is_empty());
    // the twin's checkpoints are gone, so resuming has to write them, on a disk that takes files of 64 blocks at most
    let program = env!("CARGO_BIN_EXE_crossrig");
    let out = Command::new("sh")
        .current_dir(dir.path())
        .arg("-c")
        .arg(format!("rm -f run/checkpoints/source-only/* run/model.safetensors; trap '' XFSZ; ulimit -f 64; exec {program} train --resume --out run"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("checkpoints"), "{text}");
    for (file, bytes) in &before {
        assert!(
            std::fs::read(folder.join(file)).unwrap() == *bytes,
            "{file} did not survive"
        );
    }
    assert!(
        !files(&dir.path().join("run")).iter().any(|f| f.contains("tmp")),
        "something half-written is left"
    );
    // with room again, the run goes on
    ok(dir.path(), "train --resume --out run");
}
