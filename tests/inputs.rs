//! Inputs made from the envelope, orders and defect orders: from training to prediction, on recordings of two simulated bearings.

mod common;

use bearing_simulator::Machine;
use common::{bearing_flags, json, machines, metrics, ok, plant, project, real_data, run};
use serde_json::Value;

/// Trains in seconds: 18 pieces of 1 s in each domain.
const QUICK: &str =
    "--batch 6 --epochs 12 --warmup-epochs 3 --score all --fractions 1,0,0 --label-head linear --domain-head linear";

#[test]
fn networks_learn_from_defect_orders_and_the_model_asks_for_the_bearing_of_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let train = format!("train --data machines.toml --root . --source b --target a --input defect-orders {QUICK}");
    ok(folder, &format!("{train} --out run"));
    let found = metrics(&folder.join("run"));
    assert_eq!(found["config"]["signal"]["window"], 12_000);
    assert_eq!(found["config"]["signal"]["standardise"], "source");
    // pieces and windows are the same here
    assert_eq!(found["adapted"]["last"]["domains"]["a"]["windows"], 18);
    let f1 = found["baselines"]["defect-orders-logistic"]["macro_f1"]
        .as_f64()
        .unwrap();
    assert!(f1 > 0.6, "{f1} across bearings, chance is 0.33");
    let evaluated = ok(
        folder,
        "evaluate --model run/model.safetensors --data machines.toml --root . --domain a --json",
    );
    assert_eq!(
        json(&evaluated.stdout)["scores"]["domains"]["a"]["confusion"],
        found["adapted"]["last"]["domains"]["a"]["confusion"]
    );
    let flags = bearing_flags(&Machine::a());
    let files = "a-inner-0.csv a-outer-1.csv";
    let predicted = ok(
        folder,
        &format!("predict --model run/model.safetensors {flags} --json {files}"),
    );
    let windows: Vec<Value> = predicted.stdout.lines().map(|l| json(l)["windows"].clone()).collect();
    assert_eq!(windows, [3, 3]);
    let (_, rpm) = flags.split_once("--rpm").unwrap();
    for (flags, message) in [
        (format!("--rpm {rpm}"), "the bearing is not known"),
        ("--geometry 6205 --rate 12000".into(), "the shaft speed is not known"),
    ] {
        let r = run(
            folder,
            &format!("predict --model run/model.safetensors {flags} {files}"),
        );
        assert!(
            r.code == 2 && r.stderr.contains(message) && r.stderr.contains("of predict"),
            "{}",
            r.stderr
        );
    }
}

#[test]
fn a_network_that_starts_at_the_rule_says_what_the_rule_says_before_it_has_learned_anything() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let train = "train --data machines.toml --root . --source b --target a --input defect-orders --extractor defect-families --label-head \
                 rule --method source-only --batch 6 --score all --fractions 1,0,0";
    ok(
        folder,
        &format!("{train} --epochs 1 --warmup-epochs 1 --lr 1e-12 --out untrained"),
    );
    let found = metrics(&folder.join("untrained"));
    assert_eq!(found["pieces"]["agreement_with_rule"]["source-only"], 1.0);
    // and it learns
    ok(folder, &format!("{train} --epochs 3 --warmup-epochs 3 --out trained"));
    let history = metrics(&folder.join("trained"))["history"]["source_only"].clone();
    let loss = |epoch: usize| history[epoch]["label_loss"].as_f64().unwrap();
    assert!(loss(2) < loss(0), "{history}");
}

#[test]
fn envelope_spectra_and_orders_go_the_whole_way() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    for (input, flags) in [
        ("envelope-spectrum", "--rate 12000"),
        ("orders", "--rpm 1700 --rate 12000"),
    ] {
        ok(
            folder,
            &format!(
                "train --data machines.toml --root . --source b --target a --input {input} --method source-only --batch 6 --epochs 1 \
                 --warmup-epochs 1 --score all --fractions 1,0,0 --out {input}"
            ),
        );
        let predicted = ok(
            folder,
            &format!("predict --model {input}/model.safetensors {flags} --json a-inner-0.csv"),
        );
        assert_eq!(json(&predicted.stdout)["windows"], 3);
    }
}

#[test]
fn a_recording_without_bearing_or_speed_is_named_with_the_key_to_give() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let text = std::fs::read_to_string(folder.join("machines.toml")).unwrap();
    for (without, input, message, hint) in [
        (
            "geometry = \"a\"\n",
            "defect-orders",
            "the bearing is not known",
            "state `geometry`",
        ),
        ("rpm = ", "orders", "the shaft speed is not known", "state `rpm`"),
        ("rate_hz = ", "envelope-spectrum", "--rate", "rate_hz"),
    ] {
        let left: Vec<&str> = text
            .lines()
            .filter(|l| !format!("{l}\n").starts_with(without))
            .collect();
        std::fs::write(folder.join("bare.toml"), left.join("\n")).unwrap();
        let r = run(
            folder,
            &format!("train --data bare.toml --root . --source b --target a --input {input} {QUICK} --out x"),
        );
        assert_eq!(r.code, 2, "{}", r.stdout);
        assert!(r.stderr.contains(message) && r.stderr.contains(hint), "{}", r.stderr);
        assert!(!folder.join("x").exists(), "nothing is left behind");
    }
}

#[test]
fn a_logistic_regression_is_trained_saved_evaluated_and_asked_like_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let train =
        "train --data machines.toml --root . --source b --target a --method logistic --score all --fractions 1,0,0";
    let shown = ok(folder, &format!("{train} --input defect-orders --dry-run"));
    assert!(
        shown.stdout.contains("logistic regression on the input: defect-orders"),
        "{}",
        shown.stdout
    );
    let trained = ok(folder, &format!("{train} --input defect-orders --out run"));
    assert!(trained.stdout.contains("\nlogistic "), "{}", trained.stdout);
    let found = metrics(&folder.join("run"));
    let scores = &found["baselines"]["logistic"];
    assert!(scores["macro_f1"].as_f64().unwrap() > 0.6, "{scores}");
    assert!(found["adapted"].is_null() && found["source_only"].is_null());
    assert_eq!(found["pieces"]["methods"]["logistic"]["macro_f1"], scores["macro_f1"]);
    let evaluated = ok(
        folder,
        "evaluate --model run/model.safetensors --data machines.toml --root . --domain a --json",
    );
    let evaluated = json(&evaluated.stdout);
    assert_eq!(
        evaluated["scores"]["domains"]["a"]["confusion"],
        scores["domains"]["a"]["confusion"]
    );
    assert!(evaluated["scores"]["epoch"].is_null(), "it has no epochs");
    let flags = bearing_flags(&Machine::a());
    let predicted = ok(
        folder,
        &format!("predict --model run/model.safetensors {flags} --json a-inner-0.csv a-outer-1.csv"),
    );
    let labels: Vec<Value> = predicted.stdout.lines().map(|l| json(l)["label"].clone()).collect();
    assert_eq!(labels, ["inner", "outer"]);

    // two classes share one row of weights, and statistics are per domain
    plant(folder, 4);
    ok(
        folder,
        "train --data plant --source machine-a --target machine-b --window 128 --method logistic --input log-spectrum --out two",
    );
    let found = metrics(&folder.join("two"));
    assert!(found["source_validation"].as_f64().unwrap() > 0.9);
    let predicted = ok(
        folder,
        "predict --model two/model.safetensors --json plant/machine-b/fault/m1c0r3.csv plant/machine-b/healthy/m1c1r3.csv",
    );
    let labels: Vec<Value> = predicted.stdout.lines().map(|l| json(l)["label"].clone()).collect();
    assert_eq!(labels, ["fault", "healthy"]);
}

#[test]
fn auto_takes_defect_orders_for_another_bearing_and_else_the_log_spectrum_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let train = "train --root . --source b --target a --method logistic --input auto --score all --fractions 1,0,0";
    let trained = ok(folder, &format!("{train} --data machines.toml --out run"));
    let words = "--input auto took defect orders: (a) every class";
    assert!(trained.stdout.contains(words), "{}", trained.stdout);
    let recommended = "recommended without looking at target labels: rule-source";
    assert!(trained.stdout.contains(recommended), "{}", trained.stdout);
    let found = metrics(&folder.join("run"));
    assert_eq!(found["auto_input"]["input"], "defect-orders");
    assert_eq!(found["config"]["signal"]["input"], "defect-orders");
    let decided = found["auto_input"]["decided_by"].as_str().unwrap();
    assert!(decided.contains("(c) the bearings differ"), "{decided}");
    // the settings that were saved ask again
    ok(folder, "train --config run/config.toml --out again");
    let again = metrics(&folder.join("again"));
    assert_eq!(
        (&again["auto_input"], &again["config"]),
        (&found["auto_input"], &found["config"])
    );

    let text = std::fs::read_to_string(folder.join("machines.toml")).unwrap();
    std::fs::write(folder.join("bare.toml"), text.replace("family = \"BPFI\"", "")).unwrap();
    let shown = ok(folder, &format!("{train} --data bare.toml --dry-run"));
    assert!(
        shown
            .stdout
            .contains("--input auto took the log-spectrum: (a) the class `inner` has no family"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("windows of 1024 samples"), "{}", shown.stdout);
}

#[test]
fn auto_takes_the_log_spectrum_for_the_nine_classes_of_cwru_and_defect_orders_across_its_bearings() {
    let Some(data) = real_data() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (manifest, domains, words) in [
        (
            "cwru",
            "--source load0 --target load3 --classes !normal --target-recordings !97*,!98*,!99*,!100*",
            "the log-spectrum: (a) the classes",
        ),
        (
            "cwru-bearings",
            "--source drive-end --target fan-end",
            "defect orders: (a)",
        ),
        (
            "cwru-instances",
            "--source size-007 --target size-014",
            "defect orders: (a)",
        ),
    ] {
        let manifest = project().join(format!("datasets/{manifest}.toml"));
        let args = format!(
            "train --data {} {domains} --method logistic --input auto --dry-run",
            manifest.display()
        );
        let mut c = common::crossrig(dir.path());
        let out = c.env("CROSSRIG_DATA", &data).args(args.split(' ')).output().unwrap();
        let shown = String::from_utf8_lossy(&out.stdout);
        assert!(
            shown.contains(words),
            "{args}\n{shown}{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}
