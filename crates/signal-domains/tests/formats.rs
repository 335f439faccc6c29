//! Files that `SciPy` and h5py wrote, read back value by value; see `fixtures/make.py`.

mod common;

use common::{CLASSES, find, fixture, ramp, read};
use signal_domains::{
    Attribute, Dataset, Error, Limits, OpenOptions, ReadOptions, SignalFile, list_variables, load_file,
};

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
    assert_eq!(
        find(&variables, "words").attributes["text"],
        Attribute::Text("bearing".into())
    );
    assert_eq!(read("version73.mat", "x").unwrap().channels, [ramp(false)]);
}

#[test]
fn mat_files_of_level_4_are_read_in_both_byte_orders() {
    for file in ["level4.mat", "level4_big.mat"] {
        assert_eq!(read(file, "x").unwrap().channels, [ramp(false)], "{file}");
    }
    let file = SignalFile::open(&fixture("level4_kinds.mat"), &ReadOptions::default()).unwrap();
    assert_eq!(file.format(), "MAT level 4");
    for (name, kind) in [
        ("x_f4", "float32"),
        ("x_i4", "int32"),
        ("x_i2", "int16"),
        ("x_u2", "uint16"),
    ] {
        assert_eq!(find(file.variables(), name).kind, kind);
        let (variable, channel) = file.find(name).unwrap();
        assert_eq!(
            file.read_range::<f64>(variable, channel, 0, 50).unwrap(),
            ramp(name == "x_u2"),
            "{name}"
        );
    }
    let (variable, channel) = file.find("matrix#2").unwrap();
    assert_eq!(file.read_range::<f64>(variable, channel, 3, 2).unwrap(), [10.0, 13.0]);
    assert_eq!(
        find(file.variables(), "words").attributes["text"],
        Attribute::Text("bearing".into())
    );
    for (name, kind) in [("complex_", "complex float64"), ("sparse_", "sparse")] {
        let variable = find(file.variables(), name);
        assert_eq!((&*variable.kind, variable.numeric), (kind, false));
        assert!(variable.reason.is_some());
    }
}

#[test]
fn fields_of_structs_and_cells_are_named_by_their_path() {
    for file in ["nested.mat", "nested_compressed.mat"] {
        assert_eq!(read(file, "bearing.gs").unwrap().channels, [ramp(false)]);
        assert_eq!(read(file, "bearing.sr").unwrap().channels, [[48828.0]]);
        assert_eq!(read(file, "*.gs").unwrap().names, ["bearing.gs"]);
        // a measurement of several channels in a struct array, each with its name beside the data
        for (k, scale) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
            let expected: Vec<f64> = ramp(false).iter().map(|v| scale * v).collect();
            assert_eq!(read(file, &format!("run.Y({k}).Data")).unwrap().channels, [expected]);
        }
        let doubled: Vec<f64> = ramp(false).iter().map(|v| 2.0 * v).collect();
        assert_eq!(read(file, "parts{2}").unwrap().channels, [doubled]);
        assert_eq!(read(file, "parts{3}.inner.x").unwrap().channels, [ramp(false)]);
        let variables = list_variables(&fixture(file)).unwrap();
        let text = |name: &str| find(&variables, name).attributes["text"].clone();
        assert_eq!(text("run.Y(2).Name"), Attribute::Text("vibration_2".into()));
        assert_eq!(text("bearing.load"), Attribute::Text("300".into()));
        assert_eq!(text("parts{1}"), Attribute::Text("two words".into()));
        let message = read(file, "bearing").unwrap_err().to_string();
        assert!(message.contains("its fields are bearing.sr, bearing.rate"), "{message}");
        assert!(read(file, "empty.x").unwrap().is_empty());
    }
}

#[test]
fn structs_and_cells_inside_each_other_are_refused_beyond_the_depth_allowed_and_hide_nothing() {
    let options = |max_depth| ReadOptions {
        limits: Limits {
            max_depth,
            ..Limits::default()
        },
        ..ReadOptions::default()
    };
    for (depth, deep) in [(40, true), (39, false)] {
        let file = SignalFile::open(&fixture("deep.mat"), &options(depth)).unwrap();
        assert_eq!(
            file.variables().iter().any(|v| v.name.ends_with("}.x")),
            deep,
            "{depth}"
        );
        let (x, channel) = file.find("beside").unwrap();
        assert_eq!(file.read_range::<f64>(x, channel, 0, 50).unwrap(), ramp(false));
        if !deep {
            let reason = find(file.variables(), "deep").reason.clone().unwrap();
            assert!(reason.contains("more than 39 deep"), "{reason}");
        }
    }
}

#[test]
fn wav_files_are_read_with_their_rate_in_every_sample_format() {
    for (name, kind) in [
        ("u1.wav", "int8"),
        ("i2.wav", "int16"),
        ("i3.wav", "int24"),
        ("i4.wav", "int32"),
        ("f4.wav", "float32"),
        ("f8.wav", "float64"),
        ("extensible.wav", "int24"),
        ("big.wav", "int16"),
    ] {
        let variables = list_variables(&fixture(name)).unwrap();
        assert_eq!((variables.len(), &*variables[0].kind), (2, kind), "{name}");
        assert_eq!(variables[1].rate_hz, Some(12_800.0), "{name}");
        let keys = ["1", "2"].map(str::to_owned);
        let recording = load_file(&fixture(name), &keys).unwrap();
        let second: Vec<f64> = ramp(false).iter().map(|v| -v).collect();
        assert_eq!(recording.channels, [ramp(false), second], "{name}");
        assert_eq!(recording.rate_hz, Some(12_800.0), "{name}");
    }
}

#[test]
fn a_rate_that_the_manifest_contradicts_is_an_error_that_shows_both() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("i2.wav"), folder.path().join("i2.wav")).unwrap();
    let load = |rate: &str| {
        let manifest = folder.path().join("set.toml");
        let text = format!(
            "[dataset]\n{rate}\n[[recording]]\nfile = \"i2.wav\"\ndomain = \"a\"\nchannels = [{{ name = \"x\", key = \"1\" }}]\n"
        );
        std::fs::write(&manifest, text).unwrap();
        Dataset::open(&manifest, &OpenOptions::default()).unwrap().recordings[0].load()
    };
    assert_eq!(load("").unwrap().rate_hz, Some(12_800.0));
    assert_eq!(load("rate_hz = 12800").unwrap().rate_hz, Some(12_800.0));
    let message = load("rate_hz = 8000").unwrap_err().to_string();
    assert!(message.contains("12800") && message.contains("8000"), "{message}");
}

#[test]
fn bare_numbers_are_read_by_a_stated_layout_alone() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<i16> = (0..20).map(|i| i * 100 - 900).collect();
    let interleaved: Vec<u8> = [7, 7, 7]
        .into_iter()
        .chain(values.iter().flat_map(|v| v.to_be_bytes()))
        .collect();
    std::fs::write(folder.path().join("x.bin"), &interleaved).unwrap();
    let load = |layout: &str, key: &str| {
        let manifest = folder.path().join("set.toml");
        let text = format!(
            "[dataset]\nraw = {{ {layout} }}\n[[recording]]\nfile = \"x.bin\"\ndomain = \"a\"\nchannels = [{{ name = \"x\", key = \"{key}\" }}]\n"
        );
        std::fs::write(&manifest, text).unwrap();
        let dataset = Dataset::open(&manifest, &OpenOptions::default())?;
        Ok::<_, Error>(dataset.recordings[0].load()?.channels.swap_remove(0))
    };
    let every = |first: usize, step: usize, n: usize| -> Vec<f64> {
        values
            .iter()
            .skip(first)
            .step_by(step)
            .take(n)
            .map(|&v| f64::from(v))
            .collect()
    };
    let layout = "type = \"int16\", endian = \"big\", offset = 3";
    assert_eq!(load(layout, "1").unwrap(), every(0, 1, 20));
    assert_eq!(load(&format!("{layout}, channels = 4"), "3").unwrap(), every(2, 4, 5));
    let consecutive = format!("{layout}, channels = 4, order = \"consecutive\"");
    assert_eq!(load(&consecutive, "3").unwrap(), every(10, 1, 5));
    for (layout, words) in [
        ("type = \"int16\"", "no whole number of 1 x 2 bytes"),
        ("type = \"int16\", offset = 44", "passes over 44 bytes"),
        ("type = \"int16\", channels = 0", "expected 1 to 4096"),
        ("type = \"int15\"", "int15"),
    ] {
        let message = load(layout, "1").unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let message = load_file(&folder.path().join("x.bin"), &[]).unwrap_err().to_string();
    assert!(message.contains("stated as `raw`"), "{message}");
}

#[test]
fn a_piece_of_a_variable_is_the_same_as_that_piece_of_the_whole() {
    for (file, key) in [
        ("plain.mat", "x_i2"),
        ("compressed.mat", "x_f8"),
        ("plain.mat", "matrix#2"),
        ("level4_kinds.mat", "matrix#3"),
        ("nested_compressed.mat", "bearing.gs"),
        ("numbers.h5", "matrix#2"),
        ("i3.wav", "2"),
    ] {
        let file = SignalFile::open(&fixture(file), &ReadOptions::default()).unwrap();
        let (variable, channel) = file.find(key).unwrap();
        let whole = file.read(variable).unwrap().swap_remove(channel);
        for start in 0..=whole.len() {
            for len in [0, 1, 3, whole.len() - start] {
                match file.read_range::<f64>(variable, channel, start, len) {
                    Ok(piece) => assert_eq!(piece, whole[start..start + len]),
                    Err(e) => assert!(start + len > whole.len(), "{e}"),
                }
            }
        }
        assert!(file.read_range::<f64>(variable, channel, usize::MAX, 2).is_err());
    }
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
    refuse(
        "sound.wav",
        b"RIFF\0\0\0\0WAVEfmt ",
        "the header of a chunk needs 4 bytes",
    );
    refuse("photo.bin", b"\xff\xd8\0\0\0", "neither MAT, HDF5, WAV nor text");
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
