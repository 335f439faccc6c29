//! The same signal in every format: a CWRU recording, saved again by the programs that people have, gives bit-equal windows.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::data;
use signal_domains::{
    Cut, Dataset, OpenOptions, PackFormat, RawEndian, RawLayout, RawNumber, RawOrder, ReadOptions, RecordingEntry,
    SignalFile, load_file, pack, pack_windows,
};

const NAME: &str = "X105_DE_time";
const WINDOW: usize = 1024;

/// Windows of a recording, read one by one from the open file, as bits.
fn windows(path: &Path) -> Vec<Vec<u64>> {
    // an index stands beside the signal
    let keys = if path.ends_with("comma.csv") {
        vec![NAME.to_owned()]
    } else {
        Vec::new()
    };
    let open = RecordingEntry::of_file(path, &keys).open().unwrap();
    let window = |start| {
        let window = open
            .read(start, WINDOW)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        window[0].iter().map(|x: &f64| x.to_bits()).collect()
    };
    (0..open.len() / WINDOW).map(|n| window(n * WINDOW)).collect()
}

fn original() -> Option<(std::path::PathBuf, Vec<f64>)> {
    let path = data()?.join("cwru/original/105.mat");
    let x = load_file(&path, &[NAME.to_owned()]).unwrap().channels.remove(0);
    Some((path, x))
}

fn cut(x: &[f64]) -> Vec<Vec<u64>> {
    let bits = |w: &[f64]| w.iter().map(|x| x.to_bits()).collect();
    x.chunks_exact(WINDOW).map(bits).collect()
}

/// A float WAV file of doubles.
fn wav(x: &[f64]) -> Vec<u8> {
    let mut out = b"RIFF".to_vec();
    out.extend((36 + 8 * x.len() as u32).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16_u32.to_le_bytes());
    out.extend([3, 0, 1, 0]);
    out.extend(12_000_u32.to_le_bytes());
    out.extend(96_000_u32.to_le_bytes());
    out.extend([8, 0, 64, 0]);
    out.extend(b"data");
    out.extend((8 * x.len() as u32).to_le_bytes());
    out.extend(bare(x));
    out
}

fn bare(x: &[f64]) -> Vec<u8> {
    x.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Without any other program: text, WAV, bare numbers, both kinds of packs.
#[test]
fn a_recording_saved_as_text_wav_bare_numbers_or_packed_gives_bit_equal_windows() {
    let Some((_, x)) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let expected = cut(&x);
    assert!(expected.len() > 100);
    let text = x.iter().fold("x\n".to_owned(), |mut all, v| {
        let _ = writeln!(all, "{v:?}");
        all
    });
    let lab = f.join("lab/load0/inner");
    fs::create_dir_all(&lab).unwrap();
    fs::write(lab.join("x.csv"), &text).unwrap();
    fs::write(f.join("x.wav"), wav(&x)).unwrap();
    fs::write(f.join("x.bin"), bare(&x)).unwrap();
    for file in ["lab/load0/inner/x.csv", "x.wav"] {
        assert!(windows(&f.join(file)) == expected, "{file}");
    }
    let layout = RawLayout {
        number: RawNumber::Float64,
        endian: RawEndian::Little,
        channels: 1,
        order: RawOrder::Interleaved,
        offset: 0,
    };
    let options = ReadOptions {
        raw: Some(layout),
        ..ReadOptions::default()
    };
    let bare = SignalFile::open(&f.join("x.bin"), &options).unwrap();
    for (n, expected) in expected.iter().enumerate() {
        let window = bare.read_range::<f64>(0, 0, n * WINDOW, WINDOW).unwrap();
        assert!(
            window.iter().map(|x| x.to_bits()).eq(expected.iter().copied()),
            "bare, {n}"
        );
    }
    let dataset = Dataset::open(&f.join("lab"), &OpenOptions::default()).unwrap();
    pack(&dataset, &f.join("pack.h5"), &mut |_| {}).unwrap();
    let halves = Cut {
        window: WINDOW,
        hop: WINDOW / 2,
    };
    pack_windows(PackFormat::Hdf5, &dataset, halves, &f.join("windows.h5"), &mut |_| {}).unwrap();
    for file in ["pack.h5", "windows.h5"] {
        let packed = Dataset::open(&f.join(file), &OpenOptions::default()).unwrap();
        let open = packed.recordings[0].open().unwrap();
        for (n, expected) in expected.iter().enumerate() {
            let window = open.read::<f64>(n * WINDOW, WINDOW).unwrap();
            assert!(
                window[0].iter().map(|x: &f64| x.to_bits()).eq(expected.iter().copied()),
                "{file}, {n}"
            );
        }
    }
}

/// By others, where there is a Python that has them; `PYTHON` names another than `python3`.
#[test]
fn a_recording_saved_by_other_programs_gives_bit_equal_windows_in_every_format() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python)
        .args([
            "-c",
            "import scipy, h5py, hdf5storage, nptdms, pyuff, soundfile, pandas",
        ])
        .output();
    if !has.is_ok_and(|o| o.status.success()) {
        println!("skipped: no scipy, h5py, hdf5storage, npTDMS, pyuff, soundfile and pandas");
        return;
    }
    let Some((path, x)) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resave.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(&path)
        .arg(NAME)
        .arg(f)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = cut(&x);
    for file in [
        "v5.mat",
        "v4.mat",
        "v73.mat",
        "x.h5",
        "x.npy",
        "x.npz",
        "x.csv",
        "comma.csv",
        "x.csv.gz",
        "x.wav",
        "x.tdms",
        "x.uff",
    ] {
        assert!(windows(&f.join(file)) == expected, "{file}");
    }
    let stored = windows(&f.join("stored.npy"));
    for file in ["stored.wav", "stored.flac"] {
        assert!(windows(&f.join(file)) == stored, "{file}");
    }
    // the rate comes with it where the format has one
    for file in ["x.h5", "x.wav", "x.tdms", "x.uff", "stored.flac"] {
        let rate = RecordingEntry::of_file(&f.join(file), &[]).open().unwrap().rate_hz;
        assert_eq!(rate, Some(12_000.0), "{file}");
    }
}
