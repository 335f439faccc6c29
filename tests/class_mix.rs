//! A target that shows one condition only: how it is noticed without its labels, and what is done about it; and which model is
//! recommended without them.

mod common;

use common::{QUICK, json, machines, metrics, ok, plant, project, run};
use crossrig::track_record::{ByLabels, TRACK_RECORD};

const LOGISTIC: &str = "train --data plant --source machine-a --target machine-b --window 128 --method logistic --input log-spectrum --score all --fractions 1,0,0";

#[test]
fn a_target_of_one_class_is_named_right_where_its_own_statistics_would_hide_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 4);
    let whole = ok(folder, &format!("{LOGISTIC} --out whole"));
    assert!(!whole.stdout.contains("class mix"), "{}", whole.stdout);
    let found = metrics(&folder.join("whole"));
    assert_eq!(found["config"]["signal"]["standardise"], "matched");
    let mix = &found["class_mix"][0];
    assert_eq!(
        (&mix["differs"], &mix["statistics"]),
        (&false.into(), &"matched".into())
    );
    assert_eq!(found["baselines"]["logistic"]["accuracy"], 1.0);

    let one = ok(folder, &format!("{LOGISTIC} --target-recordings m1c0* --out one"));
    assert!(
        one.stdout.contains("the class mix of `machine-b` seems to differ"),
        "{}",
        one.stdout
    );
    let found = metrics(&folder.join("one"));
    let mix = &found["class_mix"][0];
    assert_eq!((&mix["differs"], &mix["statistics"]), (&true.into(), &"matched".into()));
    assert_eq!(found["baselines"]["logistic"]["accuracy"], 1.0);
    ok(
        folder,
        &format!("{LOGISTIC} --target-recordings m1c0* --standardise domain --out own"),
    );
    let own = metrics(&folder.join("own"));
    assert!(own["baselines"]["logistic"]["accuracy"].as_f64().unwrap() < 0.8);

    // statistics of the very recordings, asked for where they mislead
    std::fs::remove_dir_all(folder.join("plant/machine-b/healthy")).unwrap();
    let evaluate = "evaluate --model whole/model.safetensors --data plant --domain machine-b --json";
    let by_itself = json(&ok(folder, &format!("{evaluate} --restandardise")).stdout);
    assert!(
        by_itself["remarks"]
            .to_string()
            .contains("those of the source are used instead"),
        "{by_itself}"
    );
    let by_source = json(&ok(folder, &format!("{evaluate} --statistics machine-a")).stdout);
    assert_eq!(by_itself["scores"], by_source["scores"]);
    let predicted = ok(
        folder,
        "predict --model whole/model.safetensors --restandardise --json plant/machine-b/fault/m1c0r0.csv",
    );
    assert!(
        predicted.stderr.contains("statistics of their own are misleading"),
        "{}",
        predicted.stderr
    );
}

#[test]
fn a_reference_in_good_state_moves_the_statistics_where_the_mix_differs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    let train = "train --data machines.toml --root . --source b --target a --method logistic --input log-spectrum --score all \
                 --fractions 1,0,0 --target-recordings a-inner-*";
    ok(folder, &format!("{train} --reference a-healthy-1.csv --out run"));
    let found = metrics(&folder.join("run"));
    assert_eq!(
        found["class_mix"][0]["statistics"], "reference",
        "{}",
        found["class_mix"]
    );
    for (args, message) in [
        (
            format!("{train} --standardise source --reference a-healthy-1.csv --out x"),
            "--standardise matched",
        ),
        (format!("{train} --reference nowhere.csv --out x"), "nowhere.csv"),
        (
            format!("{train} --input raw --standardise matched --out x").replacen("--input log-spectrum ", "", 1),
            "the input is raw",
        ),
    ] {
        let r = run(folder, &args);
        assert!(r.code == 2 && r.stderr.contains(message), "{args}\n{}", r.stderr);
    }
    // no class is the good state
    plant(folder, 4);
    let r = run(
        folder,
        &format!("{LOGISTIC} --target-recordings m1c0* --reference plant/machine-b/healthy/m1c1r0.csv --out x"),
    );
    assert!(r.code == 2 && r.stderr.contains("family = \"none\""), "{}", r.stderr);
}

#[test]
fn the_recommended_model_its_reason_and_its_scores_stand_in_the_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    plant(folder, 4);
    let trained = ok(folder, &format!("{QUICK} --out run"));
    assert!(
        trained
            .stdout
            .contains("recommended without looking at target labels: "),
        "{}",
        trained.stdout
    );
    let found = metrics(&folder.join("run"));
    let recommended = &found["recommended"];
    let which = recommended["which"].as_str().unwrap();
    let scores = match which {
        "adapted" => &found["adapted"]["last"],
        "source-only" => &found["source_only"]["last"],
        name => &found["baselines"][name],
    };
    assert_eq!(&recommended["result"], scores);
    assert!(recommended["result"]["accuracy"].is_number());
    assert!(found["signs"]["adapted_agrees_with_source_only"].is_number());
    assert!(found["signs"]["adapted"]["agrees_with_baseline"].is_number());
    let report = std::fs::read_to_string(folder.join("run/report.html")).unwrap();
    // a sentence begins with a capital there
    assert!(report.contains("ecommended without looking at target labels"));
    // by the labels, and on record
    let by = &recommended["by_labels"];
    let best = match by["best"].as_str().unwrap() {
        "adapted" => &found["adapted"]["last"],
        "source-only" => &found["source_only"]["last"],
        name => &found["baselines"][name],
    };
    let behind = best["macro_f1"].as_f64().unwrap() - scores["macro_f1"].as_f64().unwrap();
    assert_eq!(by["behind"], behind);
    assert_eq!(by["right"], behind <= 0.02);
    for page in [&trained.stdout, &report] {
        assert!(
            page.contains("by the labels ") && page.contains(&TRACK_RECORD.words()),
            "{}",
            trained.stdout
        );
    }

    // other bearings, and known ones
    machines(folder);
    let trained = ok(
        folder,
        "train --data machines.toml --root . --source b --target a --input defect-orders --method source-only --batch 6 --epochs 1 \
         --warmup-epochs 1 --score all --fractions 1,0,0 --out orders",
    );
    let found = metrics(&folder.join("orders"));
    assert_eq!(found["recommended"]["which"], "rule-source", "{}", trained.stdout);
    assert_eq!(
        found["recommended"]["result"],
        found["pieces"]["methods"]["rule-source"]
    );
}

#[test]
fn without_target_labels_the_same_model_is_recommended_for_the_same_reason() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    machines(folder);
    // without bearings physics has no place, and networks are compared
    let text = std::fs::read_to_string(folder.join("machines.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|l| !l.starts_with("geometry = "))
        .fold(String::new(), |t, l| t + l + "\n");
    std::fs::write(folder.join("labelled.toml"), &text).unwrap();
    let bare: Vec<String> = text
        .split("[[recording]]")
        .map(|r| {
            if !r.contains("domain = \"a\"") {
                return r.to_owned();
            }
            let kept = r.lines().filter(|l| !l.starts_with("class = "));
            kept.fold(String::new(), |t, l| t + l + "\n")
        })
        .collect();
    std::fs::write(folder.join("bare.toml"), bare.join("[[recording]]")).unwrap();
    let [labelled, bare] = ["labelled", "bare"].map(|name| {
        ok(
            folder,
            &format!(
                "train --data {name}.toml --root . --source b --target a --input log-spectrum --window 512 --batch 32 --epochs 2 \
                 --warmup-epochs 1 --split blocks --out {name}"
            ),
        );
        metrics(&folder.join(name))
    });
    assert!(labelled["recommended"]["result"]["accuracy"].is_number());
    assert!(bare["recommended"]["result"]["accuracy"].is_null());
    assert!(bare["recommended"]["by_labels"].is_null() && labelled["recommended"]["by_labels"].is_object());
    assert_eq!(bare["recommended"]["record"], labelled["recommended"]["record"]);
    for key in ["which", "rule"] {
        assert_eq!(bare["recommended"][key], labelled["recommended"][key]);
    }
    assert_eq!(bare["signs"], labelled["signs"]);
    assert_eq!(bare["class_mix"], labelled["class_mix"]);
}

/// What the program says of its own recommendations is what the scores on record say.
#[test]
fn the_track_record_of_the_recommendation_is_that_of_the_committed_runs() {
    let (mut right, mut of) = (0, 0);
    for file in TRACK_RECORD.runs {
        let runs = json(&std::fs::read_to_string(project().join(file)).unwrap());
        for run in runs.as_array().unwrap() {
            let scores = run["macro_f1"].as_object().unwrap();
            let scores = scores.iter().map(|(name, s)| (name.as_str(), s.as_f64().unwrap()));
            let by = ByLabels::new(run["recommended"].as_str().unwrap(), scores).unwrap();
            of += 1;
            right += usize::from(by.right);
        }
    }
    assert_eq!((right, of), (TRACK_RECORD.right, TRACK_RECORD.of));
    let text = std::fs::read_to_string(project().join(TRACK_RECORD.source)).unwrap();
    assert!(
        text.contains(&format!("in {right} of {of}")),
        "the page says another number"
    );
}
