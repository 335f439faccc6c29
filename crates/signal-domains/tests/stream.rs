//! Windows come from the files as from memory, in the order asked for, and in memory that does not grow with the data; how long
//! recordings are is kept in an index.

mod common;

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};

use signal_domains::{
    Dataset, Error, Extent, OpenOptions, OpenRecordings, RecordingEntry, StreamOptions, WindowStream, pack,
};
use tempfile::TempDir;

#[path = "common/memory.rs"]
mod memory;
use memory::{Counting, LIVE, MEASURING, PEAK};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn alone() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

const RECORDINGS: usize = 40;
const SAMPLES: usize = 20_000;

fn sample(recording: usize, at: usize) -> f64 {
    ((recording * 7919 + at * 104_729) % 65_521) as f64 - 32_760.0
}

/// WAV files of 16 bits.
fn lab() -> (TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rig")).unwrap();
    for n in 0..RECORDINGS {
        let samples = (0..SAMPLES).map(|i| sample(n, i) as i16);
        fs::write(folder.path().join(format!("rig/{n:02}.wav")), wav(samples.collect())).unwrap();
    }
    let dataset = open(folder.path());
    (folder, dataset)
}

fn wav(samples: Vec<i16>) -> Vec<u8> {
    let bytes = 2 * samples.len() as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8000u32.to_le_bytes());
    wav.extend(16000u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.into_iter().flat_map(i16::to_le_bytes));
    wav
}

fn open(path: &Path) -> Dataset {
    Dataset::open(path, &OpenOptions::default()).unwrap()
}

/// Every window of every recording, in an order that jumps between them.
fn shuffled(window: usize) -> Vec<(usize, usize)> {
    let each = SAMPLES / window;
    let all = RECORDINGS * each;
    (0..all)
        .map(|k| k * 7919 % all)
        .map(|k| (k % RECORDINGS, k / RECORDINGS * window))
        .collect()
}

#[test]
fn windows_are_those_of_the_files_in_the_order_asked_for_by_any_number_of_threads() {
    let _one = alone();
    let (folder, dataset) = lab();
    let packed = folder.path().join("lab.h5");
    pack(&dataset, &packed, &mut |_| {}).unwrap();
    let packed = open(&packed);
    let asked = shuffled(500);
    for (dataset, workers, ahead, open_files) in [
        (&dataset, 1, 1, 1),
        (&dataset, 3, 16, 4),
        (&dataset, 2, 500, 100),
        (&packed, 2, 16, 8),
    ] {
        let options = StreamOptions {
            window: 500,
            workers,
            ahead,
            open_files,
        };
        let mut single = WindowStream::<_, f32>::new(&dataset.recordings, asked.clone(), &options).unwrap();
        let mut double = WindowStream::<_, f64>::new(&dataset.recordings, asked.clone(), &options).unwrap();
        for (n, &(recording, start)) in asked.iter().enumerate() {
            let expected: Vec<f64> = (start..start + 500).map(|at| sample(recording, at)).collect();
            let window = double.next().unwrap().unwrap();
            assert_eq!(window, [&expected[..]], "{recording} {start} {options:?}");
            let window = single.next().unwrap().unwrap();
            // every one of them can be told in 32 bits
            let expected: Vec<f32> = expected.into_iter().map(|v| v as f32).collect();
            assert_eq!(window, [expected], "{recording} {start} {options:?}");
            // memory that was used before makes no difference; some of it comes back
            if n % 3 > 0 {
                single.give_back(window);
            }
        }
        assert!(single.next().is_none() && double.next().is_none());
    }
}

#[test]
fn a_window_that_cannot_be_read_is_an_error_in_its_place_and_the_others_come() {
    let _one = alone();
    let (folder, dataset) = lab();
    fs::write(folder.path().join("rig/01.wav"), "RIFF").unwrap();
    let asked = [(0, 0), (1, 0), (0, SAMPLES - 1024), (0, SAMPLES - 1023), (2, 5)];
    let options = StreamOptions::default();
    let stream = WindowStream::<_, f32>::new(&dataset.recordings, asked, &options).unwrap();
    let read: Vec<bool> = stream.map(|w| w.is_ok()).collect();
    assert_eq!(read, [true, false, true, false, true]);
    let mut stream = WindowStream::<_, f32>::new(&dataset.recordings, [(RECORDINGS, 0)], &options).unwrap();
    assert!(matches!(stream.next(), Some(Err(Error::Argument(_)))));
    let none = StreamOptions { ahead: 0, ..options };
    assert!(WindowStream::<_, f32>::new(&dataset.recordings, asked, &none).is_err());
    // one that nobody waits for ends its threads
    let endless = shuffled(100).into_iter().cycle();
    let mut stream = WindowStream::<_, f64>::new(&dataset.recordings, endless, &options).unwrap();
    assert!(stream.next().is_some());
}

#[test]
fn memory_is_that_of_the_windows_ahead_and_not_of_the_data() {
    let _one = alone();
    let (_folder, dataset) = lab();
    let asked = shuffled(1000);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let options = StreamOptions {
        window: 1000,
        workers: 2,
        ahead: 16,
        open_files: 4,
    };
    let mut sum = 0.0;
    for window in WindowStream::<_, f64>::new(&dataset.recordings, asked, &options).unwrap() {
        sum += window.unwrap()[0][0];
    }
    assert!(sum.is_finite());
    let taken = PEAK.load(Relaxed) - before;
    // 16 windows of 8 kB, the descriptions of 8 files and of the data set; the data are 6.4 MB
    assert!(taken < 600_000, "{taken} bytes");
}

#[test]
fn lengths_are_kept_in_an_index_that_may_be_deleted_and_follows_the_files() {
    let _one = alone();
    let (folder, dataset) = lab();
    let index = folder.path().join(".signal-domains-index");
    let lengths = |dataset: &Dataset| -> Vec<usize> {
        let extents = dataset.extents();
        extents
            .into_iter()
            .map(|e| e.map_or(0, |e: Extent| e.samples))
            .collect()
    };
    let whole = vec![SAMPLES; RECORDINGS];
    assert_eq!(lengths(&dataset), whole);
    let written = fs::read_to_string(&index).unwrap();
    assert_eq!(written.lines().count(), RECORDINGS + 1);
    assert!(written.contains("\t20000\t8000\trig/00.wav"), "{written}");
    // it is what is used: what it says wrongly is said
    fs::write(&index, written.replacen("\t20000\t", "\t19999\t", 1)).unwrap();
    assert_eq!(lengths(&open(folder.path()))[0], 19_999);
    // damaged or gone, it is made again
    for damaged in [written.replace("\t8000\t", "\tx\t"), "something else\n".into()] {
        fs::write(&index, damaged).unwrap();
        assert_eq!(lengths(&dataset), whole);
        assert_eq!(fs::read_to_string(&index).unwrap(), written);
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(lengths(&dataset), whole);
    // a file that changes is looked at again; one that is gone is an error in its place
    let path = folder.path().join("rig/03.wav");
    let mut wav = fs::read(&path).unwrap();
    wav.truncate(44 + 2 * 100);
    wav[40..44].copy_from_slice(&200u32.to_le_bytes());
    wav[4..8].copy_from_slice(&236u32.to_le_bytes());
    fs::write(&path, wav).unwrap();
    fs::remove_file(folder.path().join("rig/05.wav")).unwrap();
    let mut expected = whole.clone();
    expected[3] = 100;
    expected[5] = 0;
    assert_eq!(lengths(&dataset), expected);
    assert!(dataset.extents()[5].is_err());
    // the rate too; and it is no recording itself
    assert_eq!(dataset.extents()[0].as_ref().unwrap().rate_hz, Some(8000.0));
    assert_eq!(open(folder.path()).recordings.len(), RECORDINGS - 1);
}

#[test]
fn a_recording_that_is_looked_over_piece_by_piece_shows_what_it_shows_as_a_whole() {
    let _one = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    // more than one piece; the largest value is reached in the first and, clipped, across the border of the second
    let noise = |i: usize| (i * 104_729 % 60_000) as i16 / 2;
    let mut samples: Vec<i16> = (0..700_000).map(noise).collect();
    samples[100..110].fill(30_500);
    for clipped in [30_500, 31_000] {
        samples[(1 << 19) - 3..(1 << 19) + 4].fill(clipped);
        fs::write(&path, wav(samples.clone())).unwrap();
        let entry = Arc::new(RecordingEntry::of_file(&path, &[]));
        let files = OpenRecordings::new(2);
        let open = files.open(&entry).unwrap();
        assert!(open.pieces().count() > 1);
        let whole = entry.load().unwrap();
        let scan = open.scan().unwrap();
        assert_eq!(scan, whole.scan());
        assert_eq!(scan.clipped[0].1, if clipped == 30_500 { 17 } else { 7 }, "{scan:?}");
        let pieces: Vec<f64> = open.pieces().flat_map(|piece| piece.unwrap().remove(0)).collect();
        assert_eq!(pieces, whole.channels[0]);
        // opened once, however often it is read
        assert!(Arc::ptr_eq(&open, &files.open(&entry).unwrap()));
        assert_eq!(files.read::<f64>(&entry, 99, 3).unwrap(), [&whole.channels[0][99..102]]);
    }
}
