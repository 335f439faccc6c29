//! Text files: what is detected is shown, what is no number is an error with its place.

use std::path::{Path, PathBuf};

use signal_domains::{
    Attribute, Dataset, Decimal, Delimiter, Encoding, Error, OpenOptions, ReadOptions, Recording, SignalFile,
    TextLayout, load_file,
};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, text: &[u8]) -> PathBuf {
        let path = self.0.path().join("rec.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, text: &str, keys: &[&str]) -> Result<Recording, Error> {
        load_file(
            &self.write(text.as_bytes()),
            &keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>(),
        )
    }
}

#[test]
fn delimiter_header_and_decimal_mark_are_detected_and_shown() {
    let folder = Folder::new();
    for (text, keys, expected, shown) in [
        (
            "a,b\n1,2\n3,4\n",
            vec!["a", "b"],
            vec![vec![1.0, 3.0], vec![2.0, 4.0]],
            "2 columns set apart by commas, a header line",
        ),
        (
            "1,2\n3,4\n",
            vec!["1", "2"],
            vec![vec![1.0, 3.0], vec![2.0, 4.0]],
            "2 columns set apart by commas, no header line",
        ),
        (
            "x;y\r\n1,5;-2\r\n3;4,25\r\n",
            vec!["x", "y"],
            vec![vec![1.5, 3.0], vec![-2.0, 4.25]],
            "semicolons, decimal comma, a header",
        ),
        ("1.5;2\n3;4\n", vec!["2"], vec![vec![2.0, 4.0]], "semicolons, no header"),
        (
            "t\tx\n0,1\t1e3\n0,2\t-2E-1\n",
            vec!["x"],
            vec![vec![1000.0, -0.2]],
            "tabs, decimal comma, a header",
        ),
        (
            "  1   2\n 3 4  \n",
            vec!["2"],
            vec![vec![2.0, 4.0]],
            "2 columns set apart by spaces, no header",
        ),
        (
            "x\n1\n2\n\n\n",
            vec!["*"],
            vec![vec![1.0, 2.0]],
            "1 column without a delimiter, a header",
        ),
        (
            "1\n2",
            vec!["*"],
            vec![vec![1.0, 2.0]],
            "1 column without a delimiter, no header",
        ),
        (
            "# rig 3\n% 12 kHz\nx\n1\n2\n",
            vec!["x"],
            vec![vec![1.0, 2.0]],
            "a header line, 2 comment lines",
        ),
        ("\u{feff}a,b\n1,2\n3,4\n", vec!["a"], vec![vec![1.0, 3.0]], "commas"),
        (
            "\"time, s\",\"acc [g]\"\n0,1\n1,2\n",
            vec!["acc [g]"],
            vec![vec![1.0, 2.0]],
            "2 columns set apart by commas",
        ),
        (
            "\"1\",\"2\"\n\"3\",\"4\"\n",
            vec!["1"],
            vec![vec![1.0, 3.0]],
            "no header",
        ),
    ] {
        let recording = folder.read(text, &keys).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(recording.channels, expected, "{text:?}");
        let dialect = recording.dialect.unwrap().to_string();
        assert!(dialect.contains(shown), "{text:?}: {dialect}");
    }
}

#[test]
fn nan_and_infinity_as_text_are_read_as_such() {
    let recording = Folder::new().read("x\nNaN\n1\n-inf\nnan\n", &[]).unwrap();
    let scan = recording.scan();
    assert_eq!((scan.nan, scan.infinite), (2, 1));
    let fault = scan.fault().unwrap();
    assert!(
        fault.contains("2 NaN samples") && fault.contains("1 infinite"),
        "{fault}"
    );
}

#[test]
fn what_is_no_number_is_an_error_with_line_and_column() {
    let folder = Folder::new();
    for (text, words) in [
        (
            "a,b\n1,2\n3,oops\n",
            "line 3, column 2: expected a number, found \"oops\"",
        ),
        ("a,b\n1,2\n3,\n", "line 3, column 2: expected a number, found \"\""),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, expected 2"),
        ("a,b\n1,2\n\n3,4\n", "line 3: 1 cells"),
        ("1,2\n1,2x\n", "line 2, column 2"),
        ("1,x\n1,2\n", "line 1, column 2"),
        (
            "a;b\n1,5;2\n1.5;2\n",
            "line 3, column 1: expected a number, found \"1.5\"",
        ),
        ("a;b\n1.000,5;2\n", "found \"1.000,5\""),
        ("a,b,c\n1,2\n3,4\n", "header of 3 names over 2 columns"),
        ("x\n1.0\ntwo\n", "line 3, column 1"),
        ("x\n", "zero length"),
        ("a,b\n", "zero length"),
        ("# nothing\n", "nothing but comment lines"),
        ("\n\n", "nothing but empty lines"),
        ("x\n1 000\n2 000,5\n", "line"),
    ] {
        let message = folder.read(text, &["*"]).unwrap_err().to_string();
        assert!(
            message.contains("rec.csv") && message.contains(words),
            "{text:?}: {message}"
        );
    }
    // after the lines that were looked at for the layout
    let mut long = "x,y\n".to_owned() + &"1,2\n".repeat(500);
    long += "1,2,3\n";
    let message = folder.read(&long, &["x"]).unwrap_err().to_string();
    assert!(
        message.contains("line 502: 3 cells, expected 2 (read as 2 columns set apart by commas"),
        "{message}"
    );
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_and_not_dropped() {
    let folder = Folder::new();
    let path = folder.write(b"Temp \xb0C\n1\n2\n");
    let message = load_file(&path, &[]).unwrap_err().to_string();
    assert!(
        message.contains("line 1") && message.contains("byte 5") && message.contains("UTF-8"),
        "{message}"
    );
}

#[test]
fn several_columns_need_a_key_and_the_message_lists_them_but_for_times() {
    let message = Folder::new()
        .read("t,x,y\n0,1,2\n1,2,3\n", &[])
        .unwrap_err()
        .to_string();
    assert!(message.contains("fits 2 channels: x (2 text), y (2 text)"), "{message}");
    assert_eq!(
        Folder::new().read("t,x,y\n0,1,2\n1,2,3\n", &["*#2"]).unwrap().names,
        ["y"]
    );
}

#[test]
fn what_a_manifest_states_about_text_is_not_guessed() {
    let folder = Folder::new();
    folder.write(b"1,5\n2,5\n");
    let manifest = folder.0.path().join("m.toml");
    let open = |text: &str| {
        let toml = format!("[dataset]\n{text}\n[[recording]]\nfile = \"rec.csv\"\ndomain = \"d\"\n");
        std::fs::write(&manifest, toml).unwrap();
        Dataset::open(&manifest, &OpenOptions::default()).unwrap().recordings[0].load()
    };
    let recording = open("text = { delimiter = \"none\", decimal = \"comma\", header = false }").unwrap();
    assert_eq!(recording.channels, [[1.5, 2.5]]);
    let dialect = recording.dialect.unwrap();
    assert_eq!(
        (dialect.delimiter, dialect.decimal, dialect.header),
        (Delimiter::None, Decimal::Comma, false)
    );
    let recording = open("text = { delimiter = \"semicolon\" }").unwrap();
    assert_eq!(recording.channels, [[1.5, 2.5]]);
    let message = open("text = { delimiter = \"tab\", decimal = \"point\" }")
        .unwrap_err()
        .to_string();
    assert!(message.contains("line 2") && message.contains("tabs"), "{message}");
    let message = open("text = { delimiter = \"comma\", decimal = \"comma\" }")
        .unwrap_err()
        .to_string();
    assert!(message.contains("both"), "{message}");
}

fn fixture(name: &str, encoding: Option<Encoding>) -> Result<SignalFile, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = TextLayout {
        encoding,
        ..TextLayout::default()
    };
    let options = ReadOptions {
        text,
        ..ReadOptions::default()
    };
    SignalFile::open(&path, &options)
}

fn ramp() -> Vec<f64> {
    (0..50).map(|i| f64::from(7 * i % 23 - 11)).collect()
}

#[test]
fn encodings_gzip_and_decimal_commas_give_the_same_samples_rate_and_unit() {
    for (name, encoding, key, unit, shown) in [
        ("pandas.csv", None, "x*", "g", "commas, a header line"),
        ("pandas.csv.gz", None, "x*", "g", "unpacked by gzip"),
        ("utf16.txt", None, "x*", "g", "tabs, a header line, UTF-16"),
        (
            "latin1.csv",
            Some(Encoding::Latin1),
            "Temp*",
            "\u{b0}C",
            "decimal comma, a header line, Latin-1",
        ),
        (
            "gb18030.csv",
            Some(Encoding::Gb18030),
            "\u{52a0}*",
            "\u{7c73}/\u{79d2}\u{b2}",
            "GB 18030",
        ),
    ] {
        let file = fixture(name, encoding).unwrap_or_else(|e| panic!("{e}"));
        let (index, channel) = file.find(key).unwrap();
        let variable = &file.variables()[index];
        assert_eq!(file.read(index).unwrap(), [ramp()], "{name}");
        assert_eq!(
            (variable.rate_hz, variable.unit.as_deref()),
            (Some(12_800.0), Some(unit)),
            "{name}"
        );
        assert!(file.variables()[0].time && !variable.time, "{name}");
        let dialect = file.dialect().unwrap().to_string();
        assert!(dialect.contains(shown), "{name}: {dialect}");
        for start in [0, 1, 17, 49, 50] {
            let piece = file.read_range::<f64>(index, channel, start, 50 - start).unwrap();
            assert_eq!(piece, ramp()[start..], "{name}");
        }
    }
    for name in ["latin1.csv", "gb18030.csv"] {
        let message = fixture(name, None).unwrap_err().to_string();
        assert!(
            message.contains("line 1") && message.contains("state its encoding"),
            "{message}"
        );
    }
    let message = fixture("latin1.csv", Some(Encoding::Utf16)).unwrap_err().to_string();
    assert!(message.contains("byte-order mark"), "{message}");
}

#[test]
fn times_with_a_date_give_the_rate_and_a_gap_in_them_is_said() {
    let file = fixture("stamps.csv", None).unwrap();
    let (index, _) = file.find("*").unwrap();
    assert_eq!(file.variables()[index].rate_hz, Some(2000.0));
    assert_eq!(file.read(index).unwrap(), [ramp()]);
    // seconds from the first row, over the end of a leap day
    let times = file.read(0).unwrap();
    assert!(
        times[0]
            .iter()
            .enumerate()
            .all(|(i, t)| (t - i as f64 * 0.0005).abs() < 1e-9)
    );
    let file = fixture("gap.csv", None).unwrap();
    let (index, _) = file.find("*").unwrap();
    let variable = &file.variables()[index];
    assert_eq!(variable.rate_hz, None);
    let Attribute::Text(word) = &variable.attributes["sampling"] else {
        panic!("no word on the sampling");
    };
    assert!(word.contains("irregular: the time in row 21"), "{word}");
}

#[test]
fn a_rate_is_taken_from_times_whose_unit_is_known_alone() {
    let folder = Folder::new();
    for (text, rate, word) in [
        ("t [ms],x\n0,1\n0.5,2\n1,1\n", Some(2000.0), ""),
        ("t,x\nms,g\n0,1\n0.5,2\n1,1\n", Some(2000.0), ""),
        ("t,x\n0,1\n0.5,2\n1,1\n", None, "whose unit is not stated"),
        ("t [s],x\n0.00,1\n0.01,2\n0.08,1\n0.09,1\n0.10,2\n", None, "irregular"),
        // a temperature, or a sensor that is called t: it does not grow
        ("t,x\n20,1\n21,2\n20,1\n", None, ""),
    ] {
        let recording = folder.read(text, &["x"]).unwrap();
        assert_eq!(recording.rate_hz, rate, "{text:?}");
        let file = SignalFile::from_bytes(Path::new("x"), text.as_bytes().to_vec(), &ReadOptions::default()).unwrap();
        let found = match file.variables()[1].attributes.get("sampling") {
            Some(Attribute::Text(word)) => word.clone(),
            _ => String::new(),
        };
        assert!(
            found.contains(word) && found.is_empty() == word.is_empty(),
            "{text:?}: {found}"
        );
        assert_eq!(file.variables()[0].time, !text.contains("20,1"), "{text:?}");
    }
}

#[test]
fn a_rate_of_times_that_the_manifest_contradicts_is_an_error_that_shows_both() {
    let folder = Folder::new();
    folder.write(b"t [s],x\n0,1\n0.001,2\n0.002,1\n");
    let manifest = folder.0.path().join("m.toml");
    std::fs::write(
        &manifest,
        "[dataset]\nrate_hz = 1200\n[[recording]]\nfile = \"rec.csv\"\ndomain = \"d\"\n",
    )
    .unwrap();
    let dataset = Dataset::open(&manifest, &OpenOptions::default()).unwrap();
    let message = dataset.recordings[0].load().unwrap_err().to_string();
    assert!(message.contains("1000") && message.contains("1200"), "{message}");
}

#[test]
fn a_line_of_units_and_stated_lines_at_the_top_are_passed_over_and_shown() {
    let folder = Folder::new();
    let recording = folder
        .read("time;acc\ns;m/s2\n0;1,5\n0,001;2,5\n0,002;0\n", &["acc"])
        .unwrap();
    assert_eq!(
        (recording.channels, recording.rate_hz),
        (vec![vec![1.5, 2.5, 0.0]], Some(1000.0))
    );
    assert!(recording.dialect.unwrap().to_string().contains("a line of units"));
    let path = folder.write(b"Rig;A\nOperator;B\n\nx;y\n1;2\n3;4\n");
    assert!(load_file(&path, &["x".to_owned()]).is_err());
    let text = TextLayout {
        skip_lines: 2,
        ..TextLayout::default()
    };
    let options = ReadOptions {
        text,
        ..ReadOptions::default()
    };
    let file = SignalFile::open(&path, &options).unwrap();
    assert_eq!(file.read(0).unwrap(), [[1.0, 3.0]]);
    assert!(file.dialect().unwrap().to_string().contains("3 comment lines"));
}

#[test]
fn any_piece_of_a_long_file_is_read_from_the_row_where_it_starts() {
    let rows: Vec<String> = (0..20_000).map(|i| format!("{i},{}", 2 * i)).collect();
    let file = SignalFile::from_bytes(Path::new("x"), rows.join("\n").into_bytes(), &ReadOptions::default()).unwrap();
    for start in [0, 4095, 4096, 4097, 12_288, 19_990] {
        let expected: Vec<f64> = (start..start + 10).map(|i| 2.0 * i as f64).collect();
        assert_eq!(file.read_range::<f64>(1, 0, start, 10).unwrap(), expected);
    }
}

#[test]
fn lines_without_end_and_packed_bombs_are_refused() {
    let open = |bytes: Vec<u8>| SignalFile::from_bytes(Path::new("x"), bytes, &ReadOptions::default());
    let message = open(b"1".repeat(1 << 18)).unwrap_err().to_string();
    assert!(message.contains("a line of more than 131072 bytes"), "{message}");
    let mut packed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pandas.csv.gz")).unwrap();
    packed.truncate(packed.len() - 9);
    let message = open(packed).unwrap_err().to_string();
    assert!(message.contains("cut short"), "{message}");
}
