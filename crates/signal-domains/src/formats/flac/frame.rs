//! Frames of a FLAC stream: blocks of samples of all channels.

use super::Info;
use super::bits::Bits;
use crate::error::Result;

/// What a frame's header says.
pub(super) struct Header {
    /// Samples of each channel.
    pub block: usize,
    channels: Coupling,
}

/// How two channels stand for each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coupling {
    None,
    LeftSide,
    SideRight,
    MidSide,
}

impl Header {
    /// Reads the header of the frame that starts here.
    fn read(bits: &mut Bits<'_>, info: &Info) -> Result<Self> {
        bits.reset_sums();
        if bits.get(15)? != 0b111_1111_1111_1100 {
            return Err(bits.error("no frame starts where one was expected; the file is damaged"));
        }
        bits.get(1)?;
        let (block, rate) = (bits.get(4)?, bits.get(4)?);
        let (channels, size) = (bits.get(4)?, bits.get(3)?);
        bits.get(1)?;
        // the number of the frame or of its first sample, coded like a character of UTF-8; order says as much
        let first = bits.get(8)? as u8;
        for _ in 1..first.leading_ones().max(1) {
            bits.get(8)?;
        }
        let block = match block {
            1 => 192,
            2..=5 => 576 << (block - 2),
            6 => bits.get(8)? + 1,
            7 => bits.get(16)? + 1,
            8..=15 => 256 << (block - 8),
            _ => return Err(bits.error("a frame of reserved length; the file is damaged")),
        };
        match rate {
            12 => drop(bits.get(8)?),
            13 | 14 => drop(bits.get(16)?),
            _ => {}
        }
        let sum = bits.sum_8();
        if bits.get(8)? != u32::from(sum) {
            return Err(bits.error("a frame's header has another checksum than it states; the file is damaged"));
        }
        let (count, channels) = match channels {
            8 => (2, Coupling::LeftSide),
            9 => (2, Coupling::SideRight),
            10 => (2, Coupling::MidSide),
            n => (n + 1, Coupling::None),
        };
        let size = [0, 8, 12, 0xff, 16, 20, 24, 32][size as usize];
        if count != info.channels || size != 0 && size != info.bits {
            let message = "a frame of other channels or another width than the stream states; the file is damaged";
            return Err(bits.error(message));
        }
        Ok(Self {
            block: block as usize,
            channels,
        })
    }
}

/// Two blocks of samples, whose memory is used again for each frame.
#[derive(Default)]
pub(super) struct Blocks([Vec<i32>; 2]);

impl Blocks {
    /// Decodes the frame that starts here, and hands out each channel's block.
    pub fn frame(&mut self, bits: &mut Bits<'_>, info: &Info, mut give: impl FnMut(usize, &[i32])) -> Result<usize> {
        let header = Header::read(bits, info)?;
        for channel in 0..info.channels as usize {
            // the difference of two channels needs a bit more
            let side = match header.channels {
                Coupling::None => false,
                Coupling::LeftSide | Coupling::MidSide => channel == 1,
                Coupling::SideRight => channel == 0,
            };
            let block = &mut self.0[channel % 2];
            block.clear();
            block.resize(header.block, 0);
            subframe(bits, info.bits + u32::from(side), block)?;
            if header.channels == Coupling::None {
                give(channel, block);
            }
        }
        if header.channels != Coupling::None {
            let [first, second] = &mut self.0;
            decouple(header.channels, first, second);
            give(0, first);
            give(1, second);
        }
        bits.align();
        let sum = bits.sum_16();
        if bits.get(16)? != u32::from(sum) {
            return Err(bits.error("a frame has another checksum than it states; the file is damaged"));
        }
        Ok(header.block)
    }
}

fn decouple(coupling: Coupling, first: &mut [i32], second: &mut [i32]) {
    for (a, b) in first.iter_mut().zip(second) {
        match coupling {
            Coupling::None => {}
            Coupling::LeftSide => *b = a.wrapping_sub(*b),
            Coupling::SideRight => *a = a.wrapping_add(*b),
            Coupling::MidSide => {
                // the sum lost its last bit, which the difference has
                let (sum, difference) = (i64::from(*a) << 1 | i64::from(*b & 1), i64::from(*b));
                *a = ((sum + difference) >> 1) as i32;
                *b = ((sum - difference) >> 1) as i32;
            }
        }
    }
}

/// One channel of a frame, `width` bits a sample.
fn subframe(bits: &mut Bits<'_>, width: u32, out: &mut [i32]) -> Result<()> {
    let wrong = |bits: &Bits<'_>| Err(bits.error("a channel is coded in a reserved way; the file is damaged"));
    if bits.get(1)? != 0 {
        return wrong(bits);
    }
    let kind = bits.get(6)?;
    let wasted = if bits.get(1)? == 1 { bits.zeros()? + 1 } else { 0 };
    let Some(width) = width.checked_sub(wasted).filter(|w| *w > 0) else {
        return wrong(bits);
    };
    match kind {
        0 => out.fill(bits.signed(width)?),
        1 => {
            for sample in out.iter_mut() {
                *sample = bits.signed(width)?;
            }
        }
        8..=12 => fixed(bits, width, (kind - 8) as usize, out)?,
        32.. => linear(bits, width, (kind - 31) as usize, out)?,
        _ => return wrong(bits),
    }
    if wasted > 0 {
        for sample in out {
            *sample <<= wasted;
        }
    }
    Ok(())
}

/// Predicted by a polynomial through the samples before.
fn fixed(bits: &mut Bits<'_>, width: u32, order: usize, out: &mut [i32]) -> Result<()> {
    const WEIGHTS: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
    warm_up(bits, width, order, out)?;
    residual(bits, order, out)?;
    predict(WEIGHTS[order], 0, out);
    Ok(())
}

/// Predicted by weights that the frame states.
fn linear(bits: &mut Bits<'_>, width: u32, order: usize, out: &mut [i32]) -> Result<()> {
    warm_up(bits, width, order, out)?;
    let precision = bits.get(4)? + 1;
    let shift = bits.signed(5)?;
    if precision == 16 || shift < 0 {
        return Err(bits.error("a predictor of reserved precision; the file is damaged"));
    }
    let mut weights = [0; 32];
    for weight in &mut weights[..order] {
        *weight = i64::from(bits.signed(precision)?);
    }
    residual(bits, order, out)?;
    predict(&weights[..order], shift as u32, out);
    Ok(())
}

/// The first samples, which nothing predicts.
fn warm_up(bits: &mut Bits<'_>, width: u32, order: usize, out: &mut [i32]) -> Result<()> {
    if order > out.len() {
        return Err(bits.error("a predictor longer than its block; the file is damaged"));
    }
    for sample in &mut out[..order] {
        *sample = bits.signed(width)?;
    }
    Ok(())
}

/// What the prediction missed, in place of the samples from `order` on. Weights apply to the sample just before first.
fn predict(weights: &[i64], shift: u32, out: &mut [i32]) {
    let order = weights.len();
    for i in order..out.len() {
        let before = out[i - order..i].iter().rev();
        // damaged files alone go beyond the range, and are found out by the checksum
        let sum = weights
            .iter()
            .zip(before)
            .fold(0i64, |sum, (w, x)| sum.wrapping_add(w * i64::from(*x)));
        out[i] = out[i].wrapping_add((sum >> shift) as i32);
    }
}

/// The Rice codes of a block behind its first `order` samples.
fn residual(bits: &mut Bits<'_>, order: usize, out: &mut [i32]) -> Result<()> {
    let wide = match bits.get(2)? {
        0 => 4,
        1 => 5,
        _ => return Err(bits.error("differences are coded in a reserved way; the file is damaged")),
    };
    let parts = 1usize << bits.get(4)?;
    let len = out.len() / parts;
    if !out.len().is_multiple_of(parts) || len < order {
        return Err(bits.error("a block in parts that do not fit it; the file is damaged"));
    }
    let mut from = order;
    for part in 0..parts {
        let parameter = bits.get(wide)?;
        let to = (part + 1) * len;
        if parameter == (1 << wide) - 1 {
            let width = bits.get(5)?;
            for sample in &mut out[from..to] {
                *sample = bits.signed(width)?;
            }
        } else {
            for sample in &mut out[from..to] {
                let high = u64::from(bits.zeros()?) << parameter;
                let code = high | u64::from(bits.get(parameter)?);
                let Ok(code) = u32::try_from(code) else {
                    return Err(bits.error("a difference beyond 32 bits; the file is damaged"));
                };
                // even codes are positive, odd ones negative
                *sample = (code >> 1) as i32 ^ -((code & 1) as i32);
            }
        }
        from = to;
    }
    Ok(())
}
