//! The samples of a recording: in memory where there is room, else read from its file stretch by stretch. They are the same
//! numbers, to the bit, and so is what is computed of them.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use signal_conditioning::{Resampler, ScaleBy, Scaling};
use signal_domains::{OpenRecording, OpenRecordings, RecordingEntry};

use crate::corpus::data_error;
use crate::error::{Error, Result};
use crate::room::Room;

/// The files that are open, of all recordings of this process: descriptors are the process's too.
static FILES: LazyLock<OpenRecordings> = LazyLock::new(|| OpenRecordings::new(64));

/// Samples, of all channels together, that are in memory at once in a pass over a whole recording.
const PIECE: usize = 1 << 19;

/// Some samples of each channel.
pub type Stretch<'a> = Vec<Cow<'a, [f64]>>;

/// The samples of a recording at the rate of use. Clones share them.
#[derive(Clone, Debug)]
pub struct Samples {
    store: Arc<Store>,
    channels: usize,
    len: usize,
    /// Of each channel, once asked for.
    scaling: Arc<Mutex<Option<Whole>>>,
}

/// What each channel as a whole is scaled by.
type Whole = (ScaleBy, Arc<[Scaling]>);

#[derive(Debug)]
enum Store {
    Memory {
        channels: Vec<Vec<f64>>,
        room: Option<Room>,
    },
    File(Arc<RecordingEntry>),
    Resampled {
        of: Samples,
        resampler: Arc<Resampler>,
    },
}

impl From<Vec<Vec<f64>>> for Samples {
    /// Channels of equal length that are in memory already.
    fn from(channels: Vec<Vec<f64>>) -> Self {
        Self::held(channels, None)
    }
}

impl Samples {
    fn held(channels: Vec<Vec<f64>>, room: Option<Room>) -> Self {
        let (count, len) = (channels.len(), channels.first().map_or(0, Vec::len));
        Self::new(Store::Memory { channels, room }, count, len)
    }

    fn new(store: Store, channels: usize, len: usize) -> Self {
        Self {
            store: Arc::new(store),
            channels,
            len,
            scaling: Arc::default(),
        }
    }

    /// Opens a recording.
    ///
    /// # Errors
    /// As [`RecordingEntry::open`].
    pub fn open(entry: &Arc<RecordingEntry>) -> signal_domains::Result<Arc<OpenRecording>> {
        FILES.open(entry)
    }

    /// Those of an open recording, to be read when asked for.
    pub fn in_file(entry: &Arc<RecordingEntry>, open: &OpenRecording) -> Self {
        Self::new(Store::File(Arc::clone(entry)), open.names.len(), open.len())
    }

    /// Those of a recording that was read, for which there is room.
    pub fn in_memory(channels: Vec<Vec<f64>>, room: Room) -> Self {
        Self::held(channels, Some(room))
    }

    /// Whether they are in memory.
    pub fn are_held(&self) -> bool {
        matches!(*self.store, Store::Memory { .. })
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples of each channel.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `len` samples of each channel from `start`.
    ///
    /// # Errors
    /// They are not there; the file is gone or damaged.
    pub fn read(&self, start: usize, len: usize) -> Result<Stretch<'_>> {
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            let message = format!("{len} samples from {start} on, of a recording of {}", self.len);
            return Err(Error::Machine(message));
        }
        match &*self.store {
            Store::Memory { channels, .. } => Ok(channels.iter().map(|c| Cow::from(&c[start..start + len])).collect()),
            Store::File(entry) => {
                let read = FILES.read(entry, start, len).map_err(data_error)?;
                Ok(read.into_iter().map(Cow::from).collect())
            }
            Store::Resampled { of, resampler } => {
                let needed = resampler.input(start..start + len, of.len);
                let stretch = |x: &Cow<[f64]>| resampler.stretch(x, needed.start, of.len, start..start + len);
                let stored = of.read(needed.start, needed.len())?;
                Ok(stored.iter().map(|x| Cow::from(stretch(x))).collect())
            }
        }
    }

    /// As [`read`](Self::read), of the first channel.
    pub fn read_first(&self, start: usize, len: usize) -> Result<Cow<'_, [f64]>> {
        let first = self.read(start, len)?.into_iter().next();
        first.ok_or_else(|| Error::Machine("a recording without a channel".into()))
    }

    /// As [`read`](Self::read); where `whole` says so, scaled by what the recording as a whole is.
    pub fn read_scaled(&self, start: usize, len: usize, whole: Option<ScaleBy>) -> Result<Stretch<'_>> {
        let mut stretch = self.read(start, len)?;
        if let Some(by) = whole {
            for (channel, scaling) in stretch.iter_mut().zip(&*self.scaling(by)?) {
                channel.to_mut().iter_mut().for_each(|v| *v = scaling.apply(*v));
            }
        }
        Ok(stretch)
    }

    /// What each channel as a whole is scaled by.
    fn scaling(&self, by: ScaleBy) -> Result<Arc<[Scaling]>> {
        let mut known = self.scaling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, scaling)) = known.as_ref().filter(|k| k.0 == by) {
            return Ok(Arc::clone(scaling));
        }
        let piece = (PIECE / self.channels.max(1)).max(1);
        let scaling: Arc<[Scaling]> = (0..self.channels)
            .map(|channel| {
                Scaling::of_pieces(by, |take| {
                    (0..self.len).step_by(piece).try_for_each(|start| {
                        take(&self.read(start, piece.min(self.len - start))?[channel]);
                        Ok::<_, Error>(())
                    })
                })
            })
            .collect::<Result<_>>()?;
        *known = Some((by, Arc::clone(&scaling)));
        Ok(scaling)
    }

    /// The same at another rate: resampled at once where they are in memory and there is room for the result, else each stretch
    /// when it is read.
    ///
    /// # Errors
    /// Rates that are too far apart; a result that is too long.
    pub fn resampled(&self, from_hz: f64, to_hz: f64) -> Result<Self> {
        let input = |e: signal_conditioning::Error| Error::input(e.to_string());
        let resampler = resampler(from_hz, to_hz).map_err(input)?;
        let len = resampler.output_len(self.len).map_err(input)?;
        let of = self.clone();
        let resampled = Self::new(Store::Resampled { of, resampler }, self.channels, len);
        let room = match &*self.store {
            // they were in memory without being asked whether there is room
            Store::Memory { room: None, .. } => None,
            Store::Memory { room: Some(_), .. } => {
                match Room::take(len.saturating_mul(self.channels * size_of::<f64>())) {
                    None => return Ok(resampled),
                    room => room,
                }
            }
            Store::File(_) | Store::Resampled { .. } => return Ok(resampled),
        };
        let whole = resampled.read(0, len)?.into_iter().map(Cow::into_owned).collect();
        Ok(Self::held(whole, room))
    }
}

/// The resampler for two rates. Most runs have one or two, of which some have filters of megabytes: the last ones are kept.
fn resampler(from_hz: f64, to_hz: f64) -> signal_conditioning::Result<Arc<Resampler>> {
    type Known = Vec<([u64; 2], Arc<Resampler>)>;
    static KNOWN: Mutex<Known> = Mutex::new(Vec::new());
    let rates = [from_hz.to_bits(), to_hz.to_bits()];
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, resampler)) = known.iter().find(|k| k.0 == rates) {
        return Ok(Arc::clone(resampler));
    }
    let resampler = Arc::new(Resampler::new(from_hz, to_hz)?);
    known.truncate(7);
    known.insert(0, (rates, Arc::clone(&resampler)));
    Ok(resampler)
}
