//! Lines into cells, cells into numbers.

use super::dialect::{Decimal, Delimiter};

/// The cells of a line. A delimiter between double quotes does not count; quotes stay, spaces around cells too.
pub(super) fn split(line: &str, delimiter: Delimiter) -> Vec<&str> {
    let Some(separator) = delimiter.character() else {
        return match delimiter {
            Delimiter::Spaces => line.split_whitespace().collect(),
            _ => vec![line.trim()],
        };
    };
    let mut quoted = false;
    line.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// A number as text: decimal or exponential, `nan`, `inf` in any case; nothing else, above all no thousands separators.
pub(super) fn number(cell: &str, decimal: Decimal) -> Option<f64> {
    let cell = cell.trim();
    let cell = cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(cell);
    match decimal {
        Decimal::Point => cell.parse().ok(),
        Decimal::Comma if cell.contains('.') => None,
        Decimal::Comma => cell.replacen(',', ".", 1).parse().ok(),
    }
}
