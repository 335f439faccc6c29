//! Damaged and lying files: no panic, and no memory beyond the samples asked for, eight times the file, and 1 MB.
//!
//! `PROPTEST_CASES=1000000` turns the property into a long fuzz run. HDF5, read by another crate, is held to
//! the bound for fixtures that are cut or changed.

use std::io::Write;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use signal_domains::{Error, RawEndian, RawLayout, RawNumber, RawOrder, ReadOptions, SignalFile};

mod common;
#[path = "common/memory.rs"]
mod memory;
use common::TABLES;
use memory::{Counting, LIVE, MEASURING, PEAK};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Opens and reads everything, within the bound for a file of `len` bytes; whether it opened.
fn measured(what: &str, len: usize, open: impl FnOnce() -> Result<SignalFile, Error>) -> bool {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let mut asked = 0;
    let opened = open();
    let sound = opened.is_ok();
    if let Ok(file) = opened {
        for i in 0..file.variables().len() {
            if file.variables()[i].numeric {
                asked = asked.max(file.variables()[i].elements().saturating_mul(8));
                let _ = file.read(i);
            }
        }
    }
    let taken = PEAK.load(Relaxed) - before;
    assert!(
        taken <= asked.saturating_add(8 * len + (1 << 20)),
        "{what}: {taken} bytes of memory for a file of {len} and {asked} bytes of samples"
    );
    sound
}

/// The same for bytes in memory.
fn within_bounds(what: &str, bytes: &[u8], raw: Option<RawLayout>) -> bool {
    let options = ReadOptions {
        raw,
        ..ReadOptions::default()
    };
    let bytes = bytes.to_vec();
    measured(what, bytes.len(), || {
        SignalFile::from_bytes(Path::new("x"), bytes, &options)
    })
}

const FIXTURES: [&str; 37] = [
    "small_plain.mat",
    "small_compressed.mat",
    "plain.mat",
    "compressed.mat",
    "nested.mat",
    "nested_compressed.mat",
    "deep.mat",
    "level4.mat",
    "level4_big.mat",
    "level4_kinds.mat",
    "u1.wav",
    "i3.wav",
    "f8.wav",
    "extensible.wav",
    "big.wav",
    "vector.npy",
    "big.npy",
    "fortran.npy",
    "version3.npy",
    "small.npz",
    "small_stored.npz",
    "classes.tdms",
    "segments.tdms",
    "interleaved.tdms",
    "big.tdms",
    "incomplete.tdms",
    "pandas.csv",
    "pandas.csv.gz",
    "utf16.txt",
    "stamps.csv",
    "gap.csv",
    "daqmx.tdms",
    "scaled.tdms",
    "text.uff",
    "binary.uff",
    "binary_big.uff",
    "three.flac",
];

fn fixtures() -> impl Iterator<Item = &'static str> {
    let tables = TABLES.into_iter().filter(|_| cfg!(feature = "parquet"));
    FIXTURES.into_iter().chain(tables)
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn measuring() -> std::sync::MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_file_cut_at_any_byte_stays_within_bounds() {
    let _one = measuring();
    for name in fixtures() {
        let bytes = fixture(name);
        assert!(within_bounds(name, &bytes, None), "{name} whole");
        for n in 0..bytes.len() {
            within_bounds(&format!("{name} cut at {n}"), &bytes[..n], None);
        }
    }
}

#[test]
fn a_file_with_any_byte_changed_stays_within_bounds() {
    let _one = measuring();
    for name in fixtures() {
        let bytes = fixture(name);
        // of longer files every few bytes, or this takes minutes
        for at in (0..bytes.len()).step_by(bytes.len() / 1500 + 1) {
            for value in [0, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
                let mut changed = bytes.clone();
                changed[at] = value;
                within_bounds(&format!("{name} with {value} at {at}"), &changed, None);
            }
        }
    }
}

/// HDF5 is read from files alone, by another crate, which must be held to the same bound.
#[test]
fn hdf5_files_cut_or_changed_anywhere_stay_within_bounds() {
    let _one = measuring();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5");
    for name in [
        "numbers.h5",
        "filters.h5",
        "attributes.h5",
        "latest.h5",
        "nested73.mat",
        "version73.mat",
        "labels_text.h5",
        "unwritten.h5",
    ] {
        let sound = fixture(name);
        let look = |what: String, bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            measured(&what, bytes.len(), || SignalFile::open(&path, &ReadOptions::default()))
        };
        assert!(look(format!("{name} whole"), &sound));
        for at in (0..sound.len()).step_by(sound.len() / 250 + 1) {
            look(format!("{name} cut at {at}"), &sound[..at.max(1)]);
            for value in [0, 0x7f, 0xff, sound[at] ^ 1, sound[at].wrapping_add(1)] {
                let mut changed = sound.clone();
                changed[at] = value;
                look(format!("{name} with {value} at {at}"), &changed);
            }
        }
    }
}

#[test]
fn every_attack_stays_within_bounds() {
    let _one = measuring();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        within_bounds(&path.display().to_string(), &std::fs::read(&path).unwrap(), None);
    }
}

#[test]
fn packed_text_of_any_size_stays_within_bounds() {
    let _one = measuring();
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    // a million rows; names that fill the longest line; short names, as many as are read; long lines to the last
    let names: Vec<String> = (0..=4096).map(|i| format!("{i}x")).collect();
    for (what, text, sound) in [
        ("a million rows", "1,2\n".repeat(1_000_000), true),
        ("long names", format!("{}a,b\n1,2\n", "x".repeat(130_000)), true),
        (
            "many names",
            format!("{}\n{}1\n", names.join(","), "1,".repeat(4096)),
            false,
        ),
        ("long lines", format!("{}1\n", " ".repeat(131_000)).repeat(200), true),
    ] {
        assert_eq!(within_bounds(what, &gzip(text.as_bytes()), None), sound, "{what}");
    }
}

#[test]
fn absurd_sizes_of_wav_and_level_4_files_are_errors() {
    let _one = measuring();
    let mut wav = fixture("i2.wav");
    wav[40..44].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    assert!(!within_bounds("a huge data chunk", &wav, None));
    let mut mat = fixture("level4.mat");
    mat[4..12].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    assert!(!within_bounds("a huge matrix", &mat, None));
}

fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut out = [kind.to_le_bytes(), u32::try_from(data.len()).unwrap().to_le_bytes()].concat();
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// An array of class `class`: flags, extents, name, contents.
fn array(class: u8, rows: u32, name: &[u8], contents: &[u8]) -> Vec<u8> {
    let extents = [rows.to_le_bytes(), 1u32.to_le_bytes()].concat();
    let parts = [
        element(6, &[class, 0, 0, 0, 0, 0, 0, 0]),
        element(5, &extents),
        element(1, name),
    ];
    element(14, &[&parts.concat(), contents].concat())
}

fn compressed_file(variable: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(variable).unwrap();
    let packed = encoder.finish().unwrap();
    let mut out = vec![b' '; 124];
    out.extend([0, 1, b'I', b'M']);
    out.extend(15u32.to_le_bytes());
    out.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    out.extend(packed);
    out
}

#[test]
fn bombs_in_compressed_variables_are_refused_within_bounds() {
    let _one = measuring();
    // two million empty cells in some tens of kilobytes
    let cells = compressed_file(&array(1, 2_000_000, b"c", &element(14, &[]).repeat(2_000_000)));
    assert!(cells.len() < 100_000);
    assert!(within_bounds("a cell array of two million", &cells, None));
    let reason = |bytes: &[u8]| {
        let file = SignalFile::from_bytes(Path::new("x"), bytes.to_vec(), &ReadOptions::default()).unwrap();
        assert_eq!(file.variables().len(), 1);
        file.variables()[0].reason.clone().unwrap()
    };
    assert!(reason(&cells).contains("more arrays than are listed"));
    // cells inside each other
    let mut nested = array(6, 1, b"", &element(9, &[0; 8]));
    for _ in 0..5000 {
        nested = array(1, 1, b"c", &nested);
    }
    let nested = compressed_file(&nested);
    assert!(within_bounds("5000 cells inside each other", &nested, None));
    assert!(reason(&nested).contains("more than 32 deep"));
    // numbers that are not there
    let mut lie = array(6, 2, b"x", &element(9, &[0; 16]));
    let at = lie.len() - 20;
    lie[at..at + 4].copy_from_slice(&0x7fff_fff0u32.to_le_bytes());
    assert!(!within_bounds(
        "numbers that are not there",
        &compressed_file(&lie),
        None
    ));
}

fn layout() -> impl Strategy<Value = RawLayout> {
    let number = prop_oneof![
        Just(RawNumber::Uint8),
        Just(RawNumber::Int24),
        Just(RawNumber::Float16),
        Just(RawNumber::Float64)
    ];
    let order = prop_oneof![Just(RawOrder::Interleaved), Just(RawOrder::Consecutive)];
    (number, order, 0..6usize, 0..100u64).prop_map(|(number, order, channels, offset)| RawLayout {
        number,
        endian: RawEndian::Big,
        channels,
        order,
        offset,
    })
}

proptest! {
    #[test]
    fn files_changed_in_many_places_stay_within_bounds(
        name in proptest::sample::select(fixtures().collect::<Vec<_>>()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let _one = measuring();
        let mut bytes = fixture(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        within_bounds(name, &bytes, None);
    }

    #[test]
    fn any_bytes_with_any_raw_layout_stay_within_bounds(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        layout in layout(),
    ) {
        let _one = measuring();
        within_bounds("raw", &bytes, Some(layout));
    }
}
