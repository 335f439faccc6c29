//! The same seed gives the same bits, whatever the number of threads and however the program was built.

mod common;

use std::path::Path;
use std::process::Command;

use common::{crossrig, plant, same_results};

/// A grouped network, small enough to train in a second.
const GROUPED: &str = "[extractor]\nname = \"seresnext26-small\"\nstem = 16\nblocks = [1, 1, 2, 1]\n\
    widths = [16, 32, 32, 32]\noutputs = [32, 32, 64, 64]\ngroups = 4\n";

/// Runs on [`plant`]: rows and windows long enough that the kernels split their work.
fn cases() -> [(&'static str, String); 2] {
    let train = "train --data plant --source machine-a --target machine-b --window 512 --hop 64 --batch 32 --epochs 2 \
                 --warmup-epochs 1";
    [
        ("light-cnn", train.to_owned()),
        (
            "grouped",
            format!("{train} --config grouped.toml --input log-spectrum --batch-norm per-domain --dropout 0.2"),
        ),
    ]
}

fn prepare() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 4);
    std::fs::write(dir.path().join("grouped.toml"), GROUPED).unwrap();
    dir
}

fn train(mut program: Command, folder: &Path, args: &str, out: &str) {
    let args = format!("{args} --out {out}");
    let ran = program
        .current_dir(folder)
        .args(args.split_whitespace())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{args}\n{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn weights_and_scores_do_not_depend_on_the_number_of_threads() {
    let dir = prepare();
    for (name, args) in cases() {
        for threads in [1, 2, 4] {
            let out = format!("{name}-{threads}");
            train(
                crossrig(dir.path()),
                dir.path(),
                &format!("{args} --threads {threads}"),
                &out,
            );
            same_results(&dir.path().join(format!("{name}-1")), &dir.path().join(&out), &out);
        }
    }
}

/// `CROSSRIG_OTHER_BUILD` names a program that was built otherwise, such as by `cargo build --release`.
#[test]
fn two_builds_give_the_same_weights_and_scores() {
    let Some(other) = std::env::var_os("CROSSRIG_OTHER_BUILD") else {
        println!("skipped: CROSSRIG_OTHER_BUILD is not set");
        return;
    };
    let dir = prepare();
    for (name, args) in cases() {
        let [this, that] = ["this", "that"].map(|build| format!("{name}-{build}"));
        train(crossrig(dir.path()), dir.path(), &args, &this);
        train(Command::new(&other), dir.path(), &args, &that);
        same_results(&dir.path().join(this), &dir.path().join(that), name);
    }
}
