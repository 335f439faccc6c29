//! Packs in Parquet, of recordings and of windows.

use signal_domains::{Attribute, Cut, ReadOptions, SignalFile, pack_windows};

use super::windows::three_lengths;
use super::*;

fn pack_parquet(dataset: &Dataset, out: &Path) -> Result<signal_domains::Packed, Error> {
    pack_as(PackFormat::Parquet, dataset, out, &mut |_| {})
}

const FILES: [(&str, &str); 4] = [
    ("rig/one.csv", "x [g],y\n1,0.1\n-0.0,nan\n3e300,1e-310\n"),
    ("rig_one.csv", "x,y\n1,5\n2,-32768\n3,32767\n4,0\n"),
    ("rig/none.csv", "x,y\n"),
    ("m.toml", LAB),
];

#[test]
fn every_key_class_channel_and_bit_comes_back_from_parquet_too() {
    let folder = folder(&FILES);
    let original = open(&folder.path().join("m.toml"));
    let out = folder.path().join("lab.parquet");
    let packed = pack_parquet(&original, &out).unwrap();
    assert_eq!((packed.recordings, packed.samples), (3, 3 * 2 + 4 * 2 + 3));
    assert!(Dataset::is_packed(&out));
    assert_same(&original, &open(&out));
    let options = OpenOptions {
        channels: Some(vec!["y".into()]),
        ..OpenOptions::default()
    };
    let chosen = Dataset::open(&out, &options).unwrap();
    assert_eq!(
        chosen.recordings[1].load().unwrap().channels,
        [[5.0, -32768.0, 32767.0, 0.0]]
    );
}

#[test]
fn long_recordings_are_read_in_pieces_that_are_those_of_the_whole() {
    let samples: Vec<String> = (0..50_000).map(|i| (i * 7919 % 65_536 - 32_768).to_string()).collect();
    let folder = folder(&[
        ("lab/p/good/1.csv", samples.join("\n")),
        ("lab/p/good/2.csv", "5\n6\n".to_owned()),
    ]);
    let original = open(&folder.path().join("lab"));
    let out = folder.path().join("lab.parquet");
    let packed = pack_parquet(&original, &out).unwrap();
    // as small as 16-bit integers, though each sample is a 64-bit float
    assert!(packed.bytes < 2 * 50_000 + 8_000, "{packed:?}");
    let packed = open(&out);
    assert_same(&original, &packed);
    let entry = packed.recordings[0].open().unwrap();
    let whole = entry.read::<f64>(0, 50_000).unwrap();
    for start in [0, 1, 16_383, 16_384, 16_385, 32_000, 49_000] {
        for len in [1, 1000] {
            assert_eq!(
                entry.read::<f64>(start, len).unwrap()[0],
                whole[0][start..start + len],
                "{start}"
            );
        }
    }
}

#[test]
fn an_attribute_of_two_types_is_refused_for_a_table_and_says_why() {
    let text = LAB.replace(
        "[[recording]]\nfile = \"rig_one.csv\"",
        "[[recording]]\nattributes = { size = \"big\" }\nfile = \"rig_one.csv\"",
    );
    let folder = folder(&[FILES[0], FILES[1], ("m.toml", &text)]);
    let out = folder.path().join("lab.parquet");
    let message = pack_parquet(&open(&folder.path().join("m.toml")), &out)
        .unwrap_err()
        .to_string();
    assert!(message.contains("attribute size is of another type"), "{message}");
    assert!(!out.exists());
}

#[test]
fn a_parquet_file_that_is_no_data_set_says_what_to_do() {
    let path = common::fixture("polars.parquet");
    let message = Dataset::open(&path, &OpenOptions::default()).unwrap_err().to_string();
    assert!(
        message.contains("none that `pack` wrote") && message.contains("manifest"),
        "{message}"
    );
    assert!(!Dataset::is_packed(&path));
}

/// Any change is an error or changes what is read; none is a panic. Samples are under a checksum.
#[test]
fn a_damaged_table_is_an_error_and_no_panic() {
    let folder = folder(&FILES);
    let out = folder.path().join("lab.parquet");
    pack_parquet(&open(&folder.path().join("m.toml")), &out).unwrap();
    damage(&out, 2000);
}

#[test]
fn cwru_packed_gives_the_same_bits() {
    let Some(data) = data() else { return };
    let options = OpenOptions {
        data_root: Some(data),
        ..OpenOptions::default()
    };
    let mut original = Dataset::open(&manifest("cwru.toml"), &options).unwrap();
    original.recordings.retain(|r| r.path.is_some() && r.domain == "load3");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cwru.parquet");
    let report = pack_parquet(&original, &out).unwrap();
    println!("{report:?}");
    assert_same(&original, &open(&out));
}

#[test]
fn windows_in_a_table_are_a_row_each_with_what_is_said_of_their_recording() {
    let folder = three_lengths();
    let original = open(&folder.path().join("m.toml"));
    let out = folder.path().join("windows.parquet");
    let cut = Cut { window: 4, hop: 3 };
    let packed = pack_windows(PackFormat::Parquet, &original, cut, &out, &mut |_| {}).unwrap();
    assert_eq!(packed.windows, 5);
    let file = SignalFile::open(&out, &ReadOptions::default()).unwrap();
    let mut row = 0;
    for (number, entry) in original.recordings.iter().enumerate() {
        let whole = entry.load().unwrap();
        for start in (0..whole.len()).step_by(3).take_while(|start| start + 4 <= whole.len()) {
            let variable = &file.variables()[file.find(&format!("samples{{{}}}", row + 1)).unwrap().0];
            let samples = file
                .read_range::<f64>(file.find(&variable.name).unwrap().0, 0, 0, 8)
                .unwrap();
            let expected: Vec<f64> = whole
                .channels
                .iter()
                .flat_map(|c| c[start..start + 4].to_vec())
                .collect();
            assert_eq!(samples, expected);
            let stated = |key: &str| variable.attributes.get(key).cloned();
            let text = |text: &str| Some(Attribute::Text(text.into()));
            assert_eq!(stated("start"), Some(Attribute::Number(start as f64)));
            assert_eq!(stated("recording"), Some(Attribute::Number(number as f64)));
            assert_eq!(
                (stated("domain"), stated("file")),
                (text(&entry.domain), text(&entry.file))
            );
            assert_eq!(stated("class"), entry.class.and_then(|c| text(&original.classes[c])));
            assert_eq!(stated("unit_id"), entry.unit.as_deref().and_then(text));
            assert_eq!(stated("attributes.new"), entry.attributes.get("new").cloned());
            assert_eq!((stated("variable"), variable.rate_hz), (text("a,b"), Some(1000.0)));
            row += 1;
        }
    }
    assert_eq!((row, file.find("samples{6}").is_err()), (5, true));
    let message = Dataset::open(&out, &OpenOptions::default()).unwrap_err().to_string();
    assert!(
        message.contains("windows in a Parquet file") && message.contains("HDF5"),
        "{message}"
    );
}

/// More windows than a page, pages than a row group.
#[test]
fn many_windows_in_a_table_are_those_of_the_recording() {
    // of which no byte can be guessed: a file lists no more rows than its size allows
    let samples: Vec<String> = (0..300_000)
        .map(|i| (0.7391 * f64::from(i)).sin().to_string())
        .collect();
    let folder = folder(&[("lab/p/good/1.csv", samples.join("\n"))]);
    let original = open(&folder.path().join("lab"));
    let whole = original.recordings[0].load().unwrap();
    for cut in [
        Cut { window: 700, hop: 150 },
        Cut {
            window: 40_000,
            hop: 20_000,
        },
    ] {
        let out = folder.path().join(format!("{}.parquet", cut.window));
        let packed = pack_windows(PackFormat::Parquet, &original, cut, &out, &mut |_| {}).unwrap();
        let file = SignalFile::open(&out, &ReadOptions::default()).unwrap();
        for row in 0..packed.windows {
            let (index, _) = file.find(&format!("samples{{{}}}", row + 1)).unwrap();
            let window = &whole.channels[0][row * cut.hop..][..cut.window];
            assert!(
                file.read_range::<f64>(index, 0, 0, cut.window).unwrap() == window,
                "{cut:?} {row}"
            );
        }
    }
}

#[test]
fn pandas_and_polars_read_a_pack_by_its_columns() {
    let folder = folder(&FILES);
    let out = folder.path().join("lab.parquet");
    pack_parquet(&open(&folder.path().join("m.toml")), &out).unwrap();
    let windows = folder.path().join("windows.parquet");
    let lengths = three_lengths();
    let original = open(&lengths.path().join("m.toml"));
    pack_windows(
        PackFormat::Parquet,
        &original,
        Cut { window: 4, hop: 3 },
        &windows,
        &mut |_| {},
    )
    .unwrap();
    python("pandas, polars, pyarrow", "read_pack_table.py", &[&out, &windows]);
}
