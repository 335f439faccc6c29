//! What does not fit in memory is read from files when it is wanted, and nothing that comes out is another.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::{csv, machines, metrics, ok, plant, run, same_results, samples};

/// As [`ok`], with no room in memory: every recording and every row is read and made when it is wanted.
fn without_room(folder: &Path, args: &str) -> common::Ran {
    let mut program = common::crossrig(folder);
    program.env("CROSSRIG_HELD_MB", "0").args(args.split_whitespace());
    let ran: common::Ran = program.output().unwrap().into();
    assert_eq!(ran.code, 0, "crossrig {args}\n{}\n{}", ran.stdout, ran.stderr);
    ran
}

/// A manifest of two machines that were recorded at different rates.
fn two_rates(folder: &Path) {
    let mut manifest = String::from("[dataset]\nname = \"two rates\"\n");
    for (machine, rate) in [(0, 12_000), (1, 16_000)] {
        for class in 0..3 {
            for recording in 0..3 {
                let file = format!("m{machine}c{class}r{recording}.csv");
                std::fs::write(
                    folder.join(&file),
                    csv(&samples(class, machine, recording, 1500 + 40 * recording)),
                )
                .unwrap();
                let _ = write!(
                    manifest,
                    "[[recording]]\nfile = \"{file}\"\ndomain = \"{}\"\nclass = \"c{class}\"\nrate_hz = {rate}\n",
                    ["a", "b"][machine]
                );
            }
        }
    }
    std::fs::write(folder.join("rates.toml"), manifest).unwrap();
}

const RATES: &str = "train --data rates.toml --source a --target b --window 128 --batch 8 --epochs 2 --warmup-epochs 1";

#[test]
fn weights_and_scores_are_the_same_from_memory_and_from_files() {
    let dir = tempfile::tempdir().unwrap();
    two_rates(dir.path());
    for (number, input) in [
        "--input raw",
        "--input raw --hop 32 --scale recording --scale-by robust --augment gain,mix",
        "--input raw --scale recording --standardise domain --score all",
        "--input log-spectrum --hop 64",
        "--input spectrum --standardise source --balance class",
        "--input envelope-spectrum --rate 14000 --method source-only",
        "--input log-spectrum --method logistic",
    ]
    .iter()
    .enumerate()
    {
        let (held, streamed) = (format!("held-{number}"), format!("streamed-{number}"));
        ok(dir.path(), &format!("{RATES} {input} --out {held}"));
        without_room(dir.path(), &format!("{RATES} {input} --out {streamed}"));
        same_results(&dir.path().join(held), &dir.path().join(streamed), input);
    }
}

#[test]
fn windows_of_revolutions_are_the_same_from_memory_and_from_files() {
    let dir = tempfile::tempdir().unwrap();
    machines(dir.path());
    let train = "train --data machines.toml --root . --source b --target a --split blocks --fractions 0.5,0,0.5 --input orders \
                 --window 15rev --hop 4rev --batch 8 --epochs 2 --warmup-epochs 1 --augment gain,mix";
    ok(dir.path(), &format!("{train} --out held"));
    without_room(dir.path(), &format!("{train} --out streamed"));
    same_results(&dir.path().join("held"), &dir.path().join("streamed"), "revolutions");
}

#[test]
fn a_packed_data_set_is_streamed_too() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    ok(dir.path(), "pack plant --out plant.h5");
    let train = "train --data plant.h5 --source machine-a --target machine-b --window 128 --batch 8 --epochs 1 \
                 --warmup-epochs 0 --input log-spectrum --standardise matched";
    ok(dir.path(), &format!("{train} --out held"));
    without_room(dir.path(), &format!("{train} --out streamed"));
    same_results(&dir.path().join("held"), &dir.path().join("streamed"), "pack");
}

/// The half that is resumed may have more room, or less.
#[test]
fn a_run_from_memory_goes_on_from_files_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    let train = "train --data plant --source machine-a --target machine-b --window 128 --batch 8 --epochs 4 \
                 --warmup-epochs 1 --input log-spectrum --no-twin";
    ok(dir.path(), &format!("{train} --out whole"));
    let with = |room: bool, args: &str| {
        if room {
            ok(dir.path(), args)
        } else {
            without_room(dir.path(), args)
        }
    };
    for held_first in [true, false] {
        let run = dir.path().join(format!("broken-{held_first}"));
        let args = format!("{train} --out broken-{held_first}");
        with(held_first, &args);
        // as if it had been killed in the third epoch: the newest checkpoints and the results are gone
        let mut names = common::files(&run.join("checkpoints/adapted"));
        names.retain(|name| name.ends_with(".safetensors"));
        assert!(names.len() > 1, "{names:?}");
        std::fs::remove_file(run.join("checkpoints/adapted").join(names.last().unwrap())).unwrap();
        std::fs::remove_file(run.join("model.safetensors")).unwrap();
        with(!held_first, &format!("train --resume --out broken-{held_first}"));
        same_results(&dir.path().join("whole"), &run, &format!("held first: {held_first}"));
    }
}

#[test]
fn a_saved_model_says_the_same_of_recordings_in_memory_and_in_files() {
    let dir = tempfile::tempdir().unwrap();
    two_rates(dir.path());
    ok(dir.path(), &format!("{RATES} --input log-spectrum --no-twin --out run"));
    let model = "--model run/model.safetensors";
    for command in [
        format!("evaluate {model} --data rates.toml --domain b --json"),
        format!("evaluate {model} --data rates.toml --domain b --restandardise --json"),
        format!("predict {model} m1c0r0.csv m1c1r1.csv m0c2r2.csv --rate 16000 --json"),
        format!("predict {model} m1c0r0.csv m1c1r1.csv --rate 16000 --restandardise --json"),
    ] {
        let (held, streamed) = (ok(dir.path(), &command), without_room(dir.path(), &command));
        assert!(held.stdout.len() > 100, "{}", held.stdout);
        assert_eq!(held.stdout, streamed.stdout, "{command}");
    }
}

#[test]
fn a_file_that_is_spoilt_while_a_run_reads_it_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    two_rates(dir.path());
    // spoilt from the start, where files are looked over piece by piece
    std::fs::write(dir.path().join("m1c2r1.csv"), "x\n1\n1\n1\n").unwrap();
    let mut program = common::crossrig(dir.path());
    program
        .env("CROSSRIG_HELD_MB", "0")
        .args(format!("{RATES} --out run").split_whitespace());
    let ran: common::Ran = program.output().unwrap().into();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("m1c2r1.csv: constant signal"), "{}", ran.stderr);
    let mut program = common::crossrig(dir.path());
    program
        .env("CROSSRIG_HELD_MB", "much")
        .args(format!("{RATES} --out run").split_whitespace());
    let ran: common::Ran = program.output().unwrap().into();
    assert!(
        ran.code == 2 && ran.stderr.contains("CROSSRIG_HELD_MB"),
        "{}",
        ran.stderr
    );
}

/// Many recordings may be in one file, each under its own name: source and target too.
#[test]
fn recordings_of_one_file_are_told_apart_by_their_channels() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<Vec<f64>> = (0..12).map(|i| samples(i % 2, i / 6, i, 1280)).collect();
    let mut text = (0..12).map(|i| format!("r{i}")).collect::<Vec<_>>().join(",") + "\n";
    for at in 0..1280 {
        let row: Vec<String> = all.iter().map(|x| format!("{:.6}", x[at])).collect();
        text += &(row.join(",") + "\n");
    }
    std::fs::write(dir.path().join("all.csv"), text).unwrap();
    let mut manifest = String::from("[dataset]\n");
    for i in 0..12 {
        let _ = write!(
            manifest,
            "[[recording]]\nfile = \"all.csv\"\ndomain = \"{}\"\nclass = \"c{}\"\nchannels = [{{ name = \"x\", key = \"r{i}\" }}]\n",
            ["a", "b"][i / 6],
            i % 2
        );
    }
    std::fs::write(dir.path().join("all.toml"), &manifest).unwrap();
    let train = "train --data all.toml --source a --target b --window 128 --batch 8 --epochs 1 --warmup-epochs 0";
    ok(dir.path(), &format!("{train} --out held"));
    without_room(dir.path(), &format!("{train} --out streamed"));
    same_results(&dir.path().join("held"), &dir.path().join("streamed"), "one file");
    let target = &metrics(&dir.path().join("held"))["adapted"]["last"]["domains"]["b"];
    let files: Vec<&String> = target["accuracy_by_recording"].as_object().unwrap().keys().collect();
    assert!(
        !files.is_empty() && files.iter().all(|f| f.starts_with("all.csv#r")),
        "{files:?}"
    );
    // the same channel on both sides is the same recording
    std::fs::write(dir.path().join("all.toml"), manifest.replacen("\"r7\"", "\"r1\"", 1)).unwrap();
    let ran = run(dir.path(), &format!("{train} --out refused"));
    assert!(
        ran.code == 2 && ran.stderr.contains("are the same recording"),
        "{}",
        ran.stderr
    );
}
