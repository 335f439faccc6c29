//! HDF5 files and MAT files of version 7.3 by two libraries: what ours says of them is what the C library says.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use signal_domains::{ReadOptions, SignalFile, Variable};

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if is_hdf5(&path) {
            found.push(path);
        }
    }
    found.sort();
}

fn is_hdf5(path: &Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(path)
        .unwrap()
        .take(1024)
        .read_to_end(&mut head)
        .unwrap();
    let signature = b"\x89HDF\r\n\x1a\n";
    head.starts_with(signature) || head.get(512..520) == Some(signature)
}

fn numeric(file: &SignalFile) -> BTreeMap<String, (usize, &Variable)> {
    let numeric = file.variables().iter().enumerate().filter(|(_, v)| v.numeric);
    numeric.map(|(index, v)| (v.name.clone(), (index, v))).collect()
}

/// Compares names, shapes, types and samples; how many data sets, and how many samples.
fn compare(path: &Path) -> (usize, usize) {
    let ours = SignalFile::open(path, &ReadOptions::default()).unwrap();
    let theirs = SignalFile::open_by_hdf5_c(path, &ReadOptions::default()).unwrap();
    let (mut own, other) = (numeric(&ours), numeric(&theirs));
    // members of records are listed by the C library and not read
    for member in theirs.variables().iter().filter(|v| !v.numeric) {
        if let Some((_, found)) = own.get(&member.name) {
            if member.kind == "unreadable" {
                // a C library of today's Debian does not read what h5py writes as `latest`
                println!("{}: {} is not read by this C library", path.display(), member.name);
                own.remove(&member.name);
                continue;
            }
            let same = member.kind.contains(&found.kind);
            assert!(same, "{}: {found:?} {member:?}", path.display());
            own.remove(&member.name);
        }
    }
    assert_eq!(
        own.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>(),
        "{}",
        path.display()
    );
    let mut samples = 0;
    for (name, (index, variable)) in &own {
        let (there, found) = other[name];
        assert_eq!(
            (&variable.shape, &variable.kind),
            (&found.shape, &found.kind),
            "{} {name}",
            path.display()
        );
        // what was never written takes no room in the file, and would in memory
        if variable.elements() > 1 << 26 {
            continue;
        }
        let (a, b) = (ours.read(*index).unwrap(), theirs.read(there).unwrap());
        let bits = |channels: &[Vec<f64>]| -> Vec<Vec<u64>> {
            channels
                .iter()
                .map(|c| c.iter().map(|v| v.to_bits()).collect())
                .collect()
        };
        assert!(bits(&a) == bits(&b), "{} {name}: {a:?} {b:?}", path.display());
        let (start, len) = (variable.samples() / 3, variable.samples().div_ceil(4));
        if let Some(channel) = variable.channels().checked_sub(1) {
            let piece = theirs.read_range::<f64>(there, channel, start, len).unwrap();
            assert_eq!(bits(&[piece])[0], bits(&a)[channel][start..start + len], "{name}");
        }
        samples += a.iter().map(Vec::len).sum::<usize>();
    }
    (own.len(), samples)
}

#[test]
fn every_fixture_is_to_both_libraries_the_same() {
    let mut files = Vec::new();
    files_below(&common::fixture(""), &mut files);
    let mut sets = 0;
    for file in &files {
        let (n, samples) = compare(file);
        println!("{}: {n} data sets, {samples} samples", file.display());
        sets += n;
    }
    assert!(files.len() >= 8 && sets > 45, "{} files, {sets} data sets", files.len());
}

#[test]
fn real_recordings_are_to_both_libraries_the_same() {
    let Some(data) = common::data() else { return };
    let mut files = Vec::new();
    files_below(&data, &mut files);
    let mut samples = 0;
    for file in &files {
        let (n, read) = compare(file);
        println!("{}: {n} data sets, {read} samples", file.display());
        samples += read;
    }
    assert!(
        !files.is_empty() && samples > 100_000,
        "{} files, {samples} samples",
        files.len()
    );
}

#[test]
fn a_packed_data_set_is_to_both_libraries_the_same() {
    let folder = common::folder(&[
        ("p/good/1.csv", "x,y\n1,0.5\n2,-0.0\n"),
        ("p/worn/2.csv", "x,y\n1,3e300\n7,5\n"),
    ]);
    let dataset = signal_domains::Dataset::open(
        folder.path(),
        &signal_domains::OpenOptions {
            key: Some("x".into()),
            ..Default::default()
        },
    );
    let out = folder.path().join("out.h5");
    signal_domains::pack(&dataset.unwrap(), &out, &mut |_| {}).unwrap();
    assert_eq!(compare(&out), (2, 4));
}
