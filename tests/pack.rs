//! `crossrig pack`: one file that stands for the whole data set.

mod common;

use std::fs;

use common::{QUICK, ok, plant, run, weights};

#[test]
fn a_packed_data_set_is_inspected_and_trained_on_like_its_originals() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 3);
    let said = ok(folder, "pack plant --out plant.h5").stdout;
    assert!(said.contains("12 recordings"), "{said}");
    let inspected = ok(folder, "inspect plant.h5").stdout;
    assert!(
        inspected.contains("machine-a") && inspected.contains("healthy"),
        "{inspected}"
    );

    ok(folder, &format!("{QUICK} --out original"));
    let packed = QUICK.replace("--data plant", "--data plant.h5");
    ok(folder, &format!("{packed} --out packed"));
    for model in ["model.safetensors", "source_only.safetensors"] {
        assert_eq!(
            weights(&folder.join("original").join(model)),
            weights(&folder.join("packed").join(model)),
            "{model}"
        );
    }
}

/// Training must not see that a pack holds windows, nor a split that they overlap.
#[test]
fn packed_windows_are_inspected_and_trained_on_as_the_recordings_that_they_cover() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 3);
    // they overlap, and cover every sample
    let said = ok(folder, "pack plant --window 128 --hop 64 --out windows.h5").stdout;
    assert!(
        said.contains("12 recordings") && said.contains("windows of 128 every 64 samples, "),
        "{said}"
    );
    let inspected = ok(folder, "inspect windows.h5").stdout;
    assert!(
        inspected.contains("machine-a") && inspected.contains("healthy"),
        "{inspected}"
    );
    ok(folder, &format!("{QUICK} --out original"));
    let packed = QUICK.replace("--data plant", "--data windows.h5");
    ok(folder, &format!("{packed} --out packed"));
    assert_eq!(
        weights(&folder.join("original/model.safetensors")),
        weights(&folder.join("packed/model.safetensors"))
    );
    // a time needs a rate, and a window no gap
    let timed = run(folder, "pack plant --window 0.01s --out timed.h5");
    let gap = run(folder, "pack plant --window 64 --hop 65 --out gap.h5");
    for (ran, says) in [(&timed, "the rate of"), (&gap, "no gaps between windows")] {
        assert!(
            ran.code == 2 && ran.stderr.contains(says),
            "{} {}",
            ran.code,
            ran.stderr
        );
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_partial_left() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 1);
    fs::write(folder.join("there.h5"), "mine").unwrap();
    let refused = run(folder, "pack plant --out there.h5");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(fs::read(folder.join("there.h5")).unwrap(), b"mine");

    fs::write(folder.join("plant/machine-b/fault/broken.mat"), "no recording").unwrap();
    let before = common::files(folder);
    let failed = run(folder, "pack plant --out new.h5");
    assert_eq!(failed.code, 2, "{}", failed.stderr);
    assert!(failed.stderr.contains("broken.mat"), "{}", failed.stderr);
    assert_eq!(common::files(folder), before);
}
