//! From the bytes of a file to its tensors, in one pass and with one copy of the data in memory.

use std::io::{self, Read, Seek, SeekFrom};

use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, DType, Storage, Tensor, WithDType};
use half::{bf16, f16};

use super::Contents;
use super::header::{self, Header, Info, dtype_name};
use super::seal::Seal;

/// Bytes read at once; a multiple of every dtype's width.
const CHUNK: usize = 1 << 16;

/// Why a file could not be read.
pub(super) enum Fault {
    /// It is not what was written.
    Content(String),
    /// The system said no.
    Reading(io::Error),
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => content("it became shorter while it was read"),
            _ => Self::Reading(e),
        }
    }
}

/// Reads and verifies a file of `length` bytes; the tensors stay on the CPU.
pub(super) fn contents(file: &mut (impl Read + Seek), length: u64, seal_key: &str) -> Result<Contents, Fault> {
    let mut first = [0; 8];
    let Some(rest) = length.checked_sub(first.len() as u64) else {
        return Err(content(&format!(
            "{length} bytes are too few for any file of this kind"
        )));
    };
    file.read_exact(&mut first)?;
    // nothing is allocated before it is known that the file has room for it
    let header_length = u64::from_le_bytes(first);
    if header_length > rest || header_length > header::MAX_LENGTH as u64 {
        return Err(content(&format!(
            "it claims a header of {header_length} bytes in a file of {length}"
        )));
    }
    let mut text = vec![0; header_length as usize];
    file.read_exact(&mut text)?;
    let Header {
        mut metadata,
        tensors,
        data,
    } = Header::parse(&text, rest - header_length).map_err(|problem| content(&problem))?;
    drop(text);
    if header_length + data as u64 != rest {
        return Err(content(&format!(
            "its header describes {data} bytes of data, {} are there",
            rest - header_length
        )));
    }
    let Some(sealed) = metadata.remove(seal_key) else {
        return Err(Fault::Content(format!(
            "not a sealed file: its metadata has no {seal_key}"
        )));
    };

    let start = first.len() as u64 + header_length;
    let mut seal = Seal::new(&metadata, tensors.len());
    // no tensor is made before the checksum is right: it takes more memory than an empty one does in a file
    let mut read = Vec::new();
    for (name, info) in tensors {
        let dtype = dtype_name(info.dtype).unwrap_or_default();
        seal.tensor(&name, dtype, &info.dims, info.place.1 - info.place.0);
        file.seek(SeekFrom::Start(start + info.place.0 as u64))?;
        let values = values(file, &info, &mut seal)?;
        read.push((name, info.dims, values));
    }
    if seal.finish() != sealed {
        return Err(Fault::Content(
            "damaged: its contents do not match their checksum".into(),
        ));
    }
    let tensors = read.into_iter().map(|(name, dims, values)| {
        let variable = Tensor::from_storage(Storage::Cpu(values), dims, BackpropOp::none(), true);
        (name, variable)
    });
    Ok((tensors.collect(), metadata))
}

fn values(file: &mut impl Read, info: &Info, seal: &mut Seal) -> Result<CpuStorage, Fault> {
    match info.dtype {
        DType::U8 => elements(file, info, seal, u8::from_le_bytes),
        DType::U32 => elements(file, info, seal, u32::from_le_bytes),
        DType::I16 => elements(file, info, seal, i16::from_le_bytes),
        DType::I32 => elements(file, info, seal, i32::from_le_bytes),
        DType::I64 => elements(file, info, seal, i64::from_le_bytes),
        DType::F16 => elements(file, info, seal, f16::from_le_bytes),
        DType::BF16 => elements(file, info, seal, bf16::from_le_bytes),
        DType::F32 => elements(file, info, seal, f32::from_le_bytes),
        DType::F64 => elements(file, info, seal, f64::from_le_bytes),
        other => Err(content(&format!("tensors of {other:?} are not read"))),
    }
}

fn elements<T: WithDType, const WIDTH: usize>(
    file: &mut impl Read,
    info: &Info,
    seal: &mut Seal,
    element: impl Fn([u8; WIDTH]) -> T,
) -> Result<CpuStorage, Fault> {
    let mut left = info.place.1 - info.place.0;
    let mut values = Vec::with_capacity(left / WIDTH);
    let mut buffer = vec![0; left.min(CHUNK)];
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK)];
        file.read_exact(chunk)?;
        seal.data(chunk);
        values.extend(chunk.as_chunks().0.iter().map(|bytes| element(*bytes)));
        left -= chunk.len();
    }
    Ok(T::to_cpu_storage_owned(values))
}

fn content(problem: &str) -> Fault {
    Fault::Content(format!("damaged, truncated or not a safetensors file: {problem}"))
}
