//! The columns of a Parquet file, and the types of their values.
//!
//! Source: `parquet.thrift` and `LogicalTypes.md` of Apache Parquet.

use super::super::numbers::Number;
use super::thrift::{Compact, Kind, Read, size, text};

/// A column that holds values.
#[derive(Debug)]
pub(super) struct Leaf {
    /// `a`; `a.b` inside a record; of lists the name that the list has.
    pub name: String,
    pub values: Values,
    /// What the values are, in words.
    pub kind: &'static str,
    /// The definition level of a value that is there.
    pub most_defined: u8,
    /// The definition level of an element, there or null; above 0 for lists alone.
    pub element_defined: u8,
    /// Lists inside each other.
    pub most_repeated: u8,
}

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Flags,
    Numbers(Number),
    Texts,
    /// Not read; the reason where that needs saying.
    Other(Option<&'static str>),
}

/// A node of the schema.
#[derive(Default)]
pub(super) struct Element {
    physical: Option<i64>,
    length: i64,
    repetition: i64,
    name: String,
    children: usize,
    converted: Option<i64>,
    logical: Option<Logical>,
}

#[derive(Clone, Copy, PartialEq)]
enum Logical {
    Integer { bits: i64, signed: bool },
    Text,
    Time,
    Half,
    Other,
}

impl Element {
    pub fn read(r: &mut Compact<'_>, kind: Kind) -> Read<Self> {
        let mut e = Self::default();
        r.record(kind, |r, id, kind| {
            match id {
                1 => e.physical = Some(r.int(kind)?),
                2 => e.length = r.int(kind)?,
                3 => e.repetition = r.int(kind)?,
                4 => e.name = text(r, kind)?,
                5 => e.children = size(r.int(kind)?, r.at)? as usize,
                6 => e.converted = Some(r.int(kind)?),
                10 => {
                    r.record(kind, |r, id, kind| {
                        e.logical = Some(match id {
                            1 | 4 => Logical::Text,
                            6..=8 => Logical::Time,
                            10 => return integer(r, kind).map(|logical| e.logical = Some(logical)),
                            15 => Logical::Half,
                            _ => Logical::Other,
                        });
                        r.skip(kind)
                    })?;
                }
                _ => r.skip(kind)?,
            }
            Ok(())
        })?;
        Ok(e)
    }

    fn values(&self) -> (Values, &'static str) {
        let numbers = |number: Number| (Values::Numbers(number), number.name());
        let signed = !matches!(self.logical, Some(Logical::Integer { signed: false, .. }))
            && !matches!(self.converted, Some(11..=14));
        let other = |kind| (Values::Other(None), kind);
        match self.logical {
            Some(Logical::Time) => return other("time"),
            Some(Logical::Other) => return other("other"),
            _ => {}
        }
        match self.converted {
            Some(6..=10 | 21) => return other("time"),
            Some(5) => return other("decimal"),
            _ => {}
        }
        // 8 and 16 bits are stored in 32
        let bits = match (self.logical, self.converted) {
            (Some(Logical::Integer { bits, .. }), _) => bits,
            (_, Some(11 | 15)) => 8,
            (_, Some(12 | 16)) => 16,
            _ => 32,
        };
        match self.physical {
            Some(0) => (Values::Flags, "logical"),
            Some(1) => match (bits, signed) {
                (8, true) => (Values::Numbers(Number::I32), "int8"),
                (8, false) => (Values::Numbers(Number::U32), "uint8"),
                (16, true) => (Values::Numbers(Number::I32), "int16"),
                (16, false) => (Values::Numbers(Number::U32), "uint16"),
                (_, true) => numbers(Number::I32),
                (_, false) => numbers(Number::U32),
            },
            Some(2) if signed => numbers(Number::I64),
            Some(2) => numbers(Number::U64),
            Some(3) => other("time"),
            Some(4) => numbers(Number::F32),
            Some(5) => numbers(Number::F64),
            Some(6) if self.logical == Some(Logical::Text) || matches!(self.converted, Some(0 | 4)) => {
                (Values::Texts, "text")
            }
            Some(7) if self.logical == Some(Logical::Half) && self.length == 2 => numbers(Number::F16),
            _ => other("bytes"),
        }
    }
}

fn integer(r: &mut Compact<'_>, kind: Kind) -> Read<Logical> {
    let (mut bits, mut signed) = (32, true);
    r.record(kind, |r, id, kind| {
        match id {
            1 => bits = r.int(kind)?,
            2 => signed = r.int(kind)? != 0,
            _ => r.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Logical::Integer { bits, signed })
}

/// The columns below the root; `None` where the schema is no tree, or their names would take much more than the `bytes` of
/// the footer.
pub(super) fn leaves(elements: &[Element], most_depth: usize, bytes: usize) -> Option<Vec<Leaf>> {
    let (root, rest) = elements.split_first()?;
    let mut walk = Walk {
        rest,
        leaves: Vec::new(),
        most_depth,
        budget: 2 * bytes + (1 << 16),
    };
    for _ in 0..root.children {
        walk.node(&Above::default(), 0)?;
    }
    walk.rest.is_empty().then_some(walk.leaves)
}

/// What stands above a node.
#[derive(Clone, Default)]
struct Above {
    name: String,
    defined: u8,
    element_defined: u8,
    repeated: u8,
    /// Whether the next name is that of a list's element, which says nothing.
    in_list: bool,
}

struct Walk<'e> {
    rest: &'e [Element],
    leaves: Vec<Leaf>,
    most_depth: usize,
    /// Bytes that names may still take.
    budget: usize,
}

impl Walk<'_> {
    fn node(&mut self, above: &Above, depth: usize) -> Option<()> {
        let (element, rest) = self.rest.split_first()?;
        self.rest = rest;
        if depth > self.most_depth || element.children > self.rest.len() {
            return None;
        }
        let mut here = above.clone();
        let repeated = element.repetition == 2;
        if element.repetition != 0 {
            here.defined = here.defined.checked_add(1)?;
        }
        if repeated {
            here.repeated += 1;
            here.element_defined = here.defined;
        }
        // of `x.list.element` only x is a name; of the older `x.array` too
        let silent = above.in_list || repeated && !above.name.is_empty();
        here.in_list = repeated && element.children == 1;
        if !silent {
            here.name = match &*above.name {
                "" => element.name.clone(),
                parent => format!("{parent}.{}", element.name),
            };
        }
        self.budget = self.budget.checked_sub(here.name.len())?;
        if element.children > 0 {
            for _ in 0..element.children {
                self.node(&here, depth + 1)?;
            }
            return Some(());
        }
        let (values, kind) = element.values();
        self.leaves.push(Leaf {
            name: here.name,
            values,
            kind,
            most_defined: here.defined,
            element_defined: here.element_defined,
            most_repeated: here.repeated,
        });
        Some(())
    }
}
