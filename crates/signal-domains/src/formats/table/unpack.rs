//! Bytes that a Parquet page or an Arrow buffer holds packed.

use std::io::Read;

/// The largest window of a Zstandard frame that is followed; what RFC 8878 asks every decoder to follow.
const ZSTD_WINDOW: u64 = 8 << 20;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) enum Packing {
    Plain,
    Snappy,
    Gzip,
    Zstd,
    Lz4Block,
    Lz4Frame,
    /// One that is not read, and its name.
    Other(&'static str),
}

impl Packing {
    /// The `len` bytes that `packed` holds; no more memory is taken than a few times what is there or comes out.
    ///
    /// Errors, in words: it holds another number of bytes; it is damaged.
    pub fn unpack(self, packed: Vec<u8>, len: usize) -> Result<Vec<u8>, String> {
        let out = match self {
            Self::Plain => packed,
            // the densest copy of Snappy is 64 bytes in 3, of LZ4 255 bytes in 1: sizes beyond are lies, and are told
            // before memory is taken for them
            Self::Snappy => {
                let stated = snap::raw::decompress_len(&packed).map_err(|e| e.to_string())?;
                if stated != len || len > 64 * packed.len() {
                    return Err(format!("{stated} bytes instead of {len}"));
                }
                snap::raw::Decoder::new()
                    .decompress_vec(&packed)
                    .map_err(|e| e.to_string())?
            }
            Self::Lz4Block => {
                if len > 256 * packed.len() + 64 {
                    return Err(format!("{} bytes cannot hold {len}", packed.len()));
                }
                let mut out = vec![0; len];
                let n = lz4_flex::block::decompress_into(&packed, &mut out).map_err(|e| e.to_string())?;
                out.truncate(n);
                out
            }
            Self::Lz4Frame => drain(lz4_flex::frame::FrameDecoder::new(&packed[..]), len)?,
            Self::Gzip => drain(flate2::bufread::MultiGzDecoder::new(&packed[..]), len)?,
            Self::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&packed[..], ZSTD_WINDOW);
                drain(decoder.map_err(|e| e.to_string())?, len)?
            }
            Self::Other(name) => return Err(format!("packed by {name}, which is not read")),
        };
        if out.len() == len {
            Ok(out)
        } else {
            Err(format!("{} bytes instead of {len}", out.len()))
        }
    }
}

/// All that comes out, but no more than one byte beyond `len`.
fn drain(reader: impl Read, len: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut reader = reader.take(len as u64 + 1);
    reader.read_to_end(&mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_is_not_that_of_the_contents_is_an_error_in_every_packing() {
        let bytes = b"many, many, many, many, many words".repeat(20);
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            encoder.finish().unwrap()
        };
        let frame = {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = ruzstd::encoding::compress_to_vec(&bytes[..], ruzstd::encoding::CompressionLevel::Fastest);
        for (packing, packed) in [
            (Packing::Plain, bytes.clone()),
            (Packing::Snappy, snap::raw::Encoder::new().compress_vec(&bytes).unwrap()),
            (Packing::Lz4Block, lz4_flex::block::compress(&bytes)),
            (Packing::Lz4Frame, frame),
            (Packing::Gzip, gzip),
            (Packing::Zstd, zstd),
        ] {
            assert_eq!(
                packing.unpack(packed.clone(), bytes.len()).unwrap(),
                bytes,
                "{packing:?}"
            );
            for len in [0, bytes.len() - 1, bytes.len() + 1, usize::MAX / 300] {
                assert!(packing.unpack(packed.clone(), len).is_err(), "{packing:?} {len}");
            }
            let cut = packed[..packed.len() / 2].to_vec();
            assert!(packing.unpack(cut, bytes.len()).is_err(), "{packing:?} cut");
        }
        assert!(Packing::Other("LZO").unpack(bytes, 1).unwrap_err().contains("LZO"));
    }
}
