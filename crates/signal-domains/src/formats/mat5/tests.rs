//! Byte by byte: what `SciPy` does not write, and damage.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use crate::error::{Error, Result};
use crate::formats::numbers::Endian::{self, Big, Little};
use crate::formats::{ReadOptions, SignalFile};

/// Writes elements in either byte order.
struct Writer(Endian);

impl Writer {
    fn word(&self, w: u32) -> [u8; 4] {
        if self.0 == Little {
            w.to_le_bytes()
        } else {
            w.to_be_bytes()
        }
    }

    fn element(&self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut out = [self.word(kind), self.word(data.len() as u32)].concat();
        out.extend(data);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }

    fn small(&self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut out = self.word((data.len() as u32) << 16 | kind).to_vec();
        out.extend(data);
        out.resize(8, 0);
        out
    }

    fn array(&self, class: u32, shape: &[u32], name: &str, numbers: &[u8]) -> Vec<u8> {
        let extents: Vec<u8> = shape.iter().flat_map(|&n| self.word(n)).collect();
        let flags = [self.word(class), self.word(0)].concat();
        let name = if name.len() <= 4 {
            self.small(1, name.as_bytes())
        } else {
            self.element(1, name.as_bytes())
        };
        self.element(
            14,
            &[
                self.element(6, &flags),
                self.element(5, &extents),
                name,
                numbers.to_vec(),
            ]
            .concat(),
        )
    }

    fn compressed(&self, element: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(element).unwrap();
        let data = encoder.finish().unwrap();
        [&self.word(15)[..], &self.word(data.len() as u32), &data].concat()
    }

    fn file(&self, variables: &[Vec<u8>]) -> Vec<u8> {
        let mut out = b"MATLAB 5.0 MAT-file".to_vec();
        out.resize(124, b' ');
        out.extend(if self.0 == Little {
            [0, 1, b'I', b'M']
        } else {
            [1, 0, b'M', b'I']
        });
        out.extend(variables.concat());
        out
    }
}

fn parse(bytes: Vec<u8>) -> Result<SignalFile> {
    SignalFile::from_bytes(Path::new("x.mat"), bytes, &ReadOptions::default())
}

fn read_all(bytes: &[u8]) -> Result<Vec<Vec<Vec<f64>>>> {
    let file = parse(bytes.to_vec())?;
    (0..file.variables().len())
        .filter(|&i| file.variables()[i].numeric)
        .map(|i| file.read(i))
        .collect()
}

#[test]
fn every_stored_type_is_converted_in_both_byte_orders_plain_and_compressed() {
    for endian in [Little, Big] {
        let w = Writer(endian);
        let order = |mut b: Vec<u8>, size: usize| {
            if endian == Big {
                b.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            b
        };
        macro_rules! stored {
            ($kind:expr, $t:ty, $values:expr) => {{
                let values: Vec<$t> = $values;
                let bytes = order(
                    values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                    size_of::<$t>(),
                );
                (
                    $kind,
                    bytes,
                    values.iter().map(|v| *v as f64).collect::<Vec<f64>>(),
                )
            }};
        }
        let cases = [
            stored!(1, i8, vec![-128, -1, 0, 127, 5]),
            stored!(2, u8, vec![0, 1, 200, 255, 7]),
            stored!(3, i16, vec![-32768, -2, 0, 32767, 3]),
            stored!(4, u16, vec![0, 1, 40000, 65535, 3]),
            stored!(5, i32, vec![i32::MIN, -7, 0, i32::MAX, 1]),
            stored!(6, u32, vec![0, 1, u32::MAX, 3, 4]),
            stored!(7, f32, vec![-1.5, 0.0, 3.4e38, f32::INFINITY, 1e-40]),
            stored!(9, f64, vec![-1.5, 0.0, 1e308, f64::NEG_INFINITY, 5e-324]),
            stored!(12, i64, vec![i64::MIN, -7, 0, 1 << 53, 1]),
            stored!(13, u64, vec![0, 1, u64::MAX, 3, 4]),
        ];
        for (kind, bytes, expected) in cases {
            // an array of doubles, stored in the smaller type
            let array = w.array(6, &[5, 1], "signal", &w.element(kind, &bytes));
            for variable in [array.clone(), w.compressed(&array)] {
                assert_eq!(
                    read_all(&w.file(&[variable])).unwrap(),
                    vec![vec![expected.clone()]],
                    "type {kind}"
                );
            }
        }
        let tiny = w.array(6, &[1, 3], "x", &w.small(2, &[3, 1, 4]));
        assert_eq!(read_all(&w.file(&[tiny])).unwrap(), vec![vec![vec![3.0, 1.0, 4.0]]]);
    }
}

#[test]
fn nan_is_kept() {
    let w = Writer(Little);
    let array = w.array(
        6,
        &[1, 2],
        "x",
        &w.element(9, &[f64::NAN.to_le_bytes(), 1f64.to_le_bytes()].concat()),
    );
    let values = &read_all(&w.file(&[array])).unwrap()[0][0];
    assert!(values[0].is_nan() && values[1] == 1.0);
}

#[test]
fn objects_functions_and_nameless_data_are_listed_but_not_read() {
    let w = Writer(Little);
    let flags = |class: u32| w.element(6, &[w.word(class), w.word(0)].concat());
    let opaque = w.element(
        14,
        &[flags(17), w.element(1, b"handle"), w.element(1, b"MCOS")].concat(),
    );
    let function = w.array(16, &[1, 1], "f", &[]);
    let nameless = w.array(9, &[1, 4], "", &w.small(2, &[1, 2, 3, 4]));
    let empty = w.element(14, &[]);
    let file = parse(w.file(&[opaque, function, nameless, empty])).unwrap();
    let kinds: Vec<&str> = file.variables().iter().map(|v| &*v.kind).collect();
    assert_eq!(kinds, ["object", "function", "subsystem data"]);
    assert!(file.variables().iter().all(|v| !v.numeric));
}

#[test]
fn a_lie_about_sizes_is_an_error_and_allocates_nothing_of_that_size() {
    let w = Writer(Little);
    let numbers = w.element(9, &[0; 16]);
    let lies = [
        (w.array(6, &[3, 1], "x", &numbers), "needs 3 numbers"),
        (w.array(6, &[u32::MAX, 1], "x", &numbers), "negative extent"),
        (
            w.array(6, &[0x7fff_ffff, 0x7fff_ffff], "x", &numbers),
            "more elements than any memory",
        ),
        (
            w.array(6, &[0x7fff_ffff, 1], "x", &numbers),
            "needs 2147483647 numbers of 8 bytes, but 16 bytes are stored",
        ),
        (w.array(6, &[2], "x", &numbers), "at least two"),
        (w.array(99, &[2, 1], "x", &numbers), "array class 99"),
        (
            w.array(6, &[2, 1], "x", &w.element(16, &[0; 16])),
            "type 16 where the numbers",
        ),
    ];
    for (lie, words) in lies {
        for variable in [lie.clone(), w.compressed(&lie)] {
            let message = read_all(&w.file(&[variable])).unwrap_err().to_string();
            assert!(
                message.contains(words) && message.contains("x.mat") && message.contains("byte"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_compressed_variable_inflates_to_what_it_declares_and_no_further() {
    let w = Writer(Little);
    let sound = w.array(6, &[2, 1], "x", &w.element(9, &[0; 16]));
    let mut bomb = sound.clone();
    bomb.extend(vec![0; 50_000_000]);
    let message = read_all(&w.file(&[w.compressed(&bomb)])).unwrap_err().to_string();
    assert!(message.contains("more came out"), "{message}");
    bomb[4..8].copy_from_slice(&50_000_000u32.to_le_bytes());
    let message = read_all(&w.file(&[w.compressed(&bomb)])).unwrap_err().to_string();
    assert!(message.contains("goes on for 49999936 bytes"), "{message}");
    let message = read_all(&w.file(&[w.compressed(&sound[..sound.len() - 8])]))
        .unwrap_err()
        .to_string();
    assert!(message.contains("the compressed data end before"), "{message}");
}

#[test]
fn other_files_are_refused_by_name() {
    let w = Writer(Little);
    let mut v73 = w.file(&[]);
    v73[124..126].copy_from_slice(&[0, 2]);
    let mut odd = w.file(&[]);
    odd[124..126].copy_from_slice(&[9, 9]);
    for (bytes, words) in [
        (vec![0; 500], "byte-order mark is 00 00"),
        (vec![0; 64], "128-byte header"),
        (v73, "7.3"),
        (odd, "0x0909"),
        (w.file(&[w.element(9, &[0; 8])]), "type 9 where a variable"),
    ] {
        let message = read_all(&bytes).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

/// Two variables, plain and compressed.
fn small_file() -> Vec<u8> {
    let w = Writer(Little);
    let a = w.array(
        6,
        &[3, 1],
        "first",
        &w.element(9, &[1f64, 2.0, 3.0].map(f64::to_le_bytes).concat()),
    );
    let b = w.array(
        10,
        &[1, 4],
        "second",
        &w.element(3, &[1i16, 2, 3, 4].map(i16::to_le_bytes).concat()),
    );
    w.file(&[a, w.compressed(&b)])
}

#[test]
fn a_file_cut_anywhere_is_an_error_but_between_two_variables() {
    let bytes = small_file();
    let whole = read_all(&bytes).unwrap();
    let first_len = u32::from_le_bytes(bytes[132..136].try_into().unwrap()) as usize;
    for n in 0..bytes.len() {
        match read_all(&bytes[..n]) {
            Err(Error::File { .. } | Error::Unsupported { .. }) => {}
            Err(other) => panic!("cut at {n}: {other}"),
            Ok(values) => {
                assert!(n == 128 || n == 136 + first_len, "cut at {n} went unnoticed");
                assert_eq!(values, whole[..values.len()]);
            }
        }
    }
}

#[test]
fn any_single_byte_may_change_without_a_panic() {
    let bytes = small_file();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x10] {
            let mut mutated = bytes.clone();
            mutated[at] = value;
            let _ = read_all(&mutated);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_after_a_sound_header_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_all(&Writer(Little).file(&[tail]));
    }

    #[test]
    fn random_runs_in_a_sound_file_never_panic(at in 0usize..400, run in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = small_file();
        for (i, b) in run.into_iter().enumerate() {
            if let Some(slot) = bytes.get_mut(at + i) {
                *slot = b;
            }
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn random_compressed_contents_never_panic(inside in proptest::collection::vec(any::<u8>(), 0..200)) {
        let w = Writer(Little);
        let _ = read_all(&w.file(&[w.compressed(&inside)]));
        let _ = read_all(&w.file(&[w.compressed(&w.element(14, &inside))]));
    }
}
