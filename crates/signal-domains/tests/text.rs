//! Text files: what is detected is shown, what is no number is an error with its place.

use std::path::PathBuf;

use signal_domains::{Dataset, Decimal, Delimiter, Error, OpenOptions, Recording, load_file};
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
fn several_columns_need_a_key_and_the_message_lists_them() {
    let message = Folder::new()
        .read("t,x,y\n0,1,2\n1,2,3\n", &[])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("fits 3 channels: t (2 text), x (2 text), y (2 text)"),
        "{message}"
    );
    assert_eq!(
        Folder::new().read("t,x,y\n0,1,2\n1,2,3\n", &["*#3"]).unwrap().names,
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
