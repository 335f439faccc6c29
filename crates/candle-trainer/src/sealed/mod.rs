//! One safetensors file with metadata and a checksum, written so that it is either whole or not there.
//!
//! Any safetensors reader opens it. The checksum stands in `__metadata__` under `PREFIX.sha256`: SHA-256, in lower
//! case hexadecimal, of
//!
//! ```text
//! "sealed safetensors 1\n"
//! number of metadata entries, then for each in byte order of the keys: key, value     (without PREFIX.sha256 itself)
//! number of tensors, then for each in byte order of the names: name, dtype, rank, dimensions, data
//! ```
//!
//! where numbers are u64 little endian, and texts and data are preceded by their length in bytes. Dtypes are spelled
//! as in the file (`F32`). Equal content gives equal bytes: the header is in a fixed order.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::atomic;
use crate::error::{Error, Result};

/// What a sealed file holds: tensors by name, metadata by key (without the checksum).
pub type Contents = (BTreeMap<String, Tensor>, BTreeMap<String, String>);

/// The safetensors format's limit.
const MAX_HEADER: usize = 100_000_000;

/// Writes `tensors` and `metadata` to `path`, sealed with the checksum `PREFIX.sha256`.
///
/// The file is written under another name in the same folder, flushed, renamed, and the folder is flushed: after a
/// crash or a power failure there is the old file or the new one. A full disk is [`Error::Machine`] and leaves the
/// old file as it was.
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
    prefix: &str,
) -> Result<()> {
    let seal_key = seal_key(prefix);
    if metadata.contains_key(&seal_key) {
        return Err(Error::Argument(format!(
            "metadata may not hold {seal_key}: the checksum goes there"
        )));
    }
    let entries = tensors
        .iter()
        .map(|(name, tensor)| Entry::new(name, tensor))
        .collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let seal = checksum(&pairs, entries.iter().map(Entry::parts));

    let mut metadata = metadata.clone();
    metadata.insert(seal_key, seal);
    // wide types first, so that every tensor is aligned; then by name
    let mut order: Vec<_> = entries.iter().collect();
    order.sort_by_key(|e| (std::cmp::Reverse(e.width), e.name));
    let header = header(&metadata, &order)?;
    atomic::write_atomic(path, |out| write(out, &header, &order))
}

/// Reads a file that [`save`] wrote and verifies its checksum; the tensors are put on `device`.
///
/// The metadata is returned without the checksum. A file that is truncated, altered or not sealed under this prefix
/// is [`Error::Damaged`].
pub fn load(path: &Path, prefix: &str, device: &Device) -> Result<Contents> {
    let bytes = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path: path.to_path_buf(),
        },
        _ => Error::Machine {
            path: path.to_path_buf(),
            action: "reading",
            source,
        },
    })?;
    unseal(path, &bytes, prefix, device)
}

/// Checks and takes apart the bytes of the file `path`.
fn unseal(path: &Path, bytes: &[u8], prefix: &str, device: &Device) -> Result<Contents> {
    let (file, mut metadata) = parse(bytes).map_err(|problem| damaged(path, problem))?;
    let seal_key = seal_key(prefix);
    let Some(seal) = metadata.remove(&seal_key) else {
        return Err(damaged(
            path,
            format!("not a sealed file: its metadata has no {seal_key}"),
        ));
    };
    let views: BTreeMap<_, _> = file.tensors().into_iter().collect();
    let pairs: Vec<_> = metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let parts = views.iter().map(|(name, view)| Parts {
        name,
        dtype: view.dtype().to_string(),
        dims: view.shape(),
        data: view.data(),
    });
    if checksum(&pairs, parts) != seal {
        return Err(damaged(
            path,
            "damaged: its contents do not match their checksum".into(),
        ));
    }
    let tensors = views
        .into_iter()
        .map(|(name, view)| Ok((name, view.load(device)?)))
        .collect::<Result<_>>()?;
    Ok((tensors, metadata))
}

fn parse(bytes: &[u8]) -> std::result::Result<(SafeTensors<'_>, BTreeMap<String, String>), String> {
    let wrong = |e| format!("damaged, truncated or not a safetensors file: {e}");
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    // the one place that neither the format's own checks nor the checksum see; the format asks for spaces
    let header_bytes = &bytes[8..8 + length];
    let text = header_bytes.trim_ascii();
    if !header_bytes.starts_with(b"{") || header_bytes[text.len()..].iter().any(|b| *b != b' ') {
        return Err("damaged: its header is not padded with spaces".into());
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok((file, metadata))
}

/// A tensor on its way into the file.
struct Entry<'a> {
    name: &'a str,
    dtype: &'static str,
    width: usize,
    dims: &'a [usize],
    data: Vec<u8>,
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, tensor: &'a Tensor) -> Result<Self> {
        if name == "__metadata__" {
            return Err(Error::Argument(
                "a tensor cannot be called __metadata__: the format uses that name".into(),
            ));
        }
        let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        let dtype = match tensor.dtype() {
            DType::U8 => "U8",
            DType::U32 => "U32",
            DType::I16 => "I16",
            DType::I32 => "I32",
            DType::I64 => "I64",
            DType::F16 => "F16",
            DType::BF16 => "BF16",
            DType::F32 => "F32",
            DType::F64 => "F64",
            other => {
                return Err(Error::Argument(format!("{name}: tensors of {other:?} cannot be saved")));
            }
        };
        // never fails for a tensor of these dtypes on the CPU
        let data = safetensors::View::data(&flat).into_owned();
        Ok(Self {
            name,
            dtype,
            width: tensor.dtype().size_in_bytes(),
            dims: tensor.dims(),
            data,
        })
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            name: self.name,
            dtype: self.dtype.into(),
            dims: self.dims,
            data: &self.data,
        }
    }
}

/// What of a tensor the checksum covers.
struct Parts<'a> {
    name: &'a str,
    dtype: String,
    dims: &'a [usize],
    data: &'a [u8],
}

fn seal_key(prefix: &str) -> String {
    format!("{prefix}.sha256")
}

/// `metadata` and `tensors` in byte order of their names.
fn checksum<'a>(metadata: &[(&str, &str)], tensors: impl ExactSizeIterator<Item = Parts<'a>>) -> String {
    let mut hash = Sha256::new();
    hash.update(b"sealed safetensors 1\n");
    let number = |hash: &mut Sha256, n: usize| hash.update((n as u64).to_le_bytes());
    let text = |hash: &mut Sha256, bytes: &[u8]| {
        number(hash, bytes.len());
        hash.update(bytes);
    };
    number(&mut hash, metadata.len());
    for (key, value) in metadata {
        text(&mut hash, key.as_bytes());
        text(&mut hash, value.as_bytes());
    }
    number(&mut hash, tensors.len());
    for tensor in tensors {
        text(&mut hash, tensor.name.as_bytes());
        text(&mut hash, tensor.dtype.as_bytes());
        number(&mut hash, tensor.dims.len());
        for &dim in tensor.dims {
            number(&mut hash, dim);
        }
        text(&mut hash, tensor.data);
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// The safetensors header. The crate's own writer puts metadata in an order that changes from run to run.
fn header(metadata: &BTreeMap<String, String>, tensors: &[&Entry]) -> Result<Vec<u8>> {
    let mut parts = vec![format!("\"__metadata__\":{}", serde_json::json!(metadata))];
    let mut start = 0;
    for tensor in tensors {
        let end = start + tensor.data.len();
        let name = serde_json::json!(tensor.name);
        let (dtype, dims) = (tensor.dtype, serde_json::json!(tensor.dims));
        parts.push(format!(
            r#"{name}:{{"dtype":"{dtype}","shape":{dims},"data_offsets":[{start},{end}]}}"#
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", parts.join(",")).into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() > MAX_HEADER {
        return Err(Error::Argument(format!(
            "names and metadata take {} bytes; the safetensors format allows {MAX_HEADER}",
            header.len()
        )));
    }
    Ok(header)
}

fn write(out: &mut dyn Write, header: &[u8], tensors: &[&Entry]) -> io::Result<()> {
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header)?;
    tensors.iter().try_for_each(|tensor| out.write_all(&tensor.data))
}

fn damaged(path: &Path, problem: String) -> Error {
    Error::Damaged {
        path: path.to_path_buf(),
        problem,
    }
}
