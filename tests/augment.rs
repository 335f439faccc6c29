//! Training windows that are changed at random: the same bits again, on any number of threads and for the twin, and nothing
//! outside training is touched.

mod common;

use common::{QUICK, machines, metrics, ok, plant, run, same_results, weights};

const ALL: &str = "--augment gain:6,noise:15,shift,stretch:2,mask:0.2,mix:0.3";

#[test]
fn changed_windows_are_a_function_of_the_seed_and_reach_training_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 4);
    for input in ["raw", "log-spectrum"] {
        let train = format!("{QUICK} --input {input}");
        ok(folder, &format!("{train} --out {input}-plain"));
        ok(folder, &format!("{train} {ALL} --threads 1 --out {input}-one"));
        ok(folder, &format!("{train} {ALL} --threads 2 --out {input}-two"));
        let [plain, one, two] = ["plain", "one", "two"].map(|name| folder.join(format!("{input}-{name}")));
        same_results(&one, &two, "threads");
        let model = "model.safetensors";
        assert!(weights(&plain.join(model)) != weights(&one.join(model)), "{input}");
        // baselines and statistics are of the windows as they are
        assert_eq!(metrics(&plain)["baselines"], metrics(&one)["baselines"]);
        assert_eq!(metrics(&one)["config"]["augment"][0], "gain:6");
        // what was saved says it again
        ok(
            folder,
            &format!("train --config {input}-one/config.toml --out {input}-again"),
        );
        same_results(&one, &folder.join(format!("{input}-again")), "config");
    }
}

#[test]
fn defect_orders_of_changed_windows_are_taken_at_the_speed_that_goes_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    ok(
        folder,
        &format!(
            "train --data machines.toml --root . --source b --target a --input defect-orders --method source-only --batch 6 --epochs 1 \
             --warmup-epochs 1 --score all --fractions 1,0,0 {ALL} --out run"
        ),
    );
}

#[test]
fn changes_that_are_none_or_train_nothing_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 2);
    for (args, message) in [
        ("--augment louder", "stretch:PERCENT"),
        ("--augment mask:3", "from 0 to 0.9"),
        (
            "--augment gain:3 --method logistic --input log-spectrum",
            "only networks",
        ),
    ] {
        let r = run(folder, &format!("{QUICK} {args} --out x"));
        assert!(r.code == 2 && r.stderr.contains(message), "{args}\n{}", r.stderr);
    }
}
