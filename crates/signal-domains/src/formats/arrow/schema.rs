//! The columns of an Arrow file.
//!
//! Source: `Schema.fbs` and `Columnar.rst` of Apache Arrow.

use std::collections::BTreeMap;

use super::super::numbers::Number;
use super::flat::Table;

/// Most keys that are looked at of a schema and of a field.
const MOST_STATED: usize = 256;

/// A column: of the table, or of a struct in it.
pub(super) struct Field {
    pub name: String,
    pub kind: &'static str,
    pub values: Values,
    /// Its place among the nodes of a batch; a list's elements are the next.
    pub node: usize,
    pub stated: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Single(Single),
    /// Lists of what has offsets of 4 or 8 bytes.
    Lists(Single, usize),
    /// Lists of one length.
    Fixed(Single, usize),
    /// Texts behind offsets of 4 or 8 bytes.
    Texts(usize),
    /// Texts of up to 12 bytes in place, others elsewhere.
    Views,
    Other(Option<&'static str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Single {
    Flags,
    Numbers(Number),
}

/// What a batch holds of a node: how many buffers, and whether more follow whose number the batch states.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub buffers: usize,
    pub more: bool,
}

#[derive(Default)]
pub(super) struct Schema {
    pub fields: Vec<Field>,
    /// All nodes, parents before children.
    pub nodes: Vec<Node>,
    pub stated: Vec<(String, String)>,
    pub big_endian: bool,
    /// Bytes that names and keys may still take.
    budget: usize,
}

impl Schema {
    /// Of at most `most` nodes, `most_depth` inside each other; `None` where it is more or is no schema.
    pub fn read(table: Table<'_>, bytes: usize, most: usize, most_depth: usize) -> Option<Self> {
        let mut schema = Self {
            big_endian: table.i16(0).unwrap_or(0) != 0,
            budget: 2 * bytes + (1 << 12),
            ..Self::default()
        };
        schema.stated = schema.keys(table, 2)?;
        for field in table.tables(1)? {
            schema.field(field?, "", most, most_depth)?;
        }
        Some(schema)
    }

    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(bytes)?;
        Some(())
    }

    fn keys(&mut self, table: Table<'_>, id: usize) -> Option<Vec<(String, String)>> {
        let mut keys = Vec::new();
        for pair in table.tables(id)?.take(MOST_STATED) {
            let pair = pair?;
            let (key, value) = (pair.text(0).unwrap_or_default(), pair.text(1).unwrap_or_default());
            if key.starts_with("ARROW:") || key.starts_with("PARQUET:") {
                continue;
            }
            self.spend(64 + key.len() + value.len())?;
            keys.push((key.to_owned(), value.to_owned()));
        }
        Some(keys)
    }

    fn node(&mut self, buffers: usize, more: bool, most: usize) -> Option<usize> {
        if self.nodes.len() >= most {
            return None;
        }
        self.nodes.push(Node { buffers, more });
        Some(self.nodes.len() - 1)
    }

    fn field(&mut self, table: Table<'_>, above: &str, most: usize, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let own = table.text(0).unwrap_or_default();
        let name = if above.is_empty() {
            own.to_owned()
        } else {
            format!("{above}.{own}")
        };
        self.spend(name.len())?;
        let code = table.u8(2)?;
        let kind = table.table(3)?;
        let (values, word) = if table.table(4).is_some() {
            // the numbers are places in a dictionary, which is of no use without it
            self.node(2, false, most)?;
            let reason = "its values are in a dictionary, which is not read; write them as they are";
            return self.push(
                name,
                "dictionary",
                Values::Other(Some(reason)),
                table,
                self.nodes.len() - 1,
            );
        } else {
            of_type(code, kind)
        };
        let node = self.node(buffers(code), matches!(code, 23 | 24), most)?;
        let children: Vec<Table<'_>> = table.tables(5)?.take(most).collect::<Option<_>>()?;
        match (code, &children[..]) {
            // struct: its own columns
            (13, _) => {
                for child in children {
                    self.field(child, &name, most, depth)?;
                }
                Some(())
            }
            (12 | 16 | 21, [element]) => {
                let first = self.nodes.len();
                let fields = self.fields.len();
                self.field(*element, &name, most, depth)?;
                self.fields.truncate(fields);
                let of = element
                    .u8(2)
                    .zip(element.table(3))
                    .map(|(code, kind)| of_type(code, kind));
                let is_dictionary = element.table(4).is_some();
                let (values, word) = match (of, code) {
                    (Some((Values::Single(single), word)), _) if !is_dictionary && self.nodes.len() == first + 1 => {
                        let values = match code {
                            12 => Values::Lists(single, 4),
                            21 => Values::Lists(single, 8),
                            _ => Values::Fixed(single, usize::try_from(kind.i32(0)?).ok()?),
                        };
                        (values, word)
                    }
                    _ => (
                        Values::Other(Some("lists of what is not a number are not read")),
                        "list",
                    ),
                };
                self.push(name, word, values, table, node)
            }
            _ => {
                for child in children {
                    let fields = self.fields.len();
                    self.field(child, &name, most, depth)?;
                    self.fields.truncate(fields);
                }
                self.push(name, word, values, table, node)
            }
        }
    }

    fn push(&mut self, name: String, kind: &'static str, values: Values, table: Table<'_>, node: usize) -> Option<()> {
        let stated = self.keys(table, 6)?;
        self.fields.push(Field {
            name,
            kind,
            values,
            node,
            stated,
        });
        Some(())
    }
}

/// Buffers of a node of a type, as the columnar format has them.
fn buffers(code: u8) -> usize {
    match code {
        1 | 22 => 0,
        // union (of version 5: types, and offsets where dense; sparse ones come out wrong and are refused by their sizes)
        13 | 16 => 1,
        4 | 5 | 19 | 20 | 25 | 26 => 3,
        _ => 2,
    }
}

fn of_type(code: u8, table: Table<'_>) -> (Values, &'static str) {
    let number = |number: Number| (Values::Single(Single::Numbers(number)), number.name());
    let other = |kind| (Values::Other(None), kind);
    match code {
        2 => match (table.i32(0).unwrap_or(0), table.u8(1).unwrap_or(0) != 0) {
            (8, true) => number(Number::I8),
            (8, false) => number(Number::U8),
            (16, true) => number(Number::I16),
            (16, false) => number(Number::U16),
            (32, true) => number(Number::I32),
            (32, false) => number(Number::U32),
            (64, true) => number(Number::I64),
            (64, false) => number(Number::U64),
            _ => other("integer"),
        },
        3 => match table.i16(0).unwrap_or(0) {
            0 => number(Number::F16),
            1 => number(Number::F32),
            2 => number(Number::F64),
            _ => other("float"),
        },
        6 => (Values::Single(Single::Flags), "logical"),
        5 => (Values::Texts(4), "text"),
        20 => (Values::Texts(8), "text"),
        24 => (Values::Views, "text"),
        8..=11 | 18 => other("time"),
        7 => other("decimal"),
        _ => other("other"),
    }
}

/// What the fields state of themselves in the Arrow schema that writers put into a Parquet file's keys, by their names.
pub(in super::super) fn stated_of_fields(keys: &[(String, String)]) -> BTreeMap<String, Vec<(String, String)>> {
    let read = || {
        let (_, text) = keys.iter().find(|(key, _)| key == "ARROW:schema")?;
        let bytes = base64(text)?;
        // a message behind its mark and its length
        let message = bytes.get(8..)?;
        let schema = Schema::read(Table::root(message)?.table(2)?, message.len(), message.len() / 16, 32)?;
        Some(
            schema
                .fields
                .into_iter()
                .map(|field| (field.name, field.stated))
                .collect(),
        )
    };
    read().unwrap_or_default()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for &c in four {
            bits = bits << 6 | u32::from(digit(c)?);
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    /// The test vectors of RFC 4648.
    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(super::base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(super::base64("Zm9*"), None);
    }
}
