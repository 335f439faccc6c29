//! A target's labels never reach training: deleting or permuting them, or reordering the manifest, changes no bit.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::{csv, ok, samples, weights};

/// A manifest of two machines in the order of `entries`; target classes as `label` says.
fn manifest(folder: &Path, name: &str, reverse: bool, label: &dyn Fn(usize, usize) -> Option<usize>) {
    let classes = ["healthy", "inner", "outer"];
    let mut entries = Vec::new();
    for machine in 0..2 {
        for class in 0..3 {
            for r in 0..3 {
                let file = format!("m{machine}c{class}r{r}.csv");
                let path = folder.join("rec").join(&file);
                if !path.exists() {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(&path, csv(&samples(class, machine, r, 1024))).unwrap();
                }
                let stated = if machine == 0 { Some(class) } else { label(class, r) };
                let class = stated.map_or(String::new(), |c| format!("class = \"{}\"\n", classes[c]));
                entries.push(format!(
                    "[[recording]]\nfile = \"{file}\"\ndomain = \"{}\"\n{class}",
                    ["a", "b"][machine]
                ));
            }
        }
    }
    if reverse {
        entries.reverse();
    }
    let mut text = "[dataset]\nname = \"made up\"\nroot = \"rec\"\nclasses = [\"healthy\", \"inner\", \"outer\"]\nchannels = [{ name = \"x\", key = \"x\" }]\n".to_owned();
    for e in entries {
        let _ = write!(text, "\n{e}");
    }
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn weights_do_not_depend_on_target_labels_or_on_the_order_of_the_manifest() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), "true.toml", false, &|c, _| Some(c));
    manifest(dir.path(), "deleted.toml", false, &|_, _| None);
    manifest(dir.path(), "permuted.toml", false, &|c, r| Some((c + r) % 3));
    manifest(dir.path(), "reversed.toml", true, &|c, _| Some(c));
    for split in ["recordings", "windows"] {
        for input in ["raw", "log-spectrum"] {
            // each method once
            let method = if split == "windows" && input == "raw" {
                "dann-alternating"
            } else {
                "dann"
            };
            let mut seen = Vec::new();
            for name in ["true", "deleted", "permuted", "reversed"] {
                let out = format!("{name}-{split}-{input}");
                ok(
                    dir.path(),
                    &format!(
                        "train --data {name}.toml --source a --target b --window 128 --batch 8 --epochs 2 \
                         --warmup-epochs 1 --split {split} --input {input} --method {method} --out {out}"
                    ),
                );
                let run = dir.path().join(out);
                seen.push((
                    name,
                    weights(&run.join("model.safetensors")),
                    weights(&run.join("source_only.safetensors")),
                ));
            }
            for (name, adapted, source_only) in &seen[1..] {
                assert!(
                    *adapted == seen[0].1,
                    "{name}, split {split}, {input}: other weights of the adapted model"
                );
                assert!(
                    *source_only == seen[0].2,
                    "{name}, split {split}, {input}: other weights of the twin"
                );
            }
        }
    }
}

#[test]
fn the_twin_does_not_depend_on_the_target_at_all() {
    let dir = tempfile::tempdir().unwrap();
    manifest(dir.path(), "all.toml", false, &|c, _| Some(c));
    let train = "train --data all.toml --source a --target b --window 128 --batch 8 --epochs 2 --warmup-epochs 1";
    ok(dir.path(), &format!("{train} --out whole"));
    ok(
        dir.path(),
        &format!("{train} --out part --target-recordings m1c0*,m1c1*"),
    );
    let twin = |out: &str| weights(&dir.path().join(out).join("source_only.safetensors"));
    let adapted = |out: &str| weights(&dir.path().join(out).join("model.safetensors"));
    assert!(twin("whole") == twin("part"));
    assert!(adapted("whole") != adapted("part"), "adaptation did not use the target");
}
