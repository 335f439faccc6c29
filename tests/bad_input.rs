//! Bad input: a clear error, exit code 2, and nothing partial left behind.

mod common;

use std::fs;
use std::path::Path;

use common::{QUICK, csv, files, ok, plant, project, real_data, run, samples};

/// Expects exit code 2, every one of `words` in the message, no panic, and an untouched folder.
fn refused(folder: &Path, args: &str, words: &[&str]) {
    let before = files(folder);
    let r = run(folder, args);
    assert_eq!(r.code, 2, "crossrig {args}\n{}\n{}", r.stdout, r.stderr);
    for w in words {
        assert!(
            r.stderr.contains(w),
            "`{w}` is missing in the message of `{args}`:\n{}",
            r.stderr
        );
    }
    assert!(
        r.stderr.starts_with("error: ") || r.stderr.contains("\nerror: "),
        "{}",
        r.stderr
    );
    assert!(!r.stderr.contains("panicked"), "{}", r.stderr);
    assert_eq!(before, files(folder), "`{args}` left something behind");
}

/// A manifest over `rec/` with two machines, two classes and three recordings each; `edit` changes its text.
fn manifest(folder: &Path, edit: impl Fn(String) -> String) {
    let mut text = "[dataset]\nname = \"made up\"\nroot = \"rec\"\nrate_hz = 1000.0\nclasses = [\"healthy\", \"inner\"]\nchannels = [{ name = \"x\", key = \"x\" }]\n".to_owned();
    fs::create_dir_all(folder.join("rec")).unwrap();
    for machine in 0..2 {
        for class in 0..2 {
            for r in 0..3 {
                let file = format!("m{machine}c{class}r{r}.csv");
                fs::write(folder.join("rec").join(&file), csv(&samples(class, machine, r, 1024))).unwrap();
                text += &format!(
                    "\n[[recording]]\nfile = \"{file}\"\ndomain = \"{}\"\nclass = \"{}\"\n",
                    ["a", "b"][machine],
                    ["healthy", "inner"][class]
                );
            }
        }
    }
    fs::write(folder.join("m.toml"), edit(text)).unwrap();
}

const TRAIN: &str =
    "train --data m.toml --source a --target b --window 128 --batch 8 --epochs 1 --warmup-epochs 0 --out run";

#[test]
fn an_option_that_the_network_does_not_have_is_answered_with_those_it_has() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    let config = |text: &str| fs::write(dir.path().join("c.toml"), text).unwrap();
    config("[extractor]\nname = \"light-cnn\"\ngroups = 4\n");
    refused(
        dir.path(),
        &format!("{TRAIN} --config c.toml"),
        &["light-cnn has no option `groups`", "bins"],
    );
    config("[extractor]\nname = \"seresnext26-small\"\nbins = 4\n");
    refused(
        dir.path(),
        &format!("{TRAIN} --config c.toml"),
        &["seresnext26-small has no option `bins`", "groups"],
    );
    config("[extractor]\nname = \"seed50\"\nwidths = [8, 16]\n");
    refused(
        dir.path(),
        &format!("{TRAIN} --config c.toml"),
        &["seed50 has no option `widths`", "stem, groups, reduction"],
    );
}

#[test]
fn an_unknown_manifest_key_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| {
        t.replacen("class = \"healthy\"", "clas = \"healthy\"", 1)
    });
    refused(dir.path(), TRAIN, &["m.toml", "clas", "did you mean", "class"]);
}

#[test]
fn an_unknown_config_key_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("job.toml"), "epoch = 3\n").unwrap();
    refused(
        dir.path(),
        "train --config job.toml --out run",
        &["job.toml", "`epoch`", "did you mean `epochs`"],
    );
}

#[test]
fn steps_of_the_domain_head_need_the_alternating_method() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    refused(
        dir.path(),
        &format!("{TRAIN} --domain-steps 2"),
        &["--domain-steps", "--method dann-alternating"],
    );
    refused(
        dir.path(),
        &format!("{TRAIN} --method dann-alternating --domain-steps 0"),
        &["--domain-steps must be at least 1"],
    );
    refused(
        dir.path(),
        "train --data m.toml --source a --target b --window 128 --method dann-alternating --epochs 1 --warmup-epochs 1 --out run",
        &["--warmup-epochs 1 leaves no adversarial epoch"],
    );
    refused(
        dir.path(),
        &format!("{TRAIN} --label-head hidden:8:1"),
        &["--label-head", "hidden:N:P"],
    );
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    fs::remove_file(dir.path().join("rec/m0c1r1.csv")).unwrap();
    refused(dir.path(), TRAIN, &["m0c1r1.csv", "missing"]);
    refused(dir.path(), "predict --model no.safetensors x.csv", &["no.safetensors"]);
    refused(dir.path(), "inspect nowhere", &["nowhere"]);
}

#[test]
fn absent_recordings_that_nobody_needs_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| {
        t + "\n[[recording]]\nfile = \"gone.csv\"\ndomain = \"b\"\nclass = \"inner\"\n"
    });
    refused(dir.path(), TRAIN, &["gone.csv"]);
    ok(dir.path(), &format!("{TRAIN} --target-recordings !gone*"));
}

#[test]
fn a_hash_mismatch_shows_both_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = "0".repeat(64);
    manifest(dir.path(), |t| {
        t.replacen("domain = \"a\"", &format!("domain = \"a\"\nsha256 = \"{wrong}\""), 1)
    });
    refused(dir.path(), TRAIN, &["m0c0r0.csv", &wrong, "SHA-256"]);
}

#[test]
fn a_zero_length_recording_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    fs::write(dir.path().join("rec/m1c0r2.csv"), "").unwrap();
    refused(dir.path(), TRAIN, &["m1c0r2.csv"]);
    fs::write(dir.path().join("rec/m1c0r2.csv"), "x\n").unwrap();
    refused(dir.path(), TRAIN, &["m1c0r2.csv"]);
}

#[test]
fn nan_and_constant_signals_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    let mut x = samples(0, 0, 0, 1024);
    x[700] = f64::NAN;
    fs::write(dir.path().join("rec/m0c0r0.csv"), csv(&x)).unwrap();
    refused(dir.path(), TRAIN, &["m0c0r0.csv", "NaN"]);
    fs::write(dir.path().join("rec/m0c0r0.csv"), csv(&[1.5; 1024])).unwrap();
    refused(dir.path(), TRAIN, &["m0c0r0.csv", "constant"]);
}

#[test]
fn a_source_with_one_class_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    refused(
        dir.path(),
        &format!("{TRAIN} --classes inner"),
        &["`inner`", "at least two"],
    );
}

#[test]
fn a_window_longer_than_every_recording_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    refused(
        dir.path(),
        &TRAIN.replace("--window 128", "--window 4096"),
        &["4096", "1024"],
    );
}

#[test]
fn a_window_shorter_than_the_network_needs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    refused(
        dir.path(),
        &TRAIN.replace("--window 128", "--window 16"),
        &["light-cnn", "16"],
    );
}

#[test]
fn the_same_recordings_as_source_and_target_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    refused(
        dir.path(),
        &TRAIN.replace("--target b", "--target a"),
        &["source and as target"],
    );
    // under another name it is the same recording all the same
    fs::copy(dir.path().join("rec/m0c0r0.csv"), dir.path().join("rec/m1c0r0.csv")).unwrap();
    refused(dir.path(), TRAIN, &["m0c0r0.csv", "m1c0r0.csv", "same recording"]);
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    for (extra, words) in [
        ("--source c", &["`c`", "domains: a, b"][..]),
        ("--epochs 0", &["--epochs"]),
        ("--lr=-1", &["--lr"]),
        ("--lr nan", &["--lr"]),
        ("--dropout 1", &["--dropout"]),
        ("--label-smoothing 1", &["--label-smoothing"]),
        ("--fractions 0.5,0.6,0.2", &["--fractions"]),
        ("--fractions 0.8,0.2,0", &["--score all"]),
        ("--source-fractions 0.5,0.6,0.2", &["--source-fractions"]),
        ("--source-fractions 0.5,0.5", &["--source-fractions", "three"]),
        ("--split somehow", &["--split", "blocks"]),
        ("--extractor resnet", &["--extractor", "light-cnn"]),
        ("--lambda big", &["--lambda"]),
        ("--label-head deep", &["--label-head"]),
        ("--warmup-epochs 5", &["--warmup-epochs"]),
        ("--classes [", &["--classes"]),
        ("--split units", &["unit"]),
        ("--threads 0", &["--threads"]),
        ("--checkpoint-minutes=-1", &["--checkpoint-minutes"]),
    ] {
        // a flag given twice would be clap's error: leave the first one out
        let flag = extra.split([' ', '=']).next().unwrap();
        let mut words_of: Vec<&str> = TRAIN.split(' ').collect();
        if let Some(i) = words_of.iter().position(|w| *w == flag) {
            words_of.drain(i..i + 2);
        }
        refused(dir.path(), &format!("{} {extra}", words_of.join(" ")), words);
    }
}

#[test]
fn a_filled_folder_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::write(dir.path().join("run/thesis.tex"), "mine").unwrap();
    refused(
        dir.path(),
        &format!("{QUICK} --out run"),
        &["run", "not empty", "--resume"],
    );
}

#[test]
fn a_damaged_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{QUICK} --out run --no-twin"));
    let good = fs::read(dir.path().join("run/model.safetensors")).unwrap();
    let mut flipped = good.clone();
    let last = flipped.len() - 5;
    flipped[last] ^= 1;
    for (name, bytes) in [
        ("cut", &good[..good.len() / 2]),
        ("flipped", &flipped[..]),
        ("empty", &[]),
        ("text", b"hello"),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
        refused(
            dir.path(),
            &format!("predict --model {name} plant/machine-b/fault/m1c0r0.csv"),
            &[name],
        );
    }
}

#[test]
fn predict_refuses_what_the_model_cannot_take() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    ok(dir.path(), &format!("{QUICK} --out run --no-twin"));
    fs::write(dir.path().join("short.csv"), csv(&samples(0, 1, 0, 50))).unwrap();
    refused(
        dir.path(),
        "predict --model run/model.safetensors short.csv",
        &["short.csv", "50", "128"],
    );
    let file = "plant/machine-b/fault/m1c0r0.csv";
    refused(
        dir.path(),
        &format!("predict --model run/model.safetensors {file} --rate 500"),
        &["rate"],
    );
    refused(
        dir.path(),
        &format!("predict --model run/model.safetensors {file} --key speed"),
        &["speed", "m1c0r0.csv"],
    );
    refused(
        dir.path(),
        &format!("predict --model run/model.safetensors {file} --statistics mars"),
        &["mars", "machine-b"],
    );
}

#[test]
fn a_damaged_mat_file_and_a_missing_variable_are_named() {
    let Some(data) = real_data() else { return };
    let dir = tempfile::tempdir().unwrap();
    let cwru = dir.path().join("cwru");
    fs::create_dir(&cwru).unwrap();
    let manifest = fs::read_to_string(project().join("datasets/cwru.toml")).unwrap();
    for entry in fs::read_dir(data.join("cwru/drive_end_12k")).unwrap().flatten() {
        fs::copy(entry.path(), cwru.join(entry.file_name())).unwrap();
    }
    let train = "train --data m.toml --source load3 --target load1 --classes !normal --target-recordings !98* --split blocks --epochs 1 --warmup-epochs 0 --out run";

    // other channel: the message lists the variables that are there
    fs::write(dir.path().join("m.toml"), manifest.replace("*_DE_time", "*_XX_time")).unwrap();
    refused(dir.path(), train, &["*_XX_time", "_DE_time"]);

    // cut off in the middle: without hashes, so that the reader itself has to notice
    let plain: String = manifest
        .lines()
        .filter(|l| !l.trim_start().starts_with("sha256") && !l.trim_start().starts_with("bytes"))
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(dir.path().join("m.toml"), plain).unwrap();
    let file = cwru.join("108.mat");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    refused(dir.path(), train, &["108.mat", "byte"]);
    refused(dir.path(), "inspect cwru/108.mat", &["108.mat", "byte"]);
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), |t| t);
    let before = files(dir.path());
    let output = common::crossrig(dir.path())
        .args(TRAIN.split_whitespace())
        .env("CROSSRIG_ISA", "sse9")
        .output()
        .unwrap();
    let r = common::Ran::from(output);
    assert_eq!(r.code, 2, "{}", r.stderr);
    for word in ["error: ", "CROSSRIG_ISA", "sse9", "scalar"] {
        assert!(r.stderr.contains(word), "{}", r.stderr);
    }
    assert_eq!(before, files(dir.path()));
}
