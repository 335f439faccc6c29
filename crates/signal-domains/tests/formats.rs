//! Files that `SciPy` and h5py wrote, read back value by value; see `fixtures/make.py`.

use std::path::{Path, PathBuf};

use signal_domains::{Error, Recording, Variable, list_variables, load_file};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(name: &str, key: &str) -> Result<Recording, Error> {
    load_file(&fixture(name), &[key.to_owned()])
}

/// What `make.py` writes into every vector of `samples` numbers.
fn ramp(unsigned: bool) -> Vec<f64> {
    (0..50)
        .map(|i| f64::from(7 * i % 23 - if unsigned { 0 } else { 11 }))
        .collect()
}

const CLASSES: [(&str, &str); 10] = [
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

fn find<'a>(variables: &'a [Variable], name: &str) -> &'a Variable {
    variables
        .iter()
        .find(|v| v.name == name)
        .unwrap_or_else(|| panic!("no {name} in {variables:?}"))
}

#[test]
fn mat_files_of_scipy_are_read_plain_and_compressed() {
    for file in ["plain.mat", "compressed.mat"] {
        let variables = list_variables(&fixture(file)).unwrap();
        for (name, kind) in CLASSES {
            let variable = find(&variables, name);
            assert_eq!(
                (&variable.shape[..], &*variable.kind, variable.samples()),
                (&[50, 1][..], kind, 50)
            );
            let recording = read(file, name).unwrap();
            assert_eq!(recording.channels, [ramp(name.starts_with("x_u"))], "{file} {name}");
            assert_eq!(recording.names, [name]);
        }
        assert_eq!(read(file, "row").unwrap().channels, [ramp(false)]);
        assert_eq!(read(file, "a_name_of*").unwrap().channels, [ramp(false)]);
        let flags: Vec<f64> = (0..50).map(|i| f64::from(u8::from(7 * i % 23 % 2 == 0))).collect();
        assert_eq!(read(file, "flag").unwrap().channels, [flags]);
        assert_eq!(read(file, "rpm").unwrap().channels, [[1797.0]]);
        assert!(read(file, "nothing").unwrap().is_empty());
    }
}

#[test]
fn what_is_no_signal_is_listed_by_kind() {
    for file in ["plain.mat", "compressed.mat"] {
        let variables = list_variables(&fixture(file)).unwrap();
        for (name, kind) in [
            ("words", "char"),
            ("complex_", "complex float64"),
            ("sparse_", "sparse"),
            ("struct_", "struct"),
            ("cell_", "cell"),
        ] {
            let variable = find(&variables, name);
            assert_eq!((&*variable.kind, variable.numeric), (kind, false));
            let message = read(file, name).unwrap_err().to_string();
            assert!(message.contains(&format!("{kind}) holds no real numbers")), "{message}");
        }
        assert_eq!(find(&variables, "flag").kind, "logical");
        assert!(!find(&variables, "cube").is_signal() && !find(&variables, "rpm").is_signal());
    }
}

#[test]
fn columns_of_a_matrix_are_channels() {
    for (file, key) in [("plain.mat", "matrix"), ("numbers.h5", "matrix")] {
        for c in 0..3 {
            let expected: Vec<f64> = (0..20).map(|i| f64::from(3 * i + c)).collect();
            let recording = read(file, &format!("{key}#{}", c + 1)).unwrap();
            assert_eq!(
                (recording.channels, recording.names),
                (vec![expected], vec![format!("{key}#{}", c + 1)])
            );
        }
        let message = read(file, key).unwrap_err().to_string();
        assert!(
            message.contains("fits 3 channels") && message.contains("matrix#2"),
            "{message}"
        );
        assert!(
            read(file, "matrix#4").unwrap_err().to_string().contains("channel 4"),
            "{file}"
        );
    }
}

#[test]
fn several_keys_give_channels_in_their_order() {
    let keys = ["x_i2", "x_u1"].map(str::to_owned);
    let recording = load_file(&fixture("plain.mat"), &keys).unwrap();
    assert_eq!(recording.channels, [ramp(false), ramp(true)]);
    let keys = ["x_i2", "matrix#1"].map(str::to_owned);
    let message = load_file(&fixture("plain.mat"), &keys).unwrap_err().to_string();
    assert!(message.contains("x_i2 has 50 samples, matrix has 20"), "{message}");
}

#[test]
fn no_key_means_the_only_signal() {
    assert_eq!(
        load_file(&fixture("small_plain.mat"), &[]).unwrap().channels,
        [ramp(false)]
    );
    assert_eq!(
        load_file(&fixture("version73.mat"), &[]).unwrap().channels,
        [ramp(false)]
    );
    let message = load_file(&fixture("plain.mat"), &[]).unwrap_err().to_string();
    assert!(
        message.contains("fits") && message.contains("x_f4 (50x1 float32)"),
        "{message}"
    );
}

#[test]
fn a_missing_variable_lists_those_present() {
    let message = read("small_plain.mat", "*_DE_time").unwrap_err().to_string();
    assert!(
        message.contains("small_plain.mat") && message.contains("*_DE_time"),
        "{message}"
    );
    assert!(message.contains("present are x (50x1 int16)"), "{message}");
    assert!(matches!(read("small_plain.mat", "["), Err(Error::Argument(_))));
}

#[test]
fn hdf5_files_of_h5py_are_read_by_their_declared_types() {
    let variables = list_variables(&fixture("numbers.h5")).unwrap();
    for (name, kind) in CLASSES {
        let path = format!("signals/{name}");
        assert_eq!(find(&variables, &path).kind, kind);
        assert_eq!(
            read("numbers.h5", &path).unwrap().channels,
            [ramp(name.starts_with("x_u"))],
            "{name}"
        );
    }
    for key in ["signals/big_endian", "/signals/big_endian", "half", "chunked"] {
        assert_eq!(read("numbers.h5", key).unwrap().channels, [ramp(false)], "{key}");
    }
    assert_eq!(read("latest.h5", "deep/er/x").unwrap().channels, [ramp(false)]);
    assert_eq!(read("latest.h5", "*").unwrap().channels, [ramp(false)]);
    for (name, kind) in [("text", "string"), ("pairs", "compound")] {
        assert_eq!(
            (&*find(&variables, name).kind, find(&variables, name).numeric),
            (kind, false)
        );
    }
}

#[test]
fn mat_files_of_version_7_3_are_read_as_the_hdf5_files_they_are() {
    let variables = list_variables(&fixture("version73.mat")).unwrap();
    assert_eq!(find(&variables, "words").kind, "char");
    assert_eq!(read("version73.mat", "x").unwrap().channels, [ramp(false)]);
}

#[test]
fn mat_files_of_level_4_are_refused_by_name() {
    let error = read("level4.mat", "x").unwrap_err();
    assert!(
        matches!(error, Error::Unsupported { .. }) && error.to_string().contains("level 4"),
        "{error}"
    );
}

#[test]
fn files_that_are_none_of_these_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |name: &str, bytes: &[u8], words: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = load_file(&path, &[]).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(words), "{message}");
    };
    refuse("empty.mat", b"", "empty (0 bytes)");
    refuse("empty.csv", b"", "empty (0 bytes)");
    refuse("short.mat", b"MATLAB 5.0", "128-byte header");
    refuse("zeros.mat", &[0; 1000], "byte-order mark");
    refuse(
        "text.mat",
        "not a MAT file\n".repeat(20).as_bytes(),
        "not a MAT file of level 5",
    );
    refuse("text.h5", b"1,2,3\n", "signature");
    refuse("sound.wav", b"RIFF\0\0\0\0WAVEfmt ", "neither MAT, HDF5 nor text");
    let gone = load_file(&folder.path().join("gone.mat"), &[]).unwrap_err();
    assert!(matches!(gone, Error::Missing { .. }) && !gone.is_machine(), "{gone}");
}

#[test]
fn hdf5_files_cut_anywhere_or_with_a_changed_byte_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5");
    let bytes = std::fs::read(fixture("latest.h5")).unwrap();
    for n in (1..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..n]).unwrap();
        let _ = load_file(&path, &[]);
        let mut mutated = bytes.clone();
        mutated[n] ^= 0xff;
        std::fs::write(&path, &mutated).unwrap();
        let _ = load_file(&path, &[]);
    }
}
