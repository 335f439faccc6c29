//! How the values of a page are written.
//!
//! Source: `Encodings.md` of Apache Parquet. Every function takes how many values are wanted, and gives `None` where they
//! are not there.

use super::super::numbers::{Endian, Number};

/// Runs of one value and packed values of `width` bits, mixed: levels, places in a dictionary, flags.
pub(super) fn runs(mut bytes: &[u8], width: u32, n: usize) -> Option<Vec<u32>> {
    if width > 32 {
        return None;
    }
    let mut out = Vec::new();
    if width == 0 {
        out.resize(n, 0);
        return Some(out);
    }
    let mask = u64::MAX >> (64 - width);
    while out.len() < n {
        let head = varint(&mut bytes)?;
        let left = n - out.len();
        if head & 1 == 0 {
            let size = width.div_ceil(8) as usize;
            let mut value = [0; 4];
            value[..size].copy_from_slice(bytes.split_off(..size)?);
            let run = usize::try_from(head >> 1).unwrap_or(usize::MAX).min(left);
            // a run of none would go on for ever
            if run == 0 {
                return None;
            }
            out.resize(out.len() + run, u32::from_le_bytes(value));
        } else {
            let groups = usize::try_from(head >> 1).ok().filter(|g| *g > 0)?;
            // the last group may be cut short where its end is padding
            let size = groups.checked_mul(width as usize)?.min(bytes.len());
            let packed = bytes.split_off(..size)?;
            let take = groups.checked_mul(8)?.min(left);
            if (take * width as usize).div_ceil(8) > packed.len() {
                return None;
            }
            out.reserve(take);
            for i in 0..take {
                let bit = i * width as usize;
                out.push((window(packed, bit / 8) >> (bit % 8) & mask) as u32);
            }
        }
    }
    Some(out)
}

/// Eight bytes from `at`, as far as there are.
fn window(bytes: &[u8], at: usize) -> u64 {
    let rest = &bytes[at..];
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(eight)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let value = varint(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Differences in packed blocks; what is left of the bytes follows them.
pub(super) fn deltas(bytes: &mut &[u8], n: usize) -> Option<Vec<i64>> {
    let block = usize::try_from(varint(bytes)?).ok()?;
    let minis = usize::try_from(varint(bytes)?).ok()?;
    let stated = usize::try_from(varint(bytes)?).ok()?;
    let mut value = zigzag(bytes)?;
    if minis == 0 || block == 0 || block % minis != 0 || block / minis % 8 != 0 || block > 1 << 16 || stated < n {
        return None;
    }
    let per_mini = block / minis;
    let mut out = Vec::new();
    if n > 0 {
        out.push(value);
    }
    // all of them, so that what follows is found
    let mut left = stated.saturating_sub(1);
    while left > 0 {
        let least = zigzag(bytes)?;
        let widths = bytes.split_off(..minis)?;
        for &width in widths {
            if left == 0 {
                break;
            }
            if width > 64 {
                return None;
            }
            let size = per_mini * usize::from(width) / 8;
            let packed = bytes.split_off(..size)?;
            for i in 0..per_mini.min(left) {
                let delta = if width == 0 {
                    0
                } else {
                    let bit = i * usize::from(width);
                    let low = u128::from(window(packed, bit / 8));
                    let high = packed.get(bit / 8 + 8).map_or(0, |b| u128::from(*b) << 64);
                    ((low | high) >> (bit % 8)) as u64 & (u64::MAX >> (64 - width))
                };
                value = value.wrapping_add(least).wrapping_add(delta as i64);
                if out.len() < n {
                    out.push(value);
                }
            }
            left -= per_mini.min(left);
        }
    }
    Some(out)
}

/// The values `from..to` of which the first bytes, the second bytes .. stand together; `n` in all.
pub(super) fn split(bytes: &[u8], number: Number, n: usize, from: usize, to: usize, out: &mut Vec<f64>) -> Option<()> {
    let size = number.size();
    let bytes = bytes.get(..n.checked_mul(size)?)?;
    let mut joined = vec![0; (to - from) * size];
    for (place, plane) in bytes.chunks_exact(n.max(1)).enumerate() {
        for (value, byte) in joined.chunks_exact_mut(size).zip(&plane[from..to]) {
            value[place] = *byte;
        }
    }
    number.decode(Endian::Little, &joined, out);
    Some(())
}

/// Texts, each behind its length.
pub(super) fn texts(mut bytes: &[u8], n: usize) -> Option<Vec<&[u8]>> {
    // each takes four bytes at least
    if n > bytes.len() / 4 {
        return None;
    }
    (0..n)
        .map(|_| {
            let len = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
            bytes.split_off(..len as usize)
        })
        .collect()
}

/// Texts behind the lengths of all.
pub(super) fn texts_behind_lengths(mut bytes: &[u8], n: usize) -> Option<Vec<&[u8]>> {
    let lengths = deltas(&mut bytes, n)?;
    let each = |len: i64| bytes.split_off(..usize::try_from(len).ok()?);
    lengths.into_iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of Encodings.md: 0 to 7 in 3 bits; a run of 4 times 10.
    #[test]
    fn runs_and_packed_values_are_those_of_the_specification() {
        let packed = [0b0000_0011, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(runs(&packed, 3, 8).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(runs(&[8, 10], 4, 4).unwrap(), [10; 4]);
        assert_eq!(runs(&[8, 10], 4, 5), None, "one more than there are");
        assert_eq!(runs(&packed[..3], 3, 8), None, "cut");
        assert_eq!(runs(&[0, 1], 1, 1), None, "a run of none");
        assert_eq!(runs(&[3, 1, 2, 3, 4], 32, 2), None);
    }

    /// Examples of Encodings.md.
    #[test]
    fn deltas_are_those_of_the_specification() {
        let mut steady: &[u8] = &[128, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        assert_eq!(deltas(&mut steady, 5).unwrap(), [1, 2, 3, 4, 5]);
        assert!(steady.is_empty());
        // 7, 5, 3, 1, 2, 3, 4, 5: least -2, then 0, 0, 0, 3, 3, 3, 3 in 2 bits
        let packed = [
            &[128u8, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111][..],
            &[0; 6],
        ]
        .concat();
        assert_eq!(deltas(&mut &packed[..], 8).unwrap(), [7, 5, 3, 1, 2, 3, 4, 5]);
        assert_eq!(deltas(&mut &packed[..], 9), None);
        assert_eq!(deltas(&mut &packed[..11], 8), None);
    }
}
