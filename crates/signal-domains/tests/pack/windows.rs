//! Packs of windows: what another program reads by number, and the recordings that they cover.

use signal_domains::{Cut, Packed, pack_windows};

use super::*;

fn in_windows(dataset: &Dataset, cut: Cut, out: &Path) -> Result<Packed, Error> {
    pack_windows(PackFormat::Hdf5, dataset, cut, out, &mut |_| {})
}

/// Two channels of 11, 7 and 3 samples, of several widths.
pub(super) fn three_lengths() -> tempfile::TempDir {
    let rows = |n: i32, scale: f64| {
        let row = |i| format!("{},{}\n", f64::from(i) * scale, f64::from(100 + i) * scale);
        let rows: Vec<String> = (0..n).map(row).collect();
        format!("a,b\n{}", rows.concat())
    };
    let manifest = r#"
[dataset]
name = "Plant"
classes = ["worn", "good"]
channels = [{ name = "x", key = "a" }, { name = "y", key = "b" }]
rate_hz = 1000
[[recording]]
file = "eleven.csv"
domain = "p"
class = "good"
unit = "pump 2"
attributes = { size = 0.007, new = true }
[[recording]]
file = "seven.csv"
domain = "q"
unit = "pump 1"
rpm = 1800
[[recording]]
file = "three.csv"
domain = "p"
class = "worn"
"#;
    folder(&[
        ("eleven.csv", rows(11, 1.0)),
        ("seven.csv", rows(7, 0.5)),
        ("three.csv", rows(3, 1.0)),
        ("m.toml", manifest.to_owned()),
    ])
}

/// `original` with its recordings cut to what windows cover.
fn assert_covered(original: &Dataset, packed: &Dataset, cut: Cut) {
    assert_eq!(original.recordings.len(), packed.recordings.len());
    for (a, b) in original.recordings.iter().zip(&packed.recordings) {
        assert_eq!(told(original, a), told(packed, b));
        let (mut whole, covered) = (a.load().unwrap(), b.load().unwrap());
        let windows = (whole.len() + cut.hop).saturating_sub(cut.window) / cut.hop;
        let len = if windows == 0 {
            0
        } else {
            (windows - 1) * cut.hop + cut.window
        };
        whole.channels.iter_mut().for_each(|c| c.truncate(len));
        assert_eq!(bits(&whole.channels), bits(&covered.channels), "{}", a.file);
        assert_eq!(
            (&whole.names, &whole.units, whole.rate_hz, whole.rpm, &whole.sha256),
            (
                &covered.names,
                &covered.units,
                covered.rate_hz,
                covered.rpm,
                &covered.sha256
            )
        );
    }
}

#[test]
fn a_pack_of_windows_opens_as_its_recordings_up_to_their_ends() {
    let folder = three_lengths();
    let original = open(&folder.path().join("m.toml"));
    for (cut, windows, left_out) in [
        (Cut { window: 4, hop: 4 }, 3, 2 * (3 + 3 + 3)),
        (Cut { window: 4, hop: 3 }, 3 + 2, 2 * (1 + 3)),
        (Cut { window: 5, hop: 1 }, 7 + 3, 2 * 3),
        (Cut { window: 11, hop: 2 }, 1, 2 * (7 + 3)),
        (Cut { window: 1, hop: 1 }, 21, 0),
    ] {
        let out = folder.path().join(format!("{}-{}.h5", cut.window, cut.hop));
        let packed = in_windows(&original, cut, &out).unwrap();
        assert_eq!((packed.windows, packed.left_out), (windows, left_out), "{cut:?}");
        assert_eq!(packed.samples, (windows * cut.window * 2) as u64);
        let opened = open(&out);
        assert!(Dataset::is_packed(&out));
        assert_covered(&original, &opened, cut);
        // any piece of any channels is that of the whole
        let entry = opened
            .recordings
            .iter()
            .max_by_key(|r| r.load().unwrap().len())
            .unwrap();
        let (recording, whole) = (entry.open().unwrap(), entry.load().unwrap());
        for start in 0..whole.len() {
            for len in 0..=whole.len() - start {
                let piece: Vec<&[f64]> = whole.channels.iter().map(|c| &c[start..start + len]).collect();
                assert_eq!(
                    recording.read::<f64>(start, len).unwrap(),
                    piece,
                    "{cut:?} {start} {len}"
                );
            }
        }
        let options = OpenOptions {
            channels: Some(vec!["y".into()]),
            ..OpenOptions::default()
        };
        let chosen = Dataset::open(&out, &options).unwrap().recordings.remove(0);
        assert_eq!(
            chosen.load().unwrap().channels,
            open(&out).recordings[0].load().unwrap().channels[1..]
        );
    }
}

#[test]
fn windows_are_stored_one_a_chunk_in_the_narrowest_type_that_loses_nothing() {
    let folder = three_lengths();
    let mut original = open(&folder.path().join("m.toml"));
    let stored = |dataset: &Dataset, name: &str| {
        let out = folder.path().join(name);
        in_windows(dataset, Cut { window: 2, hop: 2 }, &out).unwrap();
        let all = list_variables(&out).unwrap();
        let x = all.into_iter().find(|v| v.name == "x").unwrap();
        (x.kind, x.shape)
    };
    // halves
    assert_eq!(stored(&original, "a.h5"), ("float32".into(), vec![5 + 3 + 1, 2, 2]));
    original.recordings.retain(|r| r.file != "seven.csv");
    assert_eq!(stored(&original, "b.h5"), ("int16".into(), vec![6, 2, 2]));
    // a sample in no window widens nothing
    fs::write(folder.path().join("three.csv"), "a,b\n1,2\n3,4\n0.1,0.1\n").unwrap();
    assert_eq!(stored(&original, "c.h5"), ("int16".into(), vec![6, 2, 2]));
    fs::write(folder.path().join("three.csv"), "a,b\n1,2\n3,0.1\n").unwrap();
    assert_eq!(stored(&original, "d.h5"), ("float64".into(), vec![6, 2, 2]));
}

#[test]
fn windows_that_cannot_be_are_refused_and_leave_nothing() {
    let folder = three_lengths();
    let original = open(&folder.path().join("m.toml"));
    let files = fs::read_dir(folder.path()).unwrap().count();
    let out = folder.path().join("out.h5");
    let refused =
        |dataset: &Dataset, window, hop| in_windows(dataset, Cut { window, hop }, &out).unwrap_err().to_string();
    for (window, hop) in [(0, 0), (4, 0), (0, 4), (4, 5)] {
        let message = refused(&original, window, hop);
        assert!(message.contains("no gaps between windows"), "{message}");
    }
    let message = refused(&original, 12, 12);
    assert!(
        message.contains("no recording is as long as a window of 12"),
        "{message}"
    );
    let mut other = original.clone();
    other.recordings[1].channels.pop();
    let message = refused(&other, 4, 4);
    assert!(message.contains("windows have the same"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files);
}

/// A pack of overlapping windows must not be a way around the guard gap.
#[test]
fn splits_of_packed_windows_that_overlap_are_those_of_the_recordings() {
    let samples: Vec<String> = (0..6000).map(|i| (i * 7919 % 1009).to_string()).collect();
    let samples = samples.join("\n");
    let folder = folder(&[("lab/p/good/1.csv", samples.clone()), ("lab/p/good/2.csv", samples)]);
    let original = open(&folder.path().join("lab"));
    let out = folder.path().join("lab.h5");
    in_windows(&original, Cut { window: 512, hop: 64 }, &out).unwrap();
    let split = |dataset: &Dataset, kind| {
        let lengths: Vec<usize> = dataset.recordings.iter().map(|r| r.load().unwrap().len()).collect();
        let items: Vec<Item> = (dataset.recordings.iter().zip(lengths))
            .map(|(entry, samples)| Item {
                file: &entry.file,
                unit: None,
                samples,
                windows: None,
            })
            .collect();
        let plan = SplitPlan {
            kind,
            fractions: Fractions::new(0.5, 0.0, 0.5).unwrap(),
            window: 512,
            hop: 64,
            seed: 3,
        };
        split_target("p", &items, &plan).unwrap()
    };
    let packed = open(&out);
    // two recordings, not two hundred windows that might be told apart
    assert_eq!(packed.recordings.len(), 2);
    let found = split(&packed, SplitKind::Recordings);
    assert!(found.recordings.iter().all(|r| r.train.is_empty() != r.test.is_empty()));
    let found = split(&packed, SplitKind::Blocks);
    for r in &found.recordings {
        let (last, first) = (r.train.last().unwrap(), r.test.first().unwrap());
        assert!(
            last + 512 + 512 <= *first,
            "a window of guard between {last} and {first}"
        );
    }
}

/// Any change is an error or changes what is read; none is a panic. Windows are under a checksum.
#[test]
fn a_damaged_pack_of_windows_is_an_error_and_no_panic() {
    let folder = three_lengths();
    let out = folder.path().join("out.h5");
    let original = open(&folder.path().join("m.toml"));
    in_windows(&original, Cut { window: 4, hop: 2 }, &out).unwrap();
    damage(&out, 600);
}

#[test]
fn h5py_reads_windows_by_number_and_their_classes() {
    let folder = three_lengths();
    let out = folder.path().join("windows.h5");
    let original = open(&folder.path().join("m.toml"));
    in_windows(&original, Cut { window: 4, hop: 3 }, &out).unwrap();
    python("h5py", "read_windows.py", &[&out]);
}

#[test]
fn cwru_packed_as_windows_gives_bit_equal_windows() {
    let Some(data) = data() else { return };
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    let mut original = Dataset::open(&manifest("cwru.toml"), &options).unwrap();
    original.recordings.retain(|r| r.path.is_some() && r.domain == "load3");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cwru.h5");
    let cut = Cut {
        window: 1024,
        hop: 1024,
    };
    let report = in_windows(&original, cut, &out).unwrap();
    println!("{report:?}");
    assert_covered(&original, &open(&out), cut);
}
