//! Programs carried out on the CPU, with the kernels compiled as C++.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::Random;
use crate::programs::{Arg, Kind, Launch, Program};

/// Values of a buffer.
#[derive(Clone, Debug)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Values {
    pub fn f32(&self) -> &[f32] {
        match self {
            Self::F32(values) => values,
            Self::F64(_) => panic!("f64 values"),
        }
    }

    pub fn f64(&self) -> Vec<f64> {
        match self {
            Self::F32(values) => values.iter().map(|&value| value.into()).collect(),
            Self::F64(values) => values.clone(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
        }
    }
}

/// The compiled kernels, in a folder that goes with this value.
pub struct Host {
    folder: PathBuf,
}

impl Host {
    /// Compiles the kernels. None, and a line that says so, where there is no C++ compiler.
    pub fn new(name: &str) -> Option<Self> {
        let Some(compiler) = compiler() else {
            println!("skipped: no C++ compiler");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("cuda-kernels-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let host = Self { folder };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let compile = |extra: &[&str]| {
            Command::new(&compiler)
                // no multiplications are fused but those written out, as nvcc is told too
                .args(["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"])
                .args(extra)
                .arg("-I")
                .arg(root.join("src/cuda"))
                .arg("-o")
                .arg(host.program())
                .arg(root.join("tests/cuda_kernels/host.cpp"))
                .output()
                .expect("the compiler runs")
        };
        // the sanitisers are libraries that not every compiler comes with
        let checked = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        if !compile(&checked).status.success() {
            println!("without sanitisers: steps beyond a buffer may go unseen");
            let plain = compile(&[]);
            assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
        }
        Some(host)
    }

    /// The results of programs with their inputs, with random numbers of threads.
    #[track_caller]
    pub fn run(&self, random: &mut Random, programs: &[(Program, Vec<Values>)]) -> Vec<Vec<Values>> {
        let (request, response) = (self.folder.join("request"), self.folder.join("response"));
        let mut bytes = Vec::new();
        for (program, inputs) in programs {
            write(&mut bytes, random, program, inputs);
        }
        fs::write(&request, bytes).expect("room for a request");
        let done = Command::new(self.program())
            .arg(&request)
            .arg(&response)
            .output()
            .expect("the kernels run");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let response = fs::read(response).expect("a response");
        let mut rest = response.as_slice();
        let results = programs
            .iter()
            .map(|(program, _)| {
                let results = program.results.iter();
                results
                    .map(|&buffer| read(&mut rest, program.buffers[buffer]))
                    .collect()
            })
            .collect();
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        results
    }

    fn program(&self) -> PathBuf {
        self.folder.join("host")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // what is left in the system's temporary folder does no harm
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `$CXX`, or the first of the usual names that runs.
fn compiler() -> Option<OsString> {
    let usual = ["c++", "g++", "clang++"].map(OsString::from);
    std::env::var_os("CXX").into_iter().chain(usual).find(|name| {
        let mut version = Command::new(name);
        version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    })
}

/// As `host.cpp` describes it.
fn write(bytes: &mut Vec<u8>, random: &mut Random, program: &Program, inputs: &[Values]) {
    assert_eq!(program.inputs, inputs.len());
    let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
    number(program.buffers.len() as u64);
    for (i, &(kind, len)) in program.buffers.iter().enumerate() {
        let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
        number((kind == Kind::F64).into());
        number(len as u64);
        number((i < inputs.len()).into());
        if let Some(input) = inputs.get(i) {
            let values = input.bytes();
            assert_eq!((input.kind(), values.len() / size(kind)), (kind, len), "input {i}");
            bytes.extend(values);
        }
    }
    let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
    number(program.launches.len() as u64);
    for Launch { kernel, work, args, .. } in &program.launches {
        let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
        number(kernel.len() as u64);
        bytes.extend(kernel.bytes());
        let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
        // fewer threads than work, so that threads take several shares, or more than work
        let threads = random.between(1, 64);
        let blocks = random.between(1, (*work / threads + 2).min(50));
        number(blocks as u64);
        number(threads as u64);
        number(args.len() as u64);
        for arg in args {
            match *arg {
                Arg::Place(place) => {
                    number(0);
                    number(place.buffer as u64);
                    number(place.offset as u64);
                }
                Arg::Int(value) => {
                    number(1);
                    number(value as u64);
                }
                Arg::Double(value) => {
                    number(2);
                    number(value.to_bits());
                }
            }
        }
    }
    let mut number = |value: u64| bytes.extend(value.to_ne_bytes());
    number(program.results.len() as u64);
    for &result in &program.results {
        number(result as u64);
    }
}

fn size(kind: Kind) -> usize {
    match kind {
        Kind::F32 => size_of::<f32>(),
        Kind::F64 => size_of::<f64>(),
    }
}

fn read(rest: &mut &[u8], (kind, len): (Kind, usize)) -> Values {
    let (own, others) = rest.split_at(len * size(kind));
    *rest = others;
    match kind {
        Kind::F32 => Values::F32(
            own.as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_ne_bytes(bytes))
                .collect(),
        ),
        Kind::F64 => Values::F64(
            own.as_chunks()
                .0
                .iter()
                .map(|&bytes| f64::from_ne_bytes(bytes))
                .collect(),
        ),
    }
}
