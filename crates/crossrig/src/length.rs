//! How long a window is: so many samples, or so many turns of the shaft, which are more samples where it turns slowly.

use std::fmt;

use serde::{Deserialize, Serialize};
use signal_conditioning::Meta;

use crate::error::{Error, Result};
use crate::options::Span;

/// A length in a recording. In files a number of samples, or a text (`"20rev"`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub enum Length {
    /// Samples, at the rate of use.
    Samples(usize),
    /// Turns of the shaft, positive and finite.
    Turns(f64),
}

impl Length {
    /// From what the user typed: samples, seconds at a rate (`1s`) or revolutions (`20rev`); `flag` is named in errors.
    ///
    /// # Errors
    /// Text that is none of these, a time without a rate.
    pub fn new(span: &Span, rate_hz: Option<f64>, flag: &str) -> Result<Self> {
        match span {
            Span::Text(text) if text.trim().ends_with(REVOLUTIONS) => turns(text).ok_or_else(|| {
                Error::input_with_hint(
                    format!("--{flag}: `{text}` is no number of revolutions"),
                    format!("for example --{flag} 20{REVOLUTIONS}"),
                )
            }),
            _ => span.samples(rate_hz, flag).map(Self::Samples),
        }
    }

    /// Samples of a recording: of revolutions the nearest number at its rate and shaft speed, one at least.
    ///
    /// # Errors
    /// Revolutions, and rate or shaft speed are not known.
    pub fn samples(self, meta: &Meta) -> Result<usize> {
        match self {
            Self::Samples(n) => Ok(n),
            Self::Turns(turns) => match (meta.rate_hz, meta.shaft_hz) {
                (Some(rate_hz), Some(shaft_hz)) => Ok(((turns * rate_hz / shaft_hz).round() as usize).max(1)),
                _ => Err(Error::input(format!(
                    "{self}: how long they take is not known without sampling rate and shaft speed"
                ))),
            },
        }
    }

    /// Whether it is counted in turns of the shaft.
    pub fn in_turns(self) -> bool {
        matches!(self, Self::Turns(_))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(n) => write!(f, "{n} samples"),
            Self::Turns(turns) => write!(f, "{turns} revolutions"),
        }
    }
}

/// What follows the number of a length in turns.
const REVOLUTIONS: &str = "rev";

fn turns(text: &str) -> Option<Length> {
    let number = text.trim().strip_suffix(REVOLUTIONS)?.trim().parse::<f64>().ok()?;
    (number > 0.0 && number < 1e6).then_some(Length::Turns(number))
}

impl TryFrom<Span> for Length {
    type Error = String;

    fn try_from(span: Span) -> Result<Self, String> {
        match span {
            Span::Samples(n) => Ok(Self::Samples(n)),
            Span::Text(text) => {
                turns(&text).ok_or_else(|| format!("`{text}` is neither samples nor revolutions (20rev)"))
            }
        }
    }
}

impl From<Length> for Span {
    fn from(length: Length) -> Self {
        match length {
            Length::Samples(n) => Self::Samples(n),
            Length::Turns(turns) => Self::Text(format!("{turns}{REVOLUTIONS}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Length> {
        let span = text.parse().map_or_else(|_| Span::Text(text.into()), Span::Samples);
        Length::new(&span, Some(12_000.0), "window")
    }

    #[test]
    fn samples_seconds_and_revolutions_are_told_apart_and_read_back() {
        for (text, length, stored) in [
            ("1024", Length::Samples(1024), "1024"),
            ("0.5s", Length::Samples(6000), "6000"),
            ("20rev", Length::Turns(20.0), "\"20rev\""),
            (" 2.5 rev", Length::Turns(2.5), "\"2.5rev\""),
        ] {
            assert_eq!(typed(text).unwrap(), length);
            assert_eq!(serde_json::to_string(&length).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Length>(stored).unwrap(), length);
        }
        for wrong in ["rev", "0rev", "-1rev", "nanrev", "infrev", "1e9rev", "20 turns", ""] {
            assert!(typed(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Length>("\"1s\"").is_err(), "a file has no rate");
    }

    #[test]
    fn a_revolution_is_longer_where_the_shaft_is_slower_and_unknown_without_a_speed() {
        let meta = |rpm: Option<f64>| Meta {
            rate_hz: Some(12_000.0),
            shaft_hz: rpm.map(|r| r / 60.0),
            geometry: None,
        };
        assert_eq!(Length::Turns(20.0).samples(&meta(Some(1800.0))).unwrap(), 8000);
        assert_eq!(Length::Turns(20.0).samples(&meta(Some(900.0))).unwrap(), 16_000);
        assert_eq!(Length::Samples(7).samples(&meta(None)).unwrap(), 7);
        assert!(
            Length::Turns(20.0)
                .samples(&meta(None))
                .unwrap_err()
                .to_string()
                .contains("shaft speed")
        );
    }
}
