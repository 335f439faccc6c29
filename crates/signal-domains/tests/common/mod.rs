//! What several test programs share.
#![allow(dead_code, reason = "each test program takes a part")]

use std::fs;
use std::path::{Path, PathBuf};

use signal_domains::{Error, Recording, Variable, load_file};
use tempfile::TempDir;

/// Those of `tests/fixtures` that are files of columns, which are read with a feature.
pub const TABLES: [&str; 13] = [
    "pandas.parquet",
    "pandas.feather",
    "polars.parquet",
    "polars.arrow",
    "polars_zstd.arrow",
    "polars.arrows",
    "encodings1.parquet",
    "encodings2.parquet",
    "lists.parquet",
    "lists2.parquet",
    "lists.arrow",
    "lists_zstd.arrow",
    "lists.arrows",
];

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// One channel of a fixture.
pub fn read(name: &str, key: &str) -> Result<Recording, Error> {
    load_file(&fixture(name), &[key.to_owned()])
}

/// What the scripts beside the fixtures write into every vector of 50 numbers.
pub fn ramp(unsigned: bool) -> Vec<f64> {
    (0..50)
        .map(|i| f64::from(7 * i % 23 - if unsigned { 0 } else { 11 }))
        .collect()
}

pub fn find<'a>(variables: &'a [Variable], name: &str) -> &'a Variable {
    variables
        .iter()
        .find(|v| v.name == name)
        .unwrap_or_else(|| panic!("no {name} in {variables:?}"))
}

/// Variables of the fixtures that hold a [`ramp`], and their types.
pub const CLASSES: [(&str, &str); 10] = [
    ("x_f8", "float64"),
    ("x_f4", "float32"),
    ("x_i1", "int8"),
    ("x_u1", "uint8"),
    ("x_i2", "int16"),
    ("x_u2", "uint16"),
    ("x_i4", "int32"),
    ("x_u4", "uint32"),
    ("x_i8", "int64"),
    ("x_u8", "uint64"),
];

/// A new folder with files of these names and texts.
pub fn folder<Text: AsRef<[u8]>>(files: &[(&str, Text)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The folder of real recordings, or `None` (said, and an error where they are required).
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("CROSSRIG_DATA").map(PathBuf::from);
    if folder.is_none() {
        assert!(
            std::env::var_os("CROSSRIG_REQUIRE_DATA").is_none_or(|v| v != "1"),
            "CROSSRIG_DATA is not set"
        );
        println!("skipped: no data");
    }
    folder
}

/// A manifest of `datasets/`.
pub fn manifest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets").join(name)
}
