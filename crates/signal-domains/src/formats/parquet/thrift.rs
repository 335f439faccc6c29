//! The compact protocol of Apache Thrift, in which a Parquet file says what it holds.
//!
//! Source: `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

/// What is wrong, and at which byte of those given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub at: usize,
    pub what: &'static str,
}

pub(super) type Read<T> = Result<T, Malformed>;

/// Types of fields and elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    /// 16, 32 and 64 bits are written alike.
    Int,
    Double,
    Bytes,
    List,
    Map,
    Record,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Bytes,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Record,
            _ => return None,
        })
    }
}

/// Records, lists and maps inside each other; Parquet's own go to 8.
const MOST_DEPTH: usize = 24;

/// Reads forward.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    pub at: usize,
    depth: usize,
}

impl<'a> Compact<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Read<T> {
        Err(Malformed { at: self.at, what })
    }

    /// Whether the bytes were too few, so that more may help.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn byte(&mut self) -> Read<u8> {
        let Some(&byte) = self.bytes.get(self.at) else {
            return self.fail("it ends early");
        };
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail("a number of more than 64 bits")
    }

    /// An integer, or a truth as 0 or 1.
    pub fn int(&mut self, kind: Kind) -> Read<i64> {
        match kind {
            Kind::True => Ok(1),
            Kind::False => Ok(0),
            Kind::Byte => Ok(i64::from(self.byte()? as i8)),
            Kind::Int => {
                let value = self.varint()?;
                Ok((value >> 1) as i64 ^ -((value & 1) as i64))
            }
            _ => self.fail("a field that should be a number is something else"),
        }
    }

    pub fn bytes(&mut self, kind: Kind) -> Read<&'a [u8]> {
        if kind != Kind::Bytes {
            return self.fail("a field that should be a text is something else");
        }
        let len = self.varint()?;
        let left = &self.bytes[self.at..];
        if let Some(bytes) = usize::try_from(len).ok().and_then(|len| left.get(..len)) {
            self.at += bytes.len();
            return Ok(bytes);
        }
        // also for `is_at_end`
        self.at = self.bytes.len();
        self.fail("a text goes beyond the end")
    }

    /// Each element of a list.
    pub fn list(&mut self, kind: Kind, mut each: impl FnMut(&mut Self, Kind) -> Read<()>) -> Read<()> {
        if kind != Kind::List {
            return self.fail("a field that should be a list is something else");
        }
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => self.varint()?,
            n => u64::from(n),
        };
        if n == 0 {
            return Ok(());
        }
        // every element takes at least a byte
        if n > (self.bytes.len() - self.at) as u64 {
            return self.fail("a list of more elements than bytes are left");
        }
        let Some(element) = Kind::of(head & 15) else {
            return self.fail("a list of a type that there is not");
        };
        self.inside(|r| {
            for _ in 0..n {
                // a truth in a list is a byte of its own
                match element {
                    Kind::True | Kind::False => {
                        let truth = if r.byte()? == 1 { Kind::True } else { Kind::False };
                        each(r, truth)?;
                    }
                    _ => each(r, element)?,
                }
            }
            Ok(())
        })
    }

    /// Each field of a record: its number and type. What is not read must be [`skip`](Self::skip)ped.
    pub fn record(&mut self, kind: Kind, mut each: impl FnMut(&mut Self, i64, Kind) -> Read<()>) -> Read<()> {
        if kind != Kind::Record {
            return self.fail("a field that should be a record is something else");
        }
        self.inside(|r| {
            let mut id = 0i64;
            loop {
                let head = r.byte()?;
                if head == 0 {
                    return Ok(());
                }
                let Some(kind) = Kind::of(head & 15) else {
                    return r.fail("a field of a type that there is not");
                };
                id = match head >> 4 {
                    0 => r.int(Kind::Int)?,
                    delta => id.wrapping_add(i64::from(delta)),
                };
                each(r, id, kind)?;
            }
        })
    }

    pub fn skip(&mut self, kind: Kind) -> Read<()> {
        match kind {
            Kind::True | Kind::False | Kind::Byte | Kind::Int => self.int(kind).map(drop),
            Kind::Double => (0..8).try_for_each(|_| self.byte().map(drop)),
            Kind::Bytes => self.bytes(kind).map(drop),
            Kind::List => self.list(kind, Self::skip),
            Kind::Record => self.record(kind, |r, _, kind| r.skip(kind)),
            // Parquet has none
            Kind::Map => self.fail("a map, of which Parquet has none"),
        }
    }

    fn inside<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MOST_DEPTH {
            return self.fail("records inside each other too deep");
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

/// Numbers that cannot be negative.
pub(super) fn size(value: i64, at: usize) -> Read<u64> {
    u64::try_from(value).map_err(|_| Malformed {
        at,
        what: "a negative size",
    })
}

pub(super) fn text(r: &mut Compact<'_>, kind: Kind) -> Read<String> {
    Ok(String::from_utf8_lossy(r.bytes(kind)?).into_owned())
}

/// Writes forward.
#[derive(Default)]
pub(super) struct CompactWriter {
    pub bytes: Vec<u8>,
    /// The latest field of each record that is open.
    open: Vec<i16>,
}

impl CompactWriter {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    /// Fields are written in the order of their numbers, which are at most 15 apart.
    fn field(&mut self, id: i16, code: u8) {
        let latest = self.open.last_mut().expect("a record is open");
        self.bytes.push(((id - *latest) as u8) << 4 | code);
        *latest = id;
    }

    pub fn i32(&mut self, id: i16, value: i32) {
        self.field(id, 5);
        self.zigzag(i64::from(value));
    }

    pub fn i64(&mut self, id: i16, value: i64) {
        self.field(id, 6);
        self.zigzag(value);
    }

    pub fn text(&mut self, id: i16, text: &str) {
        self.field(id, 8);
        self.element_text(text);
    }

    pub fn element_text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn element_i32(&mut self, value: i32) {
        self.zigzag(i64::from(value));
    }

    /// A list of `n` texts (`b`), 32-bit integers (`i`) or records (`r`), which are written by `elements`.
    pub fn list(&mut self, id: i16, of: char, n: usize, elements: impl FnOnce(&mut Self)) {
        self.field(id, 9);
        let code = match of {
            'b' => 8,
            'i' => 5,
            _ => 12,
        };
        if n < 15 {
            self.bytes.push((n as u8) << 4 | code);
        } else {
            self.bytes.push(0xf0 | code);
            self.varint(n as u64);
        }
        elements(self);
    }

    pub fn record(&mut self, id: i16, fields: impl FnOnce(&mut Self)) {
        self.field(id, 12);
        self.element_record(fields);
    }

    /// A record in a list, or the outermost one.
    pub fn element_record(&mut self, fields: impl FnOnce(&mut Self)) {
        self.open.push(0);
        fields(self);
        self.open.pop();
        self.bytes.push(0);
    }
}
