//! A run that is stopped goes on as if nothing had happened.
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
