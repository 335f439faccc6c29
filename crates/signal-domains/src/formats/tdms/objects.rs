//! The objects of a TDMS file: what they say, and how their values lie in the chunks of a segment.

use std::collections::HashMap;

use super::super::listing::{Full, Listing};
use super::super::numbers::rate_of_spacing;
use super::super::source::Source;
use super::super::stream::Stream;
use super::super::{Limits, Variable};
use super::scaling::Scaling;
use super::values::{Kind, TEXT, property, text};
use super::{Arrangement, ChunkLane, Segment, Values};
use crate::dataset::Attribute;
use crate::error::{Error, Result};

/// What stands in place of the length of an object's index.
const NO_DATA: u32 = u32::MAX;
const AS_BEFORE: u32 = 0;
const DAQMX: u32 = 0x1269;
const DAQMX_LINES: u32 = 0x126a;

/// How an object's values lie in a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub variable: usize,
    /// Values in a chunk, and bytes of each (0 for texts).
    pub count: u64,
    pub width: u64,
    /// Bytes of all of them; of a DAQmx device, of all its rows.
    pub size: u64,
    /// Of a DAQmx device: where the value stands in a row, and bytes of a row; 0 if rows of several devices follow
    /// each other.
    pub row: Option<(u64, u64)>,
}

/// What is known of a channel besides what is listed.
#[derive(Default)]
struct Channel {
    kind: Option<Kind>,
    /// Its part in the last segment that stated one.
    last: Option<Part>,
    samples: u64,
    refused: Option<&'static str>,
    /// The scale that stands for the values of a DAQmx channel.
    scaler: Option<u32>,
    /// The list of objects it was last in, and its place there.
    place: Option<(usize, usize)>,
}

/// The objects so far.
pub(super) struct Objects {
    listing: Listing<Channel>,
    of_path: HashMap<String, usize>,
    /// Those with data in the segment at hand, in order; the empty ones are left out of layouts.
    current: Vec<Part>,
    /// How many lists of objects were started, and whether the last one changed since its layout was taken.
    lists: usize,
    changed: bool,
    layouts: Vec<Vec<Part>>,
    /// Parts that all layouts may still take.
    room: usize,
}

impl Objects {
    pub fn new(limits: &Limits, bytes: u64) -> Self {
        Self {
            listing: Listing::new(limits, bytes),
            of_path: HashMap::new(),
            current: Vec::new(),
            lists: 0,
            changed: true,
            layouts: Vec::new(),
            room: 2048 + usize::try_from(bytes / 16).unwrap_or(usize::MAX),
        }
    }

    /// Reads the metadata of a segment.
    pub fn update(&mut self, stream: &mut Stream<'_>, new_list: bool) -> Result<()> {
        if new_list {
            self.current.clear();
            self.lists += 1;
        }
        self.changed = true;
        let objects = stream.u32("the number of objects")?;
        for _ in 0..objects {
            let at = stream.at();
            let path = text(stream, "the path of an object")?;
            let variable = match self.of_path.get(&path) {
                Some(variable) => *variable,
                None => self.add(path).map_err(|full| limit(stream, full))?,
            };
            self.index(stream, variable, at)?;
            let properties = stream.u32("the number of properties")?;
            for _ in 0..properties {
                let name = text(stream, "the name of a property")?;
                if let Some(value) = property(stream)? {
                    self.listing
                        .attribute(variable, name, value)
                        .map_err(|full| limit(stream, full))?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String) -> Result<usize, Full> {
        let names = names(&path);
        let kind = match names.len() {
            0 => "file",
            1 => "group",
            _ => "empty channel",
        };
        let name = if names.is_empty() { "/".into() } else { names.join("/") };
        self.listing
            .push(Variable::other(name, Vec::new(), kind), Channel::default())?;
        self.of_path.insert(path, self.listing.len() - 1);
        Ok(self.listing.len() - 1)
    }

    /// How the values of an object lie, as the segment states.
    fn index(&mut self, stream: &mut Stream<'_>, variable: usize, at: u64) -> Result<()> {
        let what = "the index of an object";
        let channel = &mut self.listing.spots[variable];
        let part = match stream.u32(what)? {
            NO_DATA => None,
            AS_BEFORE => Some(channel.last.ok_or_else(|| {
                let message = "an object is said to lie as before, but was not there before; the file is damaged";
                stream.error(at, message)
            })?),
            header @ (DAQMX | DAQMX_LINES) => Some(daqmx(stream, channel, variable, header)?),
            _ => {
                let code = stream.u32(what)?;
                let kind = Kind::of(code).ok_or_else(|| {
                    let message = format!("values of type {code:#x}, which is not known; save them as float64");
                    stream.error(at, message)
                })?;
                let dimension = stream.u32(what)?;
                let count = stream.u64(what)?;
                let size = if code == TEXT {
                    Some(stream.u64(what)?)
                } else {
                    count.checked_mul(kind.width)
                };
                let (1, Some(size)) = (dimension, size.filter(|s| *s < 1 << 56)) else {
                    let message =
                        format!("{count} values of dimension {dimension}: that cannot be; the file is damaged");
                    return Err(stream.error(at, message));
                };
                if channel.kind.is_some_and(|k| k != kind) {
                    channel.refused = Some("the type of its values changes within the file");
                }
                channel.kind = Some(kind);
                Some(Part {
                    variable,
                    count,
                    width: kind.width,
                    size,
                    row: None,
                })
            }
        };
        channel.last = part.or(channel.last);
        let place = channel.place.filter(|(list, _)| *list == self.lists);
        match (place, part) {
            (Some((_, place)), _) => {
                let part = part.unwrap_or(Part {
                    variable,
                    count: 0,
                    width: 0,
                    size: 0,
                    row: None,
                });
                self.current[place] = part;
            }
            (None, Some(part)) => {
                channel.place = Some((self.lists, self.current.len()));
                self.current.push(part);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// The number of the layout of the segment at hand.
    pub fn layout(&mut self) -> Result<usize, Full> {
        if self.changed {
            self.changed = false;
            let filled = || self.current.iter().filter(|p| p.size > 0);
            if !self.layouts.last().is_some_and(|last| filled().eq(last)) {
                self.room = self.room.checked_sub(filled().count() + 2).ok_or(Full)?;
                self.layouts.push(filled().copied().collect());
            }
        }
        Ok(self.layouts.len() - 1)
    }

    /// Counts the values of a segment, which must be whole unless it was left open.
    pub fn count(&mut self, source: &Source, segment: &Segment, open: bool) -> Result<()> {
        let layout = &self.layouts[segment.layout];
        let wrong = |message: String| Err(source.error(segment.start, message));
        let first = layout.first().copied();
        let chunk = match segment.arrangement {
            Arrangement::Rows => first.and_then(|p| p.row).map(|(_, row)| row),
            _ => layout
                .iter()
                .try_fold(0u64, |sum, p| sum.checked_add(p.size))
                .filter(|s| *s > 0),
        };
        let (Some(first), Some(chunk)) = (first, chunk) else {
            return wrong(format!(
                "{} bytes of data belong to no channel; the file is damaged",
                segment.len
            ));
        };
        let fits = |p: &Part| match segment.arrangement {
            Arrangement::Contiguous => p.row.is_none(),
            Arrangement::Interleaved => p.row.is_none() && p.count == first.count && p.width > 0,
            Arrangement::Rows => p
                .row
                .is_some_and(|(at, row)| row == chunk && (row == 0 || at + p.width <= row)),
        };
        if let Some(other) = layout.iter().find(|p| !fits(p)) {
            let name = self.listing.variables[other.variable].name.clone();
            return wrong(format!(
                "the values of {name} do not lie as those of the channels beside it ({:?}); the file is damaged",
                segment.arrangement
            ));
        }
        if chunk == 0 {
            // rows of several devices: refused
            return Ok(());
        }
        if !open && !segment.len.is_multiple_of(chunk) {
            return wrong(format!(
                "{} bytes of data are no whole number of chunks of {chunk} bytes; the file is damaged",
                segment.len
            ));
        }
        let row: u64 = layout.iter().map(|p| p.width).sum();
        let mut offset = 0;
        for part in layout {
            let lane = ChunkLane::of(part, offset, chunk, row, segment.arrangement);
            // texts have no width and are not read
            if part.width > 0 {
                self.listing.spots[part.variable].samples += lane.total(segment.len);
            }
            offset += lane.passed(part);
        }
        Ok(())
    }

    /// What is listed: for each channel how its numbers are stored.
    pub fn finish(self) -> (Listing<Option<Values>>, Vec<Vec<Part>>) {
        let listing = self.listing.map(|variable, channel| {
            let attributes = &variable.attributes;
            variable.rate_hz = match attributes.get("wf_increment") {
                Some(Attribute::Number(spacing)) => rate_of_spacing(*spacing, 1e-12),
                _ => None,
            };
            variable.unit = ["unit_string", "NI_UnitDescription"]
                .iter()
                .find_map(|name| match attributes.get(*name) {
                    Some(Attribute::Text(unit)) if !unit.is_empty() => Some(unit.clone()),
                    _ => None,
                });
            let kind = channel.kind?;
            variable.kind = kind.name.into();
            variable.shape = vec![channel.samples as usize];
            variable.reason = channel.refused.or(kind.reason).map(Into::into);
            let number = kind.number.filter(|_| variable.reason.is_none())?;
            match Scaling::of(&variable.attributes, channel.scaler) {
                Ok(scaling) => {
                    variable.numeric = true;
                    Some(Values { number, scaling })
                }
                Err(reason) => {
                    variable.reason = Some(format!(
                        "raw values of a converter that cannot be scaled here: {reason}; in LabVIEW save the scaled values"
                    ));
                    None
                }
            }
        });
        (listing, self.layouts)
    }
}

/// The index of a channel of a DAQmx device: its values are numbers at one place of each row.
fn daqmx(stream: &mut Stream<'_>, channel: &mut Channel, variable: usize, header: u32) -> Result<Part> {
    let what = "the index of a DAQmx channel";
    let at = stream.at();
    stream.skip(4, what)?;
    let dimension = stream.u32(what)?;
    let count = stream.u64(what)?;
    let scalers = stream.u32(what)?;
    let (code, _buffer, offset) = (stream.u32(what)?, stream.u32(what)?, stream.u32(what)?);
    // of a digital line the place is counted in bits, and the format is one byte
    let format = if header == DAQMX { 4 } else { 1 };
    stream.skip(format, what)?;
    let scaler = stream.u32(what)?;
    stream.skip((16 + format) * u64::from(scalers.saturating_sub(1)), what)?;
    let devices = stream.u32(what)?;
    let width = stream.u32(what)?;
    stream.skip(4 * u64::from(devices.saturating_sub(1)), what)?;
    let row = if devices == 1 { u64::from(width) } else { 0 };
    let size = count.checked_mul(row.max(1)).filter(|s| *s < 1 << 56);
    let (Some(kind), Some(size), true) = (Kind::of_daqmx(code), size, dimension == 1 && scalers > 0 && devices > 0)
    else {
        let message =
            format!("{count} values of {scalers} scalers of type {code}: that cannot be; the file is damaged");
        return Err(stream.error(at, message));
    };
    if header == DAQMX_LINES {
        channel.refused = Some("digital lines of a DAQmx device; save them as numbers");
    } else if scalers > 1 || devices > 1 {
        channel.refused =
            Some("values of a DAQmx device with several scalers or beside others; save the scaled values");
    } else if channel.kind.is_some_and(|k| k != kind) || channel.scaler.is_some_and(|s| s != scaler) {
        channel.refused = Some("the type of its values changes within the file");
    }
    channel.kind = Some(kind);
    channel.scaler = Some(scaler);
    Ok(Part {
        variable,
        count,
        width: if header == DAQMX { kind.width } else { 0 },
        size,
        row: Some((if header == DAQMX { u64::from(offset) } else { 0 }, row)),
    })
}

fn limit(stream: &Stream<'_>, _: Full) -> Error {
    Error::limit(stream.path(), Full::MESSAGE)
}

/// `/'group'/'channel'` into its names; a quote inside a name is doubled.
fn names(path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(quoted) = rest.strip_prefix("/'") {
        let mut name = String::new();
        let mut chars = quoted.char_indices().peekable();
        rest = "";
        while let Some((i, c)) = chars.next() {
            if c != '\'' {
                name.push(c);
            } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                name.push('\'');
            } else {
                rest = &quoted[i + 1..];
                break;
            }
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_in_a_path_may_hold_slashes_and_quotes() {
        assert_eq!(names("/"), [""; 0]);
        assert_eq!(names("/'a'"), ["a"]);
        assert_eq!(names("/'a/b'/'it''s'"), ["a/b", "it's"]);
        assert_eq!(names("/'open"), ["open"]);
    }
}
