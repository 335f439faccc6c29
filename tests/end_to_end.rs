//! The main job: train, evaluate, predict, inspect; what lies in the folder afterwards, and what it says.

mod common;

use common::{QUICK, files, ok, plant, project, real_data, run, weights};
use serde_json::Value;

#[test]
fn a_folder_of_text_files_is_trained_on_evaluated_and_predicted() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    let trained = ok(dir.path(), &format!("{QUICK} --out run"));
    assert!(
        trained.stdout.contains("split recordings"),
        "no score without its split:\n{}",
        trained.stdout
    );
    for name in [
        "DANN (light-cnn)",
        "source-only (light-cnn)",
        "rms-kurtosis-centroid",
        "log-spectrum-logistic",
        "majority-class",
    ] {
        assert!(
            trained.stdout.contains(name),
            "{name} is missing beside the others:\n{}",
            trained.stdout
        );
    }
    let left = files(&dir.path().join("run"));
    for name in [
        "config.toml",
        "metrics.json",
        "model.safetensors",
        "report.html",
        "source_only.safetensors",
    ] {
        assert!(left.iter().any(|f| f == name), "{name} is missing in {left:?}");
    }
    assert!(!left.iter().any(|f| f.contains("tmp")), "{left:?}");

    let metrics: Value = serde_json::from_slice(&std::fs::read(dir.path().join("run/metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["schema"], 1);
    let adapted = &metrics["adapted"]["last"];
    assert_eq!(adapted["epoch"], 3);
    assert_eq!(adapted["chosen_by"], "last epoch");
    assert!(adapted["domains"]["machine-b"]["confusion"].is_array());
    assert!(metrics["domain_accuracy"]["chance"] == 0.5);

    let evaluated = ok(
        dir.path(),
        "evaluate --model run/model.safetensors --data plant --domain machine-b",
    );
    assert!(
        evaluated.stdout.contains("took part in training without labels"),
        "{}",
        evaluated.stdout
    );
    let predicted = ok(
        dir.path(),
        "predict --model run/model.safetensors plant/machine-b/fault/m1c0r0.csv plant/machine-b/healthy/m1c1r1.csv --json",
    );
    let lines: Vec<Value> = predicted
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    for key in ["file", "label", "confidence", "agreement", "windows"] {
        assert!(!lines[0][key].is_null(), "{key}: {}", lines[0]);
    }
    assert_eq!(lines[0]["windows"], 10);
}

#[test]
fn an_unlabelled_target_gives_no_score_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let target = dir.path().join("plant/machine-b");
    for class in ["fault", "healthy"] {
        for f in std::fs::read_dir(target.join(class)).unwrap().flatten() {
            std::fs::rename(f.path(), target.join(f.file_name())).unwrap();
        }
        std::fs::remove_dir(target.join(class)).unwrap();
    }
    let trained = ok(dir.path(), &format!("{QUICK} --out run"));
    assert!(
        trained.stdout.contains("no target labels: target accuracy unknown"),
        "{}",
        trained.stdout
    );
    assert!(trained.stdout.contains("predicted class mix"), "{}", trained.stdout);
    let metrics: Value = serde_json::from_slice(&std::fs::read(dir.path().join("run/metrics.json")).unwrap()).unwrap();
    let adapted = &metrics["adapted"]["last"];
    for key in ["accuracy", "macro_f1"] {
        assert!(adapted[key].is_null(), "an unknown is null, not a guess: {adapted}");
        assert!(metrics["baselines"]["majority-class"][key].is_null());
    }
    assert!(metrics["source_validation"].is_number() && metrics["a_distance"].is_number());
    let report = std::fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("target accuracy unknown"));
}

#[test]
fn a_config_holds_the_flags_and_the_flag_wins() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    std::fs::write(
        dir.path().join("job.toml"),
        "data = \"plant\"\nsource = [\"machine-a\"]\ntarget = [\"machine-b\"]\nwindow = 128\nbatch = 8\nepochs = 9\nmethod = \"source-only\"\n[extractor]\nname = \"seresnext26-small\"\nblocks = [1, 1]\nwidths = [8, 16]\noutputs = [16, 32]\nstem = 8\ngroups = 4\n",
    )
    .unwrap();
    ok(dir.path(), "train --config job.toml --epochs 1 --out run");
    let config = std::fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("epochs = 1\n"), "{config}");
    assert!(config.contains("blocks = [1, 1]"), "{config}");
    // the config that a run leaves can be given back
    ok(dir.path(), "train --config run/config.toml --out again");
    assert_eq!(
        weights(&dir.path().join("run/model.safetensors")),
        weights(&dir.path().join("again/model.safetensors"))
    );
}

#[test]
fn the_articles_network_is_trained_saved_and_loaded_by_name() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    std::fs::write(
        dir.path().join("job.toml"),
        "data = \"plant\"\nsource = [\"machine-a\"]\ntarget = [\"machine-b\"]\nwindow = 128\nbatch = 8\nepochs = 2\n[extractor]\nname = \"seed18\"\nstem = 8\ngroups = 2\nreduction = 2\n",
    )
    .unwrap();
    let trained = ok(dir.path(), "train --config job.toml --no-twin --out run");
    assert!(trained.stdout.contains("DANN (seed18)"), "{}", trained.stdout);
    let saved = std::fs::read(dir.path().join("run/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&saved).unwrap();
    let widen = tensors.tensor("extractor.stages.3.blocks.0.widen.conv.weight").unwrap();
    // 2 branches, each from 64 / 2 channels to 64
    assert_eq!(widen.shape(), [128, 32, 1]);
    let predicted = ok(
        dir.path(),
        "predict --model run/model.safetensors plant/machine-b/fault/m1c0r0.csv --json",
    );
    let line: Value = serde_json::from_str(predicted.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["windows"], 10);
    // by its name alone, as deep as the article's example
    let plan = ok(dir.path(), &format!("{QUICK} --extractor seed50 --out other --dry-run"));
    assert!(plan.stdout.contains("seed50"), "{}", plan.stdout);
}

#[test]
fn a_dry_run_shows_the_plan_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let before = files(dir.path());
    let plan = ok(dir.path(), &format!("{QUICK} --out run --dry-run"));
    for text in ["machine-a", "source", "target", "fault, healthy", "parameters", "steps"] {
        assert!(plan.stdout.contains(text), "{text} is missing in\n{}", plan.stdout);
    }
    assert_eq!(before, files(dir.path()));
}

#[test]
fn one_bad_file_among_many_is_reported_and_the_rest_is_predicted() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{QUICK} --out run --no-twin"));
    std::fs::write(dir.path().join("bad.csv"), "x\n1.0\ntwo\n").unwrap();
    let r = run(
        dir.path(),
        "predict --model run/model.safetensors bad.csv plant/machine-b/fault/m1c0r0.csv",
    );
    assert_eq!(r.code, 2, "{}", r.stderr);
    assert!(
        r.stderr.contains("bad.csv") && r.stderr.contains("1 of 2 files"),
        "{}",
        r.stderr
    );
    assert!(r.stdout.contains("m1c0r0.csv"), "{}", r.stdout);
}

#[test]
fn real_recordings_are_inspected_trained_on_and_predicted() {
    let Some(data) = real_data() else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = project().join("datasets/cwru.toml");
    let root = data.join("cwru");
    let inspected = ok(
        dir.path(),
        &format!("inspect {} --root {}", manifest.display(), root.display()),
    );
    assert!(
        inspected.stdout.contains("absent"),
        "98 to 100 are listed as absent:\n{}",
        inspected.stdout
    );
    assert!(
        inspected.stdout.lines().count() <= 45,
        "one screen:\n{}",
        inspected.stdout
    );
    let common = format!("--data {} --root {}", manifest.display(), root.display());
    ok(
        dir.path(),
        &format!(
            "train {common} --source load3 --target load1 --classes !normal --target-recordings !98* --split blocks \
             --input log-spectrum --epochs 2 --warmup-epochs 1 --out run"
        ),
    );
    let metrics: Value = serde_json::from_slice(&std::fs::read(dir.path().join("run/metrics.json")).unwrap()).unwrap();
    let logistic = metrics["baselines"]["log-spectrum-logistic"]["accuracy"]
        .as_f64()
        .unwrap();
    assert!(
        logistic > 0.95,
        "logistic regression on log-spectra across loads: {logistic}"
    );
    let file = root.join("drive_end_12k/130.mat");
    let predicted = ok(
        dir.path(),
        &format!("predict --model run/model.safetensors {}", file.display()),
    );
    assert!(
        predicted.stdout.contains("rate assumed: 12000 Hz"),
        "{}",
        predicted.stdout
    );
    let normal = root.join("original/97.mat");
    let predicted = ok(
        dir.path(),
        &format!(
            "predict --model run/model.safetensors {} --rate 48000",
            normal.display()
        ),
    );
    assert!(
        predicted.stdout.contains("resampled from 48000 to 12000 Hz"),
        "{}",
        predicted.stdout
    );
}
