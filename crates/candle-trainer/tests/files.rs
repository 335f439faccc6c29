//! Sealed files, checkpoints and resuming.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_trainer::{Checkpoints, Error, LrSchedule, Missing, Optimiser, OptimiserKind, ParameterStore, init, sealed};

const PREFIX: &str = "test";

fn ones(n: usize) -> BTreeMap<String, Tensor> {
    BTreeMap::from([("x".to_string(), Tensor::ones(n, DType::F32, &Device::Cpu).unwrap())])
}

fn none() -> BTreeMap<String, String> {
    BTreeMap::new()
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn every_dtype_rank_and_layout_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let base = Tensor::arange(0u32, 24, &Device::Cpu)
        .unwrap()
        .reshape((2, 3, 4))
        .unwrap();
    let mut tensors = BTreeMap::new();
    for dtype in [
        DType::U8,
        DType::U32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ] {
        let tensor = base.to_dtype(dtype).unwrap();
        tensors.insert(format!("{dtype:?}.transposed"), tensor.transpose(0, 2).unwrap());
        tensors.insert(format!("{dtype:?}.narrowed"), tensor.narrow(1, 1, 2).unwrap());
        tensors.insert(
            format!("{dtype:?}.scalar"),
            tensor.flatten_all().unwrap().get(5).unwrap(),
        );
        tensors.insert(
            format!("{dtype:?}.empty"),
            Tensor::zeros((3, 0), dtype, &Device::Cpu).unwrap(),
        );
    }
    let metadata = BTreeMap::from([("a \"b\"\n".to_string(), "ü\u{0}\\".to_string())]);
    sealed::save(&path, &tensors, &metadata, PREFIX).unwrap();
    let (back, back_metadata) = sealed::load(&path, PREFIX, &Device::Cpu).unwrap();
    assert_eq!(metadata, back_metadata);
    assert_eq!(tensors.keys().collect::<Vec<_>>(), back.keys().collect::<Vec<_>>());
    for (name, tensor) in &tensors {
        assert_eq!(tensor.dtype(), back[name].dtype());
        assert_eq!(tensor.dims(), back[name].dims(), "{name}");
        let values = |t: &Tensor| {
            t.to_dtype(DType::F64)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f64>()
                .unwrap()
        };
        assert_eq!(values(tensor), values(&back[name]), "{name}");
    }
    // any safetensors reader opens it
    assert_eq!(
        candle_core::safetensors::load(&path, &Device::Cpu).unwrap().len(),
        tensors.len()
    );
}

#[test]
fn a_file_sealed_by_another_program_after_the_description_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sealed.safetensors");
    let (tensors, metadata) = sealed::load(&path, "fixture", &Device::Cpu).unwrap();
    assert_eq!(tensors.len(), 6);
    assert_eq!(tensors["step"].to_scalar::<i64>().unwrap(), 7);
    assert_eq!(tensors["labels"].to_vec1::<u32>().unwrap(), [2, 0, 1]);
    assert_eq!(metadata["fixture.note"], "Lager außen, Größe 0.007\"\n");
    assert_eq!(metadata.len(), 2);
}

#[test]
fn errors_name_the_file_and_who_is_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let load = || sealed::load(&path, PREFIX, &Device::Cpu).unwrap_err();
    assert!(matches!(load(), Error::NotFound { .. }));
    assert!(load().to_string().contains("model.safetensors: no such file"));

    sealed::save(&path, &ones(3), &none(), "other").unwrap();
    assert!(
        load()
            .to_string()
            .contains("not a sealed file: its metadata has no test.sha256")
    );

    fs::write(&path, b"PK\x03\x04 this is a zip").unwrap();
    assert!(matches!(load(), Error::Damaged { .. }));
}

#[test]
fn names_that_the_format_needs_for_itself_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let reserved = BTreeMap::from([("__metadata__".to_string(), ones(1)["x"].clone())]);
    assert!(matches!(
        sealed::save(&path, &reserved, &none(), PREFIX),
        Err(Error::Argument(_))
    ));
    let reserved = BTreeMap::from([("test.sha256".to_string(), String::new())]);
    assert!(matches!(
        sealed::save(&path, &ones(1), &reserved, PREFIX),
        Err(Error::Argument(_))
    ));
    let huge = BTreeMap::from([("k".to_string(), "x".repeat(100_000_001))]);
    assert!(matches!(
        sealed::save(&path, &ones(1), &huge, PREFIX),
        Err(Error::Argument(_))
    ));
    assert!(files(folder.path()).is_empty());
}

/// The system refuses to write: the test runs itself again in a shell that limits the size of files.
#[cfg(unix)]
#[test]
fn where_the_disk_takes_no_more_the_old_file_survives_and_the_machine_is_at_fault() {
    const PATH: &str = "CANDLE_TRAINER_TEST_FULL";
    if let Some(path) = std::env::var_os(PATH) {
        let error = sealed::save(Path::new(&path), &ones(1_000_000), &none(), PREFIX).unwrap_err();
        let Error::Machine { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::FileTooLarge);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    sealed::save(&path, &ones(3), &none(), PREFIX).unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("where_the_disk_takes_no_more_the_old_file_survives_and_the_machine_is_at_fault")
        .env(PATH, &path)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    assert_eq!(files(folder.path()), ["model.safetensors"]);
    assert_eq!(sealed::load(&path, PREFIX, &Device::Cpu).unwrap().0["x"].dims(), [3]);
}

#[test]
fn the_last_few_checkpoints_are_kept_and_the_newest_wins() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path().join("new/checkpoints"), PREFIX)
        .unwrap()
        .keep(3);
    assert!(checkpoints.latest(&Device::Cpu).unwrap().checkpoint.is_none());
    for step in [1, 20, 300, 4000, 123_456_789] {
        let metadata = BTreeMap::from([("epoch".to_string(), step.to_string())]);
        checkpoints.save(step, &ones(step as usize % 7), &metadata).unwrap();
    }
    let kept = [
        "step-00000300.safetensors",
        "step-00004000.safetensors",
        "step-123456789.safetensors",
    ];
    assert_eq!(files(checkpoints.folder()), kept);
    let latest = checkpoints.latest(&Device::Cpu).unwrap();
    assert!(latest.damaged.is_empty());
    let checkpoint = latest.checkpoint.unwrap();
    assert_eq!(checkpoint.step, 123_456_789);
    assert_eq!(checkpoint.metadata["epoch"], "123456789");
    assert_eq!(checkpoint.tensors["x"].dims(), [123_456_789 % 7]);
}

#[test]
fn damaged_checkpoints_are_reported_and_passed_over_and_go_with_the_next_save() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), PREFIX).unwrap().keep(2);
    let first = checkpoints.save(10, &ones(1), &none()).unwrap();
    let second = checkpoints.save(20, &ones(2), &none()).unwrap();
    let bytes = fs::read(&second).unwrap();
    fs::write(&second, &bytes[..bytes.len() - 3]).unwrap();
    fs::write(folder.path().join("step-00000030.safetensors"), b"").unwrap();
    fs::write(folder.path().join("step-00000031.safetensors.7-0.tmp"), b"half").unwrap();
    fs::write(folder.path().join("notes.txt"), b"mine").unwrap();

    let latest = checkpoints.latest(&Device::Cpu).unwrap();
    assert_eq!(latest.checkpoint.unwrap().path, first);
    assert_eq!(latest.damaged.len(), 2);
    assert!(
        latest.damaged[0].to_string().contains("step-00000030"),
        "{}",
        latest.damaged[0]
    );

    checkpoints.save(15, &ones(3), &none()).unwrap();
    let kept = ["notes.txt", "step-00000010.safetensors", "step-00000015.safetensors"];
    assert_eq!(files(folder.path()), kept);
    assert_eq!(checkpoints.latest(&Device::Cpu).unwrap().checkpoint.unwrap().step, 15);
}

/// A small regression whose second layer is trained from step 3 only, as a domain head after its warm-up.
struct Run {
    store: ParameterStore,
    optimiser: Optimiser,
    step: u64,
}

const STEPS: u64 = 10;

impl Run {
    fn new(kind: OptimiserKind) -> Self {
        let store = ParameterStore::new(9, DType::F32, Device::Cpu);
        let vb = store.builder();
        vb.get_with_hints((3, 8), "body.weight", init::HE_NORMAL).unwrap();
        vb.get_with_hints((8, 2), "head.weight", init::glorot_uniform(8, 2))
            .unwrap();
        let optimiser = Optimiser::new(kind, 0.01, store.trainable()).unwrap();
        Self {
            store,
            optimiser,
            step: 0,
        }
    }

    fn train(&mut self, until: u64) {
        while self.step < until {
            let values = init::values(
                self.step,
                "x",
                &(16, 3).into(),
                candle_nn::Init::Randn { mean: 0.0, stdev: 1.0 },
            );
            let x = Tensor::from_vec(values, (16, 3), &Device::Cpu)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap();
            let (body, head) = (
                self.store.get("body.weight").unwrap(),
                self.store.get("head.weight").unwrap(),
            );
            let features = x.matmul(&body).unwrap().tanh().unwrap();
            let loss = if self.step < 3 {
                features.sqr().unwrap().mean_all().unwrap()
            } else {
                (features.matmul(&head).unwrap() - 1.0)
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .mean_all()
                    .unwrap()
            };
            let rate = LrSchedule::Cosine.at(0.1, self.step as f64 / STEPS as f64);
            self.optimiser
                .step(&loss.backward().unwrap(), rate, Missing::Skip)
                .unwrap();
            self.step += 1;
        }
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        let named = |prefix: &'static str| move |(name, t): (String, Tensor)| (format!("{prefix}.{name}"), t);
        let state = self.optimiser.state().unwrap().into_iter().map(named("optimiser"));
        self.store
            .tensors()
            .unwrap()
            .into_iter()
            .map(named("model"))
            .chain(state)
            .collect()
    }

    fn resume(kind: OptimiserKind, checkpoints: &Checkpoints) -> Self {
        let checkpoint = checkpoints.latest(&Device::Cpu).unwrap().checkpoint.unwrap();
        let part = |prefix: &str| -> BTreeMap<String, Tensor> {
            let named = |(k, v): (&String, &Tensor)| Some((k.strip_prefix(prefix)?.to_string(), v.clone()));
            checkpoint.tensors.iter().filter_map(named).collect()
        };
        let mut run = Self::new(kind);
        run.store.load(&part("model.")).unwrap();
        run.optimiser.load_state(&part("optimiser.")).unwrap();
        run.step = checkpoint.step;
        run
    }
}

#[test]
fn a_run_that_is_saved_and_resumed_at_any_step_ends_with_the_bits_of_one_that_was_not() {
    for kind in [OptimiserKind::ADAM, OptimiserKind::ADAMW, OptimiserKind::SGD] {
        let mut whole = Run::new(kind);
        whole.train(STEPS);
        for stop in 0..STEPS {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path(), PREFIX).unwrap();
            let mut first = Run::new(kind);
            first.train(stop);
            checkpoints.save(stop, &first.tensors(), &none()).unwrap();
            let mut second = Run::resume(kind, &checkpoints);
            second.train(STEPS);
            for (name, tensor) in whole.tensors() {
                let other = &second.tensors()[&name];
                if tensor.dtype() == DType::I64 {
                    assert_eq!(tensor.to_vec1::<i64>().unwrap(), other.to_vec1::<i64>().unwrap());
                } else {
                    let bits = |t: &Tensor| -> Vec<u32> {
                        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                        values.into_iter().map(f32::to_bits).collect()
                    };
                    assert_eq!(bits(&tensor), bits(other), "{kind}, {name}, stopped at {stop}");
                }
            }
        }
    }
}
