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

mod header;
mod read;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::atomic::write_atomic;
use crate::error::{Error, Result};
use crate::files::{self, machine};
use header::{METADATA, dtype_name};
use read::Fault;
use seal::Seal;

/// What a sealed file holds: tensors by name, metadata by key (without the checksum).
pub type Contents = (BTreeMap<String, Tensor>, BTreeMap<String, String>);

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
    let mut seal = Seal::new(metadata, entries.len());
    for entry in &entries {
        seal.tensor(entry.name, entry.dtype, entry.dims, entry.data.len());
        seal.data(&entry.data);
    }
    let mut metadata = metadata.clone();
    metadata.insert(seal_key, seal.finish());
    // wide types first, so that every tensor is aligned; then by name
    let mut order: Vec<_> = entries.iter().collect();
    order.sort_by_key(|e| (std::cmp::Reverse(e.width), e.name));
    let header = header_text(&metadata, &order)?;
    let data = entries.iter().map(|e| e.data.len()).sum::<usize>();
    let (found, most) = (entries.len() + metadata.len(), header::most_entries(data as u64));
    if found > most {
        return Err(Error::Argument(format!(
            "{found} tensors and entries of metadata for {data} bytes of data: no more than {most} would be read back"
        )));
    }
    write_atomic(path, |out| write(out, &header, &order))
}

/// Reads a file that [`save`] wrote and verifies its checksum; the tensors are put on `device`.
///
/// The metadata is returned without the checksum. A file that is truncated, altered or not sealed under this prefix
/// is [`Error::Damaged`]. What a file claims is checked against its length before anything is allocated for it, so a
/// hostile file costs no more memory than an honest one of its length. A file of more than 4000 tensors and entries of
/// metadata needs 4 KiB of data for each further one.
///
/// The tensors are variables, so that [`ParameterStore::holding`](crate::ParameterStore::holding) takes them over as
/// they are.
pub fn load(path: &Path, prefix: &str, device: &Device) -> Result<Contents> {
    let (mut file, length) = files::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path: path.to_path_buf(),
        },
        io::ErrorKind::InvalidInput => damaged(path, source.to_string()),
        _ => machine(path, "reading")(source),
    })?;
    let (tensors, metadata) = read::contents(&mut file, length, &seal_key(prefix)).map_err(|fault| match fault {
        Fault::Content(problem) => damaged(path, problem),
        Fault::Reading(source) => machine(path, "reading")(source),
    })?;
    let tensors = tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_device(device)?)))
        .collect::<Result<_>>()?;
    Ok((tensors, metadata))
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
        if name == METADATA {
            return Err(Error::Argument(format!(
                "a tensor cannot be called {METADATA}: the format uses that name"
            )));
        }
        let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        let Some(dtype) = dtype_name(tensor.dtype()) else {
            return Err(Error::Argument(format!(
                "{name}: tensors of {:?} cannot be saved",
                tensor.dtype()
            )));
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
}

fn seal_key(prefix: &str) -> String {
    format!("{prefix}.sha256")
}

/// The safetensors header. The crate's own writer puts metadata in an order that changes from run to run.
fn header_text(metadata: &BTreeMap<String, String>, tensors: &[&Entry]) -> Result<Vec<u8>> {
    let mut parts = vec![format!("\"{METADATA}\":{}", serde_json::json!(metadata))];
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
    let mut text = format!("{{{}}}", parts.join(",")).into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    if text.len() > header::MAX_LENGTH {
        return Err(Error::Argument(format!(
            "names and metadata take {} bytes; the safetensors format allows {}",
            text.len(),
            header::MAX_LENGTH
        )));
    }
    Ok(text)
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
