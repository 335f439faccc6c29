//! What a split leaks: shared samples, copies in another format, units.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use signal_domains::{Dataset, Leak, LeakOptions, LeakReport, Likeness, OpenOptions, Piece, check_leaks, load_file};
use tempfile::TempDir;

fn piece(file: &str, start: u64, length: impl Into<Option<u64>>, part: &str) -> Piece {
    Piece {
        file: file.into(),
        start,
        length: length.into(),
        part: part.into(),
        unit: None,
    }
}

/// Coloured noise with a ring every 97 samples: a vibration, different for every seed.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (mut a, mut b) = (0.0, 0.0);
    (0..n)
        .map(|i| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let white = (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5;
            let next = 1.2 * a - 0.8 * b + white + if i % 97 == 0 { 2.0 } else { 0.0 };
            (a, b) = (next, a);
            next
        })
        .collect()
}

fn csv(x: &[f64], digits: usize) -> Vec<u8> {
    x.iter()
        .fold(String::from("x\n"), |mut s, v| {
            let _ = writeln!(s, "{v:.digits$}");
            s
        })
        .into_bytes()
}

/// A WAV file of 8 or 16 bits, scaled to its range.
fn wav(x: &[f64], bits: u16, gain: f64) -> Vec<u8> {
    let peak = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let data: Vec<u8> = x
        .iter()
        .flat_map(|v| {
            let v = gain * v / peak;
            if bits == 8 {
                vec![(v * 127.0 + 128.0).round() as u8]
            } else {
                ((v * 32767.0).round() as i16).to_le_bytes().to_vec()
            }
        })
        .collect();
    let mut out = b"RIFF".to_vec();
    out.extend((36 + data.len() as u32).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend(12000u32.to_le_bytes());
    out.extend((12000 * u32::from(bits / 8)).to_le_bytes());
    out.extend((bits / 8).to_le_bytes());
    out.extend(bits.to_le_bytes());
    out.extend(b"data");
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn check(folder: &Path, pieces: &[Piece]) -> LeakReport {
    let find = |file: &str| Some(folder.join(file)).filter(|p| p.is_file());
    check_leaks(pieces, &find, LeakOptions::default()).unwrap()
}

/// By name alone.
fn by_name(pieces: &[Piece], gap: u64) -> Vec<String> {
    let report = check_leaks(pieces, &|_| None, LeakOptions { gap }).unwrap();
    report.leaks.iter().map(ToString::to_string).collect()
}

#[test]
fn samples_in_two_parts_leak_and_touching_parts_do_not() {
    let touching = [
        piece("a", 0, 100, "train"),
        piece("a", 100, 100, "test"),
        piece("b", 50, 100, "test"),
    ];
    assert_eq!(by_name(&touching, 0), Vec::<String>::new());
    assert_eq!(
        by_name(&touching, 1),
        ["a: pieces of test that overlap train or lie too near: 1; first 0..100 and 100..200"]
    );
    // windows that overlap by half, dealt out in turn
    let dealt: Vec<Piece> = (0..10)
        .map(|i| piece("a", 50 * i, 100, ["train", "test"][i as usize % 2]))
        .collect();
    let found = by_name(&dealt, 0);
    assert_eq!(
        found,
        ["a: pieces of test that overlap train or lie too near: 9; first 0..100 and 50..150"]
    );
    // a long piece that started earlier is not forgotten behind a short one
    let long = [
        piece("a", 0, 1000, "train"),
        piece("a", 10, 5, "train"),
        piece("a", 900, 10, "test"),
    ];
    assert_eq!(by_name(&long, 0).len(), 1);
    let whole = [
        piece("a", 0, None, "train"),
        piece("a", 1 << 40, None, "validation"),
        piece("b", 0, None, "test"),
    ];
    assert_eq!(
        by_name(&whole, 0),
        [format!(
            "a: pieces of validation that overlap train or lie too near: 1; first 0 to the end and {} to the end",
            1u64 << 40
        )]
    );
    // inside a part anything goes
    assert!(
        by_name(
            &[
                piece("a", 0, 9, "train"),
                piece("a", 3, 9, "train"),
                piece("b", 0, 9, "test")
            ],
            0
        )
        .is_empty()
    );
}

#[test]
fn a_unit_in_two_parts_leaks() {
    let mut pieces = [
        piece("a", 0, 9, "train"),
        piece("b", 0, 9, "test"),
        piece("c", 0, 9, "test"),
    ];
    for (piece, unit) in pieces.iter_mut().zip(["bearing 1", "bearing 1", "bearing 2"]) {
        piece.unit = Some(unit.into());
    }
    assert_eq!(by_name(&pieces, 0), ["unit bearing 1 is in test and train: a, b"]);
}

#[test]
fn a_copy_is_found_after_a_change_of_format_gain_sign_offset_and_length() {
    let x = noise(1, 20_000);
    let turned: Vec<f64> = x.iter().map(|v| 3.0 - 0.25 * v).collect();
    let inside: Vec<f64> = [noise(7, 3000), x[4000..9000].to_vec(), noise(8, 2000)].concat();
    let folder = folder(&[
        ("original.csv", csv(&x, 6)),
        ("bits16.wav", wav(&x, 16, 0.5)),
        ("bits8.wav", wav(&x, 8, 1.0)),
        ("turned.csv", csv(&turned, 4)),
        ("later.csv", csv(&x[5000..], 3)),
        ("inside.csv", csv(&inside, 5)),
        ("same.dat", csv(&x, 6)),
        ("other.csv", csv(&noise(2, 20_000), 6)),
        ("short.csv", csv(&noise(3, 40), 6)),
    ]);
    for (copy, gain_sign, shift) in [
        ("bits16.wav", 1.0, 0),
        ("bits8.wav", 1.0, 0),
        ("turned.csv", -1.0, 0),
        ("later.csv", 1.0, 5000),
        ("inside.csv", 1.0, 1000),
    ] {
        let report = check(
            folder.path(),
            &[piece("original.csv", 0, None, "train"), piece(copy, 0, None, "test")],
        );
        let copied = &report.copies[..];
        assert_eq!(copied.len(), 1, "{copy}: {report:?}");
        let Likeness::Samples { gain, correlation } = copied[0].likeness else {
            panic!("{copied:?}")
        };
        assert!(
            correlation.abs() > 0.9995 && gain * gain_sign > 0.0,
            "{copy}: {copied:?}"
        );
        let from_original = if copied[0].files[0] == "original.csv" {
            copied[0].shift
        } else {
            -copied[0].shift
        };
        assert_eq!(from_original, shift, "{copy}");
        assert!(
            matches!(&report.leaks[..], [Leak::Samples { files, .. }] if files[0] != files[1]),
            "{report:?}"
        );
    }
    let report = check(
        folder.path(),
        &[
            piece("original.csv", 0, 100, "train"),
            piece("same.dat", 50, 100, "test"),
        ],
    );
    assert_eq!(report.copies[0].likeness, Likeness::Bytes);
    assert_eq!(report.leaks.len(), 1);
    // three files of the same bytes, none of which is the first by name
    fs::copy(folder.path().join("same.dat"), folder.path().join("third.dat")).unwrap();
    let three = [
        piece("original.csv", 0, 9, "train"),
        piece("same.dat", 500, 9, "train"),
        piece("third.dat", 505, 9, "test"),
    ];
    let report = check(folder.path(), &three);
    assert_eq!(report.copies.len(), 2);
    let files = ["same.dat".to_owned(), "third.dat".to_owned()];
    assert!(
        matches!(&report.leaks[..], [Leak::Samples { files: found, .. }] if *found == files),
        "{report:?}"
    );
    for honest in ["other.csv", "short.csv"] {
        let report = check(
            folder.path(),
            &[piece("original.csv", 0, None, "train"), piece(honest, 0, None, "test")],
        );
        assert!(
            report.copies.is_empty() && report.leaks.is_empty(),
            "{honest}: {report:?}"
        );
    }
}

#[test]
fn stretches_of_a_copy_leak_where_they_are_the_same_samples_and_nowhere_else() {
    let x = noise(1, 20_000);
    let folder = folder(&[("a.csv", csv(&x, 6)), ("b.csv", csv(&x[5000..], 6))]);
    let leaks = |start| {
        check(
            folder.path(),
            &[piece("a.csv", 0, 10_000, "train"), piece("b.csv", start, 1000, "test")],
        )
        .leaks
    };
    assert!(leaks(5000).is_empty());
    let found = leaks(4999);
    assert!(
        matches!(
            &found[..],
            [Leak::Samples {
                first: [(5000, Some(10_000)), (4999, Some(5999))],
                ..
            }]
        ),
        "{found:?}"
    );
    // a copy in the same part is told, and is no leak
    let same_part = [
        piece("a.csv", 0, 9, "train"),
        piece("b.csv", 0, 9, "train"),
        piece("a.csv", 15_000, 9, "test"),
    ];
    let report = check(folder.path(), &same_part);
    assert!(report.copies.len() == 1 && report.leaks.is_empty(), "{report:?}");
}

#[test]
fn recordings_that_only_resemble_each_other_are_no_copies() {
    // two recordings of one tone, with noise of their own; a ramp of times in both
    let tone = |seed: u64, from: usize| -> Vec<f64> {
        let rough = noise(seed, 8000);
        (0..8000)
            .map(|i| ((from + i) as f64 * 0.2 * std::f64::consts::PI).sin() + 0.01 * rough[i])
            .collect()
    };
    let timed = |x: &[f64]| {
        x.iter().enumerate().fold(String::from("time,x\n"), |mut s, (i, v)| {
            let _ = writeln!(s, "{},{v:.5}", i as f64 * 0.001);
            s
        })
    };
    let mut files: Vec<(String, Vec<u8>)> = (0..2)
        .map(|k| {
            (
                format!("tone{k}.csv"),
                timed(&tone(10 + k, 33 * k as usize)).into_bytes(),
            )
        })
        .collect();
    files.extend((0..30).map(|k| (format!("n{k}.csv"), csv(&noise(100 + k, 4000), 3))));
    let named: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.clone()))
        .collect();
    let folder = folder(&named);
    let pieces: Vec<Piece> = files
        .iter()
        .enumerate()
        .map(|(i, (name, _))| piece(name, 0, None, ["train", "test"][i % 2]))
        .collect();
    let report = check(folder.path(), &pieces);
    assert!(
        report.copies.is_empty() && report.leaks.is_empty() && report.unread.is_empty(),
        "{report:?}"
    );
}

#[test]
fn what_cannot_be_checked_is_said_and_what_cannot_be_is_refused() {
    let folder = folder(&[
        ("a.csv", csv(&noise(1, 500), 6)),
        ("broken.mat", b"MATLAB 5.0 MAT-file".to_vec()),
    ]);
    let report = check(
        folder.path(),
        &[
            piece("a.csv", 0, 9, "train"),
            piece("broken.mat", 0, 9, "test"),
            piece("gone", 0, 9, "test"),
        ],
    );
    assert_eq!(report.unread.keys().collect::<Vec<_>>(), ["broken.mat", "gone"]);
    assert!(!report.units_known);
    assert_eq!(
        report.parts,
        BTreeMap::from([("train".into(), (1, 1)), ("test".into(), (2, 2))])
    );
    let find = |file: &str| -> Option<PathBuf> { Some(folder.path().join(file)) };
    for (pieces, words) in [
        (vec![], "at least two parts, this list has 0"),
        (vec![piece("a.csv", 0, 9, "train")], "this list has 1 (train)"),
        (
            vec![piece("a.csv", 3, 0, "train"), piece("a.csv", 0, 9, "test")],
            "has no samples",
        ),
        (
            vec![piece("a.csv", 0, 501, "train"), piece("a.csv", 0, 9, "test")],
            "reaches to sample 501, the file has 500",
        ),
        (
            vec![
                piece("a.csv", u64::MAX, u64::MAX, "train"),
                piece("a.csv", 0, 9, "test"),
            ],
            "the file has 500",
        ),
    ] {
        let message = check_leaks(&pieces, &find, LeakOptions::default())
            .unwrap_err()
            .to_string();
        assert!(message.contains(words), "{message}");
    }
}

/// Real recordings: none is a copy of another, and one that is saved in another way is found.
#[test]
fn among_real_recordings_only_copies_are_copies() {
    let Some(data) = std::env::var_os("CROSSRIG_DATA").map(PathBuf::from) else {
        assert!(std::env::var_os("CROSSRIG_REQUIRE_DATA").is_none());
        return;
    };
    let mut paths: BTreeMap<String, PathBuf> = BTreeMap::new();
    for manifest in [
        "cwru",
        "cwru-instances",
        "hit-sm",
        "gearbox",
        "mfpt",
        "ligo",
        "spoken-digits",
    ] {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../datasets/{manifest}.toml"));
        let options = OpenOptions {
            data_root: Some(data.clone()),
            ..OpenOptions::default()
        };
        let dataset = Dataset::open(&manifest, &options).unwrap();
        paths.extend(dataset.recordings.into_iter().filter_map(|r| Some((r.file, r.path?))));
    }
    let folder = tempfile::tempdir().unwrap();
    let original = load_file(&paths["105.mat"], &["*_DE_time".into()]).unwrap();
    let saved = folder.path().join("saved.wav");
    fs::write(&saved, wav(&original.channels[0][30_000..80_000], 16, 0.9)).unwrap();
    let count = paths.len();
    assert!(count > 100, "{count}");
    paths.insert("saved.wav".into(), saved);
    let pieces: Vec<Piece> = paths
        .keys()
        .enumerate()
        .map(|(i, file)| piece(file, 0, None, ["train", "test"][i % 2]))
        .collect();
    let report = check_leaks(&pieces, &|file| paths.get(file).cloned(), LeakOptions::default()).unwrap();
    let found: Vec<&[String; 2]> = report.copies.iter().map(|c| &c.files).collect();
    assert_eq!(
        found,
        [&["105.mat".to_owned(), "saved.wav".to_owned()]],
        "{:?}",
        report.copies
    );
    assert_eq!(report.copies[0].shift, 30_000);
    assert!(report.unread.is_empty(), "{:?}", report.unread);
}
