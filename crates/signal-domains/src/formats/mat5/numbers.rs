//! The numbers of a variable, from whatever type they are stored as.

use super::super::Variable;
use super::element::{Cursor, Endian, mi};
use crate::error::Result;

const STORED: [u32; 10] = [
    mi::INT8,
    mi::UINT8,
    mi::INT16,
    mi::UINT16,
    mi::INT32,
    mi::UINT32,
    mi::SINGLE,
    mi::DOUBLE,
    mi::INT64,
    mi::UINT64,
];

/// Reads the real part that follows the header. MATLAB stores an array in the smallest type that holds its values, so
/// the stored type differs from the array's class. Integers beyond 2^53 are rounded to the nearest f64.
pub(super) fn read(cursor: &mut Cursor<'_>, variable: &Variable) -> Result<Vec<f64>> {
    let elements = variable.elements();
    if elements == 0 && cursor.at_end() {
        return Ok(Vec::new());
    }
    let element = cursor.expect(&STORED, &format!("the numbers of {}", variable.name))?;
    let endian = cursor.endian;
    let size = match element.kind {
        mi::INT8 | mi::UINT8 => 1,
        mi::INT16 | mi::UINT16 => 2,
        mi::INT32 | mi::UINT32 | mi::SINGLE => 4,
        _ => 8,
    };
    if elements.checked_mul(size) != Some(element.data.len()) {
        return Err(cursor.error(
            element.tag,
            format!(
                "{} needs {elements} numbers of {size} bytes, but {} bytes are stored; the file is damaged",
                variable.describe(),
                element.data.len()
            ),
        ));
    }
    Ok(match element.kind {
        mi::INT8 => element.data.iter().map(|&b| f64::from(b as i8)).collect(),
        mi::UINT8 => element.data.iter().map(|&b| f64::from(b)).collect(),
        mi::INT16 => words(element.data, |b| f64::from(endian.u16(b) as i16)),
        mi::UINT16 => words(element.data, |b| f64::from(endian.u16(b))),
        mi::INT32 => words(element.data, |b| f64::from(endian.u32(b) as i32)),
        mi::UINT32 => words(element.data, |b| f64::from(endian.u32(b))),
        mi::SINGLE => words(element.data, |b| f64::from(f32::from_bits(endian.u32(b)))),
        mi::INT64 => words(element.data, |b| endian.u64(b) as i64 as f64),
        mi::UINT64 => words(element.data, |b| endian.u64(b) as f64),
        _ => words(element.data, |b| f64::from_bits(Endian::u64(endian, b))),
    })
}

fn words<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|&b| number(b)).collect()
}
