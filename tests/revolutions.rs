//! Windows of so many turns of the shaft: as many samples as a recording's own speed makes of them, from training to prediction.

mod common;

use bearing_simulator::Machine;
use common::{bearing_flags, json, machines, metrics, ok, run};

const TRAIN: &str = "train --data machines.toml --root . --source b --target a --score all --fractions 1,0,0 --batch 6 --epochs 1 \
                     --warmup-epochs 1";

/// Windows of a recording of three seconds at 12 kHz.
fn windows(turns: f64, hop: f64, shaft_hz: f64) -> u64 {
    let samples = |turns: f64| (turns * 12_000.0 / shaft_hz).round() as u64;
    (36_000 - samples(turns)) / samples(hop) + 1
}

#[test]
fn every_recording_is_cut_by_its_own_speed_in_training_evaluation_and_prediction() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let (a, b) = (Machine::a(), Machine::b());
    let of = |machine: &Machine| windows(20.0, 10.0, machine.shaft_hz());
    assert_ne!(of(&a), of(&b), "machines of one speed show nothing");
    for (input, method) in [
        ("defect-orders", "source-only"),
        ("orders", "logistic"),
        ("envelope-spectrum", "logistic"),
        ("raw", "rule"),
    ] {
        let out = format!("{input}-{method}");
        ok(
            folder,
            &format!("{TRAIN} --input {input} --method {method} --window 20rev --hop 10rev --out {out}"),
        );
        let found = metrics(&folder.join(&out));
        assert_eq!(found["config"]["signal"]["window"], "20rev");
        let trained = match method {
            "rule" => &found["baselines"]["rule-source"],
            "logistic" => &found["baselines"]["logistic"],
            _ => &found["source_only"]["last"],
        };
        assert_eq!(trained["domains"]["a"]["windows"], 6 * of(&a), "{out}");

        let evaluate =
            format!("evaluate --model {out}/model.safetensors --data machines.toml --root . --domain a,b --json");
        let evaluated = json(&ok(folder, &evaluate).stdout);
        let domains = &evaluated["scores"]["domains"];
        assert_eq!(domains["a"]["confusion"], trained["domains"]["a"]["confusion"], "{out}");
        assert_eq!(domains["b"]["windows"], 6 * of(&b), "{out}");

        // the speed of the file that is asked about, and no other
        let file = "a-inner-0.csv";
        let predict = format!("predict --model {out}/model.safetensors --json {file}");
        let predicted = ok(folder, &format!("{predict} {}", bearing_flags(&a)));
        assert_eq!(json(&predicted.stdout)["windows"], of(&a), "{out}");
        let slow = bearing_flags(&a).replace(&format!("--rpm {}", a.shaft_hz() * 60.0), "--rpm 900");
        let predicted = ok(folder, &format!("{predict} {slow}"));
        assert_eq!(json(&predicted.stdout)["windows"], windows(20.0, 10.0, 15.0), "{out}");
        let flags = bearing_flags(&a);
        let without = flags.replace(&format!("--rpm {}", a.shaft_hz() * 60.0), "");
        let refused = run(folder, &format!("{predict} {without}"));
        assert_ne!(refused.code, 0);
        assert!(
            refused.stderr.contains("the shaft speed is not known"),
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("--rpm of predict"), "{}", refused.stderr);
    }
    // the settings that were saved give the same run
    ok(
        folder,
        "train --config defect-orders-source-only/config.toml --out again",
    );
    let [x, y] = ["defect-orders-source-only", "again"]
        .map(|f| std::fs::read(folder.join(f).join("model.safetensors")).unwrap());
    assert!(x == y, "another model");
}

#[test]
fn inputs_whose_rows_would_differ_in_length_and_recordings_without_a_speed_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let text = std::fs::read_to_string(folder.join("machines.toml")).unwrap();
    let still: Vec<&str> = text.lines().filter(|l| !l.starts_with("rpm")).collect();
    std::fs::write(folder.join("still.toml"), still.join("\n")).unwrap();
    std::fs::write(folder.join("bare.toml"), text.replace("family = \"BPFI\"", "")).unwrap();
    let train = TRAIN.replace("--data machines.toml ", "");
    for (flags, message) in [
        (
            "--data machines.toml --input raw --window 20rev",
            "rows of --input raw are as long as the window",
        ),
        (
            "--data machines.toml --input log-spectrum --window 20rev",
            "--input orders or defect-orders",
        ),
        // known once `auto` has looked at the recordings
        (
            "--data bare.toml --input auto --window 20rev",
            "rows of --input log-spectrum",
        ),
        (
            "--data still.toml --input envelope-spectrum --window 20rev",
            "in windows of revolutions needs it",
        ),
        (
            "--data still.toml --input raw --window 1024 --hop 5rev",
            "the shaft speed is not known",
        ),
        (
            "--data machines.toml --input orders --window 0rev",
            "no number of revolutions",
        ),
        (
            "--data machines.toml --input orders --window 500rev",
            "longer than every recording of `b`",
        ),
        (
            "--data machines.toml --input orders --window 20turns",
            "samples, seconds or revolutions",
        ),
    ] {
        let refused = run(folder, &format!("{train} --method source-only {flags} --out x"));
        assert_eq!(refused.code, 2, "{flags}: {}", refused.stderr);
        assert!(refused.stderr.contains(message), "{flags}: {}", refused.stderr);
        assert!(!folder.join("x").exists(), "nothing is left behind");
    }
    // a hop may be turns where windows are samples, and `auto` may take defect orders
    for flags in [
        "--input raw --window 1024 --hop 5rev",
        "--input auto --window 20rev --hop 6000",
    ] {
        let shown = ok(folder, &format!("{TRAIN} --method source-only {flags} --dry-run"));
        assert!(shown.stdout.contains("windows of"), "{}", shown.stdout);
    }
}
