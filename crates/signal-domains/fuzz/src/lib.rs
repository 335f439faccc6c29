//! What every fuzz target does: open bytes as a file, and read all that it lists, whole and in pieces.

use std::path::Path;

use signal_domains::{Limits, ReadOptions, SignalFile};

/// Reads `data` behind `magic`, which takes the place of its first bytes, so that no execution is spent on finding it.
/// Panics where a piece differs from that piece of the whole.
pub fn read_all(magic: &[u8], data: &[u8], options: &ReadOptions) {
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(magic.len()), 0);
    bytes[..magic.len()].copy_from_slice(magic);
    if let Ok(file) = SignalFile::from_bytes(Path::new("fuzz"), bytes, options) {
        read_file(&file);
    }
}

/// Reads every variable of an open file.
pub fn read_file(file: &SignalFile) {
    // files list up to thousands of variables; the first tell as much
    for (index, variable) in file.variables().iter().enumerate().take(16) {
        let Ok(channels) = file.read(index) else { continue };
        for (channel, whole) in channels.iter().enumerate().take(4) {
            assert_eq!(whole.len(), variable.samples());
            let start = whole.len() / 3;
            let len = (whole.len() - start).min(5);
            let piece = file
                .read_range::<f64>(index, channel, start, len)
                .expect("a piece of what was read");
            let same = piece
                .iter()
                .zip(&whole[start..start + len])
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && piece.len() == len);
        }
    }
}

/// Options under which an execution stays short.
pub fn options() -> ReadOptions {
    ReadOptions {
        limits: Limits {
            max_inflated: 1 << 22,
            max_samples: 1 << 20,
            ..Limits::default()
        },
        ..ReadOptions::default()
    }
}
