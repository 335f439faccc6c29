//! The values of a page.

use std::ops::Range;

use super::super::numbers::{Endian, Number};
use super::encodings::{deltas, runs, split, texts, texts_behind_lengths};
use super::schema::{Leaf, Values};

/// A page, unpacked.
pub(super) struct Page {
    pub body: Vec<u8>,
    /// Where the values start.
    pub values: usize,
    pub encoding: i64,
    pub entries: usize,
    /// Levels; empty where all are the highest.
    pub repeated: Vec<u32>,
    pub defined: Vec<u32>,
}

/// The distinct values of a column.
pub(super) enum Dictionary {
    None,
    Numbers(Vec<f64>),
    Texts { bytes: Vec<u8>, places: Vec<Range<usize>> },
}

impl Page {
    /// The values themselves, of which there are as many as entries that are defined.
    fn present(&self, leaf: &Leaf, entries: Range<usize>) -> usize {
        let is_there = |d: &&u32| **d == u32::from(leaf.most_defined);
        match self.defined.get(entries.clone()) {
            Some(defined) if !self.defined.is_empty() => defined.iter().filter(is_there).count(),
            _ => entries.len(),
        }
    }

    pub fn numbers(
        &self,
        leaf: &Leaf,
        dictionary: &Dictionary,
        entries: Range<usize>,
        out: &mut Vec<f64>,
    ) -> Option<()> {
        let before = self.present(leaf, 0..entries.start);
        let inside = self.present(leaf, entries.clone());
        let all = self.present(leaf, 0..self.entries);
        if inside == entries.len() {
            return self.values(leaf.values, dictionary, all, before, before + inside, out);
        }
        let mut values = Vec::new();
        self.values(leaf.values, dictionary, all, before, before + inside, &mut values)?;
        let mut values = values.into_iter();
        for defined in &self.defined[entries] {
            let is_there = *defined == u32::from(leaf.most_defined);
            out.push(if is_there { values.next()? } else { f64::NAN });
        }
        Some(())
    }

    /// Values `from..to` of the `all` that are there.
    fn values(
        &self,
        values: Values,
        dictionary: &Dictionary,
        all: usize,
        from: usize,
        to: usize,
        out: &mut Vec<f64>,
    ) -> Option<()> {
        let mut body = &self.body[self.values..];
        match (values, self.encoding) {
            (Values::Flags, 0) => {
                for i in from..to {
                    out.push(f64::from(body.get(i / 8)? >> (i % 8) & 1));
                }
            }
            (Values::Flags, 3) => {
                let len = u32::from_le_bytes(*body.split_off(..4)?.first_chunk()?);
                let flags = runs(body.split_off(..len as usize)?, 1, to)?;
                out.extend(flags[from..].iter().map(|flag| f64::from(*flag)));
            }
            (Values::Numbers(number), 0) => {
                let size = number.size();
                let bytes = body.get(from.checked_mul(size)?..to.checked_mul(size)?)?;
                number.decode(Endian::Little, bytes, out);
            }
            (Values::Numbers(_), 2 | 8) => {
                let Dictionary::Numbers(known) = dictionary else {
                    return None;
                };
                // a column of nothing but nulls has no width
                if to > 0 {
                    let width = *body.split_off_first()?;
                    for place in &runs(body, u32::from(width), to)?[from..] {
                        out.push(*known.get(*place as usize)?);
                    }
                }
            }
            (Values::Numbers(number), 5) => {
                let whole = |value: i64| match number {
                    Number::I32 => Some(f64::from(value as i32)),
                    Number::U32 => Some(f64::from(value as u32)),
                    Number::I64 => Some(value as f64),
                    Number::U64 => Some(value as u64 as f64),
                    _ => None,
                };
                for value in &deltas(&mut body, to)?[from..] {
                    out.push(whole(*value)?);
                }
            }
            (Values::Numbers(number), 9) => split(body, number, all, from, to, out)?,
            _ => return None,
        }
        Some(())
    }

    pub fn texts(
        &self,
        leaf: &Leaf,
        dictionary: &Dictionary,
        budget: &mut usize,
        out: &mut Vec<Option<String>>,
    ) -> Option<()> {
        let n = self.present(leaf, 0..self.entries);
        let mut body = &self.body[self.values..];
        let mut short = |bytes: &[u8]| {
            *budget = budget.checked_sub(bytes.len())?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let all: Vec<Option<String>> = match self.encoding {
            0 => texts(body, n)?.into_iter().map(short).collect(),
            6 => texts_behind_lengths(body, n)?.into_iter().map(short).collect(),
            2 | 8 if n > 0 => {
                let Dictionary::Texts { bytes, places } = dictionary else {
                    return None;
                };
                let width = *body.split_off_first()?;
                let known = |place: u32| Some(short(bytes.get(places.get(place as usize)?.clone())?));
                runs(body, u32::from(width), n)?
                    .into_iter()
                    .map(known)
                    .collect::<Option<_>>()?
            }
            2 | 8 => Vec::new(),
            _ => return None,
        };
        let mut all = all.into_iter();
        for i in 0..self.entries {
            let is_there = self.defined.get(i).is_none_or(|d| *d == u32::from(leaf.most_defined));
            out.push(if is_there { all.next()? } else { None });
        }
        Some(())
    }
}
