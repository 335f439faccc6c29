//! A model file that is not what this program wrote is refused: no panic, a clear error, and no more memory than the
//! file's size and a megabyte.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use candle_trainer::sealed;
use crossrig::model_file;
use serde_json::{Value, json};

use common::{ok, plant, run};

/// The system's allocator, which counts.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is the one that `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: the count is of all threads.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads a file and holds the memory to its bound; the error, `None` for a sound model.
fn load(path: &Path) -> Option<String> {
    let size = fs::metadata(path).unwrap().len() as usize;
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let loaded = model_file::load(path);
    let used = MOST.load(Ordering::Relaxed) - before;
    let error = loaded.err().map(|e| {
        assert_eq!(e.exit_code(), 2, "{e}");
        e.to_string()
    });
    assert!(used <= size + 1_000_000, "{used} bytes for a file of {size}: {error:?}");
    error
}

/// Loads a file that is refused, with its name and all of `words` in the error.
fn refused(path: &Path, words: &[&str]) {
    let error = load(path).unwrap_or_else(|| panic!("accepted: {words:?}"));
    for word in [path.file_name().unwrap().to_str().unwrap()].iter().chain(words) {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
    // on further lines there may be a backtrace, where the environment asks for one
    assert!(error.lines().next().unwrap().len() < 1000, "{error}");
}

/// A small trained model.
fn model() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    plant(dir.path(), 3);
    let table = "[extractor]\nname = \"seresnext26-small\"\nstem = 4\nblocks = [1, 1]\nwidths = [4, 4]\noutputs = [4, 8]\n\
                 groups = 2\n";
    fs::write(dir.path().join("small.toml"), table).unwrap();
    ok(
        dir.path(),
        "train --config small.toml --data plant --source machine-a --target machine-b --window 64 --batch 8 --epochs 2 \
         --warmup-epochs 1 --input log-spectrum --domain-head linear --no-twin --out run",
    );
    let path = dir.path().join("run/model.safetensors");
    assert_eq!(load(&path), None);
    (dir, path)
}

#[test]
fn a_model_cut_at_any_byte_is_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for length in (0..fs::metadata(&path).unwrap().len()).rev() {
        file.set_len(length).unwrap();
        refused(&path, &["damaged, truncated or not a safetensors file"]);
    }
}

#[test]
fn a_model_with_any_byte_changed_is_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        // another bit in each byte
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, bad).unwrap();
        assert!(load(&path).is_some(), "byte {at} of {}", good.len());
    }
}

type Metadata = BTreeMap<String, String>;
type Tensors = BTreeMap<String, Tensor>;

/// Seals an altered copy of the model: its checksum is right.
fn reseal(path: &Path, edit: impl FnOnce(&mut Tensors, &mut Metadata)) -> PathBuf {
    let (mut tensors, mut metadata) = sealed::load(path, "crossrig", &Device::Cpu).unwrap();
    edit(&mut tensors, &mut metadata);
    let altered = path.with_file_name("altered.safetensors");
    sealed::save(&altered, &tensors, &metadata, "crossrig").unwrap();
    altered
}

#[test]
fn a_model_of_another_version_or_program_is_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    let with = |key: &str, value: Option<&str>| {
        reseal(&path, |_, metadata| {
            metadata.remove(key);
            metadata.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        })
    };
    refused(
        &with("crossrig.schema", Some("2")),
        &["model of schema 2, this program reads schema 1"],
    );
    refused(&with("crossrig.schema", None), &["no model of crossrig"]);
    refused(
        &with("crossrig.recipe", None),
        &["`crossrig.recipe` is missing in its metadata"],
    );
    for text in ["", "{}", "[1, 2", "null"] {
        refused(&with("crossrig.recipe", Some(text)), &["`crossrig.recipe`"]);
    }
    let nested = "[".repeat(100_000);
    refused(&with("crossrig.recipe", Some(&nested)), &["`crossrig.recipe`"]);

    let (tensors, metadata) = sealed::load(&path, "crossrig", &Device::Cpu).unwrap();
    let other = path.with_file_name("other.safetensors");
    sealed::save(&other, &tensors, &metadata, "another").unwrap();
    refused(&other, &["not a sealed file: its metadata has no crossrig.sha256"]);
}

#[test]
fn a_model_with_a_wrong_checksum_is_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    let mut bytes = fs::read(&path).unwrap();
    let key = b"crossrig.sha256\":\"";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    fs::write(&path, bytes).unwrap();
    refused(&path, &["damaged: its contents do not match their checksum"]);
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let _alone = alone();
    let (_dir, path) = model();
    let (tensors, _) = sealed::load(&path, "crossrig", &Device::Cpu).unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for name in tensors.keys() {
            let altered = reseal(&path, |tensors, _| {
                let old = &tensors[name];
                let mut values = old.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                *values.last_mut().unwrap() = value;
                let new = Tensor::from_vec(values, old.dims(), &Device::Cpu).unwrap();
                tensors.insert(name.clone(), new);
            });
            refused(&altered, &[&format!("the weights in {name} are not all finite")]);
        }
    }
}

#[test]
fn tensors_that_do_not_make_the_network_are_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    let name = "label_head.output.weight";
    let misfit = "its recipe and its tensors do not fit";
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims, dtype, &Device::Cpu).unwrap();
    let put = |key: &str, tensor: Tensor| {
        reseal(&path, |tensors, _| {
            tensors.insert(key.to_owned(), tensor);
        })
    };
    refused(&put(name, zeros(&[2, 9], DType::F32)), &[misfit, name]);
    refused(&put(name, zeros(&[2, 8], DType::F64)), &[misfit, name]);
    refused(&put(name, zeros(&[1 << 40, 0], DType::F32)), &[misfit, name]);
    refused(&put("surplus", zeros(&[3], DType::F32)), &[misfit, "surplus"]);
    // a large tensor is neither copied for the check of its values nor for the network
    refused(&put("surplus", zeros(&[4_000_000], DType::F32)), &[misfit, "surplus"]);
    let without = reseal(&path, |tensors, _| {
        tensors.remove(name).unwrap();
    });
    refused(&without, &[misfit, name]);
}

/// What a recipe may claim, and what the error says of it.
fn false_claims() -> Vec<(&'static str, Value, &'static str)> {
    let huge = json!(1_u64 << 60);
    let most = json!(u64::MAX);
    let misfit = "its recipe and its tensors do not fit";
    vec![
        ("/shape/classes", huge.clone(), "classes"),
        ("/shape/domains", huge.clone(), "domains"),
        ("/shape/domains", json!(0), "domains"),
        ("/shape/channels", huge.clone(), "statistics"),
        ("/shape/channels", json!(0), "statistics"),
        ("/shape/channels", most.clone(), "statistics"),
        ("/shape/length", huge.clone(), "the network takes"),
        ("/shape/classes", json!(-1), "`crossrig.recipe`"),
        ("/classes", json!([]), "classes"),
        ("/domains", json!([]), "domains"),
        ("/domains/0/standardiser", Value::Null, "statistics"),
        ("/domains/0/standardiser/mean", json!([0.0]), "`crossrig.recipe`"),
        ("/domains/0/standardiser/std/0", json!(-1.0), "`crossrig.recipe`"),
        ("/rate_hz", json!(-5.0), "sampling rate"),
        ("/settings/signal/window", huge.clone(), "the network takes"),
        ("/settings/signal/hop", json!(0), "--hop"),
        ("/settings/projection", huge.clone(), misfit),
        ("/settings/label_head", json!("hidden:1152921504606846976"), misfit),
        ("/settings/label_head", json!("deep"), "--label-head"),
        ("/settings/dropout", json!(2.0), "--dropout"),
        ("/settings/extractor/name", json!("light-cnn"), misfit),
        ("/settings/extractor/name", json!("resnet"), "--extractor"),
        ("/settings/extractor/stem", huge.clone(), misfit),
        ("/settings/extractor/stem", most.clone(), misfit),
        ("/settings/extractor/blocks", json!([1_u64 << 60, 1]), misfit),
        ("/settings/extractor/widths", json!([1_u64 << 60, 4]), misfit),
        ("/settings/extractor/outputs", json!([1_u64 << 60, 8]), misfit),
        ("/settings/extractor/outputs", json!([4, u64::MAX]), misfit),
        ("/settings/extractor/groups", json!(0), misfit),
        ("/settings/extractor/groups", most, misfit),
        ("/settings/extractor/reduction", json!(0), misfit),
        ("/settings/batch_norm", json!("per-domain"), misfit),
    ]
}

#[test]
fn recipes_that_claim_what_the_tensors_are_not_are_refused() {
    let _alone = alone();
    let (_dir, path) = model();
    for (pointer, value, word) in false_claims() {
        let altered = reseal(&path, |_, metadata| {
            let recipe = metadata.get_mut("crossrig.recipe").unwrap();
            let mut json: Value = serde_json::from_str(recipe).unwrap();
            let place = json.pointer_mut(pointer);
            *place.unwrap_or_else(|| panic!("the recipe has no {pointer}: {recipe}")) = value.clone();
            *recipe = json.to_string();
        });
        println!("{pointer} = {value}");
        refused(&altered, &[word]);
    }
}

/// `text` once for each number, which stands in the place of #.
fn many(text: &str, n: usize) -> String {
    let numbered: Vec<String> = (0..n).map(|i| text.replace('#', &i.to_string())).collect();
    numbered.join(",")
}

/// A header with `n` entries and a checksum of something else.
fn sealed_wrongly(entry: &str, n: usize) -> String {
    format!(r#"{{"__metadata__":{{"crossrig.sha256":"00"}},{}}}"#, many(entry, n))
}

#[test]
fn headers_that_claim_the_absurd_are_refused() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.safetensors");
    let entry = |dtype: &str, shape: &str, place: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{place}}}}}"#)
    };
    let empty = r##""#":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"##;
    let cases = [
        (entry("F32", "[1099511627776]", "[0,4398046511104]"), "data"),
        (entry("F32", "[18446744073709551615,2]", "[0,8]"), "impossible shape"),
        (entry("F32", "[4611686018427387904]", "[0,0]"), "impossible shape"),
        (entry("F32", "[0,18446744073709551615,4]", "[0,0]"), "impossible shape"),
        (entry("F32", "[2]", "[0,4]"), "takes 8 bytes"),
        (entry("F32", "[2]", "[8,0]"), "overlaps"),
        (
            entry("F32", &format!("[{}]", many("1", 100_000)), "[0,4]"),
            "dimensions",
        ),
        (entry("F4", "[2]", "[0,1]"), "unknown dtype"),
        (entry("F32", "[-1]", "[0,4]"), "its header"),
        (entry("F32", "[1.5]", "[0,4]"), "its header"),
        (format!("{{{}}}", many(empty, 200_000)), "more entries"),
        (format!("{{{}}}", many(empty, 4000)), "no crossrig.sha256"),
        (sealed_wrongly(empty, 3999), "do not match their checksum"),
        (
            format!(r#"{{"__metadata__":{{{}}}}}"#, many(r##""#":"""##, 200_000)),
            "more entries",
        ),
        (format!("{{\"w\":{}", "[".repeat(1_000_000)), "its header"),
        ("{}".to_owned(), "no crossrig.sha256"),
        ("[]".to_owned(), "JSON object"),
        ("\u{feff}{}".to_owned(), "JSON object"),
        (String::new(), "JSON object"),
    ];
    for (header, word) in cases {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        fs::write(&path, &bytes).unwrap();
        println!("{}", &header[..header.len().min(80)]);
        refused(&path, &[word]);
    }
    for length in [1, 1 << 20, 1 << 40, u64::MAX / 2, u64::MAX] {
        fs::write(&path, length.to_le_bytes()).unwrap();
        refused(&path, &["claims a header"]);
    }
}

/// Weights that are finite one by one can still overflow together.
#[test]
fn a_model_that_computes_no_number_gives_no_diagnosis() {
    let _alone = alone();
    let (dir, path) = model();
    reseal(&path, |tensors, _| {
        for tensor in tensors.values_mut() {
            *tensor = Tensor::full(3e38_f32, tensor.dims(), &Device::Cpu).unwrap();
        }
    });
    let file = "plant/machine-b/fault/m1c0r0.csv";
    let ran = run(dir.path(), &format!("predict --model run/altered.safetensors {file}"));
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("not a number"), "{}", ran.stderr);
}
