//! Parquet and Arrow files of pandas, polars and pyarrow; see `fixtures/make_table.py`.

mod common;

use common::{TABLES, find, fixture, ramp, read};
use signal_domains::{Attribute, Error, ReadOptions, SignalFile, Variable, list_variables};

fn text(text: &str) -> Attribute {
    Attribute::Text(text.into())
}

/// Bits, so that NaN equals NaN.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn without_zeros() -> Vec<f64> {
    let gap = |v: f64| if v == 0.0 { f64::NAN } else { v };
    ramp(false).into_iter().map(gap).collect()
}

#[track_caller]
fn assert_reads(file: &str, key: &str, expected: &[f64]) {
    let found = read(file, key).unwrap().channels.swap_remove(0);
    assert_eq!(bits(&found), bits(expected), "{file} {key}: {found:?}");
}

#[test]
fn columns_of_numbers_are_signals_with_a_sample_in_each_row() {
    for file in ["pandas.parquet", "pandas.feather"] {
        let variables = list_variables(&fixture(file)).unwrap();
        for (name, kind) in [
            ("x", "float64"),
            ("y", "int16"),
            ("whole", "int32"),
            ("flag", "logical"),
        ] {
            let variable = find(&variables, name);
            assert_eq!(
                (&*variable.kind, variable.numeric, &variable.shape[..]),
                (kind, true, &[50][..]),
                "{file}"
            );
        }
        assert!(find(&variables, "time").time, "{file}");
        assert_reads(file, "x", &ramp(false));
        assert_reads(file, "y", &ramp(false));
        assert_reads(file, "gap", &without_zeros());
        assert_reads(file, "whole", &without_zeros());
        let flags: Vec<f64> = ramp(false).iter().map(|v| f64::from(*v > 0.0)).collect();
        assert_reads(file, "flag", &flags);
        let note = find(&variables, "note");
        assert_eq!((&*note.kind, note.numeric), ("text", false));
    }
    let when = find(&list_variables(&fixture("pandas.parquet")).unwrap(), "when").clone();
    assert_eq!((&*when.kind, when.numeric), ("time", false));
}

#[test]
fn rates_and_units_are_taken_from_what_the_table_its_columns_or_its_rows_state() {
    let variables = list_variables(&fixture("pandas.parquet")).unwrap();
    for (name, unit) in [("x", None), ("y", Some("g"))] {
        let variable = find(&variables, name);
        assert_eq!(
            (variable.rate_hz, variable.unit.as_deref()),
            (Some(12_800.0), unit),
            "{name}"
        );
        assert_eq!(variable.attributes["machine"], text("pump 3"));
    }
    let variables = list_variables(&fixture("polars.parquet")).unwrap();
    let signal = find(&variables, "signal{1}");
    assert_eq!((signal.rate_hz, signal.unit.as_deref()), (Some(25_600.0), Some("m/s2")));
    for file in [
        "lists.parquet",
        "lists2.parquet",
        "lists.arrow",
        "lists_zstd.arrow",
        "lists.arrows",
    ] {
        let variables = list_variables(&fixture(file)).unwrap();
        let acc = find(&variables, "acc{3}");
        assert_eq!(
            (acc.rate_hz, acc.unit.as_deref()),
            (Some(48_000.0), Some("g")),
            "{file}"
        );
        assert_eq!(acc.attributes["operator"], text("night shift"), "{file}");
        assert_eq!(find(&variables, "large{3}").rate_hz, None, "{file}");
    }
}

#[test]
fn a_column_of_lists_is_a_recording_in_each_row_and_the_other_columns_are_its_attributes() {
    for file in ["polars.parquet", "polars.arrow", "polars_zstd.arrow", "polars.arrows"] {
        let variables = list_variables(&fixture(file)).unwrap();
        assert_reads(file, "signal{1}", &ramp(false));
        assert_reads(file, "signal{2}", &ramp(false)[..7]);
        assert_eq!(find(&variables, "signal{3}").shape, [0], "an empty list");
        assert_eq!(find(&variables, "signal{4}").shape, [0], "no list");
        assert_reads(file, "axes{2}", &[4.0, f64::NAN, 6.0]);
        assert_reads(file, "axes{4}", &[10.0, 11.0, 12.0]);
        let first = &find(&variables, "signal{1}").attributes;
        assert_eq!(
            (&first["class"], &first["rpm"], &first["new"]),
            (&text("worn"), &Attribute::Number(1797.0), &Attribute::Flag(true)),
            "{file}"
        );
        assert_eq!(first["inner.depth"], Attribute::Number(1.5), "{file}");
        assert_eq!(
            first["inner.note"],
            text("a text that is longer than twelve bytes"),
            "{file}"
        );
        assert_eq!(find(&variables, "signal{3}").attributes.get("class"), None, "{file}");
        assert_eq!(find(&variables, "signal{4}").attributes.get("rpm"), None, "{file}");
    }
}

#[test]
fn lists_over_several_pages_groups_and_batches_with_nulls_inside_are_whole() {
    let x = without_zeros();
    for file in [
        "lists.parquet",
        "lists2.parquet",
        "lists.arrow",
        "lists_zstd.arrow",
        "lists.arrows",
    ] {
        let variables = list_variables(&fixture(file)).unwrap();
        for i in 0..12 {
            let name = format!("acc{{{}}}", i + 1);
            let expected = if i % 5 == 4 { &[][..] } else { &x[..3 * i] };
            assert_reads(file, &name, expected);
            let attributes = &find(&variables, &name).attributes;
            assert_eq!(attributes["size"], Attribute::Number(i as f64 / 8.0), "{file}");
            let note = (i != 3).then(|| text(&format!("run {i}")));
            assert_eq!(attributes.get("note"), note.as_ref(), "{file} {i}");
            let whole: Vec<f64> = (0..i).map(|v| v as f64).collect();
            assert_reads(file, &format!("large{{{}}}", i + 1), &whole);
            let flags: Vec<f64> = (0..i).map(|j| f64::from(j % 3 == 0)).collect();
            assert_reads(file, &format!("flags{{{}}}", i + 1), &flags);
            let v = i as f64;
            let fixed = if i == 2 { vec![] } else { vec![v, v, v, v + 0.5] };
            assert_reads(file, &format!("fixed{{{}}}", i + 1), &fixed);
            assert_reads(file, &format!("nested.acc{{{}}}", i + 1), &[v, 0.0 - v]);
        }
        for name in ["texts", "deep"] {
            let variable = find(&variables, name);
            assert!(!variable.numeric, "{file} {variable:?}");
        }
        assert!(find(&variables, "deep").reason.is_some());
        // in Parquet a dictionary is but a way to write
        let kind = find(&variables, "acc{2}").attributes.get("kind").cloned();
        assert_eq!(kind.is_some(), file.ends_with("parquet"), "{kind:?}");
    }
}

#[test]
fn every_type_encoding_packing_and_version_of_pages_is_read() {
    for file in ["encodings1.parquet", "encodings2.parquet"] {
        let variables = list_variables(&fixture(file)).unwrap();
        for (name, kind) in common::CLASSES.iter().chain(&[("x_f2", "float16")]) {
            assert_eq!(find(&variables, name).kind, *kind, "{file}");
            assert_reads(file, name, &ramp(name.starts_with("x_u")));
        }
        let x = ramp(false);
        let delta: Vec<f64> = x.iter().map(|v| v * 1_000_003.0).collect();
        assert_reads(file, "delta", &delta);
        let mut sum = 0.0;
        let sums: Vec<f64> = x
            .iter()
            .map(|v| {
                sum += v;
                sum
            })
            .collect();
        assert_reads(file, "delta_small", &sums);
        assert_reads(file, "split", &x);
        assert_reads(file, "split_gap", &without_zeros());
        assert_reads(file, "none", &[f64::NAN; 50]);
    }
}

#[test]
fn a_piece_is_that_piece_of_the_whole() {
    for name in TABLES {
        let file = SignalFile::open(&fixture(name), &ReadOptions::default()).unwrap();
        for (index, variable) in file.variables().iter().enumerate().filter(|(_, v)| v.numeric) {
            let whole = file.read(index).unwrap().swap_remove(0);
            assert_eq!(whole.len(), variable.samples(), "{name} {}", variable.name);
            for start in 0..=whole.len() {
                for len in [0, 1, 9, whole.len() - start] {
                    if start + len <= whole.len() {
                        let piece = file.read_range::<f64>(index, 0, start, len).unwrap();
                        assert_eq!(
                            bits(&piece),
                            bits(&whole[start..start + len]),
                            "{name} {}",
                            variable.name
                        );
                    }
                }
            }
        }
    }
}

/// The same bytes under any name and from memory give the same.
#[test]
fn a_file_is_known_by_its_contents() {
    let folder = tempfile::tempdir().unwrap();
    for name in TABLES {
        let path = folder.path().join("x.csv");
        std::fs::copy(fixture(name), &path).unwrap();
        let variables: Vec<Variable> = list_variables(&path).unwrap();
        assert_eq!(variables, list_variables(&fixture(name)).unwrap(), "{name}");
        let bytes = std::fs::read(&path).unwrap();
        let memory = SignalFile::from_bytes(&path, bytes, &ReadOptions::default()).unwrap();
        assert_eq!(variables, memory.variables(), "{name}");
    }
}

#[test]
fn what_is_not_read_says_what_to_do() {
    let refuse = |bytes: &[u8]| {
        let name = std::path::Path::new("x");
        SignalFile::from_bytes(name, bytes.to_vec(), &ReadOptions::default()).unwrap_err()
    };
    for (bytes, words) in [
        (&b"FEA1 and what follows"[..], "Feather file of version 1"),
        (b"PAR1 and what follows", "ends with PAR1"),
        (b"PAR1 encrypted PARE", "encrypted"),
        (b"ARROW1\0\0 and what follows", "ends with ARROW1"),
    ] {
        let error = refuse(bytes);
        assert!(error.to_string().contains(words), "{error}");
    }
    let whole = std::fs::read(fixture("lists.arrow")).unwrap();
    let stream = &whole[8..];
    let error = refuse(&stream[..stream.len() / 2]);
    assert!(matches!(error, Error::File { .. }), "{error}");
}
