//! HDF5 files of h5py and MAT files of version 7.3, beyond plain numbers; see `fixtures/make_hdf5.py`.

mod common;

use common::{find, fixture, read};
use signal_domains::{Attribute, Error, ReadOptions, SignalFile, list_variables};

fn ramp(scale: f64) -> Vec<f64> {
    (0..50).map(|i| scale * f64::from(7 * i % 23 - 11)).collect()
}

#[test]
fn filters_chunks_and_byte_orders_give_the_same_samples() {
    for (name, scale) in [
        ("gzip", 1.0),
        ("lzf", 1.0),
        ("scaled", 1.0),
        ("scaled_float", 0.25),
        ("big", 1.0),
    ] {
        let read = read("filters.h5", name).unwrap().channels.swap_remove(0);
        let expected = ramp(scale);
        // scale-offset keeps three decimals of a float
        let slack = if name == "scaled_float" { 0.000_5 } else { 0.0 };
        assert!(
            read.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= slack),
            "{name}"
        );
        assert_eq!(read.len(), 50, "{name}");
    }
    let flags: Vec<f64> = ramp(1.0).iter().map(|v| f64::from(u8::from(*v > 0.0))).collect();
    assert_eq!(read("filters.h5", "flag").unwrap().channels, [flags]);
    assert!(read("filters.h5", "empty").unwrap().is_empty());
}

#[test]
fn a_piece_is_read_by_a_hyperslab_and_equals_that_piece_of_the_whole() {
    for (file, channels) in [
        ("filters.h5", ["tiles", "wide", "cube", "gzip", "big", "flag"]),
        ("attributes.h5", ["table.axes", "table.big", "fs", "dt", "both", "none"]),
    ] {
        let open = SignalFile::open(&fixture(file), &ReadOptions::default()).unwrap();
        for name in channels {
            let index = open.variables().iter().position(|v| v.name == name).unwrap();
            for (channel, whole) in open.read(index).unwrap().into_iter().enumerate() {
                let expected: Option<Vec<f64>> = match name {
                    "tiles" => Some((0..40).map(|i| f64::from(3 * i) + channel as f64).collect()),
                    "wide" => Some((0..40).map(|i| f64::from(i) + 40.0 * channel as f64).collect()),
                    "cube" => Some((0..24).map(f64::from).collect()),
                    "table.axes" => Some((0..50).map(|i| f64::from(3 * i) + channel as f64).collect()),
                    "table.big" => Some(ramp(0.5)),
                    _ => None,
                };
                assert!(expected.is_none_or(|e| e == whole), "{name}");
                for start in [0, 1, 15, 16, 23] {
                    for len in [0, 1, whole.len() - start] {
                        let piece = open.read_range::<f64>(index, channel, start, len).unwrap();
                        assert_eq!(piece, whole[start..start + len], "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn rates_and_units_are_taken_from_attributes_that_say_one_thing() {
    let variables = list_variables(&fixture("attributes.h5")).unwrap();
    for (name, rate, unit) in [
        ("fs", Some(12_800.0), Some("g")),
        ("dt", Some(12_800.0), Some("m/s2")),
        ("xspacing", Some(4096.0), None),
        ("both", Some(12_800.0), None),
        ("contradiction", None, None),
        ("none", None, None),
    ] {
        let variable = find(&variables, name);
        assert_eq!((variable.rate_hz, variable.unit.as_deref()), (rate, unit), "{name}");
    }
    let attributes = &find(&variables, "none").attributes;
    assert_eq!(attributes["gain"], Attribute::Number(2.5));
    assert_eq!(attributes["sensor"], Attribute::Text("352C33".into()));
    assert_eq!(
        find(&variables, "words").attributes["text"],
        Attribute::Text("drive end".into())
    );
}

#[test]
fn members_of_records_are_variables() {
    assert_eq!(read("attributes.h5", "table.acc").unwrap().channels, [ramp(1.0)]);
    assert_eq!(read("attributes.h5", "table.axes#3").unwrap().channels[0][1], 5.0);
    let variables = list_variables(&fixture("attributes.h5")).unwrap();
    assert_eq!(find(&variables, "table.note").kind, "string");
    let message = read("attributes.h5", "table").unwrap_err().to_string();
    assert!(message.contains("table.time, table.acc"), "{message}");
    let message = read("attributes.h5", "complex_").unwrap_err().to_string();
    assert!(message.contains("complex"), "{message}");
}

#[test]
fn samples_in_other_files_are_refused_and_never_opened() {
    let variables = list_variables(&fixture("attributes.h5")).unwrap();
    for name in ["foreign", "virtual"] {
        let variable = find(&variables, name);
        assert!(!variable.numeric && variable.kind == "external", "{variable:?}");
    }
    assert!(read("attributes.h5", "outside").is_err());
}

#[test]
fn structs_and_cells_of_version_7_3_have_the_names_that_they_have_in_level_5() {
    for file in ["nested.mat", "nested73.mat"] {
        assert_eq!(read(file, "bearing.gs").unwrap().channels, [ramp(1.0)], "{file}");
        assert_eq!(read(file, "bearing.sr").unwrap().channels, [[48828.0]]);
        for k in 1..=3 {
            let key = format!("run.Y({k}).Data");
            assert_eq!(read(file, &key).unwrap().channels, [ramp(f64::from(k))], "{file}");
        }
        assert_eq!(read(file, "parts{2}").unwrap().channels, [ramp(2.0)]);
        assert_eq!(read(file, "parts{3}.inner.x").unwrap().channels, [ramp(1.0)]);
        let variables = list_variables(&fixture(file)).unwrap();
        let text = |name: &str| find(&variables, name).attributes["text"].clone();
        assert_eq!(text("run.Y(2).Name"), Attribute::Text("vibration_2".into()));
        assert_eq!(text("bearing.load"), Attribute::Text("300".into()));
        assert_eq!(text("parts{1}"), Attribute::Text("two words".into()));
    }
    assert!(read("nested73.mat", "bearing.none").unwrap().is_empty());
}

#[test]
fn damaged_hdf5_files_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5");
    let try_all = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = SignalFile::open(&path, &ReadOptions::default()) {
            for i in (0..file.variables().len()).filter(|&i| file.variables()[i].numeric) {
                let _ = file.read(i);
            }
        }
    };
    for name in ["attributes.h5", "filters.h5", "nested73.mat"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        for n in (1..bytes.len()).step_by(211) {
            try_all(&bytes[..n]);
            for change in [0xff, 0x80, 1] {
                let mut changed = bytes.clone();
                changed[n] ^= change;
                try_all(&changed);
            }
        }
    }
}

#[test]
fn extents_that_were_never_written_are_refused_before_any_memory_is_taken() {
    let file = SignalFile::open(&fixture("unwritten.h5"), &ReadOptions::default()).unwrap();
    for (index, words) in ["4294967296 channels, more than", "more than the 268435456 allowed"]
        .iter()
        .enumerate()
    {
        let error = file.read(index).unwrap_err();
        assert!(
            matches!(error, Error::Limit { .. }) && error.to_string().contains(words),
            "{error}"
        );
        let error = file.read_range::<f64>(index, 0, 0, 1000).unwrap_err();
        assert!(error.to_string().contains("never written"), "{error}");
    }
}

/// Found by 60,000 mutations: a chunk is unpacked as a whole, and the crate takes its stated size at its word.
#[test]
fn a_chunk_that_is_stated_larger_than_the_file_can_hold_is_refused_before_any_memory_is_taken() {
    let sound = std::fs::read(fixture("filters.h5")).unwrap();
    // layout messages of version 3, in chunks of one extent: an address, then 16 numbers
    let stated: Vec<usize> = (0..sound.len() - 19)
        .filter(|&at| sound[at..].starts_with(&[3, 2, 2]) && sound[at + 11..].starts_with(&[16, 0, 0, 0]))
        .collect();
    assert_eq!(stated.len(), 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5");
    for at in stated {
        let mut changed = sound.clone();
        changed[at + 14] = 0xff;
        std::fs::write(&path, changed).unwrap();
        let file = SignalFile::open(&path, &ReadOptions::default()).unwrap();
        let numeric = (0..file.variables().len()).filter(|&i| file.variables()[i].numeric);
        let errors: Vec<String> = numeric.filter_map(|i| Some(file.read(i).err()?.to_string())).collect();
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(error.contains("chunks of [4278190096] numbers"), "{error}");
    }
}

/// Found by fuzzing: the crate skips the order of an array type's axes, which old files hold, without asking whether the message is that
/// long, and panics.
#[test]
fn an_array_type_of_more_axes_than_its_message_holds_is_an_error() {
    let mut bytes = std::fs::read(fixture("attributes.h5")).unwrap();
    let array_type = [0x2a, 0, 0, 0, 12, 0, 0, 0];
    let at = bytes.windows(8).position(|window| window == array_type).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("axes.h5");
    let mut gave_up = 0;
    for axes in 0..=255 {
        bytes[at + array_type.len()] = axes;
        std::fs::write(&path, &bytes).unwrap();
        if let Err(e) = SignalFile::open(&path, &ReadOptions::default()) {
            gave_up += usize::from(e.to_string().contains("the HDF5 reader gave up"));
        }
    }
    assert!(
        gave_up > 0,
        "the crate has mended it, and nothing needs to be caught here"
    );
}
