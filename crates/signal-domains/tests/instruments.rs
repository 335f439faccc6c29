//! Files of measuring programs (NumPy, LabVIEW, modal analysis, recorders), written by independent programs and read back value by value; see
//! the `make_*.py` beside the fixtures.

mod common;

use std::path::Path;

use common::{CLASSES, find, fixture, ramp, read};
use signal_domains::{Attribute, ReadOptions, SignalFile, list_variables, load_file};

/// Every piece of every readable channel is the same as that piece of the whole.
fn pieces_agree(name: &str) {
    let file = SignalFile::open(&fixture(name), &ReadOptions::default()).unwrap();
    for (index, variable) in file.variables().iter().enumerate().filter(|(_, v)| v.numeric) {
        for (channel, whole) in file.read(index).unwrap().into_iter().enumerate() {
            assert_eq!(whole.len(), variable.samples(), "{name} {}", variable.name);
            for start in 0..=whole.len() {
                for len in [0, 1, 3, 11, whole.len() - start] {
                    match file.read_range::<f64>(index, channel, start, len) {
                        Ok(piece) => assert_eq!(piece, whole[start..start + len], "{name} {}", variable.name),
                        Err(e) => assert!(start + len > whole.len(), "{name} {}: {e}", variable.name),
                    }
                }
            }
        }
    }
}

#[test]
fn npy_files_are_read_in_both_byte_orders_and_both_orders_of_extents() {
    for (name, kind) in [
        ("vector.npy", "float32"),
        ("big.npy", "int16"),
        ("version3.npy", "float64"),
    ] {
        let variables = list_variables(&fixture(name)).unwrap();
        assert_eq!((&*variables[0].name, &*variables[0].kind), ("1", kind), "{name}");
        assert_eq!(
            load_file(&fixture(name), &[]).unwrap().channels,
            [ramp(false)],
            "{name}"
        );
        pieces_agree(name);
    }
    for name in ["c_order.npy", "fortran.npy"] {
        for c in 0..3 {
            let expected: Vec<f64> = (0..20).map(|i| f64::from(3 * i + c)).collect();
            assert_eq!(
                read(name, &format!("1#{}", c + 1)).unwrap().channels,
                [expected],
                "{name}"
            );
        }
        pieces_agree(name);
    }
}

#[test]
fn npz_files_are_read_stored_and_deflated_with_every_real_type() {
    for name in ["stored.npz", "deflated.npz"] {
        let variables = list_variables(&fixture(name)).unwrap();
        for (key, kind) in CLASSES.into_iter().chain([
            ("x_f2", "float16"),
            ("b_f8", "float64"),
            ("b_i4", "int32"),
            ("b_u2", "uint16"),
        ]) {
            assert_eq!(find(&variables, key).kind, kind);
            assert_eq!(
                read(name, key).unwrap().channels,
                [ramp(key.contains("_u"))],
                "{name} {key}"
            );
        }
        for key in ["wide", "fortran"] {
            for c in 0..3 {
                let expected: Vec<f64> = (0..20).map(|i| f64::from(20 * c + i)).collect();
                let read = read(name, &format!("{key}#{}", c + 1)).unwrap();
                assert_eq!(read.channels, [expected], "{name} {key}");
            }
        }
        let flags: Vec<f64> = (0..50).map(|i| f64::from(u8::from(7 * i % 23 % 2 == 0))).collect();
        assert_eq!(read(name, "flag").unwrap().channels, [flags]);
        assert_eq!(read(name, "rpm").unwrap().channels, [[1797.0]]);
        assert!(read(name, "nothing").unwrap().is_empty());
        for (key, kind, words) in [
            ("complex_", "complex", "real and imaginary"),
            ("pairs", "structured", "each of its fields"),
            ("objects", "object", "never read"),
            ("words", "char", "texts"),
            ("days", "datetime", "seconds"),
        ] {
            assert_eq!(find(&variables, key).kind, kind);
            let message = read(name, key).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        pieces_agree(name);
    }
}

#[test]
fn a_changed_sample_of_an_npz_file_is_noticed_by_its_checksum() {
    let mut bytes = std::fs::read(fixture("small_stored.npz")).unwrap();
    let at = bytes.windows(2).position(|w| w == 11i16.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    let file = SignalFile::from_bytes(Path::new("x.npz"), bytes, &ReadOptions::default()).unwrap();
    let message = file.read(0).unwrap_err().to_string();
    assert!(message.contains("another checksum"), "{message}");
}

#[test]
fn archives_without_arrays_and_arrays_of_another_length_are_refused() {
    let message = list_variables(&fixture("others.zip")).unwrap_err().to_string();
    assert!(message.contains("without arrays"), "{message}");
    let open = |bytes: &[u8]| SignalFile::from_bytes(Path::new("x"), bytes.to_vec(), &ReadOptions::default());
    let bytes = std::fs::read(fixture("vector.npy")).unwrap();
    for n in 0..bytes.len() {
        assert!(open(&bytes[..n]).is_err(), "cut at {n}");
    }
    let message = open(&[&bytes[..], b"more"].concat()).unwrap_err().to_string();
    assert!(message.contains("needs 200 bytes, but 204 follow"), "{message}");
}

#[test]
fn tdms_files_of_nptdms_are_read_with_rate_unit_and_properties() {
    let variables = list_variables(&fixture("classes.tdms")).unwrap();
    for (name, kind) in CLASSES {
        let key = format!("acc/{name}");
        let variable = find(&variables, &key);
        assert_eq!((&*variable.kind, variable.rate_hz), (kind, Some(12_800.0)), "{key}");
        assert_eq!(variable.unit.as_deref(), Some("g"));
        assert_eq!(variable.attributes["wf_start_offset"], Attribute::Number(0.5));
        let recording = read("classes.tdms", &key).unwrap();
        assert_eq!(recording.channels, [ramp(name.starts_with("x_u"))], "{key}");
        assert_eq!(recording.rate_hz, Some(12_800.0));
    }
    let text = |name: &str, key: &str| find(&variables, name).attributes[key].clone();
    assert_eq!(text("/", "rig"), Attribute::Text("A".into()));
    assert_eq!(text("/", "rpm"), Attribute::Number(1797.0));
    assert_eq!(
        text("/", "begun"),
        Attribute::Text("2024-02-29T23:59:58.250000Z".into())
    );
    assert_eq!(text("acc", "place"), Attribute::Text("drive end".into()));
    let flags: Vec<f64> = (0..50).map(|i| f64::from(u8::from(7 * i % 23 % 2 == 0))).collect();
    assert_eq!(read("classes.tdms", "acc/flag").unwrap().channels, [flags]);
    assert_eq!(read("classes.tdms", "it's/odd/a").unwrap().channels, [ramp(false)]);
    for (name, kind) in [
        ("words", "char"),
        ("times", "timestamp"),
        ("complex_", "complex float64"),
    ] {
        let variable = find(&variables, &format!("acc/{name}"));
        assert_eq!((&*variable.kind, variable.numeric), (kind, false));
        assert!(variable.reason.is_some());
    }
    pieces_agree("classes.tdms");
}

#[test]
fn tdms_segments_are_joined_whatever_their_order_and_lists_of_objects() {
    for (name, a, b) in [
        ("segments.tdms", 50, 40),
        ("interleaved.tdms", 50, 50),
        ("big.tdms", 50, 50),
        ("incomplete.tdms", 33, 40),
    ] {
        let first = read(name, "g/a").unwrap();
        assert_eq!(first.channels, [ramp(false)[..a].to_vec()], "{name}");
        let expected = if name == "segments.tdms" {
            [&ramp(false)[..10], &ramp(false)[20..]].concat()
        } else {
            ramp(false)[..b].to_vec()
        };
        assert_eq!(read(name, "g/b").unwrap().channels, [expected], "{name}");
        assert_eq!(first.rate_hz, (name != "segments.tdms").then_some(1000.0), "{name}");
        pieces_agree(name);
    }
}

#[test]
fn tdms_values_of_a_converter_are_scaled_as_their_properties_say_or_refused() {
    let volts: Vec<f64> = ramp(false)
        .iter()
        .map(|x| 4.0 * (0.5 + 0.25 * x + 0.125 * x * x) - 1.0)
        .collect();
    let first = read("daqmx.tdms", "g/a").unwrap();
    assert_eq!((first.channels, first.rate_hz), (vec![volts], Some(1000.0)));
    let doubled: Vec<f64> = ramp(false).iter().map(|x| 2.0 * x).collect();
    assert_eq!(read("daqmx.tdms", "g/b").unwrap().channels, [doubled]);
    pieces_agree("daqmx.tdms");
    let line: Vec<f64> = ramp(false).iter().map(|x| 0.5 * x + 3.0).collect();
    assert_eq!(read("scaled.tdms", "g/a").unwrap().channels, [line]);
    let message = read("scaled.tdms", "g/b").unwrap_err().to_string();
    assert!(message.contains("Thermocouple"), "{message}");
}

#[test]
fn uff_functions_are_read_as_text_and_binary_with_rate_and_unit() {
    let half: Vec<f64> = ramp(false).iter().map(|v| v / 2.0).collect();
    let variables = list_variables(&fixture("text.uff")).unwrap();
    assert_eq!(variables.len(), 5);
    let first = &variables[0];
    // 1 / 12000 s is written with six digits
    assert_eq!((first.rate_hz, first.unit.as_deref()), (Some(12_000.0), Some("g")));
    assert_eq!(first.attributes["id1"], Attribute::Text("bearing rig".into()));
    assert_eq!(first.attributes["response_node"], Attribute::Number(3.0));
    assert_eq!(first.attributes["reference_direction"], Attribute::Number(-1.0));
    for (key, kind, values) in [
        ("1", "float64", ramp(false)),
        ("2", "float32", ramp(false)),
        ("5", "float64", half.clone()),
    ] {
        assert_eq!(find(&variables, key).kind, kind);
        assert_eq!(read("text.uff", key).unwrap().channels, [values], "{key}");
    }
    assert_eq!(find(&variables, "5").rate_hz, None, "a spectrum has no rate");
    for (key, words) in [("3", "complex"), ("4", "uneven")] {
        let message = read("text.uff", key).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    for name in ["binary.uff", "binary_big.uff"] {
        let recording = read(name, "1").unwrap();
        assert_eq!(
            (recording.channels, recording.rate_hz),
            (vec![ramp(false)], Some(12_000.0)),
            "{name}"
        );
        assert_eq!(read(name, "2").unwrap().channels[0], half, "{name}");
        pieces_agree(name);
    }
    pieces_agree("text.uff");
}

#[test]
fn uff_values_that_are_missing_or_no_numbers_are_errors_with_their_place() {
    let bytes = std::fs::read(fixture("text.uff")).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let open = |text: String| SignalFile::from_bytes(Path::new("x"), text.into_bytes(), &ReadOptions::default());
    let fewer = text.replacen("         4        50", "         4        80", 1);
    let message = open(fewer).unwrap_err().to_string();
    assert!(message.contains("7 lines early"), "{message}");
    let more = text.replacen("         4        50", "         4        30", 1);
    let message = open(more).unwrap_err().to_string();
    assert!(message.contains("expected the end"), "{message}");
    let message = open(text.replacen("8.00000000000e+00", "8.0000x000000e+00", 1))
        .and_then(|f| f.read(0))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("byte ") && message.contains("20 characters wide"),
        "{message}"
    );
}

#[test]
fn flac_files_are_read_without_loss_and_from_any_sample_on() {
    let first: Vec<i32> = (0..3000)
        .map(|i| {
            let t = i % 200;
            let arc = t * (200 - t);
            (if i / 200 % 2 == 0 { arc } else { -arc }) + 7 * i % 23 - 11
        })
        .collect();
    let second: Vec<i32> = first.iter().map(|x| x.div_euclid(4) + 5).collect();
    for (name, kind, rate, scale) in [
        ("stereo.flac", "int16", 12_800.0, 1),
        ("wide.flac", "int24", 48_000.0, 100),
    ] {
        let keys = ["1", "2"].map(str::to_owned);
        let recording = load_file(&fixture(name), &keys).unwrap();
        let expected = [&first, &second].map(|x| x.iter().map(|v| f64::from(v * scale)).collect::<Vec<_>>());
        assert_eq!(recording.channels, expected, "{name}");
        assert_eq!(recording.rate_hz, Some(rate), "{name}");
        assert_eq!(list_variables(&fixture(name)).unwrap()[0].kind, kind);
        // a fresh file for each, so that reading starts from no known frame
        for start in [2999, 1500, 0, 4] {
            let file = SignalFile::open(&fixture(name), &ReadOptions::default()).unwrap();
            let piece = file.read_range::<f64>(1, 0, start, 3000 - start).unwrap();
            assert_eq!(piece, expected[1][start..], "{name}");
            assert_eq!(file.read_range::<f64>(1, 0, 7, 1).unwrap(), expected[1][7..8], "{name}");
        }
    }
    for key in ["1", "2", "3"] {
        assert_eq!(
            read("three.flac", key).unwrap().channels,
            read("three.wav", key).unwrap().channels
        );
    }
    pieces_agree("three.flac");
}

#[test]
fn any_changed_bit_of_a_flac_frame_is_noticed_by_its_checksum() {
    let bytes = std::fs::read(fixture("three.flac")).unwrap();
    let start = bytes.windows(2).rposition(|w| w == [0xff, 0xf8]).unwrap();
    for at in start..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let file = SignalFile::from_bytes(Path::new("x"), changed, &ReadOptions::default()).unwrap();
        assert!(file.read(0).is_err(), "byte {at}");
    }
}
