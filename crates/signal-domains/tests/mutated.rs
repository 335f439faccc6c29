//! Two thousand mutations of a file of each format, a real recording where we have one, else a file that another program wrote:
//! every one is read or is an error; what is read in a piece is that piece of the whole.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use signal_domains::{ReadOptions, SignalFile};

const MUTATIONS: u64 = 2000;

/// The real files; of long texts and tables only so many bytes are taken, or a debug build reads for minutes.
const FILES: [(&str, &str, usize); 8] = [
    ("MAT level 5", "cwru/original/105.mat", usize::MAX),
    ("MAT level 5, nested", "mfpt/InnerRaceFault_vload_1.mat", usize::MAX),
    ("MAT level 5, packed", "hit_sm/mfs/Normal_900.mat", usize::MAX),
    ("NPZ", "cwru_npz/1797_IR_28_DE12.npz", usize::MAX),
    ("HDF5", "ligo/L-L1_LOSC_4_V2-1126259446-32.hdf5", usize::MAX),
    ("TDMS", "tdms/good_tdms_2.tdms", usize::MAX),
    ("WAV", "spoken_digits/0_george_2.wav", usize::MAX),
    ("CSV", "gearbox/b30hz0.csv", 8000),
];

/// Files of other programs, of the formats that no real file is of: scipy, hdf5storage, numpy, pyuff, soundfile, pandas, npTDMS.
const FIXTURES: [(&str, &str); 12] = [
    ("MAT level 4", "level4.mat"),
    ("MAT 7.3", "nested73.mat"),
    ("HDF5, filters", "filters.h5"),
    ("NPY", "fortran.npy"),
    ("UFF 58", "text.uff"),
    ("UFF 58b", "binary.uff"),
    ("FLAC", "stereo.flac"),
    ("CSV, gzip", "pandas.csv.gz"),
    ("UTF-16", "utf16.txt"),
    ("TDMS, DAQmx", "daqmx.tdms"),
    ("Parquet", "pandas.parquet"),
    ("Arrow", "polars.arrow"),
];

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// A few bytes changed, half of them near the ends, where headers and indexes are; one in eight is cut short as well.
/// The changes are made in the file, and undone: the recordings are long.
struct Mutated<'a> {
    sound: &'a [u8],
    file: File,
}

impl Mutated<'_> {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.file.seek(SeekFrom::Start(at as u64)).unwrap();
        self.file.write_all(bytes).unwrap();
    }

    fn with(&mut self, random: &mut Random, look: impl FnOnce()) {
        let len = self.sound.len() as u64;
        let mut changed = Vec::new();
        for _ in 0..=random.below(8) {
            let edge = len.min(4096);
            let at = match random.below(4) {
                0 => random.below(edge),
                1 => len - 1 - random.below(edge),
                _ => random.below(len),
            } as usize;
            let value = match random.below(3) {
                0 => [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
                1 => self.sound[at] ^ (1 << random.below(8)),
                _ => random.below(256) as u8,
            };
            self.put(at, &[value]);
            changed.push(at);
        }
        let cut = (random.below(8) == 0).then(|| len - random.below(len.min(8192)));
        if let Some(cut) = cut {
            self.file.set_len(cut).unwrap();
        }
        look();
        if let Some(cut) = cut {
            let sound = self.sound;
            self.put(cut as usize, &sound[cut as usize..]);
        }
        for at in changed {
            let byte = self.sound[at];
            self.put(at, &[byte]);
        }
    }
}

/// Whether the file opens and its first variables can be read; panics where a piece is not that piece of the whole.
fn is_read(path: &Path, whole: bool) -> bool {
    let file = match SignalFile::open(path, &ReadOptions::default()) {
        Ok(file) => file,
        Err(e) => {
            assert!(e.to_string().contains("recording"), "an error names the file: {e}");
            return false;
        }
    };
    let mut sound = true;
    for (index, variable) in file.variables().iter().enumerate().take(6).filter(|(_, v)| v.numeric) {
        let len = variable.samples().min(200);
        let piece = file.read_range::<f64>(index, 0, 0, len);
        sound &= piece.is_ok();
        if whole && let (Ok(piece), Ok(all)) = (&piece, file.read(index)) {
            assert!(
                piece
                    .iter()
                    .zip(&all[0][..len])
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            );
        }
    }
    sound
}

fn mutate(format: &str, name: &str, sound: &[u8], seed: u64, folder: &Path) {
    let ending = name.split_once('.').map_or(name, |(_, ending)| ending);
    let path = folder.join(format!("recording.{ending}"));
    fs::write(&path, sound).unwrap();
    assert!(is_read(&path, true), "{format}");
    let open = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut mutated = Mutated { sound, file: open };
    let mut random = Random(seed);
    let mut read = 0;
    for n in 0..MUTATIONS {
        mutated.with(&mut random, || read += u64::from(is_read(&path, n % 50 == 0)));
    }
    println!("{format}: {read} of {MUTATIONS} are read");
    assert!(read < MUTATIONS, "{format}: {read}");
    assert_eq!(fs::read(&path).unwrap(), sound, "{format}: undone");
}

#[test]
fn two_thousand_mutations_of_a_real_file_of_each_format_are_read_or_are_errors() {
    let Some(data) = common::data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (number, (format, file, most)) in FILES.into_iter().enumerate() {
        let mut sound = fs::read(data.join(file)).unwrap();
        if sound.len() > most {
            // whole lines
            let end = sound[..most].iter().rposition(|b| *b == b'\n').unwrap();
            sound.truncate(end + 1);
        }
        mutate(
            format,
            file.rsplit('/').next().unwrap(),
            &sound,
            number as u64,
            folder.path(),
        );
    }
}

#[test]
fn two_thousand_mutations_of_a_file_of_every_other_format_are_read_or_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (format, name)) in FIXTURES.into_iter().enumerate() {
        if cfg!(not(feature = "parquet")) && ["Parquet", "Arrow"].contains(&format) {
            continue;
        }
        let sound = fs::read(common::fixture(name)).unwrap();
        mutate(format, name, &sound, 100 + number as u64, folder.path());
    }
}
