//! The main job: train, evaluate, predict, inspect; what lies in the folder afterwards, and what it says.

mod common;

use std::path::Path;

use common::{QUICK, csv, files, ok, plant, project, real_data, run, samples, weights};
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
    for model in ["adapted", "source_only"] {
        let history = metrics["history"][model].as_array().unwrap();
        assert_eq!(history.len() as u64, metrics["config"]["epochs"].as_u64().unwrap());
        assert!(history.iter().all(|epoch| epoch["label_loss"].is_number()));
        let adversarial = history.iter().filter(|epoch| epoch["domain_loss"].is_number()).count();
        assert_eq!(adversarial > 0, model == "adapted");
    }

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

/// What the program wrote into the metadata of a model.
fn recipe(model: &Path) -> Value {
    let bytes = std::fs::read(model).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&metadata.metadata().as_ref().unwrap()["crossrig.recipe"]).unwrap()
}

#[test]
fn alternating_training_takes_the_twins_rows_and_as_many_steps_and_comes_out_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    ok(dir.path(), &format!("{QUICK} --out joint"));
    ok(
        dir.path(),
        &format!("{QUICK} --method dann-alternating --no-twin --out once"),
    );
    let trained = ok(
        dir.path(),
        &format!("{QUICK} --method dann-alternating --domain-steps 3 --out thrice"),
    );
    assert!(
        trained.stdout.contains("alternating DANN (light-cnn)"),
        "{}",
        trained.stdout
    );
    let model = |run: &str| dir.path().join(run).join("model.safetensors");
    let twin = |run: &str| weights(&dir.path().join(run).join("source_only.safetensors"));
    assert!(twin("joint") == twin("thrice"), "the twin is the same");
    let adapted = ["joint", "once", "thrice"].map(|run| weights(&model(run)));
    assert!(adapted[0] != adapted[1] && adapted[1] != adapted[2] && adapted[0] != adapted[2]);

    assert_eq!(recipe(&model("joint"))["method"], "dann");
    assert_eq!(recipe(&model("once"))["method"], "dann-alternating");
    assert_eq!(
        recipe(&dir.path().join("thrice/source_only.safetensors"))["method"],
        "source-only"
    );
    let metrics = |run: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.path().join(run).join("metrics.json")).unwrap()).unwrap()
    };
    assert_eq!(metrics("once")["config"]["domain_steps"], 1);
    assert_eq!(metrics("thrice")["config"]["domain_steps"], 3);
    assert!(metrics("joint")["config"]["domain_steps"].is_null());
    assert!(metrics("thrice")["domain_accuracy"]["value"].is_number());

    // the config that the run left asks for the same
    let config = std::fs::read_to_string(dir.path().join("thrice/config.toml")).unwrap();
    assert!(
        config.contains("method = \"dann-alternating\"\n") && config.contains("domain-steps = 3\n"),
        "{config}"
    );
    ok(
        dir.path(),
        "train --config thrice/config.toml --no-twin --out by-config",
    );
    assert!(weights(&model("by-config")) == adapted[2]);

    // in the checkpoint at the end the counts of updates are those of the steps: 1 epoch of warm-up, 2 of adaptation
    let updates = |run: &str, parameter: &str| -> i64 {
        let folder = dir.path().join(run).join("checkpoints/adapted");
        let last = folder.join(files(&folder).pop().unwrap());
        let bytes = weights(&last);
        let name = format!("optimiser.step.{parameter}");
        let (_, value) = bytes.iter().find(|(n, _)| *n == name).unwrap();
        i64::from_le_bytes(value[..].try_into().unwrap())
    };
    let (head, label) = ("domain_head.output.weight", "label_head.output.weight");
    let all = updates("joint", label);
    for (run, each) in [("joint", 1), ("once", 1), ("thrice", 3)] {
        assert_eq!(updates(run, label), all, "{run}");
        assert_eq!(updates(run, head), each * all * 2 / 3, "{run}");
    }
}

#[test]
fn a_hidden_head_without_dropout_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let heads = "--label-head hidden:16:0 --domain-head linear --projection 8";
    ok(dir.path(), &format!("{QUICK} {heads} --out run"));
    let config = std::fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("label-head = \"hidden:16:0\"\n"), "{config}");
    let model = weights(&dir.path().join("run/model.safetensors"));
    assert!(model.iter().any(|(name, _)| name == "label_head.hidden.weight"));
    assert!(model.iter().all(|(name, _)| name != "domain_head.hidden.weight"));
    ok(
        dir.path(),
        "predict --model run/model.safetensors plant/machine-b/fault/m1c0r0.csv",
    );
}

/// A MAT file (level 5, not compressed) of column vectors.
fn mat(variables: &[(String, Vec<f64>)]) -> Vec<u8> {
    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut out = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }
    let mut file = vec![b' '; 116];
    file.extend([0; 8]);
    file.extend([0, 1, b'I', b'M']);
    for (name, values) in variables {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let extents = [values.len() as u32, 1].map(u32::to_le_bytes).concat();
        let parts = [
            element(6, &[6, 0, 0, 0, 0, 0, 0, 0]), // flags: an array of doubles
            element(5, &extents),
            element(1, name.as_bytes()),
            element(9, &bytes),
        ];
        file.extend(element(14, &parts.concat()));
    }
    file
}

/// `rig/` with two machines, two classes and three MAT files each, of two variables as at Case Western Reserve
/// University: `X000_DE_time` tells the classes apart, `X000_FE_time` does not. And a manifest that names both.
fn rig(folder: &Path) {
    let mut manifest = "[dataset]\nroot = \"rig\"\nrate_hz = 12000.0\n\
        channels = [{ name = \"DE\", key = \"*_DE_time\" }, { name = \"FE\", key = \"*_FE_time\" }]\n"
        .to_owned();
    for (machine, domain) in ["a", "b"].into_iter().enumerate() {
        for (class, name) in ["fault", "healthy"].into_iter().enumerate() {
            let place = folder.join("rig").join(domain).join(name);
            std::fs::create_dir_all(&place).unwrap();
            for r in 0..3 {
                let number = 100 * machine + 10 * class + r;
                let variables = [
                    (format!("X{number:03}_DE_time"), samples(class, machine, r, 1280)),
                    (format!("X{number:03}_FE_time"), samples(2, machine, number, 1280)),
                ];
                std::fs::write(place.join(format!("{number:03}.mat")), mat(&variables)).unwrap();
                manifest += &format!(
                    "[[recording]]\nfile = \"{domain}/{name}/{number:03}.mat\"\ndomain = \"{domain}\"\nclass = \"{name}\"\n"
                );
            }
        }
    }
    std::fs::write(folder.join("rig.toml"), manifest).unwrap();
}

#[test]
fn two_channels_from_two_variables_go_through_train_evaluate_and_predict() {
    let dir = tempfile::tempdir().unwrap();
    rig(dir.path());
    let train = "--source a --target b --window 128 --batch 8 --epochs 4 --warmup-epochs 2 --no-twin";
    ok(dir.path(), &format!("train --data rig.toml {train} --out declared"));
    // the same two where no manifest names them: a folder, and the variables given by hand
    ok(
        dir.path(),
        &format!("train --data rig {train} --channels *_DE_time *_FE_time --out by-hand"),
    );
    let channels = |run: &str| {
        let recipe = recipe(&dir.path().join(run).join("model.safetensors"));
        (recipe["shape"]["channels"].clone(), recipe["channel_keys"].clone())
    };
    let both = serde_json::json!(["*_DE_time", "*_FE_time"]);
    assert_eq!(channels("declared"), (2.into(), both.clone()));
    assert_eq!(channels("by-hand"), (2.into(), both));
    // one of the declared two, by name and by number
    for ask in ["FE", "2"] {
        ok(
            dir.path(),
            &format!("train --data rig.toml {train} --channels {ask} --out one-{ask}"),
        );
        assert_eq!(
            channels(&format!("one-{ask}")),
            (1.into(), serde_json::json!(["*_FE_time"]))
        );
    }
    let fe = |ask: &str| weights(&dir.path().join(format!("one-{ask}/model.safetensors")));
    assert!(fe("FE") == fe("2"));

    let evaluated = ok(
        dir.path(),
        "evaluate --model declared/model.safetensors --data rig.toml --domain b --json",
    );
    let evaluated: Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["scores"]["domains"]["b"]["windows"], 60);
    let predict = |keys: &str| -> Value {
        let file = "rig/b/fault/100.mat";
        let predicted = ok(
            dir.path(),
            &format!("predict --model declared/model.safetensors {file} --json {keys}"),
        );
        serde_json::from_str(&predicted.stdout).unwrap()
    };
    // the variables of the training files, the same by hand, and the two of them exchanged
    let own = predict("");
    assert_eq!(own["windows"], 10);
    assert_eq!(own, predict("--key X100_DE_time --key X100_FE_time"));
    assert_ne!(own, predict("--key X100_FE_time --key X100_DE_time"));
}

#[test]
fn another_number_of_channels_than_the_models_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    rig(dir.path());
    std::fs::write(dir.path().join("one.csv"), csv(&samples(0, 1, 0, 1280))).unwrap();
    let train =
        "train --data rig.toml --source a --target b --window 128 --batch 8 --epochs 1 --warmup-epochs 0 --no-twin";
    ok(dir.path(), &format!("{train} --out two"));
    ok(dir.path(), &format!("{train} --channels DE --out one"));
    let refused = |args: &str, words: [&str; 2]| {
        let r = run(dir.path(), args);
        assert_eq!(r.code, 2, "{}", r.stderr);
        for word in words {
            assert!(r.stderr.contains(word), "{word} is missing in {}", r.stderr);
        }
        assert!(r.stdout.is_empty(), "{}", r.stdout);
    };
    refused(
        "predict --model two/model.safetensors one.csv --key x",
        ["one.csv: 1 channel, the model was trained on 2", "--key"],
    );
    refused(
        "predict --model one/model.safetensors rig/b/fault/100.mat --key *_DE_time --key *_FE_time",
        ["100.mat: 2 channels, the model was trained on 1", "--key"],
    );
    // no such variables: the file's own are listed
    refused(
        "predict --model two/model.safetensors one.csv",
        ["one.csv", "*_DE_time"],
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
fn the_source_may_be_split_in_other_shares_than_the_target() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let windows = |options: &str| -> Vec<Vec<usize>> {
        let plan = ok(
            dir.path(),
            &format!("{QUICK} --split blocks {options} --out run --dry-run"),
        );
        let rows = plan.stdout.lines().filter(|l| l.starts_with("machine-"));
        let numbers = |l: &str| l.split_whitespace().skip(3).map(|n| n.parse().unwrap()).collect();
        rows.map(numbers).collect()
    };
    let same = windows("--fractions 0.5,0,0.5");
    let whole = windows("--fractions 0.5,0,0.5 --source-fractions 1,0,0");
    assert_eq!(whole[1], same[1], "the target is split as before");
    assert!(
        whole[0][0] > same[0][0] + same[0][2] && whole[0][1..] == [0, 0],
        "{whole:?} {same:?}"
    );
    let run = ok(
        dir.path(),
        &format!("{QUICK} --no-twin --split blocks --fractions 0.5,0,0.5 --source-fractions 1,0,0 --out run"),
    );
    assert!(
        run.stdout.contains("split blocks 0.5 / 0 / 0.5 (source 1 / 0 / 0)"),
        "{}",
        run.stdout
    );
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
