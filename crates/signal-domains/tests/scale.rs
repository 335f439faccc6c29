//! Ten thousand recordings: a manifest opens without looking into them. A step that grew with the square of their number would
//! be felt here.

use std::fmt::Write as _;
use std::fs;

use signal_domains::{Dataset, LeaveOut, OpenOptions, pack};

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

/// Two thousand: each is a data set of its own in the packed file, whose description is read as a whole.
#[test]
fn a_pack_of_two_thousand_recordings_opens_and_each_is_read_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..2000 {
        let path = folder.path().join(format!("rig{}/class{}/{i}.csv", i % 4, i % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{i}\n{}\n{}\n", i + 1, 2 * i)).unwrap();
    }
    let original = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
    let out = folder.path().join("all.h5");
    assert_eq!(pack(&original, &out, &mut |_| {}).unwrap().recordings, 2000);
    let packed = Dataset::open(&out, &OpenOptions::default()).unwrap();
    assert_eq!(packed.recordings.len(), 2000);
    for (a, b) in original.recordings.iter().zip(&packed.recordings).step_by(97) {
        assert_eq!((&a.file, &a.domain, a.class), (&b.file, &b.domain, b.class));
        assert_eq!(a.load().unwrap().channels, b.load().unwrap().channels);
    }
}
