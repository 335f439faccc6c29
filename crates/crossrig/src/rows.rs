//! Windows as rows: held in memory where there is room, else made when they are wanted, by a thread that is a little ahead. The
//! numbers are the same, to the bit.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::{Device, Tensor};
use signal_conditioning::Standardiser;

use crate::ahead::ahead;
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::network::ROWS;
use crate::preprocess::{Gathered, Represented, represent_windows, shape_of};
use crate::room::Room;
use crate::settings::SignalSettings;
use crate::task::WindowRef;

/// Windows of recordings and their representations, not yet standardised.
pub struct Rows<'a> {
    signals: &'a [Signal],
    windows: &'a [WindowRef],
    settings: &'a SignalSettings,
    held: Option<(Represented, Room)>,
}

impl<'a> Rows<'a> {
    /// Rows that are made each time they are asked for.
    pub fn new(signals: &'a [Signal], windows: &'a [WindowRef], settings: &'a SignalSettings) -> Self {
        Self {
            signals,
            windows,
            settings,
            held: None,
        }
    }

    /// Makes them once and for all, where there is room.
    ///
    /// # Errors
    /// As [`represent_windows`].
    pub fn hold(mut self) -> Result<Self> {
        // as f64, then as f32 beside it
        let values = self.values();
        if let Some(room) = Room::take(values.saturating_mul(size_of::<f64>() + size_of::<f32>())) {
            self.held = Some((represent_windows(self.signals, self.windows, self.settings)?, room));
        }
        Ok(self)
    }

    fn values(&self) -> usize {
        let (channels, length) = shape_of(self.signals, self.settings);
        self.windows.len().saturating_mul(channels * length)
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Takes these rows into statistics, in their order.
    ///
    /// # Errors
    /// As [`represent_windows`].
    pub fn gather(&self, into: &mut Gathered) -> Result<()> {
        match &self.held {
            Some((rows, _)) => into.take(rows),
            None => ahead(self.pieces(), |mut pieces| {
                pieces.try_for_each(|rows| into.take(&rows?))
            }),
        }
    }

    /// Statistics of these rows alone.
    ///
    /// # Errors
    /// As [`gather`](Self::gather); there is no row.
    pub fn statistics(&self) -> Result<Standardiser> {
        let mut gathered = Gathered::new(self.settings.input);
        self.gather(&mut gathered)?;
        gathered.finish()
    }

    /// Evenly spaced rows, `most` at most, and their numbers.
    ///
    /// # Errors
    /// As [`represent_windows`].
    pub fn evenly(&self, most: usize) -> Result<(Vec<usize>, Cow<'_, Represented>)> {
        let numbers: Vec<usize> = (0..self.len()).step_by(self.len().div_ceil(most).max(1)).collect();
        let rows = match &self.held {
            Some((rows, _)) if numbers.len() == self.len() => Cow::Borrowed(rows),
            Some((rows, _)) => Cow::Owned(rows.select(&numbers)),
            None => Cow::Owned(self.made(&numbers)?),
        };
        Ok((numbers, rows))
    }

    /// All rows as input tensors `(n, channels, length)` of at most [`ROWS`] rows, in their order.
    ///
    /// # Errors
    /// As [`represent_windows`]; those of `take`.
    pub fn inputs(&self, by: Option<&Standardiser>, mut take: impl FnMut(&Tensor) -> Result<()>) -> Result<()> {
        let tensors = self.pieces().map(|rows| input(rows?, by));
        ahead(tensors, |mut tensors| tensors.try_for_each(|x| take(&x?)))
    }

    /// What a network sees of them; what was held is held on.
    ///
    /// # Errors
    /// Statistics of other rows.
    pub fn standardised(self, by: Option<Standardiser>) -> Result<InputRows<'a>> {
        let Self {
            signals,
            windows,
            settings,
            held,
        } = self;
        let held = match held {
            None => None,
            Some((rows, mut room)) => {
                let bytes = rows.values.len() * size_of::<f32>();
                let tensor = input(rows, by.as_ref())?;
                room.resize(bytes);
                Some((tensor, room))
            }
        };
        Ok(InputRows {
            rows: Rows::new(signals, windows, settings),
            by,
            held,
        })
    }

    fn pieces(&self) -> impl Iterator<Item = Result<Represented>> + Send + '_ {
        pieces(self.len()).map(|piece| match &self.held {
            Some((rows, _)) => Ok(rows.select(&piece.collect::<Vec<_>>())),
            None => represent_windows(self.signals, &self.windows[piece], self.settings),
        })
    }

    fn made(&self, rows: &[usize]) -> Result<Represented> {
        let windows: Vec<WindowRef> = rows.iter().map(|&r| self.windows[r]).collect();
        represent_windows(self.signals, &windows, self.settings)
    }
}

/// What a network sees of windows of recordings.
pub struct InputRows<'a> {
    rows: Rows<'a>,
    by: Option<Standardiser>,
    held: Option<(Tensor, Room)>,
}

impl InputRows<'_> {
    /// Number of windows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Statistics that standardise them.
    pub fn standardiser(&self) -> Option<&Standardiser> {
        self.by.as_ref()
    }

    /// Some of the rows, by number: `(n, channels, length)`.
    ///
    /// # Errors
    /// As [`represent_windows`].
    pub fn select(&self, rows: &[usize]) -> Result<Tensor> {
        match &self.held {
            Some((tensor, _)) => Ok(tensor.index_select(&index(rows)?, 0)?),
            None => input(self.rows.made(rows)?, self.by.as_ref()),
        }
    }

    /// All rows, at most [`ROWS`] at a time, in their order.
    ///
    /// # Errors
    /// As [`represent_windows`]; those of `take`.
    pub fn inputs(&self, mut take: impl FnMut(&Tensor) -> Result<()>) -> Result<()> {
        match &self.held {
            Some((tensor, _)) => pieces(self.len()).try_for_each(|p| take(&tensor.narrow(0, p.start, p.len())?)),
            None => self.rows.inputs(self.by.as_ref(), take),
        }
    }
}

/// Numbers of rows, [`ROWS`] at a time.
fn pieces(rows: usize) -> impl Iterator<Item = Range<usize>> + Send {
    (0..rows).step_by(ROWS).map(move |start| start..rows.min(start + ROWS))
}

fn input(mut rows: Represented, by: Option<&Standardiser>) -> Result<Tensor> {
    if let Some(by) = by {
        rows.standardise(by)?;
    }
    rows.tensor()
}

/// Numbers of rows as a tensor.
pub fn index(rows: &[usize]) -> Result<Tensor> {
    let rows: Vec<u32> = rows
        .iter()
        .map(|&r| u32::try_from(r).map_err(|_| Error::Machine(format!("row {r} is beyond 32 bits"))))
        .collect::<Result<_>>()?;
    Ok(Tensor::new(rows, &Device::Cpu)?)
}
