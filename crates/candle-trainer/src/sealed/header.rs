//! The header of a safetensors file: JSON with the metadata and, for each tensor, dtype, shape and place.
//!
//! The safetensors crate's own reader keeps every value of the JSON in memory before it looks at it, some thirty times
//! the header's size, and takes any number of dimensions. This one takes in nothing but what the format knows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use candle_core::DType;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The safetensors format's limit.
pub(super) const MAX_LENGTH: usize = 100_000_000;
/// A tensor or an entry of metadata takes some 200 bytes of memory beside its name, text and data, which may be more than
/// it takes in the file. That is granted to so many ...
const SMALL_ENTRIES: usize = 4000;
/// ... and to a further one for this many bytes of data, next to which it is nothing.
const DATA_OF_ONE: u64 = 4096;
/// No network has more dimensions in a tensor.
const MAX_RANK: usize = 8;
/// The key of the metadata, which no tensor can have for a name.
pub(super) const METADATA: &str = "__metadata__";

/// The dtypes of candle that a file can hold, as they are spelled there.
const DTYPES: [(&str, DType); 9] = [
    ("U8", DType::U8),
    ("U32", DType::U32),
    ("I16", DType::I16),
    ("I32", DType::I32),
    ("I64", DType::I64),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
];

/// How a dtype is spelled; `None` for one that cannot be saved.
pub(super) fn dtype_name(dtype: DType) -> Option<&'static str> {
    DTYPES.iter().find(|(_, d)| *d == dtype).map(|(name, _)| *name)
}

/// What a header says, checked against itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tensors: BTreeMap<String, Info>,
    /// Bytes of all tensors' data.
    pub(super) data: usize,
}

/// A tensor in a file.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) dtype: DType,
    pub(super) dims: Vec<usize>,
    /// Where its data begins and ends, from the end of the header on.
    pub(super) place: (usize, usize),
}

impl Header {
    /// Reads the header of a file of that many bytes of `data`. Errors say what is wrong with it.
    pub(super) fn parse(text: &[u8], data: u64) -> Result<Self, String> {
        // the one place that neither the format's own rules nor the checksum see; the format asks for spaces
        let padding = text.trim_ascii_end().len();
        if !text.starts_with(b"{") || text[padding..].iter().any(|b| *b != b' ') {
            return Err("its header is not one JSON object padded with spaces".into());
        }
        let left = Cell::new(most_entries(data));
        let mut json = serde_json::Deserializer::from_slice(text);
        let Entries { metadata, tensors } = Entries::read(&mut json, &left)
            .and_then(|entries| json.end().map(|()| entries))
            .map_err(|e| format!("its header: {e}"))?;
        let mut by_place: Vec<_> = tensors.iter().collect();
        by_place.sort_by_key(|(_, info)| info.place);
        let mut data = 0;
        for (name, info) in by_place {
            if info.place.0 != data || info.place.1 < data {
                return Err(format!(
                    "its header: the data of {name} overlaps another's, or leaves a hole"
                ));
            }
            let Some(bytes) = info.bytes() else {
                return Err(format!("its header: {name} has the impossible shape {:?}", info.dims));
            };
            if info.place.1 - data != bytes {
                return Err(format!(
                    "its header: {name} of shape {:?} takes {bytes} bytes, its place has {}",
                    info.dims,
                    info.place.1 - data
                ));
            }
            data = info.place.1;
        }
        Ok(Self {
            metadata,
            tensors,
            data,
        })
    }
}

impl Info {
    /// Length of the data; `None` where the shape makes no sense.
    fn bytes(&self) -> Option<usize> {
        let product = |mut dims: std::slice::Iter<usize>| dims.try_fold(1usize, |n, dim| n.checked_mul(*dim));
        // a 0 hides the others from the product, but not from whoever computes strides
        let without_zeros: Vec<usize> = self.dims.iter().map(|dim| (*dim).max(1)).collect();
        product(without_zeros.iter())?;
        product(self.dims.iter())?.checked_mul(self.dtype.size_in_bytes())
    }
}

/// How many tensors and entries of metadata a file of that many bytes of `data` can have.
pub(super) fn most_entries(data: u64) -> usize {
    usize::try_from(data / DATA_OF_ONE).map_or(usize::MAX, |n| n.saturating_add(SMALL_ENTRIES))
}

/// The header's entries as they stand there.
struct Entries {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Info>,
}

impl Entries {
    /// Reads at most as many as are `left`.
    fn read<'de, D: Deserializer<'de>>(deserializer: D, left: &Cell<usize>) -> Result<Self, D::Error> {
        struct Map<'a>(&'a Cell<usize>);
        impl<'de> Visitor<'de> for Map<'_> {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let (mut metadata, mut tensors) = (None, BTreeMap::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key == METADATA {
                        if metadata.replace(map.next_value_seed(Metadata(self.0))?).is_some() {
                            return Err(twice(METADATA));
                        }
                        continue;
                    }
                    take_one(self.0)?;
                    let RawInfo {
                        dtype: Dtype(dtype),
                        shape: Shape(dims),
                        data_offsets: place,
                    } = map.next_value()?;
                    if tensors.contains_key(&key) {
                        return Err(twice(&key));
                    }
                    tensors.insert(key, Info { dtype, dims, place });
                }
                let metadata = metadata.unwrap_or_default();
                Ok(Entries { metadata, tensors })
            }
        }
        deserializer.deserialize_map(Map(left))
    }
}

fn twice<E: serde::de::Error>(key: &str) -> E {
    E::custom(format!("{key} stands there twice"))
}

fn take_one<E: serde::de::Error>(left: &Cell<usize>) -> Result<(), E> {
    let less = left.get().checked_sub(1);
    left.set(less.ok_or_else(|| E::custom("more entries than a file of this size can have"))?);
    Ok(())
}

/// The entries of the metadata.
struct Metadata<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            take_one(self.0)?;
            if metadata.contains_key(&key) {
                return Err(twice(&key));
            }
            metadata.insert(key, map.next_value()?);
        }
        Ok(metadata)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInfo {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (usize, usize),
}

struct Dtype(DType);

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match DTYPES.iter().find(|(known, _)| *known == name) {
            Some((_, dtype)) => Ok(Self(*dtype)),
            None => Err(D::Error::custom(format!("unknown dtype {name:?}"))),
        }
    }
}

struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sequence;
        impl<'de> Visitor<'de> for Sequence {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the dimensions of a tensor")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut dims: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(dim) = dims.next_element()? {
                    if shape.len() == MAX_RANK {
                        return Err(A::Error::custom(format!("a tensor of more than {MAX_RANK} dimensions")));
                    }
                    shape.push(dim);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Sequence)
    }
}
