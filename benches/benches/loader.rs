//! From files to the rows of a step: reading, windows and their representation, an epoch's batches. No tensors here.

use std::fmt::Write;
use std::fs;
use std::slice::from_ref;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use signal_conditioning::{Meta, Recipe, ScaleBy, Tail, Windowing, represent, window_starts};
use signal_domains::{Balance, Sampler, SourceRows, TargetRows, load_file};

const RATE_HZ: usize = 12_000;
const SAMPLES: usize = 10 * RATE_HZ;

/// Two tones and a residue that no file format stores in few digits.
fn recording() -> Vec<f64> {
    let sample = |i: usize| {
        let t = i as f64 / RATE_HZ as f64;
        (188.0 * t).sin() + 0.3 * (9_000.0 * t).sin() + ((i * 7919) % 1009) as f64 / 1009.0
    };
    (0..SAMPLES).map(sample).collect()
}

/// An uncompressed MAT level 5 file with one column vector `x` of doubles.
fn mat(samples: &[f64]) -> Vec<u8> {
    let mut file = format!("{:116}", "MATLAB 5.0 MAT-file").into_bytes();
    file.extend([0; 8]); // no subsystem data
    file.extend(0x0100_u16.to_le_bytes());
    file.extend(b"IM"); // little endian
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let data = 8 * samples.len() as u32;
    file.extend(words(&[14, 56 + data])); // miMATRIX
    file.extend(words(&[6, 8, 6, 0])); // flags: mxDOUBLE_CLASS
    file.extend(words(&[5, 8, samples.len() as u32, 1])); // dimensions
    file.extend(words(&[1, 1, u32::from(b'x'), 0])); // name, padded to eight bytes
    file.extend(words(&[9, data])); // miDOUBLE
    file.extend(samples.iter().flat_map(|x| x.to_le_bytes()));
    file
}

fn text(samples: &[f64]) -> String {
    samples.iter().fold("x\n".to_owned(), |mut text, x| {
        writeln!(text, "{x}").unwrap();
        text
    })
}

fn read(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let samples = recording();
    let mut group = c.benchmark_group("loader/read");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for (file, bytes) in [("x.mat", mat(&samples)), ("x.csv", text(&samples).into_bytes())] {
        let path = folder.path().join(file);
        fs::write(&path, bytes).unwrap();
        assert_eq!(load_file(&path, &[]).unwrap().channels, [samples.as_slice()]);
        group.bench_function(file, |b| b.iter(|| load_file(&path, &[]).unwrap()));
    }
    group.finish();
}

fn windows(c: &mut Criterion) {
    let samples = recording();
    let windowing = Windowing {
        length: 1024,
        hop: 1024,
        tail: Tail::Drop,
    };
    let mut group = c.benchmark_group("loader/represent");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let scaled = Recipe::Raw {
        scale: Some(ScaleBy::MeanStd),
    };
    for (name, recipe) in [("raw", scaled), ("log-spectrum", Recipe::LogSpectrum { scale: None })] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let starts = window_starts(samples.len(), &windowing).unwrap();
                let row =
                    |start: usize| represent(&recipe, &samples[start..][..windowing.length], &Meta::default()).unwrap();
                starts.into_iter().map(row).collect::<Vec<_>>()
            });
        });
    }
    group.finish();
}

fn epoch(c: &mut Criterion) {
    const ROWS: usize = 10_000;
    let source = SourceRows {
        domain: "a".into(),
        classes: (0..ROWS).map(|row| row % 9).collect(),
    };
    let target = TargetRows {
        domain: "b".into(),
        rows: ROWS / 2,
    };
    let mut group = c.benchmark_group("loader/epoch");
    group.throughput(Throughput::Elements(ROWS as u64));
    for balance in [Balance::None, Balance::Class] {
        group.bench_function(format!("balance-{balance}"), |b| {
            b.iter(|| {
                let mut sampler = Sampler::new(0, 64, balance, from_ref(&source), from_ref(&target)).unwrap();
                (0..sampler.steps_per_epoch())
                    .map(|_| sampler.next_batch())
                    .collect::<Vec<_>>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read, windows, epoch);
criterion_main!(benches);
