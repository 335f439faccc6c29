//! Lines into cells, cells into numbers and times.

use super::dialect::{Decimal, Delimiter};

/// The cells of a line. A delimiter between double quotes does not count; quotes stay, spaces around cells too.
pub(super) struct Cells<'l> {
    rest: Option<&'l str>,
    delimiter: Delimiter,
}

pub(super) fn split(line: &str, delimiter: Delimiter) -> Cells<'_> {
    let rest = match delimiter {
        Delimiter::Spaces | Delimiter::None => line.trim(),
        _ => line,
    };
    Cells {
        rest: (!(rest.is_empty() && delimiter == Delimiter::Spaces)).then_some(rest),
        delimiter,
    }
}

impl<'l> Iterator for Cells<'l> {
    type Item = &'l str;

    fn next(&mut self) -> Option<&'l str> {
        let rest = self.rest?;
        let end = match self.delimiter {
            Delimiter::None => None,
            Delimiter::Spaces => rest.find(char::is_whitespace).map(|i| (i, i)),
            other => {
                let separator = other.byte();
                let mut quoted = false;
                // separators and quotes are ASCII: no byte of another character is mistaken for one
                let at = rest.bytes().position(|b| {
                    quoted ^= b == b'"';
                    b == separator && !quoted
                });
                at.map(|i| (i, i + 1))
            }
        };
        let Some((end, next)) = end else {
            self.rest = None;
            return Some(rest);
        };
        let next = &rest[next..];
        self.rest = Some(if self.delimiter == Delimiter::Spaces {
            next.trim_start()
        } else {
            next
        });
        Some(&rest[..end])
    }
}

/// A cell without the spaces and quotes around it.
pub(super) fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(cell)
}

/// A number as text: decimal or exponential, `nan`, `inf` in any case; nothing else, above all no thousands separators.
pub(super) fn number(cell: &str, decimal: Decimal) -> Option<f64> {
    let cell = bare(cell);
    match decimal {
        Decimal::Point => cell.parse().ok(),
        Decimal::Comma if cell.contains('.') => None,
        Decimal::Comma => cell.replacen(',', ".", 1).parse().ok(),
    }
}

/// The worth of the last digit that is written of a number.
pub(super) fn resolution(cell: &str) -> f64 {
    let cell = bare(cell);
    let (digits, exponent) = match cell.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().unwrap_or(0)),
        None => (cell, 0),
    };
    let decimals = digits.find(['.', ',']).map_or(0, |i| digits.len() - i - 1);
    10f64.powi(exponent.saturating_sub(i32::try_from(decimals).unwrap_or(i32::MAX)))
}

/// A time with its date or without: `2024-02-29 12:30:00.125`, `2024/02/29T12:30:00Z`, `12:30:00,5`; in nanoseconds
/// from the start of 1970, or of the day. Other orders of day and month are not guessed.
pub(super) fn stamp(cell: &str) -> Option<i64> {
    let cell = bare(cell);
    let cell = cell.strip_suffix('Z').unwrap_or(cell);
    let (days, time) = match cell.split_once(['T', ' ']) {
        Some((date, time)) => (days(date)?, time.trim_start()),
        None => (0, cell),
    };
    let (whole, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let mut parts = whole.split(':');
    let mut part = |most: i64| -> Option<i64> {
        let text = parts.next().filter(|t| matches!(t.len(), 1 | 2))?;
        digits(text).filter(|n| *n < most)
    };
    let seconds = (part(24)? * 60 + part(60)?) * 60 + part(61)?;
    if parts.next().is_some() || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = if fraction.is_empty() {
        0
    } else {
        digits(fraction)? * 10i64.pow(9 - fraction.len() as u32)
    };
    (days * 86_400 + seconds)
        .checked_mul(1_000_000_000)?
        .checked_add(nanoseconds)
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split(['-', '/']);
    let mut part = |len: usize| parts.next().filter(|t| t.len() == len).and_then(digits);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // years that start in March put the leap day last
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_a_date_and_without() {
        let second = 1_000_000_000;
        assert_eq!(stamp("1970-01-01 00:00:01"), Some(second));
        // 2024-02-29 is day 19,782 of Unix time
        assert_eq!(
            stamp("2024-02-29T00:00:00.5Z"),
            Some(19_782 * 86_400 * second + second / 2)
        );
        assert_eq!(stamp("2024-03-01T00:00:00"), Some(19_783 * 86_400 * second));
        assert_eq!(stamp("12:30:00,25"), Some(45_000 * second + second / 4));
        for other in [
            "",
            "12",
            "12:30",
            "29.02.2024 12:30:00",
            "02/29/2024 12:30:00",
            "12:30:xx",
            "2024-13-01 00:00:00",
        ] {
            assert_eq!(stamp(other), None, "{other}");
        }
    }

    #[test]
    fn the_last_digit_written_tells_the_resolution() {
        for (text, worth) in [
            ("1", 1.0),
            ("0.25", 0.01),
            ("1,5", 0.1),
            ("1.50000E-03", 1e-8),
            ("2e2", 100.0),
        ] {
            assert!((resolution(text) / worth - 1.0).abs() < 1e-12, "{text}");
        }
    }
}
