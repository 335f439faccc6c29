//! A run that is killed at any instant, or stopped by Ctrl-C, goes on as if nothing had happened.
#![cfg(unix)]

mod common;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{crossrig, files, ok, plant, same_results};

fn start(folder: &Path, args: &str) -> Child {
    crossrig(folder)
        .args(args.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The checkpoints of the adapted model.
fn checkpoints(run: &Path) -> Vec<String> {
    let mut names = files(&run.join("checkpoints/adapted"));
    names.retain(|name| name.ends_with(".safetensors"));
    names
}

/// Waits for `there`, while the child runs.
fn wait_for(child: &mut Child, what: &str, there: impl Fn() -> bool) {
    let patience = Instant::now();
    while !there() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before there was {what}"
        );
        assert!(
            patience.elapsed() < Duration::from_secs(120),
            "{what} does not come about"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A number in 0 .. 1 that is another in each run of the test.
fn random() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn a_run_killed_at_20_random_instants_ends_in_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let train = "train --data plant --source machine-a --target machine-b --window 64 --batch 16 --epochs 3 \
                 --warmup-epochs 1 --checkpoint-minutes 0";
    let clock = Instant::now();
    ok(dir.path(), &format!("{train} --out whole"));
    let mut duration = clock.elapsed();

    let (mut kills, mut resumed) = (0_u32, 0);
    while kills < 20 {
        // one instant in each twentieth of the run, so that no part of it is left out
        let instant = duration.mul_f64((f64::from(kills) + random()) / 20.0);
        let out = format!("broken-{kills}");
        let run = dir.path().join(&out);
        let clock = Instant::now();
        let mut child = start(dir.path(), &format!("{train} --out {out}"));
        while clock.elapsed() < instant && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if child.try_wait().unwrap().is_some() {
            // it ran faster than the first: there was nothing left to kill
            duration = clock.elapsed();
            std::fs::remove_dir_all(run).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let left = files(&run).join(" ");
        println!("killed after {instant:?}: {left}");
        kills += 1;
        resumed += u32::from(!checkpoints(&run).is_empty());

        ok(dir.path(), &format!("{train} --resume --out {out}"));
        same_results(
            &dir.path().join("whole"),
            &run,
            &format!("{instant:?}, which left {left}"),
        );
        let scratch = files(&run).into_iter().find(|file| file.contains(".tmp"));
        assert_eq!(scratch, None, "after {instant:?}, which left {left}");
    }
    assert!(resumed > 0, "no run was killed after its first checkpoint");
}

#[test]
fn the_first_interrupt_ends_the_step_and_saves_it() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    // one long epoch: no checkpoint but the one that the interruption makes
    let train = "train --data plant --source machine-a --target machine-b --window 128 --hop 16 --batch 2 --epochs 1 \
                 --warmup-epochs 0 --no-twin";
    ok(dir.path(), &format!("{train} --out whole"));
    let run = dir.path().join("broken");
    let mut child = start(dir.path(), &format!("{train} --out broken"));
    let folder = run.join("checkpoints/adapted");
    wait_for(&mut child, "a folder of checkpoints", || folder.is_dir());
    interrupt(&child);
    let ran = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(130), "{shown}");
    assert!(
        shown.contains("stopping after this step") && shown.contains("--resume"),
        "{shown}"
    );
    assert_eq!(checkpoints(&run).len(), 1, "{:?}", files(&run));
    assert!(!run.join("model.safetensors").exists());

    ok(dir.path(), "train --resume --out broken");
    same_results(&dir.path().join("whole"), &run, "resumed");
}

#[test]
fn the_second_interrupt_stops_at_once_and_costs_the_step_alone() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    // steps that last long enough to be interrupted twice
    let train = "train --data plant --source machine-a --target machine-b --window 1024 --hop 2 --batch 256 \
                 --epochs 2 --warmup-epochs 1 --checkpoint-minutes 0 --no-twin";
    ok(dir.path(), &format!("{train} --out whole"));
    // where the machine is so slow that the step is over before the second signal, there is another try
    for attempt in 0..5 {
        let out = format!("broken-{attempt}");
        let run = dir.path().join(&out);
        let mut child = start(dir.path(), &format!("{train} --out {out}"));
        wait_for(&mut child, "a checkpoint", || !checkpoints(&run).is_empty());
        let before = checkpoints(&run);
        interrupt(&child);
        let mut shown = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = shown.find(|line| line.as_ref().unwrap().contains("again to stop at once"));
        assert!(first.is_some(), "no answer to the first interrupt");
        interrupt(&child);
        let code = child.wait().unwrap().code();
        let rest: Vec<String> = shown.map_while(Result::ok).collect();
        assert_eq!(code, Some(130), "{rest:?}");
        if rest.iter().any(|line| line.contains("interrupted")) {
            continue;
        }
        assert_eq!(checkpoints(&run), before, "nothing is saved, and nothing lost");
        ok(dir.path(), &format!("train --resume --out {out}"));
        same_results(&dir.path().join("whole"), &run, "resumed");
        return;
    }
    panic!("every step was over before the second signal came");
}
