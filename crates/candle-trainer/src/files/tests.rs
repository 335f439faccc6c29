//! Whatever call fails, and wherever the process or the power ends: the old file or the new one, whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use tempfile::TempDir;

use super::create_folder;
use super::faults::{Fault, Loss, Record, after_power_failure, restart, with_fault};
use crate::{Checkpoints, Error, Result, sealed, write_atomic};

/// EIO, EACCES, ENOSPC.
const ERRORS: [i32; 3] = [5, 13, 28];

/// A folder in memory where the system has one: these tests flush thousands of times.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Runs `job` with a fault at its first call, its second, .., until it runs through without meeting one.
fn at_every_call(mut job: impl FnMut(usize) -> Record) -> usize {
    let mut calls = 0;
    while job(calls).failed.is_some() {
        calls += 1;
    }
    assert!(calls > 4, "only {calls} calls");
    calls
}

/// The writers of this crate, each with something to replace at the same path.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Sealed,
}

fn write(kind: Kind, path: &Path, value: u8) -> Result<()> {
    match kind {
        Kind::Plain => write_atomic(path, |out| {
            (0..3).try_for_each(|_| {
                out.write_all(&[value; 500])?;
                out.flush()
            })
        }),
        Kind::Sealed => sealed::save(path, &tensors(u64::from(value)), &BTreeMap::new(), "test"),
    }
}

/// What [`write`] writes.
fn whole(kind: Kind, value: u8) -> Vec<u8> {
    let folder = folder();
    let path = folder.path().join("x");
    write(kind, &path, value).unwrap();
    fs::read(path).unwrap()
}

const OLD: u8 = 3;
const NEW: u8 = 7;

/// Writes over an old file, or where none is, with a fault.
fn write_with_fault(kind: Kind, old: bool, call: usize, fault: Fault) -> (TempDir, PathBuf, Result<()>, Record) {
    let folder = folder();
    let path = folder.path().join("metrics.json");
    if old {
        write(kind, &path, OLD).unwrap();
    }
    let (result, record) = with_fault(call, fault, || write(kind, &path, NEW));
    (folder, path, result, record)
}

fn cases() -> impl Iterator<Item = (Kind, bool)> {
    [Kind::Plain, Kind::Sealed]
        .into_iter()
        .flat_map(|kind| [(kind, false), (kind, true)])
}

/// Holds what is found to the promise.
fn old_or_new(kind: Kind, old: bool, written: bool, found: Option<&[u8]>, what: &dyn std::fmt::Debug) {
    let is_new = found == Some(&whole(kind, NEW)[..]);
    let is_old = found == old.then(|| whole(kind, OLD)).as_deref();
    if written {
        assert!(is_new, "{kind:?} at {what:?}: written, but {found:?}");
    } else {
        assert!(is_new || is_old, "{kind:?} at {what:?}: neither old nor new: {found:?}");
    }
}

#[test]
fn a_call_that_fails_is_an_error_and_leaves_the_old_file_or_the_new_one() {
    for (kind, old) in cases() {
        for error in ERRORS {
            for fault in [Fault::Once(error), Fault::FromHere(error)] {
                at_every_call(|call| {
                    let (folder, path, result, record) = write_with_fault(kind, old, call, fault);
                    let what = (fault, &record.failed);
                    old_or_new(kind, old, result.is_ok(), fs::read(&path).ok().as_deref(), &what);
                    match (&record.failed, result) {
                        (None, result) => result.unwrap(),
                        (Some(_), Err(Error::Machine { source, .. })) => {
                            assert_eq!(source.raw_os_error(), Some(error), "{what:?}");
                        }
                        (Some(_), other) => panic!("{what:?}: {other:?}"),
                    }
                    if let Fault::Once(_) = fault {
                        let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
                        assert!(names.into_iter().all(|name| name == "metrics.json"), "{what:?}");
                    }
                    record
                });
            }
        }
    }
}

#[test]
fn a_process_that_ends_at_any_call_leaves_the_old_file_or_the_new_one() {
    for (kind, old) in cases() {
        at_every_call(|call| {
            let (_folder, path, result, record) = write_with_fault(kind, old, call, Fault::Death);
            let found = fs::read(path).ok();
            old_or_new(kind, old, result.is_ok(), found.as_deref(), &record.failed);
            record
        });
    }
}

#[test]
fn a_power_failure_at_any_call_leaves_the_old_file_or_the_new_one() {
    for (kind, old) in cases() {
        at_every_call(|call| {
            let (folder, path, result, record) = write_with_fault(kind, old, call, Fault::Death);
            let before: Vec<_> = old.then(|| (path.clone(), whole(kind, OLD))).into_iter().collect();
            for loss in Loss::all() {
                let left = after_power_failure(folder.path(), &before, &record.made, loss);
                let found = left.get(&path).and_then(Option::as_deref);
                old_or_new(kind, old, result.is_ok(), found, &(loss, &record.failed));
            }
            record
        });
    }
}

/// Tensors of a checkpoint, different for every step.
fn tensors(step: u64) -> BTreeMap<String, Tensor> {
    let weight = Tensor::full(step as f32, (4, 5 + step as usize), &Device::Cpu).unwrap();
    let count = Tensor::new(&[step as i64], &Device::Cpu).unwrap();
    BTreeMap::from([("weight".to_owned(), weight), ("step.weight".to_owned(), count)])
}

const STEPS: u64 = 5;

/// A run below `root` that goes on after step `done` and saves a checkpoint at each step; the number of the last that
/// was saved without an error.
fn train(root: &Path, done: u64) -> (u64, Result<()>) {
    let mut saved = done;
    let mut run = || {
        let checkpoints = Checkpoints::new(root.join("out/checkpoints"), "test")?;
        for step in done + 1..=STEPS {
            let metadata = BTreeMap::from([("step".to_owned(), step.to_string())]);
            checkpoints.save(step, &tensors(step), &metadata)?;
            saved = step;
        }
        Ok(())
    };
    let result = run();
    (saved, result)
}

/// The next run finds the last checkpoint that was saved, or the one after it, and goes on to the end.
fn resumes(root: &Path, saved: u64, what: &dyn std::fmt::Debug) {
    let checkpoints = Checkpoints::new(root.join("out/checkpoints"), "test").unwrap();
    let latest = checkpoints.latest(&Device::Cpu).unwrap();
    assert!(latest.damaged.is_empty(), "{what:?}: {:?}", latest.damaged);
    let found = latest.checkpoint.as_ref().map_or(0, |c| c.step);
    assert!(
        found == saved || found == saved + 1,
        "{what:?}: {saved} was saved, the latest is {found}"
    );
    if let Some(checkpoint) = latest.checkpoint {
        assert_eq!(checkpoint.metadata["step"], found.to_string(), "{what:?}");
        for (name, tensor) in tensors(found) {
            let bits = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>();
            assert_eq!(
                bits(&checkpoint.tensors[&name]).unwrap(),
                bits(&tensor).unwrap(),
                "{what:?}"
            );
        }
    }
    let (saved, result) = train(root, found);
    result.unwrap();
    assert_eq!(saved, STEPS);
    if found < STEPS {
        // what the broken run left half written or not yet removed went with the next save
        let names = fs::read_dir(checkpoints.folder())
            .unwrap()
            .map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(
            names,
            ["step-00000004.safetensors", "step-00000005.safetensors"],
            "{what:?}"
        );
    }
}

#[test]
fn a_call_that_fails_is_an_error_of_the_run_and_costs_no_checkpoint() {
    for fault in [Fault::Once(5), Fault::FromHere(28)] {
        let calls = at_every_call(|call| {
            let folder = folder();
            let ((saved, result), record) = with_fault(call, fault, || train(folder.path(), 0));
            let what = (fault, &record.failed);
            if record.failed.is_some() {
                let error = result.expect_err(&format!("{what:?}"));
                assert!(matches!(error, Error::Machine { .. }), "{what:?}: {error:?}");
                let path = folder.path().display().to_string();
                assert!(error.to_string().contains(&path), "{what:?}: {error}");
            } else {
                result.unwrap();
            }
            resumes(folder.path(), saved, &what);
            record
        });
        assert!(calls > 30, "{calls}");
    }
}

#[test]
fn a_run_whose_process_ends_at_any_call_resumes_from_its_last_checkpoint() {
    at_every_call(|call| {
        let folder = folder();
        let ((saved, _), record) = with_fault(call, Fault::Death, || train(folder.path(), 0));
        resumes(folder.path(), saved, &record.failed);
        record
    });
}

#[test]
fn a_run_whose_power_fails_at_any_call_resumes_from_its_last_checkpoint() {
    at_every_call(|call| {
        let broken = folder();
        let ((saved, _), record) = with_fault(call, Fault::Death, || train(broken.path(), 0));
        for loss in Loss::all() {
            let new = folder();
            let left = after_power_failure(broken.path(), &[], &record.made, loss);
            restart(broken.path(), &left, new.path());
            resumes(new.path(), saved, &(loss, &record.failed));
        }
        record
    });
}

#[test]
fn a_folder_that_was_made_survives_a_power_failure() {
    let folder = folder();
    let deep = folder.path().join("a/b/c");
    let (result, record) = with_fault(usize::MAX, Fault::Death, || create_folder(&deep));
    result.unwrap();
    let left = after_power_failure(folder.path(), &[], &record.made, Loss::Everything);
    assert!(left.contains_key(&deep), "{left:?}");
    // what is there already is left alone
    with_fault(0, Fault::Once(28), || create_folder(&deep)).0.unwrap();
}

/// The tests above can fail: a power failure takes what is not flushed.
#[test]
fn the_simulated_power_failure_takes_what_was_not_flushed() {
    let folder = folder();
    let path = folder.path().join("x");
    let (result, Record { made, .. }) = with_fault(usize::MAX, Fault::Death, || write(Kind::Plain, &path, NEW));
    result.unwrap();
    let without = |unwanted: &str| {
        let wanted = made.iter().filter(|call| !format!("{call:?}").starts_with(unwanted));
        let calls: Vec<_> = wanted.cloned().collect();
        assert_eq!(calls.len(), made.len() - 1);
        let end = |loss| {
            after_power_failure(folder.path(), &[], &calls, loss)
                .remove(&path)
                .flatten()
        };
        Loss::all().map(end).collect::<Vec<_>>()
    };
    let new = Some(whole(Kind::Plain, NEW));
    let unsynced = without("Sync(");
    assert_eq!(unsynced[1], Some(Vec::new()), "data without a sync");
    assert!(unsynced.iter().any(|found| found.is_some() && *found != new));
    let entry = without("SyncFolder(");
    assert_eq!(entry[0], None, "a rename without a sync of the folder");
    assert!(entry.contains(&new));
}
