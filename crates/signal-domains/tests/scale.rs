//! Ten thousand recordings: a manifest opens without looking into them. A step that grew with the square of their number would
//! be felt here.

use std::fmt::Write as _;
use std::fs;

use signal_domains::{Dataset, LeaveOut, OpenOptions};

const RECORDINGS: usize = 10_000;

#[test]
fn a_manifest_of_ten_thousand_recordings_opens_and_folds() {
    let folder = tempfile::tempdir().unwrap();
    let name = |i: usize| format!("rig{}/class{}_{i}.csv", i % 4, i % 7);
    let mut listed = String::from("[dataset]\nrate_hz = 1000\n");
    for rig in 0..4 {
        fs::create_dir(folder.path().join(format!("rig{rig}"))).unwrap();
    }
    for i in 0..RECORDINGS {
        fs::write(folder.path().join(name(i)), "1\n").unwrap();
        let _ = writeln!(
            listed,
            "[[recording]]\nfile = '{}'\ndomain = 'rig{}'\nclass = 'class{}'\nunit = 'u{}'",
            name(i),
            i % 4,
            i % 7,
            i % 50
        );
    }
    let found = "[dataset]\nrate_hz = 1000\nfiles = '**/*.csv'\npattern = '(?<domain>rig\\d)/(?<class>class\\d)_(?<n>\\d+)'\n\
                 [domain.late]\nwhere = 'n >= 5000'\n";
    for (what, text, count) in [
        ("listed", listed.as_str(), RECORDINGS),
        ("found", found, RECORDINGS * 3 / 2),
    ] {
        let path = folder.path().join("m.toml");
        fs::write(&path, text).unwrap();
        let dataset = Dataset::open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(dataset.recordings.len(), count, "{what}");
        assert!(dataset.absent().is_empty(), "{what}");
        assert_eq!(
            dataset.folds(LeaveOut::Domain).unwrap().len(),
            dataset.domains().len(),
            "{what}"
        );
    }
}
