//! A kernel that is not in the file where a program looks for it would show on a GPU only.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::programs::{BatchNorm, Conv1d, Module};

fn file(module: Module) -> &'static str {
    match module {
        Module::Conv1d => "conv1d.cu",
        Module::Sums => "sums.cu",
        Module::BatchNorm => "batch_norm.cu",
    }
}

#[test]
fn the_kernels_of_the_sources_are_those_that_programs_launch() {
    let conv = Conv1d {
        n: 2,
        groups: 1,
        c: 1,
        o: 1,
        l_in: 4,
        l_out: 4,
        kernel: 1,
        stride: 1,
        padding: 0,
        dilation: 1,
    };
    let norm = BatchNorm {
        rows: 2,
        channels: 1,
        length: 4,
        ranges: std::iter::once(0..2).collect(),
        eps: 0.0,
        relu: false,
    };
    let programs = [
        conv.forward(false),
        conv.input_gradient(),
        conv.weight_gradient(),
        conv.bias_gradient(),
        norm.moments(),
        norm.apply(),
        norm.gradients(true),
    ];
    let launched: BTreeSet<_> = programs
        .iter()
        .flat_map(|program| &program.launches)
        .map(|launch| (file(launch.module), launch.kernel.to_owned()))
        .collect();

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda");
    let mut written = BTreeSet::new();
    for module in [Module::Conv1d, Module::Sums, Module::BatchNorm] {
        let source = fs::read_to_string(folder.join(file(module))).expect("a source");
        let mut parts = source.split("extern \"C\" __global__ void ");
        assert!(!parts.next().expect("a part").contains("__global__"));
        for part in parts {
            let (name, _) = part.split_once('(').expect("arguments");
            written.insert((file(module), name.to_owned()));
        }
    }
    assert_eq!(launched, written);
}
