//! The checksum, as the head of the module describes it.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// A checksum on its way: first the metadata, then tensor by tensor in byte order of their names.
pub(super) struct Seal(Sha256);

impl Seal {
    /// Takes in the metadata (without the checksum itself) and the number of tensors.
    pub(super) fn new(metadata: &BTreeMap<String, String>, tensors: usize) -> Self {
        let mut seal = Self(Sha256::new());
        seal.0.update(b"sealed safetensors 1\n");
        seal.number(metadata.len());
        for (key, value) in metadata {
            seal.text(key);
            seal.text(value);
        }
        seal.number(tensors);
        seal
    }

    /// Takes in what comes before a tensor's data, which is `bytes` long.
    pub(super) fn tensor(&mut self, name: &str, dtype: &str, dims: &[usize], bytes: usize) {
        self.text(name);
        self.text(dtype);
        self.number(dims.len());
        for &dim in dims {
            self.number(dim);
        }
        self.number(bytes);
    }

    /// Takes in the next bytes of the tensor's data.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum in lower case hexadecimal.
    pub(super) fn finish(self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0.finalize() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text
    }

    fn number(&mut self, n: usize) {
        self.0.update((n as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text);
    }
}
