//! Runs the real program in an empty folder.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bearing_simulator::{Defect, Machine, simulate};
use serde_json::Value;

/// The program, in an empty folder of its own, without the data set folder of the environment.
pub fn crossrig(folder: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_crossrig"));
    c.current_dir(folder).env_remove("CROSSRIG_DATA");
    c
}

/// What a run printed and how it ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(o: Output) -> Self {
        Self {
            code: o.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&o.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&o.stderr).into_owned(),
        }
    }
}

/// Runs with arguments split at blanks.
pub fn run(folder: &Path, args: &str) -> Ran {
    crossrig(folder)
        .args(args.split_whitespace())
        .output()
        .expect("the program starts")
        .into()
}

/// Runs and expects success.
pub fn ok(folder: &Path, args: &str) -> Ran {
    let r = run(folder, args);
    assert_eq!(r.code, 0, "crossrig {args}\n{}\n{}", r.stdout, r.stderr);
    r
}

/// The folder of real recordings; `None` where there is none and none is required.
pub fn real_data() -> Option<PathBuf> {
    if let Some(d) = std::env::var_os("CROSSRIG_DATA") {
        Some(PathBuf::from(d))
    } else {
        assert!(
            std::env::var_os("CROSSRIG_REQUIRE_DATA").is_none(),
            "CROSSRIG_REQUIRE_DATA is set, CROSSRIG_DATA is not"
        );
        println!("skipped: no data");
        None
    }
}

/// The top of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Samples of a made-up machine: a tone per class, lower on the second machine, and noise.
pub fn samples(class: usize, machine: usize, recording: usize, n: usize) -> Vec<f64> {
    let mut state = (class * 1009 + machine * 9176 + recording * 31 + 7) as u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
    };
    let cycles = [0.05, 0.11, 0.19][class] * if machine == 0 { 1.0 } else { 0.93 };
    (0..n)
        .map(|i| (std::f64::consts::TAU * cycles * i as f64).sin() + 0.6 * noise())
        .collect()
}

/// One column as text.
pub fn csv(samples: &[f64]) -> String {
    samples.iter().fold("x\n".to_owned(), |mut s, v| {
        let _ = writeln!(s, "{v:.6}");
        s
    })
}

/// A folder `plant/` of two machines with two classes and `recordings` recordings of 1280 samples each.
pub fn plant(folder: &Path, recordings: usize) {
    for machine in 0..2 {
        for class in 0..2 {
            let dir = folder.join(format!(
                "plant/machine-{}/{}",
                ["a", "b"][machine],
                ["fault", "healthy"][class]
            ));
            fs::create_dir_all(&dir).unwrap();
            for r in 0..recordings {
                fs::write(
                    dir.join(format!("m{machine}c{class}r{r}.csv")),
                    csv(&samples(class, machine, r, 1280)),
                )
                .unwrap();
            }
        }
    }
}

/// Flags that train on [`plant`] in about a second.
pub const QUICK: &str =
    "train --data plant --source machine-a --target machine-b --window 128 --batch 8 --epochs 3 --warmup-epochs 1";

/// Length of each of those recordings.
pub const SECONDS: f64 = 3.0;

/// A manifest of two machines with different bearings: inner race, outer race and no fault, two bearings of each.
pub fn machines(folder: &Path) {
    let mut manifest = String::from(
        "[dataset]\nname = \"two machines\"\nrate_hz = 12000\nclasses = [\"healthy\", \"inner\", \"outer\"]\n\
         [class.healthy]\nfamily = \"none\"\n[class.inner]\nfamily = \"BPFI\"\n[class.outer]\nfamily = \"BPFO\"\n",
    );
    for (name, machine) in [("a", Machine::a()), ("b", Machine::b())] {
        assert!((machine.rate_hz() - 12_000.0).abs() < 1e-9, "the manifest says 12 kHz");
        let g = machine.geometry();
        manifest += &format!(
            "[geometry.{name}]\nbpfi = {}\nbpfo = {}\nbsf = {}\nftf = {}\n",
            g.bpfi, g.bpfo, g.bsf, g.ftf
        );
        for (class, defect) in [
            ("healthy", Defect::None),
            ("inner", Defect::Inner),
            ("outer", Defect::Outer),
        ] {
            for unit in 0..2 {
                let samples = simulate(&machine, defect, unit, SECONDS, 5).unwrap();
                let file = format!("{name}-{class}-{unit}.csv");
                std::fs::write(folder.join(&file), csv(&samples)).unwrap();
                manifest += &format!(
                    "[[recording]]\nfile = \"{file}\"\ndomain = \"{name}\"\nclass = \"{class}\"\nunit = \"{file}\"\nrpm = {}\n\
                     geometry = \"{name}\"\n",
                    machine.shaft_hz() * 60.0
                );
            }
        }
    }
    std::fs::write(folder.join("machines.toml"), manifest).unwrap();
}

/// The flags of `predict` and `inspect --physics` that describe a machine.
pub fn bearing_flags(machine: &Machine) -> String {
    let g = machine.geometry();
    format!(
        "--geometry bpfi={},bpfo={},bsf={},ftf={} --rpm {} --rate 12000",
        g.bpfi,
        g.bpfo,
        g.bsf,
        g.ftf,
        machine.shaft_hz() * 60.0
    )
}

/// Text as JSON.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The `metrics.json` of a run.
pub fn metrics(run: &Path) -> Value {
    json(&fs::read_to_string(run.join("metrics.json")).unwrap())
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut stack = vec![folder.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                stack.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Names and bytes of a model's tensors, without its metadata.
pub fn weights(model: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(model).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<(String, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(n, t)| (n, t.data().to_vec()))
        .collect();
    all.sort();
    all
}

/// Expects two finished runs to be the same to the bit: models, and every number of the metrics but times, threads and
/// the command line.
pub fn same_results(a: &Path, b: &Path, what: &str) {
    for model in ["model.safetensors", "source_only.safetensors"] {
        let [x, y] = [a, b].map(|run| fs::read(run.join(model)).ok());
        assert!(x.is_some() || model != "model.safetensors", "{}: no model", a.display());
        assert!(x == y, "{what}: another {model}");
    }
    let [x, y] = [a, b].map(|run| {
        let text = fs::read_to_string(run.join("metrics.json")).unwrap();
        let mut metrics: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for key in ["seconds", "threads", "command"] {
            assert!(metrics.remove(key).is_some(), "no {key} in the metrics");
        }
        metrics
    });
    assert_eq!(x, y, "{what}: other metrics");
}
