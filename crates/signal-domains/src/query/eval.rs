//! Asks a query about one recording. Three-valued, as what is not stated is unknown (Kleene's strong logic).

use std::cmp::Ordering;

use super::parse::{Expr, Operand};
use super::token::{Fault, Spot};
use crate::dataset::Attribute;

type Values<'a> = &'a dyn Fn(&str) -> Option<Attribute>;

pub(super) fn truth(expr: &Expr, values: Values<'_>) -> Result<Option<bool>, Fault> {
    match expr {
        Expr::Any(parts) => first(parts, true, values),
        Expr::All(parts) => first(parts, false, values),
        Expr::Not(inner) => Ok(truth(inner, values)?.map(|t| !t)),
        Expr::Flag { operand, spot } => match value(operand, values) {
            None => Ok(None),
            Some(Attribute::Flag(flag)) => Ok(Some(flag)),
            Some(other) => Err(spot.fault(format!(
                "{} is {}, neither true nor false; compare it with something",
                name(operand),
                describe(&other)
            ))),
        },
        Expr::Compare {
            left,
            sign,
            right,
            spot,
        } => {
            let (Some(a), Some(b)) = (value(left, values), value(right, values)) else {
                return Ok(None);
            };
            let words = || (name(left), name(right));
            Ok(Some(match *sign {
                "==" => order(&a, &b, words, *spot)? == Some(Ordering::Equal),
                "!=" => order(&a, &b, words, *spot)? != Some(Ordering::Equal),
                sign => {
                    let Some(order) = order(&a, &b, words, *spot)? else {
                        return Ok(Some(false));
                    };
                    if !matches!(a, Attribute::Number(_)) {
                        return Err(spot.fault(format!("{sign:?} needs numbers, {} is {}", name(left), describe(&a))));
                    }
                    match sign {
                        "<" => order.is_lt(),
                        "<=" => order.is_le(),
                        ">" => order.is_gt(),
                        _ => order.is_ge(),
                    }
                }
            }))
        }
        Expr::In {
            left,
            values: list,
            spot,
        } => {
            let Some(a) = value(left, values) else { return Ok(None) };
            let mut found = false;
            for b in list {
                let words = || (name(left), describe(b));
                found |= order(&a, b, words, *spot)? == Some(Ordering::Equal);
            }
            Ok(Some(found))
        }
        Expr::Like { left, glob, spot } => match value(left, values) {
            None => Ok(None),
            Some(Attribute::Text(text)) => Ok(Some(glob.is_match(text))),
            Some(other) => Err(spot.fault(format!("`like` needs a text, {} is {}", name(left), describe(&other)))),
        },
    }
}

/// `wanted` where one part is so, unknown where one is unknown, else the opposite. Every part is asked, so that a
/// comparison of different kinds never hides behind an earlier part.
fn first(parts: &[Expr], wanted: bool, values: Values<'_>) -> Result<Option<bool>, Fault> {
    let mut all = Some(!wanted);
    for part in parts {
        match truth(part, values)? {
            Some(t) if t == wanted => all = Some(wanted),
            None if all != Some(wanted) => all = None,
            _ => {}
        }
    }
    Ok(all)
}

fn value(operand: &Operand, values: Values<'_>) -> Option<Attribute> {
    match operand {
        Operand::Name(name) => values(name),
        Operand::Value(value) => Some(value.clone()),
    }
}

/// How `a` stands to `b`; `None` for a NaN, which is equal to nothing.
fn order(
    a: &Attribute,
    b: &Attribute,
    words: impl Fn() -> (String, String),
    spot: Spot,
) -> Result<Option<Ordering>, Fault> {
    match (a, b) {
        (Attribute::Number(a), Attribute::Number(b)) => Ok(a.partial_cmp(b)),
        (Attribute::Text(a), Attribute::Text(b)) => Ok(Some(a.cmp(b))),
        (Attribute::Flag(a), Attribute::Flag(b)) => Ok(Some(a.cmp(b))),
        (a, b) => {
            let (left, right) = words();
            let plain = |name: String, value: &Attribute| {
                let described = describe(value);
                if name == described {
                    name
                } else {
                    format!("{name} is {described}")
                }
            };
            Err(spot.fault(format!(
                "values of different kinds cannot be compared: {}, {}",
                plain(left, a),
                plain(right, b)
            )))
        }
    }
}

fn name(operand: &Operand) -> String {
    match operand {
        Operand::Name(name) => name.clone(),
        Operand::Value(value) => describe(value),
    }
}

fn describe(value: &Attribute) -> String {
    match value {
        Attribute::Flag(flag) => format!("{flag}"),
        Attribute::Number(number) => format!("the number {number}"),
        Attribute::Text(text) => format!("the text {text:?}"),
    }
}
