//! With the feature `cuda`, compiles the kernels to PTX. The driver translates that for the GPU at hand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "src/cuda";
const MODULES: [&str; 3] = ["conv1d", "sums", "batch_norm"];
/// The oldest GPUs that the PTX runs on (Ampere), unless candle is built for older ones.
const COMPUTE_CAPABILITY: u32 = 80;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed={FOLDER}");
    for variable in ["NVCC", "CUDA_HOME", "CUDA_PATH", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let (nvcc, arch) = (nvcc(), architecture());
    for module in MODULES {
        let source = Path::new(FOLDER).join(module).with_extension("cu");
        let target = out.join(module).with_extension("ptx");
        if let Err(problem) = compile(&nvcc, &arch, &source, &target) {
            println!("cargo::error={}: {problem}", source.display());
        }
    }
}

/// The same settings as in the test of the kernels: no multiplications are fused but those written out.
fn compile(nvcc: &Path, arch: &str, source: &Path, target: &Path) -> Result<(), String> {
    let done = Command::new(nvcc)
        .args(["-ptx", "-O3", "--fmad=false", arch, "-o"])
        .arg(target)
        .arg(source)
        .output()
        .map_err(|error| {
            format!(
                "the feature `cuda` needs NVIDIA's compiler, but {} cannot be run ({error}). Install the CUDA toolkit \
                 and put its nvcc on PATH, or set NVCC to it or CUDA_HOME to the toolkit's folder; \
                 without the feature nothing of this is needed",
                nvcc.display()
            )
        })?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!(
        "{} failed: {}",
        nvcc.display(),
        said.trim().replace('\n', " | ")
    ))
}

/// Where the compiler is, looked for in the order of candle's own build: a mix of two versions would be hard to find.
fn nvcc() -> PathBuf {
    if let Some(nvcc) = env::var_os("NVCC") {
        return nvcc.into();
    }
    let on_path = PathBuf::from("nvcc");
    if Command::new(&on_path).arg("--version").output().is_ok() {
        return on_path;
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    homes
        .map(PathBuf::from)
        .chain([PathBuf::from("/usr/local/cuda")])
        .map(|home| home.join("bin").join(format!("nvcc{}", env::consts::EXE_SUFFIX)))
        .find(|nvcc| nvcc.exists())
        .unwrap_or(on_path)
}

fn architecture() -> String {
    let wanted = env::var("CUDA_COMPUTE_CAP").unwrap_or_default();
    let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
    let capability = digits.parse().unwrap_or(COMPUTE_CAPABILITY);
    format!("-arch=compute_{}", capability.min(COMPUTE_CAPABILITY))
}
