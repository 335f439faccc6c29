//! Turns weights of the original Keras network into a file that this crate's [`SeedNet`] is built from:
//! `cargo run -p candle-seresnext1d --example import_keras -- FILE.safetensors [OUT.safetensors]`.
//!
//! FILE holds each weight under its Keras name (`conv1d_5/kernel`), in Keras' layout. From an HDF5 weight file it is made
//! in Python by `safetensors.numpy.save_file({w.name: w.numpy() for w in model.weights}, "FILE.safetensors")`.
//! OUT is `FILE.candle.safetensors` if not given; a file that exists is left alone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Pooling, SeedNet, SeedNetConfig};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let done = match arguments.as_slice() {
        [file] => import(file, &file.with_extension("candle.safetensors")),
        [file, out] => import(file, out),
        _ => Err("usage: import_keras FILE.safetensors [OUT.safetensors]".to_owned()),
    };
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Reads, renames, tries and writes; says what it found.
fn import(file: &Path, out: &Path) -> Result<String, String> {
    let in_file = |e: candle_core::Error| format!("{}: {}", file.display(), first_line(&e));
    if out.exists() {
        return Err(format!("{} exists already; name another file to write", out.display()));
    }
    let weights = candle_core::safetensors::load(file, &Device::Cpu).map_err(in_file)?;
    let model = KerasModel::detect(&weights).map_err(in_file)?;
    let tensors = model.import(&weights).map_err(in_file)?;
    let vb = VarBuilder::from_tensors(tensors.clone(), DType::F32, &Device::Cpu);
    SeedNet::new(&model.network, vb.pp("extractor")).map_err(in_file)?;
    candle_core::safetensors::save(&tensors, out).map_err(|e| format!("{}: {}", out.display(), first_line(&e)))?;
    Ok(report(file, out, &model, &tensors))
}

fn report(file: &Path, out: &Path, model: &KerasModel, tensors: &HashMap<String, Tensor>) -> String {
    let network = &model.network;
    let name = match SeedNetConfig::depth_of(network.blocks) {
        Some(50) => "depth 50 (34 is the same network)".to_owned(),
        Some(depth) => format!("depth {depth}"),
        None => "a depth without a name".to_owned(),
    };
    let heads = match model.heads {
        Heads::None => "none".to_owned(),
        Heads::Top { outputs } => format!("top of {outputs} outputs"),
        Heads::Dann {
            projection,
            hidden,
            labels,
            domains,
        } => {
            let layer = |what: &str, width: Option<usize>| width.map_or(String::new(), |w| format!(", {what} {w}"));
            let more = layer("projection", projection) + &layer("hidden label layer", hidden);
            format!("{labels} labels, {domains} domains{more}")
        }
    };
    let pooling = match network.pooling {
        Pooling::Average => "average or maximum (weights do not tell; average is taken)",
        Pooling::Maximum => "maximum",
        Pooling::Flatten => "none, or a shared layer of other width than the features",
    };
    let (mut trained, mut running) = (0, 0);
    for (name, tensor) in tensors {
        if name.ends_with(".running_mean") || name.ends_with(".running_var") {
            running += tensor.elem_count();
        } else {
            trained += tensor.elem_count();
        }
    }
    format!(
        "{file}: SE-ResNeXt of the article, {name}\n\
         blocks      {blocks:?}\n\
         channels    {channels} in, {filters} filters, cardinality {cardinality}, gate ratio {ratio}\n\
         branches    all read the last group, as the original runs (weights do not tell; see Grouping)\n\
         pooling     {pooling}\n\
         heads       {heads}\n\
         parameters  {trained} trained, {running} running statistics\n\
         wrote       {out}: {count} tensors",
        file = file.display(),
        blocks = network.blocks,
        channels = network.in_channels,
        filters = network.filters,
        cardinality = network.cardinality,
        ratio = network.ratio,
        out = out.display(),
        count = tensors.len(),
    )
}

/// The message without the backtrace that candle may add.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed/d18_f4_c1.weights.safetensors")
    }

    #[test]
    fn a_file_is_described_and_what_is_written_builds_the_network() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.safetensors");
        let report = import(&fixture(), &out).unwrap();
        // counted in the original: 21,899 trained of 22,899
        for part in [
            "depth 18",
            "2 in, 4 filters, cardinality 1, gate ratio 4",
            "4 labels, 3 domains\n",
            "21899 trained, 1000 running",
        ] {
            assert!(report.contains(part), "{part} is missing in\n{report}");
        }
        let written = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
        let vb = VarBuilder::from_tensors(written, DType::F32, &Device::Cpu);
        let network = SeedNetConfig {
            filters: 4,
            cardinality: 1,
            ..SeedNetConfig::depth(18, 2).unwrap()
        };
        SeedNet::new(&network, vb.pp("extractor")).unwrap();
        let again = import(&fixture(), &out).unwrap_err();
        assert!(again.contains("exists already"), "{again}");
    }

    #[test]
    fn bad_files_are_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let out = folder.join("out.safetensors");
        let refused = |file: &Path, expected: &str| {
            let message = import(file, &out).unwrap_err();
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(message.contains(name) && message.contains(expected), "{message}");
            assert!(!out.exists(), "{name} left a file");
        };
        refused(&folder.join("absent.safetensors"), "No such file");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let bytes = std::fs::read(fixture()).unwrap();
        refused(&write("text.safetensors", b"conv1d/kernel"), "eader");
        refused(&write("cut.safetensors", &bytes[..bytes.len() / 2]), "");
        let save = |name: &str, change: fn(&mut HashMap<String, Tensor>)| {
            let mut weights = candle_core::safetensors::load(fixture(), &Device::Cpu).unwrap();
            change(&mut weights);
            let path = folder.join(name);
            candle_core::safetensors::save(&weights, &path).unwrap();
            path
        };
        refused(&save("none.safetensors", HashMap::clear), "there is no layer conv1d");
        let without = save("without.safetensors", |weights| {
            weights.remove("conv1d_3/bias");
        });
        refused(&without, "missing: conv1d_3/bias");
    }
}
